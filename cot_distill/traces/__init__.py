"""Programmatic teachers, one file per task family: ``trace`` writes the thinking, ``check`` replays it."""

from __future__ import annotations

import re
from importlib import import_module
from types import ModuleType

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.task import Task

TEACHERS = {
    "arithmetic": "cot_distill.traces.arithmetic",
    "graph-coloring": "cot_distill.traces.graph_coloring",
    "job-shop": "cot_distill.traces.job_shop",
    "maze": "cot_distill.traces.maze",
    "satisfiability": "cot_distill.traces.satisfiability",
    "sudoku": "cot_distill.traces.sudoku",
}


def _teacher(task: Task) -> ModuleType:
    if task.family not in TEACHERS:
        raise UserError(
            f"the family '{task.family}' has no programmatic teacher.",
            cure=f"The methods cot and grpo run on: {', '.join(TEACHERS)}.",
        )
    return import_module(TEACHERS[task.family])


def write_trace(task: Task, problem: Problem) -> str:
    """A chain of thought that leads to the labelled answer, in characters of the task's alphabet.

    Raises:
        UserError: if the family has no teacher.
    """
    return _teacher(task).trace(task, problem)


def trace_steps(task: Task, trace: str) -> list[str]:
    """A trace, a model's too, cut into its steps; characters that belong to no step stand alone."""
    return re.findall(f"(?:{_teacher(task).STEP})|.", trace, flags=re.DOTALL)


def check_trace(task: Task, problem: Problem, trace: str) -> None:
    """Parse a trace again and justify every step.

    Raises:
        ValueError: saying which step does not follow.
    """
    _teacher(task).check(task, problem, trace)
