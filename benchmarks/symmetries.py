"""Symmetry augmentation as batched tensor maps: each row moves cells and renames tokens, and keeps its answer right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.shapes import Generator, Int, Tensor

if TYPE_CHECKING:
    from torch import device as Device
else:
    from typing import Any as Device

IGNORE = -100  # label of a position that carries no loss, as everywhere in transformers


@dataclass(frozen=True)
class Symmetries:
    """One symmetry per row of a batch: a permutation of positions and a renaming of tokens.

    Attributes:
        position: ``new[i] = old[position[i]]``.
        token: ``new token = token[old token]``; identity for tokens that must not change (padding, empty).
    """

    position: Int[Tensor, "b l"]
    token: Int[Tensor, "b v"]

    def apply(self, ids: Int[Tensor, "b l"]) -> Int[Tensor, "b l"]:
        """Transform token ids or labels; positions labelled :data:`IGNORE` stay so."""
        moved = ids.gather(1, self.position)
        ignored = moved == IGNORE
        renamed = self.token.gather(1, moved.masked_fill(ignored, 0))
        return renamed.masked_fill(ignored, IGNORE)

    def inverse(self) -> Symmetries:
        """The symmetries that undo these."""
        return Symmetries(self.position.argsort(1), self.token.argsort(1))

    @staticmethod
    def identity(batch: int, positions: int, vocabulary: int, device: Device | str | None = None) -> Symmetries:
        """For each of ``batch`` rows the symmetry that changes nothing."""
        import torch

        return Symmetries(
            torch.arange(positions, device=device).expand(batch, -1),
            torch.arange(vocabulary, device=device).expand(batch, -1),
        )


def permutations(batch: int, length: int, generator: Generator) -> Int[Tensor, "b n"]:
    """Uniformly random permutations of ``0 ... length - 1``, one per row."""
    import torch

    # Double precision: equal draws, which would favour one order, do not occur.
    draws = torch.rand(batch, length, generator=generator, device=generator.device, dtype=torch.float64)
    return draws.argsort(dim=1)


def to_device(values: Tensor | Sequence[int], device: Device | str) -> Tensor:
    """A copy to a GPU goes from pinned memory, and the host does not wait for it."""
    import torch

    tensor = torch.as_tensor(values)
    return tensor if torch.device(device).type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
