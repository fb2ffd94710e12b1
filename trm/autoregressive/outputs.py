"""What the models of this package return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class RefinedOutput(ModelOutput):
    """What the backbone gives.

    Attributes:
        last_hidden_state: the answer y after the last supervision step, ready for the head.
        answers: after each.
        ponder: with ACT, passes per position.
        past_key_values: the cache.
    """

    last_hidden_state: Float[Tensor, "b l d"] | None = None
    answers: tuple[Float[Tensor, "b l d"], ...] | None = None
    ponder: Float[Tensor, "b l"] | None = None
    past_key_values: Any = None


@dataclass
class AutoregressiveTRMOutput(ModelOutput):
    """What the language model gives.

    Attributes:
        loss: with labels, :func:`trm.autoregressive.losses.deep_supervision_loss`.
        logits: after the last supervision step.
        step_logits: after each, where they are learned from.
        halting_logits: above 0 where the model takes its prediction for right, after each of these steps.
        ponder: with ACT, passes per position.
        past_key_values: the cache.
    """

    loss: Float[Tensor, ""] | None = None
    logits: Float[Tensor, "b l v"] | None = None
    step_logits: tuple[Float[Tensor, "b l v"], ...] | None = None
    halting_logits: tuple[Float[Tensor, "b l"], ...] | None = None
    ponder: Float[Tensor, "b l"] | None = None
    past_key_values: Any = None
