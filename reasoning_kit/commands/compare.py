"""The head-to-head: every method on every task with every seed, then the table and the report."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.errors import UserError
from reasoning_kit.config.folders import check_out, results_folder
from reasoning_kit.config.spec import ExperimentConfig, load_config
from reasoning_kit.registry import method
from reasoning_kit.runs.environment import free_cores, has_gpu
from reasoning_kit.runs.launch import Job, launch
from reasoning_kit.runs.results import is_finished, resolve


def compare(overrides: Sequence[str], out: Path | None, fresh: bool, console: Console, resume: bool = True) -> Path:
    """Run a comparison and write its report; finished runs in ``out`` are kept.

    Args:
        resume: let unfinished ones go on from their checkpoints.

    Returns:
        the path of ``report.html``.

    Raises:
        UserError: for every mistake in the configuration or the data, before anything is trained where possible.
        RunsFailed: if some runs crashed; the report holds the others.
    """
    config = load_config(overrides)
    folder = out or results_folder(overrides, config)
    return compare_config(config, folder, fresh, console, resume)


def compare_config(config: ExperimentConfig, folder: Path, fresh: bool, console: Console, resume: bool = True) -> Path:
    """The same for a configuration that is checked already.

    Raises:
        UserError, RunsFailed: as :func:`compare`.
    """
    from reasoning_kit.comparison import load_comparison
    from reasoning_kit.report import comparison_table, write_report, write_summary

    done = _run(config, folder, fresh, console, resume)
    failed = [job for job in done if job.phase == "failed"]
    if len(failed) == len(done):
        raise RunsFailed(failed, None)

    comparison = load_comparison(folder)
    report = write_report(folder, comparison)
    write_summary(comparison)
    console.print(comparison_table(comparison, console.width))
    if failed:
        raise RunsFailed(failed, report)
    return report


def _run(config: ExperimentConfig, folder: Path, fresh: bool, console: Console, resume: bool) -> list[Job]:
    """Everything that can be refused is refused before the first run starts."""
    check_out(folder)
    problems = check_data(config, console)
    for moved in resolve(config.runs(), problems, folder, fresh):
        console.print(f"A run of another configuration is now in {moved}", soft_wrap=True)
    preflight(config, folder, console)
    jobs = config.jobs or parallel_runs(config)
    console.print(
        f"[bold]{config.name}[/bold]: {len(config.tasks)} task(s), {len(config.methods)} method(s), {config.seeds} "
        f"seed(s), {config.budget.limit:g} {config.budget.unit} of training each, {jobs} run(s) at a time. "
        f"Results in {folder}"
    )
    return launch(config.runs(), folder, jobs, config.threads, console, config.checkpoint_minutes, resume)


class RunsFailed(Exception):
    """Some runs ended without a record.

    Attributes:
        user_error: every one of them failed by something that the user can mend.
    """

    def __init__(self, jobs: Sequence[Job], report: Path | None) -> None:
        self.report = report
        self.user_error = all(job.user_error for job in jobs)
        lines = {f"{job.name}: {job.failure}": None for job in jobs}
        super().__init__("\n".join(lines))


def check_data(config: ExperimentConfig, console: Console) -> dict[str, str]:
    """Read or generate every task's problems once, so that a broken file is refused before anything is trained.

    Returns:
        the fingerprint of each task's problems.

    Raises:
        UserError: as :func:`benchmarks.splits.build_splits`.
    """
    from benchmarks.splits import build_splits

    fingerprints = {}
    for name, options in config.tasks.items():
        with console.status(f"checking the problems of {name}"):
            files = options.files(config.data)
            splits = build_splits(options.load(), options.train_size, options.test_size, options.seed, *files)
        fingerprints[name] = splits.fingerprint
    return fingerprints


def preflight(config: ExperimentConfig, folder: Path, console: Console) -> None:
    """What only libraries, folders and servers know is asked before the first run starts: a trainer's own options, a
    pretrained model, a served model's name and key.

    Raises:
        UserError: if a run that is still to come could not be trained.
    """
    for run in config.runs():
        if run.seed == 0 and not is_finished(run, folder / run.folder):
            with console.status(f"checking {run.method} on {run.task_name}"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries, about options that they will rename
                method(run.base).preflight(run.setting())


def parallel_runs(config: ExperimentConfig) -> int:
    """As many as free cores allow; one where there is a GPU, which the runs would share."""
    if has_gpu():
        return 1
    return max(1, min(free_cores() // config.threads, len(config.runs())))


def train_one(overrides: Sequence[str], out: Path | None, fresh: bool, console: Console, resume: bool = True) -> Path:
    """Train one method on one task, as :func:`compare` does; the folder of the run.

    Raises:
        UserError: if the configuration names more than one of either.
        RunsFailed: if it crashed.
    """
    config = load_config(overrides)
    if len(config.tasks) != 1 or len(config.methods) != 1:
        raise UserError(
            f"{len(config.tasks)} task(s) and {len(config.methods)} method(s) are named.",
            where="train",
            cure="Name one of each: reasoning-kit train task=sudoku-4x4 method=trm",
        )
    folder = out or results_folder(overrides, config)
    jobs = _run(config, folder, fresh, console, resume)
    failed = [job for job in jobs if job.phase == "failed"]
    if failed:
        raise RunsFailed(failed, None)
    return jobs[0].folder if len(jobs) == 1 else jobs[0].folder.parent
