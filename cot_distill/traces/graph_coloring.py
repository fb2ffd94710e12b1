"""Teacher for graph colouring: nodes with one colour left, in order; where they end, a search that is shown in full.

A step is a node's letter and a digit, and steps follow each other without a separator:

- ``c2`` node c can only have colour 2: its neighbours have all the others;
- ``?c2`` a guess, for the first node with fewest colours left;
- ``!c2`` the newest standing guess, c2, left a node without a colour: it and all since are undone, and 2 is struck
  from c.

``clean`` keeps the steps that still stand at the end, ``?`` before those that the ones before them do not prove.

Where a question has many answers, guesses pass over the colours that lead to unlabelled ones only.
"""

from __future__ import annotations

import re

from benchmarks.problem import Problem
from benchmarks.puzzles.graph_coloring.rules import LETTERS, Puzzle, read
from benchmarks.puzzles.graph_coloring.search import Step, solving_steps
from benchmarks.puzzles.graph_coloring.task import GraphColoring

STEP = r"[?!]?[a-z][1-9]"
STYLES = {
    "search": "nodes with one colour left, guesses and their retractions shown",
    "clean": "search without its dead ends",
}
SIGNS = {"single": "", "guess": "?", "retract": "!"}


def trace(task: GraphColoring, problem: Problem, style: str = "search") -> str:
    """The steps from the question to the labelled answer.

    Raises:
        ValueError: if they lead elsewhere (the question has no answer, or the label is none).
    """
    puzzle = read(task.nodes, problem.question)
    steps, reached = solving_steps(puzzle, task.colors, toward=[int(color) for color in problem.answer])
    if "".join(map(str, reached)) != problem.answer:
        raise ValueError("the search reached another answer than the labelled one")
    if style == "clean":
        steps = _clean(steps, _Board(task.colors, puzzle))
    return "".join(f"{SIGNS[step.kind]}{LETTERS[step.node]}{step.color}" for step in steps)


def _clean(steps: list[Step], board: _Board) -> list[Step]:
    """The steps that stand at the end; a guess is what does not follow without the dead ends."""
    last = {step.node: at for at, step in enumerate(steps)}
    standing = []
    for step in (steps[at] for at in sorted(last.values())):
        follows = len(board.options(step.node)) == 1
        standing.append(step._replace(kind="single" if follows else "guess"))
        board.colors[step.node] = step.color
    return standing


def check(task: GraphColoring, problem: Problem, trace: str, style: str = "search") -> None:
    """Replay a trace with a board of its own and justify every step; a guess needs only to be possible.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    board = _Board(task.colors, read(task.nodes, problem.question))
    guesses: list[tuple[Step, _Board]] = []
    for step in _parse(task, trace):
        what = f"colour {step.color} for {LETTERS[step.node]}"
        if step.kind == "retract":
            if style == "clean":
                raise ValueError("a clean trace retracts nothing")
            if not guesses or guesses[-1][0][1:] != step[1:]:
                raise ValueError(f"{what} is retracted, but is not the newest standing guess")
            if not board.contradiction():
                raise ValueError(f"{what} is retracted without a contradiction")
            _, board = guesses.pop()
            board.struck[step.node].add(step.color)
            continue
        options = board.options(step.node)
        if step.color not in options:
            raise ValueError(f"{what} is not possible")
        if step.kind == "guess":
            guesses.append((step, board.copy()))
        elif len(options) > 1:
            raise ValueError(f"{what} does not follow: {len(options)} colours are left")
        board.colors[step.node] = step.color
    end = "".join(str(color) if color else "." for color in board.colors)
    if end != problem.answer:
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _parse(task: GraphColoring, text: str) -> list[Step]:
    pattern = re.compile(f"([?!]?)([a-{LETTERS[task.nodes - 1]}])([1-{task.colors}])")
    kinds = {sign: kind for kind, sign in SIGNS.items()}
    steps, at = [], 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise ValueError(f"'{text[at : at + 3]}' (character {at + 1}) is no step")
        sign, node, color = match.groups()
        steps.append(Step(kinds[sign], LETTERS.index(node), int(color)))  # type: ignore[arg-type]
        at = match.end()
    return steps


class _Board:
    """Colours so far (0: none yet), and the colours struck from each node by retractions."""

    def __init__(self, most: int, puzzle: Puzzle) -> None:
        self.all = set(range(1, most + 1))
        nodes = range(len(puzzle.givens))
        self.around = [[other for other in nodes if puzzle.neighbours[node] >> other & 1] for node in nodes]
        self.colors = list(puzzle.givens)
        self.struck: list[set[int]] = [set() for _ in nodes]

    def copy(self) -> _Board:
        other = object.__new__(_Board)
        other.all, other.around, other.colors = self.all, self.around, self.colors.copy()
        other.struck = [colors.copy() for colors in self.struck]
        return other

    def options(self, node: int) -> set[int]:
        """The colours that a node without one can have."""
        if self.colors[node]:
            return set()
        return self.all - {self.colors[other] for other in self.around[node]} - self.struck[node]

    def contradiction(self) -> bool:
        """Whether a node has no colour and none left."""
        return any(not color and not self.options(node) for node, color in enumerate(self.colors))
