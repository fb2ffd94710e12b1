"""What the times in a run's log say: shares of a step. Light, for the command line; :mod:`grpo.step_times` measures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# In the order of a step. ``log_probabilities``: of the reference, and of the policy that wrote; PPO's values too.
PARTS = {
    "generation": "generation",
    "text": "tokenising and decoding",
    "rewards": "rewards",
    "log_probabilities": "passes without gradient",
    "passes": "forward and backward",
    "optimizer": "clipping and optimiser",
    "rest": "the rest",
}
WORK = ("generation", "log_probabilities", "passes")  # what a step is for
STEP = "time/step"


@dataclass(frozen=True)
class Shares:
    """Of the time of some steps.

    Attributes:
        seconds: of a step, on average.
        of: each of :data:`PARTS`' share; they sum to 1.
    """

    seconds: float
    of: dict[str, float]

    @property
    def work(self) -> float:
        """The share of generation and of all passes through a model."""
        return math.fsum(self.of[part] for part in WORK)

    @property
    def text(self) -> str:
        """In a sentence, the greatest first."""
        ranked = sorted(((share, part) for part, share in self.of.items() if share >= 0.005), reverse=True)
        parts = ", ".join(f"{PARTS[part]} {share:.0%}" for share, part in ranked).replace("%", " %")
        return f"A step took {self.seconds:.3g} s: {parts}."


def shares(history: Sequence[Mapping[str, Any]]) -> Shares | None:
    """Over logged steps; ``None`` where none was timed."""
    timed = [entry for entry in history if STEP in entry]
    total = math.fsum(entry[STEP] for entry in timed)
    if not total:
        return None
    of = {part: math.fsum(entry.get(f"time/{part}", 0.0) for entry in timed) / total for part in PARTS}
    return Shares(total / len(timed), of)
