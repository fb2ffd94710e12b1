"""What checks shapes and types in tests, and in which modules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beartype import BeartypeConf, beartype

# A whole number is a float as well, as PEP 484 says.
_strict = beartype(conf=BeartypeConf(is_pep484_tower=True))

# Settings check themselves and answer a mistake with a sentence, to which a type checker must not get before.
# Configurations of transformers take more than their signature says.
SELF_CHECKED = (
    "trm.autoregressive.configuration",
    "trm.autoregressive.options",
    "trm.configuration",
    "trm.options",
)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which now refuses arguments that its annotations do not allow."""
    strict = _strict(function)
    if not getattr(function, "__qualname__", "").endswith("Output.__init__"):
        return strict

    @functools.wraps(strict)
    def output(*args: Any, **kwargs: Any) -> Any:
        # accelerate copies an output of transformers from one mapping of all its fields.
        given = [value for value in (*args[1:], *kwargs.values()) if value is not None]
        copied = len(given) == 1 and isinstance(given[0], dict)
        return (function if copied else strict)(*args, **kwargs)

    return output


def modules(*packages: str) -> list[str]:
    """The names of all modules of these packages, but for those that check themselves."""
    root = Path(__file__).parents[1]
    found = []
    for package in packages:
        for path in sorted(root.glob(f"{package}/**/*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            if not name.endswith("__init__") and name not in SELF_CHECKED:
                found.append(name)
    return found
