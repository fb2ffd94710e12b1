"""The words that settings of the autoregressive TRM can be, and which cache policy belongs to which training mode.

A module of its own, so that the configuration and its price can both know them.
"""

from __future__ import annotations

from typing import Literal

Streams = Literal["single", "dual"]
Norm = Literal["post", "pre"]
Gradient = Literal["last_round", "all"]
Halting = Literal["none", "correct", "act"]
Mode = Literal["parallel", "first_depth", "jacobi", "sequential"]
TrainingDepth = Literal["full", "growing", "random"]
TrainingSweeps = Literal["fixed", "random"]
Policy = Literal["committed", "per_depth", "first_depth", "last_of_role"]
Depth = Literal["fixed", "adaptive"]

# The policy under which decoding sees what a training mode shows.
PARTNERS: dict[Mode, Policy] = {
    "parallel": "per_depth",
    "first_depth": "first_depth",
    "jacobi": "committed",
    "sequential": "committed",
}
EXACT = ("per_depth", "first_depth")  # policies under which a prompt can be refined all at once
