"""Supervised fine-tuning with TRL: on programmatic traces with their answers (``cot``), or on answers alone.

The loss falls on the completion only (:mod:`cot_distill.sft_examples` makes the rows), and nothing is packed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import datasets
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from benchmarks.compute import Cost, language_model_price
from benchmarks.language_models import ModelOptions
from benchmarks.method import TrainingRun
from benchmarks.task import Task
from benchmarks.text_form import Style
from benchmarks.training.budget import Meter
from benchmarks.training.trainer import BudgetCallback, BudgetedTrainerMixin
from benchmarks.training.trainer_options import checked_options
from cot_distill.generators.vllm import check_vllm
from cot_distill.language_model import load_language_model, load_pretrained
from cot_distill.options import SFTOptions, SolverOptions
from cot_distill.sft_examples import Reader, Row, Skipped, build_sft_examples, completion_limit, programmatic, tokenized
from cot_distill.solver import CausalLMSolver

datasets.disable_progress_bars()
logger = logging.getLogger(__name__)

ASKED = 1000  # problems that show how long answers get; a teacher may take its time over hard ones


@dataclass
class TrainedLanguageModel:
    """A trained model with what its training cost."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    meter: Meter
    losses: list[dict[str, float]]
    max_new_tokens: int
    warnings: list[str] = field(default_factory=list)
    solving: SolverOptions = field(default_factory=SolverOptions)

    def solver(self, task: Task, style: Style) -> CausalLMSolver:
        return CausalLMSolver(self.model, self.tokenizer, task, style, self.max_new_tokens, self.solving)


class PricedSFTTrainer(BudgetedTrainerMixin, SFTTrainer):  # type: ignore[misc]  # the mixin prices in floats
    """TRL's SFT trainer under a budget."""

    model: Any
    _drawn: dict[str, int]  # how deep the current batch goes, where the model decides that

    @property
    def _own_loss(self) -> bool:
        return getattr(self.model, "has_own_loss", False)

    def price(self, inputs: dict[str, torch.Tensor]) -> Cost:
        batch, length = inputs["input_ids"].shape
        if self._own_loss:
            flops = self.model.config.price().training_step(batch, length, **self._drawn)
        else:
            flops = language_model_price(self.model.config).training_step(batch, length)
        return Cost(flops=flops, examples=batch, tokens=batch * length)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL learns from the last state alone; a model that is learned at every supervision step has its own loss."""
        if not self._own_loss:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self._drawn = self.model.training_depth(self.meter.progress)
        output = model(**inputs, num_items_in_batch=num_items_in_batch, **self._drawn)
        return (output.loss, output) if return_outputs else output.loss


def train(run: TrainingRun[SFTOptions], style: Style) -> TrainedLanguageModel:
    """Train one language model until the budget is spent.

    Milestones get a solver over the weights so far. Of the test prompts only the length of what the programmatic
    teacher would write is used, so that answers that are longer than those taught are not cut.

    Args:
        style: with a thought before the answer (``cot``), or without (``answer_only``).

    Raises:
        UserError: if the family has no teacher, the model cannot be loaded, or an option of TRL is unknown.
    """
    task, options = run.task, run.options
    model, tokenizer = load_language_model(run.model, task, run.seed)
    if options.solver.generator == "vllm":
        check_vllm(model.config)  # not only when everything is trained

    # What is learned from, and how long answers get.
    context = model.config.max_position_embeddings
    reader = Reader(tokenizer, language_model_price(model.config), context)
    taught = build_sft_examples(task, run.problems, reader, style, options, run.budget, run.seed)
    for warning in taught.warnings:
        logger.warning(warning)
    limit = completion_limit(taught.rows, options.max_length, _test_rows(run, tokenizer, style))
    meter = Meter(run.budget)

    def milestone(current: PreTrainedModel | PeftModel, spent: Cost) -> None:
        if run.at_milestone is not None:
            run.at_milestone(CausalLMSolver(current, tokenizer, task, style, limit, options.solver), spent)

    trainer = PricedSFTTrainer(
        model=model,
        args=SFTConfig(**sft_arguments(options, run.model, context, run.folder, run.seed)),
        train_dataset=Dataset.from_list(taught.rows),
        processing_class=tokenizer,
        callbacks=[BudgetCallback(meter, run.milestones, milestone, run.on_progress)],
        peft_config=lora(run.model),
    )
    trainer.meter, trainer.schedule, trainer.checkpoints = meter, options.schedule, run.checkpoints
    quiet(trainer)
    trainer.train()
    losses = [{"step": e["step"], "loss": e["loss"]} for e in trainer.state.log_history if "loss" in e]
    return TrainedLanguageModel(
        trained_model(trainer, run.model), tokenizer, meter, losses, limit, taught.warnings, options.solver
    )


def _test_rows(run: TrainingRun[SFTOptions], tokenizer: PreTrainedTokenizerBase, style: Style) -> list[Row]:
    """What the programmatic teacher would write for some of the test prompts; where a model teaches, nobody knows."""
    options = run.options
    if options.traces is not None:
        return []
    prompts = run.test_prompts()
    few = prompts[:: max(1, len(prompts) // ASKED)]
    teach = programmatic(run.task, style, options.trace)
    return list(tokenized(run.task, few, tokenizer, style, teach, Skipped(), options.solver.pauses))


def trained_model(trainer: Any, options: ModelOptions) -> PreTrainedModel:
    """The trained model, LoRA adapters merged in, ready for evaluation.

    Adapters that were trained on quantized weights are merged into the weights as they were before, because a merge
    into 4 bits would round away most of what was learned.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if options.quantize != "none":
        assert options.path is not None, "ModelOptions checks it"
        learned = get_peft_model_state_dict(model)
        model = get_peft_model(load_pretrained(options.path)[0], model.peft_config["default"])
        set_peft_model_state_dict(model, learned)
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


def sft_arguments(
    options: SFTOptions, model: ModelOptions, context: int, output_dir: Path, seed: int
) -> dict[str, Any]:
    return {
        **common_arguments(options, output_dir, seed),
        "learning_rate": options.rate(pretrained=model.path is not None),
        "max_length": min(options.max_length or context, context),
        "packing": False,
        **checked_options(options.trainer, SFTConfig, "method.cot.trainer"),
    }


@runtime_checkable
class OptimizerOptions(Protocol):
    """What the options of every trainer of language models have in common."""

    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float | None: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def max_grad_norm(self) -> float: ...


def common_arguments(options: OptimizerOptions, output_dir: Path, seed: int) -> dict[str, Any]:
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
