"""TRMForPuzzles: fills in a whole grid at once, one supervision step per call.

Special about this model: its depth is in time, not in parameters. A call takes the carry (y, z) of the call before
and returns a better one; y and z start from two fixed vectors that are not trained but are saved with the weights.
The halting head guesses from y at position 0 whether the answer is right. It has two outputs, of which only the
first is used, as in the published code (the second belongs to HRM's form of halting).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, initialization
from transformers.utils import ModelOutput

from trm.configuration import TRMConfig
from trm.layers import Linear, Network, truncated_normal_
from trm.recursion import Latents, deep_recursion, direct

HALTING_BIAS = -5.0


@dataclass
class TRMOutput(ModelOutput):
    """What one supervision step gives.

    Attributes:
        logits: scores of every token at every position.
        halting_logit: above 0 where the model takes its answer for right; ``None`` for direct prediction.
        carry: y and z for the next supervision step, without gradient.
    """

    logits: Float[Tensor, "b l v"] | None = None
    halting_logit: Float[Tensor, " b"] | None = None
    carry: Latents | None = None


class TRMForPuzzles(PreTrainedModel):
    config: TRMConfig
    config_class = TRMConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    y_init: Float[Tensor, " d"]
    z_init: Float[Tensor, " d"]

    def __init__(self, config: TRMConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.network = Network(config)
        self.head = Linear(config.width, config.vocabulary_size)
        self.halting_head = nn.Linear(config.width, 2) if config.recursion == "trm" else None
        self.register_buffer("y_init", torch.zeros(config.width))
        self.register_buffer("z_init", torch.zeros(config.width))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self:
            truncated_normal_(self.y_init, 1.0)
            truncated_normal_(self.z_init, 1.0)
        elif isinstance(module, nn.Embedding):
            truncated_normal_(module.weight, 1 / math.sqrt(self.config.width))
        elif isinstance(module, Linear):
            module.reset_parameters()
        elif module is self.halting_head:
            initialization.zeros_(module.weight)
            initialization.constant_(module.bias, HALTING_BIAS)

    def initial_carry(self, batch: int, positions: int) -> Latents:
        """y and z before the first supervision step: the same two vectors for all problems and positions."""
        return self.y_init.expand(batch, positions, -1), self.z_init.expand(batch, positions, -1)

    def forward(self, input_ids: Int[Tensor, "b l"], carry: Latents | None = None) -> TRMOutput:
        """One supervision step; without ``carry``, the first."""
        config = self.config
        x = math.sqrt(config.width) * self.embedding(input_ids)
        y, z = self.initial_carry(*input_ids.shape) if carry is None else carry
        net = partial(self.network, angles=self.network.angles(x))
        if config.recursion == "direct":
            y = direct(net, x)
        else:
            y, z = deep_recursion(net, x, y, z, config.n, config.T)
        halting = None if self.halting_head is None else self.halting_head(y[:, 0])[:, 0].float()
        return TRMOutput(logits=self.head(y), halting_logit=halting, carry=(y.detach(), z.detach()))
