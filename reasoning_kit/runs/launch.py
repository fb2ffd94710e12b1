"""Launches runs, each in a process of its own: several at a time, finished ones skipped, a live table meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from benchmarks.errors import UserError
from benchmarks.records import write_atomically
from reasoning_kit.config.plugins import environment_for_workers
from reasoning_kit.config.spec import RunSpec
from reasoning_kit.runs.environment import process_settings
from reasoning_kit.runs.results import is_finished
from reasoning_kit.runs.worker import SPEC, USER_ERROR

GRACE = 60.0  # seconds that a stopped run has to end its step and save


@dataclass
class Job:
    """One run and how far it has come."""

    spec: RunSpec
    folder: Path
    phase: str = "waiting"
    share: float = 0.0
    numbers: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    process: subprocess.Popen[str] | None = None

    @property
    def name(self) -> str:
        return f"{self.spec.task_name}  {self.spec.method}  seed {self.spec.seed}"

    @property
    def failure(self) -> str:
        """What went wrong, where, and the cure, as the run's process said it."""
        what, where, cure = (self.numbers.get(key) for key in ("what", "where", "cure"))
        return str(UserError(str(what), where=where, cure=cure))

    @property
    def user_error(self) -> bool:
        return self.process is not None and self.process.returncode == USER_ERROR

    @property
    def over(self) -> bool:
        return self.phase in ("done", "failed", "finished before")


def launch(
    specs: Sequence[RunSpec],
    out: Path,
    jobs: int,
    threads: int,
    console: Console,
    checkpoint_minutes: float = 5.0,
    resume: bool = True,
) -> list[Job]:
    """Run everything that is not finished yet.

    Args:
        jobs: processes at a time.
        threads: CPU threads of each.
        checkpoint_minutes: between the checkpoints of a run; 0: none.
        resume: let an unfinished run go on from its checkpoints.

    A run that fails says so in its job, and the others go on.
    """
    todo = [_prepare(spec, out / spec.folder) for spec in specs]
    waiting = [job for job in todo if not job.over]
    settings = (str(checkpoint_minutes), "resume" if resume else "anew")
    with _live(todo, console), _terminated(waiting, console, saves=checkpoint_minutes > 0):
        running: list[Job] = []
        while waiting or running:
            while waiting and len(running) < jobs:
                job = waiting.pop(0)
                _start(job, threads, settings, console)
                running.append(job)
            time.sleep(0.1)
            running = [job for job in running if not _ended(job)]
    return todo


def _prepare(spec: RunSpec, folder: Path) -> Job:
    if is_finished(spec, folder):
        return Job(spec, folder, "finished before", 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SPEC, json.dumps(asdict(spec), indent=1))
    return Job(spec, folder)


def _start(job: Job, threads: int, settings: Sequence[str], console: Console) -> None:
    environment = os.environ | process_settings(threads)
    environment |= environment_for_workers()
    environment |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
    job.process = subprocess.Popen(
        # -P: a folder or file here that is called like a package must not be imported in its place
        [sys.executable, "-P", "-m", "reasoning_kit.runs.worker", str(job.folder / SPEC), str(job.folder), *settings],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    job.phase, job.started = "loading", time.monotonic()
    threading.Thread(target=_listen, args=(job, console), daemon=True).start()


def _listen(job: Job, console: Console) -> None:
    assert job.process is not None
    assert job.process.stdout is not None
    for line in job.process.stdout:
        message = json.loads(line)
        if note := message.pop("note", None):
            console.print(f"{job.name}: {note}", highlight=False, soft_wrap=True)
        job.phase, job.share = message.pop("phase", job.phase), message.pop("share", job.share)
        job.numbers.update(message)


def _ended(job: Job) -> bool:
    assert job.process is not None
    if job.process.poll() is None:
        return False
    if not job.over:
        time.sleep(0.2)  # its last words may still be on their way
    if not job.over:
        job.phase = "failed"
        job.numbers["what"] = f"the process ended with code {job.process.returncode} (out of memory?)"
        job.numbers["where"] = str(job.folder / "log.txt")
    job.ended = time.monotonic()
    return True


@contextmanager
def _terminated(jobs: Sequence[Job], console: Console, saves: bool) -> Iterator[None]:
    """No process outlives us when we are stopped, by a signal or a closed terminal. A run that trains ends its step and
    saves first; :mod:`reasoning_kit.runs.worker` sees to the rest."""
    everything = list(jobs)
    ours = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN]  # nohup
    previous = {number: signal.signal(number, lambda got, _: sys.exit(128 + got)) for number in ours}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        alive = [job.process for job in everything if job.process is not None and job.process.poll() is None]
        for process in alive:
            process.terminate()
        if alive and saves:
            console.print("Stopping: what is in training is saved first.")
        patience = time.monotonic() + GRACE
        for process in alive:
            try:
                process.wait(max(0.0, patience - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()  # its last checkpoint is whole, whatever it was doing
                process.wait()


@contextmanager
def _live(jobs: Sequence[Job], console: Console) -> Iterator[None]:
    """A table that renews itself on a terminal or in a notebook; one line per finished run elsewhere (a log file)."""
    if console.is_jupyter:
        with _notebook(jobs):
            yield
        return
    if console.is_terminal:
        with Live(get_renderable=lambda: progress_table(jobs), console=console, refresh_per_second=2):
            yield
        return
    stop = threading.Event()

    def narrate() -> None:
        reported: set[int] = set()
        while True:
            ending = stop.is_set()
            for job in jobs:
                if job.over and id(job) not in reported:
                    reported.add(id(job))
                    console.print(f"{job.name}: {outcome(job)}", highlight=False)
            if ending:
                return
            stop.wait(0.5)

    thread = threading.Thread(target=narrate, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _notebook(jobs: Sequence[Job]) -> Iterator[None]:
    """One output that is replaced every second, so that a notebook keeps a single table."""
    from IPython.display import HTML, display

    shown = display(HTML(progress_html(jobs)), display_id=True)
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(1.0):
            shown.update(HTML(progress_html(jobs)))

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        shown.update(HTML(progress_html(jobs)))


def progress_html(jobs: Sequence[Job]) -> str:
    """How far every run is, as a table; what a run says is text, never markup."""
    rows = []
    for job in jobs:
        bar = f'<progress value="{min(job.share, 1.0):.3f}" max="1"></progress>'
        cells = (escape(job.spec.task_name), escape(job.spec.method), str(job.spec.seed), bar, escape(outcome(job)))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    done = sum(job.over for job in jobs)
    return f"<table>{''.join(rows)}</table><p>{done} of {len(jobs)} runs finished</p>"


def outcome(job: Job) -> str:
    if job.phase == "finished before":
        return "finished before, skipped"
    if job.phase == "failed":
        return f"failed: {job.failure}"
    seconds = 0.0 if job.started is None else (job.ended or time.monotonic()) - job.started
    if job.phase == "done":
        return f"accuracy {job.numbers.get('accuracy', 0):.1%}, {seconds:.0f} s"
    return job.phase


def progress_table(jobs: Sequence[Job]) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("task", "method", "seed", "", "", "training"):
        table.add_column(heading)
    for job in jobs:
        table.add_row(
            job.spec.task_name,
            job.spec.method,
            str(job.spec.seed),
            ProgressBar(total=1.0, completed=min(job.share, 1.0), width=24),
            outcome(job),
            f"{job.numbers['flops'] / 1e12:.2f} TFLOP" if "flops" in job.numbers else "",
        )
    done = sum(job.over for job in jobs)
    return Group(table, f"{done} of {len(jobs)} runs finished")
