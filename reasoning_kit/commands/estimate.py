"""What a comparison will cost, before anything runs: parameters, FLOPs, memory and time of every method.

FLOPs and parameters come from the price list; parameters of a model that it does not know from the model itself, on the
meta device. Time comes from a few real optimiser steps of each method on this machine (``--no-probe`` leaves it out).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.compute import Cost
from benchmarks.method import Phase, Price, TrainingRun
from benchmarks.problem import Problem
from benchmarks.training.budget import Budget
from reasoning_kit.config.methods import Entry
from reasoning_kit.config.spec import ExperimentConfig, RunSpec, load_config
from reasoning_kit.registry import method
from reasoning_kit.report.formatting import MISSING, budget_text
from reasoning_kit.runs.environment import use_free_cores

PROBE_STEPS = 3
BYTES = 4  # of a number in float32


@dataclass(frozen=True)
class Estimate:
    """One method on one task.

    Attributes:
        parameters: of the model that answers, a student where there is one.
        flops_per_step: of one optimiser step; for GRPO with its generation; where a student follows, the mean.
        flops_per_answer: mean over a few test problems, answered at full depth and as long as what is taught; with
            ``parameters`` ``None`` for a served model.
        steps: that the budget pays for; ``None`` where only time limits it.
        state_bytes: weights, gradients and optimiser; activations come on top.
        seconds: of training, from a probe.
    """

    task: str
    method: str
    parameters: int | None
    flops_per_step: float
    flops_per_answer: float | None
    steps: float | None
    state_bytes: int
    seconds: float | None


def estimate(overrides: Sequence[str], probe: bool, console: Console) -> list[Estimate]:
    """Print and return the estimates of every method on every task.

    Raises:
        UserError: for every mistake in the configuration or the data.
    """
    config = load_config(overrides)
    if probe:
        use_free_cores()
    rows = []
    for spec in config.runs():
        if spec.seed == 0:
            with console.status(f"{spec.task_name}: {spec.method}"):
                rows.append(estimate_run(spec, probe))
    console.print(_table(config, rows))
    for name, entry in config.methods.items():
        chosen = " ".join(f"{key}={value}" for key, value in _shown(name, entry, config.methods))
        console.print(f"method.{name}: {chosen}", style="dim", markup=False, highlight=False)
    known = [row.seconds for row in rows if row.seconds is not None]
    if known:
        total = sum(known) * config.seeds
        console.print(f"All {len(rows) * config.seeds} runs, one after another: about {_duration(total)} of training.")
    return rows


def _shown(name: str, entry: Entry, methods: Mapping[str, Entry]) -> Iterator[tuple[str, Any]]:
    """Every option of a method; of a variant beside its base, those that differ."""
    if entry.base == name:
        yield from _flat(asdict(entry.options))
        return
    yield "base", entry.base
    base = methods.get(entry.base)
    known = {} if base is None else dict(_flat(asdict(base.options)))
    missing = object()
    yield from ((key, value) for key, value in _flat(asdict(entry.options)) if known.get(key, missing) != value)


def _flat(options: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every option with its key as one types it after ``method.NAME.``, but for a model that is the comparison's."""
    for key, value in options.items():
        if key == "model" and isinstance(value, Mapping) and all(own is None for own in value.values()):
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def estimate_run(spec: RunSpec, probe: bool) -> Estimate:
    """Parameters, FLOPs, memory and, with ``probe``, seconds of one run."""
    base, setting = method(spec.base), spec.setting()
    phases = base.phases(setting)
    prices = [phase.method.price(phase.setting) for phase in phases]
    known = [price for price in prices if price is not None]
    if not base.trains or len(known) < len(phases):
        return Estimate(spec.task_name, spec.method, None, 0.0, None, None, 0, None)

    steps = _steps(spec.budget, phases, known)
    weights = steps or [phase.share for phase in phases]
    per_step = sum(weight * price.flops_per_step for weight, price in zip(weights, known, strict=True)) / sum(weights)
    return Estimate(
        task=spec.task_name,
        method=spec.method,
        parameters=known[-1].parameters,
        flops_per_step=per_step,
        flops_per_answer=known[-1].flops_per_answer,
        steps=None if steps is None else sum(steps),
        state_bytes=BYTES * max(price.copies * price.parameters for price in known),
        seconds=_probe(spec, phases) if probe else None,
    )


def _steps(budget: Budget, phases: Sequence[Phase], prices: Sequence[Price]) -> list[float] | None:
    """Optimiser steps of each phase; ``None`` where only time limits them."""
    found = []
    for phase, price in zip(phases, prices, strict=True):
        per_unit = {"flops": price.flops_per_step, "steps": 1.0, "examples": price.examples_per_step}.get(budget.unit)
        if per_unit is None:
            return None
        found.append(phase.share * budget.limit / per_unit)
    return found


def _probe(spec: RunSpec, phases: Sequence[Phase]) -> float:
    """Seconds of training that the budget will take, from :data:`PROBE_STEPS` real steps of the first and the last
    phase. What lies between them goes at the first one's pace."""
    if spec.budget.unit == "seconds":
        return spec.budget.limit
    problems = spec.splits().train
    last = phases[-1]
    seconds = last.share * _probe_phase(last, problems)
    if len(phases) > 1:
        seconds += (1 - last.share) * _probe_phase(phases[0], problems)
    return seconds


def _probe_phase(phase: Phase, problems: Sequence[Problem]) -> float:
    """Seconds that the whole budget would take at the pace of a few steps of one phase."""
    setting, unit = phase.setting, phase.setting.budget.unit
    moments: list[tuple[float, float]] = []

    def watch(spent: Cost) -> None:
        moments.append((time.perf_counter(), getattr(spent, unit)))

    with tempfile.TemporaryDirectory() as folder:
        phase.method.train(
            TrainingRun(
                task=setting.task,
                problems=problems,
                options=phase.method.steps_only(setting.options),
                budget=Budget("steps", PROBE_STEPS + 1),
                seed=setting.seed,
                folder=Path(folder) / "trainer",
                model=setting.model,
                where=setting.where,
                keep=Path(folder),
                on_progress=watch,
            )
        )

    # From the end of the first step to the end of the last: what is loaded and compiled first is left out.
    (begin, spent), (end, total) = moments[0], moments[-1]
    return (end - begin) / (total - spent) * setting.budget.limit


def _table(config: ExperimentConfig, rows: Sequence[Estimate]) -> Table:
    title = f"{config.name}: {budget_text(config.budget.unit, config.budget.limit)} per run"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)  # fits 80 columns
    for heading in ("task", "method"):
        table.add_column(heading, overflow="fold")
    for heading in ("para-\nmeters", "FLOPs/\nstep", "FLOPs/\nanswer", "steps", "state", "training"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.task,
            row.method,
            MISSING if row.parameters is None else f"{row.parameters:,}",
            f"{row.flops_per_step:.2e}",
            MISSING if row.flops_per_answer is None else f"{row.flops_per_answer:.2e}",
            "" if row.steps is None else f"{row.steps:,.0f}",
            f"{row.state_bytes / 2**20:.1f} MiB",
            "" if row.seconds is None else _duration(row.seconds),
        )
    return table


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
