"""How a problem and its solution are written for a language model; training, rewards and evaluation share it.

With a chain of thought the prompt ends with ``<think>`` and the completion is ``trace</think>answer``; without one
the prompt ends with an empty thought, ``<think></think>``, and the completion is the answer alone. A model that was
made elsewhere is told that form in words, because the verifier reads no other.
"""

from __future__ import annotations

from typing import Literal

from benchmarks.problem import Answer, Problem
from benchmarks.task import Task

THINK, END_THINK = "<think>", "</think>"
Style = Literal["cot", "answer_only"]


def told(task: Task, style: Style) -> str:
    """For a model that no trace of this kit taught: the task, and the form that :func:`read_completion` reads."""
    if style == "cot":
        form = f"Think step by step, end the thought with {END_THINK}, write only the final answer behind it, and stop."
    else:
        form = "Do not think in writing: write only the answer, and stop."
    return f"{task.instructions}\n{form}"


def framed_prompt(task: Task, problem: Problem, style: Style, pauses: int = 0) -> str:
    """For a base model, which knows no chats: a text that it has only to go on with."""
    question = task.question_text(problem).rstrip("\n")  # spaces may be a part of it
    return f"{told(task, style)}\n\nQuestion: {question}\nSolution: {_opening(style, pauses)}"


def prompt_text(task: Task, problem: Problem, style: Style, pauses: int = 0) -> str:
    """The bare question, for a model that learns the form from traces alone."""
    return task.question_text(problem) + _opening(style, pauses)


def _opening(style: Style, pauses: int) -> str:
    """Pauses repeat the think mark: tokens that say nothing, but at which a model computes (arXiv 2310.02226)."""
    return THINK * (1 + pauses) + ("" if style == "cot" else END_THINK)


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
