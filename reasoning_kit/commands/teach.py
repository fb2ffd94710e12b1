"""``teach``: a language model writes traces of a task's training problems; the verified ones are to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.errors import UserError, did_you_mean
from cot_distill.server_options import TeacherOptions
from reasoning_kit.config.checking import checked
from reasoning_kit.config.spec import TaskOptions, load_config
from reasoning_kit.report import formatting as f

EXAMPLE = "reasoning-kit teach task=gsm8k teacher.base_url=http://localhost:8000/v1 teacher.model=NAME --out FOLDER"
OTHER_KEYS = ("task", "train_size", "test_size", "data", "unsafe_code")  # what else a teacher must know


def teach(overrides: Sequence[str], out: Path | None, fresh: bool, console: Console) -> Path:
    """Ask the teacher for traces of the training problems, and show how many are right.

    Returns:
        the folder with ``traces.jsonl`` and ``teacher.json``.

    Raises:
        UserError: for every mistake in the options or the data, or a teacher that cannot be asked.
    """
    options, name, chosen, data = read_options(overrides)
    from benchmarks.splits import build_splits
    from cot_distill.teacher import teach as write_traces
    from reasoning_kit.runs.environment import use_free_cores

    task = chosen.load()
    with console.status(f"problems of {name}"):
        splits = build_splits(task, chosen.train_size, chosen.test_size, chosen.seed, *chosen.files(data))
    folder = out or Path(f"runs/teacher-{name}")
    use_free_cores()
    if options.base_url is None:
        from transformers.utils import logging

        logging.disable_progress_bar()  # of weights that load in an instant
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(f"{options.model} teaches {name}", total=len(splits.train) * options.samples)

        def show(written: int, accepted: int) -> None:
            share = f"{accepted / written:.0%} accepted" if written else "waiting for the first"
            progress.update(bar, completed=written, description=f"{options.model} teaches {name}: {share}")

        def tell(text: str) -> None:
            console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

        found = write_traces(task, splits.train, options, folder, fresh, show, tell)
    for line in report(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return folder


def read_options(overrides: Sequence[str]) -> tuple[TeacherOptions, str, TaskOptions, str | None]:
    """The teacher, and the task with its name and the folder of its data.

    Raises:
        UserError: for an unknown key or a value that does not fit; if not one task is named.
    """
    own = [override for override in overrides if override.startswith("teacher.")]
    others = [override for override in overrides if not override.startswith("teacher.")]
    for override in others:
        key = override.partition("=")[0].partition(".")[0]
        if key not in OTHER_KEYS:
            raise UserError(
                f"'{key}' says nothing to a teacher.",
                where=override,
                cure=f"{did_you_mean(key, [*OTHER_KEYS, 'teacher'])} For example: {EXAMPLE}",
            )
    if not any(override.startswith("task=") for override in others):
        raise UserError("no task is named.", where="teach", cure=f"For example: {EXAMPLE}")
    options: TeacherOptions = checked(TeacherOptions, _values(own), "teacher")
    config = load_config([*others, "method=[answer_only]"])
    if len(config.tasks) != 1:
        raise UserError(f"{len(config.tasks)} tasks are named.", where="teach", cure="Name one: task=NAME.")
    [(name, task)] = config.tasks.items()
    return options, name, task, config.data


def _values(overrides: Sequence[str]) -> dict[str, Any]:
    """``teacher.samples=8`` as plain values, read as in YAML."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for override in overrides:
        if "=" not in override:
            raise UserError("an option is written key=value.", where=override, cure="For example teacher.samples=8.")
    try:
        raw = OmegaConf.to_container(OmegaConf.from_dotlist([o.removeprefix("teacher.") for o in overrides]))
    except (OmegaConfBaseException, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot be read ({reason}).", where=" ".join(overrides), cure="Write key=value.") from None
    assert isinstance(raw, dict)
    return {str(key): value for key, value in raw.items()}


def report(found: dict[str, Any]) -> list[str]:
    """What came of it, in lines."""
    whole = f"{found['written']} of {found['asked']} traces of {found['problems']} problems"
    if not found["written"]:
        return [f"{whole}."]
    lines = [
        f"{whole}: {f.percent(found['acceptance_per_sample'])} accepted ({found['accepted']}, "
        f"{found['different']} different), some of {f.percent(found['acceptance_per_problem'])} of the problems",
        "pass@k: " + ", ".join(f"{k}: {f.percent(share)}" for k, share in found["pass_at_k"].items()),
        f"{f.si(found['tokens'])} tokens written, {f.si(found['flops'])} FLOPs, {f.duration(found['seconds'])}",
    ]
    lines += [f"not accepted, {count}: {why}" for why, count in found["rejected"].items()]
    lines += [f"no usable reply, {count}: {why}" for why, count in found["failed"].items()]
    if found["failed"]:
        lines.append("The same command asks again for those without a usable reply.")
    return lines
