"""Claims, judged by paired differences at equal budget, task by task and over all tasks.

A claim is a sentence and two methods, read from ``configs/claims``; it is left out where one of them ran on no task.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from benchmarks.errors import UserError
from benchmarks.statistics import Difference
from reasoning_kit.comparison.rows import Row
from reasoning_kit.comparison.task import TaskComparison
from reasoning_kit.comparison.verdict import caveats
from reasoning_kit.config.checking import checked, mapping
from reasoning_kit.config.composition import files_of

Outcome = Literal["holds", "fails", "undecided", "untested"]
MARGIN = 0.05  # of accuracy: a method that loses less than this to another is not worse
CEILING = 0.95  # of what can be had on a task: two methods above it cannot be told apart there


@dataclass(frozen=True)
class Claim:
    """
    Attributes:
        text: a sentence that is true if ``a`` minus ``b`` comes out as asked.
        asks: ``better``: the accuracy of ``a`` is above that of ``b``; ``not_worse``: it is not :data:`MARGIN` below.
    """

    text: str
    a: str
    b: str
    asks: Literal["better", "not_worse"] = "better"


@dataclass(frozen=True)
class ClaimSet:
    """Claims that belong together: one file of ``configs/claims``.

    Attributes:
        title: what a report writes above them.
    """

    title: str
    claims: tuple[Claim, ...]


def load_claims() -> tuple[ClaimSet, ...]:
    """Every file of ``configs/claims``, those of plug-ins included.

    Raises:
        UserError: if one is not valid.
    """
    return tuple(read_claims(file) for _, file in sorted(files_of("claims").items()))


def read_claims(file: Path) -> ClaimSet:
    """``title: ...`` and ``claims: [{text: ..., a: METHOD, b: METHOD, asks: better}]``.

    Raises:
        UserError: naming the file, and the claim that is not valid.
    """
    import yaml

    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the file is not valid YAML ({reason}).", where=str(file), cure="Mend it.") from None
    entries = mapping(raw, str(file)).get("claims")
    if not isinstance(entries, list):
        raise UserError("claims must be a list.", where=str(file), cure="Write claims: and one - text: ... for each.")

    claims = tuple(checked(Claim, entry, f"{file}: claims[{number}]") for number, entry in enumerate(entries))
    return ClaimSet(str(raw.get("title") or file.stem), claims)


@dataclass(frozen=True)
class Judged:
    """A claim on one task.

    Attributes:
        difference: accuracy of ``a`` minus accuracy of ``b``.
        outcome: as :func:`outcome`, or ``untested`` (not :func:`tells`).
        flops_ratio: FLOPs per answer of ``a`` over those of ``b``; ``None`` where one is not known.
        caveats: what keeps the two from being a fair comparison, notes of their rows included.
    """

    task: str
    difference: Difference
    outcome: Outcome
    flops_ratio: float | None
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class JudgedClaim:
    """A claim on all tasks on which both of its methods ran.

    Attributes:
        labels: of the two methods.
        mean: difference over the tasks that test the claim (:func:`mean_difference`); ``None`` where none does.
        outcome: by the mean.
        sentence: on how many tasks it holds.
        flops_ratio: geometric mean over tasks.
    """

    claim: Claim
    labels: tuple[str, str]
    tasks: tuple[Judged, ...]
    mean: Difference | None
    outcome: Outcome
    sentence: str
    flops_ratio: float | None


def judge(claims: Sequence[Claim], tasks: Sequence[TaskComparison]) -> tuple[JudgedClaim, ...]:
    """Every claim whose two methods ran together on a task."""
    judged = []
    for claim in claims:
        on_tasks = [(task, _on(task, claim)) for task in tasks]
        found = [(task, result) for task, result in on_tasks if result is not None]
        if found:
            judged.append(_over(claim, found))
    return tuple(judged)


def outcome(claim: Claim, difference: Difference) -> Outcome:
    """What an interval of ``a`` minus ``b`` says about the claim.

    ``better`` holds where the whole interval is above 0 and fails where it is below. ``not_worse`` holds where it is
    above -:data:`MARGIN` (a test of non-inferiority), also where it is clearly but little below 0; it fails where it is
    below 0 and reaches further down. Anything else is undecided.
    """
    if difference.low > (0.0 if claim.asks == "better" else -MARGIN):
        return "holds"
    return "fails" if difference.high < 0 else "undecided"


def tells(claim: Claim, difference: Difference, a: float, b: float, top: float = 1.0) -> bool:
    """Whether a task tells something about a claim: not where neither method has learned more than :data:`MARGIN` of
    it, nor, for ``better``, where both are above the :data:`CEILING`, nor, for ``not_worse``, where ``b`` has learned
    nothing; a clear difference tells something, but not that nothing is lost.

    Args:
        a, b: accuracies of the methods.
        top: what can be had.
    """
    if claim.asks == "not_worse":
        return b > MARGIN or difference.low > 0
    return (max(a, b) > MARGIN and min(a, b) < CEILING * top) or difference.clear


def mean_difference(differences: Sequence[Difference]) -> Difference:
    """Mean over tasks, each weighed equally, with its interval.

    Problems and trainings of one task have nothing to do with those of another, so that variances add up. They are
    recovered from the tasks' own intervals, on either side for itself (Zou and Donner 2008, Stat. Med. 27:1693):
    low = mean - sqrt(sum (d_k - low_k)^2) / K, and high likewise. So what those are widened for (few seeds, accuracies
    near 0 or 1) is in it. It is about these tasks; how much other tasks would change it, it does not say.
    """
    count = len(differences)
    if count == 1:
        return differences[0]
    value = sum(d.value for d in differences) / count
    below = math.sqrt(sum((d.value - d.low) ** 2 for d in differences)) / count
    above = math.sqrt(sum((d.high - d.value) ** 2 for d in differences)) / count
    problems, clusters = sum(d.problems for d in differences), sum(d.clusters for d in differences)
    method = f"mean over {count} tasks, variances recovered from their intervals"
    return Difference(value, max(value - below, -1.0), min(value + above, 1.0), None, method, problems, clusters)


def _on(task: TaskComparison, claim: Claim) -> Judged | None:
    rows = {row.method: row for row in task.rows}
    if not {claim.a, claim.b} <= rows.keys():
        return None
    a, b = rows[claim.a], rows[claim.b]
    [pair] = [pair for pair in task.pairs if {pair.a, pair.b} == {claim.a, claim.b}]
    gap = pair.difference
    if pair.a == claim.b:
        gap = replace(gap, value=-gap.value, low=-gap.high, high=-gap.low)
    # Lengths that nobody was taught are no part of the ceiling, until one gets there.
    top = 1.0 if task.lengths is None else max(task.lengths.known, *(row.accuracy.value for row in task.rows))
    decisive = tells(claim, gap, a.accuracy.value, b.accuracy.value, top)
    found = outcome(claim, gap) if decisive else "untested"
    notes: list[str] = []
    for row in (a, b):
        notes += [f"{row.label}: {note.removesuffix('.')}" for note in row.notes]
    return Judged(task.name, gap, found, _ratio(a, b), (*caveats([a, b], task.budget["unit"]), *notes))


def _ratio(a: Row, b: Row) -> float | None:
    return a.flops_per_answer / b.flops_per_answer if a.flops_per_answer and b.flops_per_answer else None


def _over(claim: Claim, found: Sequence[tuple[TaskComparison, Judged]]) -> JudgedClaim:
    labels = {row.method: row.label for row in found[0][0].rows}
    tasks = tuple(judged for _, judged in found)
    tested = [judged.difference for judged in tasks if judged.outcome != "untested"]
    mean = mean_difference(tested) if tested else None
    ratios = [judged.flops_ratio for judged in tasks if judged.flops_ratio]
    return JudgedClaim(
        claim=claim,
        labels=(labels[claim.a], labels[claim.b]),
        tasks=tasks,
        mean=mean,
        outcome=outcome(claim, mean) if mean else "untested",
        sentence=_sentence(claim, tasks),
        flops_ratio=math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None,
    )


def _sentence(claim: Claim, tasks: Sequence[Judged]) -> str:
    """Such as ``holds on 3 of 6 tasks, the opposite on 2, undecided on 1``."""
    if len(tasks) == 1:
        return f"tried on {tasks[0].task} alone"
    counts = Counter(judged.outcome for judged in tasks)
    said = [f"holds on {counts['holds'] or 'none'} of {len(tasks)} tasks"]
    words: dict[Outcome, str] = {
        "fails": "the opposite" if claim.asks == "better" else "worse",
        "undecided": "undecided",
        "untested": "untested",
    }
    return ", ".join(said + [f"{word} on {counts[key]}" for key, word in words.items() if counts[key]])
