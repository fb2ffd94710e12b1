"""Programmatic teachers, one file per task family: ``trace`` writes the thinking, ``check`` replays it.

Each knows one or more styles of writing (``STYLES``; the first is the default, unless ``default_style(task)`` says so).
"""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType

from benchmarks.errors import UserError, did_you_mean
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


def _teacher(family: str, where: str | None = None) -> ModuleType:
    if family not in TEACHERS:
        raise UserError(
            f"the family '{family}' has no programmatic teacher.",
            where=where,
            cure=f"Let a language model teach (reasoning-kit teach), or choose one of: {', '.join(TEACHERS)}.",
        )
    return import_module(TEACHERS[family])


def styles(task: Task) -> dict[str, str]:
    """Names and descriptions of the ways in which the family's teacher can write; none without a teacher."""
    return dict(_teacher(task.family).STYLES) if task.family in TEACHERS else {}


def check_style(family: str, style: str | None, where: str = "method.cot.trace") -> None:
    """
    Args:
        style: ``None``: the family's default.
        where: the configuration key that names it.

    Raises:
        UserError: if the family has no teacher, or its teacher no such style.
    """
    known = _teacher(family, where).STYLES
    if style is not None and style not in known:
        raise UserError(
            f"the teacher of '{family}' does not write in the style '{style}'.",
            where=where,
            cure=did_you_mean(style, known),
        )


def _style(task: Task, style: str | None) -> str:
    check_style(task.family, style)
    teacher = _teacher(task.family)
    if style is None:
        return teacher.default_style(task) if hasattr(teacher, "default_style") else next(iter(teacher.STYLES))
    return style


def write_trace(task: Task, problem: Problem, style: str | None = None) -> str:
    """A chain of thought that leads to the labelled answer, in characters of the task's alphabet.

    Raises:
        UserError: as :func:`check_style`.
        ValueError: if there is none for this problem, and why.
    """
    return _teacher(task.family).trace(task, problem, _style(task, style))


def trace_steps(task: Task, trace: str) -> list[str]:
    """A trace, a model's too, cut into its steps; characters that belong to no step stand alone. Lines, where the
    family has no teacher."""
    if task.family not in TEACHERS:
        return trace.splitlines(keepends=True)
    return re.findall(f"(?:{_teacher(task.family).STEP})|.", trace, flags=re.DOTALL)


def check_trace(task: Task, problem: Problem, trace: str, style: str | None = None) -> None:
    """Parse a trace again and justify every step.

    Raises:
        UserError: as :func:`check_style`.
        ValueError: saying which step does not follow.
    """
    _teacher(task.family).check(task, problem, trace, _style(task, style))
