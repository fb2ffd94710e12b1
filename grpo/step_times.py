"""Where the time of a step goes: always measured, as a clock costs microseconds, and logged as ``time/PART``.

TRL times parts of a step too, but tells them to wandb, MLflow and Trackio only. Parts exclude each other: what runs
inside another is its own. On a GPU, whose work is waited for only where the trainer waits anyway, the ends of the
passes and of the optimiser are such places.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback

from benchmarks.training.budget import Meter
from grpo.step_shares import PARTS, STEP


class StepTimesMixin:
    """For ``class MyTrainer(StepTimesMixin, BudgetedTrainerMixin, GRPOTrainer)``, or over TRL's RLOO trainer.

    A step lasts from log to log by the meter's clock, so evaluation and checkpoints are no part of it.
    """

    meter: Meter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []  # of each part that is open, seconds of those inside it
        self._logged_at = 0.0
        super().__init__(*args, **kwargs)
        self.add_callback(_OptimizerTimes(self))  # type: ignore[attr-defined]  # of the Trainer behind the mixin

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the time inside as ``part``, but for what is counted there already."""
        started = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self._seconds[part] += took - self._inner.pop()
            if self._inner:
                self._inner[-1] += took

    def begin(self) -> None:
        """The first step does; what a resumed run had spent before is restored."""
        self._seconds.clear()
        self._logged_at = self.meter.spent.seconds

    # --- the Trainer's methods ------------------------------------------------------------------

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What is left of it when everything else is taken out is the backward pass."""
        with self.timed("passes"):
            loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
            _wait(loss.device)
        return loss

    def _prepare_inputs(self, *args: Any, **kwargs: Any) -> Any:
        with self.timed("rest"):
            return super()._prepare_inputs(*args, **kwargs)  # type: ignore[misc]

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        with self.timed("text"):
            return super()._generate(*args, **kwargs)  # type: ignore[misc]

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with self.timed("generation"):
            return super()._generate_single_turn(*args, **kwargs)  # type: ignore[misc]

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        with self.timed("rewards"):
            return super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled():  # the loss
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)  # type: ignore[misc]
        with self.timed("log_probabilities"):
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)  # type: ignore[misc]

    def _clip_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        with self.timed("optimizer"):
            return super()._clip_grad_norm(*args, **kwargs)  # type: ignore[misc]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs.update(self._times())
        super().log(logs, start_time)  # type: ignore[misc]

    def _times(self) -> dict[str, float]:
        """Seconds since the last log."""
        now = self.meter.spent.seconds
        took = now - self._logged_at
        seconds, self._seconds, self._logged_at = self._seconds, defaultdict(float), now
        seconds["rest"] += took - math.fsum(seconds.values())
        return {STEP: took, **{f"time/{part}": seconds[part] for part in PARTS}}


class _OptimizerTimes(TrainerCallback):
    def __init__(self, trainer: StepTimesMixin) -> None:
        self.trainer = trainer
        self._open: Any = None

    def on_train_begin(self, args, state, control, **_):
        self.trainer.begin()

    def on_pre_optimizer_step(self, args, state, control, **_):
        self._open = self.trainer.timed("optimizer")
        self._open.__enter__()

    def on_optimizer_step(self, args, state, control, **_):
        _wait(args.device)
        self._open.__exit__(None, None, None)


def _wait(device: torch.device) -> None:
    """For the accelerator to be done."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
