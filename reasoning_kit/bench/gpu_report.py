"""What ``bench gpu`` found as Markdown, ready for ``docs/results``: a pure function of its stages' files."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from reasoning_kit.report import formatting as f

Stages = Mapping[str, Mapping[str, Any]]


def gpu_markdown(stages: Stages, small: bool) -> str:
    """The tables of the stages that are there."""
    parts = ["# Results on a GPU\n"]
    if small:
        parts.append("Tiny sizes (`--small`): these numbers only show that the command runs.\n")
    if stages:
        parts.append(_where(stages))
    if "matmul" in stages:
        parts.append(_matmul(stages["matmul"]["matmul"]))
    steps = {name: stage for name, stage in stages.items() if name.startswith("trm-step")}
    if steps:
        parts.append(_steps(steps))
    rates = stages["matmul"]["matmul"] if "matmul" in stages else {}
    for name, title in (("sudoku", "Sudoku-Extreme"), ("maze", "Maze-Hard")):
        if name in stages:
            parts.append(_training(title, stages[name], rates))
    if "scale" in stages:
        parts.append(_scale(stages["scale"]))
    return "\n".join(parts)


def _rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "| --- |" + " ---: |" * (len(headings) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _where(stages: Stages) -> str:
    """Machines, versions and commands: stages of one folder can be of several calls."""
    lines: dict[str, list[str]] = {}
    for name, stage in stages.items():
        hardware, versions, git = stage["hardware"], stage["versions"], stage["git"]
        machine = ", ".join(hardware["accelerators"]) or "no GPU"
        text = (
            f"{machine}; {hardware['cores']} cores of {hardware['processor']}; torch {versions['torch']}, CUDA "
            f"{versions['cuda'] or 'none'}, Python {versions['python']}; commit {git.get('commit', 'unknown')[:12]}"
            f"{' (changed)' if git.get('changed') else ''}; `{stage['command']}`"
        )
        lines.setdefault(text, []).append(name)
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in lines.items()) + "\n"


def _matmul(rates: Mapping[str, Any]) -> str:
    rows = []
    for rate in rates.values():
        for p in rate["products"]:
            shape = f"{p['rows']} x {p['inner']} x {p['columns']}"
            rows.append((p["name"], p["precision"], shape, f.si(p["flops_per_second"])))
    return "## Matrix products\n\n" + _rows(("product", "precision", "rows x inner x columns", "FLOP/s"), rows)


def _steps(stages: Stages) -> str:
    rows, shape = [], None
    for name, stage in stages.items():
        if "failed" in stage:
            rows.append((name.removeprefix("trm-step-"), "failed", *[f.MISSING] * 5))
            continue
        shape, [plain, own] = stage["shape"], stage["rows"]
        rows.append(
            (
                own["program"],
                f.duration(own["median_seconds"]),
                f"{own['ratio']:.2f} ({min(own['ratios']):.2f} to {max(own['ratios']):.2f})",
                f.percent(own["utilisation"]),
                f.percent(plain["utilisation"]),
                f"{f.memory(own['memory_bytes'])} ({own['memory_ratio']:.2f})",
                f.duration(own["first_seconds"]),
            )
        )
    about = ""
    if shape is not None:
        about = (
            f"Width {shape['width']}, batch {shape['batch']}, {shape['size'] ** 2 + shape['prefix']} positions, "
            f"T = {shape['T']}, n = {shape['n']}. Speed is against a plain eager program in the same precision, median "
            "(least to greatest) of neighbouring steps; utilisation is FLOPs by formula per second over the fastest "
            "matrix product.\n\n"
        )
    headings = (
        "compile", "step", "speed to plain", "utilisation", "of plain", "peak memory (to plain)", "first steps",
    )  # fmt: skip
    return "## A training step\n\n" + about + _rows(headings, rows)


def _training(title: str, stage: Mapping[str, Any], rates: Mapping[str, Any]) -> str:
    rows = []
    for run in stage["runs"]:
        accuracy, training = run["accuracy"], run["training"]
        rate = rates.get(run["precision"])
        rows.append(
            (
                str(run["seed"]),
                _reached(run["seconds_to_target"]),
                f"{f.percent(accuracy['value'])} ({100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f})",
                f.duration(training["seconds"]),
                f"{training['steps']:,.0f}",
                f.percent(run["flops_per_second"] / rate["flops_per_second"]) if rate else f.MISSING,
                f.memory(run["peak_memory_bytes"]),
            )
        )
    target = f"{100 * stage['target']:g} %"
    headings = ("seed", f"time to {target}", "accuracy at the end", "training", "steps", "utilisation", "memory")
    notes = set(chain.from_iterable(run["notes"] for run in stage["runs"]))
    median = _reached(median_time(stage["runs"]))
    about = f"\nMedian training time to {target}: {median}, read off the learning curve; no start-up, no checks.\n"
    return f"## {title}\n\n" + _rows(headings, rows) + about + "".join(f"- {note}\n" for note in sorted(notes))


def median_time(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Median over seeds; ``None`` where it is of a run that did not reach the target."""
    median = statistics.median(
        math.inf if run["seconds_to_target"] is None else run["seconds_to_target"] for run in runs
    )
    return None if math.isinf(median) else median


def _reached(seconds: float | None) -> str:
    return "not reached" if seconds is None else f.duration(seconds)


def _scale(stage: Mapping[str, Any]) -> str:
    rows = [
        (
            str(run["seed"]),
            _point(run["trained_depth"]),
            _point(run["best"]),
            f"{run['best']['way']}: {run['best']['label']}",
            f"{run['best']['steps']:.1f}",
            f.si(run["best"]["flops"]),
        )
        for run in stage["runs"]
    ]
    headings = ("seed", "depth of training", "best point", "which", "steps", "FLOPs per puzzle")
    about = (
        f"\nTarget {100 * stage['target']:g} %. The best of all points was chosen on these {stage['problems']} "
        "problems, so it is a little too good; `scaling.html` of each seed shows all of them.\n"
    )
    return "## Deeper and wider inference on the Sudoku models\n\n" + _rows(headings, rows) + about


def _point(point: Mapping[str, Any]) -> str:
    accuracy = point["accuracy"]
    return f"{f.percent(accuracy['value'])} ({100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f})"
