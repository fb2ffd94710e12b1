"""From words on the command line to plain values: Hydra composes the YAML files in ``configs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from reasoning_kit.config.checking import mapping
from reasoning_kit.config.methods import NAME, defined_here, needs_base

DATA_VARIABLE = "REASONING_KIT_DATA"  # the folder of the published files, where no data=FOLDER is given
GROUPS = ("task", "method", "model", "budget", "experiment")


def config_folder() -> Path:
    """Where the YAML files lie: inside the installed package, or at the root of a checkout."""
    packaged = Path(__file__).parents[1] / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "configs"


def choices(group: str) -> list[str]:
    """The files of a configuration group, without their ending."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def published_options(method: str) -> Mapping[str, Any]:
    """The options that the file of a method itself, no variant, sets."""
    from omegaconf import OmegaConf

    options = OmegaConf.to_container(OmegaConf.load(config_folder() / "method" / f"{method}.yaml"))
    assert isinstance(options, dict)
    entry = mapping(options[method], f"method.{method}")
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

    overrides = [_model(override) for override in overrides]
    made = defined_here(overrides, choices("method"))
    prepared = [_prepare(override, made) for override in overrides]
    groups = [override for override in prepared if override.partition("=")[0] in GROUPS]
    try:
        with initialize_config_dir(str(config_folder().absolute()), version_base="1.3"):
            chosen = compose_files("compare", groups)
            methods = [*chosen.get("method", ()), *sorted(made)]  # no such key where all are made here
            for override in overrides:
                _check_chosen(override, {"task": list(chosen["task"]), "method": methods})
            final = chosen if groups == prepared else compose_files("compare", prepared)
            composed = OmegaConf.to_container(final, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = str(error.full_key)
        raise UserError("a value is missing.", where=key, cure=f"Give it: {key}=VALUE.") from None
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot be read ({reason}).", where=" ".join(overrides), cure="Write key=value.") from None
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def model_path(path: str) -> str:
    """The override that names a pretrained model."""
    return quoted("model.path", path)


def quoted(key: str, value: str) -> str:
    """The override of a text that may hold signs which Hydra would read as its own, such as a path."""
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


def _prepare(override: str, made: set[str]) -> str:
    """Check a choice of a group; let every other key through, because the types below know what exists.

    Args:
        made: methods that the command line defines; Hydra knows no file for them.
    """
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError("an option is written key=value.", where=override, cure="For example budget.limit=1e12.")
    if key not in GROUPS:
        return override if key.startswith(("+", "~")) else f"++{override}"
    names = [choice.strip().removesuffix(".yaml") for choice in value.strip("[]").split(",")]
    files = [name for name in names if key != "method" or name not in made]
    for name in files:
        if name not in choices(key):
            raise _unknown(key, name, override)
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
