"""Graph colouring: some nodes have a colour, give the others one so that no two neighbours are alike.

Questions are written as in :mod:`benchmarks.puzzles.graph_coloring.rules`, answers as the colours of all nodes in
order: ``abbccd|a1`` has among others the answer ``1212``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar, Literal

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.options import require, require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.puzzles.graph_coloring import rules
from benchmarks.puzzles.graph_coloring.rules import DIGITS, LETTERS, Puzzle
from benchmarks.puzzles.graph_coloring.search import another_color, solving_steps
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, permutations

APART, EDGE, BLANK = "-+."  # in the grid form: two nodes without and with an edge, a node without a colour
MOST_COLORS = 6


@dataclass(frozen=True)
class GraphColoring(GridTask):
    """Colourings of random graphs; ``answers``, ``degree`` and ``min_guesses`` shape generated problems only, but a
    typed problem, too, must have a single answer where ``answers`` is ``unique``.

    The label is the first answer that the search with naked singles finds. Of many it is one by the names of nodes
    and colours: a moved label is a right answer still, but not that one. So there are no symmetries to augment with
    where ``answers`` is ``many`` and ``measure`` is ``exact``. The splits are disjoint up to them in every case.

    Attributes:
        nodes: 4 to 26, and more than ``colors``.
        colors: 3 to 6.
        answers: ``"unique"``: exactly one colouring keeps the givens, and none of them can be removed (two colourings
            that differ in the names of colours only are two, so at least ``colors - 1`` colours are given);
            ``"many"``: one node of each of ``colors - 1`` colours is given, so that every colour has a name, and at
            least two colourings keep them.
        degree: neighbours of a node on average; ``None``: where problems need most search. That is the threshold
            above which large random graphs have no colouring, 2 k ln k - ln k - 1 for k colours (Zdeborová and
            Krzakala 2007, arXiv 0704.1269), times nodes / (nodes + k), which fits what small graphs were measured to
            need, and at most 0.8 of what a graph with a colouring can have.
        min_guesses: guesses, right and wrong, that the search with naked singles makes at least (0: any problem).
    """

    nodes: int = 8
    colors: int = 3
    answers: Literal["unique", "many"] = "unique"
    degree: float | None = None
    min_guesses: int = 0
    measure: Measure = "valid"

    family: ClassVar[str] = "graph-coloring"

    def __post_init__(self) -> None:
        require_whole("colors", self.colors, 3, MOST_COLORS)
        require_whole("nodes", self.nodes, self.colors + 1, len(LETTERS))
        require_choice("answers", self.answers, ("unique", "many"))
        most = self._largest_degree
        fits = self.degree is None or (isinstance(self.degree, int | float) and 0 < self.degree <= most)
        require(fits, "degree", f"more than 0 and at most {most:g}, or null", self.degree)
        require_whole("min_guesses", self.min_guesses, 0)
        super().__post_init__()

    @property
    def name(self) -> str:
        answers = "" if self.answers == "unique" else "-many"
        degree = "" if self.degree is None else f"-{self.degree:g}degree"
        guesses = f"-{self.min_guesses}guesses" if self.min_guesses else ""
        return f"{self._size}{answers}{degree}{guesses}"

    @property
    def _size(self) -> str:
        return f"graph-coloring-{self.nodes}x{self.colors}"

    @property
    def positions(self) -> int:
        """The lower half of the matrix of edges, its diagonal included."""
        return self.nodes * (self.nodes + 1) // 2

    @property
    def digits(self) -> str:
        """The names of the colours."""
        return DIGITS[: self.colors]

    @property
    def vocabulary(self) -> str:
        return APART + EDGE + BLANK + self.digits

    @property
    def alphabet(self) -> str:
        """Letters of nodes, digits of colours, the bar before the givens, and the two signs of the traces."""
        return LETTERS[: self.nodes] + self.digits + rules.BAR + "?!"

    @property
    def instructions(self) -> str:
        return (
            f"This is a graph of {self.nodes} nodes, {LETTERS[0]} to {LETTERS[self.nodes - 1]}. Before the {rules.BAR} "
            "stand its edges, two letters each; behind it the colours that some nodes have, a letter and a digit each. "
            f"Give every node one of the colours 1 to {self.colors} so that no two neighbours have the same, and keep "
            f"the given ones. Answer with the {self.nodes} colours of the nodes in alphabetical order, without "
            "anything between them."
        )

    @property
    def _largest_degree(self) -> float:
        """Mean degree where all nodes of different colours are neighbours, each colour used as often as any other."""
        small, larger = divmod(self.nodes, self.colors)
        alike = larger * (small + 1) ** 2 + (self.colors - larger) * small**2
        return (self.nodes**2 - alike) / self.nodes

    @property
    def _degree(self) -> float:
        if self.degree is not None:
            return self.degree
        threshold = 2 * self.colors * log(self.colors) - log(self.colors) - 1
        return min(threshold * self.nodes / (self.nodes + self.colors), 0.8 * self._largest_degree)

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, use more nodes, or change degree or min_guesses."

    def draw(self, rng: random.Random) -> Draft | None:
        """Edges at random between nodes of different colours, then the givens; ``None`` if ``many`` are wanted but
        one answer is all there is."""
        puzzle = self._draw_puzzle(rng)
        if puzzle is None:
            return None

        def finish() -> Problem | None:
            problem = self._problem(puzzle)
            return problem if problem.meta["guesses"] >= self.min_guesses else None

        return Draft(rules.write(puzzle), rules.orbit(puzzle), finish)

    def _draw_puzzle(self, rng: random.Random) -> Puzzle | None:
        colors = [node % self.colors + 1 for node in range(self.nodes)]
        rng.shuffle(colors)
        different: list[tuple[int, int]] = []
        for a in range(self.nodes):
            different += [(a, b) for b in range(a) if colors[a] != colors[b]]
        edges = rng.sample(different, round(self._degree * self.nodes / 2))
        order = rng.sample(range(self.nodes), self.nodes)

        if self.answers == "many":
            kept = list({colors[node]: node for node in order}.values())[1:]  # one node of each colour but one
            puzzle = rules.puzzle_of(edges, [color if node in kept else 0 for node, color in enumerate(colors)])
            return None if self._is_only_answer(puzzle, colors) else puzzle

        # Givens are taken away as long as the answer stays the only one.
        puzzle = rules.puzzle_of(edges, colors)
        for node in order:
            without = puzzle._replace(givens=(*puzzle.givens[:node], 0, *puzzle.givens[node + 1 :]))
            if not another_color(without, self.colors, node, colors[node]):
                puzzle = without
        return puzzle

    def _is_only_answer(self, puzzle: Puzzle, colors: Sequence[int]) -> bool:
        """Whether no other colouring than ``colors`` keeps the givens."""
        open_nodes = [node for node, given in enumerate(puzzle.givens) if not given]
        return not any(another_color(puzzle, self.colors, node, colors[node]) for node in open_nodes)

    def _problem(self, puzzle: Puzzle) -> Problem:
        """A puzzle that has an answer, with its label."""
        steps, colors = solving_steps(puzzle, self.colors)
        question = rules.write(puzzle)
        return Problem(
            problem_id(self._size, question),
            question,
            "".join(map(str, colors)),
            rules.orbit(puzzle),
            {
                "edges": len(puzzle.edges),
                "givens": self.nodes - puzzle.givens.count(0),
                "guesses": sum(step.kind == "guess" for step in steps),
            },
        )

    def parse_question(self, text: str) -> Problem:
        """A typed problem: edges such as ``ab`` or ``a-b`` and colours such as ``a1`` or ``a=1`` in any order, together
        or with spaces, commas, semicolons or bars between them."""
        where = f"the graph of {self.nodes} nodes in {self.colors} colours"
        puzzle = self._typed(text, where)
        colors = "".join(str(color) if color else BLANK for color in puzzle.givens)
        if fault := rules.clash(puzzle, colors):
            raise UserError(f"{fault}.", where=where, cure="Correct one of them, or remove the edge.")
        try:
            _, answer = solving_steps(puzzle, self.colors)
        except ValueError as error:
            raise UserError(
                f"{error}.", where=where, cure="Remove an edge or a colour, or use a task with more colors."
            ) from None
        if self.answers == "unique" and not self._is_only_answer(puzzle, answer):
            raise UserError(
                "it has more than one right answer.",
                where=where,
                cure="Colour more nodes, or use a task with answers=many.",
            )
        return self._problem(puzzle)

    def _typed(self, text: str, where: str) -> Puzzle:
        """The graph and the colours of a typed question."""
        edges: list[tuple[int, int]] = []
        givens = [0] * self.nodes
        for word in re.split(r"[\s,;|]+", text.lower().strip(" ,;|\n\r\t")):
            if not re.fullmatch("([a-z][-=:]?[a-z0-9])+", word):
                raise UserError(
                    f"'{word}' is neither an edge nor a coloured node." if word else "nothing was typed.",
                    where=where,
                    cure="Write edges as two letters and colours as letter and digit: ab bc ca a1.",
                )
            for first, second in re.findall("([a-z])[-=:]?([a-z0-9])", word):
                a, b = LETTERS.index(first), LETTERS.find(second)
                if max(a, b) >= self.nodes:
                    raise UserError(
                        f"'{first}{second}' names a node after {LETTERS[self.nodes - 1]}.",
                        where=where,
                        cure="Correct it, or use a task with more nodes.",
                    )
                if a == b:
                    raise UserError(f"'{first}{second}' joins a node to itself.", where=where, cure="Remove it.")
                if b >= 0:
                    edges.append((a, b))
                elif second not in self.digits or givens[a] not in (0, int(second)):
                    raise UserError(
                        f"'{first}{second}' " + ("gives a second colour." if givens[a] else "is no colour."),
                        where=where,
                        cure=f"Give each node at most one colour from 1 to {self.colors}.",
                    )
                else:
                    givens[a] = int(second)
        return rules.puzzle_of(edges, givens)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled colouring; valid: every node has a colour, neighbours differ, the givens are kept.

        The score is the share of the nodes without a given that have the label's colour.
        """
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        if len(text) != self.nodes:
            return Verdict.wrong(f"the answer has {len(text)} colours instead of {self.nodes}")

        puzzle = rules.read(self.nodes, problem.question)
        open_nodes = [node for node, given in enumerate(puzzle.givens) if not given]
        right = sum(text[node] == problem.answer[node] for node in open_nodes)
        exact = text == problem.answer
        score = right / len(open_nodes) if open_nodes else float(exact)
        return self.verdict(exact, self._fault(puzzle, text), score, "a right colouring, but not the labelled one")

    def _fault(self, puzzle: Puzzle, colors: str) -> str:
        """What is wrong with a colouring of the right length, in words; empty if nothing is."""
        for letter, given, color in zip(LETTERS, puzzle.givens, colors, strict=False):
            if color not in self.digits:
                return f"node {letter} has '{color}', no colour from 1 to {self.colors}"
            if given not in (0, int(color)):
                return f"node {letter} was given colour {given} and has {color}"
        return rules.clash(puzzle, colors)

    # --- grid form ------------------------------------------------------------------------------

    @property
    def answer_cells(self) -> list[int]:
        """The diagonal, where the colours stand, those of the givens too."""
        return [node * (node + 3) // 2 for node in range(self.nodes)]

    def question_row(self, question: str) -> str:
        """The lower half of the matrix of edges row by row, colours on its diagonal: tokens 1 no edge, 2 edge, 3 no
        colour, 4... colours. So the cell of nodes a > b is number ``a (a + 1) / 2 + b``."""
        puzzle = rules.read(self.nodes, question)
        rows = []
        for a, color in enumerate(puzzle.givens):
            edges = [EDGE if puzzle.neighbours[a] >> b & 1 else APART for b in range(a)]
            rows += [*edges, str(color) if color else BLANK]
        return "".join(rows)

    def read_question_row(self, row: str) -> str:
        edges = []
        givens = []
        cells = iter(row)
        for a in range(self.nodes):
            edges += [(a, b) for b in range(a) if next(cells) == EDGE]
            color = next(cells)
            givens.append(0 if color == BLANK else int(color))
        return rules.write(rules.puzzle_of(edges, givens))

    def answer_row(self, answer: str) -> str:
        return answer

    def read_answer_row(self, row: str) -> str:
        return row

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the names of nodes and of colours; only the identity where one of many answers is measured."""
        import torch

        if self.answers == "many" and self.measure == "exact":
            return Symmetries.identity(batch, self.positions, self.vocabulary_size, generator.device)

        # Cells [b, l] move with the names of their two nodes.
        nodes = permutations(batch, self.nodes, generator)
        row, column = torch.tril_indices(self.nodes, self.nodes, device=generator.device)
        first, second = nodes[:, row], nodes[:, column]
        lower, upper = torch.maximum(first, second), torch.minimum(first, second)
        cells = lower * (lower + 1) // 2 + upper

        # Tokens [b, v]: only the colours are renamed.
        fixed = self.vocabulary_size - self.colors
        colors = permutations(batch, self.colors, generator) + fixed
        kept = torch.arange(fixed, device=generator.device).expand(batch, fixed)
        return Symmetries(cells, torch.cat([kept, colors], dim=1))

    # --- text form ------------------------------------------------------------------------------

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Exactly one colour for each node, spaces around them aside."""
        kept = text.strip()
        return Answer(kept) if len(kept) == self.nodes and set(kept) <= set(self.digits) else None

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """A line per node: its colour (in parentheses where an answer fills it in or changes it) and its neighbours."""
        puzzle = rules.read(self.nodes, problem.question)
        given = [str(color) if color else BLANK for color in puzzle.givens]
        filled = given if answer is None else answer.text.ljust(self.nodes, "?")
        lines = []
        for node, (before, after) in enumerate(zip(given, filled, strict=False)):
            color = f" {before} " if before == after else f"({after})"
            around = [LETTERS[other] for other in range(self.nodes) if puzzle.neighbours[node] >> other & 1]
            lines.append(f"{LETTERS[node]} {color} {' '.join(around)}".rstrip())
        return "\n".join(lines)
