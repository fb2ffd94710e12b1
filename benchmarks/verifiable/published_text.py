"""What families of written problems share: published files, no generator, the signs of their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from benchmarks.errors import UserError
from benchmarks.files.text import sample
from benchmarks.problem import Measure, Problem, Split, split_of
from benchmarks.task import Task

ASCII = "".join(map(chr, range(32, 127))) + "\n\t"


@dataclass(frozen=True)
class PublishedText(Task):
    """Problems that people wrote."""

    measure: Measure = "exact"

    signs: ClassVar[str] = ""  # what the family's published files hold beyond ASCII

    @property
    def name(self) -> str:
        return self.family

    @property
    def alphabet(self) -> str:
        """Printable ASCII, and every other character of the published files."""
        return ASCII + self.signs

    def generate(self, split: Split, count: int, seed: int) -> NoReturn:
        """The problems were written by people: there is no generator."""
        raise UserError(
            f"{self.family} has no generator of problems.",
            where=self.name,
            cure=f"Name files (train_file and test_file), as task={self.family} data=FOLDER does.",
        )


class OneFile(Task):
    """Mixed into a family whose one published file holds both splits; no dataclass, so it has no options of its own."""

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """A hash of the orbit says where a problem goes."""
        train: list[Problem] = []
        for file in train_files:
            train += [p for p in self.read(file) if split_of(p.orbit) == "train"]
        test = [p for p in self.read(test_file) if split_of(p.orbit) == "test"]
        where = " and ".join(map(str, train_files))
        return sample(train, train_size, seed, where), sample(test, test_size, seed, test_file)
