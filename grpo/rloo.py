"""REINFORCE with a leave-one-out baseline, by TRL's RLOOTrainer (arXiv 2402.14740, equations 6 and 7).

A completion's advantage is its reward minus the mean reward of the others in its group. The whole completion is one
action: one ratio, clipped as in PPO, and the KL penalty is part of its reward. What TRL's two trainers share is priced,
counted and resumed in the same way.
"""

from __future__ import annotations

from trl import RLOOTrainer

from grpo.trainer import PolicyTrainerMixin


class PricedRLOOTrainer(PolicyTrainerMixin, RLOOTrainer):  # type: ignore[misc]  # the mixin prices in floats
    """TRL's RLOO trainer under a budget; it takes the writer's log-probabilities of every batch, which is paid for."""

    gives_logprobs = False
