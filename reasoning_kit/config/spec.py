"""What a comparison and its runs are, checked; :mod:`reasoning_kit.config.composition` makes the plain values of it.

Every mistake ends in one sentence that says which key, where, and the nearest right one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.hub import is_hub, whole_name
from benchmarks.grid_task import require_grid
from benchmarks.task import Task, family_class, load_task
from benchmarks.training.budget import Budget
from cot_distill.options import ModelOptions, SFTOptions
from cot_distill.traces import TEACHERS
from grpo.options import GRPOOptions
from reasoning_kit.config.checking import at_least, checked, mapping
from reasoning_kit.config.composition import DATA_VARIABLE, choices, compose, published_options
from reasoning_kit.config.methods import METHODS, BaseName, Entry, Options, check_methods, label_of
from trm.options import TRMOptions


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
        train = None if self.train_file is None else [find_data_file(name, data) for name in _names(self.train_file)]
        return train, None if self.test_file is None else find_data_file(self.test_file, data)


@dataclass(frozen=True)
class EvaluationOptions:
    """How accuracy is measured.

    Attributes:
        batch_size: problems solved at once.
        milestones: shares of the budget at which the learning curve gets a point.
        curve_problems: test problems of such a point (0: no learning curve).
    """

    batch_size: int = 128
    milestones: tuple[float, ...] = (0.25, 0.5, 0.75)
    curve_problems: int = 100

    def __post_init__(self) -> None:
        at_least(1, self.batch_size, "batch_size")
        at_least(0, self.curve_problems, "curve_problems")
        if not all(0 < share < 1 for share in self.milestones):
            raise UserError(
                f"{list(self.milestones)} are not all shares of the budget.",
                where="milestones",
                cure="Give numbers between 0 and 1, or [] for none.",
            )


@dataclass(frozen=True)
class RunSpec:
    """One method on one task with one seed: everything that decides its result.

    Attributes:
        method: its name, which is the row and the folder.
        base: the method that it is, or is a variant of.
        data: folder of the published files, for a task that reads files.
        label: how the report names the method; decides no result.
    """

    task_name: str
    task: TaskOptions
    method: str
    base: BaseName
    options: Options
    model: ModelOptions
    budget: Budget
    seed: int
    evaluation: EvaluationOptions
    data: str | None
    label: str

    @property
    def folder(self) -> Path:
        return Path(self.task_name) / self.method / f"seed-{self.seed}"


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole comparison.

    Attributes:
        seeds: training seeds per method, 0 to ``seeds - 1``.
        jobs: runs at the same time; ``None``: as many as there are free cores (one on a GPU).
        threads: CPU threads of each run.
        checkpoint_minutes: of wall time between a run's checkpoints; 0: none. Decides no result.
        out: folder of the results.
        data: folder of the published data files.
    """

    name: str
    tasks: dict[str, TaskOptions]
    methods: dict[str, Entry]
    model: ModelOptions
    budget: Budget
    evaluation: EvaluationOptions
    seeds: int = 1
    jobs: int | None = None
    threads: int = 1
    checkpoint_minutes: float = 5.0
    out: str | None = None
    data: str | None = None

    def runs(self) -> list[RunSpec]:
        """Every run, seeds outermost so that a stopped comparison has whole seeds."""

        def data(task: TaskOptions) -> str | None:
            names = [*_names(task.train_file), *_names(task.test_file)]
            return self.data if any(not is_hub(name) for name in names) else None

        return [
            RunSpec(
                task_name=task_name,
                task=task,
                method=method,
                base=entry.base,
                options=started(entry.options, task, own_model(method, entry.options, self.model)),
                model=own_model(method, entry.options, self.model),
                budget=self.budget,
                seed=seed,
                evaluation=self.evaluation,
                data=data(task),
                label=entry.label,
            )
            for seed in range(self.seeds)
            for task_name, task in self.tasks.items()
            for method, entry in self.methods.items()
        ]


def own_model(method: str, options: Options, model: ModelOptions) -> ModelOptions:
    """The language model that a method trains: the comparison's, with what the method has of its own."""
    if isinstance(options, (SFTOptions, GRPOOptions)):
        return options.model.over(model, f"method.{method}.model")
    return model


def started(options: Options, task: TaskOptions, model: ModelOptions) -> Options:
    """The options of a method on one task: where GRPO would distill a pretrained model first, and no program can teach
    the family, it starts from the model as it is."""
    if not isinstance(options, GRPOOptions) or options.start != "distill" or model.path is None:
        return options
    taught = task.family in TEACHERS or options.distillation.traces is not None
    return options if taught else replace(options, start="model")


def _names(files: str | list[str] | None) -> list[str]:
    return [files] if isinstance(files, str) else files or []


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


def fingerprint(spec: RunSpec) -> str:
    """Hash of everything that decides a run's result; a finished run with the same one is not repeated."""
    deciding = asdict(spec)
    del deciding["label"]
    if spec.base == spec.method:  # as it was before there were variants: finished runs stay finished
        del deciding["base"]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def spec_from_dict(raw: Mapping[str, Any]) -> RunSpec:
    """The inverse of ``dataclasses.asdict`` on a run's specification, after a way through JSON.

    Records from before there were variants have neither base nor label.
    """
    method = raw["method"]
    named = {"base": method, "label": label_of(method)}
    base = raw.get("base", method)
    return checked(
        RunSpec,
        named | {key: raw[key] for key in ("task_name", "method", "base", "label", "seed", "data") if key in raw},
        "",
        task=checked(TaskOptions, raw["task"], "task"),
        options=checked(METHODS[base].options, raw["options"], "options"),
        model=checked(ModelOptions, raw["model"], "model"),
        budget=checked(Budget, raw["budget"], "budget"),
        evaluation=checked(EvaluationOptions, raw["evaluation"], "evaluation"),
    )


def load_config(overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Compose and check a comparison: ``load_config(["task=maze-8x8", "method=[trm,cot]", "method.trm.n=4"])``.

    ``method.NAME.base=trm method.NAME.n=12`` adds a variant, whether or not ``method=[...]`` names it too.

    Raises:
        UserError: for an unknown group, choice or key, a value of the wrong type, or an impossible value.
    """
    return check_config(compose(overrides))


def check_config(raw: Mapping[str, Any]) -> ExperimentConfig:
    """Types and values of a composed configuration.

    Raises:
        UserError: as :func:`load_config`.
    """
    raw = dict(raw)
    raw.pop("experiment", None)
    sizes = {key: raw.pop(key) for key in ("train_size", "test_size") if raw.get(key) is not None}
    unsafe_code = raw.pop("unsafe_code", None)
    simple = {"name", "seeds", "jobs", "threads", "checkpoint_minutes", "out", "data"}
    known = simple | {"task", "method", "model", "budget", "evaluation", "train_size", "test_size", "unsafe_code"}
    for key in raw:
        if key not in known:
            raise UserError(f"unknown key '{key}'.", where="configuration", cure=did_you_mean(key, known))
    if not raw.get("task") or not raw.get("method"):
        raise UserError("nothing to compare.", where="task and method", cure="Name at least one of each.")
    plain: dict[str, Any] = {key: value for key, value in raw.items() if key in simple}
    if data := plain.get("data") or os.environ.get(DATA_VARIABLE):
        plain["data"] = str(Path(str(data)).expanduser().absolute())
    config = checked(
        ExperimentConfig,
        plain,
        "",
        tasks={name: _checked_task(name, options, sizes) for name, options in raw["task"].items()},
        methods=check_methods(mapping(raw["method"], "method"), published_options),
        model=checked(ModelOptions, raw.get("model") or {}, "model"),
        budget=checked(Budget, raw.get("budget") or {}, "budget"),
        evaluation=checked(EvaluationOptions, raw.get("evaluation") or {}, "evaluation"),
    )
    if unsafe_code:
        config = replace(config, tasks=with_unsafe_code(config.tasks))
    _check_forms(config)
    _check_batches(config)
    for key in ("seeds", "jobs", "threads"):
        value = getattr(config, key)
        if value is not None:
            at_least(1, value, key)
    if not 0 <= config.checkpoint_minutes < math.inf:
        raise UserError(
            f"{config.checkpoint_minutes!r} is no time.", where="checkpoint_minutes", cure="Give minutes; 0 for none."
        )
    return config


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


def _check_forms(config: ExperimentConfig) -> None:
    """Refuse recursive models on a family that is text only."""
    for task_name, task in config.tasks.items():
        for method, entry in config.methods.items():
            if isinstance(entry.options, TRMOptions):
                require_grid(task.family, f"task.{task_name} with method.{method}")


def _check_batches(config: ExperimentConfig) -> None:
    """A recursive model drops the last batch of a pass, so the problems must fill one."""
    for task_name, task in config.tasks.items():
        for method, entry in config.methods.items():
            options = entry.options
            if task.train_size is None:  # known when the files are read
                continue
            if isinstance(options, TRMOptions) and options.batch_size > task.train_size:
                raise UserError(
                    f"{task.train_size} training problems of {task_name} do not fill a batch of {options.batch_size}.",
                    where=f"method.{method}.batch_size",
                    cure=f"Choose at most {task.train_size}, or more training problems.",
                )


def _checked_task(name: str, raw: Any, sizes: Mapping[str, Any]) -> TaskOptions:
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
