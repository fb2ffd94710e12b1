"""What an autoregressive recursive model computes for a token: the settings that its price and its cache depend on."""

from __future__ import annotations

from typing import Literal

Streams = Literal["single", "dual"]
Gradient = Literal["last_round", "all"]
Halting = Literal["none", "correct", "act"]
Mode = Literal["parallel", "first_depth", "jacobi", "sequential"]
TrainingDepth = Literal["full", "growing", "random"]
TrainingSweeps = Literal["fixed", "random"]
Policy = Literal["committed", "per_depth", "first_depth", "last_of_role"]

# The policy under which decoding sees what a training mode shows.
PARTNERS: dict[Mode, Policy] = {
    "parallel": "per_depth",
    "first_depth": "first_depth",
    "jacobi": "committed",
    "sequential": "committed",
}
EXACT = ("per_depth", "first_depth")  # policies under which a prompt can be refined all at once


class RefinementShape:
    """The part of :class:`trm.autoregressive.configuration.AutoregressiveTRMConfig` that prices are made of."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    intermediate_size: int
    streams: Streams
    tied: bool
    T: int
    n: int
    supervision_steps: int
    deep_supervision: bool
    gradient: Gradient
    halting: Halting
    training_depth: TrainingDepth
    training_mode: Mode
    sweeps: int
    training_sweeps: TrainingSweeps
    cache_policy: Policy | None

    @property
    def policy(self) -> Policy:
        """What is kept of a token when decoding."""
        mode = "parallel" if self.sweeps == 1 and self.training_mode == "jacobi" else self.training_mode
        return self.cache_policy or PARTNERS[mode]

    @property
    def passes(self) -> int:
        """Evaluations of a network in one supervision step: T (n + 1), or T for a single stream."""
        return self.T * (self.n + 1) if self.streams == "dual" else self.T

    @property
    def tracked(self) -> int:
        """Those with gradient in training."""
        return self.n + 1 if self.streams == "dual" and self.gradient == "last_round" else self.passes

    @property
    def networks(self) -> int:
        """Networks with weights of their own: one for all passes, or one for each."""
        return 1 if self.tied else self.passes
