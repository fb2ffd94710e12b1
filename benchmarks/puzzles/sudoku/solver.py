"""Counts the solutions of many Sudokus at once: propagation and search as numpy bit operations over all open nodes.

A node is a board of candidate masks (bit ``k`` = digit ``k + 1``). Arrays are [cells, nodes], so that every
operation runs along contiguous memory.
"""

from __future__ import annotations

import numpy as np

from benchmarks.puzzles.sudoku.rules import BOX

NODES = 2048  # nodes propagated together: the arrays of a 9x9 board then fit a core's second-level cache


def candidates(size: int, digits: np.ndarray) -> np.ndarray:
    """Candidate masks [cells, b] (uint16) of boards [b, cells] (0 = empty)."""
    one = np.uint16(1)
    placed = np.left_shift(one, np.maximum(digits, 1).astype(np.uint16) - one)
    return np.where(digits == 0, np.uint16((1 << size) - 1), placed).T.copy()


def count_solutions(
    size: int, masks: np.ndarray, limit: int = 2, draw: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The number of solutions of each board, counted up to ``limit``, and the first one found.

    Args:
        masks: candidate masks [cells, b], left unchanged.
        draw: guess at random instead of the lowest digit of the first cell with fewest candidates, and search depth
            first on every board; with ``limit=1`` that finds random solutions of empty boards.

    Returns:
        counts [b] and solutions [b, cells] as digits (0 throughout where there is none).
    """
    cells, batch = masks.shape
    counts = np.zeros(batch, dtype=np.int64)
    found = np.zeros((batch, cells), dtype=np.uint8)
    stack, owner = masks, np.arange(batch)
    while owner.size:
        chosen = _newest_per_owner(owner) if draw is not None else np.arange(max(0, owner.size - NODES), owner.size)
        keep = np.ones(owner.size, dtype=bool)
        keep[chosen] = False
        nodes, of = propagate(size, stack[:, chosen], owner[chosen])
        stack, owner = stack[:, keep], owner[keep]

        open_cells = (nodes & (nodes - np.uint16(1))) != 0
        solved = ~open_cells.any(0)
        for solution, board in zip(nodes[:, solved].T, of[solved].tolist(), strict=True):
            if counts[board] == 0:
                found[board] = np.bitwise_count(solution - np.uint16(1)) + 1
            counts[board] += 1
        nodes, of = nodes[:, ~solved], of[~solved]
        left, right = _branch(size, nodes, draw)
        stack = np.concatenate([stack, right, left], axis=1)
        owner = np.concatenate([owner, of, of])
        wanted = counts[owner] < limit
        if not wanted.all():
            stack, owner = stack[:, wanted], owner[wanted]
    return np.minimum(counts, limit), found


def propagate(size: int, masks: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Naked and hidden singles until nothing changes; contradictory nodes are left out, and the order may change.

    Args:
        masks: [cells, nodes]
        owner: [nodes], the board that a node belongs to.
    """
    done: list[tuple[np.ndarray, np.ndarray]] = []
    while owner.size:
        after, alive = _sweep(size, masks)
        moving = (after != masks).any(0) & alive
        still = alive & ~moving
        if still.any():
            done.append((after[:, still], owner[still]))
        masks, owner = after[:, moving], owner[moving]
    if not done:
        return masks, owner
    return np.concatenate([m for m, _ in done], axis=1), np.concatenate([o for _, o in done])


def _sweep(size: int, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One round of both rules over all units; False in the second array marks a contradiction."""
    height, width = BOX[size]
    nodes = masks.shape[1]
    full = np.uint16((1 << size) - 1)
    single = np.where((masks & (masks - np.uint16(1))) == 0, masks, np.uint16(0))
    alive = np.logical_and.reduce(masks, axis=0)
    shape = (size // height, height, size // width, width, nodes)
    grid, fixed = masks.reshape(shape), single.reshape(shape)
    seen: np.ndarray | np.uint16 = np.uint16(0)
    lone: np.ndarray | np.uint16 = np.uint16(0)
    for axes in ((2, 3), (0, 1), (1, 3)):  # rows, columns, boxes
        once, twice = _once_and_twice(grid, axes)
        placed, clash = _once_and_twice(fixed, axes)
        alive = alive & ((once == full) & (clash == 0)).reshape(-1, nodes).all(0)
        seen = seen | np.expand_dims(placed, axes)
        lone = lone | np.expand_dims(once & ~twice, axes)
    after = np.where(fixed != 0, grid, grid & ~seen)
    hidden = after & lone
    return np.where(hidden != 0, hidden, after).reshape(masks.shape), alive


def _once_and_twice(grid: np.ndarray, axes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The bits that occur at least once, and at least twice, along two axes of [bands, rows, stacks, columns, n]."""
    parts = np.moveaxis(grid, axes, (0, 1))
    once = np.zeros(parts.shape[2:], dtype=np.uint16)
    twice = np.zeros_like(once)
    for block in parts:
        for part in block:
            twice |= once & part
            once |= part
    return once, twice


def _branch(size: int, nodes: np.ndarray, draw: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Two children of each node: a cell with fewest candidates is, and is not, one of its digits."""
    each = np.arange(nodes.shape[1])
    counts = np.bitwise_count(nodes).astype(np.float32)
    counts[counts == 1] = size + 1
    if draw is not None:
        counts += draw.random(counts.shape, dtype=np.float32) * 0.5
    cell = counts.argmin(0)
    options = nodes[cell, each]
    if draw is None:
        bit = options & (~options + np.uint16(1))
    else:
        digit = np.arange(size, dtype=np.uint16)[:, None]
        bit = np.left_shift(
            np.uint16(1), (((options >> digit) & 1) * draw.random((size, options.size))).argmax(0).astype(np.uint16)
        )
    left, right = nodes.copy(), nodes.copy()
    left[cell, each] = bit
    right[cell, each] = options & ~bit
    return left, right


def _newest_per_owner(owner: np.ndarray) -> np.ndarray:
    """For each board the position of its last node: depth-first search on all boards side by side."""
    _, from_end = np.unique(owner[::-1], return_index=True)
    return owner.size - 1 - from_end
