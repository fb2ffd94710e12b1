"""Partly coloured graphs: how they are written, what breaks a rule, and the key of a symmetry class.

Nodes are letters from ``a``, colours digits from 1. A question lists the edges and, behind a bar, the givens:
``abbccd|a1`` is the path a-b-c-d with a coloured 1. Sets of nodes are bit masks: bit ``k`` is node ``k``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "123456789"
BAR = "|"


class Puzzle(NamedTuple):
    """A graph with some nodes coloured.

    Attributes:
        neighbours: for each node the set of nodes that it shares an edge with.
        givens: for each node its colour, 0 where it is to be found.
    """

    neighbours: tuple[int, ...]
    givens: tuple[int, ...]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Each edge once, in order, its lower node first."""
        found: list[tuple[int, int]] = []
        for a, neighbours in enumerate(self.neighbours):
            found += [(a, b) for b in range(a + 1, len(self.givens)) if neighbours >> b & 1]
        return found


def puzzle_of(edges: Sequence[tuple[int, int]], givens: Sequence[int]) -> Puzzle:
    neighbours = [0] * len(givens)
    for a, b in edges:
        neighbours[a] |= 1 << b
        neighbours[b] |= 1 << a
    return Puzzle(tuple(neighbours), tuple(givens))


def write(puzzle: Puzzle) -> str:
    """The question of a puzzle; equal puzzles are written alike."""
    edges = "".join(LETTERS[a] + LETTERS[b] for a, b in puzzle.edges)
    return edges + BAR + "".join(f"{LETTERS[node]}{color}" for node, color in enumerate(puzzle.givens) if color)


def read(nodes: int, question: str) -> Puzzle:
    """The puzzle that :func:`write` wrote."""
    edges, _, givens = question.partition(BAR)
    colors = [0] * nodes
    for node, color in re.findall("(.)(.)", givens):
        colors[LETTERS.index(node)] = int(color)
    return puzzle_of([(LETTERS.index(a), LETTERS.index(b)) for a, b in re.findall("(.)(.)", edges)], colors)


def clash(puzzle: Puzzle, colors: str) -> str:
    """The first edge whose ends have the same colour (``.``: none yet), in words; empty if there is none."""
    for a, b in puzzle.edges:
        if colors[a] == colors[b] != ".":
            return f"the neighbours {LETTERS[a]} and {LETTERS[b]} both have colour {colors[a]}"
    return ""


def orbit(puzzle: Puzzle) -> str:
    """A key that no renaming of nodes or colours changes: colour refinement (Weisfeiler and Leman 1968).

    Refined is the graph with one more vertex for each colour that is given, joined to the nodes that have it, so
    that colours count only by the nodes that they tie together. Some puzzles that are no images of each other share
    a key (regular graphs alike in size and degree, without givens); never two images differ in it.
    """
    nodes = len(puzzle.givens)
    used = sorted(set(puzzle.givens) - {0})
    around = [[b for b in range(nodes) if puzzle.neighbours[a] >> b & 1] for a in range(nodes)]
    for vertex, color in enumerate(used, start=nodes):
        members = [node for node, given in enumerate(puzzle.givens) if given == color]
        around.append(members)
        for node in members:
            around[node].append(vertex)
    labels = [0] * nodes + [1] * len(used)
    digest = sha256()
    while True:
        signs = [(labels[v], tuple(sorted([labels[w] for w in around[v]]))) for v in range(len(labels))]
        ordered = sorted(signs)
        digest.update(repr(ordered).encode())
        ranks = {sign: rank for rank, sign in enumerate(dict.fromkeys(ordered))}
        refined = [ranks[sign] for sign in signs]
        if len(ranks) == len(set(labels)):
            return digest.hexdigest()[:16]
        labels = refined
