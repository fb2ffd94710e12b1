"""What a comparison and its runs are, checked; :mod:`reasoning_kit.config.composition` makes the plain values of it.

Every mistake ends in one sentence that says which key, where, and the nearest right one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks.errors import UserError, did_you_mean
from benchmarks.language_models import ModelOptions, check_local_path
from benchmarks.method import MethodOptions, Setting
from benchmarks.task import FAMILIES, Task, family_class
from benchmarks.training.budget import Budget
from reasoning_kit.config.checking import at_least, checked, mapping
from reasoning_kit.config.composition import DATA_VARIABLE, compose, published_options
from reasoning_kit.config.methods import Entry, check_methods, label_of
from reasoning_kit.config.tasks import TaskOptions, checked_task, reads_files, with_unsafe_code
from reasoning_kit.registry import METHODS, method

if TYPE_CHECKING:
    from benchmarks.records import RunRecord
    from benchmarks.splits import Splits


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
    base: str
    options: MethodOptions
    model: ModelOptions
    budget: Budget
    seed: int
    evaluation: EvaluationOptions
    data: str | None
    label: str

    @property
    def folder(self) -> Path:
        return Path(self.task_name) / self.method / f"seed-{self.seed}"

    def splits(self, task: Task | None = None, most: int | None = None) -> Splits:
        """Training and test problems, read or generated.

        Args:
            most: at most so many of each.

        Raises:
            UserError: if a file is missing or wrong, or the task cannot give so many problems.
        """
        from benchmarks.splits import build_splits

        sizes = (self.task.train_size, self.task.test_size)
        if most is not None:
            sizes = (min(sizes[0] or most, most), min(sizes[1] or most, most))
        return build_splits(task or self.task.load(), *sizes, self.task.seed, *self.task.files(self.data))

    def setting(self, task: Task | None = None) -> Setting[Any]:
        """What the run's method is asked about, before anything runs."""
        task = task or self.task.load()
        return Setting(
            task=task,
            options=self.options,
            model=self.model,
            budget=self.budget,
            seed=self.seed,
            train_size=self.task.train_size,
            where=f"method.{self.method}",
            task_name=self.task_name,
            splits=lambda: self.splits(task),
            few_splits=lambda most: self.splits(task, most),
        )


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole comparison.

    Attributes:
        name: of the comparison; its results go to ``runs/NAME``.
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

        runs = []
        for seed in range(self.seeds):
            for task_name, task in self.tasks.items():
                for name, entry in self.methods.items():
                    runs.append(self._run(task_name, task, name, entry, seed))
        return runs

    def _run(self, task_name: str, task: TaskOptions, name: str, entry: Entry, seed: int) -> RunSpec:
        base = method(entry.base)
        model = base.own_model(entry.options, self.model, f"method.{name}")
        return RunSpec(
            task_name=task_name,
            task=task,
            method=name,
            base=entry.base,
            options=base.resolve(entry.options, family_class(task.family), model),
            model=model,
            budget=self.budget,
            seed=seed,
            evaluation=self.evaluation,
            data=self.data if reads_files(task) else None,
            label=entry.label,
        )


PLUG_IN = "Name the file that brings it, --plugins FILE.py, or install its package."

# What a part of the specification is taken to be where it cannot change the result.
USUAL = {"model": ModelOptions(), "evaluation.batch_size": EvaluationOptions().batch_size}


def fingerprint(spec: RunSpec) -> str:
    """Hash of everything that decides a run's result; a finished run with the same one is not repeated.

    What the method is indifferent to counts as usual, so that TRM is not trained anew for another language model.
    """
    for part in method(spec.base).indifferent:
        spec = _with_usual(spec, part)
    return whole_fingerprint(spec)


def whole_fingerprint(spec: RunSpec) -> str:
    """Hash of all of a specification but its label: what a record held before methods said what cannot matter."""
    deciding = asdict(spec)
    del deciding["label"]
    if spec.base == spec.method:  # as it was before there were variants: finished runs stay finished
        del deciding["base"]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def _with_usual(spec: RunSpec, part: str) -> RunSpec:
    """The specification with one part, ``model`` or ``evaluation.batch_size``, as usual."""
    name, _, inner = part.partition(".")
    if not inner:
        return replace(spec, **{name: cast(Any, USUAL[part])})
    usual: Any = replace(getattr(spec, name), **{inner: USUAL[part]})
    return replace(spec, **{name: usual})


def is_same_run(record: RunRecord, spec: RunSpec) -> bool:
    """Whether a record is of this very run, also one from before its method said what it is indifferent to."""
    wanted = fingerprint(spec)
    if record.fingerprint == wanted:
        return True
    try:
        own = spec_from_dict(record.config)
        return record.fingerprint == whole_fingerprint(own) and fingerprint(own) == wanted
    except (UserError, KeyError, TypeError):  # a configuration that this version does not know is another one
        return False


def spec_from_dict(raw: Mapping[str, Any]) -> RunSpec:
    """The inverse of ``dataclasses.asdict`` on a run's specification, after a way through JSON.

    Records from before there were variants have neither base nor label.
    """
    name = raw["method"]
    named = {"base": name, "label": label_of(name)}
    base = raw.get("base", name)
    if base not in METHODS:
        raise UserError(f"the method '{base}' is not known here.", where=str(raw.get("task_name")), cure=PLUG_IN)
    if raw["task"].get("family") not in FAMILIES:
        family = raw["task"].get("family")
        raise UserError(f"the family '{family}' is not known here.", where=str(raw.get("task_name")), cure=PLUG_IN)
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
    config = check_config(compose(overrides))
    check_methods_on_tasks(config)
    return config


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
        tasks={name: checked_task(name, options, sizes) for name, options in raw["task"].items()},
        methods=check_methods(mapping(raw["method"], "method"), published_options),
        model=checked(ModelOptions, raw.get("model") or {}, "model"),
        budget=checked(Budget, raw.get("budget") or {}, "budget"),
        evaluation=checked(EvaluationOptions, raw.get("evaluation") or {}, "evaluation"),
    )
    if unsafe_code:
        config = replace(config, tasks=with_unsafe_code(config.tasks))
    for key in ("seeds", "jobs", "threads"):
        value = getattr(config, key)
        if value is not None:
            at_least(1, value, key)
    if not 0 <= config.checkpoint_minutes < math.inf:
        raise UserError(
            f"checkpoint_minutes must be a number of minutes from 0 on, not {config.checkpoint_minutes!r}.",
            where="checkpoint_minutes",
            cure="Give minutes; 0 for none.",
        )
    return config


def check_methods_on_tasks(config: ExperimentConfig) -> None:
    """Every method checks its options and each task, in an instant.

    Raises:
        UserError: naming the first that does not fit.
    """
    tasks = {name: options.load() for name, options in config.tasks.items()}
    for spec in replace(config, seeds=1).runs():
        if "model" not in method(spec.base).indifferent:
            check_local_path(spec.model)
        method(spec.base).check(spec.setting(tasks[spec.task_name]))
