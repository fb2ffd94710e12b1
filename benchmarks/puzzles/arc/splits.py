"""From ARC tasks to training and test problems, and the guard that keeps the test pairs out of training.

Trained on: every pair of the training tasks, its other pairs as demonstrations, and the demonstrations of the test
tasks. Tested: the test pairs of the test tasks. A demonstration is part of what its own task's test asks, so it may
be trained on even where a turn or a renaming of colours makes it the test pair (13 pairs of 7 tasks of ARC-AGI-1
evaluation); it may not where it is the test pair of another task.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.files.text import sample
from benchmarks.problem import Problem
from benchmarks.puzzles.arc.files import ArcTask, Pair, read_tasks
from benchmarks.puzzles.arc.grids import pair_orbit

NEXT, GIVES = ";", ">"  # a question is "input>output;input>output;input"
LEAK_AT_MOST = 0.01  # share of the test tasks up to which leaking training tasks are left out, above it refused

logger = logging.getLogger(__name__)


def problem(task: ArcTask, pair: Pair, shown: Iterable[Pair], split: str, number: int) -> Problem:
    """The problem that asks for the output of ``pair`` and shows the pairs ``shown``."""
    question = NEXT.join([*(GIVES.join(other) for other in shown), pair.input])
    return Problem(
        f"{task.puzzle} {split} {number}",
        question,
        pair.output,
        _orbit(pair),
        {"puzzle": task.puzzle, "pair": number, "split": split},
    )


def asked_problems(task: ArcTask) -> list[Problem]:
    """The test pairs of a task, each with all demonstrations."""
    return [problem(task, pair, task.train, "test", number) for number, pair in enumerate(task.test, start=1)]


def training_problems(task: ArcTask, pairs: Sequence[Pair]) -> list[Problem]:
    """Each of some pairs of a task, with the others as demonstrations."""
    return [
        problem(task, pair, (*pairs[: number - 1], *pairs[number:]), "train", number)
        for number, pair in enumerate(pairs, start=1)
    ]


def read_test(source: str | Path, limit: int | None, seed: int) -> list[Problem]:
    """The test pairs of a file; with ``limit``, a random choice of them."""
    return sample([p for task in read_tasks(source) for p in asked_problems(task)], limit, seed, source)


def read_splits(
    train_files: Sequence[str | Path], test_file: str | Path, train_size: int | None, test_size: int | None, seed: int
) -> tuple[list[Problem], list[Problem]]:
    """Training and test problems without a leak (see the module).

    With ``test_size``, the test problems are a random choice. With ``train_size``, the demonstrations of their tasks
    come first, because nothing can be said about a puzzle that was never seen, and a random choice of the rest follows.

    Raises:
        UserError: for a wrong file, a size that the files cannot fill, or training tasks that hold the answers to
            more than 1 % of the test tasks. Fewer are left out of training, and a warning names them.
    """
    if any(Path(name) == Path(test_file) for name in train_files):
        raise UserError(
            "the test file is also a training file.",
            where=str(test_file),
            cure="Leave it out of train_file: its demonstrations are trained on all the same.",
        )
    tested = read_tasks(test_file)
    known = without_leaks([task for name in train_files for task in read_tasks(name)], tested, str(test_file))
    test = sample([p for task in tested for p in asked_problems(task)], test_size, seed, test_file)
    asked = {p.meta["puzzle"] for p in test}
    demonstrations = given_demonstrations(tested)
    first = [p for p in demonstrations if p.meta["puzzle"] in asked]
    rest = [p for p in demonstrations if p.meta["puzzle"] not in asked]
    rest += [p for task in known for p in training_problems(task, (*task.train, *task.test))]
    if train_size is None:
        return first + rest, test
    where = ", ".join(map(str, train_files))
    if train_size < len(first):
        raise UserError(
            f"{train_size} training problems are fewer than the {len(first)} demonstrations of the tasks tested.",
            where=where,
            cure=f"Ask for at least {len(first)} (train_size), or for fewer test problems (test_size).",
        )
    if train_size > len(first) + len(rest):
        most = len(first) + len(rest)
        raise UserError(
            f"{train_size} training problems are asked for, but there are {most}.",
            where=where,
            cure=f"Ask for at most {most}, or name more training files.",
        )
    return first + random.Random(seed).sample(rest, len(rest))[: train_size - len(first)], test


def given_demonstrations(tested: Sequence[ArcTask]) -> list[Problem]:
    """The demonstrations of the test tasks as training problems, without those that are another task's test pair.

    The orbit of one that is an image of its own task's test pair says so, and thereby differs from the test pair's.
    """
    asking = _asking(tested)
    kept = []
    for task in tested:
        for p in training_problems(task, task.train):
            askers = asking.get(p.orbit, set())
            if not askers:
                kept.append(p)
            elif task.puzzle in askers:
                kept.append(Problem(p.id, p.question, p.answer, f"{p.orbit} shown by {task.puzzle}", p.meta))
            else:
                logger.warning("%s is left out of training: it is a test pair of %s.", p.id, min(askers))
    return kept


def without_leaks(known: Sequence[ArcTask], tested: Sequence[ArcTask], where: str) -> list[ArcTask]:
    """The training tasks that hold no test pair of a test task, turned or recoloured or not, and no test task's id.

    In the published setting of ARC-AGI-1 two of 400 training tasks go: 40853293 is the evaluation task 070dd51e, and
    caa06a1f shows a test pair of 50a16a69 in other colours.

    Raises:
        UserError: if they hold the answers to more than 1 % of the test tasks.
    """
    asking, ids = _asking(tested), {task.id: task.puzzle for task in tested}
    leaks: dict[str, str] = {}  # training task -> test task
    leaked: set[str] = set()
    for task in known:
        puzzles = {puzzle for pair in (*task.train, *task.test) for puzzle in asking.get(_orbit(pair), ())}
        if task.id in ids:
            puzzles.add(ids[task.id])
        if puzzles:
            leaks[task.puzzle] = min(puzzles)
            leaked |= puzzles
    if not leaks:
        return list(known)
    train, test = next(iter(leaks.items()))
    if len(leaked) > LEAK_AT_MOST * len(tested):
        raise UserError(
            f"the training files hold the answers to {len(leaked)} of the {len(tested)} test tasks: "
            f"the first, {train}, has a pair or the id of {test}.",
            where=where,
            cure="Test on another set, or leave that training file out: never train on ARC-AGI-2 training "
            "and test on ARC-AGI-1 evaluation.",
        )
    named = ", ".join(f"{train} (has a pair or the id of {test})" for train, test in leaks.items())
    logger.warning("left out of training, because they would give test answers away: %s.", named)
    return [task for task in known if task.puzzle not in leaks]


def _asking(tested: Iterable[ArcTask]) -> dict[str, set[str]]:
    """The puzzles that ask for a pair, by its orbit."""
    asking: dict[str, set[str]] = {}
    for task in tested:
        for pair in task.test:
            asking.setdefault(_orbit(pair), set()).add(task.puzzle)
    return asking


@lru_cache(2**14)  # the guard and the problems ask for the same ones
def _orbit(pair: Pair) -> str:
    return pair_orbit(*pair)
