"""Task: what every family of problems implements, so that every method can learn it and one verifier judges all.

A family gives a *text form* (question and answer as strings, for language models) and exactly one
:meth:`Task.verify`; most also give a *grid form* for recursive models and their symmetries
(:class:`benchmarks.grid_task.GridTask`).
``load_task("sudoku", size=6)`` builds one by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.csv_rows import sample
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.registry import Registry

Split = Literal["train", "test"]
Measure = Literal["exact", "valid"]


class Task(ABC):
    """One family of problems with its options fixed (size, difficulty). Subclasses are frozen dataclasses.

    Attributes:
        family: the registry's name of the family.
        name: family and options in one word, for example ``sudoku-4x4``.
        measure: which field of a verdict is reported as accuracy.
        alphabet: the characters that questions, traces and answers in text form may use.
        instructions: for a model that was not trained here: what is asked, and in what form the answer is wanted.
        concurrent: :meth:`verify` waits for other processes, and may be called from several threads.
    """

    family: ClassVar[str]
    concurrent: ClassVar[bool] = False
    measure: Measure

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def alphabet(self) -> str: ...

    @property
    @abstractmethod
    def instructions(self) -> str: ...

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

    # --- more of a problem -----------------------------------------------------------------------

    def augment(self, problems: Sequence[Problem], generator: torch.Generator) -> list[Problem]:
        """Each problem under a random symmetry of the family; as it is where the family has none."""
        return list(problems)

    def puzzle_of(self, problem: Problem) -> str | None:
        """Key of the puzzle whose hidden rule the problem is an example of (ARC); each variant of a puzzle gets a
        vector of its own. ``None``: the rule is the family's, and all problems share one vector."""
        return None

    def combine(self, ranked: Sequence[Answer]) -> Answer:
        """The answer to give when a problem was answered several times, the most frequent answer first."""
        return ranked[0]

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

    def find_answer(self, problem: Problem, text: str) -> Answer | None:
        """The one final answer in the free text of a model that was not trained here; ``None`` where there is none, or
        several."""
        from benchmarks.final_answer import final_answer

        found = final_answer(text)
        return None if found is None else self.parse_answer(problem, found)

    # --- for people -----------------------------------------------------------------------------

    @abstractmethod
    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        """The question, or the question with an answer filled in, as lines of monospaced text."""


FAMILIES: Registry[Task] = Registry(
    kind="task family",
    base="benchmarks.task:Task",
    group="reasoning_kit.tasks",
    own={
        "sudoku": "benchmarks.puzzles.sudoku.task:Sudoku",
        "maze": "benchmarks.puzzles.maze.task:Maze",
        "graph-coloring": "benchmarks.puzzles.graph_coloring.task:GraphColoring",
        "satisfiability": "benchmarks.puzzles.satisfiability.task:Satisfiability",
        "job-shop": "benchmarks.puzzles.job_shop.task:JobShop",
        "arc": "benchmarks.puzzles.arc.task:ARC",
        "arithmetic": "benchmarks.verifiable.arithmetic:Arithmetic",
        "sequences": "benchmarks.verifiable.sequences:Sequences",
        "countdown": "benchmarks.verifiable.countdown.task:Countdown",
        "gsm8k": "benchmarks.verifiable.gsm8k:GSM8K",
        "svamp": "benchmarks.verifiable.svamp:SVAMP",
        "aqua": "benchmarks.verifiable.aqua:AQuA",
        "gym": "benchmarks.verifiable.gym.task:Gym",
        "humaneval": "benchmarks.verifiable.code.humaneval:HumanEval",
        "mbpp": "benchmarks.verifiable.code.mbpp:MBPP",
        "cruxeval": "benchmarks.verifiable.code.cruxeval:CRUXEval",
        "exercism": "benchmarks.verifiable.code.exercism:Exercism",
    },
)


def family_class(family: str) -> type[Task]:
    """The class that implements a family.

    Raises:
        UserError: if there is no such family.
    """
    return FAMILIES[family]


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
