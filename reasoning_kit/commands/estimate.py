"""What a comparison will cost, before anything runs: parameters, FLOPs, memory and time of every method.

FLOPs come from the price list; parameters from the model built on the meta device; time from a few real optimiser
steps of each method on this machine (``--no-probe`` leaves them out).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.compute import LanguageModelPrice
from benchmarks.task import Task
from benchmarks.training.budget import Budget
from reasoning_kit.config.methods import METHODS, Entry
from reasoning_kit.config.spec import ExperimentConfig, RunSpec, load_config
from reasoning_kit.report.formatting import MISSING, budget_text
from reasoning_kit.runs.environment import use_free_cores

PROBE_STEPS = 3
TYPICAL = 60  # problems of training and of the test that lengths are taken from
ADAM_COPIES = 4  # weights, gradients and two moments, in float32


@dataclass(frozen=True)
class Estimate:
    """One method on one task.

    Attributes:
        parameters: of the model that answers, a pupil where there is one.
        flops_per_step: of one optimiser step; for GRPO with its generation; where a pupil follows, the mean.
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
    if not METHODS[spec.base].trains:
        return Estimate(spec.task_name, spec.method, None, 0.0, None, None, 0, None)
    task = spec.task.load()
    recursive = spec.base in ("trm", "direct")
    phases = _phases(spec)
    priced = [(_recursive if recursive else _language_model)(phase, task) for _, phase in phases]
    parameters, _, per_answer, _ = priced[-1]
    steps = _steps(spec.budget, [share for share, _ in phases], priced)
    weights = steps or [share for share, _ in phases]
    return Estimate(
        task=spec.task_name,
        method=spec.method,
        parameters=parameters,
        flops_per_step=sum(weight * each[1] for weight, each in zip(weights, priced, strict=True)) / sum(weights),
        flops_per_answer=per_answer,
        steps=None if steps is None else sum(steps),
        state_bytes=4 * max(_copies(phase) * each[0] for (_, phase), each in zip(phases, priced, strict=True)),
        seconds=_probe(spec) if probe else None,
    )


def _phases(spec: RunSpec) -> list[tuple[float, RunSpec]]:
    """Trainings of different models with their shares of the budget: of a policy that teaches, its own and the pupil's.
    Writing between them has no steps; where it takes none of the budget's unit, the pupil gets its share."""
    options: Any = spec.options
    if spec.base != "grpo" or not options.pupil.samples:
        return [(1.0, spec)]
    pupil = options.pupil
    policy = replace(spec, options=replace(options, pupil=replace(pupil, samples=0)))
    model = pupil.model.over(spec.model, f"method.{spec.method}.pupil.model")
    learner = replace(spec, base="cot", options=pupil.distillation, model=model)
    left = 1 - pupil.policy_share if spec.budget.unit == "steps" else pupil.share
    return [(pupil.policy_share, policy), (left, learner)]


def _copies(spec: RunSpec) -> int:
    """Numbers held per parameter: of what is trained, of a reference model, and of PPO's value model."""
    options: Any = spec.options
    if spec.base != "grpo":
        return ADAM_COPIES
    reference = bool(options.beta) and not spec.model.lora_rank
    return ADAM_COPIES + reference + ADAM_COPIES * (options.algorithm == "ppo")


def _steps(
    budget: Budget, shares: Sequence[float], priced: Sequence[tuple[int, float, float, float]]
) -> list[float] | None:
    """Of each phase; ``None`` where only time limits them."""
    found = []
    for share, (_, per_step, _, examples) in zip(shares, priced, strict=True):
        per_unit = {"flops": per_step, "steps": 1.0, "examples": examples}.get(budget.unit)
        if per_unit is None:
            return None
        found.append(share * budget.limit / per_unit)
    return found


def _recursive(spec: RunSpec, task: Task) -> tuple[int, float, float, float]:
    import torch

    from benchmarks.grid_task import as_grid
    from trm import pricing
    from trm.modeling import TRMForPuzzles
    from trm.trainer import build

    options: Any = spec.options
    config = build(as_grid(task, f"method.{spec.method}"), options)
    with torch.device("meta"):
        parameters = TRMForPuzzles(config).num_parameters()
    steps = 1 if config.recursion == "direct" else options.evaluation_steps or config.supervision_steps
    batch = options.batch_size
    return (
        parameters,
        batch * pricing.training_step(config),
        options.votes * options.trajectories * pricing.answer(config, steps),
        batch,
    )


def _language_model(spec: RunSpec, task: Task) -> tuple[int, float, float, float]:
    """For a few typical problems; programmatic traces give the lengths."""
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks.compute import language_model_price
    from benchmarks.text_form import Style
    from cot_distill.language_model import load_tokenizer, model_config
    from cot_distill.sft_examples import IGNORE, Left, programmatic, tokenized
    from cot_distill.traces import styles
    from reasoning_kit.runs.run import load_splits

    options: Any = spec.options
    tokenizer = load_tokenizer(spec.model, task)
    model_configuration = model_config(spec.model, len(tokenizer))
    with torch.device("meta"):
        parameters = AutoModelForCausalLM.from_config(model_configuration).num_parameters()
    shape = language_model_price(model_configuration)
    if spec.base == "grpo":
        shape = shape.of_last_state()
    style: Style = "answer_only" if spec.base == "answer_only" else "cot"
    taught: Style = (
        "answer_only" if spec.base == "grpo" and not styles(task) else style
    )  # nobody knows its thoughts yet
    teach = programmatic(task, taught, getattr(options, "trace", None))
    few: dict[str, Any] = {
        name: min(getattr(spec.task, name) or TYPICAL, TYPICAL) for name in ("train_size", "test_size")
    }
    splits = load_splits(replace(spec, task=replace(spec.task, **few)))[1]
    pauses = options.solver.pauses
    rows = list(tokenized(task, splits.train, tokenizer, style, teach, Left(), pauses))
    length = max(len(row["input_ids"]) for row in rows)
    prompt = max(row["labels"].count(IGNORE) for row in rows)
    # Test problems may be longer; where nobody can say what their answers look like, they are taken for typical.
    asked = list(tokenized(task, splits.test, tokenizer, style, teach, Left(), pauses)) or rows
    lengths = [(row["labels"].count(IGNORE), len(row["labels"])) for row in asked]
    per_answer = fmean(_answer(shape, before, end - before, options.solver.samples) for before, end in lengths)
    batch = options.batch_size * int(options.trainer.get("gradient_accumulation_steps", 1))
    per_step = shape.training_step(batch, length)
    if spec.base == "grpo":
        per_step += shape.generation(batch, prompt, length - prompt)
        scored = bool(options.beta) + (
            options.algorithm == "rloo" or (options.algorithm == "ppo" and bool(options.beta))
        )
        per_step += scored * shape.forward(batch, length)
        if options.algorithm == "ppo":
            value = shape.with_head(1)
            per_step += value.training_step(batch, length) + value.forward(batch, length)
    return parameters, per_step, per_answer, batch


def _answer(shape: LanguageModelPrice, prompt: int, new: int, samples: int) -> float:
    """All samples of a problem, each of ``new`` tokens at full depth; the prompt once."""
    read = shape.generation(1, prompt, 0)
    return read + samples * (shape.generation(1, prompt, new) - read)


def _probe(spec: RunSpec) -> float:
    """Seconds of training that the budget will take, from :data:`PROBE_STEPS` real steps after a first one."""
    from reasoning_kit.runs.run import load_splits, train

    if spec.budget.unit == "seconds":
        return spec.budget.limit
    phases = _phases(spec)
    if len(phases) > 1:  # writing at the pace of the policy's training, which is mostly writing
        pupil_share = phases[-1][0]
        return (1 - pupil_share) * _probe(phases[0][1]) + pupil_share * _probe(phases[-1][1])
    task, splits = load_splits(replace(spec, task=replace(spec.task, test_size=1)))
    moments: list[tuple[float, float]] = []

    def watch(spent: Any) -> None:
        moments.append((time.perf_counter(), getattr(spent, spec.budget.unit)))

    steps = Budget("steps", PROBE_STEPS + 1)
    options: Any = spec.options
    if spec.base == "grpo":  # the steps alone
        options = replace(options, held_out=0, curriculum="none")
        if options.taught is not None:
            options = replace(options, start="model", max_new_tokens=options.max_new_tokens or 64)
    short = replace(spec, budget=steps, options=options)
    with tempfile.TemporaryDirectory() as folder:
        train(short, task, splits.train, Path(folder), lambda *_: None, watch)
    (begin, spent), (end, total) = moments[0], moments[-1]
    return (end - begin) / (total - spent) * spec.budget.limit


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
