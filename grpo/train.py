"""Group-relative policy optimisation with TRL, from a distilled start checkpoint or from a given model.

The advantage of a completion is its reward minus the mean of its group (DeepSeekMath, arXiv 2402.03300, equation 3,
there also divided by the group's standard deviation); the reward is the task's verifier, and what the options add to
it. Everything that led to the result is paid from the run's own budget: the start checkpoint's training, measuring how
hard problems are, and groups that are skipped. Pass rates before and after, on training problems held out from both
phases, are evaluation and off the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.method import TrainingRun
from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.training.budget import Meter
from benchmarks.training.trainer import BudgetCallback
from cot_distill.generators.base import Sampling
from cot_distill.generators.transformers import TransformersGenerator
from cot_distill.generators.vllm import check_vllm
from cot_distill.language_model import render_prompt
from cot_distill.solver import CausalLMSolver
from cot_distill.traces import can_check
from cot_distill.train import TrainedLanguageModel, lora, quiet, trained_model
from cot_distill.train import train as distill
from grpo.arguments import arguments_of
from grpo.curriculum import arranged, hold_out, right_counts
from grpo.diagnostics import Diagnosis, DiagnosticsCallback, PassRates, diagnose
from grpo.health import HealthSettings, steps_of
from grpo.memory import Memory, held
from grpo.options import GRPOOptions
from grpo.ppo import PPOTrainer
from grpo.rewards import FAILURES, build_rewards, own_rewards
from grpo.start import given_start
from grpo.thoughts import Thoughts
from grpo.trainer import PolicyTrainerMixin, PricedGRPOTrainer, PricedRLOOTrainer, ReinforceTrainer

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
        steps: per step what TRL and the trainer report (reward, zero-variance groups, entropy, KL, lengths).
        history: those in which completions were written, all unless they are used several times.
        diagnosis: what these numbers say.
        before, after: pass rates on the problems that were held out.
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


def train(run: TrainingRun[GRPOOptions]) -> TrainedPolicy:
    """Train a policy until the budget, the start checkpoint's training included, is spent.

    Milestones get, off the clock, a solver over the weights so far and what they cost, the start included. The phase
    ``start`` is announced with a solver over the start checkpoint. The start's training saves its last step too, so
    that a policy that goes on finds the same start, in ``folder/start``.

    Raises:
        UserError: if the start checkpoint cannot be loaded, an option of TRL is unknown or a reward of the user's
            cannot be imported; all but the first before anything trains.
    """
    options = run.options
    groups = check_arguments(run)
    own = own_rewards(options)
    learned, held_out = hold_out(run.problems, options.held_out, groups, run.seed)
    _check_problems(learned, groups)

    start, pretrained = _start(run, learned)
    share = options.start_share if options.taught is not None else 0.0
    rest = run.rest(start.meter.spent, since=share)
    policy = _Policy(rest, start, groups, pretrained)
    run.ended("start", policy.solver(start.model))

    guards, weights = build_rewards(run.task, run.problems, options, policy.completion_limit, own, run.folder)
    policy.arguments.reward_weights = weights
    setting = _health_settings(options, policy, guards, run.folder)

    # Pass rates of the start, off the clock; then the order of the problems, which is paid for.
    before = policy.pass_rates(start.model, held_out, guards[0])
    meter = Meter(rest.budget)
    difficulty, order = _difficulty(policy, learned, guards[0], meter)
    guards[0].take()  # failures until here are not of a step

    if policy.arguments.beta != 0.0 and not run.model.lora_rank:
        _save_reference(start.model, run.folder / "reference")
    trainer = policy.trainer(guards, _rows(run.task, learned, order, start.tokenizer), meter, setting)
    trainer.train()
    memory = held(trainer)  # before adapters are merged
    model = trained_model(trainer, run.model)
    after = policy.pass_rates(model, held_out, guards[0])
    steps = steps_of(trainer.state.log_history)
    history = [entry for entry in steps if "reward" in entry]
    return TrainedPolicy(
        model=model,
        tokenizer=start.tokenizer,
        meter=Meter(run.budget, start.meter.spent + meter.spent),
        losses=[*start.losses, *_losses(history)],
        max_new_tokens=policy.completion_limit,
        warnings=start.warnings,
        solving=options.solver,
        start_cost=start.meter.spent,
        steps=steps,
        history=history,
        diagnosis=diagnose(steps, setting, before, after),
        before=before,
        after=after,
        difficulty=difficulty,
        memory=memory,
    )


def _health_settings(options: GRPOOptions, policy: _Policy, guards: Sequence[Any], folder: Path) -> HealthSettings:
    """What the health checks must know about the run; the first guard is the verifier's, the rest are own rewards."""
    return HealthSettings(
        options.loss_type,
        policy.arguments.beta,
        options.resample,
        options.curriculum,
        [guard.__name__ for guard in guards[1:]],
        str(folder / FAILURES),
        options.algorithm,
    )


def _losses(history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The losses of the policy's own steps, as a run's record keeps them."""
    return [{"step": entry["step"], "loss": entry["loss"]} for entry in history if "loss" in entry]


def check_arguments(run: TrainingRun[GRPOOptions]) -> int:
    """TRL's arguments and the model must fit; returns how many problems a batch asks.

    Raises:
        UserError: naming the option.
    """
    checked = arguments_of(run.options, run.folder, run.seed, 1, 1.0)
    _check_model(run.options, run.model)
    assert checked.generation_batch_size is not None, "TRL resolves it"
    assert checked.num_generations is not None, "it is given"
    return checked.generation_batch_size // checked.num_generations


def _start(run: TrainingRun[GRPOOptions], problems: Sequence[Problem]) -> tuple[TrainedLanguageModel, bool]:
    """The start checkpoint, distilled from a share of the budget or given, and whether it is a pretrained model."""
    options, taught = run.options, run.options.taught
    if taught is None:
        start, pretrained = given_start(run.task, problems, options, run.model, run.budget, run.seed)
    else:
        part = run.phase("start", options.start_share, options=taught, problems=problems, test_prompts=lambda: ())
        start, pretrained = distill(part, "cot"), run.model.path is not None

    if options.solver.generator == "vllm":
        check_vllm(start.model.config)
    return start, pretrained


class _Policy:
    """What training and measuring a policy share: its run after the start, tokenizer, limits and arguments."""

    def __init__(
        self, run: TrainingRun[GRPOOptions], start: TrainedLanguageModel, groups: int, pretrained: bool
    ) -> None:
        options = run.options
        self.run, self.start, self.groups = run, start, groups
        self.completion_limit = options.max_new_tokens or start.max_new_tokens
        # A pretrained model, or one that language models taught, thinks in words of its own.
        self.checkable = not pretrained and can_check(run.task) and options.distillation.traces is None

        rate = options.rate(pretrained, run.model.lora_rank > 0)
        self.arguments = arguments_of(options, run.folder, run.seed, self.completion_limit, rate)
        if start.model.device != self.arguments.device and run.model.quantize == "none":
            start.model.to(self.arguments.device)  # type: ignore[arg-type]  # what is measured before training, too

    def solver(self, model: PreTrainedModel | PeftModel) -> CausalLMSolver:
        return CausalLMSolver(
            model, self.start.tokenizer, self.run.task, "cot", self.completion_limit, self.run.options.solver
        )

    def count(
        self,
        model: PreTrainedModel | PeftModel,
        problems: Sequence[Problem],
        samples: int,
        verifier: Any,
        look: Callable[[Problem, list[str]], None] | None = None,
    ) -> Iterator[tuple[list[int], Cost]]:
        """Right completions of each problem, batch by batch, and what each batch cost."""
        options = self.run.options
        sampling = Sampling(samples, options.temperature, 1.0, self.completion_limit, self.run.seed)
        generator = TransformersGenerator(model, self.start.tokenizer, self.groups * options.num_generations)
        return right_counts(generator, self.run.task, problems, verifier, sampling, look)

    def pass_rates(
        self, model: PreTrainedModel | PeftModel, problems: Sequence[Problem], verifier: Any
    ) -> PassRates | None:
        """On the problems that were held out; ``None`` without any."""
        if not problems:
            return None
        options, task = self.run.options, self.run.task
        thoughts = Thoughts() if self.checkable else None

        def look(problem: Problem, completions: list[str]) -> None:
            if thoughts is not None:
                thoughts.add(task, problem, completions, options.distillation.trace)

        right: list[int] = []
        for counts, _ in self.count(model, problems, options.held_out_samples, verifier, look):
            right += counts
        return PassRates(right, options.held_out_samples, thoughts)

    def trainer(self, guards: Sequence[Any], rows: Dataset, meter: Meter, setting: HealthSettings) -> Any:
        """TRL's trainer of the algorithm, priced, under the budget, with our checkpoints."""
        run, options = self.run, self.run.options

        def milestone(model: PreTrainedModel | PeftModel, spent: Cost) -> None:
            if run.at_milestone is not None:
                run.at_milestone(self.solver(model), spent)

        callback = BudgetCallback(meter, run.milestones, milestone, run.on_progress)
        trainer: Any = TRAINERS[options.algorithm](
            model=self.start.model,
            reward_funcs=list(guards),
            args=self.arguments,
            train_dataset=rows,
            processing_class=self.start.tokenizer,
            callbacks=[callback, DiagnosticsCallback(setting)],
            peft_config=lora(run.model),
        )
        trainer.meter, trainer.schedule = meter, options.schedule
        trainer.resample, trainer.guards = options.resample, guards
        trainer.value_options = options.value  # PPO's
        trainer.checkpoints = run.checkpoints
        quiet(trainer)
        return trainer


def _difficulty(
    policy: _Policy, problems: Sequence[Problem], verifier: Any, meter: Meter
) -> tuple[dict[str, Any] | None, list[int]]:
    """What the curriculum has to know, paid for, and the order of the problems that follows from it."""
    options, seed = policy.run.options, policy.run.seed
    if options.curriculum == "none":
        return None, list(range(len(problems)))

    samples = options.curriculum_samples
    asked = torch.randperm(len(problems), generator=torch.Generator().manual_seed(seed)).tolist()
    found: list[int | None] = []
    with meter.running():
        for counts, cost in policy.count(policy.start.model, [problems[i] for i in asked], samples, verifier):
            found += counts
            meter.add(cost)
            if meter.progress >= options.curriculum_share:
                break

    right = {problems[i].id: number for i, number in zip(asked, found, strict=False)}
    difficulty = {"samples": samples, "right": right, "cost": meter.spent.to_dict()}
    known = [right.get(problem.id) for problem in problems]
    return difficulty, arranged(known, samples, options.curriculum, policy.groups, seed)


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
