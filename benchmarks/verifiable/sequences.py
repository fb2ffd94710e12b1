"""Sequences to copy, to reverse and to add, trained at some lengths and tested at others.

The small tests of length generalisation on which recursive language models are compared (arXiv 2603.08082 reports them
by character accuracy, which is :attr:`benchmarks.problem.Verdict.score` here). Sums are written lowest digit first,
both numbers and the answer, so that a carry goes the way in which a language model writes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.options import is_whole, require, require_choice, require_whole
from benchmarks.problem import Answer, Measure, Problem, Split, Verdict
from benchmarks.task import Task

LETTERS = "abcdefghij"
DIGITS = "0123456789"
SIGN = {"copy": ">", "reverse": "<", "addition": "+"}
INSTRUCTIONS = {
    "copy": "Repeat the letters before the sign >.",
    "reverse": "Write the letters before the sign < from the last to the first.",
    "addition": "Add the two numbers. They are written with the lowest digit first; answer in the same way, with one "
    "digit more than they have.",
}


@dataclass(frozen=True)
class Sequences(Task):
    """Questions such as ``abc>``, ``abc<`` or ``321+654=`` (123 + 456, answered ``9750``).

    Attributes:
        operation: what is asked; ``addition`` is of two numbers, written with the lowest digit first.
        length: characters of a training problem's sequence, or digits of its numbers.
        shortest: training problems are drawn from this length to ``length``, each as likely; ``None``: all have it.
        test_lengths: those of test problems, equally many of each; ``None``: ``length``.
    """

    operation: Literal["copy", "reverse", "addition"] = "copy"
    length: int = 10
    shortest: int | None = None
    test_lengths: tuple[int, ...] | None = None
    measure: Measure = "exact"

    family: ClassVar[str] = "sequences"

    def __post_init__(self) -> None:
        if self.test_lengths is not None:  # YAML and JSON give lists
            object.__setattr__(self, "test_lengths", tuple(self.test_lengths))
        require_choice("operation", self.operation, tuple(SIGN))
        require_whole("length", self.length, 1)
        fits = bool(self.lengths) and all(is_whole(length, 1) for length in self.lengths)
        require(fits, "test_lengths", "a list of whole numbers of at least 1", self.test_lengths)
        require_whole("shortest", self.shortest, 1, self.length, or_null=True)
        super().__post_init__()

    @property
    def training_lengths(self) -> range:
        return range(self.length if self.shortest is None else self.shortest, self.length + 1)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of test problems."""
        return (self.length,) if self.test_lengths is None else self.test_lengths

    @property
    def name(self) -> str:
        lengths = f"{self.length}" if self.shortest is None else f"{self.shortest}to{self.length}"
        return f"{self.operation}-{lengths}-long"

    @property
    def alphabet(self) -> str:
        return f"{DIGITS}+=;" if self.operation == "addition" else f"{LETTERS}{SIGN[self.operation]};"

    @property
    def instructions(self) -> str:
        return INSTRUCTIONS[self.operation]

    # --- problems -------------------------------------------------------------------------------

    def problem(self, *sequences: str) -> Problem:
        """The problem of one sequence, or of the two numbers of a sum."""
        [first, *rest] = sequences
        if self.operation == "addition":
            total = sum(int(number[::-1]) for number in sequences)
            answer = f"{total:0{len(first) + 1}d}"[::-1]
            low, high = sorted((first, rest[0]))
            return Problem(f"{first}+{rest[0]}", f"{first}+{rest[0]}=", answer, f"{low}+{high}", {"length": len(first)})
        answer = first if self.operation == "copy" else first[::-1]
        return Problem(first, first + SIGN[self.operation], answer, first, {"length": len(first)})

    @property
    def more_problems(self) -> str:
        return "Ask for fewer, or for longer ones."

    def drafts(self, split: Split, seed: int, found: Mapping[str, Problem]) -> Iterator[Draft | None]:
        """The lengths of test problems take turns, each as soon as a problem of the one before was found."""
        rng = random.Random(f"{self.name} {split} {seed}")
        signs, parts = (DIGITS, 2) if self.operation == "addition" else (LETTERS, 1)
        for _ in itertools.count():
            if split == "test":
                length = self.lengths[len(found) % len(self.lengths)]
            elif self.shortest is None:  # draws nothing, so that these problems are those of before there were several
                length = self.length
            else:
                length = rng.choice(self.training_lengths)
            problem = self.problem(*("".join(rng.choices(signs, k=length)) for _ in range(parts)))
            yield Draft.of(problem)

    def parse_question(self, text: str) -> Problem:
        sign = SIGN[self.operation]
        is_sum = self.operation == "addition"
        signs, ending, wanted = (DIGITS, "=", 2) if is_sum else (LETTERS, sign, 1)

        parts = text.strip().removesuffix(ending).split(sign)
        alike = len(parts) == wanted and len({len(part) for part in parts}) == 1
        if not alike or not all(part and set(part) <= set(signs) and len(part) <= 1000 for part in parts):
            example = "321+654=" if is_sum else f"abc{sign}"
            raise UserError(
                f"a question of this family must look like {example}, not '{text}'.",
                where=self.name,
                cure="Type it in that form.",
            )
        return self.problem(*parts)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        if answer is None:
            return Verdict.wrong("no answer could be read")

        exact = answer.text == problem.answer
        agreeing = sum(a == b for a, b in zip(answer.text, problem.answer, strict=False))
        fault = "" if exact else f"{agreeing} of {len(problem.answer)} signs are right"
        # Signs too many count against it, so that only the right answer scores 1.
        return self.verdict(exact, fault, agreeing / max(len(answer.text), len(problem.answer)))

    # --- text form ------------------------------------------------------------------------------

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        written = text.strip()
        signs = DIGITS if self.operation == "addition" else LETTERS
        return Answer(written) if written and set(written) <= set(signs) else None

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        return f"{problem.question} {answer.text if answer else '?' * len(problem.answer)}"
