"""From words on the command line to plain values: Hydra composes the YAML files in ``configs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.task import FAMILIES
from reasoning_kit.config.checking import mapping
from reasoning_kit.config.methods import NAME, defined_here, needs_base
from reasoning_kit.config.plugins import config_folders, load_plugins
from reasoning_kit.registry import METHODS

DATA_VARIABLE = "REASONING_KIT_DATA"  # the folder of the published files, where no data=FOLDER is given
GROUPS = ("task", "method", "model", "budget", "experiment")
SEARCH_PATH = "hydra.searchpath"


def config_folder() -> Path:
    """Where the YAML files lie: inside the installed package, or at the root of a checkout."""
    packaged = Path(__file__).parents[1] / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs"


def choices(group: str) -> list[str]:
    """What can be named: the files of a configuration group, and plug-ins that have none."""
    return sorted({*files_of(group), *without_file(group)})


def files_of(group: str) -> dict[str, Path]:
    """The files of a configuration group by name; those of plug-ins do not replace the kit's own."""
    found: dict[str, Path] = {}
    for folder in [config_folder(), *config_folders()]:
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def without_file(group: str) -> dict[str, dict[str, Any]]:
    """Families and methods of plug-ins that can be named as they are, with what a file of theirs would say."""
    if group == "task":
        entries: dict[str, dict[str, Any]] = {name: {"family": name} for name in FAMILIES if not FAMILIES.is_own(name)}
    elif group == "method":
        entries = {name: {} for name in METHODS if not METHODS.is_own(name)}
    else:
        return {}
    return {name: entry for name, entry in entries.items() if name not in files_of(group)}


def published_entry(group: str, name: str) -> dict[str, Any]:
    """What the file of a task or method says of it."""
    from omegaconf import OmegaConf

    if name in without_file(group):
        return without_file(group)[name]
    entries = OmegaConf.to_container(OmegaConf.load(files_of(group)[name]))
    assert isinstance(entries, dict)
    return {str(key): value for key, value in mapping(entries[name], f"{group}.{name}").items()}


def published_options(method: str) -> Mapping[str, Any]:
    """The options that the file of a method itself, no variant, sets."""
    entry = published_entry("method", method)
    return {key: value for key, value in entry.items() if key not in ("base", "label")}


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values of a comparison, nothing about their types checked yet.

    Raises:
        UserError: for an unknown group or choice, a missing value, or words that Hydra cannot read.
    """
    from hydra import compose as compose_files
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    _load_plugins_of_experiment(overrides)
    overrides = [_model(override) for override in overrides]
    made = {group: defined_here(group, overrides, choices(group)) for group in ("task", "method")}
    prepared = _search_path() + [_prepare(override, made) for override in overrides]
    prepared += _plugged_in(overrides)
    groups = [override for override in prepared if override.partition("=")[0] in (*GROUPS, SEARCH_PATH)]
    try:
        with initialize_config_dir(str(config_folder().absolute()), version_base="1.3"):
            chosen = compose_files("compare", groups)
            # No such key in `chosen` where all are made here.
            named = {
                group: [*chosen.get(group, ()), *sorted(made[group]), *_named_without_file(group, overrides)]
                for group in ("task", "method")
            }
            for override in overrides:
                _check_chosen(override, named)
            final = chosen if groups == prepared else compose_files("compare", prepared)
            composed = OmegaConf.to_container(final, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise UserError("a value is missing.", where=key, cure=f"Give it: {key}=VALUE.") from None
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot be read ({reason}).", where=" ".join(overrides), cure="Write key=value.") from None
    assert isinstance(composed, dict)
    composed.pop("plugins", None)  # loaded above
    return {str(key): value for key, value in composed.items()}


def _load_plugins_of_experiment(overrides: Sequence[str]) -> None:
    """The plug-ins that an experiment's file names (``plugins: [my_task.py]``, from its folder), before its tasks and
    methods are looked up.

    Raises:
        UserError: if one of them cannot be used.
    """
    import yaml

    for override in overrides:
        key, _, value = override.partition("=")
        file = files_of("experiment").get(value.removesuffix(".yaml")) if key == "experiment" else None
        if file is None or "plugins:" not in (text := file.read_text(encoding="utf-8")):
            continue
        named = yaml.safe_load(text).get("plugins") or []
        paths = [named] if isinstance(named, str) else named
        load_plugins([file.parent / str(path) for path in paths], where=str(file))


def model_path(path: str) -> str:
    """The override that names a pretrained model."""
    return quoted("model.path", path)


def quoted(key: str, value: str) -> str:
    """The override of a text that may hold characters which Hydra would read as its own, such as a path."""
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"


def _model(override: str) -> str:
    """``model=X`` chooses a file of ``configs/model``; where there is none, a folder or a hub name, which has a slash.
    A word that is neither stays as it is, and is refused as a choice."""
    key, _, value = override.partition("=")
    named = value.strip("'\"")
    if key != "model" or named.removesuffix(".yaml") in choices("model"):
        return override
    path = Path(named).expanduser()
    return model_path(str(path) if named.startswith("~") else named) if "/" in named or path.is_dir() else override


def _search_path() -> list[str]:
    """Where else Hydra looks for files: the folders of plug-ins."""
    folders = [f"file://{folder}" for folder in config_folders()]
    return [f"{SEARCH_PATH}=[{','.join(folders)}]"] if folders else []


def _named_without_file(group: str, overrides: Sequence[str]) -> list[str]:
    """Plug-ins without a file that a choice such as ``task=[mine,sudoku-4x4]`` names."""
    known = without_file(group)
    found: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key == group:
            found = [name for name in _names_in(value) if name in known]
    return found


def _plugged_in(overrides: Sequence[str]) -> list[str]:
    """What a file would say of the plug-ins that are named and have none; before their options, which come later."""
    added = []
    for name in _named_without_file("task", overrides):
        if not any(override.startswith(f"task.{name}.family=") for override in overrides):
            added.append(f"++task.{name}.family={name}")
    for name in _named_without_file("method", overrides):
        if not any(override.startswith(f"method.{name}.") for override in overrides):
            added.append(f"++method.{name}={{}}")
    return added


def _names_in(choice: str) -> list[str]:
    return [name.strip().removesuffix(".yaml") for name in choice.strip("[]").split(",")]


def _prepare(override: str, made: Mapping[str, set[str]]) -> str:
    """Check a choice of a group; let every other key through, because the types below know what exists.

    Args:
        made: tasks and methods that the command line defines; Hydra knows no file for them.
    """
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError("an option is written key=value.", where=override, cure="For example budget.limit=1e12.")
    if key not in GROUPS:
        return override if key.startswith(("+", "~")) else f"++{override}"
    names = _names_in(value)
    written = [name for name in names if name not in made.get(key, ())]
    for name in written:
        if name not in choices(key):
            raise _unknown(key, name, override)
    files = [name for name in written if name not in without_file(key)]
    return override if files == names else f"{key}=[{','.join(files)}]"


def _unknown(group: str, name: str, override: str) -> UserError:
    cure = did_you_mean(name, choices(group))
    if group == "model":
        cure += " A pretrained model: its folder, or its hub name, OWNER/NAME."
    if group == "method" and NAME.fullmatch(name):
        cure += f" {needs_base(name)}"
    return UserError(f"unknown {group} '{name}'.", where=override, cure=cure)


def _check_chosen(override: str, chosen: Mapping[str, list[str]]) -> None:
    """An option of a task or method that takes no part would silently do nothing, or bring it in."""
    group, _, rest = override.partition("=")[0].partition(".")
    name = rest.partition(".")[0]
    if not name or name in chosen.get(group, [name]):
        return
    if name not in choices(group):
        raise _unknown(group, name, override)
    raise UserError(
        f"the {group} '{name}' takes no part.",
        where=override,
        cure=f"Name it: {group}=[{','.join([*chosen[group], name])}].",
    )
