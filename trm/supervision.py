"""Deep supervision: one optimiser step is one supervision step of whatever problems are in the batch's slots.

The trainer and the check against recorded runs (:mod:`trm.parity`) both go through here. Nothing in a step asks what a
number is: which slots halted, which problems were right and how many is only ever known on the device, so that the
host of a GPU runs ahead and never waits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from trm.halting import Carry, halts, replace_halted
from trm.losses import SupervisionLoss, continue_target, supervision_loss
from trm.modeling import TRMForPuzzles, TRMOutput

Offer = tuple[Int[Tensor, "b c"], Int[Tensor, "b c"], Int[Tensor, " b"]]  # grids, labels, puzzles: one for each slot


class DeepSupervision:
    """The slots of a batch and what becomes of them.

    Attributes:
        entered: since it was last reset: problems that entered a slot.
        left: since it was last reset: problems that left their slot, how many of them exact, and their steps.
    """

    def __init__(self, model: TRMForPuzzles) -> None:
        self.model = model
        self.carry: Carry | None = None
        self.entered: Int[Tensor, ""] | None = None
        self.left: Int[Tensor, " 3"] | None = None

    def step(
        self, forward: Callable[..., TRMOutput], offer: Offer, minimum: Int[Tensor, " b"]
    ) -> tuple[SupervisionLoss, TRMOutput]:
        """Fill the halted slots, think one supervision step, decide which slots halt.

        Args:
            forward: the model, perhaps wrapped for several processes.
            offer: a problem for every slot; those offered to slots that go on are dropped.
            minimum: supervision steps before which a slot may not halt (:func:`trm.halting.minimum_steps`).
        """
        carry = self.admit(offer)
        output = forward(carry.input_ids, carry.latents, carry.puzzle_ids)
        steps = carry.steps + 1
        last = steps >= self.model.config.supervision_steps
        target = None
        if output.continue_logit is not None:
            with torch.no_grad():
                target = continue_target(forward(carry.input_ids, output.carry, carry.puzzle_ids), last)
        loss = supervision_loss(output, carry.labels, self.model.config.loss, target)
        self._advance(carry, steps, minimum, output, loss)
        return loss, output

    def admit(self, offer: Offer) -> Carry:
        """The carry, after every halted slot has taken in its problem."""
        initial = self.model.initial_carry(len(offer[0]))
        carry = Carry.empty(initial, *offer) if self.carry is None else self.carry
        entered = carry.halted.sum()
        self.entered = entered if self.entered is None else self.entered + entered
        return replace_halted(carry, initial, *offer)

    def _advance(
        self,
        carry: Carry,
        steps: Int[Tensor, " b"],
        minimum: Int[Tensor, " b"],
        output: TRMOutput,
        loss: SupervisionLoss,
    ) -> None:
        halted = halts(steps, output, minimum, self.model.config.supervision_steps)
        left = torch.stack((halted.sum(), (halted & loss.exact).sum(), (halted * steps).sum()))
        self.left = left if self.left is None else self.left + left
        assert output.carry is not None
        y, z = output.carry
        self.carry = Carry(y, z, steps, halted, carry.input_ids, carry.labels, carry.puzzle_ids)
