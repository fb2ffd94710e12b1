"""``diagnose``: a finished GRPO run's course in numbers, its pass rates before and after, and the verdict on it; where
a student followed, also what it was taught and how far it came."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.errors import UserError
from benchmarks.records import RunRecord
from grpo.step_shares import shares
from reasoning_kit.commands.diagnose_student import student_lines, student_table

PARTS = 10  # rows of the course
SKIPPED = "skip-\nped"
COLUMNS = {  # heading -> key of the history, format
    "accu-\nracy": ("accuracy", ".0%"),
    "re-\nward": ("reward", ".3f"),
    "si-\nlent": ("groups/no_signal", ".0%"),
    "all\nright": ("groups/all_right", ".0%"),
    "all\nwrong": ("groups/all_wrong", ".0%"),
    SKIPPED: ("groups/skipped", ".1f"),
    "en-\ntropy": ("entropy", ".3f"),
    "KL": ("kl", ".3f"),
    "clip-\nped": ("clip_ratio/region_mean", ".1%"),
    "to-\nkens": ("completions/mean_length", ".0f"),
    "of\nright": ("length/right", ".0f"),
    "of\nwrong": ("length/wrong", ".0f"),
    "cut": ("completions/clipped_ratio", ".0%"),
    "ex-\nplained": ("value/explained", ".0%"),
}
SHARES = ("groups/no_signal", "groups/all_right", "groups/all_wrong")  # of the groups drawn
BLANK = ""


def diagnose_run(folder: Path, console: Console) -> None:
    """Print the course of the run in at most ten rows, each the mean over its steps, then pass@k and the verdict; then
    the student, if there is one.

    Raises:
        UserError: if the folder holds no finished run of GRPO, or one from before there were verdicts.
    """
    record = RunRecord.load(folder)
    found = record.diagnostics

    # What is diagnosed are groups of completions and their rewards: the history that reinforcement learning keeps.
    if "history" not in found:
        raise UserError(
            f"the run must have groups and rewards, and a run of '{record.method}' has none.",
            where=str(folder),
            cure="Give a run of grpo or a variant of it.",
        )
    if "verdict" not in found:
        raise UserError(
            "the record must hold its diagnosis, and this one is from before it was kept.",
            where=str(folder),
            cure="Run it again into another folder.",
        )
    name = record.config.get("label", record.method)
    console.print(_course(found["history"], f"{name} on {record.task['name']}, seed {record.seed}"))
    if found["before"] is not None:
        console.print(_pass_rates(found["before"], found["after"]))
    if (times := shares(found["history"])) is not None:
        console.print(escape(times.text), highlight=False, soft_wrap=True)
    for line in found["verdict"]:
        console.print(f"[bold]-[/bold] {escape(line)}", highlight=False, soft_wrap=True)
    if found.get("pupil") is not None:
        console.print(student_table(record))
        for line in student_lines(record):
            console.print(f"[bold]-[/bold] {escape(line)}", highlight=False, soft_wrap=True)


def _course(history: Sequence[Mapping[str, Any]], title: str) -> Table:
    keys = set(chain.from_iterable(history))
    rewards = sorted(key for key in keys if key.startswith("rewards/") and key.endswith("mean"))
    columns = dict(COLUMNS)
    if len(rewards) > 1:  # next to the verifier's, which is the accuracy
        columns |= {key.split("/")[1]: (key, ".3f") for key in rewards if key != "rewards/correct/mean"}

    # Without the columns that this run did not measure: KL without a reference, for example.
    shown = {heading: column for heading, column in columns.items() if column[0] in keys}
    if not any(entry.get("groups/skipped") for entry in history):
        shown.pop(SKIPPED, None)

    table = Table(title=escape(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)  # fits 80 columns
    for heading in ("steps", *shown):
        table.add_column(heading, justify="right", no_wrap=True)

    # Each row is the mean over as many steps, the last over what is left.
    size = max(1, -(-len(history) // PARTS))
    for start in range(0, len(history), size):
        part = history[start : start + size]
        steps = f"{part[0]['step']}-{part[-1]['step']}" if len(part) > 1 else str(part[0]["step"])
        table.add_row(steps, *(_mean(part, key, form) for key, form in shown.values()))
    return table


def _mean(part: Sequence[Mapping[str, Any]], key: str, form: str) -> str:
    """Over the steps that measured it; a number of groups becomes a share of those drawn."""
    values = []
    for entry in part:
        if entry.get(key) is not None:
            whole = entry["groups/drawn"] if key in SHARES else 1
            values.append(entry[key] / whole)
    return format(statistics.fmean(values), form) if values else BLANK


def _pass_rates(before: Mapping[str, Any], after: Mapping[str, Any]) -> Table:
    held_out = f"{len(before['right'])} training problems held out, {before['samples']} completions of each"
    table = Table(caption=held_out, min_width=len(held_out))
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right")
    for k, share in before["pass_at_k"].items():
        table.add_row(f"pass@{k}", f"{share:.1%}", f"{after['pass_at_k'][k]:.1%}")
    if before.get("thoughts"):  # where a programmatic teacher can check them
        thoughts = [rates["thoughts"] for rates in (before, after)]
        table.add_row("right thoughts", *(f"{each['right'] / each['completions']:.1%}" for each in thoughts))
        table.add_row("characters of a thought", *(f"{each['mean_length']:.0f}" for each in thoughts))
    return table
