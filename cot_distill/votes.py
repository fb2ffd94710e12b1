"""Self-consistency (arXiv 2203.11171): many samples of one problem, the most frequent answer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.evaluation import Solution, Step
from benchmarks.problem import Answer
from benchmarks.task import Task
from benchmarks.voting import rank_votes


def majority(task: Task, answers: Sequence[Answer | None]) -> Answer | None:
    """The most frequent answer, of equally frequent ones the first; what cannot be read does not vote."""
    given = [answer for answer in answers if answer is not None]
    ranked = rank_votes(given, [0.0] * len(given))
    return task.combine([vote.answer for vote in ranked]) if ranked else None


def by_vote(
    solution: Solution, task: Task, texts: Sequence[str], answers: Sequence[Answer | None], prices: Sequence[float]
) -> Solution:
    """The solution of several samples: the majority's answer, and how it came about sample by sample.

    Args:
        prices: of the first sample, the first two, and so on, in FLOPs.
    """
    so_far = [majority(task, answers[: k + 1]) for k in range(len(answers))]
    return replace(
        solution,
        answer=so_far[-1],
        text="\n".join(texts),
        trajectory=tuple(
            Step(f"{k + 1} samples" if k else "1 sample", text, so_far[k]) for k, text in enumerate(texts)
        ),
        step_flops=tuple(prices),
        unit="samples",
        seen=tuple(dict.fromkeys(answer for answer in answers if answer is not None)),
    )
