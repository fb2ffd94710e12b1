"""The comparison as plain data (``summary.json``) and as Markdown, for docs/results and the README."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.records import write_atomically
from reasoning_kit.comparison import Comparison, Row, TaskComparison
from reasoning_kit.report import formatting as f

SUMMARY = "summary.json"


def summary(comparison: Comparison) -> dict[str, Any]:
    """The numbers of the report as plain data, without traces and curves."""
    return {
        task.name: {
            "verdict": task.verdict,
            "winner": task.winner,
            "measure": task.measure,
            "problems": task.problems,
            "clusters": task.clusters,
            "budget": dict(task.budget),
            "methods": {row.method: asdict(row) for row in task.rows},
            "differences": [{"a": p.a, "b": p.b, **asdict(p.difference)} for p in task.pairs],
        }
        for task in comparison.tasks
    }


def write_summary(comparison: Comparison, path: Path | None = None) -> Path:
    """Write :func:`summary` as JSON, beside the runs if no path is given."""
    path = path or comparison.directory / SUMMARY
    write_atomically(path, json.dumps(summary(comparison), indent=1) + "\n")
    return path


def markdown_table(comparison: Comparison) -> str:
    """Per task: the verdict, one row per method, what thinking adds, and where methods could not be matched."""
    return "\n\n".join(_task(task) for task in comparison.tasks) + "\n"


def _task(task: TaskComparison) -> str:
    header = ["Method", "Seeds", f"Accuracy ({task.measure}), 95 % interval"]
    header += ["Exact", "Valid"] if task.measures_differ else []
    header += ["Parameters", "Training FLOPs", "Training time", "Peak memory", "FLOPs per answer"]
    header += ["Time per answer", "Steps", "Tokens"]
    table = [header, ["---"] + ["---:"] * (len(header) - 1), *(_row(row, task.measures_differ) for row in task.rows)]
    lines = [f"### {task.name}", "", f"**{task.verdict}**", ""]
    lines += ["| " + " | ".join(_cell(c) for c in cells) + " |" for cells in table]
    lines += ["", f"{task.problems} test problems ({task.clusters} up to symmetry), {_budget(task)} per method."]
    if task.contrasts:
        lines += ["", "Differences in points on the same problems (95 % interval):", ""]
        labels = {row.method: row.label for row in task.rows}
        lines += [f"- {labels[p.a]} minus {labels[p.b]}: {f.points(p.difference)}" for p in task.contrasts]
    notes = [f"- {row.label}: {note}" for row in task.rows for note in (row.unmatched, *row.notes) if note]
    return "\n".join(lines + (["", "Not matched between methods:", "", *notes] if notes else []))


def _budget(task: TaskComparison) -> str:
    return f.budget_text(task.budget["unit"], task.budget["limit"])


def _row(row: Row, measures: bool) -> list[str]:
    flag = " (not matched)" if row.unmatched else ""
    return [
        row.label + flag,
        str(row.seeds),
        f"{f.percent(row.accuracy.value)} ({f.ends(row.accuracy)})",
        *([f.percent(row.exact.value), f.percent(row.valid.value)] if measures else []),
        f.si(row.parameters),
        f.si(row.training_flops),
        f.duration(row.training_seconds),
        f.memory(row.peak_memory_bytes),
        f.si(row.flops_per_answer),
        f.duration(row.seconds_per_answer),
        f.count(row.steps_per_answer),
        f.count(row.tokens_per_answer),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
