"""MBPP: small programming tasks with three tests each (Austin et al., arXiv 2108.07732).

A row is ``text``, ``code``, ``task_id``, ``test_list`` and ``test_setup_code``. As published, task ids 11 to 510 are
for testing, the others for training.
"""

from __future__ import annotations

import ast
import builtins
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.files.text import sample
from benchmarks.options import require_choice
from benchmarks.problem import Problem
from benchmarks.verifiable.code.base import CodeProblems
from benchmarks.verifiable.word_problems import orbit_of

TESTING = range(11, 511)
ASKED_AGAIN = (602, 704, 872)  # training tasks whose text is that of a test task (217, 248, 216): left out


@dataclass(frozen=True)
class MBPP(CodeProblems):
    """``meta`` keeps ``task_id``.

    Attributes:
        shown: how many of the three tests the question shows; the first says what the function is called. All three
            were shown in the published evaluation, but then an answer can hold the three expected values and nothing
            else, which is what a model soon learns if it is rewarded for it. All three always judge.
    """

    shown: int = 1

    family: ClassVar[str] = "mbpp"
    signs: ClassVar[str] = "\u00b2\u00b3\u2013\u2018\u2019\u2026"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("shown", self.shown, (1, 2, 3))

    @property
    def name(self) -> str:
        return "mbpp" if self.shown == 1 else f"mbpp-shown{self.shown}"

    @property
    def instructions(self) -> str:
        return (
            "Write a function in Python with the standard library alone. Tests like the one shown judge it. "
            "Answer with the code in one ```python block."
        )

    def read_splits(
        self,
        train_files: Sequence[str | Path],
        test_file: str | Path,
        train_size: int | None,
        test_size: int | None,
        seed: int,
    ) -> tuple[list[Problem], list[Problem]]:
        """One published file holds both splits: each problem goes where its task id says, whatever file it is from."""
        train: list[Problem] = []
        for file in train_files:
            train += training_problems(self.read(file))
        test = [problem for problem in self.read(test_file) if problem.meta["task_id"] in TESTING]
        where = " and ".join(map(str, train_files))
        return sample(train, train_size, seed, where), sample(test, test_size, seed, test_file)

    def problem_of(self, record: Record) -> Problem:
        return mbpp_problem(record, self.shown)


def training_problems(problems: Sequence[Problem]) -> list[Problem]:
    """Those that are for training and whose question is no test question."""
    return [p for p in problems if p.meta["task_id"] not in TESTING and p.meta["task_id"] not in ASKED_AGAIN]


def mbpp_problem(record: Record, shown: int) -> Problem:
    """
    Raises:
        UserError: if the row is none of MBPP.
    """
    text, code = record.text("text"), record.text("code").replace("\r\n", "\n")
    tests, setup, number = record.value("test_list"), record.value("test_setup_code"), record.value("task_id")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise UserError("the test_list is no list of texts.", where=record.where, cure=CORRECT)
    if not isinstance(setup, str):
        raise UserError("the test_setup_code is no text.", where=record.where, cure=CORRECT)
    if not isinstance(number, int):
        raise UserError(f"the task_id is no whole number but {number!r:.20}.", where=record.where, cure=CORRECT)
    imports, remote = _names(code, [setup, *tests], record.where)
    examples = "\n".join(test.strip() for test in tests[:shown])
    question = f"{text}\nThe function must pass {'this test' if shown == 1 else 'these tests'}:\n{examples}"
    meta = {
        "line": record.line,
        "task_id": number,
        "tests": tests,
        "setup": f"{imports}\n{setup}",
        "remote": remote,
    }
    return Problem(f"mbpp:{number}", question, code, orbit_of(text), meta)


def _names(code: str, tests: list[str], where: str) -> tuple[str, list[str]]:
    """The imports of a published solution that its tests need, and the names of its that they use."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes that stand for themselves
            tree, trees = ast.parse(code), [ast.parse(test) for test in tests]
    except (SyntaxError, ValueError, RecursionError) as error:
        raise UserError(f"this is no Python code ({error}).", where=where, cure=CORRECT) from None
    names = [node for test in trees for node in ast.walk(test) if isinstance(node, ast.Name)]
    used = {name.id for name in names}
    known = {name.id for name in names if isinstance(name.ctx, ast.Store)} | set(dir(builtins))
    imports, defined = [], set()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound = {(name.asname or name.name).partition(".")[0] for name in node.names}
            if bound & used:
                imports.append(ast.unparse(node))
                known |= bound
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    if not used & defined:
        raise UserError("its tests use nothing that its code defines.", where=where, cure=CORRECT)
    if used - defined - known:
        raise UserError(f"its tests use unknown names: {sorted(used - defined - known)}.", where=where, cure=CORRECT)
    return "\n".join(imports), sorted(used & defined)
