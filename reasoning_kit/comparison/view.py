"""A comparison as an object, for Python and notebooks: its table, its differences, and every single problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.statistics import Difference
from reasoning_kit.comparison import Comparison, TaskComparison, load_comparison

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "parameters", "training_flops", "training_seconds", "flops_per_answer", "seconds_per_answer", "steps_per_answer",
    "tokens_per_answer",
)  # fmt: skip


class Results:
    """All finished runs below a folder.

    Attributes:
        folder: where they lie; ``report.html`` is there too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def comparison(self) -> Comparison:
        """Everything that the report shows."""
        return load_comparison(self.folder)

    @property
    def report(self) -> Path:
        """The page; written if it is not there yet."""
        from reasoning_kit.report import write_report

        page = self.folder / "report.html"
        return page if page.exists() else write_report(self.folder)

    @property
    def verdicts(self) -> dict[str, str]:
        """One sentence per task: who wins, and how sure that is."""
        return {task.name: task.verdict for task in self.comparison.tasks}

    def table(self) -> pd.DataFrame:
        """One row per task and method: accuracy with its 95 % interval, and mean costs over seeds."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for task in self.comparison.tasks:
            for row in task.rows:
                found = {"task": task.name, "method": row.method, "label": row.label, "thinking": row.thinking}
                interval = {"accuracy": row.accuracy.value, "low": row.accuracy.low, "high": row.accuracy.high}
                costs = {name: getattr(row, name) for name in COLUMNS}
                rows.append(found | interval | {"seeds": row.seeds} | costs | {"notes": " ".join(row.notes)})
        return pd.DataFrame(rows)

    def difference(self, a: str, b: str, task: str | None = None) -> Difference:
        """Accuracy of method ``a`` minus that of ``b`` on the same problems, with its 95 % interval.

        Args:
            task: may be left out where there is one only.

        Raises:
            UserError: for a task or method that is not here.
        """
        chosen = self._task(task)
        methods = [row.method for row in chosen.rows]
        for name in (a, b):
            if name not in methods:
                raise UserError(
                    f"no run of '{name}' on {chosen.name}.", where=str(self.folder), cure=did_you_mean(name, methods)
                )
        for pair in chosen.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair.difference
            if (pair.a, pair.b) == (b, a):
                return reversed_difference(pair.difference)
        raise UserError(f"'{a}' and '{b}' must be two methods.", where=str(self.folder), cure="Name two.")

    def problems(self) -> pd.DataFrame:
        """One row per task, problem, method and seed: question, label, answer, whether it is right, and its price."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for task in self.comparison.tasks:
            for run in task.runs:
                about = {"task": task.name, "method": run.record.method, "seed": run.record.seed}
                for row in run.rows.values():
                    rows.append(about | dict(row))
        return pd.DataFrame(rows)

    def _task(self, name: str | None) -> TaskComparison:
        tasks = {task.name: task for task in self.comparison.tasks}
        if name is None and len(tasks) == 1:
            return next(iter(tasks.values()))
        if name is None or name not in tasks:
            raise UserError(
                f"the task must be one of: {', '.join(tasks)}.", where="difference", cure="Name it: task=NAME."
            )
        return tasks[name]

    def __repr__(self) -> str:
        lines = [f"{name}: {verdict}" for name, verdict in self.verdicts.items()]
        return "\n".join([f"Results in {self.folder}", *lines])

    def _repr_html_(self) -> str:
        """For notebooks: a table and the verdict of each task."""
        from html import escape

        parts = []
        for task in self.comparison.tasks:
            parts.append(f"<h4>{escape(task.name)}</h4><p>{escape(task.verdict)}</p>{_table(task)}")
        return "".join(parts) + f"<p>Report: <code>{escape(str(self.report))}</code></p>"


def reversed_difference(difference: Difference) -> Difference:
    """The same pair, the other way round."""
    return replace(difference, value=-difference.value, low=-difference.high, high=-difference.low)


def _table(task: TaskComparison) -> str:
    """Methods with accuracy, interval and price, as HTML."""
    from html import escape

    from reasoning_kit.report.formatting import count, ends, percent, si

    lines = []
    for row in task.rows:
        cells: Sequence[str] = (
            escape(row.label),
            percent(row.accuracy.value),
            escape(ends(row.accuracy)),
            count(row.parameters),
            si(row.training_flops),
            si(row.flops_per_answer),
        )
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ("method", "accuracy", "95 % interval", "parameters", "training FLOPs", "FLOPs per answer")
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>"
    return f"<table>{head}{''.join(lines)}</table>"
