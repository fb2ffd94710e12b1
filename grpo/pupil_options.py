"""What a user can set for the pupil that a policy teaches. Light: validated before torch and TRL load."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from benchmarks.errors import UserError
from cot_distill.options import OwnModel, SFTOptions


@dataclass(frozen=True)
class PupilOptions:
    """A second model that learns what the policy writes: RL first, then distillation (DeepSeek-R1, arXiv 2501.12948,
    section 2.4), all from one budget.

    Attributes:
        samples: traces of each training problem that the policy writes, one of every problem before the second of
            any; 0: there is no pupil, and the run ends with the policy.
        policy_share: of the budget for the policy, its start checkpoint included.
        writing_share: of the budget at which writing ends, if the samples are not all there by then. What is left
            teaches the pupil.
        temperature: of writing; ``None``: that of the groups.
        model: the pupil's, by default a fresh one as in ``model``.
        distillation: how the pupil is trained.
    """

    samples: int = 0
    policy_share: float = 0.5
    writing_share: float = 0.15
    temperature: float | None = None
    model: OwnModel = field(default_factory=OwnModel)
    distillation: SFTOptions = field(default_factory=SFTOptions)

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise UserError(f"{self.samples} traces.", where="samples", cure="Give 1 or more, or 0 for no pupil.")
        for key in ("policy_share", "writing_share"):
            if not 0 < getattr(self, key) < 1:
                raise UserError(f"{getattr(self, key)} is no share.", where=key, cure="Give a number between 0 and 1.")
        if self.share <= 0:
            raise UserError(
                f"the policy ({self.policy_share:g}) and writing ({self.writing_share:g}) leave the pupil nothing.",
                where="policy_share",
                cure="Give shares that add up to less than 1.",
            )
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise UserError(f"{self.temperature} is no temperature.", where="temperature", cure="Give 0 or more.")
        if self.temperature == 0 and self.samples > 1:
            raise UserError(
                f"{self.samples} greedy traces of a problem are all alike.",
                where="temperature",
                cure="Give a temperature such as 1, or samples=1.",
            )
        own = self.distillation
        if own.model != OwnModel():
            raise UserError(
                "the pupil's model is 'model'.", where="distillation.model", cure="Set pupil.model instead."
            )
        if own.trace is not None or own.traces is not None or own.content != "right":
            raise UserError(
                "the policy is the pupil's teacher.", where="distillation", cure="Leave trace, traces and content out."
            )

    @property
    def share(self) -> float:
        """The least that is left for the pupil's training."""
        return 1 - self.policy_share - self.writing_share
