"""Two families as a stranger writes them: one text only, one with a grid form."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from benchmarks.grid_task import GridTask
from benchmarks.problem import Problem
from benchmarks.task import Task


@dataclass(frozen=True)
class Factors(Task):
    """Write the number as a product of two numbers, neither of them 1, as in 3*5.

    Every product is right.
    """

    largest: int = 30

    family: ClassVar[str] = "factors"

    def draw(self, rng: random.Random) -> tuple[str, str]:
        low, high = sorted(rng.randint(2, self.largest) for _ in range(2))
        return str(low * high), f"{low}*{high}"

    def is_right(self, problem: Problem, answer: str) -> bool:
        first, _, second = answer.partition("*")
        numbers = [int(part) for part in (first, second) if part.isdecimal()]
        return len(numbers) == 2 and min(numbers) > 1 and numbers[0] * numbers[1] == int(problem.question)


@dataclass(frozen=True)
class Sorting(GridTask):
    """Sort the letters."""

    count: int = 6
    fewest: int = 6

    family: ClassVar[str] = "sorting"
    symbols: ClassVar[str] = "abcdef"

    @property
    def length(self) -> int:
        return self.count

    def draw(self, rng: random.Random) -> tuple[str, str]:
        question = "".join(rng.choices(self.symbols, k=rng.randint(self.fewest, self.count)))
        return question, "".join(sorted(question))

    def solve(self, question: str) -> str | None:
        return "".join(sorted(question))


@dataclass(frozen=True)
class Flags(GridTask):
    """Colour the row of cells so that no two neighbours are alike; keep those that have a colour."""

    family: ClassVar[str] = "flags"
    symbols: ClassVar[str] = ".rgb"
    length: ClassVar[int] = 6

    def draw(self, rng: random.Random) -> tuple[str, str] | None:
        answer = "".join(rng.choices("rgb", k=self.length))
        question = "".join(char if rng.random() < 0.3 else "." for char in answer)
        return (question, answer) if self.is_right(Problem("", question, "", ""), answer) else None

    def is_right(self, problem: Problem, answer: str) -> bool:
        kept = all(given in (".", char) for given, char in zip(problem.question, answer, strict=False))
        alike = any(a == b for a, b in pairwise(answer))
        return len(answer) == self.length and kept and not alike and "." not in answer

    def symmetries(self) -> list[list[int] | dict[str, str]]:
        return [list(reversed(range(self.length))), {"r": "g", "g": "r"}, {"r": "g", "g": "b", "b": "r"}]
