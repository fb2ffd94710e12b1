"""Train and test problems of a comparison: the same for every method, disjoint up to the family's symmetries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Problem
from benchmarks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
else:
    from typing import Any as Dataset


@dataclass(frozen=True)
class Splits:
    """The problems of one comparison."""

    train: list[Problem]
    test: list[Problem]

    @property
    def fingerprint(self) -> str:
        """Hash of every question and answer in order: equal fingerprints mean the same problems and labels."""
        digest = hashlib.sha256()
        for problem in (*self.train, *self.test):
            digest.update(f"{problem.question}\t{problem.answer}\n".encode())
        return digest.hexdigest()[:16]


def build_splits(
    task: Task,
    train_size: int | None,
    test_size: int | None,
    seed: int,
    train_file: str | Path | Sequence[str | Path] | None = None,
    test_file: str | Path | None = None,
) -> Splits:
    """Generate the problems, or read them from files, and prove that the splits are disjoint.

    Args:
        train_size, test_size: how many; ``None``: all that the files hold.
        train_file, test_file: paths, or names of data sets on the hub (:mod:`benchmarks.files.hub`).

    Raises:
        UserError: if only one file is given, a file is wrong, a size is missing, or the splits share an orbit.
    """
    if (train_file is None) != (test_file is None):
        raise UserError(
            "train_file and test_file must be given together, but there is only one of them.",
            where=task.name,
            cure="Give both, or neither.",
        )
    if train_file is not None and test_file is not None:
        train_files = [train_file] if isinstance(train_file, (str, Path)) else list(train_file)
        train, test = task.read_splits(train_files, test_file, train_size, test_size, seed)
        where = " and ".join(map(str, [*train_files, test_file]))
    elif train_size is None or test_size is None:
        raise UserError(
            "the number of generated problems must be given, because they have no end.",
            where=task.name,
            cure="Give train_size and test_size, or train_file and test_file.",
        )
    else:
        train = task.generate("train", train_size, seed)
        test = task.generate("test", test_size, seed)
        where = task.name
    prove_disjoint(train, test, where)
    return Splits(train, test)


def prove_disjoint(train: Sequence[Problem], test: Sequence[Problem], where: str) -> None:
    """Raise unless no test problem is a training problem, also not under a symmetry.

    Raises:
        UserError: naming the first shared pair.
    """
    seen = {problem.orbit: problem for problem in train}
    for problem in test:
        if problem.orbit in seen:
            raise UserError(
                f"test problem {problem.id} is training problem {seen[problem.orbit].id}, perhaps under a symmetry.",
                where=where,
                cure="Remove it from one of the files.",
            )


def to_dataset(task: Task, problems: Sequence[Problem]) -> Dataset:
    """Rows ``id, question, answer, meta``, and of a grid family ``input_ids, labels``."""
    from datasets import Dataset

    columns = {
        "id": [p.id for p in problems],
        "question": [p.question for p in problems],
        "answer": [p.answer for p in problems],
        "meta": [dict(p.meta) | {"orbit": p.orbit} for p in problems],
    }
    if isinstance(task, GridTask):
        input_ids, labels = task.encode(problems)
        columns |= {"input_ids": input_ids.tolist(), "labels": labels.tolist()}
    return Dataset.from_dict(columns)
