"""When a trainer saves, and whether it goes on from what is saved. Needs no torch."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.compute import Cost

logger = logging.getLogger(__name__)

STOPPED = 128 + signal.SIGTERM  # exit code of a run that was asked to stop, as a shell has it


def _log_resumed(spent: Cost) -> None:
    logger.warning("resumed at step %d", spent.steps)


@dataclass(frozen=True)
class Checkpoints:
    """When a trainer saves, and whether it goes on from what is saved.

    Attributes:
        minutes: of wall time between checkpoints; the last step is saved too. 0: none but those that the trainer's
            own ``save_strategy`` asks for, which otherwise takes the place of the clock.
        resume: go on from the newest whole checkpoint in the trainer's folder, where there is one.
        tell: gets a sentence for the user, such as that a checkpoint is broken.
        on_resume: gets what the run had spent, before it goes on.
        stop: asked after every step; once true, training saves and ends the process (``SystemExit``). Not for several
            processes, which may hear of it at different steps.
    """

    minutes: float = 0.0
    resume: bool = False
    tell: Callable[[str], None] = logger.warning
    on_resume: Callable[[Cost], None] = _log_resumed
    stop: Callable[[], bool] = lambda: False
