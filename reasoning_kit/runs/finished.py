"""A finished run, loaded again: its specification, its problems or others, and its solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.evaluation import Solver
from benchmarks.problem import Problem
from benchmarks.records import RunRecord
from benchmarks.task import Task
from reasoning_kit.config.checking import checked
from reasoning_kit.config.spec import RunSpec, spec_from_dict
from reasoning_kit.config.tasks import TaskOptions, find_data_file, with_unsafe_code
from reasoning_kit.registry import method

if TYPE_CHECKING:
    from benchmarks.splits import Splits

EVALUATION_KEYS = ("test_size", "seed", "test_file")  # what eval can change about the problems


def load_run(folder: Path, unsafe_code: bool = False) -> RunSpec:
    """The specification of a finished run.

    Args:
        unsafe_code: run model-written code now without isolation where none works.

    Raises:
        UserError: if the folder holds none, or a task that runs no code is to run it unsafely.
    """
    spec = spec_from_dict(RunRecord.load(folder).config)
    if unsafe_code:
        return replace(spec, task=with_unsafe_code({spec.task_name: spec.task})[spec.task_name])
    return spec


def chosen_problems(spec: RunSpec, overrides: Sequence[str]) -> tuple[Task, Splits, TaskOptions]:
    """The task of a run, its training problems, and the test problems that the overrides ask for.

    Raises:
        UserError: if an option is unknown, a file is wrong, or a test problem was trained on.
    """
    options = _changed(spec.task, overrides)
    from benchmarks.splits import Splits, prove_disjoint

    task = spec.task.load()
    splits = spec.splits(task)
    if options != spec.task:
        splits = Splits(splits.train, _test_problems(task, options, spec.data))
        prove_disjoint(splits.train, splits.test, where=options.test_file or task.name)
    return task, splits, options


def load_solver(spec: RunSpec, task: Task, folder: Path) -> Solver:
    """The solver of a finished run, from its saved weights.

    Raises:
        UserError: if there are none.
    """
    return method(spec.base).load(spec.setting(task), folder)


def load_quietly(spec: RunSpec, task: Task, folder: Path) -> Solver:
    """Without the bar that transformers draws for weights that load in an instant."""
    from transformers.utils import logging

    from reasoning_kit.runs.environment import use_free_cores

    logging.disable_progress_bar()
    use_free_cores()
    return load_solver(spec, task, folder)


def _test_problems(task: Task, options: TaskOptions, data: str | None) -> list[Problem]:
    if options.test_file is not None:
        return task.read(find_data_file(options.test_file, data), options.test_size, options.seed)
    assert options.test_size is not None, "TaskOptions checks it"
    return task.generate("test", options.test_size, options.seed)


def _changed(task: TaskOptions, overrides: Sequence[str]) -> TaskOptions:
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError("an option is written key=value.", where=override, cure="For example test_size=1000.")
        if key not in EVALUATION_KEYS:
            raise UserError(f"unknown key '{key}'.", where=override, cure=did_you_mean(key, EVALUATION_KEYS))
        changes[key] = value
    current = {key: value for key, value in asdict(task).items() if key != "options"}
    changed: TaskOptions = checked(TaskOptions, current | changes, "eval")
    return replace(changed, options=task.options)
