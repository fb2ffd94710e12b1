"""Teacher for AQuA: the published rationale, which a person wrote; it mostly ends with the letter."""

from __future__ import annotations

from benchmarks.final_answer import final_answer
from benchmarks.problem import Problem
from benchmarks.verifiable.aqua import AQuA

STEP = "[^\n]+\n?"  # one line
STYLES = {"rationale": "the person's words"}


def trace(task: AQuA, problem: Problem, style: str) -> str:
    """The rationale.

    Raises:
        ValueError: if the problem came without one.
    """
    rationale = str(problem.meta.get("rationale", ""))
    if not rationale:
        raise ValueError("the problem came without a rationale")
    return rationale


def check(task: AQuA, problem: Problem, trace: str, style: str) -> None:
    """Where the rationale commits itself to an option, that must be the label. Its steps cannot be checked.

    Raises:
        ValueError: if the rationale is empty or comes to another option.
    """
    if not trace.strip():
        raise ValueError("the rationale is empty")
    end = final_answer(trace)
    answer = None if end is None else task.parse_answer(problem, end)
    if answer is not None and not task.verify(problem, answer).correct:
        raise ValueError(f"the rationale comes to {answer.text}, the label is {problem.answer}")
