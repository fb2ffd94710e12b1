"""A task's verifier as a reward function for TRL. Rewards train; they are never reported as accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import Style, read_completion


def verifier_reward(task: Task, problems: Sequence[Problem], style: Style) -> Callable[..., list[float]]:
    """Reward 1 for a completion whose answer is correct, else 0.

    Args:
        problems: all that can be asked; the function finds them by the column ``id`` of its rows.
    """
    known = {problem.id: problem for problem in problems}

    def correct(completions: list[str], id: list[str], **_: Any) -> list[float]:
        rewards = []
        for text, name in zip(completions, id, strict=True):
            problem = known[name]
            rewards.append(float(task.verify(problem, read_completion(task, problem, text, style)).correct))
        return rewards

    return correct
