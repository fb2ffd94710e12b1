"""What a user can set for GRPO, PPO's value model and the student. Light: validated before torch and TRL load."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any, Literal

from benchmarks.errors import UserError, did_you_mean
from benchmarks.language_models import OwnModel
from cot_distill.options import Schedule, SFTOptions, SolverOptions

# What TRL 1.16 knows (its GRPOConfig); tests/grpo/test_loss_by_hand.py trains with each.
LOSSES = ("grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo")
LEVELS = ("token", "sequence")
ESTIMATORS = {"k3": False, "k3_corrected": True}  # -> use_bias_correction_kl
CURRICULA = ("none", "order", "weight")
SHAPING = ("format", "length", "score")
ALGORITHMS = ("grpo", "rloo", "ppo", "reinforce")
ONLY_FOR = {  # options that the other algorithms do not know
    "loss_type": ("grpo",),
    "importance_sampling_level": ("grpo",),
    "scale_rewards": ("grpo",),
    "kl_estimator": ("grpo", "reinforce"),
    "resample": ("grpo", "rloo"),
    "value": ("ppo",),
}
VLLM = ("none", "colocate", "server")
ELSEWHERE = {  # TRL's options that have a home of their own here
    "use_vllm": "vllm",
    "vllm_mode": "vllm",
    "loss_type": "loss_type",
    "importance_sampling_level": "importance_sampling_level",
    "use_bias_correction_kl": "kl_estimator",
    "reward_weights": "rewards",
    "shuffle_dataset": "curriculum",
}


@dataclass(frozen=True)
class ValueOptions:
    """Options of ``method.grpo.value``: a copy of the start's body with a head that gives one number per token.

    Attributes:
        learning_rate: ``None``: ten times the policy's, because its head starts from nothing.
        coefficient: of its loss beside the policy's. They share no weights, and each has its gradient clipped by
            itself.
        gamma: how much a later reward counts, per token.
        gae_lambda: of generalised advantage estimation (arXiv 1506.02438, equation 16): 1 trusts the reward alone, 0
            the next value.
        clip: how far a value may move from what it was when the completion was written, for its loss to count.
        whiten: bring the advantages of a batch to mean 0 and variance 1.
    """

    learning_rate: float | None = None
    coefficient: float = 0.5
    gamma: float = 1.0
    gae_lambda: float = 0.95
    clip: float = 0.2
    whiten: bool = True

    def __post_init__(self) -> None:
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"{name} must be between 0 and 1, not {getattr(self, name)}.",
                    where=f"method.grpo.value.{name}",
                    cure="Give for example 0.95.",
                )
        for name in ("coefficient", "clip"):
            if not getattr(self, name) > 0:
                raise UserError(
                    f"{name} must be above 0, not {getattr(self, name)}.",
                    where=f"method.grpo.value.{name}",
                    cure="Give for example 0.5.",
                )


@dataclass(frozen=True)
class StudentOptions:
    """A second model that learns what the policy writes: RL first, then distillation (DeepSeek-R1, arXiv 2501.12948,
    section 2.4), all from one budget.

    Attributes:
        samples: traces of each training problem that the policy writes, one of every problem before the second of
            any; 0: there is no student, and the run ends with the policy.
        policy_share: of the budget for the policy, its start checkpoint included.
        writing_share: of the budget at which writing ends, if the samples are not all there by then. What is left
            teaches the student.
        temperature: of writing; ``None``: that of the groups.
        model: the student's, by default a fresh one as in ``model``.
        distillation: how the student is trained.
    """

    samples: int = 0
    policy_share: float = 0.5
    writing_share: float = 0.15
    temperature: float | None = None
    model: OwnModel = field(default_factory=OwnModel)
    distillation: SFTOptions = field(default_factory=SFTOptions)

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise UserError(
                f"samples must be 0 or more, not {self.samples}.", where="samples", cure="Give 0 for no student."
            )
        for key in ("policy_share", "writing_share"):
            if not 0 < getattr(self, key) < 1:
                raise UserError(
                    f"{key} must be between 0 and 1, not {getattr(self, key)}.", where=key, cure="Give for example 0.5."
                )
        if self.share <= 0:
            raise UserError(
                f"the policy ({self.policy_share:g}) and writing ({self.writing_share:g}) leave the student nothing.",
                where="policy_share",
                cure="Give shares that add up to less than 1.",
            )
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise UserError(
                f"temperature must be 0 or more, not {self.temperature}.",
                where="temperature",
                cure="Give for example 1.",
            )
        if self.temperature == 0 and self.samples > 1:
            raise UserError(
                f"samples must be 1 at temperature 0, not {self.samples}: greedy traces of a problem are all alike.",
                where="temperature",
                cure="Give a temperature such as 1, or samples=1.",
            )
        own = self.distillation
        if own.model != OwnModel():
            raise UserError(
                "the student's model is 'model'.", where="distillation.model", cure="Set pupil.model instead."
            )
        if own.trace is not None or own.traces is not None or own.content != "right":
            raise UserError(
                "the policy is the student's teacher.",
                where="distillation",
                cure="Leave trace, traces and content out.",
            )

    @property
    def share(self) -> float:
        """The least that is left for the student's training."""
        return 1 - self.policy_share - self.writing_share


@dataclass(frozen=True)
class GRPOOptions:
    """Options of ``method.grpo``.

    Attributes:
        algorithm: what a completion's reward is compared with. ``grpo``: the mean of its group; ``rloo``: the mean of
            the others in its group, with one ratio per completion and the KL penalty inside the reward (TRL's
            RLOOTrainer, arXiv 2402.14740); ``ppo``: a value model's forecast at every token (arXiv 1707.06347);
            ``reinforce``: nothing (Williams, 1992).
        start: ``distill`` trains a ``cot`` checkpoint first; ``format`` does so with thoughts and answers of other
            problems, never right ones, so that it has seen only the form (R1-Zero in small); ``model`` starts from the
            model as it is, pretrained or not (R1-Zero); any other text is a finished run of ``cot`` or ``grpo``, the
            folder of a model or its hub name, whose own training is then not counted, and the report says so.
        start_share: share of the budget that the start checkpoint takes, for ``start: distill`` and ``format``.
        distillation: how the start checkpoint is trained; at a constant rate, because an annealed checkpoint did not
            improve under GRPO (docs/results/grpo_start.md).
        num_generations: completions per group.
        batch_size: completions per optimiser step, a multiple of ``num_generations``.
        learning_rate: ``None``: 1e-4 for a model from scratch, 1e-6 for a pretrained one (TRL's), with LoRA 1e-5.
        weight_decay: of every weight.
        warmup_steps: steps in which the learning rate rises to its value.
        schedule: of the learning rate over the budget.
        max_grad_norm: gradients are scaled down to this norm; 0: never.
        temperature: at which the groups are sampled.
        beta: weight of the KL divergence to the start checkpoint.
        kl_estimator: ``k3`` is ``r - log r - 1`` with ``r = reference / policy`` (DeepSeekMath, arXiv 2402.03300,
            equation 4); ``k3_corrected`` multiplies it by the importance ratio, which makes its gradient that of the
            reverse KL without bias (DeepSeek-V3.2, arXiv 2512.02556).
        epsilon: how far below 1 the ratio counts.
        epsilon_high: how far above. ``None``: 0.28 (DAPO); for the loss ``cispo`` 5, which there bounds the ratio
            itself (ScaleRL, arXiv 2510.13786).
        loss_type: how token losses become one: ``grpo`` (mean per completion), ``dr_grpo`` (a constant), ``dapo`` and
            ``bnpo`` (all tokens), ``cispo``, ``sapo``, ``luspo``, ``vespo``.
        importance_sampling_level: ``sequence``: one ratio per completion (GSPO, arXiv 2507.18071; its clipping is of
            the order of 3e-4).
        scale_rewards: what advantages are divided by: the standard deviation of the group or of the batch, or nothing.
        resample: at most so often other prompts are drawn in the place of groups whose rewards are all equal (DAPO's
            dynamic sampling); 0: never. What is skipped is charged too.
        rewards: what is added to the verifier's reward, name -> weight: ``format`` (a readable answer behind a
            thought), ``length`` (DAPO's punishment near the longest), ``score`` (partial credit), or a function of
            yours in TRL's form, ``path/to/file.py:function`` or ``module:function``.
        curriculum: ``order``: the easiest problems first; ``weight``: those are drawn most whose reward varies most;
            both by the start checkpoint's pass rate, the measuring of which is charged.
        curriculum_samples: completions per problem for that.
        curriculum_share: of what the start checkpoint leaves of the budget, at which measuring ends; problems that are
            not measured by then count as neither easy nor hard.
        max_new_tokens: longest completion; ``None``: what the start checkpoint was taught, or a quarter more than the
            longest programmatic trace; 512 for a pretrained model and for families without one.
        held_out: training problems that are not learned (but no more than a tenth), on which pass@1 and pass@k are
            taken before and after, off the clock; 0: none.
        held_out_samples: completions of each, and the largest k.
        value: PPO's value model.
        solver: how the trained policy answers.
        vllm: whether vLLM writes the groups instead of transformers (needs a GPU and the extra, docs/grpo.md):
            ``colocate`` in this process, ``server`` behind ``trl vllm-serve``; its details are ``trainer.vllm_...``.
        trainer: handed to TRL's ``GRPOConfig``.
        pupil: a second model that the policy teaches afterwards.
        model: what differs from the comparison's ``model``.
    """

    algorithm: str = "grpo"
    start: str = "distill"
    start_share: float = 0.5
    distillation: SFTOptions = field(default_factory=lambda: SFTOptions(schedule="constant"))
    num_generations: int = 8
    batch_size: int = 128
    learning_rate: float | None = None
    weight_decay: float = 0.0
    warmup_steps: int = 5
    schedule: Schedule = "constant"
    max_grad_norm: float = 1.0
    beta: float = 0.0
    kl_estimator: str = "k3_corrected"
    epsilon: float = 0.2
    epsilon_high: float | None = None
    loss_type: str = "dapo"
    importance_sampling_level: str = "token"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    temperature: float = 1.0
    resample: int = 0
    rewards: dict[str, float] = field(default_factory=dict)
    curriculum: str = "none"
    curriculum_samples: int = 8
    curriculum_share: float = 0.1
    max_new_tokens: int | None = None
    held_out: int = 64
    held_out_samples: int = 8
    value: ValueOptions = field(default_factory=ValueOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)
    vllm: str = "none"
    trainer: dict[str, Any] = field(default_factory=dict)
    pupil: StudentOptions = field(default_factory=StudentOptions)
    model: OwnModel = field(default_factory=OwnModel)

    def __post_init__(self) -> None:
        self._check_batch()
        self._check_names()
        self._check_algorithm()
        self._check_rewards()
        shares = {"start_share": "0.5, or start=model to train from the model as it is", "curriculum_share": "0.1"}
        for name, example in shares.items():
            if not 0 < getattr(self, name) < 1:
                raise UserError(
                    f"{name} must be between 0 and 1, not {getattr(self, name)}.",
                    where=f"method.grpo.{name}",
                    cure=f"Give for example {example}.",
                )
        for name, least in (("resample", 0), ("curriculum_samples", 1), ("held_out", 0), ("held_out_samples", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"{name} must be {least} or more, not {getattr(self, name)}.",
                    where=f"method.grpo.{name}",
                    cure=f"Give {least} or more.",
                )
        if self.distillation.model != OwnModel():
            raise UserError(
                "start checkpoint and policy are one model.",
                where="method.grpo.distillation.model",
                cure="Set method.grpo.model instead.",
            )
        if self.solver.pauses:
            raise UserError(
                "groups are written without filler tokens.", where="method.grpo.solver.pauses", cure="Leave it out."
            )
        for key in self.trainer:
            if key in ELSEWHERE:
                raise UserError(
                    f"'{key}' has its own option.",
                    where="method.grpo.trainer",
                    cure=f"Set method.grpo.{ELSEWHERE[key]}.",
                )

    def _check_batch(self) -> None:
        if self.num_generations < 2:
            raise UserError(
                f"num_generations must be 2 or more, not {self.num_generations}: one completion has no group.",
                where="method.grpo.num_generations",
                cure="Give 2 or more.",
            )
        if self.batch_size < 1 or self.batch_size % self.num_generations:
            raise UserError(
                f"batch_size must be a multiple of num_generations ({self.num_generations}), not {self.batch_size}.",
                where="method.grpo.batch_size",
                cure=f"Give for example {self.num_generations * max(1, self.batch_size // self.num_generations)}.",
            )

    def _check_algorithm(self) -> None:
        """What an algorithm does not use is refused where it was changed, so that nobody waits for its effect."""
        _one_of(self.algorithm, ALGORITHMS, "algorithm")
        usual = {option.name: _usual(option) for option in fields(self)}
        for name, algorithms in ONLY_FOR.items():
            if self.algorithm not in algorithms and getattr(self, name) != usual[name]:
                kept = f"Leave it at {usual[name]} (a variant inherits it: method.NAME.{name}={usual[name]})"
                left = "Leave it out" if name == "value" else kept
                raise UserError(
                    f"{self.algorithm} does not use '{name}'.",
                    where=f"method.grpo.{name}",
                    cure=f"{left}, or take algorithm={' or '.join(algorithms)}.",
                )

    def _check_names(self) -> None:
        _one_of(self.loss_type, LOSSES, "loss_type")
        _one_of(self.importance_sampling_level, LEVELS, "importance_sampling_level")
        _one_of(self.kl_estimator, ESTIMATORS, "kl_estimator")
        _one_of(self.curriculum, CURRICULA, "curriculum")
        _one_of(self.vllm, VLLM, "vllm")
        if self.loss_type == "luspo" and self.importance_sampling_level != "sequence":
            raise UserError(
                "luspo is a loss of whole completions.",
                where="method.grpo.importance_sampling_level",
                cure="Give sequence.",
            )

    def _check_rewards(self) -> None:
        for name, weight in self.rewards.items():
            where = f"method.grpo.rewards.{name}"
            if name == "correct":
                raise UserError(
                    "the verifier's reward is always there, with weight 1.", where=where, cure="Leave it out."
                )
            if ":" not in name and name not in SHAPING:
                near = did_you_mean(name, SHAPING)
                raise UserError(
                    f"unknown reward '{name}'.",
                    where=where,
                    cure=f"{near} A function of yours: path/to/file.py:function.",
                )
            if not math.isfinite(weight) or weight == 0:
                raise UserError(
                    f"a weight must be a number other than 0, not {weight:g}.",
                    where=where,
                    cure="Give a number other than 0, such as 0.1.",
                )

    @property
    def taught(self) -> SFTOptions | None:
        """How the start checkpoint is trained inside the budget; ``None``: it is given."""
        if self.start == "distill":
            return self.distillation
        return replace(self.distillation, content="wrong") if self.start == "format" else None

    def rate(self, pretrained: bool, lora: bool) -> float:
        """The learning rate, its default resolved."""
        if self.learning_rate is not None:
            return self.learning_rate
        if not pretrained:
            return 1e-4
        return 1e-5 if lora else 1e-6

    @property
    def high(self) -> float:
        """``epsilon_high``, its default resolved."""
        if self.epsilon_high is not None:
            return self.epsilon_high
        return 5.0 if self.loss_type == "cispo" else 0.28


def _one_of(value: str, known: Iterable[str], name: str) -> None:
    if value not in known:
        choices = ", ".join(f"'{choice}'" for choice in known)
        raise UserError(
            f"{name} must be one of {choices}, not '{value}'.",
            where=f"method.grpo.{name}",
            cure=did_you_mean(value, known),
        )


def _usual(option: Field[Any]) -> Any:
    """Its default."""
    return option.default_factory() if option.default_factory is not MISSING else option.default
