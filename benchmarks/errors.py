"""The one exception that is shown to a user without a traceback: what is wrong, where, and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave us (a file, an option, a puzzle). The command line exits with 2.

    Args:
        what: one sentence: what is wrong.
        where: the file and line, or the configuration key.
        cure: what to type or change instead.
    """

    def __init__(self, what: str, *, where: str | None = None, cure: str | None = None) -> None:
        self.what, self.where, self.cure = what, where, cure
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.cure}" if self.cure else ""
        return f"{place}{self.what}{remedy}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A cure for a misspelt name: the nearest right one, or the whole list where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.4)
    return f"Did you mean '{near[0]}'?" if near else f"Choose one of: {', '.join(names)}."
