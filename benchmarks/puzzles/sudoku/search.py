"""Solves one Sudoku in the order in which a person could: every deduction, guess and retraction as a step.

The steps rate a puzzle (how many guesses it takes) and are what the programmatic teacher writes down.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from benchmarks.puzzles.sudoku.rules import EMPTY, peers, units, units_of

Kind = Literal["single", "guess", "retract"]


class Step(NamedTuple):
    """``single``: the digit follows; ``guess``: it is assumed; ``retract``: the newest standing guess, which this
    repeats, led to a contradiction, so that all since is undone and the digit is struck from the cell."""

    kind: Kind
    cell: int
    digit: int


def solving_steps(size: int, question: str) -> list[Step]:
    """Steps from the question to its first solution.

    While it can: the first cell (in reading order) with one candidate; otherwise the first digit with one place in a
    unit (rows, columns, boxes in order). When both fail: guess the lowest candidate of the first cell with fewest.

    Raises:
        ValueError: if the question has no solution.
    """
    board = _Board(size)
    fits = all(board.place(cell, int(char)) for cell, char in enumerate(question) if char != EMPTY)
    steps: list[Step] = []
    saved: list[tuple[Step, _Board]] = []
    while True:
        step = board.naked_single() or board.hidden_single() if fits else None
        if fits and step is None and not board.contradictory:
            if not board.empty:
                return steps
            step = board.guess()
            saved.append((step, board.copy()))
        if step is not None:
            steps.append(step)
            fits = board.place(step.cell, step.digit)
            continue
        if not saved:
            raise ValueError("the question has no solution")
        wrong, board = saved.pop()
        steps.append(Step("retract", wrong.cell, wrong.digit))
        fits = board.strike(wrong.cell, wrong.digit)


def guesses_needed(size: int, question: str) -> int:
    """The number of guesses, right and wrong, in :func:`solving_steps`: 0 where singles suffice."""
    return sum(step.kind == "guess" for step in solving_steps(size, question))


class _Board:
    """Candidate masks of the empty cells (0 once filled), and per unit the digits placed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.full = (1 << size) - 1
        self.masks = [self.full] * (size * size)
        self.placed = [0] * (3 * size)
        self.naked: set[int] = set()
        self.empty = size * size
        self.contradictory = False

    def copy(self) -> _Board:
        other = object.__new__(_Board)
        other.size, other.full, other.empty, other.contradictory = self.size, self.full, self.empty, self.contradictory
        other.masks, other.placed, other.naked = self.masks.copy(), self.placed.copy(), self.naked.copy()
        return other

    def place(self, cell: int, digit: int) -> bool:
        """Fill an empty cell; False where the digit or a peer's last candidate is gone."""
        bit = 1 << (digit - 1)
        masks = self.masks
        if not masks[cell] & bit:
            return False
        masks[cell] = 0
        self.naked.discard(cell)
        self.empty -= 1
        row, column, box = _UNITS[self.size][cell]
        self.placed[row] |= bit
        self.placed[column] |= bit
        self.placed[box] |= bit
        fits = True
        for peer in _PEERS[self.size][cell]:
            if masks[peer] & bit:
                fits &= self.strike(peer, digit)
        return fits

    def strike(self, cell: int, digit: int) -> bool:
        """Remove a candidate from an empty cell; False where none is left."""
        left = self.masks[cell] & ~(1 << (digit - 1))
        self.masks[cell] = left
        if left == 0:
            return False
        if left & (left - 1) == 0:
            self.naked.add(cell)
        return True

    def naked_single(self) -> Step | None:
        if not self.naked:
            return None
        cell = min(self.naked)
        return Step("single", cell, self.masks[cell].bit_length())

    def hidden_single(self) -> Step | None:
        """The first digit with one place in a unit; notes a contradiction where a digit has none."""
        masks = self.masks
        for number, unit in enumerate(units(self.size)):
            once, twice = 0, 0
            for cell in unit:
                mask = masks[cell]
                twice |= once & mask
                once |= mask
            if once | self.placed[number] != self.full:
                self.contradictory = True
                return None
            lone = once & ~twice
            if lone:
                bit = lone & -lone
                return Step("single", next(c for c in unit if masks[c] & bit), bit.bit_length())
        return None

    def guess(self) -> Step:
        cell = min((c for c, mask in enumerate(self.masks) if mask), key=lambda c: self.masks[c].bit_count())
        mask = self.masks[cell]
        return Step("guess", cell, (mask & -mask).bit_length())


_PEERS = {size: peers(size) for size in (4, 6, 9)}
_UNITS = {size: units_of(size) for size in (4, 6, 9)}
