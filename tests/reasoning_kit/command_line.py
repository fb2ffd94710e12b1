"""The installed command as a user runs it, and one small comparison that several test files look at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PROGRAM = Path(sys.executable).with_name("reasoning-kit")
TINY = (
    "experiment=smoke", "jobs=1", "budget.limit=2", "train_size=32", "test_size=4", "evaluation.curve_problems=2",
    "method.direct.batch_size=8", "method.trm.batch_size=8", "method.answer_only.batch_size=8",
    "method.cot.batch_size=8", "method.grpo.batch_size=8", "method.grpo.distillation.batch_size=8",
)  # fmt: skip
FIRST = Path("sudoku-4x4/direct/seed-0")


def environment() -> dict[str, str]:
    without = {key: value for key, value in os.environ.items() if key != "REASONING_KIT_DATA"}
    return without | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def call(*words: str | Path, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *words], cwd=cwd, input=stdin, env=environment(), capture_output=True, text=True, check=False
    )


def workers_of(folder: Path) -> list[str]:
    """The command lines of the processes that train runs below a folder."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "reasoning_kit.runs.worker" in line and str(folder) in line]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Smoke:
    """A comparison that SIGTERM stopped in its second run, and that the same command then finished.

    Attributes:
        words: the command.
        survivors: worker processes that were left after the stop.
        finished: the files of the finished run when it was stopped.
        stopped, done: how the two commands ended.
    """

    folder: Path
    words: tuple[str, ...]
    survivors: list[str]
    finished: dict[str, bytes]
    stopped: subprocess.CompletedProcess[str]
    done: subprocess.CompletedProcess[str]

    def run(self, task: str, method: str) -> Path:
        return self.folder / task / method / "seed-0"


def run_smoke(here: Path) -> Smoke:
    """Five methods, three families, two steps each; from a folder whose files are called like packages."""
    (here / "benchmarks").mkdir()
    for trap in (here / "datasets.py", here / "benchmarks" / "__init__.py"):
        trap.write_text("raise SystemExit('imported from the working directory')")
    folder = here / "out"
    words = ("compare", *TINY, "--out", str(folder))
    process = subprocess.Popen(
        [PROGRAM, *words], cwd=here, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    patience = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < patience:
        second_runs = any(str(FIRST) not in line for line in workers_of(folder))
        if second_runs and (folder / FIRST / "record.json").exists():
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)
    stopped = subprocess.CompletedProcess(words, process.returncode, *output)
    survivors, finished = workers_of(folder), contents(folder / FIRST)
    return Smoke(folder, words, survivors, finished, stopped, call(*words, cwd=here))
