"""ARC's grids: as text (rows of digits separated by ``/``), as arrays, turned, on the canvas of 30 by 30 tokens.

Tokens are those of the published builder (TRM, dataset/build_arc_dataset.py): 0 padding, 1 end-of-grid mark, 2 to 11
the colours 0 to 9. Marks stand in the row below and the column right of a grid, along its extent only.
"""

from __future__ import annotations

import re
from hashlib import sha256

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

SIDE = 30  # rows and columns of the canvas, and of the largest grid
COLOURS = 10
MARK, FIRST_COLOUR = 1, 2
TURNS = range(8)  # 0 is the identity, 1 to 3 turn by quarters, 4 to 7 transpose first
NOTHING = "?"  # the text of an answer where no grid could be read

Grid = UInt8[ndarray, "_ _"]  # rows and columns; a function may hold grids of several sizes
_TEXT = re.compile(r"\d+(?:/\d+)*", re.ASCII)


def is_grid(text: str) -> bool:
    """Whether a text is a grid: rows of equal length, at most 30 by 30."""
    if not _TEXT.fullmatch(text):
        return False
    rows = text.split("/")
    return len(rows) <= SIDE and len(rows[0]) <= SIDE and len({len(row) for row in rows}) == 1


def to_grid(text: str) -> Grid:
    """The array of a text for which :func:`is_grid` holds."""
    cells = np.frombuffer(text.replace("/", "").encode("ascii"), dtype=np.uint8) - ord("0")
    return cells.reshape(text.count("/") + 1, -1)


def to_text(grid: Grid) -> str:
    return "/".join((row + ord("0")).tobytes().decode("ascii") for row in grid)


def turned(grid: Grid, turn: int) -> Grid:
    """The image of a grid under one of the eight rotations and reflections."""
    first = grid.T if turn >= 4 else grid
    return (first, first.T[::-1], first[::-1, ::-1], first.T[:, ::-1])[turn % 4]  # np.rot90 takes four times as long


def undoing(turn: int) -> int:
    """The turn that undoes a turn: reflections undo themselves."""
    return turn if turn >= 4 else -turn % 4


def first_seen(cells: bytes) -> bytes:
    """The cells with their colours renamed to 1, 2, ... in the order in which they appear; colour 0 stays."""
    names = bytearray(range(256))
    for name, colour in enumerate(dict.fromkeys(b"\0" + cells)):
        names[colour] = name
    return cells.translate(names)


def pattern(grids: list[Grid], turn: int) -> bytes:
    """Shapes and cells of some grids after a turn; equal for grids that a renaming of colours 1 to 9 makes equal."""
    moved = [turned(grid, turn) for grid in grids]
    sizes = bytes(side for grid in moved for side in grid.shape)
    return sizes + first_seen(b"".join(grid.tobytes() for grid in moved))


def pair_orbit(given: str, wanted: str) -> str:
    """Key of an (input, output) pair, the same for its images under turns and renamings of the colours 1 to 9."""
    grids = [to_grid(given), to_grid(wanted)]
    return sha256(min(pattern(grids, turn) for turn in TURNS)).hexdigest()[:16]


# --- the canvas ---------------------------------------------------------------------------------


def lay(canvas: Int[ndarray, "30 30"], grid: Grid, top: int, left: int) -> None:
    """Write a grid and its end-of-grid marks into an empty canvas."""
    bottom, right = top + grid.shape[0], left + grid.shape[1]
    canvas[top:bottom, left:right] = grid
    canvas[top:bottom, left:right] += FIRST_COLOUR
    if bottom < SIDE:
        canvas[bottom, left:right] = MARK
    if right < SIDE:
        canvas[top:bottom, right] = MARK


def crop(canvas: Int[ndarray, "30 30"]) -> Grid | None:
    """The largest rectangle of colours that starts top-left, as the published evaluators read an answer.

    Of rectangles of equal area the one with fewer rows counts; ``None`` where the first cell is no colour.
    """
    coloured = (canvas >= FIRST_COLOUR) & (canvas < FIRST_COLOUR + COLOURS)
    run = np.cumprod(coloured, axis=1).sum(axis=1)  # coloured cells from the left edge on, in each row
    width = np.minimum.accumulate(run)  # of the rectangle that ends with this row
    area = width * np.arange(1, SIDE + 1)
    last = int(area.argmax())
    if area[last] == 0:
        return None
    return (canvas[: last + 1, : width[last]] - FIRST_COLOUR).astype(np.uint8)


def lift(canvas: Int[ndarray, "30 30"]) -> Grid:
    """The grid that :func:`lay` wrote, wherever it lies."""
    top, left = np.argwhere(canvas >= FIRST_COLOUR).min(axis=0)
    shifted = np.zeros_like(canvas)
    shifted[: SIDE - top, : SIDE - left] = canvas[top:, left:]
    grid = crop(shifted)
    assert grid is not None
    return grid
