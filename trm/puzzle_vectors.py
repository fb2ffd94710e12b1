"""A vector for every puzzle, at the front of the sequence: where the rule of an ARC puzzle is learned.

Special here: there may be a million of them, of which a batch touches a few. So they are a buffer, not a parameter:
no dense gradient, no averaging, no gradient clipping, no share in the parameter count (as in the published code).
:class:`trm.optimizers.SignSGD` updates the rows that occurred.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class PuzzleVectors(nn.Module):
    """Vectors [p, w], 0 at the start; vector 0 belongs to no puzzle in particular.

    Attributes:
        used: ids and rows of the last forward pass with gradient; the rows hold their gradients after ``backward``.
    """

    weight: Float[Tensor, "p w"]

    def __init__(self, puzzles: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(puzzles, width))
        self.used: tuple[Int[Tensor, " b"], Float[Tensor, "b w"]] | None = None

    def forward(self, ids: Int[Tensor, " b"]) -> Float[Tensor, "b w"]:
        rows = self.weight[ids]
        if self.training and torch.is_grad_enabled():
            rows.requires_grad_()
            self.used = (ids, rows)
        return rows
