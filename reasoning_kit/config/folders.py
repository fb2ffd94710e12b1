"""Which folder the results of a command go to: one that says what was asked, and that holds nobody else's files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UserError

if TYPE_CHECKING:
    from reasoning_kit.config.spec import ExperimentConfig

LONGEST = 80  # characters of a folder's name
UNNAMED = "comparison"  # the name of a comparison that nobody named
# Keys that change nobody's result, or that only add runs to those that are there.
ELSEWHERE = {"name", "out", "data", "seeds", "jobs", "threads", "checkpoint_minutes", "experiment", "unsafe_code"}
IN_THE_NAME = {"task", "method", "budget", "budget.unit", "budget.limit"}

OUR_PAGE = "A reasoning_kit comparison</title>"  # in every report.html of the kit
OUR_FILES = {"report.html", "summary.json", "time-to-accuracy.json"}


def results_folder(overrides: Sequence[str], config: ExperimentConfig) -> Path:
    """Where the results of a comparison go that was given no ``--out``.

    ``out=FOLDER`` says it; else ``runs/NAME`` for a comparison with a name (``experiment=quick``, ``name=mine``);
    else ``runs/TASKS--METHODS--BUDGET``. A short hash follows where more was asked than the name says.
    """
    if config.out is not None:
        return Path(config.out)
    asked = dict(_asked(overrides))

    if "name" in asked:
        return Path("runs") / config.name
    if config.name != UNNAMED:
        more = {key: value for key, value in asked.items() if key not in ELSEWHERE}
        return Path("runs") / _hashed(config.name, more)

    more = {key: value for key, value in asked.items() if key not in ELSEWHERE | IN_THE_NAME}
    budget = f"{_number(config.budget.limit)}-{config.budget.unit}"
    name = f"{'+'.join(config.tasks)}--{'+'.join(config.methods)}--{budget}"
    if len(name) > LONGEST - 7:  # too many to name
        more |= {"task": ",".join(config.tasks), "method": ",".join(config.methods)}
        name = f"{_few(list(config.tasks), 'tasks')}--{_few(list(config.methods), 'methods')}--{budget}"
    return Path("runs") / _hashed(name, more)


def _number(value: float) -> str:
    """Short, and different for different numbers."""
    short = f"{value:g}"
    return (short if float(short) == value else repr(value)).replace("+", "")


def _asked(overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Key and value of every override; of two with one key the later one counts."""
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        yield key, value.strip("'\"")


def _hashed(name: str, more: dict[str, str]) -> str:
    """The name with a hash of what it does not say."""
    if not more:
        return name
    text = "\n".join(f"{key}={value}" for key, value in sorted(more.items()))
    return f"{name}--{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _few(names: Sequence[str], what: str) -> str:
    """One name as it is, several as their number."""
    return names[0][:30] if len(names) == 1 else f"{len(names)}-{what}"


def check_out(folder: Path) -> None:
    """Refuse a folder in which results would overwrite or mix with somebody else's files.

    A folder is free if it does not exist, is empty, or holds runs of the kit.

    Raises:
        UserError: naming the folder or the file.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError("the place of results must be a folder.", where=str(folder), cure="Give another with --out.")

    page = folder / "report.html"
    if page.exists() and OUR_PAGE not in _beginning(page):
        raise UserError(
            "only reports of reasoning_kit are overwritten, and this file is not one.",
            where=str(page),
            cure="Move it away, or give another folder with --out.",
        )
    others = [path.name for path in folder.iterdir() if path.name not in OUR_FILES and not path.name.startswith(".")]
    if others and not _holds_runs(folder):
        raise UserError(
            f"the folder must be empty or hold results of reasoning_kit, but holds {sorted(others)[0]}.",
            where=str(folder),
            cure="Give another folder with --out.",
        )


def _beginning(page: Path) -> str:
    with page.open(encoding="utf-8", errors="replace") as file:
        return file.read(2000)


def _holds_runs(folder: Path) -> bool:
    """Whether a run lies below it as ``TASK/METHOD/seed-N``, finished or not."""
    return any(run.is_dir() for run in folder.glob("*/*/seed-*"))
