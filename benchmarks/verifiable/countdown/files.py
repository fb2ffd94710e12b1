"""Published Countdown problems, in the forms of :mod:`benchmarks.files.jsonl`.

A row is ``{"nums": [31, 13, 92], "target": 74}``, as in Jiayi-Pan/Countdown-Tasks-3to4, perhaps with a ``solution``, or
``{"input": "31,13,92", "output": "74"}``, as in the test set of d1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.files.jsonl import Record, read_records

FORM = 'Write it as {"nums": [31, 13, 92], "target": 74}, or as {"input": "31,13,92", "output": "74"}.'


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``where`` names it for messages, ``line`` counts from 1; an empty ``solution``: the row has none."""

    where: str
    line: int
    numbers: tuple[int, ...]
    target: int
    solution: str


def checked_rows(path: str | Path, limit: int | None, seed: int, check: Callable[[Row], Row]) -> list[Row]:
    """All rows, or a random choice of ``limit``: of a file all are checked, of a data set only the chosen ones.

    Raises:
        UserError: as :func:`benchmarks.files.jsonl.read_records`, or as ``check``.
    """
    return read_records(path, limit, seed, lambda record: check(_row(record)))


def _row(record: Record) -> Row:
    raw = record.values
    try:
        if "nums" in raw:
            numbers, target = [_whole(number) for number in raw["nums"]], _whole(raw["target"])
        else:
            numbers, target = [_whole(number) for number in raw["input"].split(",")], _whole(raw["output"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"the row is not a problem: {raw!r:.60}.", where=record.where, cure=FORM) from None
    solution = record.text("solution") if raw.get("solution") is not None else ""
    return Row(record.where, record.line, tuple(numbers), target, solution)


def _whole(number: Any) -> int:
    if isinstance(number, str) and re.fullmatch(" ?[0-9]{1,9}", number):
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise ValueError(number)
