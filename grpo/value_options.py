"""What a user can set for PPO's value model. Light: validated before torch loads."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.errors import UserError


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
                    f"{name} is {getattr(self, name)}.", where=f"method.grpo.value.{name}", cure="Give 0 to 1."
                )
        for name in ("coefficient", "clip"):
            if not getattr(self, name) > 0:
                raise UserError(
                    f"{name} is {getattr(self, name)}.", where=f"method.grpo.value.{name}", cure="Give more than 0."
                )
