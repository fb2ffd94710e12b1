"""The networks and the passes of one supervision step, for every rung of the ladder.

dual stream (TRM):  T times { n times z <- f(x + y + z);  y <- f(y + z) }, only the last round with gradient
single stream:      T times h <- f_p(h): a GPT where each pass p has its own f, a tied one where it has not;
                    with ACT the states are averaged with the halting weights (arXiv 1807.03819, section 2.2)
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trm.autoregressive.attention import At, Attend
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.layers import Linear, Rotary, SwiGLU, rms_norm, rotate

Hidden = Float[Tensor, "b l d"]
ACT_BIAS = -3.0  # so that at the start hardly any pass halts
ACT_END = 0.99  # a position halts where its weights add up to this


class Block(nn.Module):
    """Attention, then SwiGLU, each with its norm behind (TRM) or in front (GPT); norms without gain."""

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.pre = config.norm == "pre"
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = Linear(config.hidden_size, config.hidden_size)
        self.feed_forward = SwiGLU(config.hidden_size, config.intermediate_size)

    def forward(self, h: Hidden, angles: Rotary, attend: Attend, at: At) -> Hidden:
        if self.pre:
            h = h + self._mix(rms_norm(h), angles, attend, at)
            return h + self.feed_forward(rms_norm(h))
        h = rms_norm(h + self._mix(h, angles, attend, at))
        return rms_norm(h + self.feed_forward(h))

    def _mix(self, h: Hidden, angles: Rotary, attend: Attend, at: At) -> Hidden:
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return self.out(attend(at, rotate(q, angles), rotate(k, angles), v).flatten(2))


class Network(nn.Module):
    """f: the blocks of one pass."""

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))

    def forward(self, h: Hidden, angles: Rotary, attend: Attend, step: int, index: int) -> Hidden:
        for layer, block in enumerate(self.blocks):
            h = block(h, angles, attend, At(step, index, layer))
        return h


class Recursion(nn.Module):
    """One supervision step. A state is the pair (y, z); a single stream's h is y, and its z stays as it is."""

    y_init: Float[Tensor, " d"]
    z_init: Float[Tensor, " d"]

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(Network(config) for _ in range(config.networks))
        self.step_embedding = nn.Embedding(config.passes, config.hidden_size) if config.step_embedding else None
        self.act_head = nn.Linear(config.hidden_size, 1) if config.halting == "act" else None
        self.register_buffer("y_init", torch.zeros(config.hidden_size))
        self.register_buffer("z_init", torch.zeros(config.hidden_size))

    def start(self, x: Hidden) -> tuple[Hidden, Hidden]:
        """The state before the first step: two fixed vectors, or the tokens themselves."""
        if self.config.streams == "single":
            return x, x
        return self.y_init.expand_as(x), self.z_init.expand_as(x)

    def forward(
        self, x: Hidden, state: tuple[Hidden, Hidden], angles: Rotary, attend: Attend, step: int
    ) -> tuple[tuple[Hidden, Hidden], Float[Tensor, "b l"] | None]:
        """The state after one supervision step, and with ACT how many passes each position took, as a number that can
        be learned from."""
        if self.act_head is not None:
            return self._pondering(state, angles, attend, step)
        config, (y, z) = self.config, state
        if config.streams == "single":
            for index in range(config.T):
                y = self._pass(y, angles, attend, step, index)
            return (y, z), None
        tracked = torch.is_grad_enabled()
        index = 0
        for number in range(config.T):
            with torch.set_grad_enabled(tracked and (config.gradient == "all" or number == config.T - 1)):
                for _ in range(config.n):
                    z = self._pass(x + y + z, angles, attend, step, index)
                    index += 1
                y = self._pass(y + z, angles, attend, step, index)
                index += 1
        return (y, z), None

    def first_pass(self, x: Hidden, angles: Rotary, attend: Attend) -> None:
        """The very first pass alone, for what ``attend`` keeps of it."""
        y, z = self.start(x)
        self._pass(y if self.config.streams == "single" else x + y + z, angles, attend, 0, 0)

    def _pass(self, h: Hidden, angles: Rotary, attend: Attend, step: int, index: int) -> Hidden:
        if self.step_embedding is not None:
            h = h + self.step_embedding.weight[index]
        network = self.networks[0 if self.config.tied else index]
        h = network(h, angles, attend, step, index)
        # In two streams the sum of states feeds the next pass, so that without norms behind the blocks it would grow.
        return rms_norm(h) if self.config.norm == "pre" and self.config.streams == "dual" else h

    def _pondering(
        self, state: tuple[Hidden, Hidden], angles: Rotary, attend: Attend, step: int
    ) -> tuple[tuple[Hidden, Hidden], Float[Tensor, "b l"]]:
        """ACT: pass p has the weight sigmoid(w h_p + b) until the weights reach 1, the last one the remainder."""
        assert self.act_head is not None, "only then it is called"
        h, z = state
        mean, spent = torch.zeros_like(h), h.new_zeros(h.shape[:-1])
        ponder = torch.zeros_like(spent)
        for index in range(self.config.T):
            h = self._pass(h, angles, attend, step, index)
            running = spent < ACT_END
            weight = self.act_head(h)[..., 0].sigmoid()
            last = (spent + weight >= ACT_END) | (index == self.config.T - 1)
            weight = torch.where(last, 1 - spent, weight) * running
            mean, spent = mean + weight[..., None] * h, spent + weight
            # N + R (equation 5 of arXiv 1603.08983): N, the passes, has no gradient, the remainder R has
            ponder = ponder + running + torch.where(running & last, weight, 0.0)
        return (mean, z), ponder


def role(config: AutoregressiveTRMConfig, index: int) -> int:
    """What a pass updates: 0 for z, 1 for y (a single stream's only state)."""
    return int(config.streams == "single" or (index + 1) % (config.n + 1) == 0)


def positions_of(mask: Bool[Tensor, "b l"] | Int[Tensor, "b l"]) -> Int[Tensor, "b l"]:
    """Positions counted from the first token that is no padding."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)
