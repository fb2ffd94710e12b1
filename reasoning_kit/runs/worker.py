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
from pathlib import Path
from typing import TextIO

SPEC, LOG = "spec.json", "log.txt"
FAILED, USER_ERROR, STOPPED = 1, 2, 128 + signal.SIGTERM


def main(spec_file: str, folder_name: str, minutes: str = "5", start: str = "resume") -> int:
    folder = Path(folder_name)
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    log = (folder / LOG).open("a", buffering=1)
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())

    def say(**message: object) -> None:
        channel.write(json.dumps(message) + "\n")

    stopping, saves = threading.Event(), False

    def stop(*_: object) -> None:
        stopping.set()
        if not saves:
            sys.exit(STOPPED)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    from benchmarks.errors import UserError

    try:
        _claim(log, folder)
        say(phase="loading", share=0.0)
        import torch

        from benchmarks.training.saving import Checkpoints
        from reasoning_kit.config.plugins import load_from_environment
        from reasoning_kit.config.spec import spec_from_dict
        from reasoning_kit.runs.run import run

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        load_from_environment()
        spec = spec_from_dict(json.loads(Path(spec_file).read_text()))
        checkpoints = Checkpoints(float(minutes), start == "resume", lambda text: say(note=text), stop=stopping.is_set)
        last = 0.0

        def progress(phase: str, share: float, numbers: dict[str, float]) -> None:
            nonlocal last, saves
            saves = phase.startswith("training") and checkpoints.minutes > 0
            if stopping.is_set() and not saves:
                sys.exit(STOPPED)
            now = time.monotonic()
            if now - last > 0.5 or share >= 1:
                last = now
                say(phase=phase, share=share, **numbers)

        record = run(spec, folder, progress, checkpoints)
        say(phase="done", share=1.0, accuracy=record.metrics["accuracy"]["value"])
        return 0
    except UserError as error:
        say(phase="failed", what=error.what, where=error.where, cure=error.cure)
        return USER_ERROR
    except SystemExit:
        say(phase="failed", what="stopped.", where=str(folder), cure="The same command goes on from there.")
        return STOPPED
    except Exception as error:
        traceback.print_exc()
        say(
            phase="failed", what=f"{type(error).__name__}: {error}", where=str(folder / LOG), cure="The log has it all."
        )
        return FAILED


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
