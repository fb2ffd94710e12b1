"""Teacher for Sudoku: singles in the order a solver finds them; where they end, a search that is shown in full.

A step is a row letter, a column letter and a digit, and steps follow each other without a separator:

- ``bc3`` the cell in row b, column c can only be 3 (a naked single), or is the only place for 3 in its row, column or
  box (a hidden single);
- ``?bc3`` a guess, on the first cell with fewest candidates;
- ``!bc3`` the newest standing guess, bc3, led to a contradiction (a cell without a candidate, or a unit without a
  place for a digit): it and all since are undone, and 3 is struck from bc.

The solver's order is what makes Sudoku learnable from traces (Shah et al., arXiv 2409.10502).
"""

from __future__ import annotations

import re

from benchmarks.problem import Problem
from benchmarks.puzzles.sudoku import Sudoku
from benchmarks.puzzles.sudoku_rules import EMPTY, name_of_cell, units, units_of
from benchmarks.puzzles.sudoku_search import Step, solving_steps

LETTERS = "abcdefghi"
STEP = r"[?!]?[a-i]{2}[1-9]"
STYLES = {"search": "singles in the order in which a solver finds them, guesses and their retractions shown"}
SIGNS = {"single": "", "guess": "?", "retract": "!"}


def trace(task: Sudoku, problem: Problem, style: str) -> str:
    """The steps from the question to the labelled answer.

    Raises:
        ValueError: if they lead elsewhere (the question has no solution, or not only the labelled one).
    """
    steps = solving_steps(task.size, problem.question)
    reached = list(problem.question)
    for step in steps:
        reached[step.cell] = str(step.digit)  # a retracted cell is filled again later
    if "".join(reached) != problem.answer:
        raise ValueError("the solver reached another solution than the labelled one")
    size = task.size
    return "".join(
        f"{SIGNS[step.kind]}{LETTERS[step.cell // size]}{LETTERS[step.cell % size]}{step.digit}" for step in steps
    )


def check(task: Sudoku, problem: Problem, trace: str, style: str) -> None:
    """Replay a trace with a board of its own and justify every step; a guess needs only to be a candidate.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    board = _Board.of_question(task.size, problem.question)
    guesses: list[tuple[int, int, _Board]] = []
    for step in _parse(task.size, trace):
        what = f"{step.digit} in {name_of_cell(task.size, step.cell)}"
        if step.kind == "retract":
            if not guesses or guesses[-1][:2] != (step.cell, step.digit):
                raise ValueError(f"{what} is retracted, but is not the newest standing guess")
            if not board.contradiction():
                raise ValueError(f"{what} is retracted without a contradiction")
            _, _, board = guesses.pop()
            board.struck[step.cell] |= 1 << step.digit
            continue
        if not board.candidates(step.cell) & 1 << step.digit:
            raise ValueError(f"{what} is no candidate")
        if step.kind == "guess":
            guesses.append((step.cell, step.digit, board.copy()))
        elif not board.follows(step.cell, step.digit):
            raise ValueError(f"{what} does not follow: neither the only candidate nor the only place")
        board.fill(step.cell, step.digit)
    end = "".join(str(digit) if digit else EMPTY for digit in board.digits)
    if end != problem.answer:
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _parse(size: int, text: str) -> list[Step]:
    letters = LETTERS[:size]
    pattern = re.compile(f"([?!]?)([{letters}])([{letters}])([1-{size}])")
    kinds = {sign: kind for kind, sign in SIGNS.items()}
    steps, at = [], 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise ValueError(f"'{text[at : at + 4]}' (character {at + 1}) is no step")
        sign, row, column, digit = match.groups()
        steps.append(Step(kinds[sign], letters.index(row) * size + letters.index(column), int(digit)))  # type: ignore[arg-type]
        at = match.end()
    return steps


class _Board:
    """Filled digits (0: empty), digits used per unit, and digits struck per cell by retractions; bit d is digit d."""

    def __init__(self, size: int, digits: list[int], used: list[int], struck: list[int]) -> None:
        self.size, self.digits, self.used, self.struck = size, digits, used, struck
        self.all = (1 << (size + 1)) - 2
        self.of, self.units = units_of(size), units(size)

    @classmethod
    def of_question(cls, size: int, question: str) -> _Board:
        board = cls(size, [0] * size**2, [0] * (3 * size), [0] * size**2)
        for cell, char in enumerate(question):
            if char != EMPTY:
                board.fill(cell, int(char))
        return board

    def copy(self) -> _Board:
        return _Board(self.size, self.digits.copy(), self.used.copy(), self.struck.copy())

    def fill(self, cell: int, digit: int) -> None:
        self.digits[cell] = digit
        for unit in self.of[cell]:
            self.used[unit] |= 1 << digit

    def candidates(self, cell: int) -> int:
        if self.digits[cell]:
            return 0
        row, column, box = self.of[cell]
        return self.all & ~(self.used[row] | self.used[column] | self.used[box] | self.struck[cell])

    def follows(self, cell: int, digit: int) -> bool:
        """Whether ``digit``, a candidate, is the cell's only one, or has no other place in one of its units."""
        bit = 1 << digit
        if self.candidates(cell) == bit:
            return True
        return any(
            not any(self.candidates(other) & bit for other in self.units[unit] if other != cell)
            for unit in self.of[cell]
        )

    def contradiction(self) -> bool:
        """Whether an empty cell has no candidate, or a unit no place for a digit."""
        options = [self.candidates(cell) for cell in range(self.size**2)]
        if any(not digit and not option for digit, option in zip(self.digits, options, strict=True)):
            return True
        for number, unit in enumerate(self.units):
            places = self.used[number]
            for cell in unit:
                places |= options[cell]
            if places != self.all:
                return True
        return False
