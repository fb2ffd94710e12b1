"""Addition and multiplication of numbers with chosen digit counts, written with fixed width.

The grid form is the question followed by one slot per digit of the answer, so that a recursive model fills the
digits of ``27*34=0918`` in place; only these slots carry labels. The family's one symmetry is commutation.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.splits import split_of
from benchmarks.symmetries import IGNORE, Symmetries, to_device
from benchmarks.task import Measure, Split

SIGN = {"multiplication": "*", "addition": "+"}
SLOT = "_"  # an answer digit that is still to be filled


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

    family = "arithmetic"

    def __post_init__(self) -> None:
        if isinstance(self.digits, list):  # YAML and JSON give lists
            object.__setattr__(self, "digits", tuple(self.digits))
        if self.operation not in SIGN:
            raise UserError(
                f"unknown operation '{self.operation}'.", where="arithmetic", cure=f"Choose one of: {', '.join(SIGN)}."
            )
        if self.digits not in itertools.product(range(1, 10), repeat=2):
            raise UserError(
                f"digits must be two counts from 1 to 9, got {self.digits}.",
                where="arithmetic",
                cure="For example digits=[2,2].",
            )

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

    def generate(self, split: Split, count: int, seed: int) -> list[Problem]:
        first, second = self._ranges()
        rng = random.Random(f"{self.name} {split} {seed}")
        total = len(first) * len(second)
        if total <= 1_000_000:
            pairs = ((index // len(second), index % len(second)) for index in rng.sample(range(total), total))
        else:  # so many pairs that misses and repeats are rare
            pairs = ((rng.randrange(len(first)), rng.randrange(len(second))) for _ in range(20 * count + 1000))
        found: dict[str, Problem] = {}
        for i, j in pairs:
            problem = self.problem(first[i], second[j])
            if split_of(problem.orbit) == split:
                found.setdefault(problem.id, problem)
                if len(found) == count:
                    return list(found.values())
        raise UserError(
            f"only {len(found)} different {split} problems exist, {count} were asked for.",
            where=self.name,
            cure=f"Ask for at most {len(found)}, or for more digits.",
        )

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
            return Verdict(False, False, False, 0.0, "no answer could be read")
        exact = answer.text == problem.answer
        agreeing = sum(a == b for a, b in zip(answer.text, problem.answer, strict=False)) / self.width
        reason = "" if exact else f"{problem.question} is {int(problem.answer)}, not {answer.text}"
        return Verdict(exact, exact, exact, 1.0 if exact else min(agreeing, 1 - 1 / (2 * self.width)), reason)

    # --- grid form ------------------------------------------------------------------------------

    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        token = {symbol: index for index, symbol in enumerate(self.vocabulary, start=1)}
        given = self.positions - self.width
        input_ids = torch.tensor([[token[c] for c in f"{p.question}={SLOT * self.width}"] for p in problems])
        labels = torch.full_like(input_ids, IGNORE)
        labels[:, given:] = torch.tensor([[token[c] for c in p.answer] for p in problems])
        return input_ids, labels

    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        given = self.positions - self.width
        return self._spell(input_ids[: given - 1]), self._spell(labels[given:])

    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        return Answer("".join(c if c.isdigit() else "?" for c in self._spell(tokens[-self.width :])))

    def _spell(self, tokens: Int[Tensor, " l"]) -> str:
        return "".join(self.vocabulary[t - 1] if t > 0 else "?" for t in tokens.tolist())

    def sample_symmetries(self, batch: int, generator: torch.Generator) -> Symmetries:
        """Swap the operands of half of the rows (where both have the same number of digits)."""
        device = generator.device
        symmetries = Symmetries.identity(batch, self.positions, self.vocabulary_size, device)
        first, second = self.digits
        if first != second:
            return symmetries
        order = [*range(first + 1, 2 * first + 1), first, *range(first), *range(2 * first + 1, self.positions)]
        swapped = to_device(order, device)
        swap = torch.rand(batch, 1, generator=generator, device=device) < 0.5
        return Symmetries(torch.where(swap, swapped, symmetries.position), symmetries.token)

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return f"{problem.question}="

    def answer_text(self, problem: Problem) -> str:
        return problem.answer

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """Any way to write the number counts: ``918`` and ``0918`` are the same answer."""
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 3 * self.width:
            return None
        return Answer(f"{int(digits):0{self.width}d}")

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        return f"{problem.question} = {answer.text if answer else SLOT * self.width}"
