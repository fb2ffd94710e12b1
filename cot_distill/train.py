"""Supervised fine-tuning with TRL: on programmatic traces with their answers (``cot``), or on answers alone.

Every trace is replayed by its teacher's checker before it is learned. The loss falls on the completion only, nothing
is packed, and each pass over the problems after the first shows them under fresh random symmetries.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from benchmarks.budget import Budget, BudgetCallback, BudgetedTrainerMixin, Meter
from benchmarks.checkpoints import ONLY_IF_ARGUED, Checkpoints
from benchmarks.compute import CausalLMShape, Cost
from benchmarks.problem import Problem
from benchmarks.symmetries import IGNORE
from benchmarks.task import Task
from benchmarks.text_form import Style, completion_text
from benchmarks.trainer_options import checked_options
from cot_distill.language_model import load_language_model, render_prompt
from cot_distill.options import ModelOptions, SFTOptions
from cot_distill.solver import CausalLMSolver
from cot_distill.traces import check_trace, write_trace

datasets.disable_progress_bars()
logger = logging.getLogger(__name__)

MAX_ROWS = 100_000  # rows are made in advance; a longer run sees them again
FLOPS_PER_SECOND = 2e11  # of two CPU cores; in a budget of seconds a faster machine sees rows again


@dataclass
class TrainedLanguageModel:
    """A trained model with what its training cost."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    meter: Meter
    losses: list[dict[str, float]]
    max_new_tokens: int
    warnings: list[str] = field(default_factory=list)

    def solver(self, task: Task, style: Style) -> CausalLMSolver:
        return CausalLMSolver(self.model, self.tokenizer, task, style, self.max_new_tokens)


def room(rows: Sequence[dict[str, list[int]]], most: int | None = None) -> int:
    """How many tokens a solver may write: a quarter more than the longest completion taught, but up to ``most``."""
    longest = max(len(row["labels"]) - row["labels"].count(IGNORE) for row in rows)
    wanted = math.ceil(1.25 * longest) + 4
    return wanted if most is None else min(wanted, most)


class PricedSFTTrainer(BudgetedTrainerMixin, SFTTrainer):  # type: ignore[misc]  # the mixin prices in floats
    """TRL's SFT trainer under a budget."""

    model: PreTrainedModel

    def price(self, inputs: dict[str, torch.Tensor]) -> Cost:
        batch, length = inputs["input_ids"].shape
        flops = CausalLMShape.of(self.model.config).training_step(batch, length)
        return Cost(flops=flops, examples=batch, tokens=batch * length)


def train(
    task: Task,
    problems: Sequence[Problem],
    options: SFTOptions,
    model_options: ModelOptions,
    style: Style,
    budget: Budget,
    seed: int,
    output_dir: Path,
    milestones: Sequence[float] = (),
    at_milestone: Callable[[CausalLMSolver, Cost], None] | None = None,
    on_progress: Callable[[Cost], None] | None = None,
    checkpoints: Checkpoints = ONLY_IF_ARGUED,
) -> TrainedLanguageModel:
    """Train one language model until the budget is spent.

    Args:
        milestones: shares of the budget at which ``at_milestone`` gets, off the clock, a solver over the weights so
            far and what they cost.
        on_progress: gets what is spent, after every step.
        checkpoints: when to save into ``output_dir``, and whether to go on from there.

    Raises:
        UserError: if the family has no teacher, the model cannot be loaded, or an option of TRL is unknown.
    """
    model, tokenizer = load_language_model(model_options, task, seed)
    shape = CausalLMShape.of(model.config)
    rows = tokenized_rows(task, problems, tokenizer, style, options, shape, budget, seed)
    warnings = _warn_of_long_rows(rows, options.max_length, model.config.max_position_embeddings)
    max_new_tokens = room(rows, options.max_length)
    meter = Meter(budget)

    def milestone(current: PreTrainedModel, spent: Cost) -> None:
        if at_milestone is not None:
            at_milestone(CausalLMSolver(current, tokenizer, task, style, max_new_tokens), spent)

    callback = BudgetCallback(meter, milestones, milestone, on_progress)
    trainer = PricedSFTTrainer(
        model=model,
        args=SFTConfig(**sft_arguments(options, output_dir, seed)),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[callback],
        peft_config=lora(model_options),
    )
    trainer.meter, trainer.schedule, trainer.checkpoints = meter, options.schedule, checkpoints
    quiet(trainer)
    trainer.train()
    losses = [{"step": e["step"], "loss": e["loss"]} for e in trainer.state.log_history if "loss" in e]
    return TrainedLanguageModel(trained_model(trainer), tokenizer, meter, losses, max_new_tokens, warnings)


def _warn_of_long_rows(rows: Sequence[dict[str, list[int]]], max_length: int | None, context: int) -> list[str]:
    longest = max_length or context
    longer = sum(len(row["input_ids"]) > longest for row in rows)
    if not longer:
        return []
    effect = "what is beyond is not learned" if max_length else "the model's context"
    warning = f"{longer} of {len(rows)} training rows are longer than {longest} tokens: {effect}."
    logger.warning(warning)
    return [warning]


def trained_model(trainer: Any) -> PreTrainedModel:
    """The trained model, LoRA adapters merged in, ready for evaluation."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    return model.eval()


def lora(options: ModelOptions) -> LoraConfig | None:
    if options.lora_rank == 0:
        return None
    return LoraConfig(
        r=options.lora_rank, lora_alpha=2 * options.lora_rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def quiet(trainer: Any) -> None:
    """Progress is shown by the caller, in units of the budget."""
    from transformers import PrinterCallback, ProgressCallback

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)


def sft_arguments(options: SFTOptions, output_dir: Path, seed: int) -> dict[str, Any]:
    return {
        **common_arguments(options, output_dir, seed),
        "max_length": options.max_length,
        "packing": False,
        **checked_options(options.trainer, SFTConfig, "method.cot.trainer"),
    }


def common_arguments(options: Any, output_dir: Path, seed: int) -> dict[str, Any]:
    """TrainingArguments that TRL's trainers share here; the budget, not a step count, ends training."""
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(output_dir),
        "per_device_train_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "warmup_steps": options.warmup_steps,
        "max_grad_norm": options.max_grad_norm,
        "max_steps": 10_000_000,
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "seed": seed,
        "use_cpu": on_cpu,
        "bf16": not on_cpu,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }


def tokenized_rows(
    task: Task,
    problems: Sequence[Problem],
    tokenizer: PreTrainedTokenizerBase,
    style: Style,
    options: SFTOptions,
    shape: CausalLMShape,
    budget: Budget,
    seed: int,
) -> list[dict[str, list[int]]]:
    """Rows ``input_ids, labels`` (prompt masked) for as many passes as the budget can pay.

    The first pass shows the problems as they are, every further one under random symmetries.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = list(tokenized(task, problems, tokenizer, style))
    lengths = [len(row["input_ids"]) for row in rows]
    passes = _affordable_passes(budget, shape, options, sum(lengths) / len(lengths), len(problems))
    for _ in range(passes - 1) if options.augment else ():
        rows.extend(tokenized(task, task.augment(problems, generator), tokenizer, style))
    return rows


def room_for(
    task: Task, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, style: Style, most: int | None
) -> int:
    """:func:`room` for a model that is not taught here: what the programmatic teacher would write."""
    return room(list(tokenized(task, problems, tokenizer, style)), most)


def _affordable_passes(budget: Budget, shape: CausalLMShape, options: SFTOptions, length: float, problems: int) -> int:
    """Passes over the problems that the budget pays for, at least 1, at most :data:`MAX_ROWS` rows in all."""
    per_example = {
        "flops": shape.training_step(1, math.ceil(length)),
        "examples": 1,
        "tokens": length,
        "steps": 1 / options.batch_size,
        "seconds": shape.training_step(1, math.ceil(length)) / FLOPS_PER_SECOND,
    }[budget.unit]
    return max(1, min(math.ceil(budget.limit / per_example / problems), MAX_ROWS // problems))


def tokenized(
    task: Task, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, style: Style
) -> Iterable[dict[str, list[int]]]:
    """Rows of ``input_ids`` and ``labels`` (prompt masked), every trace checked."""
    prompts, completions = [], []
    for problem in problems:
        trace = None
        if style == "cot":
            trace = write_trace(task, problem)
            check_trace(task, problem, trace)
        prompts.append(render_prompt(tokenizer, task, problem, style))
        completions.append(completion_text(task, problem, trace) + str(tokenizer.eos_token))
    prompt_ids = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    completion_ids = tokenizer(completions, add_special_tokens=False)["input_ids"]
    for asked, written in zip(prompt_ids, completion_ids, strict=True):
        yield {"input_ids": asked + written, "labels": [IGNORE] * len(asked) + written}
