"""Plain values, from YAML, JSON or the command line, become checked dataclasses; a mistake names its key and place."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from benchmarks.errors import UserError, did_you_mean


def at_least(least: int, value: int, where: str) -> None:
    """
    Raises:
        UserError: if the value is smaller.
    """
    if value < least:
        raise UserError(f"the value must be at least {least}, not {value}.", where=where, cure=f"Give {least} or more.")


def mapping(raw: Any, where: str) -> Mapping[str, Any]:
    """The value itself.

    Raises:
        UserError: if it is not a mapping.
    """
    if not isinstance(raw, Mapping):
        raise UserError(
            f"'{where}' must be a group of options, not {raw!r}.",
            where=where,
            cure=f"Give single ones: {where}.KEY=VALUE.",
        )
    return raw


def field_types(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields, its parents' included. Other annotations are left alone: their names need not
    be there at run time."""
    wanted = {f.name for f in fields(cls)}
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        names = vars(sys.modules[base.__module__])
        for name, annotation in vars(base).get("__annotations__", {}).items():
            if name in wanted:
                found[name] = eval(annotation, names) if isinstance(annotation, str) else annotation
    return found


WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def in_words(hint: Any) -> str:
    """What a value of a type looks like on the command line, to be read after "must be"."""
    if hint in WORDS:
        return WORDS[hint]
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        words = [f"'{part}'" if isinstance(part, str) else str(part) for part in parts]
    elif get_origin(hint) in (list, tuple):
        return f"a list, each of it {in_words(parts[0])}"
    elif get_origin(hint) in (Union, UnionType):
        words = [in_words(part) for part in parts]
    else:
        return "a group of options" if get_origin(hint) is dict else str(getattr(hint, "__name__", hint))
    return " or ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} or {words[-1]}"


def checked(cls: type, raw: Any, where: str, **ready: Any) -> Any:
    """An instance of a dataclass from plain values, nested dataclasses included.

    Args:
        where: the path of the mapping, for messages.
        ready: fields that are objects already.

    Raises:
        UserError: naming the first unknown, missing or ill-typed key.
    """
    from pydantic import TypeAdapter, ValidationError

    hints = field_types(cls)
    known = {f.name: f for f in fields(cls) if f.name not in ready}
    values = dict(ready)
    for key, value in mapping(raw, where).items():
        path = f"{where}.{key}" if where else key
        if key not in known:
            raise UserError(f"unknown key '{key}'.", where=where or "configuration", cure=did_you_mean(key, known))
        if is_dataclass(hints[key]):
            factory = known[key].default_factory
            usual = asdict(factory()) if factory is not MISSING else {}
            values[key] = checked(hints[key], {**usual, **mapping(value, path)}, path)
            continue
        types = (hints[key], *get_args(hints[key]))
        if isinstance(value, bool) and bool not in types and Any not in types:  # which Python takes for 1 or 0
            raise UserError(f"the value must be {in_words(hints[key])}, not {value!r}.", where=path)
        try:
            values[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError:
            raise UserError(f"the value must be {in_words(hints[key])}, not {value!r}.", where=path) from None
    for key, spec in known.items():
        if key not in values and spec.default is MISSING and spec.default_factory is MISSING:
            raise UserError(f"'{key}' is missing.", where=where or "configuration", cure="Give it a value.")
    try:
        return cls(**values)
    except UserError as error:  # raised by the class, which does not know where it stands
        inside = error.where is not None and error.where.split(".")[0] != where.split(".")[0]
        path = f"{where}.{error.where}" if where and inside else error.where or where
        raise UserError(error.what, where=path, cure=error.cure) from None
