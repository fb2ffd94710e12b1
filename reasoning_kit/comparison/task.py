"""The finished runs of one task, compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.records import RunRecord
from benchmarks.statistics import Difference, paired_difference
from reasoning_kit.comparison.curves import Curve, learning_curve, scaling_curve, shared_demos
from reasoning_kit.comparison.lengths import Lengths, by_length
from reasoning_kit.comparison.rows import Row, Run, column, make_row
from reasoning_kit.comparison.verdict import Paired, headline, oriented, parts, thinking_contrasts, verdict


@dataclass(frozen=True)
class TaskComparison:
    """Everything the report shows about one task.

    Attributes:
        measure: what counts as right: ``exact`` or ``valid``.
        budget: the commonest ``{"unit", "limit"}`` of its runs.
        headline: best latent against best token method, where both ran.
        winner: ``latent``, ``token``, ``none`` (no clear winner), ``variants`` (one side did not run, but variants are
            compared with their base) or ``unknown``.
        verdict: the same in a sentence.
        pairs: all pairs of methods.
        demos: one problem, solved step by step: method -> ``RunRecord.demo``.
        lengths: accuracy by length, where the family has lengths.
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
    lengths: Lengths | None

    @property
    def measures_differ(self) -> bool:
        """Whether an answer can be right without being the labelled one: then both measures are shown."""
        return any(row.exact.value != row.valid.value for row in self.rows)

    @property
    def thinking_contrasts(self) -> tuple[Paired, ...]:
        """The pairs that isolate what thinking adds, the method that thinks first."""
        return thinking_contrasts(self.pairs)

    @property
    def parts(self) -> tuple[Paired, ...]:
        """Each base minus its variants."""
        return parts(self.rows, self.pairs)

    @property
    def contrasts(self) -> tuple[Paired, ...]:
        """The pairs that answer a question: what thinking adds, then what each part is worth."""
        return self.thinking_contrasts + self.parts


def compare_task(runs: Sequence[Run]) -> TaskComparison:
    """Compare the methods on one task.

    Raises:
        UserError: if the runs did not learn from and answer the same problems, or a run is there twice.
    """
    _check_same_problems(runs)
    first = runs[0]
    by_method: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.place):
        by_method[run.record.method].append(run)
    records = {m: [run.record for run in group] for m, group in by_method.items()}
    order, clusters = list(first.rows), [str(row["orbit"]) for row in first.rows.values()]
    answers = {m: [column(run, order, "correct") for run in group] for m, group in by_method.items()}
    units = Counter((run.record.budget["unit"], run.record.budget["limit"]) for run in runs)
    unit, limit = units.most_common(1)[0][0]
    rows = tuple(make_row(group, order, clusters, unit, limit) for group in by_method.values())

    def difference(a: str, b: str, choices: int = 1) -> Difference:
        same = _same_training(records[a], records[b])
        return paired_difference(answers[a], answers[b], clusters, choices=choices, same_training=same)

    pairs = tuple(
        Paired(a.method, b.method, difference(a.method, b.method))
        for a, b in (oriented(*two) for two in combinations(rows, 2))
    )
    race = headline(rows, difference)
    winner, sentence = verdict(rows, pairs, race, unit)
    task = first.record.task
    return TaskComparison(
        name=task["name"],
        family=task.get("family", ""),
        measure=task["measure"],
        problems=len(order),
        clusters=len(set(clusters)),
        seeds=max(len(group) for group in by_method.values()),
        budget={"unit": unit, "limit": limit},
        rows=rows,
        headline=race,
        winner=winner,
        verdict=sentence,
        pairs=pairs,
        learning={m: curve for m, group in records.items() if (curve := learning_curve(group)).points},
        scaling={m: curve for m, group in records.items() if (curve := scaling_curve(group)).points},
        demos=shared_demos(records),
        runs=tuple(chain.from_iterable(by_method.values())),
        lengths=by_length(first.record, {m: [run.rows for run in group] for m, group in by_method.items()}),
    )


def _same_training(a: Sequence[RunRecord], b: Sequence[RunRecord]) -> bool:
    """Whether two methods differ only in what is made of one training: seed by seed they had the same losses to the
    last bit. Should that be chance, pairing their seeds is still right, as each pair is drawn on its own."""
    first, second = ({record.seed: record.loss for record in records} for records in (a, b))
    return first == second and all(first.values())


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
