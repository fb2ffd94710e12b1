"""SVAMP: arithmetic word problems that are variations of each other (Patel et al., arXiv 2103.07191).

A row is ``Body``, ``Question``, ``Equation`` and ``Answer``. The published file is one and normally for testing only.
Named as training and as test file, it is divided by story (the body without its numbers), about three to one, so that
no test problem is a training problem with other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.files.text import sample
from benchmarks.problem import Problem, split_of
from benchmarks.verifiable.numbers import canonical
from benchmarks.verifiable.word_problems import NumberProblems, number_label, orbit_of


@dataclass(frozen=True)
class SVAMP(NumberProblems):
    """``meta`` keeps the ``equation`` as it was published, the ``body`` of the question, and the ``line``."""

    family: ClassVar[str] = "svamp"

    @property
    def instructions(self) -> str:
        return "This is an arithmetic word problem. Answer with one number, without its unit."

    def problem_of(self, record: Record, key: str) -> Problem:
        body, asked, equation = (record.text(column) for column in ("Body", "Question", "Equation"))
        value = record.value("Answer")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                answer = canonical(Fraction(str(value)))
            except ValueError:  # NaN, Infinity
                raise UserError(f"the Answer is {value}.", where=record.where, cure=CORRECT) from None
        else:
            answer = number_label(record.text("Answer"), record.where)
        # Some bodies are the first half of a sentence: "If there is a discount of 25 dollars on each pack"
        question = f"{body}{'' if body[-1] in '.?!,;' else ','} {asked}"
        meta = {"line": record.line, "equation": equation, "body": body}
        return Problem(key, question, answer, orbit_of(question), meta)

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """See :meth:`Task.read_splits`; one file under both names is divided."""
        if [str(file) for file in train_files] != [str(test_file)]:
            return super().read_splits(train_files, test_file, train_size, test_size, seed)
        problems = self.read(test_file)
        train, test = ([p for p in problems if split_of(story(p)) == split] for split in ("train", "test"))
        where = (f"{test_file}, {part}" for part in ("training part", "test part"))
        return sample(train, train_size, seed, next(where)), sample(test, test_size, seed, next(where))


def story(problem: Problem) -> str:
    """The body without its numbers, case and punctuation: variations of one problem share it."""
    return " ".join(re.findall(r"[a-z]+", str(problem.meta["body"]).lower()))
