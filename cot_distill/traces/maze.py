"""Teacher for mazes: breadth-first search from S until G is found, then the way back from G.

A step is a row letter, a column letter and a move letter; steps follow each other without a separator:

- before ``|``: the cells in the order in which breadth-first search discovers them, each with the move that reached
  it (``baD``: row b, column a, reached from above by going down);
- after ``|``: from G back to S, the steps that were written when those cells were discovered. Every entry can be
  looked up: the move of a step tells which cell comes next. Read from the end, the moves are the answer.

The style ``path`` is the last part alone, in the order from S to G.
"""

from __future__ import annotations

from benchmarks.problem import Problem
from benchmarks.puzzles.maze import paths
from benchmarks.puzzles.maze.task import LETTERS, Maze

TURN = "|"
STEP = r"[a-zA-Z]{2}[DLRU]"
STYLES = {
    "search": "breadth-first search from S, then the way back from G",
    "path": "only the way from S to G",
}


def trace(task: Maze, problem: Problem, style: str = "search") -> str:
    """The search and the way back, for the labelled answer.

    The neighbour order is down, left, right, up; for a problem under a symmetry (:func:`benchmarks.splits.augment`)
    it is the image of that order, because the label is the image of the label.

    Raises:
        ValueError: if none of these searches finds the labelled answer.
    """
    found, goal = _search(task, problem)
    back = []
    cell = goal
    while cell in found:
        back.append(_write(task, cell, found[cell][1]))
        cell = found[cell][0]
    if style == "path":
        return "".join(reversed(back))
    return "".join(_write(task, cell, move) for cell, (_, move) in found.items()) + TURN + "".join(back)


def check(task: Maze, problem: Problem, trace: str, style: str = "search") -> None:
    """Read a trace again: every discovery must be the next one of a breadth-first search, and the way back consistent.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    if style == "path":
        _check_path(task, problem, trace)
        return
    first, turn, second = trace.partition(TURN)
    if not turn:
        raise ValueError(f"the trace has no '{TURN}': it never turns back from G")
    discovered, back = _parse(task, first), _parse(task, second)
    found, goal = _search(task, problem)
    expected = [(cell, move) for cell, (_, move) in found.items()]
    for number, step in enumerate(expected):
        if number >= len(discovered):
            raise ValueError("the search ends before G is found")
        if discovered[number] != step:
            raise ValueError(
                f"step {number + 1} of the search is {_write(task, *discovered[number])}, "
                f"breadth-first search discovers {_write(task, *step)}"
            )
    if len(discovered) > len(expected):
        raise ValueError("the search goes on after G is found")
    cell = goal
    for number, step in enumerate(back, start=1):
        if cell not in found or step != (cell, found[cell][1]):
            raise ValueError(f"step {number} of the way back, {_write(task, *step)}, does not follow")
        cell = found[cell][0]
    if cell != problem.question.index(paths.START):
        raise ValueError("the way back does not end on S")
    moves = "".join(move for _, move in reversed(back))
    if paths.draw_path(task.size, problem.question, moves) != problem.answer:
        raise ValueError("the way back is not the labelled path")


def _check_path(task: Maze, problem: Problem, trace: str) -> None:
    """Walk from S, and compare the drawing."""
    cell = problem.question.index(paths.START)
    steps = _parse(task, trace)
    for number, (to, move) in enumerate(steps, start=1):
        if paths.step(task.size, cell, move) != to or problem.question[to] == paths.WALL:
            raise ValueError(f"step {number}, {_write(task, to, move)}, does not follow")
        cell = to
    if paths.draw_path(task.size, problem.question, "".join(move for _, move in steps)) != problem.answer:
        raise ValueError("the way is not the labelled path")


def _search(task: Maze, problem: Problem) -> tuple[dict[int, tuple[int, str]], int]:
    """The breadth-first search that finds the labelled answer, and the cell of G."""
    start, goal = problem.question.index(paths.START), problem.question.index(paths.GOAL)
    for order in paths.orders():
        found = paths.search(task.size, problem.question, start, order, goal)
        if paths.draw_path(task.size, problem.question, paths.moves_to(found, goal)) == problem.answer:
            return found, goal
    raise ValueError("the label is not the path of a breadth-first search in one of the eight neighbour orders")


def _write(task: Maze, cell: int, move: str) -> str:
    return LETTERS[cell // task.size] + LETTERS[cell % task.size] + move


def _parse(task: Maze, text: str) -> list[tuple[int, str]]:
    letters = LETTERS[: task.size]
    steps = []
    for at in range(0, len(text), 3):
        row, column, move = tuple(text[at : at + 3].ljust(3, "?"))
        if row not in letters or column not in letters or move not in paths.ORDER:
            raise ValueError(f"'{text[at : at + 3]}' is no step")
        steps.append((letters.index(row) * task.size + letters.index(column), move))
    return steps
