"""The carry between supervision steps, and when a problem gives up its slot.

The paper's pseudocode loops over supervision steps inside a batch. The published code does not, and neither do we:
each optimiser step is one supervision step of whatever problems are in the batch's slots. A slot that halted takes
the same-index sample of the next batch; samples offered to slots that go on are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trm.recursion import Latents


@dataclass
class Carry:
    """What a batch's slots hold from one supervision step to the next.

    Attributes:
        steps: supervision steps done on the slot's problem.
        halted: whether the slot takes a new problem before the next step.
    """

    y: Float[Tensor, "b l d"]
    z: Float[Tensor, "b l d"]
    steps: Int[Tensor, " b"]
    halted: Bool[Tensor, " b"]
    input_ids: Int[Tensor, "b l"]
    labels: Int[Tensor, "b l"]

    @classmethod
    def empty(cls, initial: Latents, input_ids: Int[Tensor, "b l"], labels: Int[Tensor, "b l"]) -> Carry:
        """All slots free, shaped like a batch."""
        batch, device = len(input_ids), input_ids.device
        steps = torch.zeros(batch, dtype=torch.long, device=device)
        return cls(*initial, steps, torch.ones(batch, dtype=torch.bool, device=device), input_ids, labels)

    @property
    def latents(self) -> Latents:
        return self.y, self.z

    def tensors(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device) -> Carry:
        return Carry(**{name: tensor.to(device) for name, tensor in self.tensors().items()})


def replace_halted(carry: Carry, initial: Latents, input_ids: Int[Tensor, "b l"], labels: Int[Tensor, "b l"]) -> Carry:
    """Give each halted slot the batch's problem of the same index, with fresh latents and a step count of 0."""
    row, cell = carry.halted[:, None], carry.halted[:, None, None]
    return Carry(
        y=torch.where(cell, initial[0].to(carry.y.dtype), carry.y),
        z=torch.where(cell, initial[1].to(carry.z.dtype), carry.z),
        steps=carry.steps.masked_fill(carry.halted, 0),
        halted=torch.zeros_like(carry.halted),
        input_ids=torch.where(row, input_ids, carry.input_ids),
        labels=torch.where(row, labels, carry.labels),
    )


def minimum_steps(batch: int, most: int, exploration: float, generator: torch.Generator) -> Int[Tensor, " b"]:
    """Steps before which a slot may not halt, drawn anew at each step: uniform in 2..most with the probability
    ``exploration``, else 0."""
    if most < 2:
        return torch.zeros(batch, dtype=torch.long)
    explores = torch.rand(batch, generator=generator) < exploration
    return torch.randint(2, most + 1, (batch,), generator=generator) * explores


def halts(
    steps: Int[Tensor, " b"], halting_logit: Float[Tensor, " b"] | None, minimum: Int[Tensor, " b"], most: int
) -> Bool[Tensor, " b"]:
    """In training: (steps >= most or q > 0) and steps >= minimum. Evaluation runs all steps unless told otherwise."""
    done = steps >= most
    if halting_logit is not None:
        done = done | (halting_logit > 0)
    return done & (steps >= minimum)
