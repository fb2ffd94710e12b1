"""``bench grpo-step``: of a step of GRPO, how much is spent in generation and in the passes, and what takes the rest.

The runs are those that ``train`` would start with the same words, until after some steps of GRPO: a start checkpoint
is distilled first where the run says so, with its share of the run's budget, because what a model has learned decides
how long its completions are. What is measured is what every run's record holds (:mod:`grpo.step_times`).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from rich import box
from rich.table import Table

from benchmarks.errors import UserError
from benchmarks.method import TrainingRun
from grpo.options import GRPOOptions
from grpo.step_shares import PARTS, Shares, shares
from reasoning_kit.config.spec import ExperimentConfig, RunSpec, load_config
from reasoning_kit.report import formatting as f

WARM_UP = 2  # steps that set things up
DEFAULT = "method=[grpo]"


@dataclass(frozen=True)
class StepShares:
    """One run.

    Attributes:
        rows: completions in a batch.
        tokens: of a completion, on average.
        steps: the entries of the history that were measured.
    """

    task: str
    method: str
    seed: int
    rows: int
    tokens: float
    shares: Shares
    steps: list[dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        times = [{key: step[key] for key in step if key.startswith("time/")} for step in self.steps]
        return {
            "task": self.task,
            "method": self.method,
            "seed": self.seed,
            "batch_size": self.rows,
            "tokens": self.tokens,
            "seconds": self.shares.seconds,
            "work": self.shares.work,
            "shares": self.shares.of,
            "steps": times,
        }


def configured(overrides: Sequence[str]) -> ExperimentConfig:
    """The comparison that the words name, of GRPO where they name no method.

    Raises:
        UserError: for a mistake in it, or a method that is not GRPO.
    """
    named = any(word.startswith(("method=", "experiment=")) for word in overrides)
    config = load_config(overrides if named else [DEFAULT, *overrides])
    for name, entry in config.methods.items():
        if entry.base != "grpo":
            raise UserError(
                f"every method must be grpo or a variant of it, and '{name}' is not.",
                where="bench grpo-step",
                cure="For example method=[grpo].",
            )
    return config


def measure(spec: RunSpec, steps: int, tell: Callable[[str], None] = lambda _: None) -> StepShares:
    """Train the run's policy for some steps, evaluating nothing.

    Args:
        steps: to be measured, after :data:`WARM_UP`.

    Raises:
        UserError: if the budget ends before the first of them.
    """
    from grpo.train import train

    options = cast(GRPOOptions, spec.options)
    name = f"{spec.task_name}, {spec.method}"
    tell(f"{name}: start checkpoint")
    task = spec.task.load()
    problems = spec.splits(task).train
    short = replace(options, held_out=0, trainer={**options.trainer, "max_steps": WARM_UP + steps})

    def started(*_: object) -> float:
        tell(f"{name}: {steps} steps")
        return math.nan

    with tempfile.TemporaryDirectory() as folder:
        trained = train(
            TrainingRun(
                task=task,
                problems=problems,
                options=short,
                budget=spec.budget,
                seed=spec.seed,
                folder=Path(folder),
                model=spec.model,
                where=f"method.{spec.method}",
                at_phase=started,
            )
        )
    measured = trained.steps[WARM_UP:]
    found = shares(measured)
    if found is None:
        raise UserError(
            f"the budget ended after {len(trained.steps)} steps, none was measured.",
            where="budget.limit",
            cure="Give more, or a smaller start_share.",
        )
    lengths = [entry["completions/mean_length"] for entry in measured if "completions/mean_length" in entry]
    return StepShares(
        spec.task_name, spec.method, spec.seed, options.batch_size, sum(lengths) / max(len(lengths), 1), found, measured
    )


def shares_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows as :meth:`StepShares.to_dict` makes them."""
    caption = "Work: generation and all passes through a model, which should be most of a step"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption)
    table.add_column("Part")
    for row in rows:
        seed = f", seed {row['seed']}" if row["seed"] else ""
        table.add_column(f"{row['task']}\n{row['method']}{seed}", justify="right")
    table.add_row("batch, tokens each", *(f"{row['batch_size']}, {row['tokens']:.0f}" for row in rows))
    table.add_row("a step", *(f.duration(row["seconds"]) for row in rows), end_section=True)
    for part, name in PARTS.items():
        table.add_row(name, *(f.percent(row["shares"][part]) for row in rows))
    table.add_section()
    table.add_row("work", *(f"[bold]{f.percent(row['work'])}[/bold]" for row in rows))
    return table
