"""The benchmarks' tables, ready for ``console.print``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from reasoning_kit.report import formatting as f

if TYPE_CHECKING:
    from reasoning_kit.bench.trm_solve import SolveBench


def table(first: str, *headings: str, caption: str | None = None) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption)
    shown.add_column(first, no_wrap=True)
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    return shown


def step_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as :func:`reasoning_kit.bench.commands.step_rows` makes them."""
    caption = (
        "Speed to plain: median, least and greatest of the ratios of neighbouring steps; of matmul: share of the rate "
        "of the fastest matrix product; start: steps that set up and compile"
    )
    speed = ("Step", "Speed\nto plain", "least to\ngreatest", "FLOP/s", "of\nmatmul")
    shown = table("Program", *speed, "Memory", "to\nplain", "Start", caption=caption)
    for precision in dict.fromkeys(row["precision"] for row in rows):
        shown.add_row(Text(precision, style="bold"))
        for row in rows:
            if row["precision"] == precision:
                shown.add_row(*_step_cells(row))
    return shown


def _step_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"  {row['program']}",
        f.duration(row["median_seconds"]),
        f"{row['ratio']:.2f}",
        f"{min(row['ratios']):.2f}-{max(row['ratios']):.2f}",
        f.si(row["flops_per_second"]),
        f.percent(row["utilisation"]),
        f.memory(row["memory_bytes"]),
        f"{row['memory_ratio']:.2f}",
        f.duration(row["first_seconds"]),
    )


def solve_table(found: SolveBench) -> Table:
    from reasoning_kit.bench.trm_solve import ALL, HALTING, WITHOUT_REFILL

    caption = (
        f"{found.problems} problems, {found.steps} steps at most; speed: median ratio of neighbouring repeats. "
        f"Accuracy with halting: {f.points(found.difference)}"
    )
    shown = table("Way", "Puzzles/s", "Halting's\nspeed to it", "Steps", "Accuracy", caption=caption)
    for name, ratio, steps, accuracy in (
        (ALL, found.ratio, float(found.steps), found.all_steps_accuracy),
        (HALTING, 1.0, found.mean_steps, found.accuracy),
        (WITHOUT_REFILL, found.refill_ratio, found.mean_steps, found.accuracy),
    ):
        speeds = ", ".join(f"{speed:.3g}" for speed in found.per_second[name])
        shown.add_row(name, speeds, f"{ratio:.2f}", f"{steps:.2f}", f"{f.percent(accuracy.value)} ({f.ends(accuracy)})")
    return shown


def accuracy_table(summary: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as :func:`reasoning_kit.bench.time_to_accuracy.summarise` makes them."""
    shown = table(
        "Method", "Reached", "Median time", "Speed to\nthe first", "Median FLOPs", "Times of the seeds",
        caption="Training time until a check on the test problems first reaches the target; checks are off the clock",
    )  # fmt: skip
    for row in summary:
        own = [run for run in runs if run["method"] == row["method"]]
        times = ", ".join(f"{run['seconds']:.0f}" if run["reached"] else f"> {run['seconds']:.0f}" for run in own)
        shown.add_row(
            row["method"],
            f"{row['reached']} of {row['seeds']}",
            f"{'> ' if row['at_least'] else ''}{row['seconds']:.0f} s",
            ratio_text(row),
            f"{'> ' if row['at_least'] else ''}{f.si(row['flops'])}",
            f"{times} s",
        )
    return shown


def ratio_text(row: Mapping[str, Any]) -> str:
    """The ratio with the sign that says on which side of it the truth is."""
    if row["ratio"] is None:
        return "unknown"
    return {"exactly": "", "at least": "> ", "at most": "< "}[row["ratio_is"]] + f"{row['ratio']:.2f}"
