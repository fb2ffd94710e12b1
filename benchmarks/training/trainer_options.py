"""Options that are handed through to a trainer's argument class, with a hint where a name is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from benchmarks.errors import UserError, did_you_mean


def checked_options(options: Mapping[str, Any], arguments_class: type, where: str) -> dict[str, Any]:
    """The options as keyword arguments of ``arguments_class`` (TrainingArguments, SFTConfig, GRPOConfig).

    Raises:
        UserError: naming an unknown option, where it stands and the nearest right one.
    """
    known = set(inspect.signature(arguments_class).parameters)
    for key in options:
        if key not in known:
            raise UserError(
                f"{arguments_class.__name__} has no option '{key}'.", where=where, cure=did_you_mean(key, known)
            )
    return dict(options)
