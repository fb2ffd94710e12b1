"""Group-relative policy optimisation with TRL, from a distilled start checkpoint or from a given model.

The advantage of a completion is its reward minus the mean of its group (DeepSeekMath, arXiv 2402.03300, equation 3,
there also divided by the group's standard deviation); the reward is the task's verifier, and what the options add to
it. Everything that led to the result is paid from the run's own budget: the start checkpoint's training, measuring how
hard problems are, and groups that are skipped. Pass rates before and after, on training problems kept aside from both
phases, are evaluation and off the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.training.budget import Budget, BudgetCallback, Meter
from benchmarks.training.checkpoints import ONLY_IF_ARGUED, Checkpoints
from cot_distill.generators.base import Sampling
from cot_distill.generators.vllm import check_vllm
from cot_distill.language_model import render_prompt
from cot_distill.options import ModelOptions
from cot_distill.solver import CausalLMSolver
from cot_distill.traces import TEACHERS
from cot_distill.train import TrainedLanguageModel, lora, quiet, trained_model
from cot_distill.train import train as distill
from grpo.arguments import arguments_of
from grpo.curriculum import arranged, keep_aside, right_counts
from grpo.diagnostics import Diagnosis, DiagnosticsCallback, PassRates, diagnose
from grpo.health import Setting, steps_of
from grpo.memory import Memory, held
from grpo.options import GRPOOptions
from grpo.ppo import PPOTrainer
from grpo.rewards import FAILURES, build_rewards, own_rewards
from grpo.rloo import PricedRLOOTrainer
from grpo.start import given_start
from grpo.thoughts import Thoughts
from grpo.trainer import PolicyTrainerMixin, PricedGRPOTrainer, ReinforceTrainer

TRAINERS: dict[str, type[PolicyTrainerMixin]] = {
    "grpo": PricedGRPOTrainer,
    "rloo": PricedRLOOTrainer,
    "ppo": PPOTrainer,
    "reinforce": ReinforceTrainer,
}


@dataclass
class TrainedPolicy(TrainedLanguageModel):
    """A policy, what it cost in all, and what its groups taught.

    Attributes:
        start_cost: the start checkpoint's part of the cost.
        steps: per step what TRL and the trainer report (reward, silent groups, entropy, KL, lengths).
        history: those in which completions were written, all unless they are used several times.
        diagnosis: what these numbers say.
        before, after: pass rates on the problems that were kept aside.
        memory: what training holds: bytes of each model's weights, gradients and optimiser state.
        difficulty: what the curriculum measured: right completions of each training problem, and what it cost.
    """

    start_cost: Cost = field(default_factory=Cost)
    steps: list[dict[str, float]] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    diagnosis: Diagnosis = field(default_factory=lambda: Diagnosis(""))
    before: PassRates | None = None
    after: PassRates | None = None
    difficulty: dict[str, Any] | None = None
    memory: Memory = field(default_factory=dict)


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
        UserError: if the start checkpoint cannot be loaded, an option of TRL is unknown or a reward of the user's
            cannot be imported; all but the first before anything trains.
    """
    checked = arguments_of(options, output_dir, seed, 1, 1.0)
    _check_model(options, model_options)
    own = own_rewards(options)
    assert checked.generation_batch_size is not None, "TRL resolves it"
    assert checked.num_generations is not None, "it is given"
    groups = checked.generation_batch_size // checked.num_generations
    learned, aside = keep_aside(problems, options.held_out, groups, seed)
    _check_problems(learned, groups)
    taught = options.taught
    share = options.start_share if taught is not None else 0.0
    if taught is not None:
        start = distill(
            task,
            learned,
            taught,
            model_options,
            "cot",
            budget.share(share),
            seed,
            output_dir / "start",
            [m / share for m in milestones if m < share],
            at_milestone,
            on_progress,
            checkpoints,
        )
        pretrained = model_options.path is not None
    else:
        start, pretrained = given_start(task, learned, options, model_options, budget, seed)
    if options.solver.generator == "vllm":
        check_vllm(start.model.config)
    start_cost = start.meter.spent
    left = _left(budget, start_cost)
    longest = options.max_new_tokens or start.max_new_tokens
    rate = options.rate(pretrained, model_options.lora_rank > 0)
    arguments = arguments_of(options, output_dir, seed, longest, rate)
    if start.model.device != arguments.device and model_options.quantize == "none":
        start.model.to(arguments.device)  # type: ignore[arg-type]  # what is measured before training, too

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

    guards, weights = build_rewards(task, problems, options, longest, own, output_dir)
    arguments.reward_weights = weights
    setting = Setting(
        options.loss_type,
        arguments.beta,
        options.resample,
        options.curriculum,
        [guard.__name__ for guard in guards[1:]],
        str(output_dir / FAILURES),
        options.algorithm,
    )

    def count(
        model: PreTrainedModel,
        asked: Sequence[Problem],
        samples: int,
        look: Callable[[Problem, list[str]], None] | None = None,
    ) -> Iterator[tuple[list[int], Cost]]:
        sampling = Sampling(samples, options.temperature, 1.0, longest, seed)
        size = groups * options.num_generations
        return right_counts(model, start.tokenizer, task, asked, guards[0], sampling, size, look)

    def pass_rates(model: PreTrainedModel) -> PassRates | None:
        if not aside:
            return None
        thoughts = Thoughts() if checkable else None

        def look(problem: Problem, completions: list[str]) -> None:
            if thoughts is not None:
                thoughts.add(task, problem, completions, options.distillation.trace)

        parts = count(model, aside, options.held_out_samples, look)
        right = [right for counts, _ in parts for right in counts]
        return PassRates(right, options.held_out_samples, thoughts)

    # A pretrained model, or one that language models taught, thinks in words of its own.
    checkable = not pretrained and task.family in TEACHERS and options.distillation.traces is None
    before = pass_rates(start.model)
    meter = Meter(left)
    difficulty, order = _difficulty(learned, options, groups, seed, start.model, count, meter)
    guards[0].take()  # failures until here are not of a step
    if arguments.beta != 0.0 and not model_options.lora_rank:
        _save_reference(start.model, output_dir / "reference")
    later = [1 - (1 - m) * budget.limit / left.limit for m in milestones if m >= share]
    trainer: Any = TRAINERS[options.algorithm](
        model=start.model,
        reward_funcs=list(guards),
        args=arguments,
        train_dataset=_rows(task, learned, order, start.tokenizer),
        processing_class=start.tokenizer,
        callbacks=[BudgetCallback(meter, later, milestone, progress), DiagnosticsCallback(setting)],
        peft_config=lora(model_options),
    )
    trainer.meter, trainer.schedule = meter, options.schedule
    trainer.resample, trainer.guards = options.resample, guards
    trainer.value_options = options.value  # PPO's
    trainer.checkpoints = replace(checkpoints, on_resume=lambda spent: checkpoints.on_resume(start_cost + spent))
    quiet(trainer)
    trainer.train()
    memory = held(trainer)  # before adapters are merged
    steps = steps_of(trainer.state.log_history)
    history = [entry for entry in steps if "reward" in entry]
    model = trained_model(trainer, model_options)
    after = pass_rates(model)
    return TrainedPolicy(
        model=model,
        tokenizer=start.tokenizer,
        meter=Meter(budget, start_cost + meter.spent),
        losses=[*start.losses, *({"step": e["step"], "loss": e["loss"]} for e in history if "loss" in e)],
        max_new_tokens=longest,
        warnings=start.warnings,
        solving=options.solver,
        start_cost=start_cost,
        steps=steps,
        history=history,
        diagnosis=diagnose(steps, setting, before, after),
        before=before,
        after=after,
        difficulty=difficulty,
        memory=memory,
    )


def _difficulty(
    problems: Sequence[Problem],
    options: GRPOOptions,
    groups: int,
    seed: int,
    model: PreTrainedModel,
    count: Callable[[PreTrainedModel, Sequence[Problem], int], Iterable[tuple[list[int], Cost]]],
    meter: Meter,
) -> tuple[dict[str, Any] | None, list[int]]:
    """What the curriculum has to know, paid for, and the order of the problems that follows from it."""
    if options.curriculum == "none":
        return None, list(range(len(problems)))
    samples = options.curriculum_samples
    asked = torch.randperm(len(problems), generator=torch.Generator().manual_seed(seed)).tolist()
    found: list[int | None] = []
    with meter.running():
        for counts, cost in count(model, [problems[i] for i in asked], samples):
            found += counts
            meter.add(cost)
            if meter.progress >= options.curriculum_share:
                break
    right = {problems[i].id: number for i, number in zip(asked, found, strict=False)}
    difficulty = {"samples": samples, "right": right, "cost": meter.spent.to_dict()}
    known = [right.get(problem.id) for problem in problems]
    return difficulty, arranged(known, samples, options.curriculum, groups, seed)


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


def _check_problems(problems: Sequence[Problem], groups: int) -> None:
    if len(problems) < groups:
        raise UserError(
            f"a batch asks {groups} different problems, but there are {len(problems)} to train on.",
            where="method.grpo.batch_size",
            cure="Give a smaller batch_size, a larger num_generations, or more problems (train_size).",
        )


def _check_model(options: GRPOOptions, model: ModelOptions) -> None:
    if options.algorithm == "ppo" and model.lora_rank:
        raise UserError(
            "PPO trains every weight of the policy and of its value model.",
            where="model.lora_rank",
            cure="Give 0, or take algorithm=grpo or rloo, which have no value model.",
        )


def _save_reference(model: PreTrainedModel, folder: Path) -> None:
    """TRL loads the reference model by the policy's name: let that name the start checkpoint."""
    model.save_pretrained(folder)
    model.config._name_or_path = str(folder)


def _rows(task: Task, problems: Sequence[Problem], order: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """One row per problem asked, in order; ``place`` is its own number, question and answer are for own rewards."""
    prompts = [render_prompt(tokenizer, task, problem, "cot") for problem in problems]
    return Dataset.from_dict(
        {
            "id": [problems[i].id for i in order],
            "prompt": [prompts[i] for i in order],
            "question": [problems[i].question for i in order],
            "answer": [problems[i].answer for i in order],
            "place": list(range(len(order))),
        }
    )
