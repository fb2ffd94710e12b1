"""The parts of the language model that training and decoding share, below both.

:mod:`trm.autoregressive.lockstep` and :mod:`trm.autoregressive.engine` decode with these classes;
:mod:`trm.autoregressive.modeling` completes them.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, initialization

from trm.autoregressive.attention import angles
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.recursion import ACT_BIAS, Hidden, Recursion
from trm.layers import HALTING_BIAS, Linear, Rotary, rms_norm, truncated_normal_


class AutoregressiveTRMPreTrainedModel(PreTrainedModel):
    """Initial weights and configuration class of both models."""

    config: AutoregressiveTRMConfig
    config_class = AutoregressiveTRMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            truncated_normal_(module.weight, 1 / math.sqrt(self.config.hidden_size))
        elif isinstance(module, Linear):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):  # the halting heads
            initialization.zeros_(module.weight)
            initialization.constant_(module.bias, ACT_BIAS if self.config.halting == "act" else HALTING_BIAS)
        elif isinstance(module, Recursion):
            truncated_normal_(module.y_init, 1.0)
            truncated_normal_(module.z_init, 1.0)


class Backbone(AutoregressiveTRMPreTrainedModel):
    """Embedding, recursion and halting head: all that one supervision step needs."""

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__(config)
        config.check()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.recursion = Recursion(config)
        self.halting_head = nn.Linear(config.hidden_size, 1) if config.halting == "correct" else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embedding = value  # type: ignore[assignment]  # transformers hands over an embedding

    def embed(self, input_ids: Int[Tensor, "b l"]) -> Hidden:
        """x: sqrt(d) times the token's vector."""
        return math.sqrt(self.config.hidden_size) * self.embedding(input_ids)

    def angles(self, positions: Int[Tensor, "b l"]) -> Rotary:
        """Rotary angles of these positions, [b, l, 1, e]."""
        config = self.config
        return angles(positions, config.hidden_size // config.num_attention_heads, config.rope_theta)

    def halting_logit(self, answer: Hidden) -> Float[Tensor, "b l"]:
        """Above 0 where the model takes its prediction for right."""
        assert self.halting_head is not None, "the configuration has halting=correct"
        return self.halting_head(answer).float()[..., 0]

    def read_out(self, y: Hidden) -> Hidden:
        """What the head sees of an answer: a stream whose norms are in front of its blocks is normalised last."""
        return rms_norm(y) if self.config.norm == "pre" else y


class RefiningLM(AutoregressiveTRMPreTrainedModel):
    """A backbone with an output head: what the decoding engine works with."""

    model: Backbone
    lm_head: Linear
