"""``tasks ls`` and ``tasks show``: what problems there are, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from reasoning_kit.commands.options import options_table
from reasoning_kit.config.composition import choices
from reasoning_kit.config.options import task_options
from reasoning_kit.config.presets import preset

if TYPE_CHECKING:
    from benchmarks.task import Task

ANY_TASK = ("method=[answer_only]",)  # a method that every task suits


def list_tasks(console: Console) -> None:
    """One row for each file of ``configs/task``; the files are read, but neither composed nor checked."""
    table = Table(title="Tasks (name them with task=NAME or task=[NAME,NAME])")
    for heading in ("name", "family", "positions", "measure", "what it is"):
        table.add_column(heading, no_wrap=heading == "name")  # which one has to type

    for name in choices("task"):
        task = _built(name)
        positions = str(getattr(task, "positions", "text"))
        table.add_row(name, task.family, positions, task.measure, " ".join(preset("task", name).comments))
    console.print(table)


def _built(name: str) -> Task:
    """The task of a file, with the options of its family."""
    from benchmarks.task import family_class

    values = preset("task", name).values
    family = family_class(str(values["family"]))
    own = {each.name for each in fields(family)}  # type: ignore[arg-type]  # every Task is a dataclass
    return family(**{key: value for key, value in values.items() if key in own})


def show_task_options(name: str, console: Console) -> None:
    """The options of a task: sizes and files, then those of its family.

    Raises:
        UserError: if there is no such task.
    """
    console.print(options_table(list(task_options(name))))


def show_task(name: str, overrides: Sequence[str], count: int, console: Console) -> None:
    """Examples of the training split, with the traces that the programmatic teacher writes, where there is one.

    Raises:
        UserError: if there is no such task, or its files are wrong.
    """
    from benchmarks.splits import build_splits
    from cot_distill.traces import styles
    from reasoning_kit.config.spec import load_config

    if count < 1:
        raise UserError(f"the number of examples must be at least 1, not {count}.", where="--count", cure="Give 1.")
    config = load_config([f"task={name}", *ANY_TASK, *overrides])
    options = config.tasks[name]
    task = options.load()
    least = max(count, min(options.train_size or 50, 50))
    splits = build_splits(task, least, 1, options.seed, *options.files(config.data))

    for problem in splits.train[:count]:
        console.print(f"\n[bold]{problem.id}[/bold]  orbit {problem.orbit}  {dict(problem.meta) or ''}")
        panels = (("question", task.render(problem)), ("answer", task.render(problem, Answer(problem.answer))))
        console.print(Columns([Panel(Text(text), title=title) for title, text in panels]))
        for style, meaning in styles(task).items():
            console.print(f"trace of the programmatic teacher, method.cot.trace={style}: {meaning}", highlight=False)
            console.print(Text(_trace(task, problem, style), style="dim"))


def _trace(task: Task, problem: Problem, style: str) -> str:
    """The trace, checked; or why there is none for this problem."""
    from cot_distill.traces import check_trace, write_trace

    try:
        trace = write_trace(task, problem, style)
        check_trace(task, problem, trace, style)
    except ValueError as error:
        return f"(none: {error})"
    return trace
