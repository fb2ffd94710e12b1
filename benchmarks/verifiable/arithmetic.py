"""Addition and multiplication of numbers with chosen digit counts, written with fixed width.

The grid form is the question followed by one slot per digit of the answer, so that a recursive model fills the
digits of ``27*34=0918`` in place; only these slots carry labels. The family's one symmetry is commutation.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.options import require, require_choice
from benchmarks.problem import Answer, Measure, Problem, Split, Verdict
from benchmarks.shapes import Generator
from benchmarks.symmetries import Symmetries, to_device

SIGN = {"multiplication": "*", "addition": "+"}
SLOT = "_"  # an answer digit that is still to be filled
LISTED = 1_000_000  # questions up to which all are shuffled, and none is drawn twice


@dataclass(frozen=True)
class Arithmetic(GridTask):
    """Products or sums of a ``digits[0]``-digit and a ``digits[1]``-digit number without leading zeros.

    Answers have a fixed width (padded with zeros), so that exact match and digit-wise agreement are well defined.

    Attributes:
        operation: what is asked.
        digits: of the first and of the second number.
    """

    operation: Literal["multiplication", "addition"] = "multiplication"
    digits: tuple[int, int] = (2, 2)
    measure: Measure = "exact"

    family: ClassVar[str] = "arithmetic"

    def __post_init__(self) -> None:
        if isinstance(self.digits, list):  # YAML and JSON give lists
            object.__setattr__(self, "digits", tuple(self.digits))
        require_choice("operation", self.operation, tuple(SIGN))
        counts = list(itertools.product(range(1, 10), repeat=2))
        require(self.digits in counts, "digits", "two counts from 1 to 9, for example [2,2]", self.digits)
        super().__post_init__()

    @property
    def name(self) -> str:
        return f"{self.operation}-{self.digits[0]}x{self.digits[1]}"

    @property
    def width(self) -> int:
        """Digits of the answer."""
        first, second = self.digits
        return first + second if self.operation == "multiplication" else max(first, second) + 1

    @property
    def positions(self) -> int:
        return sum(self.digits) + 2 + self.width

    @property
    def vocabulary(self) -> str:
        """Tokens 1 slot, 2 equals sign, 3 sign of the operation, then the digits."""
        return f"{SLOT}={SIGN[self.operation]}0123456789"

    @property
    def alphabet(self) -> str:
        return "=+*;0123456789"

    @property
    def instructions(self) -> str:
        return f"Work out the {'product' if self.operation == 'multiplication' else 'sum'}. Answer with the number."

    # --- problems -------------------------------------------------------------------------------

    def problem(self, first: int, second: int) -> Problem:
        sign = SIGN[self.operation]
        value = first * second if sign == "*" else first + second
        # Commutation swaps the operands; with unequal digit counts the swapped question is another family's.
        low, high = sorted((first, second))
        question = f"{first}{sign}{second}"
        return Problem(
            id=question, question=question, answer=f"{value:0{self.width}d}", orbit=f"{low}{sign}{high}", meta={}
        )

    def _ranges(self) -> tuple[range, range]:
        first, second = (range(10 ** (count - 1) if count > 1 else 0, 10**count) for count in self.digits)
        return first, second

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, or for more digits."

    def drafts(self, split: Split, seed: int, found: Mapping[str, Problem]) -> Iterator[Draft | None]:
        """Every question once; where there are very many, random ones."""
        first, second = self._ranges()
        rng = random.Random(f"{self.name} {split} {seed}")
        total = len(first) * len(second)

        pairs: Iterable[tuple[int, int]]
        if total <= LISTED:
            pairs = (divmod(index, len(second)) for index in rng.sample(range(total), total))
        else:
            pairs = ((rng.randrange(len(first)), rng.randrange(len(second))) for _ in itertools.count())
        for i, j in pairs:
            yield Draft.of(self.problem(first[i], second[j]))

    def parse_question(self, text: str) -> Problem:
        sign = SIGN[self.operation]
        parts = text.replace(" ", "").rstrip("=").split(sign)
        first, second = self._ranges()
        if (
            len(parts) != 2
            or not all(part.isascii() and part.isdigit() and len(part) < 100 for part in parts)
            or int(parts[0]) not in first
            or int(parts[1]) not in second
        ):
            raise UserError(
                f"'{text}' is no {self.operation} of a {self.digits[0]}-digit and a {self.digits[1]}-digit number.",
                where=self.name,
                cure=f"Type it like {first[-1]}{sign}{second[0]}.",
            )
        return self.problem(int(parts[0]), int(parts[1]))

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        if answer is None:
            return Verdict.wrong("no answer could be read")

        exact = answer.text == problem.answer
        agreeing = sum(a == b for a, b in zip(answer.text, problem.answer, strict=False)) / self.width
        score = 1.0 if exact else min(agreeing, 1 - 1 / (2 * self.width))
        fault = "" if exact else f"{problem.question} is {int(problem.answer)}, not {answer.text}"
        return self.verdict(exact, fault, score)

    # --- grid form ------------------------------------------------------------------------------

    @property
    def answer_cells(self) -> slice:
        """The slots, at the end."""
        return slice(-self.width, None)

    def question_row(self, question: str) -> str:
        return f"{question}={SLOT * self.width}"

    def read_question_row(self, row: str) -> str:
        return row[: -self.width - 1]

    def answer_row(self, answer: str) -> str:
        return answer

    def read_answer_row(self, row: str) -> str:
        return "".join(char if char.isdigit() else "?" for char in row)

    def sample_symmetries(self, batch: int, generator: Generator) -> Symmetries:
        """Swap the operands of half of the rows (where both have the same number of digits)."""
        import torch

        device = generator.device
        symmetries = Symmetries.identity(batch, self.positions, self.vocabulary_size, device)
        first, second = self.digits
        if first != second:
            return symmetries

        # The cells of the second number, the sign, those of the first number, and the rest.
        order = [*range(first + 1, 2 * first + 1), first, *range(first), *range(2 * first + 1, self.positions)]
        swapped = to_device(order, device)
        swap = torch.rand(batch, 1, generator=generator, device=device) < 0.5
        return Symmetries(torch.where(swap, swapped, symmetries.position), symmetries.token)

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return f"{problem.question}="

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Any way to write the number counts: ``918`` and ``0918`` are the same answer."""
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 3 * self.width:
            return None
        return Answer(f"{int(digits):0{self.width}d}")

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        return f"{problem.question} = {answer.text if answer else SLOT * self.width}"
