"""The comparison as tables for the terminal, one per task."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reasoning_kit.comparison import Comparison, TaskComparison
from reasoning_kit.report import formatting as f
from reasoning_kit.report.styles import Style, styles_of

VERDICTS = {"latent": "bold blue", "token": "bold red"}
OUTCOMES = {"holds": "green", "fails": "red", "undecided": "yellow", "untested": "dim"}

WIDE = 100  # characters; a narrower terminal gets fewer columns


def comparison_table(comparison: Comparison, width: int = WIDE) -> Group:
    """All tasks, ready for ``console.print``, for a terminal of ``width`` characters."""
    styles = styles_of(comparison)
    parts: list[RenderableType] = []
    for task in comparison.tasks:
        parts += [_task_table(task, styles, width), _below(task)]
    if comparison.claims:
        parts.append(_claims(comparison))
    return Group(*parts)


def _task_table(task: TaskComparison, styles: Mapping[str, Style], width: int = WIDE) -> Table:
    """One row per method; below :data:`WIDE` without size and training time.

    Texts are plain :class:`rich.text.Text`: data cannot smuggle in markup.
    """
    seeds = f"{task.seeds} seed{'s' if task.seeds > 1 else ''}"
    table = Table(
        title=Text(
            f"{task.name}: {task.problems} problems, {f.budget_text(**task.budget)} per method, {seeds}",
            style="bold",
        ),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
    )
    table.add_column("Method", no_wrap=True)
    table.add_column(f"Accuracy\n({task.measure})", justify="right", no_wrap=True)
    table.add_column("95 %\ninterval", justify="right", no_wrap=True)
    wide = width >= WIDE
    headings = ["Exact", "Valid"] if task.measures_differ else []
    headings += ["Params", "Train\ntime"] if wide else []
    headings += ["Train\nFLOPs", "FLOPs/\nanswer", "Time/\nanswer", "Steps,\ntokens"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    best = max(row.accuracy.value for row in task.rows)
    for row in task.rows:
        cells = [
            f.percent(row.accuracy.value),
            f.ends(row.accuracy),
            *([f.percent(row.exact.value), f.percent(row.valid.value)] if task.measures_differ else []),
            *([f.si(row.parameters), f.duration(row.training_seconds)] if wide else []),
            f.si(row.training_flops),
            f.si(row.flops_per_answer),
            f.duration(row.seconds_per_answer),
            f.count(row.steps_per_answer),
        ]
        name = Text(f"{row.method}{' *' if row.unmatched else ''}", style=styles[row.method].terminal)
        table.add_row(name, *(Text(cell) for cell in cells), style="bold" if row.accuracy.value == best else "")
    return table


def _below(task: TaskComparison) -> Text:
    """The verdict, the differences that answer a question, and what was not matched."""
    text = Text(f"{task.verdict}\n", style=VERDICTS.get(task.winner, "bold"))
    if task.contrasts:
        text.append("Differences in points on the same problems (95 % interval):\n", style="not bold default")
    for pair in task.contrasts:
        text.append(f"  {pair.a} minus {pair.b}: {f.points(pair.difference)}\n", style="not bold default")
    for row in task.rows:
        if row.unmatched:
            text.append(f"* {row.method}: {row.unmatched}\n", style="not bold yellow")
        for note in row.notes:
            text.append(f"  {row.method}: {note}\n", style="not bold dim")
    return text


def _claims(comparison: Comparison) -> Group:
    """What each claim came to, the methods that tell, and their difference."""
    claims = comparison.claims
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for judged in claims:
        gap = f": {f.points(judged.mean)} points" if judged.mean else ""
        parts = [f"{judged.claim.a} minus {judged.claim.b}{gap}"]
        parts += [f"{f.times(judged.flops_ratio)} FLOPs per answer" if judged.flops_ratio else "", judged.sentence]
        text = Text(f"{judged.claim.text}\n")
        text.append("; ".join(filter(None, parts)), style="dim")
        table.add_row(Text(judged.outcome, style=OUTCOMES[judged.outcome]), text)
    cautions = Text("".join(f"* {caution}\n" for caution in f.cautions(claims)), style="yellow")
    return Group(Text(f"{comparison.claims_title} (first method minus second)", style="bold"), table, cautions)
