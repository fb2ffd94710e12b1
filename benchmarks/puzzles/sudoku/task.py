"""Sudoku on boards of 4x4, 6x6 and 9x9 cells: generated with one solution, or read from Sudoku-Extreme.

Questions and answers are strings of ``size * size`` characters, row by row, ``.`` for an empty cell. As there is one
solution, the measures ``exact`` and ``valid`` agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.files.csv_rows import Row, checked_rows
from benchmarks.grid_task import GridTask
from benchmarks.options import is_whole, require, require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Split, Verdict, problem_id
from benchmarks.puzzles.sudoku import rules
from benchmarks.puzzles.sudoku.generator import BATCH, random_puzzles
from benchmarks.puzzles.sudoku.search import guesses_needed
from benchmarks.puzzles.sudoku.solver import candidates, count_solutions
from benchmarks.shapes import Generator, Int, Tensor
from benchmarks.symmetries import Symmetries, permutations

if TYPE_CHECKING:
    from numpy.random import Generator as NumpyGenerator
else:
    from typing import Any as NumpyGenerator

CHUNK = 2_048  # rows of a file whose uniqueness is proved together


@dataclass(frozen=True)
class Sudoku(GridTask):
    """Sudoku; ``givens`` and ``min_guesses`` shape generated puzzles only, ``source`` chooses among published ones.

    Attributes:
        size: 4 (boxes of 2x2), 6 (boxes of 2 rows and 3 columns) or 9.
        givens: ``"minimal"`` (no given can be removed), or that many givens, the solution still unique.
        min_guesses: guesses that a solver with naked and hidden singles needs at least (0: any puzzle).
        source: of files, only the rows with this one.
    """

    size: int = 4
    givens: int | Literal["minimal"] = "minimal"
    min_guesses: int = 0
    measure: Measure = "exact"
    source: str | None = None

    family: ClassVar[str] = "sudoku"
    noun: ClassVar[str] = "puzzles"
    patience: ClassVar[int] = 5_000 + BATCH  # a batch begun within 5,000 is looked at to its end
    draw_seconds: ClassVar[float] = 3_600.0  # a batch

    def __post_init__(self) -> None:
        require_choice("size", self.size, tuple(rules.BOX))
        most = self.positions - 1
        fits = self.givens == "minimal" or is_whole(self.givens, 1, most)
        require(fits, "givens", f"'minimal' or a number from 1 to {most}", self.givens)
        require_whole("min_guesses", self.min_guesses, 0)
        super().__post_init__()

    @property
    def name(self) -> str:
        givens = "" if self.givens == "minimal" else f"-{self.givens}givens"
        guesses = f"-{self.min_guesses}guesses" if self.min_guesses else ""
        return f"sudoku-{self.size}x{self.size}{givens}{guesses}"

    @property
    def positions(self) -> int:
        return self.size * self.size

    @property
    def digits(self) -> str:
        """The digits of this board."""
        return "123456789"[: self.size]

    @property
    def vocabulary(self) -> str:
        """Tokens 1 empty, 2... digits; every position has a label, the givens too, as in TRM."""
        return rules.EMPTY + self.digits

    @property
    def alphabet(self) -> str:
        """Board characters, then row and column letters and the two signs of the traces."""
        return self.vocabulary + "abcdefghi"[: self.size] + "?!"

    @property
    def instructions(self) -> str:
        height, width = rules.BOX[self.size]
        return (
            f"This is a Sudoku of {self.size} rows and {self.size} columns, written row by row, with . for an empty "
            f"cell. Fill it so that every row, every column and every box of {height} rows and {width} columns holds "
            f"each digit from 1 to {self.size} once. Answer with the {self.positions} digits of the whole board, row "
            "by row, and nothing between them."
        )

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, use a larger size, or loosen givens and min_guesses."

    def drafts(self, split: Split, seed: int, found: Mapping[str, Problem]) -> Iterator[Draft | None]:
        """Boards are made in batches, of which some come to nothing."""
        import numpy as np

        draw = np.random.default_rng([seed, split == "test"])
        while True:
            batch = self._candidates(draw)
            yield from batch
            yield from [None] * (BATCH - len(batch))

    def _candidates(self, draw: NumpyGenerator) -> list[Draft]:
        """One batch of generated puzzles, of either split."""
        made = random_puzzles(self.size, None if self.givens == "minimal" else int(self.givens), draw)
        keys = rules.orbits(self.size, [question for question, _ in made], [answer for _, answer in made])
        return [self._draft_of(*pair, orbit) for pair, orbit in zip(made, keys, strict=True)]

    def _draft_of(self, question: str, answer: str, orbit: str) -> Draft:
        """Guesses are counted last, because that takes longest."""

        def finish() -> Problem | None:
            if self.min_guesses and guesses_needed(self.size, question) < self.min_guesses:
                return None
            return self._problem(question, answer, orbit)

        return Draft(question, orbit, finish)

    def _problem(self, question: str, answer: str, orbit: str) -> Problem:
        meta = {"givens": self.positions - question.count(rules.EMPTY)}
        return Problem(problem_id(self._board, question), question, answer, orbit, meta)

    def parse_question(self, text: str) -> Problem:
        """A typed puzzle: ``.``, ``0``, ``_`` or ``-`` is an empty cell; spaces and box lines mean nothing."""
        where = f"the {self._board} Sudoku"
        kept = "".join(text.split()).replace("|", "").replace("+", "")
        for sign in "0_":
            kept = kept.replace(sign, rules.EMPTY)
        without = kept.replace("-", "")
        cells = kept.replace("-", rules.EMPTY) if len(kept) == self.positions != len(without) else without
        for number, char in enumerate(cells):
            if char not in self.vocabulary:
                raise UserError(
                    f"'{char}' (cell {number + 1}) is neither a digit from 1 to {self.size} nor an empty cell.",
                    where=where,
                    cure=self._other_size(len(cells)) or "Write . for an empty cell.",
                )
        if len(cells) != self.positions:
            raise UserError(
                f"{len(cells)} cells were given instead of {self.positions}.",
                where=where,
                cure=self._other_size(len(cells)) or "Write the rows one after another, . for an empty cell.",
            )
        if broken := rules.broken_rule(self.size, cells):
            raise UserError(f"{broken}.", where=where, cure="Correct that given.")
        counts, solutions = count_solutions(self.size, candidates(self.size, rules.to_digits(self.size, [cells])))
        if counts[0] == 0:
            raise UserError("it has no solution.", where=where, cure="Correct a given.")
        if counts[0] > 1:
            raise UserError("it has more than one solution.", where=where, cure="Add givens.")
        answer = rules.to_text(solutions)[0]
        return self._problem(cells, answer, rules.orbits(self.size, [cells], [answer])[0])

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Puzzles of a file or data set in the form of Sudoku-Extreme (:mod:`benchmarks.files.csv_rows`).

        Rows are checked for form and for the rules; that a puzzle has one solution is proved for the rows that are
        returned.
        """
        rows = checked_rows(path, limit, seed, self._checked, self.source)
        problems: list[Problem] = []
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            questions, answers = [row.question for row in chunk], [row.answer for row in chunk]
            counts, _ = count_solutions(self.size, candidates(self.size, rules.to_digits(self.size, questions)))
            for row, found in zip(chunk, counts.tolist(), strict=True):
                if found != 1:
                    raise UserError(
                        "the puzzle has more than one solution.", where=row.where, cure="Remove the row or add givens."
                    )
            for row, orbit in zip(chunk, rules.orbits(self.size, questions, answers), strict=True):
                meta = {
                    "givens": self.positions - row.question.count(rules.EMPTY),
                    "source": row.source,
                    "rating": row.rating,
                    "line": row.line,
                }
                problems.append(Problem(f"{Path(path).name}:{row.line}", row.question, row.answer, orbit, meta))
        return problems

    def _checked(self, row: Row) -> Row:
        """The row itself, if question and answer have the right form and the answer is a Sudoku that fits."""
        for column, text, allowed in (
            ("question", row.question, self.vocabulary),
            ("answer", row.answer, self.digits),
        ):
            if len(text) != self.positions:
                raise UserError(
                    f"the {column} has {len(text)} characters instead of {self.positions}.",
                    where=row.where,
                    cure=self._other_size(len(text)) or "Restore the row from the published file.",
                )
            if unknown := set(text) - set(allowed):
                first = next(i for i, char in enumerate(text) if char in unknown)
                raise UserError(
                    f"the {column} has '{text[first]}' in {rules.name_of_cell(self.size, first)}.",
                    where=row.where,
                    cure=f"Use only {allowed}",
                )
        for cell, (given, digit) in enumerate(zip(row.question, row.answer, strict=True)):
            if given not in (rules.EMPTY, digit):
                raise UserError(
                    f"the answer has {digit} where the question gives {given}, "
                    f"in {rules.name_of_cell(self.size, cell)}.",
                    where=row.where,
                    cure="Correct the answer or remove the row.",
                )
        if broken := rules.broken_rule(self.size, row.answer):
            raise UserError(
                f"the answer is no Sudoku: {broken}.", where=row.where, cure="Correct the answer or remove the row."
            )
        return row

    def _other_size(self, cells: int) -> str:
        """The cure where the length is that of another board."""
        fitting = [size for size in rules.BOX if size * size == cells and size != self.size]
        return f"Use the task with size={fitting[0]}." if fitting else ""

    @property
    def _board(self) -> str:
        return f"sudoku-{self.size}x{self.size}"

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled solution; valid: rules and givens are kept; score: share of empty cells now right."""
        if answer is None:
            return Verdict.wrong("no answer could be read")
        text = answer.text
        if len(text) != self.positions:
            return Verdict.wrong(f"the answer has {len(text)} cells instead of {self.positions}")

        open_cells = [i for i, char in enumerate(problem.question) if char == rules.EMPTY]
        right = sum(text[i] == problem.answer[i] for i in open_cells)
        exact = text == problem.answer
        score = right / len(open_cells) if open_cells else float(exact)
        fault = self._fault(problem.question, text)
        return self.verdict(exact, fault, score, "a right filling, but not the labelled one")

    def _fault(self, question: str, answer: str) -> str:
        """What is wrong with a filling of the right length, in words; empty if it keeps the rules and the givens."""
        for cell, (given, digit) in enumerate(zip(question, answer, strict=True)):
            place = rules.name_of_cell(self.size, cell)
            if digit == rules.EMPTY:
                return f"{place} is empty"
            if digit not in self.digits:
                return f"{place} holds '{digit}', no digit from 1 to {self.size}"
            if given not in (rules.EMPTY, digit):
                return f"{place} was given as {given} and holds {digit}"
        return rules.broken_rule(self.size, answer)

    # --- grid form ------------------------------------------------------------------------------

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the group: digits, rows within bands, bands, columns within stacks, stacks, and (where boxes
        are square) transposition; 2 * 6**8 * 9! symmetries for 9x9."""
        import torch

        size, (height, width) = self.size, rules.BOX[self.size]
        rows = _shuffled_lines(batch, size // height, height, generator)
        columns = _shuffled_lines(batch, size // width, width, generator)
        cells = rows[:, :, None] * size + columns[:, None, :]
        if height == width:
            flip = torch.rand(batch, generator=generator, device=generator.device) < 0.5
            cells = torch.where(flip[:, None, None], cells.transpose(1, 2), cells)
        digits = permutations(batch, size, generator) + 2
        fixed = torch.arange(2, device=digits.device).expand(batch, 2)
        return Symmetries(cells.reshape(batch, -1), torch.cat([fixed, digits], dim=1))

    # --- text form ------------------------------------------------------------------------------

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Exactly ``size * size`` digits, spaces around them aside."""
        kept = text.strip()
        return Answer(kept) if len(kept) == self.positions and set(kept) <= set(self.digits) else None

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """The board with box lines; what an answer fills in stands in parentheses, a given that it changes too."""
        height, width = rules.BOX[self.size]
        shown = [f" {char} " for char in problem.question]
        if answer is not None:
            filled = answer.text.ljust(self.positions, "?")
            shown = [f" {g} " if g == a else f"({a})" for g, a in zip(problem.question, filled, strict=False)]
        lines = []
        for row in range(self.size):
            if row and row % height == 0:
                lines.append("+".join(["-" * 3 * width] * (self.size // width)))
            cells = shown[row * self.size : (row + 1) * self.size]
            lines.append("|".join("".join(cells[c : c + width]) for c in range(0, self.size, width)))
        return "\n".join(lines)


def _shuffled_lines(batch: int, bands: int, lines: int, generator: Generator) -> Int[Tensor, "b n"]:
    """Orders of the rows (or columns) that keep each band together."""
    order = permutations(batch, bands, generator)[:, :, None] * lines
    within = permutations(batch * bands, lines, generator).view(batch, bands, lines)
    return (order + within).reshape(batch, -1)
