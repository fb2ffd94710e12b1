"""The methods of a comparison: those that packages implement, and any number of variants of them.

A variant is its base with some options changed, a row of its own in tables and a folder of its own for its runs. Where
the base takes part too, the variant follows the base's options as they are in that comparison, so that
``method.trm.width=128`` holds for every variant of ``trm`` and the two differ in the variant's own options only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.method import MethodOptions
from reasoning_kit.config.checking import checked, mapping
from reasoning_kit.registry import METHODS, method

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # a folder, and a key on the command line


@dataclass(frozen=True)
class Entry:
    """One method of a comparison, checked.

    Attributes:
        base: the method that it is, or is a variant of; decides which package trains it.
        label: its name in tables and figures.
    """

    base: str
    label: str
    options: MethodOptions


def label_of(name: str) -> str:
    """The label of a method that has none of its own."""
    return METHODS[name].label if name in METHODS else name


def thinking_of(base: str, model: Mapping[str, Any]) -> str:
    """How a run thinks: ``latent``, ``token`` or ``none``; ``none`` where the method is not installed here.

    Args:
        model: its :class:`benchmarks.language_models.ModelOptions` as a mapping; empty in records that have none.
    """
    return method(base).thinks(model) if base in METHODS else "none"


def defined_here(group: str, overrides: Iterable[str], known: Iterable[str]) -> set[str]:
    """Names of the variants that the command line makes: ``method.NAME.base=trm``, ``task.NAME.family=sudoku``, or
    all of it in one: ``method.NAME={base: trm}``.

    Args:
        group: ``task`` or ``method``.
        known: names that need not be made.
    """
    origin = {"task": "family", "method": "base"}[group]
    made = set()
    for override in overrides:
        key = override.partition("=")[0].lstrip("+").split(".")
        if key[0] == group and len(key) > 1 and key[2:] in ([], [origin]):
            made.add(key[1])
    return made - set(known)


def check_methods(raw: Mapping[str, Any], published: Callable[[str], Mapping[str, Any]]) -> dict[str, Entry]:
    """Entries ``NAME: {base: ..., label: ..., OPTION: ...}`` as typed options; methods come before their variants.

    Args:
        published: options of a method as its own file has them, for variants whose base takes no part.

    Raises:
        UserError: for an unknown base, name, key or value, or two methods with one label.
    """
    entries: dict[str, Entry] = {}
    for name in sorted(raw, key=lambda name: name not in METHODS):  # a variant follows its base
        where = f"method.{name}"
        own = dict(mapping(raw[name], where))
        base, label = _base(name, own.pop("base", None)), own.pop("label", None) or label_of(name)
        if base != name:
            inherited = asdict(entries[base].options) if base in entries else published(base)
            own = _merged(inherited, own)
        options = checked(METHODS[base].options, own, where)
        entries[name] = checked(Entry, {"label": label}, where, base=base, options=options)
    _check_labels(entries)
    return entries


def _base(name: str, base: Any) -> str:
    where = f"method.{name}"
    if not NAME.fullmatch(name):
        raise UserError(
            f"a method's name must be of letters, digits, _ and -, not '{name}'.", where=where, cure="Rename it."
        )
    if name in METHODS:
        if base not in (None, name):
            raise UserError(
                f"'{name}' is a method itself, so it cannot be a variant of '{base}'.",
                where=f"{where}.base",
                cure="Give the variant another name.",
            )
        return name
    if base is None:
        raise UserError(
            f"unknown method '{name}'.", where=where, cure=f"{did_you_mean(name, METHODS)} {needs_base(name)}"
        )
    if base not in METHODS:
        raise UserError(f"unknown base '{base}'.", where=f"{where}.base", cure=did_you_mean(str(base), METHODS))
    return str(base)


def needs_base(name: str) -> str:
    """The cure for a variant that nothing is known about."""
    return f"A variant of your own names its base: method.{name}.base=trm."


def _merged(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` laid over ``inherited``, nested mappings key by key."""
    result = dict(inherited)
    for key, value in own.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if nested else value
    return result


def _check_labels(entries: Mapping[str, Entry]) -> None:
    """A reader must be able to tell two rows apart."""
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        if entry.label in seen:
            raise UserError(
                f"'{entry.label}' is the label of '{seen[entry.label]}' already.",
                where=f"method.{name}.label",
                cure="Give it another one.",
            )
        seen[entry.label] = name
