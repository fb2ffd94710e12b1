"""Who attends to what: one attention, and four ways in which a position gets the keys and values of its prefix.

A *pass* is one evaluation of a network; :class:`At` names a pass and a layer in it. In every pass a position makes a
query, a key and a value; its own key and value always take part, those of the prefix come

- from the same pass (:class:`SamePass`): all positions run at the same depth;
- from what the prefix committed before (:class:`Committed`): one key and value per token and layer;
- from the very first pass (:class:`FirstPass`), whatever the depth;
- from a cache (:class:`trm.autoregressive.cache.SlotCache`), one token at a time.

Shapes: b rows, l positions, k remembered positions, h heads, e numbers of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trm.layers import Rotary

Heads = Float[Tensor, "b l h e"]
Memory = dict[int, tuple[Float[Tensor, "b k h e"], Float[Tensor, "b k h e"]]]  # layer -> keys, values


@dataclass(frozen=True)
class At:
    """A place in the recursion.

    Attributes:
        step: supervision step.
        index: pass in this step.
        layer: block in this pass.
    """

    step: int
    index: int
    layer: int


@runtime_checkable
class Attend(Protocol):
    """Mixes values for the queries of a pass."""

    def __call__(self, at: At, q: Heads, k: Heads, v: Heads) -> Heads: ...


class SamePass:
    """Causal attention among positions at the same depth.

    Args:
        mask: which tokens are no padding; ``None``: all.
        keep: gets every pass's keys and values.
    """

    def __init__(
        self,
        mask: Bool[Tensor, "b l"] | None = None,
        keep: Callable[[At, Heads, Heads], None] | None = None,
    ) -> None:
        self.keep = keep
        self.mask = None if mask is None else visible(mask, diagonal=True)[:, None]

    def __call__(self, at: At, q: Heads, k: Heads, v: Heads) -> Heads:
        if self.keep is not None:
            self.keep(at, k, v)
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, is_causal=self.mask is None)
        return mixed.transpose(1, 2)


class Committed:
    """A position sees its own key and value, and those that the positions before it committed.

    Args:
        memory: per layer.
        seen: which of them each position sees.
        keep: gets every pass's keys and values.
    """

    def __init__(
        self, memory: Memory, seen: Bool[Tensor, "b l k"], keep: Callable[[At, Heads, Heads], None] | None = None
    ) -> None:
        self.memory, self.seen, self.keep = memory, seen, keep

    def __call__(self, at: At, q: Heads, k: Heads, v: Heads) -> Heads:
        if self.keep is not None:
            self.keep(at, k, v)
        return attend_to_memory(q, k, v, *self.memory[at.layer], self.seen)


class FirstPass:
    """In the first pass as :class:`SamePass`; after it as :class:`Committed`, to what the first pass made.

    Args:
        mask: which tokens are no padding.
        keep: gets the first pass's keys and values.
    """

    def __init__(self, mask: Bool[Tensor, "b l"], keep: Callable[[At, Heads, Heads], None] | None = None) -> None:
        memory: Memory = {}

        def remember(at: At, k: Heads, v: Heads) -> None:
            memory[at.layer] = k, v
            if keep is not None:
                keep(at, k, v)

        self.first = SamePass(mask, remember)
        self.later = Committed(memory, visible(mask, diagonal=False))

    def __call__(self, at: At, q: Heads, k: Heads, v: Heads) -> Heads:
        return (self.first if (at.step, at.index) == (0, 0) else self.later)(at, q, k, v)


def attend_to_memory(
    q: Heads,
    k: Heads,
    v: Heads,
    keys: Float[Tensor, "b k h e"],
    values: Float[Tensor, "b k h e"],
    seen: Bool[Tensor, "b l k"],
) -> Heads:
    """softmax over the remembered keys that are seen and the position's own key, in proportion of which values mix."""
    queries = q.transpose(1, 2) / math.sqrt(q.shape[-1])
    remembered = queries @ keys.permute(0, 2, 3, 1)
    remembered = remembered.masked_fill(~seen[:, None], -torch.inf)
    own = (queries * k.transpose(1, 2)).sum(-1, keepdim=True)
    weights = torch.cat((remembered, own), dim=-1).softmax(-1)
    mixed = weights[..., :-1] @ values.transpose(1, 2) + weights[..., -1:] * v.transpose(1, 2)
    return mixed.transpose(1, 2)


def visible(mask: Bool[Tensor, "b l"], diagonal: bool) -> Bool[Tensor, "b l l"]:
    """Which positions each may see: those before it that are no padding, and with ``diagonal`` itself."""
    length = mask.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril(-1)
    seen = before & mask[:, None, :]
    return seen | torch.eye(length, dtype=torch.bool, device=mask.device) if diagonal else seen


def angles(positions: Int[Tensor, "b l"], size: int, base: float) -> Rotary:
    """Rotary angles of positions that differ between rows, as :func:`trm.layers.rotary` has them: [b, l, 1, e]."""
    frequencies = 1 / base ** (torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    turned = positions[..., None].float() * frequencies
    turned = torch.cat((turned, turned), dim=-1)[:, :, None, :]
    return turned.cos(), turned.sin()
