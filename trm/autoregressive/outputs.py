"""What an autoregressive TRM gives, and what decoding needs to know of one.

The protocols stand between the model and its decoders (:mod:`trm.autoregressive.lockstep`,
:mod:`trm.autoregressive.engine`): the model calls the decoders, so these must not import the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.utils import ModelOutput

from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.recursion import Hidden, Recursion
from trm.layers import Rotary

INITIAL_CAPACITY = 64  # tokens that a cache holds before it has to grow


@dataclass
class RefinedOutput(ModelOutput):
    """What the backbone gives.

    Attributes:
        last_hidden_state: the answer y after the last supervision step, ready for the head, [b, l, d].
        answers: [b, l, d] after each supervision step.
        ponder: with ACT, passes per position, [b, l].
        past_key_values: the cache.
    """

    last_hidden_state: Float[Tensor, "b l d"] | None = None
    answers: tuple[Tensor, ...] | None = None
    ponder: Float[Tensor, "b l"] | None = None
    past_key_values: Any = None


@dataclass
class AutoregressiveTRMOutput(ModelOutput):
    """What the language model gives.

    Attributes:
        loss: with labels, :func:`trm.autoregressive.losses.deep_supervision_loss`.
        logits: after the last supervision step, [b, l, v].
        step_logits: [b, l, v] after each step, where it is learned from.
        halting_logits: [b, l] after each of these steps, above 0 where the model takes its prediction for right.
        ponder: with ACT, passes per position, [b, l].
        past_key_values: the cache.
    """

    loss: Float[Tensor, ""] | None = None
    logits: Float[Tensor, "b l v"] | None = None
    step_logits: tuple[Tensor, ...] | None = None
    halting_logits: tuple[Tensor, ...] | None = None
    ponder: Float[Tensor, "b l"] | None = None
    past_key_values: Any = None


@runtime_checkable
class Backbone(Protocol):
    """:class:`trm.autoregressive.modeling.AutoregressiveTRMModel`, as decoding sees it."""

    config: AutoregressiveTRMConfig
    embedding: nn.Embedding
    recursion: Recursion

    def embed(self, input_ids: Int[Tensor, "b l"]) -> Hidden:
        """x, [b, l, d]."""
        ...

    def angles(self, positions: Int[Tensor, "b l"]) -> Rotary:
        """Rotary angles, [b, l, 1, e]."""
        ...

    def halting_logits(self, answer: Hidden) -> Float[Tensor, "b l"]:
        """Above 0 where the prediction is taken for right."""
        ...

    def read_out(self, y: Hidden) -> Hidden:
        """What the heads see of an answer, [b, l, d]."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """:class:`trm.autoregressive.modeling.AutoregressiveTRMForCausalLM`, as decoding sees it."""

    config: AutoregressiveTRMConfig
    lm_head: nn.Linear

    @property
    def model(self) -> Backbone:
        """The backbone: tokens to refined answers y."""
        ...

    def eval(self) -> LanguageModel:
        """The model, without what only training does."""
        ...
