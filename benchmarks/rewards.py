"""A task's verifier as a reward function for TRL. Rewards train; they are never reported as accuracy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import Style, read_completion


def verifier_reward(task: Task, style: Style) -> Callable[..., list[float]]:
    """Reward 1 for a completion whose answer is correct, else 0.

    The function reads the columns ``question`` and ``answer`` of :func:`benchmarks.splits.to_dataset`.
    """

    def correct(completions: list[str], question: list[str], answer: list[str], **_: Any) -> list[float]:
        rewards = []
        for text, asked, label in zip(completions, question, answer, strict=True):
            problem = Problem(id=asked, question=asked, answer=label, orbit="")
            rewards.append(float(task.verify(problem, read_completion(task, problem, text, style)).correct))
        return rewards

    return correct
