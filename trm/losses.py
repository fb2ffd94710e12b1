"""The loss of one supervision step: cross entropy of the answer, and of the halting head's guess that it is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.symmetries import IGNORE
from trm.configuration import Loss

HALTING_WEIGHT = 0.5  # of the published code; the paper's pseudocode has 1


def stablemax_cross_entropy(logits: Float[Tensor, "b l v"], labels: Int[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """-log p[label] with p = s / sum s and s(x) = x + 1 for x >= 0, 1 / (1 - x) below (arXiv 2501.04697, section 4).

    s grows linearly, so that scaling all logits up stops paying; in float64, since p of a wrong token goes to 0 only
    as 1/x. Unlabelled positions give 0.
    """
    x = logits.to(torch.float32 if logits.device.type == "mps" else torch.float64)  # MPS has no float64
    s = torch.where(x >= 0, x + 1, 1 / (1 - x.clamp(max=0)))
    labelled = labels != IGNORE
    right = s.gather(-1, labels.masked_fill(~labelled, 0)[..., None])[..., 0]
    return (s.sum(-1).log() - right.log()) * labelled


def softmax_cross_entropy(logits: Float[Tensor, "b l v"], labels: Int[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """-log softmax(logits)[label]; unlabelled positions give 0."""
    return F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORE, reduction="none")


CROSS_ENTROPIES = {"stablemax": stablemax_cross_entropy, "softmax": softmax_cross_entropy}


@dataclass(frozen=True)
class SupervisionLoss:
    """Losses summed over the batch.

    Attributes:
        answer: cross entropy, averaged over each sequence's labelled positions.
        halting: binary cross entropy of the halting logit against ``exact``; 0 for direct prediction.
        exact: which sequences have every labelled position right.
    """

    answer: Float[Tensor, ""]
    halting: Float[Tensor, ""]
    exact: Bool[Tensor, " b"]

    @property
    def total(self) -> Float[Tensor, ""]:
        """(answer + 0.5 halting) / batch size."""
        return ((self.answer + HALTING_WEIGHT * self.halting) / len(self.exact)).float()


def supervision_loss(
    logits: Float[Tensor, "b l v"],
    halting_logit: Float[Tensor, " b"] | None,
    labels: Int[Tensor, "b l"],
    loss: Loss,
) -> SupervisionLoss:
    """The loss of one supervision step (paper, figure 3; weights and averages as in the published code)."""
    labelled = labels != IGNORE
    per_sequence = CROSS_ENTROPIES[loss](logits, labels).sum(-1) / labelled.sum(-1).clamp(min=1)
    exact = ((logits.argmax(-1) == labels) | ~labelled).all(-1)
    answer = per_sequence.sum()
    if halting_logit is None:
        return SupervisionLoss(answer, answer.new_zeros(()), exact)
    halting = F.binary_cross_entropy_with_logits(halting_logit, exact.to(halting_logit.dtype), reduction="sum")
    return SupervisionLoss(answer, halting, exact)
