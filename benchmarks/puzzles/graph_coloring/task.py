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

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.puzzles.graph_coloring import rules
from benchmarks.puzzles.graph_coloring.rules import DIGITS, LETTERS, Puzzle
from benchmarks.puzzles.graph_coloring.search import another_color, solving_steps
from benchmarks.puzzles.grids import problem_id, to_board, to_tokens
from benchmarks.splits import split_of
from benchmarks.symmetries import IGNORE, Symmetries, permutations
from benchmarks.task import Measure, Split

PATIENCE = 20_000  # graphs in a row that bring no new problem before generation gives up
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
        if not isinstance(self.colors, int) or not 3 <= self.colors <= MOST_COLORS:
            raise UserError(
                f"{self.colors!r} is no number of colours.", where="colors", cure=f"Choose 3 to {MOST_COLORS}."
            )
        if not isinstance(self.nodes, int) or not self.colors < self.nodes <= len(LETTERS):
            raise UserError(
                f"{self.nodes!r} is no number of nodes for {self.colors} colours.",
                where="nodes",
                cure=f"Choose {self.colors + 1} to {len(LETTERS)}.",
            )
        if self.answers not in ("unique", "many"):
            raise UserError(f"{self.answers!r} is no choice.", where="answers", cure="Choose unique or many.")
        number = isinstance(self.degree, int | float)
        if self.degree is not None and not (number and 0 < self.degree <= self._largest_degree):
            raise UserError(
                f"{self.degree!r} is no mean degree of a graph with {self.nodes} nodes in {self.colors} colours.",
                where="degree",
                cure=f"Choose more than 0, at most {self._largest_degree:g}.",
            )
        if not isinstance(self.min_guesses, int) or self.min_guesses < 0:
            raise UserError(
                f"{self.min_guesses!r} is no number of guesses.", where="min_guesses", cure="Choose 0 or more."
            )
        if self.measure not in ("exact", "valid"):
            raise UserError(f"there is no measure '{self.measure}'.", where="measure", cure="Choose exact or valid.")

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

    def generate(self, split: Split, count: int, seed: int) -> list[Problem]:
        """See :meth:`Task.generate`; with one seed, a smaller count gives the beginning of a larger one."""
        draw = random.Random(f"{seed} {split}")
        problems: dict[str, Problem] = {}
        misses = 0
        while len(problems) < count:
            puzzle = self._draw(draw)
            misses += 1
            if puzzle is not None and split_of(rules.orbit(puzzle)) == split:
                problem = self._problem(puzzle)
                if problem.question not in problems and problem.meta["guesses"] >= self.min_guesses:
                    problems[problem.question] = problem
                    misses = 0
            if misses >= PATIENCE:
                raise UserError(
                    f"found only {len(problems)} different problems for the {split} split, {count} are asked for "
                    f"({PATIENCE} tries in a row brought no new one).",
                    where=self.name,
                    cure="Ask for fewer, use more nodes, or change degree or min_guesses.",
                )
        return list(problems.values())

    def _draw(self, draw: random.Random) -> Puzzle | None:
        """Edges at random between nodes of different colours, then the givens; ``None`` if ``many`` are wanted but
        one answer is all there is."""
        colors = [node % self.colors + 1 for node in range(self.nodes)]
        draw.shuffle(colors)
        different = [(a, b) for a in range(self.nodes) for b in range(a) if colors[a] != colors[b]]
        edges = draw.sample(different, round(self._degree * self.nodes / 2))
        order = draw.sample(range(self.nodes), self.nodes)
        if self.answers == "many":
            kept = list({colors[node]: node for node in order}.values())[1:]  # one node of each colour but one
            puzzle = rules.puzzle_of(edges, [color if node in kept else 0 for node, color in enumerate(colors)])
            return None if self._is_only_answer(puzzle, colors) else puzzle
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
            return Verdict(False, False, False, 0.0, "no answer could be read")
        text = answer.text
        if len(text) != self.nodes:
            return Verdict(False, False, False, 0.0, f"the answer has {len(text)} colours instead of {self.nodes}")
        puzzle = rules.read(self.nodes, problem.question)
        reason = self._fault(puzzle, text)
        exact, valid = text == problem.answer, not reason
        open_nodes = [node for node, given in enumerate(puzzle.givens) if not given]
        right = sum(text[node] == problem.answer[node] for node in open_nodes)
        score = right / len(open_nodes) if open_nodes else float(exact)
        correct = exact if self.measure == "exact" else valid
        if valid and not correct:
            reason = "a right colouring, but not the labelled one"
        return Verdict(correct, exact, valid, score, "" if correct else reason)

    def _fault(self, puzzle: Puzzle, colors: str) -> str:
        """What is wrong with a colouring of the right length, in words; empty if nothing is."""
        for letter, given, color in zip(LETTERS, puzzle.givens, colors, strict=False):
            if color not in self.digits:
                return f"node {letter} has '{color}', no colour from 1 to {self.colors}"
            if given not in (0, int(color)):
                return f"node {letter} was given colour {given} and has {color}"
        return rules.clash(puzzle, colors)

    # --- grid form ------------------------------------------------------------------------------

    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """The lower half of the matrix of edges row by row, colours on its diagonal: tokens 1 no edge, 2 edge, 3 no
        colour, 4... colours. So the cell of nodes a > b is number ``a (a + 1) / 2 + b``.

        The labels are the diagonal's, those of the givens too.
        """
        boards = [self._board(rules.read(self.nodes, problem.question)) for problem in problems]
        labels = torch.full((len(problems), self.positions), IGNORE)
        labels[:, self._diagonal] = to_tokens([p.answer for p in problems], self.nodes, self.vocabulary)
        return to_tokens(boards, self.positions, self.vocabulary), labels

    def _board(self, puzzle: Puzzle) -> str:
        shown = [str(color) if color else BLANK for color in puzzle.givens]
        rows = (
            "".join(EDGE if puzzle.neighbours[a] >> b & 1 else APART for b in range(a)) + shown[a]
            for a in range(self.nodes)
        )
        return "".join(rows)

    @property
    def _diagonal(self) -> list[int]:
        return [node * (node + 3) // 2 for node in range(self.nodes)]

    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        board = to_board(input_ids, self.vocabulary)
        cells = [(a, b) for a in range(self.nodes) for b in range(a + 1)]
        edges = [cell for cell, char in zip(cells, board, strict=True) if char == EDGE]
        givens = [0 if board[cell] == BLANK else int(board[cell]) for cell in self._diagonal]
        return rules.write(rules.puzzle_of(edges, givens)), to_board(labels[self._diagonal], self.vocabulary)

    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        return Answer(to_board(tokens[self._diagonal], self.vocabulary))

    def sample_symmetries(self, batch: int, generator: torch.Generator) -> Symmetries:
        """Uniform over the names of nodes and of colours; only the identity where one of many answers is measured."""
        if self.answers == "many" and self.measure == "exact":
            return Symmetries.identity(batch, self.positions, self.vocabulary_size, generator.device)
        nodes = permutations(batch, self.nodes, generator)
        row, column = torch.tril_indices(self.nodes, self.nodes, device=generator.device)
        first, second = nodes[:, row], nodes[:, column]
        lower, upper = torch.maximum(first, second), torch.minimum(first, second)
        cells = lower * (lower + 1) // 2 + upper
        fixed = self.vocabulary_size - self.colors
        colors = permutations(batch, self.colors, generator) + fixed
        kept = torch.arange(fixed, device=generator.device).expand(batch, fixed)
        return Symmetries(cells, torch.cat([kept, colors], dim=1))

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return problem.question

    def answer_text(self, problem: Problem) -> str:
        return problem.answer

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
