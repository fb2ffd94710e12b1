"""What is asked, what is answered, and how the answer was judged. Frozen, so that no method can change them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Split = Literal["train", "test"]
Measure = Literal["exact", "valid"]

TEST_SHARE = 0.25  # share of a family's orbits that belong to the test split


@dataclass(frozen=True)
class Problem:
    """One problem with its labelled answer, both in the family's canonical string form.

    Attributes:
        id: unique within a data set, stable between runs.
        question: for example the 81 characters of a Sudoku, or ``27*34``.
        answer: the label, in the same form as an :class:`Answer`'s ``text``.
        orbit: key that is equal for all problems that a symmetry of the family maps onto each other.
            Train and test share no key, and problems with one key are one cluster in the statistics.
        meta: what else is known (rating, path length, line of the file).
    """

    id: str
    question: str
    answer: str
    orbit: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """An answer in canonical form. Grids of TRM and texts of a language model both become this before judging."""

    text: str


@dataclass(frozen=True)
class Verdict:
    """The verifier's judgement.

    Attributes:
        correct: the measure that the task reports as accuracy (``exact`` or ``valid``).
        exact: equal to the labelled answer.
        valid: a right answer, the labelled one or another.
        score: share of the answer that agrees with the label, 0 to 1; for shaping and diagnosis, never accuracy.
        reason: why the answer is wrong, in words; empty when correct.
    """

    correct: bool
    exact: bool
    valid: bool
    score: float
    reason: str = ""

    @classmethod
    def wrong(cls, reason: str, score: float = 0.0) -> Verdict:
        """Neither the labelled answer nor another right one."""
        return cls(False, False, False, score, reason)


def split_of(orbit: str) -> Split:
    """The split that an orbit belongs to: a hash decides, so it never depends on seeds, counts or order."""
    first = hashlib.sha256(orbit.encode()).digest()[0]
    return "test" if first < 256 * TEST_SHARE else "train"


def problem_id(task_name: str, question: str) -> str:
    """An id that depends on the question alone, so that it is the same in every run."""
    return f"{task_name}/{hashlib.sha256(question.encode()).hexdigest()[:12]}"
