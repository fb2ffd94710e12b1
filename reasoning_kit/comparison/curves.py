"""What a figure or the step-by-step player shows of one method's runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.records import RunRecord


@dataclass(frozen=True)
class Curve:
    """Accuracy against compute: the mean over seeds, and each seed as points ``(flops, accuracy)``."""

    points: tuple[tuple[float, float], ...]
    seeds: tuple[tuple[tuple[float, float], ...], ...]
    labels: tuple[str, ...] = ()


def learning_curve(records: Sequence[RunRecord]) -> Curve:
    """Accuracy against training compute; the mean is taken where all seeds have been."""
    seeds = [tuple(sorted((float(p["flops"]), float(p["accuracy"])) for p in r.curve)) for r in records]
    seeds = [points for points in seeds if points]
    if not seeds:
        return Curve((), ())
    low, high = max(s[0][0] for s in seeds), min(s[-1][0] for s in seeds)
    grid = sorted({x for s in seeds for x, _ in s if low <= x <= high})
    curves = [np.interp(grid, [x for x, _ in s], [y for _, y in s]) for s in seeds]
    mean = np.mean(curves, axis=0) if grid else []
    return Curve(tuple((x, float(y)) for x, y in zip(grid, mean, strict=True)), tuple(seeds))


def scaling_curve(records: Sequence[RunRecord]) -> Curve:
    """Accuracy against compute per answer, step by step; a seed with fewer steps keeps its last point."""
    scalings = [r.scaling for r in records if r.scaling]
    if not scalings:
        return Curve((), ())
    longest = max(scalings, key=len)
    seeds = [tuple((float(p["flops_per_answer"]), float(p["accuracy"])) for p in scaling) for scaling in scalings]
    padded = np.array([s + s[-1:] * (len(longest) - len(s)) for s in seeds])
    mean = tuple((float(x), float(y)) for x, y in padded.mean(0))
    return Curve(mean, tuple(seeds), tuple(str(p["label"]) for p in longest))


def shared_demos(by_method: Mapping[str, Sequence[RunRecord]]) -> dict[str, Mapping[str, Any]]:
    """The demo problem that most methods have, solved by each method's first seed that has it."""
    demos = {m: [r.demo for r in records if r.demo.get("steps")] for m, records in by_method.items()}
    counts = Counter(i for group in demos.values() for i in {demo["id"] for demo in group})
    if not counts:
        return {}
    shared = counts.most_common(1)[0][0]
    return {m: d for m, group in demos.items() if (d := next((x for x in group if x["id"] == shared), None))}
