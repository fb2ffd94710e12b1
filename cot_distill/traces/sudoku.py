"""Teacher for Sudoku: what a solver finds, in nine ways of writing it down.

``search`` shows singles in the order in which a solver finds them, and where they end, a search in full. A step is a
row letter, a column letter and a digit, and steps follow each other without a separator:

- ``bc3`` the cell in row b, column c can only be 3 (a naked single), or is the only place for 3 in its row, column or
  box (a hidden single);
- ``?bc3`` a guess, on the first cell with fewest candidates;
- ``!bc3`` the newest standing guess, bc3, led to a contradiction (a cell without a candidate, or a unit without a
  place for a digit): it and all since are undone, and 3 is struck from bc.

``wordy``, ``units`` and ``states`` are the same steps with what a step looks at, or leaves behind, written out
(:data:`BEFORE`, :data:`AFTER`). ``clean`` is ``search`` without its dead ends: the steps that still stand at the end,
with ``?`` before those that the ones before them do not prove. ``reading`` and ``random`` are the right values alone,
in other orders. ``boards`` and ``visits`` do not choose a cell, but look at all
(:mod:`cot_distill.traces.sudoku_sweeps`).

The solver's order makes Sudoku learnable from traces (Shah et al., arXiv 2409.10502); for a small model in a minute it
is not enough: see docs/results/traces.md.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from benchmarks.problem import Problem
from benchmarks.puzzles.sudoku.rules import EMPTY, units
from benchmarks.puzzles.sudoku.search import solving_steps
from benchmarks.puzzles.sudoku.task import Sudoku
from cot_distill.traces import sudoku_sweeps as sweeps
from cot_distill.traces.sudoku_board import Board, Replay, cell_of, name

STYLES = {
    "boards": "the whole board again and again, cells with one candidate filled in",
    "search": "singles in the order in which a solver finds them, guesses and their retractions shown",
    "visits": "every open cell in turn, its digit or a dot, again and again until all are filled",
    "states": "search, and after each step the whole board",
    "units": "search, and before each digit what its row, column and box hold",
    "wordy": "search, and before each digit the digits that its row, column and box rule out",
    "clean": "search without its dead ends",
    "reading": "the right values, row by row",
    "random": "the right values in a random order that the question fixes",
}
STEP = r"a[1-9.]+(?:[b-i][1-9.]+)+|[?!]?[a-i]{2}[1-9.]+(?:![1-9])?"
SIGNS = {"single": "", "guess": "?", "retract": "!"}
ORDERS = ("reading", "random")


def default_style(task: Sudoku) -> str:
    """Boards of 9x9 would take thousands of characters."""
    return "boards" if task.size <= 6 else "search"


def _units(board: Board, cell: int) -> str:
    """What row, column and box of the cell hold, cell by cell."""
    text = board.text
    held = ""
    for unit in board.of[cell]:
        held += "".join(text[other] for other in units(board.size)[unit])
    return held + "!"


def _ruled_out(board: Board, cell: int) -> str:
    """The digits that stand in a unit of the cell, or were struck from it."""
    options = board.candidates(cell)
    return "".join(str(digit) for digit in range(1, board.size + 1) if not options & 1 << digit) + "!"


BEFORE: dict[str, Callable[[Board, int], str]] = {"units": _units, "wordy": _ruled_out}  # the digit of a step
AFTER: dict[str, Callable[[Board], str]] = {"states": sweeps.lettered}  # a step


def trace(task: Sudoku, problem: Problem, style: str = "boards") -> str:
    """The steps from the question to the labelled answer.

    Raises:
        ValueError: if they lead elsewhere (the question has no solution, or not only the labelled one).
    """
    if style in sweeps.STYLES:
        text, reached = sweeps.trace(task.size, problem.question, style)
    else:
        write = _clean if style == "clean" else _steps
        text, reached = write(task.size, problem.question, style)
    if reached != problem.answer:
        raise ValueError("the solver reached another solution than the labelled one")
    if style in ORDERS:
        order = _order(task.size, problem.question, style)
        text = "".join(name(task.size, cell) + problem.answer[cell] for cell in order)
    return text


def _steps(size: int, question: str, style: str) -> tuple[str, str]:
    """The solver's steps as written in a style, and the board that they reach."""
    board, text = Board.of_question(size, question), ""
    saved: list[Board] = []
    for step in solving_steps(size, question):
        text += SIGNS[step.kind] + name(size, step.cell)
        if step.kind == "retract":
            board = saved.pop()
            board.struck[step.cell] |= 1 << step.digit
        else:
            text += BEFORE[style](board, step.cell) if style in BEFORE else ""
            if step.kind == "guess":
                saved.append(board.copy())
            board.fill(step.cell, step.digit)
        text += str(step.digit) + (AFTER[style](board) if style in AFTER else "")
    return text, board.text


def _clean(size: int, question: str, style: str) -> tuple[str, str]:
    """The steps that stand at the end."""
    board, text, steps = Board.of_question(size, question), "", solving_steps(size, question)
    last = {step.cell: at for at, step in enumerate(steps)}
    for step in (steps[at] for at in sorted(last.values())):
        text += "" if board.follows(step.cell, step.digit) else SIGNS["guess"]
        text += name(size, step.cell) + str(step.digit)
        board.fill(step.cell, step.digit)
    return text, board.text


def _order(size: int, question: str, style: str) -> list[int]:
    """The open cells in the order in which a style without search names them."""
    cells = [cell for cell, char in enumerate(question) if char == EMPTY]
    if style == "random":
        random.Random(question).shuffle(cells)
    return cells


def check(task: Sudoku, problem: Problem, trace: str, style: str = "boards") -> None:
    """Replay a trace with a board of its own and justify every step; a guess needs only to be a candidate.

    Of the styles without search, the order and the values are compared.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    replay = Replay(task.size, problem.question)
    if style in sweeps.STYLES:
        sweeps.replay(replay, trace, style)
    elif style in ORDERS:
        _replay_order(task, problem, replay, trace, style)
    else:
        if style == "clean" and SIGNS["retract"] in trace:
            raise ValueError("a clean trace retracts nothing")
        _replay_steps(replay, trace, style)
    replay.require_end(problem.answer)


def _replay_steps(replay: Replay, trace: str, style: str) -> None:
    size, at = replay.board.size, 0
    opening = re.compile(f"([?!]?)([{sweeps.LETTERS[:size]}]{{2}})")
    while at < len(trace):
        start, match = at, opening.match(trace, at)
        note = ""
        if match is not None:
            at, cell = match.end(), cell_of(size, match[2])
            note = BEFORE[style](replay.board, cell) if style in BEFORE and match[1] != "!" else ""
        digit = trace[at + len(note) : at + len(note) + 1]
        if match is None or trace[at : at + len(note)] != note or not digit or digit not in "123456789"[:size]:
            raise ValueError(f"'{trace[start : at + len(note) + 1]}' (character {start + 1}) is no step")
        at += len(note) + 1
        _take(replay, match[1], cell, int(digit))
        after = AFTER[style](replay.board) if style in AFTER else ""
        if trace[at : at + len(after)] != after:
            raise ValueError(f"after {replay.what(cell, int(digit))} the board is not {trace[at : at + len(after)]}")
        at += len(after)


def _take(replay: Replay, sign: str, cell: int, digit: int) -> None:
    """One step on the board.

    Raises:
        ValueError: if it does not follow.
    """
    if sign == "!":
        replay.retract(cell, digit)
    elif sign == "?":
        replay.guess(cell, digit)
    else:
        replay.require_candidate(cell, digit)
        if not replay.board.follows(cell, digit):
            what = replay.what(cell, digit)
            raise ValueError(f"{what} does not follow: neither the only candidate nor the only place")
        replay.board.fill(cell, digit)


def _replay_order(task: Sudoku, problem: Problem, replay: Replay, trace: str, style: str) -> None:
    order = _order(task.size, problem.question, style)
    steps = [trace[at : at + 3] for at in range(0, len(trace), 3)]
    for number, step in enumerate(steps):
        expected = name(task.size, order[number]) if number < len(order) else "no further cell"
        if step[:2] != expected:
            raise ValueError(f"step {number + 1} is '{step}', but {expected} comes next in this order")
        if step[2:] not in tuple("123456789"[: task.size]):
            raise ValueError(f"'{step}' is no step")
        replay.require_candidate(order[number], int(step[2]))
        replay.board.fill(order[number], int(step[2]))
