"""Accuracy by the length of the problem, for families that are tested at lengths other than that of training.

The literature on recursive language models reports character accuracy there (:mod:`benchmarks.verifiable.sequences`),
which a verdict has as its score; the share of whole answers that are right stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from benchmarks.records import RunRecord
from benchmarks.statistics import Interval, accuracy_interval


@runtime_checkable
class TrainedOnLengths(Protocol):
    """A family whose problems have ``meta["length"]``, and whose score is character accuracy."""

    @property
    def training_lengths(self) -> range: ...


@dataclass(frozen=True)
class Published:
    """Character accuracy that others report at one length; they trained on other data with other compute."""

    label: str
    length: int
    characters: float
    source: str


# Addition, length 20, from the comparison in Tiny Autoregressive Recursive Models.
PUBLISHED = {  # by family and operation
    ("sequences", "addition"): tuple(
        Published(label, 20, characters, "arXiv 2603.08082")
        for label, characters in (("Universal transformer", 0.938), ("GPT", 0.181), ("Autoregressive TRM", 0.111))
    )
}


@dataclass(frozen=True)
class AtLength:
    """Means over seeds and problems of one length.

    Attributes:
        characters: share of the characters that are right (of one seed with Wilson's interval, which is wider than
            characters need).
        whole: share of the answers that are right.
    """

    characters: Interval
    whole: Interval


@dataclass(frozen=True)
class Lengths:
    """
    Attributes:
        trained: lengths of the training problems.
        known: share of the test problems that are no shorter and no longer.
        rows: method -> length -> what it reached there.
        published: what others report at one of the lengths; not matched.
    """

    trained: tuple[int, ...]
    known: float
    lengths: tuple[int, ...]
    rows: Mapping[str, Mapping[int, AtLength]]
    published: tuple[Published, ...]

    @property
    def learned(self) -> str:
        """In words."""
        first, last = self.trained[0], self.trained[-1]
        return f"length {last}" if first == last else f"lengths {first} to {last}"


Judgements = Mapping[str, Mapping[str, Any]]  # of one run, by the id of the problem


def by_length(record: RunRecord, groups: Mapping[str, Sequence[Judgements]]) -> Lengths | None:
    """``None`` for another family, or a record that does not hold the options of its task.

    Args:
        record: of any of the runs.
        groups: the runs of each method.
    """
    options = (record.config.get("task") or {}).get("options")
    from benchmarks.task import FAMILIES, load_task

    family = str(record.task.get("family"))
    if options is None or family not in FAMILIES or not hasattr(FAMILIES[family], "training_lengths"):
        return None
    task = load_task(family, **options)
    assert isinstance(task, TrainedOnLengths)

    # The ids of the problems, by their length.
    first = next(iter(groups.values()))[0]
    length = {i: int(task.parse_question(row["question"]).meta["length"]) for i, row in first.items()}
    order: dict[int, list[str]] = {each: [] for each in sorted(set(length.values()))}
    for i, each in length.items():
        order[each].append(i)

    def at(seeds: Sequence[Judgements], ids: Sequence[str]) -> AtLength:
        orbits = [str(first[i]["orbit"]) for i in ids]
        found = [
            accuracy_interval([np.array([float(seed[i][name]) for i in ids]) for seed in seeds], orbits)
            for name in ("score", "correct")
        ]
        return AtLength(*found)

    trained = tuple(task.training_lengths)
    published = PUBLISHED.get((family, getattr(task, "operation", "")), ())
    return Lengths(
        trained=trained,
        known=float(np.mean([trained[0] <= each <= trained[-1] for each in length.values()])),
        lengths=tuple(order),
        rows={method: {each: at(seeds, ids) for each, ids in order.items()} for method, seeds in groups.items()},
        published=tuple(each for each in published if each.length in order),
    )
