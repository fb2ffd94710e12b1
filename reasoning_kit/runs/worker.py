"""The process of one run: ``python -m reasoning_kit.runs.worker SPEC.json FOLDER [CHECKPOINT_MINUTES [resume|anew]]``.

A process per run keeps peak memory, thread counts and crashes apart. It speaks to its parent in lines of JSON on
standard output; everything else that libraries print goes to the run's log. SIGTERM ends it: training after its step
and a checkpoint, everything else at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

SPEC, LOG = "spec.json", "log.txt"
FAILED, USER_ERROR, STOPPED = 1, 2, 128 + signal.SIGTERM


class Stopping:
    """The handler of SIGTERM: it ends the process at once, but for a training that saves checkpoints.

    Attributes:
        asked: SIGTERM has come; training stops after its step.
        saves: the process is in a training that saves checkpoints.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.saves = False

    def __call__(self, *_: object) -> None:
        self.asked.set()
        if not self.saves:
            sys.exit(STOPPED)


def main(spec_file: str, folder_name: str, minutes: str = "5", start: str = "resume") -> int:
    """Train and evaluate one run; the launcher reads what this process says on its standard output.

    Args:
        spec_file: the run's specification, as JSON.
        folder_name: of the run.
        minutes: between checkpoints.
        start: ``resume``: go on from a checkpoint that fits.

    Returns:
        The exit code.
    """
    folder = Path(folder_name)

    # Standard output is the launcher's. What libraries print, and what C code writes, goes to the log.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    log = (folder / LOG).open("a", buffering=1)
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())

    def say(**message: object) -> None:
        channel.write(json.dumps(message) + "\n")

    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    from benchmarks.errors import UserError

    try:
        _claim(log, folder)
        _run(spec_file, folder, float(minutes), start == "resume", stopping, say)
        return 0
    except UserError as error:
        say(phase="failed", what=error.what, where=error.where, cure=error.cure)
        return USER_ERROR
    except SystemExit:
        say(phase="failed", what="stopped.", where=str(folder), cure="The same command goes on from there.")
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        say(phase="failed", what=what, where=str(folder / LOG), cure="The log has it all.")
        return FAILED


def _run(
    spec_file: str, folder: Path, minutes: float, resume: bool, stopping: Stopping, say: Callable[..., None]
) -> None:
    """Train and evaluate, and say how far it is."""
    say(phase="loading", share=0.0)  # before torch, which takes seconds
    import torch

    from benchmarks.training.saving import Checkpoints
    from reasoning_kit.config.plugins import load_from_environment
    from reasoning_kit.config.spec import spec_from_dict
    from reasoning_kit.runs.run import run

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    load_from_environment()
    spec = spec_from_dict(json.loads(Path(spec_file).read_text()))
    checkpoints = Checkpoints(minutes, resume, lambda text: say(note=text), stop=stopping.asked.is_set)
    last = 0.0

    def progress(phase: str, share: float, numbers: dict[str, float]) -> None:
        nonlocal last
        stopping.saves = phase.startswith("training") and checkpoints.minutes > 0
        if stopping.asked.is_set() and not stopping.saves:
            sys.exit(STOPPED)

        # Twice a second is enough for a bar; the end of a phase is always said.
        now = time.monotonic()
        if now - last > 0.5 or share >= 1:
            last = now
            say(phase=phase, share=share, **numbers)

    record = run(spec, folder, progress, checkpoints)
    say(phase="done", share=1.0, accuracy=record.metrics["accuracy"]["value"])


def _end_with_parent(parent: int) -> None:
    """A run whose launcher was killed would go on unseen, and meet its own successor."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(FAILED)


def _claim(log: TextIO, folder: Path) -> None:
    """Two processes never write one run: the log stays locked as long as the process lives.

    Raises:
        UserError: if another process is at it.
    """
    from benchmarks.errors import UserError

    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            "another process works on this run.", where=str(folder), cure="Wait for it, or stop it."
        ) from None
    except OSError:
        return  # a file system without locks


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
