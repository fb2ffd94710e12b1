"""What a user can set for GRPO. Light: validated before torch and TRL load."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import UserError
from cot_distill.options import Schedule, SFTOptions, SolverOptions


@dataclass(frozen=True)
class GRPOOptions:
    """Options of ``method.grpo``.

    Attributes:
        start: ``distill`` trains a ``cot`` checkpoint first; ``model`` starts from the model as it is (R1-Zero); any
            other text is the folder of a checkpoint, whose own training is then not counted, and the report says so.
        start_share: share of the budget that the start checkpoint takes, for ``start: distill``.
        distillation: how the start checkpoint is trained; at a constant rate, because an annealed checkpoint did not
            improve under GRPO (docs/results/grpo_start.md).
        num_generations: completions per group.
        batch_size: completions per optimiser step, a multiple of ``num_generations``.
        beta: weight of the KL divergence to the start checkpoint.
        max_new_tokens: longest completion; ``None``: a quarter more than the longest programmatic trace.
        solver: how the trained policy answers.
        trainer: handed to TRL's ``GRPOConfig``.
    """

    start: str = "distill"
    start_share: float = 0.5
    distillation: SFTOptions = field(default_factory=lambda: SFTOptions(schedule="constant"))
    num_generations: int = 8
    batch_size: int = 128
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup_steps: int = 5
    schedule: Schedule = "constant"
    max_grad_norm: float = 1.0
    beta: float = 0.0
    epsilon: float = 0.2
    epsilon_high: float | None = 0.28
    loss_type: str = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    temperature: float = 1.0
    max_new_tokens: int | None = None
    solver: SolverOptions = field(default_factory=SolverOptions)
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_generations < 2:
            raise UserError(
                f"a group of {self.num_generations} has no relative advantage.",
                where="method.grpo.num_generations",
                cure="Give 2 or more.",
            )
        if self.batch_size < 1 or self.batch_size % self.num_generations:
            raise UserError(
                f"batch_size {self.batch_size} is no multiple of num_generations {self.num_generations}.",
                where="method.grpo.batch_size",
                cure=f"Give for example {self.num_generations * max(1, self.batch_size // self.num_generations)}.",
            )
        if not 0 < self.start_share < 1:
            raise UserError(
                f"start_share is {self.start_share}, it must lie between 0 and 1.",
                where="method.grpo.start_share",
                cure="Give for example 0.5, or start=model to train from the model as it is.",
            )
