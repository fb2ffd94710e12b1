"""What a figure or the step-by-step player shows of one method's runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
    seeds = []
    for record in records:
        points = tuple(sorted((float(point["flops"]), float(point["accuracy"])) for point in record.curve))
        if points:
            seeds.append(points)
    if not seeds:
        return Curve((), ())

    # All seeds have been between the latest first point and the earliest last one.
    low, high = max(s[0][0] for s in seeds), min(s[-1][0] for s in seeds)
    measured_at = {flops for flops, _ in chain.from_iterable(seeds)}
    grid = sorted(flops for flops in measured_at if low <= flops <= high)

    # Each seed read off at every point of the grid: [seeds, grid].
    curves = []
    for points in seeds:
        flops, accuracies = zip(*points, strict=True)
        curves.append(np.interp(grid, flops, accuracies))
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
    # Method -> id of the problem -> the demo of its first seed that has it.
    demos: dict[str, dict[str, Mapping[str, Any]]] = {}
    for method, records in by_method.items():
        own = demos.setdefault(method, {})
        for record in records:
            if record.demo.get("steps"):
                own.setdefault(record.demo["id"], record.demo)

    counts = Counter(chain.from_iterable(demos.values()))
    if not counts:
        return {}
    shared = counts.most_common(1)[0][0]
    return {method: own[shared] for method, own in demos.items() if shared in own}
