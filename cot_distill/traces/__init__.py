"""Programmatic teachers, one file per task family: ``trace`` writes the thinking, ``check`` replays it.

Each knows one or more styles of writing (``STYLES``; the first is the default, unless ``default_style(task)`` says so).

A task may bring its own teacher. It then has these methods and this attribute, of which the first makes it a teacher:

- ``trace(problem) -> str``: the thinking; a ``ValueError`` says why there is none for this problem;
- ``check_trace(problem, trace)``: optional, raises ``ValueError`` where a step does not follow;
- ``trace_alphabet``: optional, the characters of its traces. Without it they are those of ASCII.
"""

from __future__ import annotations

import re
import string
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from benchmarks.problem import Problem
    from benchmarks.task import Task

TEACHERS = {
    "aqua": "cot_distill.traces.aqua",
    "arithmetic": "cot_distill.traces.arithmetic",
    "countdown": "cot_distill.traces.countdown",
    "graph-coloring": "cot_distill.traces.graph_coloring",
    "gsm8k": "cot_distill.traces.gsm8k",
    "job-shop": "cot_distill.traces.job_shop",
    "maze": "cot_distill.traces.maze",
    "satisfiability": "cot_distill.traces.satisfiability",
    "sequences": "cot_distill.traces.sequences",
    "sudoku": "cot_distill.traces.sudoku",
    "svamp": "cot_distill.traces.svamp",
}


ASCII = string.ascii_letters + string.digits + string.punctuation + " \n"


class OwnTeacher:
    """The teacher that a task brings, in the form of this package's modules."""

    STYLES: ClassVar[dict[str, str]] = {"own": "as the task's own method trace writes"}
    STEP = r"[^\n]*\n|[^\n]+"  # a line

    @staticmethod
    def trace(task: Any, problem: Problem, style: str) -> str:
        """What the task's ``trace`` writes.

        Raises:
            UserError: if that is not text.
        """
        written = task.trace(problem)
        if not isinstance(written, str):
            raise UserError(
                f"a trace must be text, not {type(written).__name__}.",
                where=f"{type(task).__name__}.trace",
                cure="Return a str, or raise ValueError where a problem has no trace.",
            )
        return written

    @staticmethod
    def check(task: Any, problem: Problem, trace: str, style: str) -> None:
        """What the task's ``check_trace`` says; without that method nothing is refused."""
        if hasattr(task, "check_trace"):
            task.check_trace(problem, trace)


def _teacher(task: Task | type[Task], where: str | None = None) -> Any:
    if hasattr(task, "trace"):
        return OwnTeacher
    if task.family not in TEACHERS:
        raise UserError(
            f"the family '{task.family}' has no programmatic teacher.",
            where=where,
            cure=f"Let a language model teach (reasoning-kit teach), or choose one of: {', '.join(TEACHERS)}, "
            "or leave cot and grpo out: method=[trm,answer_only].",
        )
    return import_module(TEACHERS[task.family])


def has_teacher(task: Task | type[Task]) -> bool:
    """Whether a program can write thoughts about the family's problems."""
    return hasattr(task, "trace") or task.family in TEACHERS


def can_check(task: Task) -> bool:
    """Whether :func:`check_trace` justifies every step: a task's own teacher may come without a check."""
    return hasattr(task, "check_trace") if hasattr(task, "trace") else has_teacher(task)


def alphabet(task: Task) -> str:
    """The characters of questions, answers and traces, of which a model from scratch makes its tokens."""
    if not hasattr(task, "trace"):
        return task.alphabet
    return task.alphabet + str(getattr(task, "trace_alphabet", ASCII))


def styles(task: Task) -> dict[str, str]:
    """Names and descriptions of the ways in which the family's teacher can write; none without a teacher."""
    return dict(_teacher(task).STYLES) if has_teacher(task) else {}


def check_style(task: Task, style: str | None, where: str = "method.cot.trace") -> None:
    """
    Args:
        style: ``None``: the family's default.
        where: the configuration key that names it.

    Raises:
        UserError: if the family has no teacher, or its teacher no such style.
    """
    known = _teacher(task, where).STYLES
    if style is not None and style not in known:
        raise UserError(
            f"the teacher of '{task.family}' does not write in the style '{style}'.",
            where=where,
            cure=did_you_mean(style, known),
        )


def _style(task: Task, style: str | None) -> str:
    check_style(task, style)
    teacher = _teacher(task)
    if style is None:
        return teacher.default_style(task) if hasattr(teacher, "default_style") else next(iter(teacher.STYLES))
    return style


def write_trace(task: Task, problem: Problem, style: str | None = None) -> str:
    """A chain of thought that leads to the labelled answer, in characters of :func:`alphabet`.

    Raises:
        UserError: as :func:`check_style`.
        ValueError: if there is none for this problem, and why.
    """
    written: str = _teacher(task).trace(task, problem, _style(task, style))
    return written


def trace_steps(task: Task, trace: str) -> list[str]:
    """A trace, a model's too, cut into its steps; characters that belong to no step stand alone. Lines, where the
    family has no teacher."""
    if not has_teacher(task):
        return trace.splitlines(keepends=True)
    return re.findall(f"(?:{_teacher(task).STEP})|.", trace, flags=re.DOTALL)


def check_trace(task: Task, problem: Problem, trace: str, style: str | None = None) -> None:
    """Parse a trace again and justify every step.

    Raises:
        UserError: as :func:`check_style`.
        ValueError: saying which step does not follow.
    """
    _teacher(task).check(task, problem, trace, _style(task, style))
