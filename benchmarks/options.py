"""Checks of a task's options: each says what the option must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.errors import UserError


def require(fits: bool, option: str, wanted: str, value: Any) -> None:
    """
    Args:
        wanted: what the option must be, to be read after "must be".

    Raises:
        UserError: unless the value fits.
    """
    if not fits:
        shown = f"'{value}'" if isinstance(value, str) else repr(value)
        raise UserError(f"{option} must be {wanted}, not {shown}.", where=option)


def require_choice(option: str, value: Any, choices: Sequence[Any]) -> None:
    """
    Raises:
        UserError: unless the value is one of the choices.
    """
    # As in YAML: null, true and false.
    words = [f"'{choice}'" if isinstance(choice, str) else json.dumps(choice) for choice in choices]
    wanted = " or ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} or {words[-1]}"
    require(any(type(value) is type(choice) and value == choice for choice in choices), option, wanted, value)


def require_whole(option: str, value: Any, least: int, most: int | None = None, or_null: bool = False) -> None:
    """
    Args:
        most: ``None``: no limit.
        or_null: ``None`` is allowed.

    Raises:
        UserError: unless the value is a whole number in the range.
    """
    if value is None and or_null:
        return
    ending = " or null" if or_null else ""
    wanted = f"a whole number of at least {least}{ending}" if most is None else f"{least} to {most}{ending}"
    require(is_whole(value, least, most), option, wanted, value)


def is_whole(value: Any, least: int, most: int | None = None) -> bool:
    """Whether a value is a whole number of the range; ``True`` is none."""
    number = isinstance(value, int) and not isinstance(value, bool)
    return number and value >= least and (most is None or value <= most)
