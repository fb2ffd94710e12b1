"""The comparison as plain data (``summary.json``) and as Markdown, for docs/results and the README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.records import write_atomically
from reasoning_kit.comparison import Comparison, Lengths, Row, TaskComparison
from reasoning_kit.report import formatting as f
from reasoning_kit.report.formatting import HOW_CLAIMS, cautions

SUMMARY = "summary.json"


def summary(comparison: Comparison) -> dict[str, Any]:
    """The numbers of the report as plain data, without traces and curves: task -> what it showed, and ``claims`` where
    methods of a claim ran."""
    tasks = {
        task.name: {
            "verdict": task.verdict,
            "winner": task.winner,
            "measure": task.measure,
            "problems": task.problems,
            "clusters": task.clusters,
            "budget": dict(task.budget),
            "methods": {row.method: asdict(row) for row in task.rows},
            "differences": [{"a": p.a, "b": p.b, **asdict(p.difference)} for p in task.pairs],
            **({"lengths": asdict(task.lengths)} if task.lengths else {}),
        }
        for task in comparison.tasks
    }
    claims = [asdict(judged) for judged in comparison.claims]
    return {**tasks, **({"claims": claims} if claims else {})}


def write_summary(comparison: Comparison, path: Path | None = None) -> Path:
    """Write :func:`summary` as JSON, beside the runs if no path is given."""
    path = path or comparison.directory / SUMMARY
    write_atomically(path, json.dumps(summary(comparison), indent=1) + "\n")
    return path


def markdown_table(comparison: Comparison) -> str:
    """The claims, if any. Per task: the verdict, one row per method, accuracy by length, what thinking adds, and where
    methods could not be matched."""
    claims = [_claims(comparison)] if comparison.claims else []
    return "\n\n".join(claims + [_task(task) for task in comparison.tasks]) + "\n"


def _claims(comparison: Comparison) -> str:
    claims = comparison.claims
    header = ["Claim", "In the mean over tasks", "Task by task", "Difference in points, 95 % interval"]
    header += ["FLOPs per answer"]
    rows = [
        [
            f"{judged.claim.text} ({judged.labels[0]} minus {judged.labels[1]})",
            judged.outcome,
            judged.sentence,
            f.points(judged.mean) if judged.mean else f.MISSING,
            f.times(judged.flops_ratio),
        ]
        for judged in claims
    ]
    lines = [f"### {comparison.claims_title}", "", *_lines([header, ["---"] * len(header), *rows]), "", HOW_CLAIMS]
    notes = [f"- {text}" for text in cautions(claims)]
    return "\n".join([*lines, "", *notes] if notes else lines)


def _lengths(lengths: Lengths, labels: Mapping[str, str]) -> list[str]:
    header = ["Characters right (whole answers)", *(f"length {length}" for length in lengths.lengths)]
    rows = [
        [labels[method], *(f"{f.percent(at[n].characters.value)} ({f.percent(at[n].whole.value)})" for n in at)]
        for method, at in lengths.rows.items()
    ]
    rows += [
        [f"{p.label} of {p.source} (not matched)"]
        + [f.percent(p.characters) if p.length == length else f.MISSING for length in lengths.lengths]
        for p in lengths.published
    ]
    return ["", f"Learned at {lengths.learned}:", "", *_lines([header, ["---"] * len(header), *rows])]


def _lines(table: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(_cell(c) for c in cells) + " |" for cells in table]


def _task(task: TaskComparison) -> str:
    header = ["Method", "Seeds", f"Accuracy ({task.measure}), 95 % interval"]
    header += ["Exact", "Valid"] if task.measures_differ else []
    header += ["Parameters", "Training FLOPs", "Training time", "Peak memory", "FLOPs per answer"]
    header += ["Time per answer", "Steps", "Tokens"]
    table = [header, ["---"] + ["---:"] * (len(header) - 1), *(_row(row, task.measures_differ) for row in task.rows)]
    lines = [f"### {task.name}", "", f"**{task.verdict}**", ""]
    lines += _lines(table)
    lines += ["", f"{task.problems} test problems ({task.clusters} up to symmetry), {_budget(task)} per method."]
    labels = {row.method: row.label for row in task.rows}
    if task.lengths:
        lines += _lengths(task.lengths, labels)
    if task.contrasts:
        lines += ["", "Differences in points on the same problems (95 % interval):", ""]
        lines += [f"- {labels[p.a]} minus {labels[p.b]}: {f.points(p.difference)}" for p in task.contrasts]

    notes: list[str] = []
    for row in task.rows:
        notes += [f"- {row.label}: {note}" for note in (row.unmatched, *row.notes) if note]
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
