"""How whole sequences are computed, in training and for scoring: what a position sees of its prefix.

When decoding under the policy ``committed``, a token sees of each token before it one key and value per layer, made by
the last pass of that token's last step. So the state of position t depends on the *last* state of t - 1, and a sequence
can no longer be computed at once. Four answers:

- ``parallel``: positions see each other at the same depth, all at once; what ``per_depth`` decoding does.
- ``first_depth``: all at once; positions see what the first pass of all made of their prefix, at every depth. Exactly
  what ``first_depth`` decoding does, with one slot per token too; but what a token was refined to, no other sees.
- ``jacobi``: all at once, several sweeps. In the first, positions see each other at the same depth; in each later one
  what the prefix committed in the sweep before. Position t is exact after t + 1 sweeps, so l sweeps are exact. A model
  that always learns with two relies on what the first sweep makes, and no later one does: let their number vary.
- ``sequential``: one position after the other; exact, and as slow as it sounds.

Gradients flow through the last sweep, and into what it sees: the last step of the sweep before. ``sequential`` keeps
them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trm.autoregressive.attention import At, Attend, Committed, FirstPass, Heads, Memory, SamePass, visible
from trm.autoregressive.recursion import Hidden, Recursion
from trm.layers import Rotary


@dataclass
class Refined:
    """What the refinement of all positions leaves.

    Attributes:
        answers: y after each supervision step (the last one only where the others are not learned from and not asked
            for), so that a step's prediction is the head's of it.
        ponder: with ACT, passes per position.
    """

    answers: list[Hidden]
    ponder: Float[Tensor, "b l"] | None = None


def refine(recursion: Recursion, x: Hidden, angles: Rotary, attend: Attend, every: bool, steps: int) -> Refined:
    """``steps`` supervision steps; the state is carried from one to the next without gradient.

    Args:
        every: gradients for each step's answer; otherwise for the last one's.
    """
    tracked = torch.is_grad_enabled()
    state, answers, ponder = recursion.start(x), [], None
    for step in range(steps):
        with torch.set_grad_enabled(tracked and (every or step == steps - 1)):
            state, ponder = recursion(x, state, angles, attend, step)
        answers.append(state[0])
        state = (state[0].detach(), state[1].detach())
    return Refined(answers, ponder)


def sweep(
    recursion: Recursion,
    x: Hidden,
    angles: Rotary,
    mask: Bool[Tensor, "b l"] | None,
    steps: int | None = None,
    sweeps: int | None = None,
) -> Refined:
    """The whole sequence, as the configuration's training mode has it.

    Args:
        steps: of supervision; as many as the configuration has, if not given.
        sweeps: of ``jacobi``, likewise.
    """
    config = recursion.config
    every = config.deep_supervision
    steps = config.supervision_steps if steps is None else steps
    sweeps = config.sweeps if sweeps is None else sweeps
    if config.training_mode == "parallel" or (config.training_mode == "jacobi" and sweeps == 1):
        return refine(recursion, x, angles, SamePass(mask), every, steps)
    if mask is None:
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if config.training_mode == "first_depth":
        return refine(recursion, x, angles, FirstPass(mask), every, steps)
    if config.training_mode == "jacobi":
        return jacobi(recursion, x, angles, mask, sweeps, every, steps)
    return sequential(recursion, x, angles, mask, every, steps)


def jacobi(
    recursion: Recursion, x: Hidden, angles: Rotary, mask: Bool[Tensor, "b l"], sweeps: int, every: bool, steps: int
) -> Refined:
    """``sweeps`` passes over the sequence, each seeing what the one before committed."""
    tracked = torch.is_grad_enabled()
    seen = visible(mask, diagonal=False)
    memory: Memory = {}
    for number in range(sweeps):
        last = number == sweeps - 1
        kept: Memory = {}
        keep = partial(commit, kept, steps - 1, recursion.config.passes - 1)
        attend = Committed(memory, seen, keep) if number else SamePass(mask, keep)
        with torch.set_grad_enabled(tracked and number >= sweeps - 2):
            refined = refine(recursion, x, angles, attend, every and last, steps)
        memory = kept
    return refined


def sequential(
    recursion: Recursion, x: Hidden, angles: Rotary, mask: Bool[Tensor, "b l"], every: bool, steps: int
) -> Refined:
    """Each position after the ones before it are done and committed."""
    config = recursion.config
    batch, heads = len(x), config.num_attention_heads
    nothing = x.new_zeros(batch, 0, heads, config.hidden_size // heads)
    memory: Memory = dict.fromkeys(range(config.num_hidden_layers), (nothing, nothing))
    columns: list[Refined] = []
    for t in range(x.shape[1]):
        here = slice(t, t + 1)
        kept: Memory = {}
        attend = Committed(memory, mask[:, None, :t], partial(commit, kept, steps - 1, config.passes - 1))
        columns.append(refine(recursion, x[:, here], (angles[0][:, here], angles[1][:, here]), attend, every, steps))
        memory = {
            layer: (torch.cat((keys, kept[layer][0]), 1), torch.cat((values, kept[layer][1]), 1))
            for layer, (keys, values) in memory.items()
        }
    answers = [torch.cat(step, dim=1) for step in zip(*(column.answers for column in columns), strict=True)]
    ponders = [column.ponder for column in columns if column.ponder is not None]
    return Refined(answers, torch.cat(ponders, dim=1) if ponders else None)


def commit(kept: Memory, last_step: int, last_pass: int, at: At, k: Heads, v: Heads) -> None:
    """Keep what the last pass of the last step makes."""
    if (at.step, at.index) == (last_step, last_pass):
        kept[at.layer] = (k, v)
