"""Sequences to copy, to reverse and to add, trained at some lengths and tested at others.

The small tests of length generalisation on which recursive language models are compared (arXiv 2603.08082 reports them
by character accuracy, which is :attr:`benchmarks.problem.Verdict.score` here). Sums are written lowest digit first,
both numbers and the answer, so that a carry goes the way in which a language model writes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmarks.errors import UserError, did_you_mean
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.splits import split_of
from benchmarks.task import Measure, Split, Task

LETTERS = "abcdefghij"
DIGITS = "0123456789"
SIGN = {"copy": ">", "reverse": "<", "addition": "+"}
TOLD = {
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
        if self.operation not in SIGN:
            raise UserError(
                f"unknown operation '{self.operation}'.", where=self.family, cure=did_you_mean(self.operation, SIGN)
            )
        if not self.lengths or min(self.length, *self.lengths) < 1:
            raise UserError(
                f"length={self.length}, test_lengths={self.test_lengths}.", where=self.family, cure="Give 1 or more."
            )
        if self.shortest is not None and not 1 <= self.shortest <= self.length:
            raise UserError(
                f"shortest={self.shortest} is no length of training problems of up to {self.length}.",
                where=self.family,
                cure=f"Give 1 to {self.length}, or leave it out.",
            )

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
        return TOLD[self.operation]

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

    def generate(self, split: Split, count: int, seed: int) -> list[Problem]:
        rng = random.Random(f"{self.name} {split} {seed}")
        found: dict[str, Problem] = {}
        tries = 20 * count + 1000
        for _ in range(tries):  # misses and repeats are rare, but for very short ones
            if split == "test":
                length = self.lengths[len(found) % len(self.lengths)]
            else:  # one length draws nothing, so that its problems are those of before there were several
                length = self.length if self.shortest is None else rng.choice(self.training_lengths)
            signs, parts = (DIGITS, 2) if self.operation == "addition" else (LETTERS, 1)
            problem = self.problem(*("".join(rng.choices(signs, k=length)) for _ in range(parts)))
            if split_of(problem.orbit) == split:
                found.setdefault(problem.id, problem)
                if len(found) == count:
                    return list(found.values())
        raise UserError(
            f"only {len(found)} different {split} problems were found in {tries} tries, {count} were asked for.",
            where=self.name,
            cure="Ask for fewer, or for longer ones.",
        )

    def parse_question(self, text: str) -> Problem:
        sign, signs = SIGN[self.operation], DIGITS if self.operation == "addition" else LETTERS
        parts = text.strip().removesuffix("=" if self.operation == "addition" else sign).split(sign)
        wanted = 2 if self.operation == "addition" else 1
        if len(parts) != wanted or len({len(part) for part in parts}) != 1 or not all(
            part and set(part) <= set(signs) and len(part) <= 1000 for part in parts
        ):  # fmt: skip
            example = "321+654=" if wanted == 2 else f"abc{sign}"
            raise UserError(
                f"'{text}' is no question of this family.", where=self.name, cure=f"Type it like {example}."
            )
        return self.problem(*parts)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        if answer is None:
            return Verdict(False, False, False, 0.0, "no answer could be read")
        exact = answer.text == problem.answer
        agreeing = sum(a == b for a, b in zip(answer.text, problem.answer, strict=False))
        reason = "" if exact else f"{agreeing} of {len(problem.answer)} signs are right"
        # Signs too many count against it, so that only the right answer scores 1.
        return Verdict(exact, exact, exact, agreeing / max(len(answer.text), len(problem.answer)), reason)

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return problem.question

    def answer_text(self, problem: Problem) -> str:
        return problem.answer

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        written = text.strip()
        signs = DIGITS if self.operation == "addition" else LETTERS
        return Answer(written) if written and set(written) <= set(signs) else None

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        return f"{problem.question} {answer.text if answer else '?' * len(problem.answer)}"
