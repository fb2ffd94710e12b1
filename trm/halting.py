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

from trm.modeling import TRMOutput
from trm.recursion import Latents


@dataclass
class Carry:
    """What a batch's slots hold from one supervision step to the next.

    Attributes:
        steps: supervision steps done on the slot's problem.
        halted: whether the slot takes a new problem before the next step.
        puzzle_ids: the vector of the slot's puzzle.
    """

    y: Float[Tensor, "b l d"]
    z: Float[Tensor, "b l dz"]
    steps: Int[Tensor, " b"]
    halted: Bool[Tensor, " b"]
    input_ids: Int[Tensor, "b c"]
    labels: Int[Tensor, "b c"]
    puzzle_ids: Int[Tensor, " b"]

    @classmethod
    def empty(cls, initial: Latents, input_ids: Tensor, labels: Tensor, puzzle_ids: Tensor) -> Carry:
        """All slots free; the problems only give shapes and a device."""
        steps = torch.zeros(len(input_ids), dtype=torch.long, device=input_ids.device)
        return cls(*initial, steps, torch.ones_like(steps, dtype=torch.bool), input_ids, labels, puzzle_ids)

    @property
    def latents(self) -> Latents:
        return self.y, self.z

    def tensors(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device) -> Carry:
        return Carry(**{name: tensor.to(device) for name, tensor in self.tensors().items()})


def replace_halted(
    carry: Carry,
    initial: Latents,
    input_ids: Int[Tensor, "b c"],
    labels: Int[Tensor, "b c"],
    puzzle_ids: Int[Tensor, " b"],
) -> Carry:
    """Give the halted slots the problems offered to them, with fresh latents and a step count of 0.

    Args:
        initial: latents of a fresh problem for every slot.
    """
    row, cell = carry.halted[:, None], carry.halted[:, None, None]
    return Carry(
        y=torch.where(cell, initial[0].to(carry.y.dtype), carry.y),
        z=torch.where(cell, initial[1].to(carry.z.dtype), carry.z),
        steps=carry.steps.masked_fill(carry.halted, 0),
        halted=torch.zeros_like(carry.halted),
        input_ids=torch.where(row, input_ids, carry.input_ids),
        labels=torch.where(row, labels, carry.labels),
        puzzle_ids=torch.where(carry.halted, puzzle_ids, carry.puzzle_ids),
    )


def minimum_steps(batch: int, most: int, exploration: float, generator: torch.Generator) -> Int[Tensor, " b"]:
    """Steps before which a slot may not halt, drawn anew at each step: uniform in 2..most with the probability
    ``exploration``, else 0."""
    device = generator.device
    if most < 2:
        return torch.zeros(batch, dtype=torch.long, device=device)
    explores = torch.rand(batch, generator=generator, device=device) < exploration
    return torch.randint(2, most + 1, (batch,), generator=generator, device=device) * explores


def halts(steps: Int[Tensor, " b"], output: TRMOutput, minimum: Int[Tensor, " b"], most: int) -> Bool[Tensor, " b"]:
    """In training: (steps >= most or :func:`halting_logit` > 0) and steps >= minimum, [b].

    Evaluation runs all steps unless told otherwise (:mod:`trm.rollout`).
    """
    done = steps >= most
    if output.halting_logit is not None:
        done = done | (halting_logit(output) > 0)
    return done & (steps >= minimum)


def halting_logit(output: TRMOutput) -> Float[Tensor, " b"]:
    """The halting logit, less the logit of going on in HRM's form: above 0 the model takes its answer for right. NaN
    without halting head."""
    if output.halting_logit is None:
        assert output.logits is not None
        return output.logits.new_full((len(output.logits),), torch.nan, dtype=torch.float32)
    return output.halting_logit if output.continue_logit is None else output.halting_logit - output.continue_logit
