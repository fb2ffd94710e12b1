"""Several trajectories through the latent space for one problem: noise that tells them apart, and who is believed.

Probabilistic TRM (arXiv 2605.19943): Gaussian noise of scale sigma is added to the latent before every supervision
step, and of K such trajectories the one counts whose halting logit is highest at the end; nothing is trained for it.
Ours adds it to both latents, y and z, which did better than either alone (docs/results/scaling.md). Halt-first
(arXiv 2601.19085): the trajectory counts that wants to halt first, and the others stop with it.
Trajectory 0 is the model's own, without noise.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

TABLE = 1 << 22  # normal draws in the table of noise, 16 MiB


class Noise:
    """Gaussian noise that is a function of a row's seed and step, whatever batch and device the row is in.

    Each row reads ``size`` neighbouring numbers of one table of normal draws, from a place that a hash of its seed and
    step chooses (the shared noise table of evolution strategies, arXiv 1703.03864, section 2.1): no generator per row.
    """

    def __init__(self, scale: float, size: int, device: torch.device) -> None:
        table = torch.randn(max(TABLE, 8 * size), generator=torch.Generator().manual_seed(0))
        self.scale = scale
        self.places = table.to(device).unfold(0, size, 1)

    def __call__(self, seeds: NDArray[np.uint64], steps: NDArray[np.int32]) -> Float[Tensor, "b n"]:
        """Zeros for rows of seed 0."""
        device = self.places.device
        start = mixed(seeds + steps.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) % np.uint64(len(self.places))
        scale = torch.from_numpy(np.where(seeds == 0, 0.0, self.scale).astype(np.float32)).to(device)
        return scale[:, None] * self.places[torch.from_numpy(start.astype(np.int64)).to(device)]


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of 64-bit numbers: the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def seed_of(problem: str, variant: int, trajectory: int) -> int:
    """The seed of a trajectory's noise, 0 (none) for trajectory 0.

    Args:
        problem: its id.
    """
    if trajectory == 0:
        return 0
    digest = hashlib.sha256(f"{problem} {variant} {trajectory}".encode()).digest()
    return int.from_bytes(digest[:8], "big") | 1
