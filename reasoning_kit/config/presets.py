"""The YAML files of ``configs`` read one by one: what a listing shows of a task or a method, without composing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.task import FAMILIES
from reasoning_kit.config.composition import choices, files_of, without_file
from reasoning_kit.registry import METHODS


@dataclass(frozen=True)
class Preset:
    """What can be named with ``task=`` or ``method=``: mostly a file of ``configs``.

    Attributes:
        values: what it sets, by option.
        comments: its comments without directives and command lines, one string a line; none where there is no file.
        source: the file, or the plug-in without one.
    """

    name: str
    values: Mapping[str, Any]
    comments: tuple[str, ...]
    source: str


def preset(group: str, name: str) -> Preset:
    """The file ``GROUP/NAME.yaml``, or the plug-in of that name.

    Raises:
        UserError: if there is none.
    """
    import yaml

    if name in (plain := without_file(group)):
        return Preset(name, plain[name], (), "plug-in")
    file = files_of(group).get(name)
    if file is None:
        raise UserError(f"unknown {group} '{name}'.", where=f"{group}.{name}", cure=did_you_mean(name, choices(group)))

    text = file.read_text(encoding="utf-8")
    comments = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    said = tuple(line for line in comments if not line.startswith(("@package", "reasoning-kit")))
    values = (yaml.safe_load(text) or {}).get(name) or {}
    return Preset(name, values, said, f"{file.parent.parent.name}/{group}/{file.name}")


def base_of(method: str) -> str:
    """The method that one with a file is, or is a variant of.

    Raises:
        UserError: if it is neither.
    """
    return method if method in METHODS else str(preset("method", method).values["base"])


def family_of(task: str) -> str:
    """The family of a task with a file; a family's own name is itself.

    Raises:
        UserError: if it is neither.
    """
    if task in FAMILIES and task not in choices("task"):
        return task
    return str(preset("task", task).values["family"])
