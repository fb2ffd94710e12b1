"""HumanEval: Python functions to complete from their signature and description (Chen et al., arXiv 2107.03374).

A row is ``task_id``, ``prompt``, ``entry_point``, ``canonical_solution`` (the body alone) and ``test``, which defines
``check(candidate)``. All 164 are for testing; a training file is one of MBPP, of which the training tasks are taken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.files.text import sample
from benchmarks.problem import Problem
from benchmarks.verifiable.code.base import CodeProblems
from benchmarks.verifiable.code.mbpp import mbpp_problem, training_problems
from benchmarks.verifiable.word_problems import orbit_of


@dataclass(frozen=True)
class HumanEval(CodeProblems):
    """``meta`` keeps ``entry`` (the function's name) and ``prompt``; both are empty in a problem of MBPP."""

    family: ClassVar[str] = "humaneval"
    signs: ClassVar[str] = "\u00b2\u00b3\u2013\u2018\u2019\u2026\u2264\u279e"  # MBPP's among them

    @property
    def instructions(self) -> str:
        return (
            "Write the Python function that is described, with the standard library alone. "
            "Answer with the whole function in one ```python block."
        )

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """Training problems from MBPP, test problems from HumanEval, and never the other way round.

        Raises:
            UserError: also if a training file holds problems of HumanEval, or the test file one of MBPP.
        """
        train: list[Problem] = []
        for file in train_files:
            train += self.read(file)
        test = self.read(test_file, test_size, seed)
        where = " and ".join(map(str, train_files))
        if any(problem.meta["entry"] for problem in train):
            raise UserError(
                "HumanEval is for testing only.",
                where=where,
                cure="Name MBPP's file as train_file: mbpp/mbpp.jsonl.gz.",
            )
        if not all(problem.meta["entry"] for problem in test):
            raise UserError(
                "it holds problems of MBPP.", where=str(test_file), cure="Choose task=mbpp to be tested on MBPP."
            )
        return sample(training_problems(train), train_size, seed, where), test

    def problem_of(self, record: Record) -> Problem:
        if "test_list" in record.values:
            problem = mbpp_problem(record, shown=1)
            return Problem(problem.id, problem.question, problem.answer, problem.orbit, {**problem.meta, **NOT_HERE})
        name, entry = record.text("task_id"), record.text("entry_point")
        prompt, body, test = (_code(record, column) for column in ("prompt", "canonical_solution", "test"))
        for code, defined in ((prompt, entry), (test, "check")):
            if not _defines(code, defined):
                raise UserError(f"its code does not define {defined}.", where=record.where, cure=CORRECT)
        meta = {
            "line": record.line,
            "entry": entry,
            "prompt": prompt,
            "tests": ["check(candidate)"],
            # Tests use the prompt's other functions, and one uses the function itself.
            "setup": f"{prompt}\n{test}",
            "remote": [f"candidate={entry}", entry],
        }
        return Problem(name, prompt.strip(), (prompt + body).strip(), orbit_of(prompt), meta)

    def program(self, problem: Problem, answer: str) -> str:
        """The prompt, with its imports and helpers, then the answer: the whole function, or its body alone."""
        entry, prompt = problem.meta["entry"], problem.meta["prompt"]
        if not entry:
            return answer
        if re.search(rf"^(?:(?:async\s+)?def|class)\s+{re.escape(entry)}\b|^{re.escape(entry)}\s*=", answer, re.M):
            return f"{prompt}\n\n{answer}\n"
        body = answer if answer[:1].isspace() else f"    {answer}"
        return f"{prompt}{body}\n"


NOT_HERE = {"entry": "", "prompt": ""}


def _code(record: Record, column: str) -> str:
    record.text(column)
    return record.value(column).replace("\r\n", "\n")


def _defines(code: str, name: str) -> bool:
    try:
        return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError):
        return False
