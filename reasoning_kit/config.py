"""From words on the command line to a checked experiment: Hydra composes the YAML files, types are checked here.

Every mistake ends in one sentence that says which key, where, and the nearest right one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from benchmarks.budget import Budget
from benchmarks.errors import UserError, did_you_mean
from benchmarks.task import Task, family_class, load_task
from cot_distill.options import ModelOptions, SFTOptions
from grpo.options import GRPOOptions
from trm.options import TRMOptions

MethodName = Literal["direct", "trm", "answer_only", "cot", "grpo"]
METHODS: dict[str, type] = {
    "direct": TRMOptions,
    "trm": TRMOptions,
    "answer_only": SFTOptions,
    "cot": SFTOptions,
    "grpo": GRPOOptions,
}
GROUPS = ("task", "method", "model", "budget", "experiment")
DATA_VARIABLE = "REASONING_KIT_DATA"


@dataclass(frozen=True)
class TaskOptions:
    """One entry under ``task``: a family, its options, and how many problems of it.

    Attributes:
        family: ``reasoning-kit tasks ls`` lists them.
        train_size, test_size: problems of each split, or rows chosen at random from the files.
        train_file, test_file: published CSV files; relative ones lie in ``data``.
        seed: of the problems; every method and every training seed sees the same ones.
        options: of the family.
    """

    family: str
    train_size: int = 1000
    test_size: int = 200
    train_file: str | None = None
    test_file: str | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, least in (("train_size", 1), ("test_size", 1), ("seed", 0)):
            at_least(least, getattr(self, key), key)

    def load(self) -> Task:
        return load_task(self.family, **self.options)


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


def at_least(least: int, value: int, where: str) -> None:
    if value < least:
        raise UserError(f"{value} is too small.", where=where, cure=f"Give {least} or more.")


@dataclass(frozen=True)
class RunSpec:
    """One method on one task with one seed: everything that decides its result.

    Attributes:
        data: folder of the published files, for a task that reads files.
    """

    task_name: str
    task: TaskOptions
    method: MethodName
    options: TRMOptions | SFTOptions | GRPOOptions
    model: ModelOptions
    budget: Budget
    seed: int
    evaluation: EvaluationOptions
    data: str | None

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
        out: folder of the results.
        data: folder of the published data files.
    """

    name: str
    tasks: dict[str, TaskOptions]
    methods: dict[MethodName, TRMOptions | SFTOptions | GRPOOptions]
    model: ModelOptions
    budget: Budget
    evaluation: EvaluationOptions
    seeds: int = 1
    jobs: int | None = None
    threads: int = 1
    out: str | None = None
    data: str | None = None

    def data_file(self, name: str | None) -> Path | None:
        """Where a file of a task lies: as given, or in the data folder."""
        return find_data_file(name, self.data)

    def runs(self) -> list[RunSpec]:
        """Every run, seeds outermost so that a stopped comparison has whole seeds."""

        def data(task: TaskOptions) -> str | None:
            return self.data if task.train_file or task.test_file else None

        return [
            RunSpec(task_name, task, method, options, self.model, self.budget, seed, self.evaluation, data(task))
            for seed in range(self.seeds)
            for task_name, task in self.tasks.items()
            for method, options in self.methods.items()
        ]


def find_data_file(name: str | None, data: str | None) -> Path | None:
    """
    Raises:
        UserError: if it can only lie in a data folder, and none is given.
    """
    if name is None:
        return None
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
    return hashlib.sha256(json.dumps(asdict(spec), sort_keys=True).encode()).hexdigest()[:16]


def spec_from_dict(raw: Mapping[str, Any]) -> RunSpec:
    """The inverse of ``dataclasses.asdict`` on a run's specification, after a way through JSON."""
    return checked(
        RunSpec,
        {key: raw[key] for key in ("task_name", "method", "seed", "data")},
        "",
        task=checked(TaskOptions, raw["task"], "task"),
        options=checked(METHODS[raw["method"]], raw["options"], "options"),
        model=checked(ModelOptions, raw["model"], "model"),
        budget=checked(Budget, raw["budget"], "budget"),
        evaluation=checked(EvaluationOptions, raw["evaluation"], "evaluation"),
    )


def config_folder() -> Path:
    """Where the YAML files lie: inside the installed package, or at the root of a checkout."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "configs"


def choices(group: str) -> list[str]:
    """The files of a configuration group, without their ending."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def load_config(overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Compose and check a comparison: ``load_config(["task=maze-8x8", "method=[trm,cot]", "method.trm.n=4"])``.

    Raises:
        UserError: for an unknown group, choice or key, a value of the wrong type, or an impossible value.
    """
    return check_config(_compose(overrides))


def _compose(overrides: Sequence[str]) -> dict[str, Any]:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    prepared = [_prepare(override) for override in overrides]
    groups = [override for override in prepared if override.partition("=")[0] in GROUPS]
    try:
        with initialize_config_dir(str(config_folder().absolute()), version_base="1.3"):
            chosen = compose("compare", groups)
            for override in overrides:
                _check_chosen(override, {group: list(chosen[group]) for group in ("task", "method")})
            final = chosen if groups == prepared else compose("compare", prepared)
            composed = OmegaConf.to_container(final, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise UserError("a value is missing.", where=key, cure=f"Give it: {key}=VALUE.") from None
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot be read ({reason}).", where=" ".join(overrides), cure="Write key=value.") from None
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def _prepare(override: str) -> str:
    """Check a choice of a group; let every other key through, because the types below know what exists."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError("an option is written key=value.", where=override, cure="For example budget.limit=1e12.")
    if key not in GROUPS:
        return override if key.startswith(("+", "~")) else f"++{override}"
    for choice in value.strip("[]").split(","):
        name = choice.strip().removesuffix(".yaml")
        if name not in choices(key):
            raise UserError(f"unknown {key} '{name}'.", where=override, cure=did_you_mean(name, choices(key)))
    return override


def _check_chosen(override: str, chosen: Mapping[str, list[str]]) -> None:
    """An option of a task or method that takes no part would silently do nothing, or bring it in."""
    group, _, rest = override.partition("=")[0].partition(".")
    name = rest.partition(".")[0]
    if not name or name in chosen.get(group, [name]):
        return
    if name not in choices(group):
        raise UserError(f"unknown {group} '{name}'.", where=override, cure=did_you_mean(name, choices(group)))
    raise UserError(
        f"the {group} '{name}' takes no part.",
        where=override,
        cure=f"Name it: {group}=[{','.join([*chosen[group], name])}].",
    )


def check_config(raw: Mapping[str, Any]) -> ExperimentConfig:
    """Types and values of a composed configuration.

    Raises:
        UserError: as :func:`load_config`.
    """
    raw = dict(raw)
    raw.pop("experiment", None)
    sizes = {key: raw.pop(key) for key in ("train_size", "test_size") if raw.get(key) is not None}
    known = {"name", "task", "method", "model", "budget", "evaluation", "seeds", "jobs", "threads", "out", "data"}
    known |= {"train_size", "test_size"}
    for key in raw:
        if key not in known:
            raise UserError(f"unknown key '{key}'.", where="configuration", cure=did_you_mean(key, known))
    if not raw.get("task") or not raw.get("method"):
        raise UserError("nothing to compare.", where="task and method", cure="Name at least one of each.")
    methods = {}
    for name, options in raw["method"].items():
        if name not in METHODS:
            raise UserError(f"unknown method '{name}'.", where="method", cure=did_you_mean(name, METHODS))
        methods[name] = checked(METHODS[name], options, f"method.{name}")
    plain: dict[str, Any] = {key: raw[key] for key in ("name", "seeds", "jobs", "threads", "out", "data") if key in raw}
    if data := plain.get("data") or os.environ.get(DATA_VARIABLE):
        plain["data"] = str(Path(str(data)).expanduser().absolute())
    config = checked(
        ExperimentConfig,
        plain,
        "",
        tasks={name: _checked_task(name, options, sizes) for name, options in raw["task"].items()},
        methods=methods,
        model=checked(ModelOptions, raw.get("model") or {}, "model"),
        budget=checked(Budget, raw.get("budget") or {}, "budget"),
        evaluation=checked(EvaluationOptions, raw.get("evaluation") or {}, "evaluation"),
    )
    _check_batches(config)
    for key in ("seeds", "jobs", "threads"):
        value = getattr(config, key)
        if value is not None:
            at_least(1, value, key)
    return config


def _check_batches(config: ExperimentConfig) -> None:
    """A recursive model drops the last batch of a pass, so the problems must fill one."""
    for task_name, task in config.tasks.items():
        for method, options in config.methods.items():
            if isinstance(options, TRMOptions) and options.batch_size > task.train_size:
                raise UserError(
                    f"{task.train_size} training problems of {task_name} do not fill a batch of {options.batch_size}.",
                    where=f"method.{method}.batch_size",
                    cure=f"Choose at most {task.train_size}, or more training problems.",
                )


def _checked_task(name: str, raw: Any, sizes: Mapping[str, Any]) -> TaskOptions:
    where = f"task.{name}"
    raw = {**_mapping(raw, where), **sizes}
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
    return replace(task, train_file=_absolute(task.train_file), test_file=_absolute(task.test_file), options=options)


def _absolute(name: str | None) -> str | None:
    """A file that lies here, so that a run is understood from other folders; another one lies in ``data``."""
    path = Path(name or "").expanduser()
    return str(path.absolute()) if name and path.is_file() else name


def _mapping(raw: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise UserError(f"{raw!r} is no group of options.", where=where, cure=f"Give single ones: {where}.KEY=VALUE.")
    return raw


def checked(cls: type, raw: Any, where: str, **ready: Any) -> Any:
    """An instance of a dataclass from plain values, nested dataclasses included.

    Args:
        where: the path of the mapping, for messages.
        ready: fields that are objects already.

    Raises:
        UserError: naming the first unknown, missing or ill-typed key.
    """
    from pydantic import TypeAdapter, ValidationError

    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls) if f.name not in ready}
    values = dict(ready)
    for key, value in _mapping(raw, where).items():
        path = f"{where}.{key}" if where else key
        if key not in known:
            raise UserError(f"unknown key '{key}'.", where=where or "configuration", cure=did_you_mean(key, known))
        if is_dataclass(hints[key]):
            factory = known[key].default_factory
            usual = asdict(factory()) if factory is not MISSING else {}
            values[key] = checked(hints[key], {**usual, **_mapping(value, path)}, path)
            continue
        types = (hints[key], *get_args(hints[key]))
        if isinstance(value, bool) and bool not in types and Any not in types:  # which Python takes for 1 or 0
            raise UserError(f"{value!r} does not fit.", where=path, cure=f"It is of type {known[key].type}.")
        try:
            values[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].rstrip(".")
            raise UserError(
                f"{value!r} does not fit ({problem}).", where=path, cure=f"It is of type {known[key].type}."
            ) from None
    for key, spec in known.items():
        if key not in values and spec.default is MISSING and spec.default_factory is MISSING:
            raise UserError(f"'{key}' is missing.", where=where or "configuration", cure="Give it a value.")
    try:
        return cls(**values)
    except UserError as error:  # raised by the class, which does not know where it stands
        inside = error.where is not None and error.where.split(".")[0] != where.split(".")[0]
        path = f"{where}.{error.where}" if where and inside else error.where or where
        raise UserError(error.what, where=path, cure=error.cure) from None
