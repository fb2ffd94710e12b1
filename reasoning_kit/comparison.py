"""From finished runs to the answer: which way of thinking longer wins on each task, and how sure that is.

Pure: reads ``record.json`` and ``predictions.parquet`` of every run below a folder and computes. The terminal table,
the HTML report and the written summary all show a :class:`Comparison`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.records import RECORD, RunRecord, load_predictions
from benchmarks.statistics import Difference, Interval, accuracy_interval, paired_difference

MATCHED_WITHIN = 0.1  # a method that spent more or less of its budget than this is flagged


@dataclass(frozen=True)
class Method:
    """How a method is named, and which way of thinking it stands for: ``latent``, ``token`` or ``none``."""

    name: str
    label: str
    thinking: str


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("direct", "Direct prediction", "none"),
        Method("trm", "TRM", "latent"),
        Method("answer_only", "LM, answer only", "none"),
        Method("cot", "LM, chain of thought (distilled)", "token"),
        Method("grpo", "LM, GRPO", "token"),
    )
}
THINKING = {"latent": "latent recursion", "token": "tokens"}
WINNERS = {
    "latent": "Latent recursion wins",
    "token": "Tokens win",
    "none": "No clear winner",
    "unknown": "No verdict",
}
# What thinking adds to the same kind of network; and reinforcement to distillation.
CONTRASTS = (("trm", "direct"), ("cot", "answer_only"), ("grpo", "cot"))


def label(method: str) -> str:
    return METHODS[method].label if method in METHODS else method


@dataclass(frozen=True)
class Run:
    """One finished run: its record, and the judgement of each test problem by problem id."""

    folder: Path
    record: RunRecord
    rows: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """One method on one task, over its seeds. Costs are means over seeds; ``None`` where no run measured them.

    Attributes:
        unmatched: why this row is not at the same budget as the others; empty when it is.
        notes: where the method could not be matched in other ways (outside knowledge, extra supervision).
    """

    method: str
    label: str
    seeds: int
    accuracy: Interval
    exact: Interval
    valid: Interval
    parameters: int
    training_flops: float | None
    training_seconds: float | None
    peak_memory_bytes: float | None
    energy_joules: float | None
    flops_per_answer: float | None
    seconds_per_answer: float | None
    steps_per_answer: float | None
    tokens_per_answer: float | None
    unmatched: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """Accuracy against compute: the mean over seeds, and each seed as points ``(flops, accuracy)``."""

    points: tuple[tuple[float, float], ...]
    seeds: tuple[tuple[tuple[float, float], ...], ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paired:
    """Accuracy of method ``a`` minus accuracy of method ``b`` on the same problems."""

    a: str
    b: str
    difference: Difference


@dataclass(frozen=True)
class TaskComparison:
    """Everything the report shows about one task.

    Attributes:
        measure: what counts as right: ``exact`` or ``valid``.
        budget: the commonest ``{"unit", "limit"}`` of its runs.
        headline: best latent against best token method, where both ran.
        winner: ``latent``, ``token``, ``none`` (no clear winner) or ``unknown`` (one side did not run).
        verdict: the same in a sentence.
        pairs: all pairs of methods.
        demos: one problem, solved step by step: method -> ``RunRecord.demo``.
    """

    name: str
    family: str
    measure: str
    problems: int
    clusters: int
    seeds: int
    budget: Mapping[str, Any]
    rows: tuple[Row, ...]
    headline: Paired | None
    winner: str
    verdict: str
    pairs: tuple[Paired, ...]
    learning: Mapping[str, Curve]
    scaling: Mapping[str, Curve]
    demos: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]

    @property
    def measures_differ(self) -> bool:
        """Whether an answer can be right without being the labelled one: then both measures are shown."""
        return any(row.exact.value != row.valid.value for row in self.rows)

    @property
    def contrasts(self) -> tuple[Paired, ...]:
        """The pairs that isolate what thinking adds, the method that thinks first."""
        return tuple(p for a, b in CONTRASTS for p in self.pairs if (p.a, p.b) == (a, b))


@dataclass(frozen=True)
class Comparison:
    directory: Path
    tasks: tuple[TaskComparison, ...]


def load_comparison(directory: Path) -> Comparison:
    """Everything below ``directory``, in whatever folders its runs lie; hidden ones hold what was moved aside.

    Raises:
        UserError: if there is no record, one cannot be read, or runs of one task answered different problems.
    """
    by_task: dict[str, list[Run]] = defaultdict(list)
    for path in sorted(directory.glob(f"**/{RECORD}")):
        if any(part.startswith(".") for part in path.relative_to(directory).parts):
            continue
        record = RunRecord.load(path.parent)
        rows = {row["id"]: row for row in load_predictions(path.parent)}
        by_task[record.task["name"]].append(Run(path.parent, record, rows))
    if not by_task:
        raise UserError(
            "no finished run here.", where=str(directory), cure="Run `reasoning-kit compare` first, or name its folder."
        )
    return Comparison(directory, tuple(compare_task(runs) for _, runs in sorted(by_task.items())))


def compare_task(runs: Sequence[Run]) -> TaskComparison:
    """Compare the methods on one task.

    Raises:
        UserError: if the runs did not learn from and answer the same problems, or a run is there twice.
    """
    _check_same_problems(runs)
    first = runs[0]
    by_method: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda r: (_order(r.record.method), r.record.seed)):
        by_method[run.record.method].append(run)
    order, clusters = list(first.rows), [str(row["orbit"]) for row in first.rows.values()]
    answers = {m: [_column(run, order, "correct") for run in group] for m, group in by_method.items()}
    units = Counter((run.record.budget["unit"], run.record.budget["limit"]) for run in runs)
    unit, limit = units.most_common(1)[0][0]
    rows = tuple(_row(m, group, order, clusters, unit, limit) for m, group in by_method.items())
    pairs = tuple(
        Paired(*_thinker_first(a, b), paired_difference(answers[x], answers[y], clusters))
        for a, b in combinations(by_method, 2)
        for x, y in [_thinker_first(a, b)]
    )
    headline = _headline(rows, pairs)
    task = first.record.task
    compared = TaskComparison(
        name=task["name"],
        family=task.get("family", ""),
        measure=task["measure"],
        problems=len(order),
        clusters=len(set(clusters)),
        seeds=max(len(group) for group in by_method.values()),
        budget={"unit": unit, "limit": limit},
        rows=rows,
        headline=headline,
        winner="unknown",
        verdict="",
        pairs=pairs,
        learning={m: curve for m, group in by_method.items() if (curve := _learning_curve(group)).points},
        scaling={m: curve for m, group in by_method.items() if (curve := _scaling_curve(group)).points},
        demos=_demos(by_method),
        runs=tuple(run for group in by_method.values() for run in group),
    )
    winner, sentence = _verdict(compared)
    return replace(compared, winner=winner, verdict=sentence)


def _check_same_problems(runs: Sequence[Run]) -> None:
    first = runs[0]
    seen: dict[tuple[str, int], Path] = {}
    for run in runs:
        if run.record.data["fingerprint"] != first.record.data["fingerprint"] or set(run.rows) != set(first.rows):
            raise UserError(
                f"this run and {first.folder} did not see the same problems of '{first.record.task['name']}', "
                "so their accuracies cannot be compared.",
                where=str(run.folder),
                cure="Keep runs on other data in another folder.",
            )
        key = (run.record.method, run.record.seed)
        if key in seen:
            raise UserError(
                f"a second run of method '{key[0]}' with seed {key[1]}; the other one is {seen[key]}.",
                where=str(run.folder),
                cure="Move one of them away.",
            )
        seen[key] = run.folder


def _order(method: str) -> int:
    return list(METHODS).index(method) if method in METHODS else len(METHODS)


def _thinking(method: str) -> str:
    return METHODS[method].thinking if method in METHODS else "none"


def _thinker_first(a: str, b: str) -> tuple[str, str]:
    """Latent minus token; a method that thinks minus one that does not; else later minus earlier."""
    rank = {"latent": 0, "token": 1, "none": 2}
    return (a, b) if (rank[_thinking(a)], -_order(a)) < (rank[_thinking(b)], -_order(b)) else (b, a)


def _column(run: Run, order: Sequence[str], name: str) -> np.ndarray:
    return np.array([bool(run.rows[i][name]) for i in order], dtype=float)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _row(method: str, group: list[Run], order: list[str], clusters: list[str], unit: str, limit: float) -> Row:
    records = [run.record for run in group]

    def interval(name: str) -> Interval:
        return accuracy_interval([_column(run, order, name) for run in group], clusters)

    def metric(name: str) -> float | None:
        return _mean(r.metrics.get(name, {}).get("value") for r in records)

    return Row(
        method=method,
        label=label(method),
        seeds=len(group),
        accuracy=interval("correct"),
        exact=interval("exact"),
        valid=interval("valid"),
        parameters=records[0].parameters,
        training_flops=_mean(r.training.get("flops") for r in records),
        training_seconds=_mean(r.training.get("seconds") for r in records),
        peak_memory_bytes=_mean(r.peak_memory_bytes or None for r in records),
        energy_joules=_mean(r.energy_joules for r in records),
        flops_per_answer=metric("flops_per_answer"),
        seconds_per_answer=metric("seconds_per_answer"),
        steps_per_answer=metric("steps_per_answer"),
        tokens_per_answer=metric("tokens_per_answer"),
        unmatched=_unmatched(records, unit, limit),
        notes=tuple(dict.fromkeys(note for r in records for note in r.notes)),
    )


def _unmatched(records: list[RunRecord], unit: str, limit: float) -> str:
    """In words, why these runs are not at the budget of the others."""
    others = {(r.budget["unit"], r.budget["limit"]) for r in records} - {(unit, limit)}
    if others:
        given = ", ".join(f"{value:.3g} {name}" for name, value in sorted(others))
        return f"not matched: budget of {given} instead of {limit:.3g} {unit}"
    spent = _mean(r.training.get(unit) for r in records)
    if spent is not None and abs(spent / limit - 1) > MATCHED_WITHIN:
        return f"not matched: spent {spent / limit:.0%} of the budget of {limit:.3g} {unit}"
    return ""


def _headline(rows: Sequence[Row], pairs: Sequence[Paired]) -> Paired | None:
    """Best latent against best token method. The best of several is chosen on the test problems themselves, which
    favours the side with more methods a little."""
    best = {}
    for thinking in THINKING:
        side = [row for row in rows if _thinking(row.method) == thinking]
        if not side:
            return None
        best[thinking] = max(side, key=lambda row: row.accuracy.value).method
    return next(p for p in pairs if (p.a, p.b) == (best["latent"], best["token"]))


def _verdict(task: TaskComparison) -> tuple[str, str]:
    """The winner and one sentence for it, from the data alone."""
    if task.headline is None:
        ran = {_thinking(row.method) for row in task.rows}
        missing = " and ".join(text for key, text in THINKING.items() if key not in ran)
        return "unknown", f"{WINNERS['unknown']}: no run of {missing} here."
    rows = {row.method: row for row in task.rows}
    latent, token, gap = rows[task.headline.a], rows[task.headline.b], task.headline.difference
    caveats = [f"{row.label} is {row.unmatched}" for row in (latent, token) if row.unmatched]
    if min(latent.seeds, token.seeds) == 1:
        caveats.append("with one seed the interval does not show how much another seed would change")
    tail = f" Caution: {'; '.join(caveats)}." if caveats else ""
    winner = "none" if not gap.clear else "latent" if gap.value > 0 else "token"
    ahead, behind, sides, sign = latent, token, "latent minus tokens", 1
    if winner == "token":
        ahead, behind, sides, sign = token, latent, "tokens minus latent", -1
    low, value, high = sorted(100 * sign * x for x in (gap.low, gap.value, gap.high))
    return winner, (
        f"{WINNERS[winner]}: {ahead.label} {100 * ahead.accuracy.value:.1f} % against "
        f"{100 * behind.accuracy.value:.1f} % of {behind.label} ({sides} {value:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}).{tail}"
    )


def _learning_curve(group: list[Run]) -> Curve:
    """Accuracy against training compute; the mean is taken where all seeds have been."""
    seeds = [tuple(sorted((float(p["flops"]), float(p["accuracy"])) for p in run.record.curve)) for run in group]
    seeds = [points for points in seeds if points]
    if not seeds:
        return Curve((), ())
    low, high = max(s[0][0] for s in seeds), min(s[-1][0] for s in seeds)
    grid = sorted({x for s in seeds for x, _ in s if low <= x <= high})
    curves = [np.interp(grid, [x for x, _ in s], [y for _, y in s]) for s in seeds]
    mean = np.mean(curves, axis=0) if grid else []
    return Curve(tuple((x, float(y)) for x, y in zip(grid, mean, strict=True)), tuple(seeds))


def _scaling_curve(group: list[Run]) -> Curve:
    """Accuracy against compute per answer, step by step; a seed with fewer steps keeps its last point."""
    scalings = [run.record.scaling for run in group if run.record.scaling]
    if not scalings:
        return Curve((), ())
    longest = max(scalings, key=len)
    seeds = [tuple((float(p["flops_per_answer"]), float(p["accuracy"])) for p in scaling) for scaling in scalings]
    padded = np.array([s + s[-1:] * (len(longest) - len(s)) for s in seeds])
    mean = tuple((float(x), float(y)) for x, y in padded.mean(0))
    return Curve(mean, tuple(seeds), tuple(str(p["label"]) for p in longest))


def _demos(by_method: Mapping[str, list[Run]]) -> dict[str, Mapping[str, Any]]:
    """The demo problem that most methods have, solved by each method's first seed that has it."""
    demos = {m: [run.record.demo for run in group if run.record.demo.get("steps")] for m, group in by_method.items()}
    counts = Counter(i for group in demos.values() for i in {demo["id"] for demo in group})
    if not counts:
        return {}
    shared = counts.most_common(1)[0][0]
    return {m: d for m, group in demos.items() if (d := next((x for x in group if x["id"] == shared), None))}
