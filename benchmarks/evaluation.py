"""A solver answers the problems of a task, the task's verifier judges, and every answer carries its price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar, runtime_checkable

from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.task import Task

T = TypeVar("T")

BATCH_SIZE = 128  # problems that a solver works on at once by default


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
        unit: what these entries are.
        seen: every different answer on the way, of all trajectories, votes and steps; for the oracle, which lets the
            verifier choose among them.
    """

    answer: Answer | None
    flops: float
    seconds: float
    steps: int
    tokens: int = 0
    text: str = ""
    trajectory: tuple[Step, ...] = ()
    step_flops: tuple[float, ...] = ()
    unit: Literal["steps", "samples"] = "steps"
    seen: tuple[Answer, ...] = ()


@runtime_checkable
class Solver(Protocol):
    """Anything that answers problems of a task."""

    def solve(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Solution]:
        """One solution per problem, in order.

        Args:
            batch_size: rows that are worked on at once; which ones is the solver's business.
            on_progress: called now and then with the number of problems done.
        """
        ...


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
    """
    Attributes:
        oracle: share of the problems for which any answer on the way was right: a verifier chose, not the model, so
            this is no accuracy. ``None`` where solutions hold one answer only.
    """

    predictions: list[Prediction]
    scaling: list[ScalingPoint] = field(default_factory=list)
    oracle: float | None = None

    @property
    def accuracy(self) -> float:
        return sum(p.verdict.correct for p in self.predictions) / len(self.predictions)


def evaluate(
    solver: Solver,
    task: Task,
    problems: Sequence[Problem],
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Solve and judge all problems.

    Args:
        on_progress: called now and then with the number of problems solved.
    """
    started = time.perf_counter()
    solutions = solver.solve(problems, batch_size, on_progress)
    seconds = (time.perf_counter() - started) / max(len(problems), 1)
    predictions = []
    for problem, solution in zip(problems, solutions, strict=True):
        timed = solution if solution.seconds else replace(solution, seconds=seconds)
        predictions.append(Prediction(problem, timed, task.verify(problem, solution.answer)))
    judge = Judge(task)
    return Evaluation(predictions, scaling_curve(judge, predictions), oracle(judge, predictions))


class Judge:
    """The verifier's verdict, right or not, looked up where an answer to a problem comes again."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.known: dict[tuple[str, str], bool] = {}

    def __call__(self, problem: Problem, answer: Answer | None) -> bool:
        if answer is None:
            return False
        key = (problem.id, answer.text)
        if key not in self.known:
            self.known[key] = self.task.verify(problem, answer).correct
        return self.known[key]


def oracle(judge: Judge, predictions: Sequence[Prediction]) -> float | None:
    """The share of problems of which any answer seen is right; ``None`` where no solution kept what it saw."""
    if not any(p.solution.seen for p in predictions):
        return None
    found = [p.verdict.correct or any(judge(p.problem, a) for a in p.solution.seen) for p in predictions]
    return sum(found) / len(found)


def scaling_curve(judge: Judge, predictions: Sequence[Prediction]) -> list[ScalingPoint]:
    """Accuracy after each step that has an answer; a problem that halted earlier keeps its last answer and price."""
    count = max(len(predictions), 1)
    depth = max((len(p.solution.step_flops) for p in predictions), default=0)
    if depth == 0:
        flops = sum(p.solution.flops for p in predictions) / count
        right = sum(p.verdict.correct for p in predictions) / count
        return [ScalingPoint("whole answer", flops, right, len(predictions))]
    points, unit = [], predictions[0].solution.unit
    for step in range(depth):
        right, flops = 0, 0.0
        for p in predictions:
            last = min(step, len(p.solution.step_flops) - 1)
            right += judge(p.problem, p.solution.trajectory[last].answer)
            flops += p.solution.step_flops[last]
        points.append(ScalingPoint(f"{step + 1} {unit}", flops / count, right / count, len(predictions)))
    return points


def batched(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
