"""How hard each token of an answer is, in a family's own terms, to set beside the depth that a model used for it."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.problem import Problem
from benchmarks.puzzles.sudoku.rules import EMPTY, peers
from benchmarks.puzzles.sudoku.task import Sudoku
from benchmarks.task import Task
from benchmarks.verifiable.arithmetic import Arithmetic
from benchmarks.verifiable.sequences import Sequences

CARRIES = ("no carry in", "carry of 1 column", "carry through 2 columns", "carry through 3 or more")
PRODUCTS = ("no carry in", "carry of 1 to 9", "carry of 10 or more")
GIVEN, FORCED, FORCED_NOW, SEARCH = "given", "forced by the givens", "forced by what is written", "search"
ORDER = (*CARRIES, *PRODUCTS[1:], GIVEN, FORCED, FORCED_NOW, SEARCH)  # from easy to hard


def ordered(kinds: Iterable[str]) -> list[str]:
    """Different kinds, easy ones first; lengths as they come by name."""
    return sorted(set(kinds), key=lambda kind: (ORDER.index(kind) if kind in ORDER else len(ORDER), kind))


def token_kinds(task: Task, problem: Problem, trace: str | None) -> dict[str, list[str]]:
    """The kind of each character of the answer, for each way to group them; empty where the family has none, or thinks
    in writing first.

    - ``carries`` of sums: whether a carry comes in, and how many columns in a row have carried before it; of products:
      how much is carried in.
    - ``cells`` of a Sudoku: given; forced (row, column and box leave one digit) by the givens, or once the cells before
      it are written; or a matter of search.
    - ``lengths``, where test problems are of several.
    """
    if trace is not None:
        return {}
    kinds: dict[str, list[str]] = {}
    if isinstance(task, Sequences):
        if task.operation == "addition":
            first, second = problem.question.rstrip("=").split("+")
            kinds["carries"] = _sum_carries(map(int, first), map(int, second))
        if len(task.lengths) > 1:
            kinds["lengths"] = [f"length {problem.meta['length']}"] * len(problem.answer)
    elif isinstance(task, Arithmetic):
        kinds["carries"] = _arithmetic_carries(task, problem)
    elif isinstance(task, Sudoku):
        kinds["cells"] = _cells(task, problem)
    return kinds


def _sum_carries(first: Iterable[int], second: Iterable[int]) -> list[str]:
    """Of both numbers' digits, lowest first; one kind more than digits, as the sum has."""
    kinds, chain = [], 0
    for a, b in zip((*first, 0), (*second, 0), strict=True):
        kinds.append(CARRIES[min(chain, 3)])
        total = a + b + (chain > 0)
        chain = chain + 1 if total > 9 else 0
    return kinds


def _arithmetic_carries(task: Arithmetic, problem: Problem) -> list[str]:
    """Highest digit first, as the answer is written."""
    sign = "+" if task.operation == "addition" else "*"
    first, second = problem.question.split(sign)
    if sign == "+":
        length = max(len(first), len(second))
        padded = (map(int, reversed(number.zfill(length))) for number in (first, second))
        return _sum_carries(*padded)[::-1]
    kinds = []
    for column in range(task.width):
        # What the products of all lower columns add up to, beyond those columns.
        below = 0
        for i, a in enumerate(reversed(first)):
            for j, b in enumerate(reversed(second)):
                if i + j < column:
                    below += int(a) * int(b) * 10 ** (i + j)
        carry = below // 10**column
        kinds.append(PRODUCTS[0 if carry == 0 else 1 if carry < 10 else 2])
    return kinds[::-1]


def _cells(task: Sudoku, problem: Problem) -> list[str]:
    """Cell by cell, as the answer is written."""
    kinds = []
    for cell, sign in enumerate(problem.question):
        near = peers(task.size)[cell]
        givens = {problem.question[peer] for peer in near} - {EMPTY}
        known = givens | {problem.answer[peer] for peer in near if peer < cell}
        if sign != EMPTY:
            kinds.append(GIVEN)
        elif len(givens) == task.size - 1:
            kinds.append(FORCED)
        else:
            kinds.append(FORCED_NOW if len(known) == task.size - 1 else SEARCH)
    return kinds
