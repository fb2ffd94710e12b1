"""How a model that was not trained here is asked, and how its thought and its answer are read.

The whole question stands in one user message (some chat templates have no place for a system message); solved
problems, where wanted, are earlier turns of the same chat.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.errors import UserError
from benchmarks.final_answer import final_answer
from benchmarks.problem import Answer, Problem
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, THINK
from cot_distill.generators.base import Completion, Message
from cot_distill.traces import check_trace, has_teacher, write_trace

OPEN, CLOSE = "<answer>", "</answer>"
REQUEST = f"Think step by step. End with the final answer as {OPEN}...{CLOSE}."


def messages(task: Task, problem: Problem, shots: Sequence[Problem] = ()) -> list[Message]:
    """The chat that asks for one problem, after the solved ``shots``."""
    chat: list[Message] = []
    for shot in shots:
        chat += [
            {"role": "user", "content": _question(task, shot)},
            {"role": "assistant", "content": _solved(task, shot)},
        ]
    return [*chat, {"role": "user", "content": _question(task, problem)}]


def _question(task: Task, problem: Problem) -> str:
    return f"{task.instructions}\n\n{task.question_text(problem)}\n\n{REQUEST}"


def _solved(task: Task, shot: Problem) -> str:
    answer = f"{OPEN}{task.answer_text(shot)}{CLOSE}"
    return f"{write_trace(task, shot)}\n{answer}" if has_teacher(task) else answer


def choose_shots(task: Task, problems: Sequence[Problem], count: int) -> list[Problem]:
    """The first ``count`` training problems, without those whose programmatic trace its checker refuses.

    Raises:
        UserError: if there are not so many.
    """
    shots: list[Problem] = []
    for problem in problems:
        if len(shots) == count:
            break
        try:
            if has_teacher(task):
                check_trace(task, problem, write_trace(task, problem))
        except ValueError:  # some rationales that people wrote are wrong
            continue
        shots.append(problem)
    if len(shots) < count:
        raise UserError(
            f"{count} solved problems are wanted, {len(shots)} training problems have a right trace.",
            where="shots",
            cure=f"Give at most {len(shots)}, or more training problems.",
        )
    return shots


def read_answer(task: Task, problem: Problem, completion: Completion) -> Answer | None:
    """The one final answer of a free text, in the family's form; ``None`` where there is none, or several."""
    return task.find_answer(problem, completion.text)


def read_thought(completion: Completion) -> str:
    """What the model thought: what its server gives as reasoning, or what stands in think marks, or what stands before
    the line with the final answer."""
    if completion.thought.strip():
        return completion.thought.strip()
    text = completion.text
    if END_THINK in text:
        return text.partition(END_THINK)[0].rpartition(THINK)[2].strip()
    if OPEN in text:
        return text.rpartition(OPEN)[0].strip()
    answer = final_answer(text)
    if answer is None or answer not in text:
        return text.strip()
    before = text[: text.rindex(answer)]
    start = max(before.rfind("\n"), before.rfind(". ") + 1)
    return before[: max(start, 0)].strip() or text.strip()
