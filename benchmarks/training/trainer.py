"""What every trainer shares: it prices its steps, stops when the budget is spent and decays its learning rate by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.training.budget import Meter
from benchmarks.training.checkpoints import ResumableTrainerMixin


class BudgetCallback(TrainerCallback):
    """Ends training when the budget is spent and calls ``at_milestone`` at chosen shares of it.

    Args:
        meter: what the trainer spends.
        milestones: shares of the budget, each in (0, 1), at which ``at_milestone(model, spent)`` runs, off the clock.
        on_progress: called after every step with what is spent so far, for progress bars.
    """

    def __init__(
        self,
        meter: Meter,
        milestones: Sequence[float] = (),
        at_milestone: Callable[[Any, Cost], None] | None = None,
        on_progress: Callable[[Cost], None] | None = None,
    ) -> None:
        self.meter = meter
        self._left = sorted(milestones)
        self._at_milestone = at_milestone
        self._on_progress = on_progress

    def on_train_begin(self, args, state, control, **_):
        if state.global_step > 0:  # resumed
            self._left = [share for share in self._left if share > self.meter.progress]

    def on_step_end(self, args, state, control, model=None, **_):
        self.meter.add(Cost(steps=1))
        progress = self.meter.progress
        passed = [share for share in self._left if share <= progress]
        self._left = self._left[len(passed) :]
        if passed and progress < 1 and self._at_milestone is not None:
            with self.meter.paused():
                self._at_milestone(model, self.meter.spent)
        if self._on_progress is not None:
            self._on_progress(self.meter.spent)
        if progress >= 1:
            control.should_training_stop = True
        return control


class BudgetedTrainerMixin(ResumableTrainerMixin):
    """For ``class MyTrainer(BudgetedTrainerMixin, Trainer)``: prices every step and schedules by the budget.

    The subclass implements :meth:`price`. The learning rate is a function of the share of the budget spent, so
    that a schedule is complete in whatever unit the budget is given and no step count is needed in advance.
    """

    schedule: str = "constant"

    def price(self, inputs: Any) -> Cost:
        """What one training step on ``inputs`` costs (steps and seconds are counted elsewhere)."""
        raise NotImplementedError

    def floating_point_ops(self, inputs: Any) -> float:
        cost = self.price(inputs)
        self.meter.add(cost)
        return cost.flops

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        trainer: Any = self
        if trainer.lr_scheduler is None:
            warmup = trainer.args.get_warmup_steps(num_training_steps)
            trainer.lr_scheduler = LambdaLR(
                optimizer or trainer.optimizer,
                lambda step: min(1.0, (step + 1) / max(warmup, 1)) * decay(self.schedule, self.meter.progress),
            )
            trainer._created_lr_scheduler = True
        return trainer.lr_scheduler

    def train(self, *args: Any, **kwargs: Any) -> Any:
        with self.meter.running():
            return super().train(*args, **kwargs)


SCHEDULES = ("constant", "cosine", "linear")


def decay(schedule: str, progress: float) -> float:
    """Learning-rate factor after ``progress`` of the budget: 1 at the start; cosine and linear end at 0."""
    progress = min(max(progress, 0.0), 1.0)
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    raise UserError(f"unknown learning-rate schedule '{schedule}'.", cure=f"Choose one of: {', '.join(SCHEDULES)}.")
