"""Many answers to one problem, from its variants or from many samples, become one list: the most trusted first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.problem import Answer


@dataclass(frozen=True)
class Vote:
    """One of the different answers, how many gave it, and their mean confidence."""

    text: str
    count: int
    confidence: float

    @property
    def answer(self) -> Answer:
        return Answer(self.text)


def rank_votes(answers: Sequence[Answer], confidence: Sequence[float]) -> list[Vote]:
    """The different answers by number of votes, ties by mean confidence, then the one that was given first.

    It is the vote of TRM's ARC evaluator (``TRM_FACTS.md``, Data) over the answers of one model to one problem.

    Args:
        answers: one per variant, all undone to the problem itself.
        confidence: of each, for example its halting value.
    """
    trust: dict[str, list[float]] = {}
    for answer, value in zip(answers, confidence, strict=True):
        trust.setdefault(answer.text, []).append(value)
    votes = [Vote(text, len(values), sum(values) / len(values)) for text, values in trust.items()]
    return sorted(votes, key=lambda vote: (-vote.count, -vote.confidence))
