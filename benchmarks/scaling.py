"""What ``scale`` measures of one trained model: accuracy against compute per puzzle, along several ways of thinking
longer. :mod:`trm.scaling` does it for recursive models, :mod:`cot_distill.scaling.tokens` for
language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.statistics import Interval


@dataclass(frozen=True)
class Point:
    """
    Attributes:
        flops, steps: mean per problem, over all its rollouts or samples; steps are tokens for a language model.
        oracle: share of problems for which any answer on the way to this point was right.
        marked: shown in tables and with a marker.
    """

    label: str
    flops: float
    steps: float
    accuracy: Interval
    oracle: Interval
    marked: bool = True


@dataclass(frozen=True)
class Series:
    key: str
    label: str
    points: list[Point]


@dataclass(frozen=True)
class Scaled:
    """What was measured, and the words around it.

    Attributes:
        rows: one per problem and way of thinking, for ``scaling.parquet``.
        settings: how far thinking was scaled, as plain values.
        unit: what ``Point.steps`` are.
        lead: what was given to the model.
        how: how the points were made.
    """

    series: list[Series]
    rows: list[dict[str, Any]]
    settings: dict[str, Any]
    unit: str
    lead: str
    how: str


def doubling(most: int) -> list[int]:
    """1, 2, 4 ... and ``most``."""
    return sorted({most, *(2**i for i in range(most.bit_length()) if 2**i <= most)})
