"""Flags of the commands: groups of them as dataclasses, what they mean as ``key=value``, and help for unknown ones."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import update_wrapper
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from benchmarks.errors import UserError

# --- completion -------------------------------------------------------------------------------------


def _complete_names(group: str, typed: str) -> list[str]:
    """Files of a group that go on from the last word of a comma list."""
    from reasoning_kit.config.composition import choices

    before, comma, last = typed.rpartition(",")
    return [f"{before}{comma}{name}" for name in choices(group) if name.startswith(last)]


def complete_task(incomplete: str) -> list[str]:
    return _complete_names("task", incomplete)


def complete_method(incomplete: str) -> list[str]:
    return _complete_names("method", incomplete)


def complete_budget(incomplete: str) -> list[str]:
    return _complete_names("budget", incomplete)


def complete_override(ctx: typer.Context, incomplete: str) -> list[str]:
    """``task=su`` goes on with the names of tasks. Bash takes ``=`` for a word of its own, other shells do not."""
    from reasoning_kit.config.composition import GROUPS

    words = list(ctx.params.get("overrides") or [])
    if incomplete == "=" and words:  # bash, right behind it
        return _complete_names(words[-1], "") if words[-1] in GROUPS else []
    if len(words) > 1 and words[-1] == "=":  # bash, further on
        return _complete_names(words[-2], incomplete) if words[-2] in GROUPS else []

    key, equals, value = incomplete.partition("=")
    if equals:
        return [f"{key}={name}" for name in _complete_names(key, value)] if key in GROUPS else []
    return [f"{group}=" for group in GROUPS if group.startswith(incomplete)]


# --- flags ------------------------------------------------------------------------------------------

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="key=value: task=[sudoku-4x4,maze-8x8] method=[trm,cot] seeds=3 jobs=2 train_size=1000 data=FOLDER "
        "budget.limit=1e12 method.trm.n=4 experiment=cpu model=FOLDER_OR_HUB_NAME; a variant of your own: "
        "method.deep.base=trm method.deep.n=12. `reasoning-kit options` lists them all.",
        show_default=False,
        autocompletion=complete_override,
    ),
]
OtherProblems = Annotated[
    list[str] | None, typer.Argument(help="Other test problems: test_size=1000 seed=7 test_file=PATH")
]
UnsafeCode = Annotated[
    bool,
    typer.Option(
        "--unsafe-code",
        help="Where nothing isolates model-written code, run it all the same: it can do whatever you can.",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugins", help="Python file that brings a task or a method; also repeated. It is run.", show_default=False
    ),
]
ResultFile = Annotated[Path | None, typer.Option(help="JSON with all numbers.", show_default=False)]


def _flag(help: str, **more: Any) -> Any:
    return typer.Option(help=help, show_default=False, **more)


@dataclass(frozen=True)
class ComparisonFlags:
    """What is asked most often, as flags; each stands for ``key=value``, and only one of the two may be given."""

    task: Annotated[
        list[str] | None, _flag("Name of a task, or several: a,b. Also repeated.", autocompletion=complete_task)
    ] = None
    method: Annotated[
        list[str] | None, _flag("Name of a method, or several: a,b. Also repeated.", autocompletion=complete_method)
    ] = None
    budget: Annotated[
        str | None,
        _flag('Of each training: "2e12 flops", "5 minutes", or a file of budgets.', autocompletion=complete_budget),
    ] = None
    seeds: Annotated[int | None, _flag("Trainings of each method, with seeds 0, 1, ...")] = None
    jobs: Annotated[int | None, _flag("Runs at the same time; as many as there are free cores if not given.")] = None
    train_size: Annotated[int | None, _flag("Training problems of every task.")] = None
    test_size: Annotated[int | None, _flag("Test problems of every task.")] = None
    data: Annotated[str | None, _flag("Folder of the published files.")] = None
    model: Annotated[str | None, _flag("Folder or hub name of a pretrained language model.")] = None
    unsafe_code: UnsafeCode = False

    def over(self, overrides: Sequence[str] | None) -> list[str]:
        """The overrides with what the flags say behind them.

        Raises:
            UserError: if something is given both ways, or the budget cannot be read.
        """
        from reasoning_kit.config.composition import model_path, quoted

        chosen = list(overrides or [])
        said: list[str] = []
        for group in ("task", "method"):
            if names := getattr(self, group):
                said.append(f"{group}=[{','.join(names)}]")
        if self.budget is not None:
            said += budget_overrides(self.budget)
        for key in ("seeds", "jobs", "train_size", "test_size"):
            if (number := getattr(self, key)) is not None:
                said.append(f"{key}={number}")
        if self.data is not None:
            said.append(quoted("data", self.data))
        if self.model is not None:
            said.append(model_path(self.model))
        _refuse_both_ways(chosen, said)
        return [*chosen, *said, *(["unsafe_code=true"] if self.unsafe_code else [])]


def _refuse_both_ways(overrides: Sequence[str], said: Sequence[str]) -> None:
    given = {override.partition("=")[0] for override in overrides}
    for override in said:
        key = override.partition("=")[0]
        if key in given:
            flag = f"--{key.partition('.')[0].replace('_', '-')}"
            raise UserError(f"{key} must be given once.", where=flag, cure=f"Leave out {flag}, or {key}=... .")


@dataclass(frozen=True)
class ResultFlags:
    """Where results go, and what becomes of those that are there."""

    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/<name> if not given.")] = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Move runs of another configuration aside and start anew.")] = (
        False
    )
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Unfinished runs go on from their checkpoints, or start anew.")
    ] = True


def budget_overrides(text: str) -> list[str]:
    """A budget in words as overrides: a file of ``configs/budget``, or a number with its unit.

    Raises:
        UserError: if it is neither.
    """
    from reasoning_kit.config.composition import files_of

    if text in files_of("budget"):
        return [f"budget={text}"]

    from benchmarks.training.budget import Budget

    budget = Budget.parse(text)
    return [f"budget.unit={budget.unit}", f"budget.limit={budget.limit!r}"]


# --- commands ---------------------------------------------------------------------------------------


def grouped(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters may be dataclasses of flags: typer sees one parameter for each of their fields.

    Every command takes ``--plugins`` besides, and reads the settings of the working folder.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        assert isinstance(parameter.annotation, type)
        groups[parameter.name] = parameter.annotation
        parameters += _parameters(parameter.annotation)

    plugins = inspect.Parameter("plugins", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Plugins)
    parameters.append(plugins)

    def call(**said: Any) -> None:
        load_what_is_plugged_in(said.pop("plugins"))
        for name, cls in groups.items():
            said[name] = cls(**{each.name: said.pop(each.name) for each in fields(cls)})
        function(**said)

    update_wrapper(call, function)
    del call.__wrapped__  # type: ignore[attr-defined]  # typer would ask it for its parameters
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def load_what_is_plugged_in(files: Sequence[Path] | None) -> None:
    """Plug-ins that ``reasoning_kit.toml`` of the working folder names, then those of ``--plugins``.

    Raises:
        UserError: if one of them cannot be used.
    """
    if not files and not Path("reasoning_kit.toml").is_file():
        return

    from reasoning_kit.config.plugins import load_plugins, load_settings

    load_settings()
    load_plugins(files or ())


def _parameters(cls: type) -> list[inspect.Parameter]:
    """One for each field of a dataclass of flags."""
    hints = get_type_hints(cls, include_extras=True)
    result = []
    for each in fields(cls):
        default = inspect.Parameter.empty if each.default is MISSING else each.default
        kind = inspect.Parameter.KEYWORD_ONLY
        result.append(inspect.Parameter(each.name, kind, default=default, annotation=hints[each.name]))
    return result


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command that knows groups of flags and says what to type instead of an unknown one."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        app.command(name, cls=HelpfulCommand)(grouped(function))
        return function

    return register


class HelpfulCommand(TyperCommand):
    """A command that answers an unknown flag with the nearest one, and with the option that it may stand for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if type(error).__name__ != "NoSuchOption":  # whose module differs between releases of typer
                raise
            flag = str(error.option_name)  # type: ignore[attr-defined]
            names = chain.from_iterable(parameter.opts for parameter in self.params)
            known = [name for name in names if name.startswith("--")]
            arguments = [parameter.name for parameter in self.params if parameter.param_type_name == "argument"]
            raise unknown_flag(flag, given, known, arguments) from None


def unknown_flag(flag: str, args: Sequence[str], known: Sequence[str], arguments: Sequence[str | None]) -> UserError:
    """What to type instead of a flag that a command does not have.

    Args:
        args: all words behind the command.
        known: the flags that it has.
        arguments: names of its other words; those called ``overrides`` or ``problems`` are written key=value.
    """
    near = difflib.get_close_matches(flag, known, n=1, cutoff=0.8)
    cures = [f"Did you mean {near[0]}?"] if near else []

    value = _value_of(flag, args)
    if "overrides" in arguments:
        keys = [word.lstrip("-").replace("-", "_") for word in (*near, flag)]
        cures.append(_as_option(keys, value))
    elif "problems" in arguments:
        cures.append(f"Other test problems are written key=value: test_size={value} or seed={value}.")
    if not cures:
        cures = [f"The flags are {', '.join(known)}." if known else "It takes none."]
    return UserError("there is no such flag.", where=flag, cure=" ".join(cures))


def _value_of(flag: str, args: Sequence[str]) -> str:
    """What was typed behind a flag; ``VALUE`` if nothing was."""
    for number, word in enumerate(args):
        name, equals, value = word.partition("=")
        if name == flag and equals:
            return value
        if word == flag and number + 1 < len(args) and not args[number + 1].startswith("-"):
            return args[number + 1]
    return "VALUE"


def _as_option(keys: Sequence[str], value: str) -> str:
    """How the same is said as ``key=value``."""
    from reasoning_kit.config.options import paths_that_end_with

    paths: list[str] = []
    for key in keys:
        paths += paths_that_end_with(key)
    if not paths:
        return "Options are written key=value: `reasoning-kit options` lists them."
    shown = " or ".join(f"{path}={value}" for path in paths[:3])
    return f"Options are written key=value: {shown}."


def new_console() -> Any:
    """Where a command prints."""
    from rich.console import Console

    return Console()
