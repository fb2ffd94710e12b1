"""The rules of Sudoku for boards of 4, 6 and 9: units, peers, what breaks a rule, and the key of a symmetry class.

Cells are numbered row by row from 0. A *unit* is a row, a column or a box; the *peers* of a cell share a unit with
it. Candidates of a cell are a bit mask: bit ``k`` stands for digit ``k + 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import itemgetter

import numpy as np

# Rows and columns of a box. The boxes of a 6x6 board are 2 rows high and 3 columns wide.
BOX = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
EMPTY = "."


@cache
def units(size: int) -> tuple[tuple[int, ...], ...]:
    """The ``3 * size`` units: all rows, then all columns, then all boxes."""
    rows = [tuple(r * size + c for c in range(size)) for r in range(size)]
    columns = [tuple(r * size + c for r in range(size)) for c in range(size)]
    boxes: list[list[int]] = [[] for _ in range(size)]
    for cell in range(size * size):
        boxes[box_of(size, cell)].append(cell)
    return (*rows, *columns, *map(tuple, boxes))


@cache
def units_of(size: int) -> tuple[tuple[int, int, int], ...]:
    """For every cell the numbers of its row, column and box in :func:`units`."""
    return tuple((cell // size, size + cell % size, 2 * size + box_of(size, cell)) for cell in range(size * size))


@cache
def peers(size: int) -> tuple[tuple[int, ...], ...]:
    """For every cell the other cells that share a unit with it."""
    found = []
    for cell, own in enumerate(units_of(size)):
        together = set().union(*(units(size)[unit] for unit in own))
        found.append(tuple(sorted(together - {cell})))
    return tuple(found)


def box_of(size: int, cell: int) -> int:
    height, width = BOX[size]
    return cell // size // height * (size // width) + cell % size // width


def name_of_cell(size: int, cell: int) -> str:
    """For people, who count from 1: ``row 2, column 3``."""
    return f"row {cell // size + 1}, column {cell % size + 1}"


def name_of_unit(size: int, unit: int) -> str:
    """``row 2``, ``column 3`` or ``box 1``, boxes counted row by row."""
    return f"{('row', 'column', 'box')[unit // size]} {unit % size + 1}"


def broken_rule(size: int, cells: str) -> str:
    """The first unit that holds a digit twice, in words; empty if there is none. Other characters are passed over."""
    for number, pick in enumerate(_pickers(size)):
        held = pick(cells)
        if len(set(held)) < size:
            twice = next((char for char in held if char.isdigit() and held.count(char) > 1), "")
            if twice:
                return f"{name_of_unit(size, number)} holds {twice} twice"
    return ""


@cache
def _pickers(size: int) -> tuple[Callable[[str], tuple[str, ...]], ...]:
    """For every unit the function that takes its cells out of a board."""
    return tuple(itemgetter(*unit) for unit in units(size))


def to_digits(size: int, boards: Sequence[str]) -> np.ndarray:
    """Boards as an array of shape [b, size * size]: 0 for an empty cell, otherwise the digit."""
    characters = np.frombuffer("".join(boards).encode("ascii"), dtype=np.uint8).reshape(-1, size * size)
    return np.where(characters == ord(EMPTY), 0, characters - ord("0")).astype(np.uint8)


def to_text(digits: np.ndarray) -> list[str]:
    """The inverse of :func:`to_digits`."""
    characters = np.where(digits == 0, ord(EMPTY), digits + ord("0")).astype(np.uint8)
    return [row.tobytes().decode("ascii") for row in characters]


def orbits(size: int, questions: Sequence[str], answers: Sequence[str], rounds: int = 5) -> list[str]:
    """One key per puzzle, equal for puzzles that a symmetry of Sudoku maps onto each other.

    Weisfeiler-Leman colour refinement: a cell starts coloured "given" or "empty"; in each round its new colour is a
    hash of its own, of those of its row, column and box, of the rows and columns of its band and stack, and of the
    cells that hold the same digit in the solution. Sums of hashed colours do not depend on order, and rows and
    columns are treated alike where boxes are square (there transposition is a symmetry). Like all colour refinement
    it may give two different classes one key; for splits that errs on the safe side. All 36 classes of minimal
    4x4 puzzles have different keys.
    """
    if not questions:
        return []
    height, width = BOX[size]
    batch = len(questions)
    digits = to_digits(size, answers)
    order = np.argsort(digits, axis=1, kind="stable")  # the cells of digit 1, then of digit 2, ...
    place = np.argsort(order, axis=1, kind="stable")
    colour = _mix((to_digits(size, questions) > 0).astype(np.uint64))
    columns_salt = np.uint64(0 if height == width else 0x51ED270B)
    shape = (batch, size // height, height, size // width, width)
    for _ in range(rounds):
        grid = colour.reshape(shape)
        row, column = _mix(grid.sum((3, 4), keepdims=True)), _mix(grid.sum((1, 2), keepdims=True) + columns_salt)
        band, stack = _mix(row.sum(2, keepdims=True)), _mix(column.sum(4, keepdims=True) + columns_salt)
        box = _mix(grid.sum((2, 4), keepdims=True))
        lines = _mix(row * np.uint64(3) + band) + _mix(column * np.uint64(3) + stack + columns_salt)
        ordered = np.take_along_axis(colour, order, 1).reshape(batch, size, size)
        same = np.repeat(_mix(ordered.sum(2)), size, axis=1)
        same = np.take_along_axis(same, place, 1).reshape(shape)
        mixed = grid * np.uint64(5) + lines * np.uint64(7) + box * np.uint64(11) + same * np.uint64(13)
        colour = _mix(np.broadcast_to(mixed, shape).reshape(batch, -1))
    return [f"{key:016x}" for key in _mix(colour.sum(1)).tolist()]


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): a bijection that scatters 64-bit numbers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
