"""Problems of one split from a stream of drawn ones: the only loop that rejects what repeats or belongs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.errors import UserError
from benchmarks.problem import Problem, Split, split_of


@dataclass(frozen=True)
class Draft:
    """A drawn question. What is dear, its label, is made only where the question is new and of the wanted split.

    Attributes:
        key: equal for drafts that are one problem.
        orbit: as :attr:`benchmarks.problem.Problem.orbit`.
        finish: makes the problem; ``None`` where it is not one that the task wants.
    """

    key: str
    orbit: str
    finish: Callable[[], Problem | None]

    @staticmethod
    def of(problem: Problem) -> Draft:
        """A problem that has its label already; equal questions are one problem."""
        return Draft(problem.question, problem.orbit, lambda: problem)


@dataclass(frozen=True)
class Wanted:
    """How many problems of which split, and what to say where there are not so many.

    Attributes:
        count: how many different ones.
        patience: drawn questions in a row that may bring no new problem before the search is given up.
        noun: what the family calls its problems, for example ``mazes``.
        where: name of the task.
        cure: what to change so that there are more.
    """

    split: Split
    count: int
    patience: int
    noun: str
    where: str
    cure: str


def collect(drafts: Iterable[Draft | None], wanted: Wanted, found: dict[str, Problem]) -> list[Problem]:
    """The first ``wanted.count`` different problems of the split, in the order in which they are drawn.

    Args:
        drafts: what is drawn; ``None`` for a draw that came to nothing.
        found: filled with the problems by their key, so that who draws can see how many there are.

    Raises:
        UserError: if the stream ends before there are so many, or too many draws in a row bring no new one.
    """
    misses = 0
    if wanted.count < 1:
        return []

    for draft in drafts:
        misses += 1
        if draft is not None and draft.key not in found and split_of(draft.orbit) == wanted.split:
            problem = draft.finish()
            if problem is not None:
                found[draft.key] = problem
                misses = 0
                if len(found) == wanted.count:
                    return list(found.values())
        if misses >= wanted.patience:
            raise _too_few(wanted, len(found), f"{misses} draws in a row brought no new one", wanted.cure)
    cure = f"Ask for at most {len(found)}, or change the options of the task."
    raise _too_few(wanted, len(found), "there are no others", cure)


def _too_few(wanted: Wanted, found: int, why: str, cure: str) -> UserError:
    return UserError(
        f"found only {found} different {wanted.noun} for the {wanted.split} split, but {wanted.count} are asked for "
        f"({why}).",
        where=wanted.where,
        cure=cure,
    )
