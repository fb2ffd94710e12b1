"""Colours a graph in the order in which a person could: every deduction, guess and retraction as a step.

The one search finds labels, proves that an answer is the only one, rates a problem (how many guesses it takes) and is
what the programmatic teacher writes down. Sets of nodes and of colours are bit masks: bit ``k`` of a set of colours
is colour ``k + 1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from benchmarks.puzzles.graph_coloring.rules import Puzzle

Kind = Literal["single", "guess", "retract"]


class Step(NamedTuple):
    """``single``: the node has no other colour left; ``guess``: it is assumed; ``retract``: the newest standing guess,
    which this repeats, left a node without a colour, so that all since is undone and it is struck from the node."""

    kind: Kind
    node: int
    color: int


def solving_steps(puzzle: Puzzle, colors: int, toward: Sequence[int] | None = None) -> tuple[list[Step], list[int]]:
    """Steps from the givens to a right answer, and that answer: a colour per node.

    While it can: the first node with one colour left. Otherwise guess, for the first node with fewest colours left,
    the lowest of them.

    Args:
        toward: the right answer to reach. A guess then passes over the colours that only other right answers have;
            those that lead to none are tried and refuted as ever. With one right answer this changes nothing.

    Raises:
        ValueError: if there is no right answer.
    """
    state = _State.of(puzzle, colors)
    found = None if state is None else _search(state, toward)
    if found is None:
        raise ValueError("the graph has no colouring that keeps the givens")
    return found


def another_color(puzzle: Puzzle, colors: int, node: int, color: int) -> bool:
    """Whether some right answer gives ``node``, which is no given, another colour than ``color``."""
    state = _State.of(puzzle, colors)
    return state is not None and state.strike(node, color) and _search(state) is not None


def _search(state: _State, toward: Sequence[int] | None = None) -> tuple[list[Step], list[int]] | None:
    """Steps from ``state``, which it changes, to a colour for every node; ``None`` if no such colouring exists."""
    steps: list[Step] = []
    saved: list[tuple[Step, _State]] = []
    fits = True
    while True:
        if fits:
            if not state.open_nodes:
                return steps, state.colors
            step = state.single()
            if step is None:
                step = state.guess(toward)
                saved.append((step, state.copy()))
            steps.append(step)
            fits = state.place(step.node, step.color)
        elif saved:
            wrong, state = saved.pop()
            steps.append(Step("retract", wrong.node, wrong.color))
            fits = state.strike(wrong.node, wrong.color)
        else:
            return None


class _State:
    """Colours so far (0: none yet), the colours left to each node without one, and two sets of such nodes."""

    __slots__ = ("colors", "left", "lone", "neighbours", "open_nodes")

    def __init__(
        self, neighbours: Sequence[int], colors: list[int], left: list[int], open_nodes: int, lone: int
    ) -> None:
        self.neighbours, self.colors, self.left = neighbours, colors, left
        self.open_nodes = open_nodes  # all without a colour
        self.lone = lone  # those of them with one colour left

    @classmethod
    def of(cls, puzzle: Puzzle, colors: int) -> _State | None:
        """The givens in place, or ``None`` if they alone leave a node without a colour."""
        nodes = len(puzzle.givens)
        state = cls(puzzle.neighbours, [0] * nodes, [(1 << colors) - 1] * nodes, (1 << nodes) - 1, 0)
        fits = [state.place(node, color) for node, color in enumerate(puzzle.givens) if color]
        return state if all(fits) else None

    def copy(self) -> _State:
        return _State(self.neighbours, self.colors.copy(), self.left.copy(), self.open_nodes, self.lone)

    def place(self, node: int, color: int) -> bool:
        """Colour a node; False where it may not have this colour, or a neighbour has none left."""
        if not self.left[node] & 1 << (color - 1):
            return False
        self.colors[node] = color
        self.open_nodes &= ~(1 << node)
        self.lone &= ~(1 << node)
        fits = True
        others = self.neighbours[node] & self.open_nodes
        while others:
            first = others & -others
            others ^= first
            fits &= self.strike(first.bit_length() - 1, color)
        return fits

    def strike(self, node: int, color: int) -> bool:
        """Take a colour from a node that has none yet; False where none is left."""
        left = self.left[node] & ~(1 << (color - 1))
        self.left[node] = left
        if left and not left & (left - 1):
            self.lone |= 1 << node
        return left != 0

    def single(self) -> Step | None:
        if not self.lone:
            return None
        node = (self.lone & -self.lone).bit_length() - 1
        return Step("single", node, self.left[node].bit_length())

    def guess(self, toward: Sequence[int] | None) -> Step:
        nodes = [node for node, color in enumerate(self.colors) if not color]
        node = min(nodes, key=lambda n: self.left[n].bit_count())
        options = [color for color in range(1, self.left[node].bit_length() + 1) if self.left[node] >> (color - 1) & 1]
        color = options[0]
        if toward is not None:  # below a wrong guess nothing leads on, and this is the lowest again
            color = next((c for c in options if c == toward[node] or not self._leads_on(node, c)), color)
        return Step("guess", node, color)

    def _leads_on(self, node: int, color: int) -> bool:
        """Whether a right answer gives the node this colour."""
        state = self.copy()
        return state.place(node, color) and _search(state) is not None
