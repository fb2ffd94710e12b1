"""How hard each token of an answer is, in a family's own terms, to set beside the depth that a model used for it."""

from __future__ import annotations

from benchmarks.problem import Problem
from benchmarks.puzzles.sudoku import Sudoku
from benchmarks.puzzles.sudoku_rules import EMPTY, peers
from benchmarks.task import Task
from benchmarks.verifiable.sequences import Sequences

CARRIES = ("no carry in", "carry of 1 column", "carry through 2 columns", "carry through 3 or more")


def token_kinds(task: Task, problem: Problem, trace: str | None) -> list[str]:
    """The kind of each character of the answer; empty where the family has none, or thinks in writing first.

    Sums: whether a carry comes in, and how many columns in a row have carried before it. Sudoku: given, forced (the
    only digit that row, column and box leave), or a matter of search.
    """
    if trace is not None:
        return []
    if isinstance(task, Sequences) and task.operation == "addition":
        return _carries(problem)
    if isinstance(task, Sudoku):
        return _cells(task, problem)
    return []


def _carries(problem: Problem) -> list[str]:
    """Lowest digit first, as the answer is written."""
    first, second = problem.question.rstrip("=").split("+")
    kinds, chain = [], 0
    for a, b in zip((*map(int, first), 0), (*map(int, second), 0), strict=True):
        kinds.append(CARRIES[min(chain, 3)])
        total = a + b + (chain > 0)
        chain = chain + 1 if total > 9 else 0
    return kinds


def _cells(task: Sudoku, problem: Problem) -> list[str]:
    """Cell by cell, as the answer is written."""
    kinds = []
    for cell, sign in enumerate(problem.question):
        taken = {problem.question[peer] for peer in peers(task.size)[cell]} - {EMPTY}
        kinds.append("given" if sign != EMPTY else "forced" if len(taken) == task.size - 1 else "search")
    return kinds
