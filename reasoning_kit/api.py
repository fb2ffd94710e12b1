"""The front door for Python: train, compare, evaluate and load. ``import reasoning_kit as rk`` leads here.

Everything is checked as on the command line, and a mistake is a :class:`benchmarks.errors.UserError` in one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.records import RECORD
from benchmarks.task import FAMILIES, Task
from benchmarks.task import load_task as load_family
from benchmarks.training.budget import Budget
from reasoning_kit.config.composition import choices, published_entry
from reasoning_kit.config.plugins import register_task
from reasoning_kit.config.spec import ExperimentConfig, check_config, check_methods_on_tasks, fingerprint
from reasoning_kit.registry import METHODS, own_trained_methods

if TYPE_CHECKING:
    from benchmarks.evaluation import Evaluation, Solver
    from benchmarks.problem import Problem
    from reasoning_kit.comparison.view import Results
    from reasoning_kit.runs.handle import Run

Tasks = Sequence[str | Task] | Mapping[str, Mapping[str, Any] | Task]
Methods = Sequence[str] | Mapping[str, Mapping[str, Any]]


def load_task(name: str, **options: Any) -> Task:
    """A family with its options, or a task of ``reasoning-kit tasks ls``.

    ``load_task("sudoku", size=4)`` and ``load_task("sudoku-4x4")`` are the same puzzles.

    Raises:
        UserError: if the name, an option or its value is unknown.
    """
    if name in FAMILIES:
        return load_family(name, **options)
    if name not in choices("task"):
        cure = did_you_mean(name, [*FAMILIES, *choices("task")])
        raise UserError(f"unknown task or family '{name}'.", where="load_task", cure=cure)
    entry = published_entry("task", name)
    family = entry["family"]
    known = {f.name for f in fields(FAMILIES[family])}  # type: ignore[arg-type]  # every Task is a dataclass
    own = {key: value for key, value in entry.items() if key in known}
    return load_family(family, **own | options)


def train(
    method: str,
    task: str | Task,
    budget: str | Budget = "2e12 flops",
    *,
    seed: int = 0,
    train_size: int | None = 1000,
    test_size: int | None = 200,
    model: Mapping[str, Any] | str | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    **options: Any,
) -> Run:
    """Train one method on one task in this process, and answer its test problems.

    ``train("trm", task, budget="2e12 flops", n=4)``. The same call again finds the finished run and loads it.

    Args:
        method: a method or preset of ``reasoning-kit methods ls``.
        task: a task, or the name of one.
        budget: what training may use: ``"2e12 flops"``, ``"5 minutes"``, ``"300 steps"``.
        train_size, test_size: problems of each split; ``None``: all rows of the task's files.
        model: options of the language model, or the path or hub name of a pretrained one.
        out: folder of the run; one below ``runs/python`` that its configuration names, if not given.
        progress: show a bar.
        options: of the method, as after ``method.NAME.`` on the command line.

    Raises:
        UserError: for everything that the caller can mend.
    """
    from reasoning_kit.runs.handle import train_here

    config = configure(
        tasks=[task],
        methods={method: options},
        budget=budget,
        train_size=train_size,
        test_size=test_size,
        model=model,
    )
    spec = replace(config.runs()[0], seed=seed)
    folder = Path("runs/python") / f"{spec.task_name}-{method}-{fingerprint(spec)[:8]}"
    return train_here(spec, Path(out) if out is not None else folder, progress)


def compare(
    tasks: Tasks,
    methods: Methods | None = None,
    budget: str | Budget = "3.5e12 flops",
    *,
    seeds: int = 1,
    train_size: int | None = None,
    test_size: int | None = None,
    model: Mapping[str, Any] | str | None = None,
    jobs: int | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
) -> Results:
    """Train every method on every task with every seed, each run in a process of its own, and write the report.

    ``compare(tasks=["sudoku-4x4"], methods=["trm", "cot"], budget="2e12 flops", seeds=3)``. Finished runs are kept.

    Args:
        tasks: names or tasks; or a mapping from names of your own to a task or to options (``family``, ``size``, ...).
        methods: names; or a mapping from names to options. A variant says its ``base``. ``None``: all of the kit's own
            that are trained.
        seeds: of training, 0 to ``seeds - 1``.
        train_size, test_size: problems of each split; ``None``: as each task says.
        model: as in :func:`train`.
        jobs: runs at the same time; ``None``: as many as cores are free.
        data: folder of published files.
        out: folder of the results; one below ``runs/python`` that the names make up, if not given.
        fresh: move runs of another configuration in it aside.

    Raises:
        UserError: for everything that the caller can mend.
        RunsFailed: if some runs crashed; the report holds the others.
    """
    from rich.console import Console

    from reasoning_kit.commands.compare import compare_config
    from reasoning_kit.comparison.view import Results

    config = configure(
        tasks=tasks,
        methods=own_trained_methods() if methods is None else methods,
        budget=budget,
        seeds=seeds,
        train_size=train_size,
        test_size=test_size,
        model=model,
        jobs=jobs,
        data=None if data is None else str(data),
    )
    folder = Path(out) if out is not None else Path("runs/python") / _name_of(config)
    compare_config(config, folder, fresh, Console())
    return Results(folder)


def evaluate(
    run: Run | str | Path | Solver,
    task: Task | None = None,
    problems: Sequence[Problem] | None = None,
    *,
    test_size: int | None = None,
    seed: int | None = None,
    test_file: str | None = None,
) -> Evaluation:
    """Answer and judge problems.

    Args:
        run: a run, its folder, or any solver.
        task, problems: for a solver; for a run they are its own if not given.
        test_size, seed, test_file: other test problems of the run's task.

    Raises:
        UserError: if the run is not finished, or a problem was trained on.
    """
    from benchmarks.evaluation import evaluate as judge
    from reasoning_kit.runs.handle import Run

    if isinstance(run, (str, Path)):
        run = load_run(run)
    if isinstance(run, Run):
        changes = {"test_size": test_size, "seed": seed, "test_file": test_file}
        return run.evaluate(problems, **{key: value for key, value in changes.items() if value is not None})
    if task is None or problems is None:
        raise UserError(
            "a solver needs a task and problems.", where="evaluate", cure="Write evaluate(solver, task, problems)."
        )
    return judge(run, task, problems)


def load_run(folder: str | Path) -> Run:
    """A finished run.

    Raises:
        UserError: if the folder holds none.
    """
    from reasoning_kit.runs.handle import Run

    return Run(Path(folder))


def load_comparison(folder: str | Path) -> Results:
    """All finished runs below a folder, compared.

    Raises:
        UserError: if there is none, or they cannot be compared.
    """
    from reasoning_kit.comparison.view import Results

    if not any(Path(folder).glob(f"**/{RECORD}")):
        raise UserError("no finished run here.", where=str(folder), cure="Give the folder of a comparison.")
    return Results(Path(folder))


# --- from plain words to a checked configuration ----------------------------------------------------


def configure(
    tasks: Tasks, methods: Methods, budget: str | Budget, model: Mapping[str, Any] | str | None, **more: Any
) -> ExperimentConfig:
    """What the command line would make of the same words.

    Args:
        more: other keys of a comparison; ``None`` counts as not given.

    Raises:
        UserError: for an unknown name or option, or a value that does not fit.
    """
    given = Budget.parse(budget) if isinstance(budget, str) else budget
    raw: dict[str, Any] = {
        "name": "python",
        "task": _tasks(tasks),
        "method": _methods(methods),
        "model": {"path": model} if isinstance(model, str) else dict(model or {}),
        "budget": asdict(given),
    }
    raw |= {key: value for key, value in more.items() if value is not None}
    config = check_config(raw)
    check_methods_on_tasks(config)
    return config


def _tasks(tasks: Tasks) -> dict[str, dict[str, Any]]:
    """Entries as in ``configs/task``."""
    if isinstance(tasks, (str, Task)):
        tasks = [tasks]
    named = tasks if isinstance(tasks, Mapping) else {_task_name(task): task for task in tasks}
    entries = {}
    for name, task in named.items():
        if isinstance(task, Task):
            entries[name] = _entry_of(task)
        elif isinstance(task, str):
            entries[name] = _task_entry(task)
        else:
            entries[name] = {**(_task_entry(name) if name in choices("task") else {}), **task}
    return entries


def _task_name(task: str | Task) -> str:
    return task.name if isinstance(task, Task) else task


def _task_entry(name: str) -> dict[str, Any]:
    if name in choices("task"):
        return published_entry("task", name)
    return {"family": load_task(name).family}  # raises for an unknown one


def _entry_of(task: Task) -> dict[str, Any]:
    """Family and options of a task; a family that nobody knows yet is registered."""
    if task.family not in FAMILIES:
        register_task(type(task))
    entry: dict[str, Any] = {"family": task.family}
    for option in fields(task):  # type: ignore[arg-type]  # every Task is a dataclass
        usual = option.default_factory() if option.default_factory is not MISSING else option.default
        value = getattr(task, option.name)
        if option.init and value != usual:
            entry[option.name] = value
    return entry


def _methods(methods: Methods) -> dict[str, dict[str, Any]]:
    """Entries as in ``configs/method``."""
    if isinstance(methods, str):
        methods = [methods]
    named: Mapping[str, Mapping[str, Any]] = methods if isinstance(methods, Mapping) else {name: {} for name in methods}
    entries = {}
    for name, options in named.items():
        known = name in choices("method")
        if not known and name not in METHODS and "base" not in options:
            METHODS[name]  # raises, with the nearest name
        entries[name] = {**(published_entry("method", name) if known else {}), **options}
    return entries


def _name_of(config: ExperimentConfig) -> str:
    """A folder for what was asked: tasks, methods, and a digest of everything that decides the results."""
    import hashlib

    asked = "".join(fingerprint(spec) for spec in config.runs())
    digest = hashlib.sha256(asked.encode()).hexdigest()[:8]
    names = "-".join([*config.tasks, *config.methods])
    return f"{names[:60].rstrip('-')}-{digest}"
