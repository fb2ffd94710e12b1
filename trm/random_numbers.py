"""Random numbers of training, a function of (seed, step): symmetries, and how long a problem must be worked on.

Every process draws for the slots of all processes and keeps its own part. So n processes of b slots see what one
process of n b slots sees, and a checkpoint needs no state of a generator.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Draws:
    """
    Args:
        device: where the numbers are drawn: a GPU draws for itself, so that nobody waits for a copy.
        process, processes: which part of the slots is this process's own.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu", process: int = 0, processes: int = 1) -> None:
        self.seed, self.device, self.process, self.processes = seed, device, process, processes

    def at(self, step: int, what: str) -> torch.Generator:
        """The generator of a step, on the device, for what is drawn there for the slots of all processes."""
        return torch.Generator(self.device).manual_seed(self._seed(what, step))

    def own(self, step: int) -> torch.Generator:
        """A generator of a step on the host that is this process's alone."""
        return torch.Generator().manual_seed(self._seed(f"process {self.process}", step))

    def part(self, drawn: Tensor) -> Tensor:
        """The rows of this process."""
        slots = len(drawn) // self.processes
        return drawn[self.process * slots :][:slots]

    def _seed(self, what: str, step: int) -> int:
        digest = hashlib.sha256(f"{self.seed} {step} {what}".encode()).digest()
        return int.from_bytes(digest[:7], "big")
