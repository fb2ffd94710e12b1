"""How a problem and its solution are written for a language model; training, rewards and evaluation share it.

With a chain of thought the prompt ends with ``<think>`` and the completion is ``trace</think>answer``; without one
the prompt ends with an empty thought, ``<think></think>``, and the completion is the answer alone.
"""

from __future__ import annotations

from typing import Literal

from benchmarks.problem import Answer, Problem
from benchmarks.task import Task

THINK, END_THINK = "<think>", "</think>"
Style = Literal["cot", "answer_only"]


def prompt_text(task: Task, problem: Problem, style: Style) -> str:
    opening = THINK if style == "cot" else THINK + END_THINK
    return task.question_text(problem) + opening


def completion_text(task: Task, problem: Problem, trace: str | None) -> str:
    """What the model should write; ``trace`` is ``None`` where it answers at once."""
    answer = task.answer_text(problem)
    return answer if trace is None else f"{trace}{END_THINK}{answer}"


def read_completion(task: Task, problem: Problem, text: str, style: Style) -> Answer | None:
    """The answer in a completion; with a chain of thought, only what follows the one end of the thought counts."""
    if style == "cot":
        _, end, text = text.partition(END_THINK)
        if not end or END_THINK in text:
            return None
    return task.parse_answer(problem, text)
