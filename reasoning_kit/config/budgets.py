"""A budget in words: ``2e12 flops``, ``5 minutes``, ``100 steps``."""

from __future__ import annotations

import re

from benchmarks.errors import UserError

# The unit of a budget, and how many of it one of these words is.
WORDS = {
    "flop": ("flops", 1.0), "gflop": ("flops", 1e9), "tflop": ("flops", 1e12), "pflop": ("flops", 1e15),
    "s": ("seconds", 1.0), "sec": ("seconds", 1.0), "second": ("seconds", 1.0),
    "min": ("seconds", 60.0), "minute": ("seconds", 60.0), "h": ("seconds", 3600.0), "hour": ("seconds", 3600.0),
    "example": ("examples", 1.0), "token": ("tokens", 1.0), "step": ("steps", 1.0),
}  # fmt: skip
AMOUNT = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_budget(text: str) -> tuple[str, float]:
    """The unit and the limit.

    Raises:
        UserError: if the text is no positive number with a unit.
    """
    found = AMOUNT.fullmatch(text)
    word = found[2].lower() if found else ""
    unit, factor = WORDS.get(word) or WORDS.get(word.removesuffix("s")) or ("", 0.0)
    try:
        limit = float(found[1]) * factor if found else 0.0
    except ValueError:  # such as 1.2.3
        limit = 0.0
    if not unit or limit <= 0:
        raise UserError(
            f"a budget must be a number above 0 and a unit, not '{text}'.",
            where="budget",
            cure='For example "2e12 flops", "5 minutes", "100 steps" (also seconds, hours, examples, tokens).',
        )
    return unit, limit
