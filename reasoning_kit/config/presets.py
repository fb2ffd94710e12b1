"""The YAML files of ``configs``, read one by one: what a listing shows of a task or a method, without composing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from reasoning_kit.config.composition import choices, config_folder


@dataclass(frozen=True)
class Preset:
    """One file of ``configs/task`` or ``configs/method``.

    Attributes:
        values: what it sets, by option.
        comments: its comments without directives and command lines, one string a line.
    """

    name: str
    values: Mapping[str, Any]
    comments: tuple[str, ...]


@cache
def preset(group: str, name: str) -> Preset:
    """The file ``configs/GROUP/NAME.yaml``.

    Raises:
        UserError: if there is none.
    """
    import yaml

    if name not in choices(group):
        raise UserError(f"unknown {group} '{name}'.", where=f"{group}.{name}", cure=did_you_mean(name, choices(group)))
    text = (config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    said = tuple(line for line in comments if not line.startswith(("@package", "reasoning-kit")))
    return Preset(name, (yaml.safe_load(text) or {}).get(name) or {}, said)


def base_of(method: str) -> str:
    """The method that one with a file is, or is a variant of.

    Raises:
        UserError: if it is neither.
    """
    from reasoning_kit.config.methods import METHODS

    return method if method in METHODS else str(preset("method", method).values["base"])


def family_of(task: str) -> str:
    """The family of a task with a file; a family's own name is itself.

    Raises:
        UserError: if it is neither.
    """
    from benchmarks.task import FAMILIES

    if task in FAMILIES and task not in choices("task"):
        return task
    return str(preset("task", task).values["family"])
