"""Sudoku traces that look at every cell instead of choosing one: a cell's digit is a local question, which cell to
fill next is one about the whole board.

A sweep goes over the open cells in reading order and fills each that has one candidate; what it fills counts at once.

- ``boards`` writes the question and then, after each sweep, the whole board, each row behind its letter:
  ``a1..2b..1.c...1d2...``. All boards have the same length, so that what a digit depends on stands at a constant
  distance before it.
- ``visits`` writes the givens by name, ``aa1``, and then every open cell as it is visited: ``bc3``, or ``bc.`` where it
  has several candidates or none.

A sweep that fills nothing is followed by one that also fills hidden singles (the only place for a digit in a row,
column or box); ``boards`` does not write a board twice. If that fills nothing too, ``?bc3`` guesses. After a sweep that
ends in a contradiction, ``!bc3`` gives the newest guess up, strikes 3 from bc and goes on from the board before it.
"""

from __future__ import annotations

import re

from benchmarks.puzzles.sudoku.rules import EMPTY
from cot_distill.traces.sudoku_board import LETTERS, Board, Replay, best_guess, cell_of, name

STYLES = ("boards", "visits")


def lettered(board: Board) -> str:
    """Every row behind its letter."""
    text, size = board.text, board.size
    return "".join(LETTERS[row] + text[row * size : (row + 1) * size] for row in range(size))


def _opening(board: Board, style: str) -> str:
    if style == "boards":
        return lettered(board)
    return "".join(name(board.size, cell) + str(digit) for cell, digit in enumerate(board.digits) if digit)


def _after_sign(board: Board, style: str) -> str:
    """What follows a guess or a retraction."""
    return lettered(board) if style == "boards" else ""


def trace(size: int, question: str, style: str) -> tuple[str, str]:
    """The sweeps, and the board that they reach.

    Raises:
        ValueError: if the question has no solution.
    """
    board = Board.of_question(size, question)
    text = _opening(board, style)
    guesses: list[tuple[int, int, Board]] = []
    while board.open_cells or board.contradiction():
        if board.contradiction():
            if not guesses:
                raise ValueError("the question has no solution")
            cell, digit, board = guesses.pop()
            board.struck[cell] |= 1 << digit
            text += f"!{name(size, cell)}{digit}{_after_sign(board, style)}"
            continue
        swept, filled = _sweep(board, style)
        text += swept
        if not filled:
            cell, digit = best_guess(board)
            guesses.append((cell, digit, board.copy()))
            board.fill(cell, digit)
            text += f"?{name(size, cell)}{digit}{_after_sign(board, style)}"
    return text, board.text


def _sweep(board: Board, style: str) -> tuple[str, bool]:
    """Fill naked singles, or if there is none any singles: what is written, and whether a cell was filled."""
    visits = ""
    for find in (board.naked, board.single):
        filled = False
        for cell in board.open_cells:
            digit = find(cell)
            if digit:
                board.fill(cell, digit)
                filled = True
            visits += name(board.size, cell) + (str(digit) if digit else EMPTY)
        if filled:
            break
    if style == "visits":
        return visits, filled
    return lettered(board) if filled else "", filled


def replay(replay: Replay, trace: str, style: str) -> None:
    """Do every sweep again on the board, and compare.

    Raises:
        ValueError: naming the first step that does not follow.
    """
    size = replay.board.size
    signed = re.compile(f"([?!])([{LETTERS[:size]}]{{2}})([1-{size}])")
    at = _expect(trace, 0, _opening(replay.board, style))
    while at < len(trace):
        if match := signed.match(trace, at):
            cell, digit = cell_of(size, match[2]), int(match[3])
            if match[1] == "!":
                replay.retract(cell, digit)
            else:
                _require_stuck(replay.board, style, trace[:at], match[0])
                replay.guess(cell, digit)
            at = _expect(trace, match.end(), _after_sign(replay.board, style))
            continue
        if replay.board.contradiction():
            raise ValueError(f"a contradiction is left standing before '{trace[at : at + 3]}' (character {at + 1})")
        swept, filled = _sweep(replay.board, style)
        if not swept:
            raise ValueError(f"'{trace[at : at + 3]}' (character {at + 1}) is no step: there is no single left")
        at = _expect(trace, at, swept)
        if not filled and trace[at : at + 1] != "?":
            raise ValueError(f"'{trace[at : at + 3]}' (character {at + 1}) stands where a guess should")


def _require_stuck(board: Board, style: str, before: str, guess: str) -> None:
    swept, filled = _sweep(board.copy(), style)
    if filled or board.contradiction() or not before.endswith(swept):
        raise ValueError(f"{guess} is guessed before the sweeps have ended")


def _expect(trace: str, at: int, right: str) -> int:
    """The place behind ``right``, which must stand at ``at``."""
    if trace[at : at + len(right)] != right:
        raise ValueError(f"'{trace[at : at + len(right)]}' (character {at + 1}) does not follow: it is '{right}'")
    return at + len(right)
