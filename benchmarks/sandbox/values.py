"""Plain data as one line of text, between a sandbox and the outside. Runs on both sides; standard library only.

Only Python's own types cross: what is read has no methods but theirs, so no answer can bring its own ``==`` along.
Everything else stays where it is, and a number that stands for it crosses (:class:`Handle`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

PLAIN = (type(None), bool, float, str)
TYPES: dict[str, Any] = {
    kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
}
SMALL = 2**53  # integers above it are written in hexadecimal: their decimal form takes quadratic time


class Handle:
    """Stands for an object that is no plain data and lives in the other process."""

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        self.key = key


def write(value: Any, keep: Callable[[Any], int] | None = None) -> str:
    """One line of JSON.

    Args:
        keep: called with an object that is no plain data; gives its number. ``None``: such objects are refused.

    Raises:
        TypeError: if the value holds something that cannot cross.
        RecursionError, ValueError: if it is nested too deeply, or within itself.
    """
    return json.dumps(_packed(value, keep), separators=(",", ":"), check_circular=False)


def read(line: str | bytes) -> Any:
    """The value that :func:`write` wrote.

    Raises:
        ValueError: if it is not such a line.
        RecursionError: if it is nested too deeply.
    """
    return _unpacked(json.loads(line))


def _packed(value: Any, keep: Callable[[Any], int] | None) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is int:
        return value if -SMALL < value < SMALL else {"n": hex(value)}
    if kind is list:
        return [_packed(item, keep) for item in value]
    if kind is Handle:
        return {"h": value.key}
    if kind is type and value in TYPES.values():
        return {"k": value.__name__}
    # Subclasses (named tuples, counters, enumerations of integers) cross as what they are made of.
    if isinstance(value, int):
        return _packed(int.__int__(value), keep)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, (bytes, bytearray)):
        return {"b": bytes(value).hex()}
    if isinstance(value, dict):
        return {"d": [[_packed(key, keep), _packed(item, keep)] for key, item in dict.items(value)]}
    bases: tuple[tuple[Any, str], ...] = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f"))
    for base, name in bases:
        if isinstance(value, base):
            return {name: [_packed(item, keep) for item in base.__iter__(value)]}
    if keep is not None:
        return {"h": keep(value)}
    raise TypeError(f"a value must be plain data, not a {kind.__name__}")


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError("not one tag")
    ((name, content),) = value.items()
    if name == "h" and type(content) is int:
        return Handle(content)
    if name == "n":
        return int(content, 16)
    if name == "b":
        return bytes.fromhex(content)
    if name == "k" and type(content) is str and content in TYPES:
        return TYPES[content]
    if not isinstance(content, list):
        raise ValueError("no list behind its tag")
    try:
        if name == "c":
            return complex(*content)
        if name == "d":
            return {_unpacked(key): _unpacked(item) for key, item in content}
        return {"l": list, "t": tuple, "s": set, "f": frozenset}[name](_unpacked(item) for item in content)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{name}: {error}") from None
