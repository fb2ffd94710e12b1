"""Shortest paths in square mazes: breadth-first search, the labelled path, moves and the eight symmetries.

A maze is a string of ``size * size`` characters, row by row: ``#`` wall, space open, ``S`` start, ``G`` goal, and in
answers ``o`` for the path between them.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

# The neighbour order of the published Maze-Hard answers (measured on all 2,000 rows): down, left, right, up.
ORDER = "DLRU"
OFFSET = {"D": (1, 0), "L": (0, -1), "R": (0, 1), "U": (-1, 0)}
WALL, OPEN, START, GOAL, PATH = "# SGo"


def step(size: int, cell: int, move: str) -> int | None:
    """The cell that a move leads to; ``None`` outside the board."""
    row, column = cell // size + OFFSET[move][0], cell % size + OFFSET[move][1]
    return row * size + column if 0 <= row < size and 0 <= column < size else None


@cache
def neighbours(size: int, order: str = ORDER) -> tuple[tuple[tuple[str, int], ...], ...]:
    """For every cell the moves that stay on the board, with the cells that they lead to, in the given order."""
    steps = ([(move, step(size, cell, move)) for move in order] for cell in range(size * size))
    return tuple(tuple((move, to) for move, to in moves if to is not None) for moves in steps)


def search(
    size: int, board: str, start: int, order: str = ORDER, goal: int | None = None, walls: str = WALL
) -> dict[int, tuple[int, str]]:
    """Breadth-first search: each cell in order of discovery -> (the cell it was reached from, the move).

    Args:
        goal: stop when this cell is discovered; ``None``: go on to the end.
        walls: the characters that cannot be entered.

    Returns:
        The start is not in it, all other cells that were discovered are.
    """
    around = neighbours(size, order)
    found: dict[int, tuple[int, str]] = {}
    queue = [start]
    for cell in queue:
        for move, to in around[cell]:
            if to != start and to not in found and board[to] not in walls:
                found[to] = (cell, move)
                if to == goal:
                    return found
                queue.append(to)
    return found


def moves_to(found: dict[int, tuple[int, str]], goal: int) -> str:
    """The moves from the start to ``goal`` along the discovered cells."""
    moves = ""
    while goal in found:
        goal, move = found[goal]
        moves = move + moves
    return moves


def shortest_moves(size: int, board: str, order: str = ORDER) -> str:
    """The path that breadth-first search finds, as moves; empty if the goal cannot be reached."""
    goal = board.index(GOAL)
    return moves_to(search(size, board, board.index(START), order, goal), goal)


def draw_path(size: int, question: str, moves: str) -> str | None:
    """The answer that moves from S to G draw; ``None`` where they leave the board, enter a wall, visit a cell twice
    (then the drawing would not be theirs alone) or do not end on G."""
    cell = question.index(START)
    visited = [cell]
    for move in moves:
        to = step(size, cell, move)
        if to is None or question[to] == WALL or to in visited:
            return None
        cell = to
        visited.append(cell)
    if question[cell] != GOAL:
        return None
    board = list(question)
    for between in visited[1:-1]:
        board[between] = PATH
    return "".join(board)


def path_fault(size: int, question: str, answer: str) -> str:
    """Why a drawing is no shortest path, in words; empty if it is one.

    The ``o`` cells are one iff there are as many as a shortest path needs and they lead from S to G in that length.
    """
    for cell, (before, after) in enumerate(zip(question, answer, strict=True)):
        if before != after and (before, after) != (OPEN, PATH):
            return f"row {cell // size + 1}, column {cell % size + 1} was '{before}' and became '{after}'"
    shortest = len(shortest_moves(size, question))
    start, goal = question.index(START), question.index(GOAL)
    moves = moves_to(search(size, answer, start, goal=goal, walls=WALL + OPEN), goal)
    if not moves:
        return "the path does not lead from S to G"
    if len(moves) > shortest:
        return f"the path takes {len(moves)} steps, the shortest {shortest}"
    extra = answer.count(PATH) - (shortest - 1)
    return f"{extra} of the cells marked o are not on the path" if extra else ""


@cache
def symmetries(size: int) -> np.ndarray:
    """The eight rotations and reflections as position maps [8, size * size]: ``new[i] = old[map[i]]``."""
    board = np.arange(size * size).reshape(size, size)
    turned = []
    for side in (board, board.T):
        turned += [np.rot90(side, quarters).ravel() for quarters in range(4)]
    return np.stack(turned)


@cache
def orders() -> tuple[str, ...]:
    """The neighbour orders that the eight symmetries make of :data:`ORDER`, itself first.

    A maze and its label under a symmetry are what breadth-first search finds with one of them.
    """
    name = {offset: move for move, offset in OFFSET.items()}
    turned = set()
    for a, b in product((1, -1), repeat=2):
        images = [(a * row, b * column) for row, column in map(OFFSET.__getitem__, ORDER)]
        turned.add("".join(name[image] for image in images))
        turned.add("".join(name[column, row] for row, column in images))
    return (ORDER, *sorted(turned - {ORDER}))


def smallest_image(size: int, board: str) -> str:
    """The first in alphabetical order of the eight images: equal for mazes that a symmetry maps onto each other."""
    characters = np.frombuffer(board.encode("ascii"), dtype=np.uint8)
    return min(image.tobytes() for image in characters[symmetries(size)]).decode("ascii")


def rows_of(size: int, board: str) -> list[str]:
    return [board[start : start + size] for start in range(0, size * size, size)]
