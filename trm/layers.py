"""The blocks of the one small network: post-norm, no biases, norms without gain.

What differs from a language model's block: h <- norm(h + f(h)) instead of h + f(norm(h)); the norm has nothing to
learn; attention sees both ways; and positions can be mixed by a SwiGLU over l instead (then no position encoding).
Shapes: b rows, l positions, d width, h heads, e numbers of a head (:mod:`benchmarks.shapes`).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers import initialization

from trm.configuration import TRMConfig
from trm.cpu_matmul import mixed_precision, product

EPSILON = 1e-5
ROTARY_BASE = 10_000.0
HALTING_BIAS = -5.0  # of halting heads at the start: a model begins by not trusting any answer
# Standard deviation of a standard normal cut off at +-2; initial weights are divided by it, as JAX does.
TRUNCATED_DEVIATION = 0.8796256610342398

# Cosines and sines: [l, 1, e], or [b, l, 1, e] where the positions differ between rows.
Rotary = tuple[Float[Tensor, "... l 1 e"], Float[Tensor, "... l 1 e"]]


def rms_norm(h: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
    """h / sqrt(mean(h^2) + epsilon) over the last axis, in float32 and without gain.

    Written out: torch's own rms_norm rounds differently, and forty layers of recursion make that a visible difference
    to the published code.
    """
    x = h.float()
    return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)).to(h.dtype)


def truncated_normal_(weight: Tensor, deviation: float) -> None:
    """Normal numbers cut off at two (uncorrected) deviations, so scaled that ``deviation`` is what comes out."""
    std = deviation / TRUNCATED_DEVIATION
    initialization.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


class Linear(nn.Linear):
    """Without bias; starts truncated normal with deviation 1/sqrt(fan in)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        truncated_normal_(self.weight, 1 / math.sqrt(self.in_features))

    def forward(self, input: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        return product(input, self.weight)


class SwiGLU(nn.Module):
    """down(silu(gate(h)) * up(h)); gate and up are one matrix, gate first."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_up = Linear(width, 2 * inner)
        self.down = Linear(inner, width)

    def forward(self, h: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        gate, up = self.gate_up(h).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Mixture(nn.Module):
    """A mixture of experts: each position goes through the one SwiGLU that a router gives the highest probability,
    scaled by it (Switch Transformer, arXiv 2101.03961, section 2.1).

    ``imbalance`` is the load-balancing loss of the last evaluation, experts * sum_i f_i P_i with f_i the share of
    positions sent to expert i and P_i its mean probability (equation 4); 1 when all are used alike.
    """

    imbalance: Tensor

    def __init__(self, experts: int, width: int, inner: int) -> None:
        super().__init__()
        self.router = Linear(width, experts)
        self.experts = nn.ModuleList(SwiGLU(width, inner) for _ in range(experts))

    def forward(self, h: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        rows = h.flatten(0, 1)
        probabilities = self.router(rows).float().softmax(-1)
        probability, chosen = probabilities.max(-1)
        shares = torch.bincount(chosen, minlength=len(self.experts)) / len(rows)
        self.imbalance = len(self.experts) * (shares * probabilities.mean(0)).sum()
        mixed = torch.zeros_like(rows)
        for i, expert in enumerate(self.experts):
            own = (chosen == i).nonzero()[:, 0]
            answer = expert(rows[own]) * probability[own, None].to(h.dtype)
            mixed = mixed.index_copy(0, own, answer.to(h.dtype))
        return mixed.view_as(h)


def rotary(positions: int, size: int, device: torch.device) -> Rotary:
    """Cosines and sines of the angles position / base^(2i/e), each twice (rotate-half form)."""
    frequencies = 1 / ROTARY_BASE ** (torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)
    angles = torch.arange(positions, device=device, dtype=torch.float32)[:, None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)[:, None, :]
    return angles.cos(), angles.sin()


def rotate(q: Float[Tensor, "b l h e"], angles: Rotary) -> Float[Tensor, "b l h e"]:
    cos, sin = angles
    first, second = q.chunk(2, dim=-1)
    return (q * cos + torch.cat((-second, first), dim=-1) * sin).to(q.dtype)


class Attention(nn.Module):
    """Every position sees every other; q, k and v are one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(self, h: Float[Tensor, "b l d"], angles: Rotary) -> Float[Tensor, "b l d"]:
        q, k, v = self.qkv(h).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = rotate(q, angles), rotate(k, angles)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Mix positions, then channels, each followed by its norm. Over positions, SwiGLU and norm run over l, not d."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.mixer: Attention | SwiGLU
        if config.mixer == "attention":
            self.mixer = Attention(config.width, config.heads)
        else:
            self.mixer = SwiGLU(config.length, config.inner_size(config.length))
        inner = config.inner_size(config.width)
        self.feed_forward: SwiGLU | Mixture
        if config.experts > 1:
            self.feed_forward = Mixture(config.experts, config.width, inner)
        else:
            self.feed_forward = SwiGLU(config.width, inner)

    def forward(self, h: Float[Tensor, "b l d"], angles: Rotary | None) -> Float[Tensor, "b l d"]:
        if angles is not None:
            h = rms_norm(h + self.mixer(h, angles))
        else:
            columns = h.transpose(1, 2)
            if mixed_precision(h) and not torch.compiler.is_compiling():
                # One large matrix product instead of one for each problem. It adds up in another order, which eager
                # float32 must not (trm/parity.py).
                columns = columns.contiguous()
            h = rms_norm(columns + self.mixer(columns)).transpose(1, 2)
        return rms_norm(h + self.feed_forward(h))


class Network(nn.Module):
    """The network f of the paper, which updates z and y alike (or one of two that share the work)."""

    def __init__(self, config: TRMConfig) -> None:
        super().__init__()
        self.head_size = config.width // config.heads if config.mixer == "attention" else 0
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))

    def angles(self, h: Float[Tensor, "b l d"]) -> Rotary | None:
        """Rotary angles for inputs like ``h``, to be computed once per supervision step; none for token mixing."""
        return rotary(h.shape[1], self.head_size, h.device) if self.head_size else None

    def forward(self, h: Float[Tensor, "b l d"], angles: Rotary | None) -> Float[Tensor, "b l d"]:
        for block in self.blocks:
            h = block(h, angles)
        return h
