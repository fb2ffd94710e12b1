"""The runs of one method on one task become one row: accuracy over seeds, and mean costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import RunRecord
from benchmarks.statistics import Interval, accuracy_interval
from reasoning_kit.config.methods import label_of, thinking_of
from reasoning_kit.registry import METHODS

NOT_TRAINED = "not matched: trained elsewhere, with other data and compute, and not trained here"
MATCHED_WITHIN = 0.1  # a method that spent more or less of its budget than this is flagged


@dataclass(frozen=True)
class Run:
    """One finished run: its record, and the judgement of each test problem by problem id."""

    folder: Path
    record: RunRecord
    rows: Mapping[str, Mapping[str, Any]]

    @property
    def base(self) -> str:
        """The method that this one is a variant of, or the method itself."""
        return str(self.record.config.get("base", self.record.method))

    @property
    def label(self) -> str:
        return str(self.record.config.get("label", label_of(self.record.method)))

    @property
    def thinking(self) -> str:
        return thinking_of(self.base, self.record.config.get("model") or {})

    @property
    def trains(self) -> bool:
        return METHODS[self.base].trains if self.base in METHODS else True

    @property
    def place(self) -> tuple[int, bool, str, int]:
        """Sorts runs: methods in their order, each followed by its variants, and seeds within."""
        order = list(METHODS).index(self.base) if self.base in METHODS else len(METHODS)
        return order, self.base != self.record.method, self.record.method, self.record.seed


@dataclass(frozen=True)
class Row:
    """One method on one task, over its seeds. Costs are means over seeds; ``None`` where no run measured them.

    Attributes:
        base: the method that this one is, or is a variant of.
        thinking: ``latent``, ``token`` or ``none`` (:func:`reasoning_kit.config.methods.thinking_of`).
        trains: its model was trained here, within the budget.
        unmatched: why this row is not at the same budget as the others; empty when it is.
        parameters: ``None`` where they are not known.
        notes: where the method could not be matched in other ways (outside knowledge, extra supervision).
    """

    method: str
    base: str
    label: str
    thinking: str
    seeds: int
    accuracy: Interval
    exact: Interval
    valid: Interval
    parameters: int | None
    training_flops: float | None
    training_seconds: float | None
    peak_memory_bytes: float | None
    energy_joules: float | None
    flops_per_answer: float | None
    seconds_per_answer: float | None
    steps_per_answer: float | None
    tokens_per_answer: float | None
    trains: bool
    unmatched: str
    notes: tuple[str, ...]


def make_row(group: Sequence[Run], order: Sequence[str], clusters: Sequence[str], unit: str, limit: float) -> Row:
    """The row of one method.

    Args:
        group: its runs.
        order: the ids of the problems.
        clusters: the orbit of each.
        unit, limit: the budget that it should have had.
    """
    first = group[0]
    records = [run.record for run in group]

    def interval(name: str) -> Interval:
        return accuracy_interval([column(run, order, name) for run in group], clusters)

    def metric(name: str) -> float | None:
        return _mean(r.metrics.get(name, {}).get("value") for r in records)

    notes = list(chain.from_iterable(record.notes for record in records))
    notes += _oracle(metric("oracle"), metric("accuracy"))
    return Row(
        method=first.record.method,
        base=first.base,
        label=first.label,
        thinking=first.thinking,
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
        trains=first.trains,
        unmatched=_unmatched(records, unit, limit) if first.trains else NOT_TRAINED,
        notes=tuple(dict.fromkeys(notes)),
    )


def _oracle(share: float | None, accuracy: float | None) -> list[str]:
    """Said only where another choice among the answers would have been better."""
    if share is None or accuracy is None or share <= accuracy:
        return []
    return [f"Had the verifier chosen among all answers seen (an oracle, no accuracy): {share:.1%} right."]


def column(run: Run, order: Sequence[str], name: str) -> np.ndarray:
    """One judgement of each problem, 0 or 1, in the given order."""
    return np.array([bool(run.rows[i][name]) for i in order], dtype=float)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _unmatched(records: list[RunRecord], unit: str, limit: float) -> str:
    """In words, why these runs are not at the budget of the others."""
    others = {(r.budget["unit"], r.budget["limit"]) for r in records} - {(unit, limit)}
    if others:
        given = ", ".join(f"{value:g} {name}" for name, value in sorted(others))
        return f"not matched: budget of {given} instead of {limit:g} {unit}"
    spent = _mean(r.training.get(unit) for r in records)
    if spent is not None and abs(spent / limit - 1) > MATCHED_WITHIN:
        return f"not matched: spent {spent / limit:.0%} of the budget of {limit:g} {unit}"
    return ""
