"""Task: what every family of problems implements, so that every method can learn it and one verifier judges all.

A family gives a *grid form* (token ids and labels of fixed length, for recursive models), a *text form*
(question and answer as strings, for language models), its symmetries, and exactly one :meth:`Task.verify`.
``load_task("sudoku", size=6)`` builds one by name.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.errors import UserError, did_you_mean
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.puzzles.files import sample
from benchmarks.symmetries import Symmetries

Split = Literal["train", "test"]
Measure = Literal["exact", "valid"]

# Token 0 is padding in every family.
PADDING = 0


class Task(ABC):
    """One family of problems with its options fixed (size, difficulty). Subclasses are frozen dataclasses.

    Attributes:
        family: the registry's name of the family.
        name: family and options in one word, for example ``sudoku-4x4``.
        measure: which field of a verdict is reported as accuracy.
        positions: length ``l`` of the grid form.
        vocabulary: the character of every grid token from 1 on (token 0 is padding), so
            ``vocabulary_size == len(vocabulary) + 1``.
        alphabet: the characters that questions, traces and answers in text form may use.
    """

    family: ClassVar[str]
    measure: Measure

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def positions(self) -> int: ...

    @property
    @abstractmethod
    def vocabulary(self) -> str: ...

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary) + 1

    @property
    @abstractmethod
    def alphabet(self) -> str: ...

    # --- problems -------------------------------------------------------------------------------

    @abstractmethod
    def generate(self, split: Split, count: int, seed: int) -> list[Problem]:
        """``count`` different problems of one split.

        The split of a problem is a function of its orbit (:func:`benchmarks.splits.split_of`), so the two
        splits share no orbit whatever the seeds and counts.

        Raises:
            UserError: if the family has fewer than ``count`` different problems in this split.
        """

    @abstractmethod
    def parse_question(self, text: str) -> Problem:
        """A typed problem, checked and labelled with its right answer.

        Raises:
            UserError: if it is malformed, has no answer, or (where the family promises one) several.
        """

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of a published file, or of a split of a data set on the hub (``hub:OWNER/NAME:SPLIT``).

        Args:
            limit: a random choice of that many rows; ``None``: all.

        Raises:
            UserError: naming file, line and cure, for every way in which a file can be wrong.
        """
        raise UserError(
            f"the family '{self.family}' has no file form",
            where=str(path),
            cure="Leave train_file and test_file out: its problems are generated.",
        )

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """Training and test problems, each :meth:`read` by itself; from several training files a choice of them all.

        Raises:
            UserError: as :meth:`read`.
        """
        if len(train_files) == 1:
            train = self.read(train_files[0], train_size, seed)
        else:
            together = [problem for file in train_files for problem in self.read(file)]
            train = sample(together, train_size, seed, " and ".join(map(str, train_files)))
        return train, self.read(test_file, test_size, seed)

    # --- judging --------------------------------------------------------------------------------

    @abstractmethod
    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """The family's only verifier. ``None`` (nothing could be parsed) is wrong."""

    # --- grid form ------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """Token ids and labels; positions without a label hold :data:`benchmarks.symmetries.IGNORE`."""

    @abstractmethod
    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        """The question and answer of one row of :meth:`encode`, its inverse (also after a symmetry)."""

    @abstractmethod
    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer that a row of predicted tokens spells; a token that is no symbol becomes ``?``."""

    @abstractmethod
    def sample_symmetries(self, batch: int, generator: torch.Generator) -> Symmetries:
        """Random symmetries of the family, one per row; all of its symmetries can be drawn."""

    def augment(self, problems: Sequence[Problem], generator: torch.Generator) -> list[Problem]:
        """Each problem under a random symmetry: the same augmentation for language models as for recursive ones."""
        input_ids, labels = self.encode(problems)
        symmetries = self.sample_symmetries(len(problems), generator)
        moved = zip(problems, symmetries.apply(input_ids), symmetries.apply(labels), strict=True)
        return [
            replace(problem, question=question, answer=answer)
            for problem, (question, answer) in ((p, self.restore(ids, lab)) for p, ids, lab in moved)
        ]

    # --- puzzles and their variants -------------------------------------------------------------

    def puzzle_of(self, problem: Problem) -> str | None:
        """Key of the puzzle whose hidden rule the problem is an example of (ARC); each variant of a puzzle gets a
        vector of its own. ``None``: the rule is the family's, and all problems share one vector."""
        return None

    def variants(self, problem: Problem, most: int) -> int:
        """How many different numbered variants there are, at most ``most``; variant 0 is the problem as it is."""
        return most

    def encode_variants(
        self, problems: Sequence[Problem], variants: Sequence[int], generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """:meth:`encode` each problem under its numbered symmetry; a number always means the same symmetry.

        Args:
            generator: draws what is new each time a training problem is used (ARC: where the grids lie).
        """
        input_ids, labels = self.encode(problems)
        symmetries = self._numbered_symmetries(problems, variants)
        return symmetries.apply(input_ids), symmetries.apply(labels)

    def decode_variant(self, problem: Problem, variant: int, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer to the problem itself, from the tokens predicted for its variant."""
        back = self._numbered_symmetries([problem], [variant]).inverse()
        return self.decode(problem, back.apply(tokens[None])[0])

    def combine(self, ranked: Sequence[Answer]) -> Answer:
        """The answer to give when several variants of a problem were answered, the most frequent answer first."""
        return ranked[0]

    def _numbered_symmetries(self, problems: Sequence[Problem], variants: Sequence[int]) -> Symmetries:
        rows = [self._numbered_symmetry(p, v) for p, v in zip(problems, variants, strict=True)]
        return Symmetries(torch.cat([r.position for r in rows]), torch.cat([r.token for r in rows]))

    def _numbered_symmetry(self, problem: Problem, variant: int) -> Symmetries:
        if variant == 0:
            return Symmetries.identity(1, self.positions, self.vocabulary_size)
        digest = hashlib.sha256(f"{problem.id} {variant}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return self.sample_symmetries(1, generator)

    # --- text form ------------------------------------------------------------------------------

    @abstractmethod
    def question_text(self, problem: Problem) -> str:
        """The question as a language model reads it."""

    @abstractmethod
    def answer_text(self, problem: Problem) -> str:
        """The labelled answer as a language model writes it."""

    @abstractmethod
    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """The answer that a language model wrote, or ``None`` where it is not one."""

    # --- for people -----------------------------------------------------------------------------

    @abstractmethod
    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """The question, or the question with an answer filled in, as lines of monospaced text."""


FAMILIES = {
    "sudoku": "benchmarks.puzzles.sudoku:Sudoku",
    "maze": "benchmarks.puzzles.maze:Maze",
    "graph-coloring": "benchmarks.puzzles.graph_coloring:GraphColoring",
    "satisfiability": "benchmarks.puzzles.satisfiability:Satisfiability",
    "job-shop": "benchmarks.puzzles.job_shop:JobShop",
    "arc": "benchmarks.puzzles.arc:ARC",
    "arithmetic": "benchmarks.verifiable.arithmetic:Arithmetic",
}


def family_class(family: str) -> type[Task]:
    """The class that implements a family.

    Raises:
        UserError: if there is no such family.
    """
    if family not in FAMILIES:
        raise UserError(f"unknown task family '{family}'.", cure=did_you_mean(family, FAMILIES))
    module, name = FAMILIES[family].split(":")
    return getattr(import_module(module), name)


def load_task(family: str, **options: Any) -> Task:
    """Build a task: ``load_task("sudoku", size=6, givens="minimal")``.

    Raises:
        UserError: if the family, an option or an option's value is unknown.
    """
    cls = family_class(family)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # every Task is a dataclass
    for key in options:
        if key not in known:
            raise UserError(f"the family '{family}' has no option '{key}'.", cure=did_you_mean(key, known))
    return cls(**options)
