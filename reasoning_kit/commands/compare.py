"""The head-to-head: every method on every task with every seed, then the table and the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.errors import UserError
from cot_distill.options import SFTOptions
from grpo.options import GRPOOptions
from reasoning_kit.config.spec import ExperimentConfig, load_config, started
from reasoning_kit.runs.environment import free_cores
from reasoning_kit.runs.launch import Job, launch
from reasoning_kit.runs.results import is_finished, settle


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
    from reasoning_kit.report import comparison_table, write_report, write_summary

    config = load_config(overrides)
    folder = out or Path(config.out or f"runs/{config.name}")
    done = _run(config, folder, fresh, console, resume)
    failed = [job for job in done if job.phase == "failed"]
    if len(failed) == len(done):
        raise RunsFailed(failed, None)
    from reasoning_kit.comparison import load_comparison

    comparison = load_comparison(folder)
    report = write_report(folder)
    write_summary(comparison)
    console.print(comparison_table(comparison, console.width))
    if failed:
        raise RunsFailed(failed, report)
    return report


def _run(config: ExperimentConfig, folder: Path, fresh: bool, console: Console, resume: bool) -> list[Job]:
    """Everything that can be refused is refused before the first run starts."""
    check_teachers(config)
    problems = check_data(config, console)
    for moved in settle(config.runs(), problems, folder, fresh):
        console.print(f"A run of another configuration is now in {moved}", soft_wrap=True)
    check_servers(config, folder, console)
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


def check_teachers(config: ExperimentConfig) -> None:
    """Who teaches must be there before anything is trained: a programmatic teacher of that style, or a folder.

    Raises:
        UserError: naming the option.
    """
    from cot_distill.traces import check_style

    for task_name, task in config.tasks.items():
        for method, entry in config.methods.items():
            key, options = f"method.{method}", started(entry.options, task, config.model)
            if isinstance(options, GRPOOptions):
                if options.taught is None:
                    continue
                key, options = f"{key}.distillation", options.taught
            elif entry.base != "cot":
                continue
            assert isinstance(options, SFTOptions)
            if options.traces is None:
                check_style(task.family, options.trace, f"{key}.trace (task.{task_name})")
            elif not Path(options.traces).expanduser().is_dir():
                raise UserError(
                    f"there is no folder '{options.traces}'.",
                    where=f"{key}.traces",
                    cure="Give one that reasoning-kit teach wrote.",
                )


def check_data(config: ExperimentConfig, console: Console) -> dict[str, str]:
    """Read or generate every task's problems once, so that a broken file is told before anything is trained.

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


def check_servers(config: ExperimentConfig, folder: Path, console: Console) -> None:
    """Ask every server one short question, so that a wrong address, name or key is told before anything is trained.

    Raises:
        UserError: if a served model that is still to answer cannot be used.
    """
    from cot_distill.generators.server import connect
    from cot_distill.server_options import PromptedOptions

    for run in config.runs():
        if run.seed == 0 and isinstance(run.options, PromptedOptions) and not is_finished(run, folder / run.folder):
            with console.status(f"asking {run.options.base_url}"):
                connect(run.options, f"method.{run.method}").check()


def parallel_runs(config: ExperimentConfig) -> int:
    """As many as free cores allow; one where there is a GPU, which the runs would share."""
    import torch

    if torch.cuda.is_available():
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
    folder = out or Path(config.out or f"runs/{config.name}")
    jobs = _run(config, folder, fresh, console, resume)
    failed = [job for job in jobs if job.phase == "failed"]
    if failed:
        raise RunsFailed(failed, None)
    return jobs[0].folder if len(jobs) == 1 else jobs[0].folder.parent
