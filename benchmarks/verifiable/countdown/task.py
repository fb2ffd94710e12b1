"""Countdown: make the target from the numbers, each used exactly once, with + - * / and parentheses.

A question is written ``31,13,92=74``, an answer as an expression, ``92-31+13``. The task is that of TinyZero: any
expression with the right value is right, also with negative or fractional values on the way; it is judged exactly, by
a parser of its own (:mod:`benchmarks.verifiable.countdown.expressions`). The label is the first answer of the search
that the traces show (:mod:`benchmarks.verifiable.countdown.search`), so it does not depend on the order of the numbers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.options import is_whole, require, require_whole
from benchmarks.problem import Answer, Measure, Problem, Verdict, problem_id
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, permutations
from benchmarks.verifiable.countdown import expressions
from benchmarks.verifiable.countdown.expressions import SIGNS, ExpressionError, combined
from benchmarks.verifiable.countdown.files import Row, checked_rows
from benchmarks.verifiable.countdown.search import GaveUp, first_answer

BLANK = "_"  # a cell of the grid form that holds nothing
MOST_NUMBERS = 6
LARGEST = 999  # that numbers and targets can be


@dataclass(frozen=True)
class Countdown(GridTask):
    """Generated problems are drawn as those of the data folder: numbers and signs at random, intermediate values
    positive whole numbers. No two have the same numbers and target.

    Attributes:
        numbers: how many, 3 to 6.
        fewest: of questions with different counts, how many numbers there are at least; ``None``: always ``numbers``.
        largest: that a number can be, at most 999.
        target: smallest and largest target.
        measure: ``valid``: any right expression; ``exact``: the labelled one, but for needless parentheses.
    """

    numbers: int = 3
    fewest: int | None = None
    largest: int = 99
    target: tuple[int, int] = (10, 99)
    measure: Measure = "valid"

    family: ClassVar[str] = "countdown"

    def __post_init__(self) -> None:
        if isinstance(self.target, list):  # YAML and JSON give lists
            object.__setattr__(self, "target", tuple(self.target))
        require_whole("numbers", self.numbers, 3, MOST_NUMBERS)
        require_whole("fewest", self.fewest, 3, self.numbers, or_null=True)
        require_whole("largest", self.largest, 2, LARGEST)
        ends = self.target if isinstance(self.target, tuple) and len(self.target) == 2 else (0, 0)
        fits = all(is_whole(end, 1, LARGEST) for end in ends) and ends[0] <= ends[1]
        wanted = f"the smallest and the largest target, from 1 to {LARGEST}, for example [10,99]"
        require(fits, "target", wanted, self.target)
        super().__post_init__()

    @property
    def name(self) -> str:
        count = f"{self.numbers}" if self.least == self.numbers else f"{self.least}to{self.numbers}"
        largest = "" if self.largest == Countdown.largest else f"-largest{self.largest}"
        target = "" if self.target == Countdown.target else f"-target{self.target[0]}to{self.target[1]}"
        return f"countdown-{count}{largest}{target}"

    @property
    def least(self) -> int:
        """Numbers that a question has at least."""
        return self.numbers if self.fewest is None else self.fewest

    @property
    def alphabet(self) -> str:
        """Digits, signs, what separates numbers, and the signs of the traces."""
        return "0123456789" + SIGNS + "()=," + ";:|><!"

    @property
    def instructions(self) -> str:
        return (
            "Before the equals sign stand numbers, behind it a target: make the target from the numbers, using every "
            "number exactly once, with + - * / and parentheses. "
            "The final answer is the expression alone, for example (48/2)+3, without the equals sign and the target."
        )

    # --- problems -------------------------------------------------------------------------------

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, or for more or larger numbers or a wider range of targets."

    def draw(self, rng: random.Random) -> Draft | None:
        """Random numbers, and what a random combination of them makes; ``None`` if that is no target."""
        numbers = [rng.randint(1, self.largest) for _ in range(rng.randint(self.least, self.numbers))]
        left = [Fraction(number) for number in numbers]
        while len(left) > 1:
            first, second = (left.pop(rng.randrange(len(left))) for _ in range(2))
            made = combined(rng.choice(SIGNS), first, second)
            if made < 1 or made.denominator != 1:
                return None
            left.append(made)

        target = int(left[0])
        if not self.target[0] <= target <= self.target[1]:
            return None
        orbit = _orbit(numbers, target)
        return Draft(orbit, orbit, lambda: self.problem(numbers, target))

    def problem(self, numbers: Sequence[int], target: int, where: str = "", **meta: str | int) -> Problem:
        """A checked question with its label.

        Raises:
            UserError: if it has no answer, or none is found in time.
        """
        question = f"{','.join(map(str, numbers))}={target}"
        try:
            tree = first_answer(numbers, target)
        except GaveUp:
            raise UserError(
                f"no answer to {question} was found in time.", where=where or self.name, cure="Use fewer numbers."
            ) from None
        if tree is None:
            raise UserError(
                f"{question} has no answer.", where=where or self.name, cure="Change a number or the target."
            )
        known = {key: value for key, value in meta.items() if value != ""}
        return Problem(
            problem_id("countdown", question), question, expressions.write(tree), _orbit(numbers, target), known
        )

    def parse_question(self, text: str) -> Problem:
        """A typed question such as ``31,13,92=74`` or ``31 13 92 = 74``."""
        if not re.fullmatch(r"\s*[0-9]{1,9}([\s,]+[0-9]{1,9})*\s*=\s*[0-9]{1,9}\s*", text):
            raise UserError(f"'{text[:40]}' is no question.", where=self.name, cure="Type it like 31,13,92=74.")
        left, _, right = text.partition("=")
        numbers = [int(number) for number in re.findall("[0-9]+", left)]
        self._check(numbers, int(right), self.name)
        return self.problem(numbers, int(right))

    def _check(self, numbers: Sequence[int], target: int, where: str) -> None:
        """
        Raises:
            UserError: if the task has no question like this.
        """
        if not self.least <= len(numbers) <= self.numbers:
            one = f"{self.least} to {self.numbers}" if self.least < self.numbers else str(self.numbers)
            raise UserError(
                f"there are {len(numbers)} numbers instead of {one}.",
                where=where,
                cure=f"Use a task with numbers={max(len(numbers), self.numbers)} "
                f"and fewest={min(len(numbers), self.least)}.",
            )
        for number in numbers:
            if not 1 <= number <= self.largest:
                raise UserError(
                    f"{number} is no number from 1 to {self.largest}.",
                    where=where,
                    cure="Correct it, or use a task with a larger largest.",
                )
        if not self.target[0] <= target <= self.target[1]:
            raise UserError(
                f"the target {target} is not from {self.target[0]} to {self.target[1]}.",
                where=where,
                cure="Correct it, or use a task with a wider target, for example target=[1,100].",
            )

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of a file or data set (:mod:`benchmarks.verifiable.countdown.files`), fully checked.

        The label is that of every question with these numbers and this target; the row's own solution must be right
        and is kept in ``meta``.
        """
        rows = checked_rows(path, limit, seed, self._checked)
        return [self.problem(row.numbers, row.target, row.where, solution=row.solution, line=row.line) for row in rows]

    def _checked(self, row: Row) -> Row:
        self._check(row.numbers, row.target, row.where)
        if row.solution:
            try:
                fault = expressions.fault(expressions.parse(row.solution), list(row.numbers), row.target)
            except ExpressionError as error:
                fault = str(error)
            if fault:
                raise UserError(
                    f"the solution '{row.solution[:60]}' is wrong: {fault}.",
                    where=row.where,
                    cure="Correct or remove the row.",
                )
        return row

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the labelled expression; valid: the target from all the numbers, each once.

        The score of a wrong answer is 0 without an expression, at most a half with other numbers, and from there up to
        less than 1 the nearer the value is to the target.
        """
        if answer is None:
            return Verdict.wrong("no expression could be read")
        given, target = _read_question(problem.question)
        try:
            tree = expressions.parse(answer.text)
        except ExpressionError as error:
            return Verdict.wrong(str(error))

        fault = expressions.fault(tree, given, target)
        exact = not fault and expressions.write(tree) == problem.answer
        score = _closeness(tree, given, target) if fault else 1.0
        verdict = self.verdict(exact, fault, score, "a right expression, but not the labelled one")
        return verdict if verdict.correct else replace(verdict, score=min(score, 0.99))

    # --- grid form ------------------------------------------------------------------------------

    @property
    def _digits(self) -> tuple[int, int]:
        """Cells of a number and of the target."""
        return len(str(self.largest)), len(str(self.target[1]))

    @property
    def _given(self) -> int:
        """Cells of the question."""
        return self.numbers * self._digits[0] + self._digits[1]

    @property
    def width(self) -> int:
        """Cells of the answer: the numbers, a sign between two, two parentheses for all but the outermost sign."""
        return self.numbers * self._digits[0] + (self.numbers - 1) + 2 * (self.numbers - 2)

    @property
    def positions(self) -> int:
        return self._given + self.width

    @property
    def vocabulary(self) -> str:
        return BLANK + SIGNS + "()0123456789"

    @property
    def answer_cells(self) -> slice:
        """Those of the expression, the blank ones behind it too."""
        return slice(self._given, None)

    def question_row(self, question: str) -> str:
        """The numbers (those that are fewer than most followed by blank ones) and the target, with leading zeros; then
        blanks for the expression."""
        cells, digits = self._digits
        numbers, target = _read_question(question)
        shown = "".join(f"{number:0{cells}d}" for number in numbers).ljust(self.numbers * cells, BLANK)
        return f"{shown}{target:0{digits}d}{BLANK * self.width}"

    def read_question_row(self, row: str) -> str:
        cells, digits = self._digits
        shown = [row[at : at + cells] for at in range(0, self.numbers * cells, cells)]
        numbers = ",".join(str(int(number)) for number in shown if number != BLANK * cells)
        target = int(row[self._given - digits : self._given])
        return f"{numbers}={target}"

    def answer_row(self, answer: str) -> str:
        return answer.ljust(self.width, BLANK)

    def read_answer_row(self, row: str) -> str:
        return row.rstrip(BLANK)

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Uniform over the orders of the numbers; the answer stays as it is."""
        import torch

        # The cells [b, numbers, digits] of a number move together.
        cells, device = self._digits[0], generator.device
        order = permutations(batch, self.numbers, generator)
        moved = (order[:, :, None] * cells + torch.arange(cells, device=device)).flatten(1)
        rest = torch.arange(self.numbers * cells, self.positions, device=device).expand(batch, -1)
        kept = Symmetries.identity(batch, self.positions, self.vocabulary_size, device)
        return Symmetries(torch.cat([moved, rest], dim=1), kept.token)

    # --- text form ------------------------------------------------------------------------------

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """One expression, spaces aside, whatever its numbers and value; ``=`` and the question's target may follow."""
        left, equals, right = text.strip().partition("=")
        if equals and right.strip(" ") != problem.question.partition("=")[2]:
            return None
        try:
            expressions.parse(left)
        except ExpressionError:
            return None
        return Answer(left.replace(" ", ""))

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        numbers, target = _read_question(problem.question)
        shown = f"{' '.join(map(str, numbers))}  ->  {target}"
        return shown if answer is None else f"{shown}\n{answer.text}"


def _read_question(question: str) -> tuple[list[int], int]:
    left, _, right = question.partition("=")
    return [int(number) for number in left.split(",")], int(right)


def _orbit(numbers: Sequence[int], target: int) -> str:
    return f"{','.join(map(str, sorted(numbers)))}={target}"


def _closeness(tree: expressions.Tree, given: list[int], target: int) -> float:
    """Of a wrong expression: how many of the numbers it uses, then how near its value is."""
    used, missing = expressions.numbers(tree), list(given)
    for number in used:
        if number in missing:
            missing.remove(number)
    if missing or len(used) != len(given):
        return 0.5 * (len(given) - len(missing)) / max(len(given), len(used))
    try:
        return 0.5 + 0.5 / (1 + float(abs(expressions.value(tree) - target)))
    except ExpressionError:
        return 0.5
