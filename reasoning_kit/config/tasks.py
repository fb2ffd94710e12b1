"""What a comparison says of its tasks: a family, its options, how many problems, and the files that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.hub import is_hub, whole_name
from benchmarks.task import Task, family_class, load_task
from reasoning_kit.config.checking import at_least, checked, mapping
from reasoning_kit.config.composition import DATA_VARIABLE, choices


@dataclass(frozen=True)
class TaskOptions:
    """One entry under ``task``: a family, its options, and how many problems of it.

    Attributes:
        family: ``reasoning-kit tasks ls`` lists them.
        train_size, test_size: problems of each split, or rows chosen at random from the files (``None``: all of them).
        train_file, test_file: published files, several to train on if need be; relative ones lie in ``data``.
            ``hub:OWNER/NAME:SPLIT`` is a data set on the Hugging Face hub.
        seed: of the problems; every method and every training seed sees the same ones.
        options: of the family.
    """

    family: str
    train_size: int | None = 1000
    test_size: int | None = 200
    train_file: str | list[str] | None = None
    test_file: str | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at_least(0, self.seed, "seed")
        if self.train_file == []:
            raise UserError("the list is empty.", where="train_file", cure="Name a file, or null to generate problems.")
        for key, size, file in (
            ("train_size", self.train_size, self.train_file),
            ("test_size", self.test_size, self.test_file),
        ):
            if size is not None:
                at_least(1, size, key)
            elif file is None:
                raise UserError("generated problems have no end.", where=key, cure="Give a number, or name files.")

    def load(self) -> Task:
        return load_task(self.family, **self.options)

    def files(self, data: str | None) -> tuple[list[str | Path] | None, str | Path | None]:
        """Where its training and test files lie, as :func:`benchmarks.splits.build_splits` takes them.

        Raises:
            UserError: if one can only lie in a data folder, and none is given.
        """
        train = (
            None if self.train_file is None else [find_data_file(name, data) for name in file_names(self.train_file)]
        )
        return train, None if self.test_file is None else find_data_file(self.test_file, data)


def file_names(files: str | list[str] | None) -> list[str]:
    return [files] if isinstance(files, str) else files or []


def reads_files(task: TaskOptions) -> bool:
    """Whether some of its files lie in the data folder, not on the hub."""
    names = [*file_names(task.train_file), *file_names(task.test_file)]
    return any(not is_hub(name) for name in names)


def find_data_file(name: str, data: str | None) -> str | Path:
    """Where a file lies: as given, or in the data folder; the name of a data set on the hub stays as it is.

    Raises:
        UserError: if it can only lie in a data folder, and none is given.
    """
    if is_hub(name):
        return name
    path = Path(name).expanduser()
    if path.is_absolute() or path.exists():
        return path
    if data is None:
        raise UserError(
            "there is no such file here.",
            where=name,
            cure=f"Give data=FOLDER, the folder of the published files, or set {DATA_VARIABLE}.",
        )
    return Path(data) / path


def checked_task(name: str, raw: Any, sizes: Mapping[str, Any]) -> TaskOptions:
    where = f"task.{name}"
    raw = {**mapping(raw, where), **sizes}
    if "family" not in raw:
        raise UserError("a task needs a family.", where=where, cure=f"Choose one of: {', '.join(choices('task'))}.")
    own = {f.name for f in fields(TaskOptions)} - {"options"}
    family = family_class(str(raw["family"]))
    family_keys = {f.name for f in fields(family)}  # type: ignore[arg-type]  # every Task is a dataclass
    for key in raw:
        if key not in own | family_keys:
            raise UserError(f"unknown key '{key}'.", where=where, cure=did_you_mean(key, own | family_keys))
    task = checked(TaskOptions, {key: value for key, value in raw.items() if key in own}, where)
    options = {key: value for key, value in raw.items() if key in family_keys}
    checked(family, options, where)  # raises here, not in the middle of a comparison
    train, test = task.train_file, task.test_file
    return replace(
        task,
        train_file=[_absolute(name) for name in train] if isinstance(train, list) else train and _absolute(train),
        test_file=test and _absolute(test),
        options=options,
    )


def _absolute(name: str) -> str:
    """What lies here, so that a run is understood from other folders; anything else lies in ``data`` or on the hub."""
    if is_hub(name):
        return whole_name(name)
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() else name


def with_unsafe_code(tasks: Mapping[str, TaskOptions]) -> dict[str, TaskOptions]:
    """The tasks, those that run model-written code with ``unsafe_code: true``: what ``--unsafe-code`` asks for.

    Raises:
        UserError: if no task runs code.
    """

    def runs_code(task: TaskOptions) -> bool:
        return "unsafe_code" in {f.name for f in fields(family_class(task.family))}  # type: ignore[arg-type]

    if not any(runs_code(task) for task in tasks.values()):
        raise UserError(
            f"no task here runs model-written code ({', '.join(tasks)}).", where="--unsafe-code", cure="Leave it out."
        )
    return {
        name: replace(task, options={**task.options, "unsafe_code": True}) if runs_code(task) else task
        for name, task in tasks.items()
    }
