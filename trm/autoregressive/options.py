"""How to decode, checked before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from trm.autoregressive.choices import Depth, Policy
from trm.options import check_counts, check_kinds


@dataclass(frozen=True)
class Decoding:
    """How to decode.

    Attributes:
        max_new_tokens: per prompt; fewer where the model's context ends before, but one at least.
        policy: what is kept of a token; ``None``: the model's own.
        depth: ``fixed`` or ``adaptive`` halting; ``None``: the model's own.
        halting_threshold: halting probability above which a token halts; ``None``: the model's own.
        parallel_prefill: refine prompts all at once also where that is not exact (``committed`` and ``last_of_role``).
        batch_size: rows.
        lock_step: rows wait for each other, to compare.
        temperature: 0 is greedy.
        top_p: nucleus sampling.
        seed: of sampling; each prompt draws from its own generator, so that batches do not matter.
    """

    max_new_tokens: int
    policy: Policy | None = None
    depth: Depth | None = None
    halting_threshold: float | None = None
    parallel_prefill: bool = False
    batch_size: int = 32
    lock_step: bool = False
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, {"max_new_tokens": 1, "batch_size": 1})
        given = {"policy": Policy, "depth": Depth}
        check_kinds(self, {name: kind for name, kind in given.items() if getattr(self, name) is not None})
