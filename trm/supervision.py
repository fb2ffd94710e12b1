"""Deep supervision: one optimiser step is one supervision step of whatever problems are in the batch's slots.

The trainer and the check against recorded runs (:mod:`trm.parity`) both go through here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from trm.halting import Carry, halts, minimum_steps, replace_halted
from trm.losses import SupervisionLoss, continue_target, supervision_loss
from trm.modeling import TRMForPuzzles, TRMOutput

# Grids, labels and puzzle vectors for the slots with the given numbers.
Supply = Callable[[Int[Tensor, " r"]], tuple[Tensor, Tensor, Tensor]]


class DeepSupervision:
    """The slots of a batch and what becomes of them.

    Args:
        generator: draws the exploration.

    Attributes:
        entered: problems that entered a slot in the last step.
        left: since it was last reset: problems that left their slot, how many of them exact, and their steps.
    """

    def __init__(self, model: TRMForPuzzles, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        self.carry: Carry | None = None
        self.entered = 0
        self.left: Int[Tensor, " 3"] | None = None

    def step(self, forward: Callable[..., TRMOutput], slots: int, supply: Supply) -> tuple[SupervisionLoss, TRMOutput]:
        """Fill the halted slots, think one supervision step, decide which slots halt.

        Args:
            forward: the model, perhaps wrapped for several processes.
            slots: problems worked on at the same time.
        """
        carry = self.admit(slots, supply)
        output = forward(carry.input_ids, carry.latents, carry.puzzle_ids)
        steps = carry.steps + 1
        last = steps >= self.model.config.supervision_steps
        target = None
        if output.continue_logit is not None:
            with torch.no_grad():
                target = continue_target(forward(carry.input_ids, output.carry, carry.puzzle_ids), last)
        loss = supervision_loss(output, carry.labels, self.model.config.loss, target)
        self._advance(carry, steps, output, loss)
        return loss, output

    def admit(self, slots: int, supply: Supply) -> Carry:
        """The carry, after every halted slot has taken in a new problem."""
        initial = self.model.initial_carry(slots)
        carry = Carry.empty(initial, slots, self.model.config.positions) if self.carry is None else self.carry
        rows = carry.halted.nonzero()[:, 0]
        self.entered = len(rows)
        if self.entered == 0:
            return carry
        offered = (tensor.to(rows.device) for tensor in supply(rows))
        return replace_halted(carry, initial, rows, *offered)

    def _advance(self, carry: Carry, steps: Int[Tensor, " b"], output: TRMOutput, loss: SupervisionLoss) -> None:
        config = self.model.config
        minimum = minimum_steps(len(steps), config.supervision_steps, config.exploration, self.generator)
        halted = halts(steps, output, minimum.to(steps.device), config.supervision_steps)
        left = torch.stack((halted.sum(), (halted & loss.exact).sum(), (halted * steps).sum()))
        self.left = left if self.left is None else self.left + left
        assert output.carry is not None
        y, z = output.carry
        self.carry = Carry(y, z, steps, halted, carry.input_ids, carry.labels, carry.puzzle_ids)
