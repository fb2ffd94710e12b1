"""A solver answers the problems of a task, the task's verifier judges, and every answer carries its price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.task import Task

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One moment of thinking that can be shown: TRM's answer after a supervision step, a line of an LM's trace."""

    label: str
    text: str
    answer: Answer | None = None
    halting_probability: float | None = None


@dataclass(frozen=True)
class Solution:
    """What a solver did with one problem.

    Attributes:
        answer: the final answer, ``None`` where nothing could be parsed.
        flops: floating-point operations spent on this problem.
        seconds: wall time, a batch's time divided by its size.
        steps: supervision steps of a recursive model, 1 for one pass, generated tokens for a language model.
        tokens: generated tokens; 0 for models that write none.
        text: what a language model wrote.
        trajectory: the thinking, in order; the last entry holds the final answer.
        step_flops: cumulative price after each entry of ``trajectory``, where answers exist along the way.
    """

    answer: Answer | None
    flops: float
    seconds: float
    steps: int
    tokens: int = 0
    text: str = ""
    trajectory: tuple[Step, ...] = ()
    step_flops: tuple[float, ...] = ()


class Solver(Protocol):
    """Anything that answers problems of a task."""

    def solve(self, problems: Sequence[Problem]) -> list[Solution]: ...


@dataclass(frozen=True)
class Prediction:
    """One row of ``predictions.parquet``."""

    problem: Problem
    solution: Solution
    verdict: Verdict


@dataclass(frozen=True)
class ScalingPoint:
    """Accuracy when thinking stops early: one point of the curve accuracy against compute per answer."""

    label: str
    flops_per_answer: float
    accuracy: float
    problems: int


@dataclass(frozen=True)
class Evaluation:
    predictions: list[Prediction]
    scaling: list[ScalingPoint] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return sum(p.verdict.correct for p in self.predictions) / len(self.predictions)


def evaluate(
    solver: Solver,
    task: Task,
    problems: Sequence[Problem],
    batch_size: int = 128,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Solve and judge all problems.

    Args:
        on_progress: called after each batch with the number of problems done.
    """
    predictions: list[Prediction] = []
    for batch in batched(problems, batch_size):
        started = time.perf_counter()
        solutions = solver.solve(batch)
        seconds = (time.perf_counter() - started) / len(batch)
        for problem, solution in zip(batch, solutions, strict=True):
            timed = solution if solution.seconds else replace(solution, seconds=seconds)
            predictions.append(Prediction(problem, timed, task.verify(problem, solution.answer)))
        if on_progress is not None:
            on_progress(len(predictions))
    return Evaluation(predictions, scaling_curve(task, predictions))


def scaling_curve(task: Task, predictions: Sequence[Prediction]) -> list[ScalingPoint]:
    """Accuracy after each step that has an answer; a problem that halted earlier keeps its last answer and price."""
    depth = max((len(p.solution.step_flops) for p in predictions), default=0)
    if depth == 0:
        flops = sum(p.solution.flops for p in predictions) / max(len(predictions), 1)
        right = sum(p.verdict.correct for p in predictions) / max(len(predictions), 1)
        return [ScalingPoint("whole answer", flops, right, len(predictions))]
    points = []
    for step in range(depth):
        right, flops = 0, 0.0
        for p in predictions:
            last = min(step, len(p.solution.step_flops) - 1)
            right += task.verify(p.problem, p.solution.trajectory[last].answer).correct
            flops += p.solution.step_flops[last]
        points.append(
            ScalingPoint(f"{step + 1} steps", flops / len(predictions), right / len(predictions), len(predictions))
        )
    return points


def batched(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
