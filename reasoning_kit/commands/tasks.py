"""``tasks ls`` and ``tasks show``: what problems there are, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.task import Task
from reasoning_kit.config.composition import choices, config_folder
from reasoning_kit.config.spec import load_config

ANY_TASK = ("method=[answer_only]",)  # a method that every task suits


def list_tasks(console: Console) -> None:
    table = Table(title="Tasks (name them with task=NAME or task=[NAME,NAME])")
    for heading in ("name", "family", "positions", "measure", "what it is"):
        table.add_column(heading, no_wrap=heading == "name")  # which one has to type
    for name in choices("task"):
        options = load_config([f"task={name}", *ANY_TASK]).tasks[name]
        task = options.load()
        table.add_row(name, task.family, str(getattr(task, "positions", "text")), task.measure, _description(name))
    console.print(table)


def _description(name: str) -> str:
    """The comment of the task's YAML file, without its command line."""
    lines = (config_folder() / "task" / f"{name}.yaml").read_text().splitlines()
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    return " ".join(line for line in comments if not line.startswith(("@package", "reasoning-kit")))


def show_task(name: str, overrides: Sequence[str], count: int, console: Console) -> None:
    """Examples of the training split, with the traces that the programmatic teacher writes, where there is one.

    Raises:
        UserError: if there is no such task, or its files are wrong.
    """
    from benchmarks.splits import build_splits
    from cot_distill.traces import styles

    if count < 1:
        raise UserError(f"{count} examples are none.", where="--count", cure="Give 1 or more.")
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
