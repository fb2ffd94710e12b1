"""Makes Sudokus with exactly one solution: random full boards from which givens are removed, many side by side."""

from __future__ import annotations

import numpy as np

from benchmarks.puzzles.sudoku.rules import BOX, to_text
from benchmarks.puzzles.sudoku.solver import candidates, count_solutions

BATCH = 256  # boards made together; fixed, so that a seed gives one sequence


def random_puzzles(size: int, givens: int | None, draw: np.random.Generator) -> list[tuple[str, str]]:
    """Questions with their answers, each with one solution and under a random symmetry, from :data:`BATCH` boards.

    Full boards come from a randomised search (not uniform over boards); givens are tried in random order and removed
    where the solution stays the only one.

    Args:
        givens: how many to leave, ``None`` for *minimal* puzzles (no given can be removed). Boards on which so few
            cannot be reached are dropped, so that fewer than ``BATCH`` puzzles, or none, come back.
    """
    anything = np.full((size * size, BATCH), (1 << size) - 1, dtype=np.uint16)
    _, answers = count_solutions(size, anything, limit=1, draw=draw)
    questions = _remove(size, answers, givens, draw)
    if givens is not None:
        reached = (questions > 0).sum(1) == givens
        questions, answers = questions[reached], answers[reached]
    for row in range(len(questions)):
        questions[row], answers[row] = _random_symmetry(size, questions[row], answers[row], draw)
    return list(zip(to_text(questions), to_text(answers), strict=True))


def _remove(size: int, answers: np.ndarray, givens: int | None, draw: np.random.Generator) -> np.ndarray:
    """Questions [b, cells] (0 = empty) of the full boards ``answers``.

    A given can go exactly if no solution has another digit in its cell.
    """
    questions = answers.copy()
    order = draw.permuted(np.tile(np.arange(size * size), (len(answers), 1)), axis=1)
    for cell in order.T:
        boards = np.arange(len(answers))
        if givens is not None:
            boards = boards[(questions > 0).sum(1) > givens]
            if not boards.size:
                break
        tried = cell[boards]
        without = questions[boards]
        without[np.arange(boards.size), tried] = 0
        masks = candidates(size, without)
        masks[tried, np.arange(boards.size)] ^= np.uint16(1) << (answers[boards, tried] - 1).astype(np.uint16)
        others, _ = count_solutions(size, masks, limit=1)
        gone = others == 0
        questions[boards[gone], tried[gone]] = 0
    return questions


def _random_symmetry(
    size: int, question: np.ndarray, answer: np.ndarray, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The puzzle under one symmetry drawn uniformly: digits, lines within bands, bands, and transposition."""
    height, width = BOX[size]
    rows = _shuffled_lines(size // height, height, draw)
    columns = _shuffled_lines(size // width, width, draw)
    digits = np.concatenate([[0], 1 + draw.permutation(size)]).astype(np.uint8)
    position = rows[:, None] * size + columns
    if height == width and draw.random() < 0.5:
        position = position.T
    position = position.ravel()
    return digits[question[position]], digits[answer[position]]


def _shuffled_lines(bands: int, lines: int, draw: np.random.Generator) -> np.ndarray:
    """Rows (or columns) in an order that keeps each band together."""
    return np.concatenate([band * lines + draw.permutation(lines) for band in draw.permutation(bands)])
