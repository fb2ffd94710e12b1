"""ARC's official score, which weighs tasks equally although some have more test inputs than others."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.evaluation import Prediction
from benchmarks.task import Task


def puzzle_score(task: Task, predictions: Sequence[Prediction]) -> float:
    """The mean over puzzles of the share of a puzzle's problems that were answered, 0 to 1.

    A problem without a puzzle (:meth:`Task.puzzle_of`) stands for itself, which gives the accuracy.

    Raises:
        ValueError: if there are no predictions.
    """
    if not predictions:
        raise ValueError("no predictions, no score")
    right: dict[str, list[bool]] = {}
    for prediction in predictions:
        key = task.puzzle_of(prediction.problem) or prediction.problem.id
        right.setdefault(key, []).append(prediction.verdict.correct)
    return sum(sum(answers) / len(answers) for answers in right.values()) / len(right)
