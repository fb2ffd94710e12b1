"""The loss of an autoregressive recursive model: every step's prediction, and whether the model knows that it is right.

For supervision steps s = 1..S, with the next-token labels l_t over positions t that have one:

    mean over s of  mean over t of  CE(logits_s,t, l_t) + 1/2 BCE(q_s,t, argmax(logits_s,t) = l_t)

the half as in TRM's published code (there per sequence, here per token); with ACT also its ponder cost, tau (N + R).
A trainer must ask for it: TRL's compute theirs from the last step's state alone (see ``has_own_loss``).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

IGNORE = -100
HALTING_WEIGHT = 0.5


def deep_supervision_loss(
    outputs: Any, labels: Int[Tensor, "b l"], num_items_in_batch: Any = None, ponder_cost: float = 0.01
) -> Float[Tensor, ""]:
    """The loss of a batch.

    Args:
        outputs: of the model (:class:`trm.autoregressive.modeling.AutoregressiveTRMOutput`).
        labels: not shifted; -100 where nothing is learned.
        num_items_in_batch: what sums are divided by, where the batch comes in parts; otherwise its labels.
    """
    # The label of a position is the token behind it: [b, l], of the positions that have logits.
    kept = outputs.logits.shape[1]
    targets = F.pad(labels, (0, 1), value=IGNORE)[:, 1:][:, -kept:].to(outputs.logits.device)
    labelled = targets != IGNORE

    total = outputs.logits.new_zeros((), dtype=torch.float32)
    for index, logits in enumerate(outputs.step_logits):
        total = total + F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        if outputs.halting_logits is not None:
            right = (logits.argmax(-1) == targets).float()
            guess = F.binary_cross_entropy_with_logits(outputs.halting_logits[index], right, reduction="none")
            total = total + HALTING_WEIGHT * (guess * labelled).sum()
    total = total / len(outputs.step_logits)
    if outputs.ponder is not None:
        total = total + ponder_cost * (outputs.ponder * labelled).sum()

    count = labelled.sum() if num_items_in_batch is None else num_items_in_batch
    return total / torch.as_tensor(count, device=total.device).clamp(min=1)
