"""The loss of one supervision step: cross entropy of the answer, and of the halting head's guess that it is right.

With HRM's form of halting there is a third term, for the value of going on (paper, figure 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.symmetries import IGNORE
from trm.modeling import TRMOutput
from trm.options import Loss

HALTING_WEIGHT = 0.5  # of the published code; the paper's pseudocode has 1
BALANCE_WEIGHT = 0.01  # of a mixture of experts (arXiv 2101.03961, section 2.2)


def stablemax_cross_entropy(logits: Float[Tensor, "b c v"], labels: Int[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """-log p[label] with p = s / sum s and s(x) = x + 1 for x >= 0, 1 / (1 - x) below (arXiv 2501.04697, section 4).

    s grows linearly, so that scaling all logits up stops paying; in float64, since p of a wrong token goes to 0 only
    as 1/x. Unlabelled positions give 0.
    """
    x = logits.to(torch.float32 if logits.device.type == "mps" else torch.float64)  # MPS has no float64
    s = torch.where(x >= 0, x + 1, 1 / (1 - x.clamp(max=0)))
    labelled = labels != IGNORE
    right = s.gather(-1, labels.masked_fill(~labelled, 0)[..., None])[..., 0]
    return (s.sum(-1).log() - right.log()) * labelled


def softmax_cross_entropy(logits: Float[Tensor, "b c v"], labels: Int[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """-log softmax(logits)[label]; unlabelled positions give 0."""
    return F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")


CROSS_ENTROPIES = {"stablemax": stablemax_cross_entropy, "softmax": softmax_cross_entropy}


@dataclass(frozen=True)
class SupervisionLoss:
    """Losses summed over the batch.

    Attributes:
        answer: cross entropy, averaged over each sequence's labelled positions.
        halting: binary cross entropy of the halting logit against ``exact``; 0 without halting head.
        going_on: binary cross entropy of the continue logit against its target; 0 without one.
        exact: which sequences have every labelled position right.
        imbalance: of a mixture of experts, averaged over the batch; else 0.
    """

    answer: Float[Tensor, ""]
    halting: Float[Tensor, ""]
    going_on: Float[Tensor, ""]
    exact: Bool[Tensor, " b"]
    imbalance: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """(answer + 0.5 (halting + going on)) / batch size + 0.01 imbalance."""
        summed = self.answer + HALTING_WEIGHT * (self.halting + self.going_on)
        return (summed / len(self.exact) + BALANCE_WEIGHT * self.imbalance).float()


def continue_target(following: TRMOutput, last: Bool[Tensor, " b"]) -> Float[Tensor, " b"]:
    """What going on is worth: the better of halting and going on after the next step; at the last step only halting
    is left (paper, figure 2)."""
    halt, going_on = following.halting_logit, following.continue_logit
    assert halt is not None
    assert going_on is not None
    return torch.where(last, halt, torch.maximum(halt, going_on)).sigmoid()


def supervision_loss(
    output: TRMOutput,
    labels: Int[Tensor, "b c"],
    loss: Loss,
    target: Float[Tensor, " b"] | None = None,
) -> SupervisionLoss:
    """The loss of one supervision step (paper, figures 2 and 3; weights and averages as in the published code).

    Args:
        target: of the continue logit, see :func:`continue_target`.
    """
    assert output.logits is not None
    labelled = labels != IGNORE

    # Averaged over each sequence's labelled cells, [b], then summed over the batch.
    per_sequence = CROSS_ENTROPIES[loss](output.logits, labels).sum(-1) / labelled.sum(-1).clamp(min=1)
    exact = ((output.logits.argmax(-1) == labels) | ~labelled).all(-1)
    answer = per_sequence.sum()
    zero = answer.new_zeros(())

    return SupervisionLoss(
        answer=answer,
        halting=zero if output.halting_logit is None else _summed(output.halting_logit, exact.float()),
        going_on=zero if output.continue_logit is None or target is None else _summed(output.continue_logit, target),
        exact=exact,
        imbalance=zero if output.imbalance is None else output.imbalance,
    )


def _summed(logit: Float[Tensor, " b"], target: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    return F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype), reduction="sum")
