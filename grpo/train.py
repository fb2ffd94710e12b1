"""Group-relative policy optimisation with TRL, from a distilled start checkpoint or from a given model.

The advantage of a completion is its reward minus the mean of its group (DeepSeekMath, arXiv 2402.03300, equation 3,
there also divided by the group's standard deviation); the reward is the task's verifier. The start checkpoint is
trained inside the run's own budget, so that the budget counts everything that led to the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import GRPOConfig, GRPOTrainer

from benchmarks.budget import Budget, BudgetCallback, BudgetedTrainerMixin, Meter
from benchmarks.checkpoints import ONLY_IF_ARGUED, Checkpoints, step_of
from benchmarks.compute import CausalLMShape, Cost
from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.rewards import verifier_reward
from benchmarks.task import Task
from benchmarks.trainer_options import checked_options
from cot_distill.language_model import load_language_model, load_pretrained, render_prompt
from cot_distill.options import ModelOptions
from cot_distill.rows import room_for
from cot_distill.solver import CausalLMSolver
from cot_distill.train import (
    TrainedLanguageModel,
    common_arguments,
    lora,
    quiet,
    trained_model,
)
from cot_distill.train import train as distill
from cot_distill.vllm_generator import check_vllm
from grpo.options import GRPOOptions


@dataclass
class TrainedPolicy(TrainedLanguageModel):
    """A policy, what it cost in all, and what its groups taught.

    Attributes:
        start_cost: the start checkpoint's part of the cost.
        history: per logged step what TRL reports (reward, zero-variance share, entropy, lengths).
    """

    start_cost: Cost = field(default_factory=Cost)
    history: list[dict[str, float]] = field(default_factory=list)


class PricedGRPOTrainer(BudgetedTrainerMixin, GRPOTrainer):  # type: ignore[misc]  # the mixin prices in floats
    """TRL's GRPO trainer under a budget that also pays for generation and for the reference model."""

    model: PreTrainedModel

    def price(self, inputs: Any) -> Cost:
        """Everything is priced where it is computed: generation in :meth:`charge_generation`, updates in the loss."""
        return Cost()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        batch, prompt = inputs["prompt_ids"].shape
        length = prompt + inputs["completion_ids"].shape[1]
        flops = self.shape.training_step(batch, length)
        # Log-probabilities under the reference model and under the policy that wrote the completions.
        passes = (self.beta != 0.0) + ("old_per_token_logps" in inputs)
        flops += passes * self.shape.forward(batch, length) / self.num_iterations
        self.meter.add(Cost(flops=flops, tokens=batch * length))
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """As in training and in the solver: a start token, where there is one, comes from the chat template."""
        tokenizer: Any = self.processing_class
        return tokenizer(prompts, add_special_tokens=False)["input_ids"], None, {}

    def load_own_state(self, folder: Path) -> None:
        """Completions that were still to be learned from are written anew, where they were in the order of batches."""
        super().load_own_state(folder)
        self._step = step_of(folder) * self.args.gradient_accumulation_steps

    @property
    def shape(self) -> CausalLMShape:
        return CausalLMShape.of(self.model.config)

    def charge_generation(self, prompt: int, completions: Sequence[Sequence[int]]) -> None:
        """A batch is generated until its longest completion ends, and all of that is computed."""
        longest = max(len(ids) for ids in completions)
        flops = self.shape.generation(len(completions), prompt, longest)
        self.meter.add(Cost(flops=flops, examples=len(completions), tokens=len(completions) * (prompt + longest)))


def train(
    task: Task,
    problems: Sequence[Problem],
    options: GRPOOptions,
    model_options: ModelOptions,
    budget: Budget,
    seed: int,
    output_dir: Path,
    milestones: Sequence[float] = (),
    at_milestone: Callable[[CausalLMSolver, Cost], None] | None = None,
    on_progress: Callable[[Cost], None] | None = None,
    at_start: Callable[[CausalLMSolver], None] | None = None,
    checkpoints: Checkpoints = ONLY_IF_ARGUED,
) -> TrainedPolicy:
    """Train a policy until the budget, the start checkpoint's training included, is spent.

    Args:
        milestones: shares of the whole budget at which ``at_milestone`` gets, off the clock, a solver over the
            weights so far and what they cost, the start checkpoint included.
        on_progress: gets what is spent, after every step.
        at_start: gets a solver over the start checkpoint.
        checkpoints: when to save, and whether to go on from there. The start checkpoint's training saves its last step
            too, so that a policy that goes on finds the same start, in ``output_dir/start``.

    Raises:
        UserError: if the start checkpoint cannot be loaded or an option of TRL is unknown.
    """
    share = options.start_share if options.start == "distill" else 0.0
    start = _start_checkpoint(
        task,
        problems,
        options,
        model_options,
        budget.share(share) if share else budget,
        seed,
        output_dir,
        [m / share for m in milestones if m < share],
        at_milestone,
        on_progress,
        checkpoints,
    )
    if options.solver.generator == "vllm":
        check_vllm(start.model.config)
    start_cost = start.meter.spent
    left = _left(budget, start_cost)
    longest = options.max_new_tokens or start.max_new_tokens

    def solver(model: PreTrainedModel) -> CausalLMSolver:
        return CausalLMSolver(model, start.tokenizer, task, "cot", longest, options.solver)

    if at_start is not None:
        at_start(solver(start.model))

    def milestone(model: PreTrainedModel, spent: Cost) -> None:
        if at_milestone is not None:
            at_milestone(solver(model), start_cost + spent)

    def progress(spent: Cost) -> None:
        if on_progress is not None:
            on_progress(start_cost + spent)

    rows = _prompt_rows(task, problems, start.tokenizer)
    prompt_length = max(map(len, start.tokenizer(list(rows["prompt"]), add_special_tokens=False)["input_ids"]))
    correct = verifier_reward(task, problems, "cot")

    def verified(completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        trainer.charge_generation(prompt_length, completion_ids)
        return [*correct(**columns)]

    arguments = GRPOConfig(**_grpo_arguments(options, output_dir, seed, longest))
    if arguments.beta != 0.0 and not model_options.lora_rank:
        _save_reference(start.model, output_dir / "reference")
    meter = Meter(left)
    later = [1 - (1 - m) * budget.limit / left.limit for m in milestones if m >= share]
    trainer = PricedGRPOTrainer(
        model=start.model,
        reward_funcs=[verified],
        args=arguments,
        train_dataset=rows,
        processing_class=start.tokenizer,
        callbacks=[BudgetCallback(meter, later, milestone, progress)],
        peft_config=lora(model_options),
    )
    trainer.meter, trainer.schedule = meter, options.schedule
    trainer.checkpoints = replace(checkpoints, on_resume=lambda spent: checkpoints.on_resume(start_cost + spent))
    quiet(trainer)
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "reward" in entry]
    return TrainedPolicy(
        model=trained_model(trainer, model_options),
        tokenizer=start.tokenizer,
        meter=Meter(budget, start_cost + meter.spent),
        losses=[*start.losses, *({"step": e["step"], "loss": e["loss"]} for e in history if "loss" in e)],
        max_new_tokens=longest,
        warnings=start.warnings,
        solving=options.solver,
        start_cost=start_cost,
        history=history,
    )


def _start_checkpoint(
    task: Task,
    problems: Sequence[Problem],
    options: GRPOOptions,
    model_options: ModelOptions,
    budget: Budget,
    seed: int,
    output_dir: Path,
    milestones: Sequence[float],
    at_milestone: Callable[[CausalLMSolver, Cost], None] | None,
    on_progress: Callable[[Cost], None] | None,
    checkpoints: Checkpoints,
) -> TrainedLanguageModel:
    if options.start == "distill":
        return distill(
            task,
            problems,
            options.distillation,
            model_options,
            "cot",
            budget,
            seed,
            output_dir / "start",
            milestones,
            at_milestone,
            on_progress,
            checkpoints,
        )
    if options.start == "model":
        model, tokenizer = load_language_model(model_options, task, seed)
    else:
        model, tokenizer = load_pretrained(options.start, where="method.grpo.start")
    longest = room_for(task, problems, tokenizer, "cot", options.distillation.max_length)
    return TrainedLanguageModel(model, tokenizer, Meter(budget), [], longest)


def _left(budget: Budget, start_cost: Cost) -> Budget:
    """What the start checkpoint left of the budget."""
    left = budget.limit - getattr(start_cost, budget.unit)
    if left <= 0:
        raise UserError(
            f"the start checkpoint took all of the {budget.limit:g} {budget.unit}.",
            where="method.grpo.start_share",
            cure="Give a larger budget, or a smaller start_share.",
        )
    return Budget(budget.unit, left)


def _save_reference(model: PreTrainedModel, folder: Path) -> None:
    """TRL loads the reference model by the policy's name: let that name the start checkpoint."""
    model.save_pretrained(folder)
    model.config._name_or_path = str(folder)


def _grpo_arguments(options: GRPOOptions, output_dir: Path, seed: int, longest: int) -> dict[str, Any]:
    return {
        **common_arguments(options, output_dir, seed),
        "num_generations": options.num_generations,
        "beta": options.beta,
        "epsilon": options.epsilon,
        "epsilon_high": options.epsilon_high,
        "loss_type": options.loss_type,
        "scale_rewards": options.scale_rewards,
        "temperature": options.temperature,
        "max_completion_length": longest,
        "logging_steps": 1,
        **checked_options(options.trainer, GRPOConfig, "method.grpo.trainer"),
    }


def _prompt_rows(task: Task, problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase) -> Dataset:
    prompts = [render_prompt(tokenizer, task, problem, "cot") for problem in problems]
    return Dataset.from_dict({"id": [problem.id for problem in problems], "prompt": prompts})
