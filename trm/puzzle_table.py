"""Which of the model's vectors belong to which puzzle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Problem


@dataclass(frozen=True)
class PuzzleTable:
    """Which vectors belong to which puzzle: one for each of its variants. Vector 0 belongs to none.

    Attributes:
        ranges: name of a puzzle -> its first vector and how many it has.
    """

    ranges: dict[str, list[int]]

    @classmethod
    def build(cls, task: GridTask, problems: Sequence[Problem], most: int) -> PuzzleTable:
        """``most`` variants for each puzzle of the training problems, fewer where there are not so many."""
        ranges: dict[str, list[int]] = {}
        first = 1
        for problem in problems:
            name = task.puzzle_of(problem)
            if name is not None and name not in ranges:
                ranges[name] = [first, task.variants(problem, most)]
                first += ranges[name][1]
        return cls(ranges)

    @property
    def vectors(self) -> int:
        return 1 + sum(count for _, count in self.ranges.values())

    def vector(self, name: str | None, variant: int) -> int:
        """The vector of a puzzle's variant; 0 for a problem without puzzle.

        Raises:
            UserError: if the puzzle was not trained on, or has fewer variants.
        """
        if name is None or not self.ranges:
            return 0
        if name not in self.ranges:
            raise UserError(
                f"the model has no vector for puzzle '{name}'.",
                where="puzzle",
                cure="Train on the puzzle's demonstrations: a rule that was never seen cannot be applied.",
            )
        first, count = self.ranges[name]
        if not 0 <= variant < count:
            raise UserError(
                f"puzzle '{name}' has vectors for {count} variants, variant {variant} is asked for.",
                where="votes",
                cure=f"Ask for at most {count}, or train with more augmentations.",
            )
        return first + variant
