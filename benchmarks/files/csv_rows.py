"""Reads the published form of grid puzzles: CSV ``source,question,answer,rating``, plain or gzip-compressed.

It is the form of the data sets sapientinc/sudoku-extreme and sapientinc/maze-30x30-hard-1k, which are also read from
the hub (:mod:`benchmarks.files.hub`). Every way in which a file or a data set can be wrong becomes one
:class:`UserError` that names it, the line or row, and the cure.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.hub import chosen_hub_rows, is_hub
from benchmarks.files.text import sample, text_lines

HEADER = ["source", "question", "answer", "rating"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``where`` names it for messages, ``line`` counts from 1 (in a file lines, so the header too)."""

    where: str
    line: int
    source: str
    question: str
    answer: str
    rating: int


def checked_rows(
    path: str | Path, limit: int | None, seed: int, check: Callable[[Row], Row], source: str | None = None
) -> list[Row]:
    """All rows of a file or data set, or a random choice of ``limit``, checked by their family.

    Args:
        source: only rows with this one; then all rows of a data set are read.

    Every row of a file is checked, also those that are not chosen, because files are often somebody's own. A data set
    is published and can have millions of rows, which would take minutes: of it, only the chosen rows are read.

    Raises:
        UserError: as :func:`read_rows`, ``sample`` and ``check``, or if no row has the source.
    """
    if source is not None:
        return _of_source(path, limit, seed, check, source)
    if is_hub(str(path)):
        return [check(row) for row in _of_hub(str(path), lambda numbers: sample(numbers, limit, seed, path))]
    return sample(map(check, read_rows(path)), limit, seed, path)


def _of_source(path: str | Path, limit: int | None, seed: int, check: Callable[[Row], Row], source: str) -> list[Row]:
    rows = [check(row) for row in read_rows(path)]
    chosen = [row for row in rows if row.source == source]
    if not chosen:
        raise UserError(
            f"no row has the source '{source}'.",
            where=str(path),
            cure=did_you_mean(source, {row.source for row in rows}),
        )
    return sample(chosen, limit, seed, path)


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a published file or data set, in order and with their spaces; blank lines are skipped.

    Raises:
        UserError: for a missing, unreadable, empty, truncated or wrongly encoded file, a missing or wrong header or
            column, a row with a wrong number of columns, or a rating that is no whole number; for a data set as
            :func:`benchmarks.files.hub.hub_rows`.
    """
    return _of_hub(str(path), lambda numbers: numbers) if is_hub(str(path)) else _of_file(Path(path))


def _of_file(path: Path) -> Iterator[Row]:
    rows = _cells(path)
    line, header = next(rows, (0, []))
    where = f"{path}, line {line}" if line else str(path)
    if not line:
        raise UserError("the file is empty.", where=where, cure="Save or download it again.")
    if header != HEADER:
        raise UserError(
            f"the header must be '{','.join(HEADER)}', not '{','.join(header)[:60]}'.",
            where=where,
            cure=f"Make the first line '{','.join(HEADER)}'.",
        )
    empty = True
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) != len(HEADER):
            raise UserError(
                f"the row must have {len(HEADER)} columns, not {len(cells)}.",
                where=where,
                cure=f"Write it as {','.join(HEADER)}.",
            )
        source, question, answer, rating = cells
        empty = False
        yield Row(where, line, source, question, answer, _whole(rating, where))
    if empty:
        raise UserError(
            "the file must hold a puzzle below its header.", where=str(path), cure="Add rows, or name another file."
        )


def _of_hub(name: str, choose: Callable[[range], Sequence[int]]) -> Iterator[Row]:
    for number, raw in chosen_hub_rows(name, choose):
        where = f"{name}, row {number + 1}"
        question, answer = (_text(raw, column, name, where) for column in ("question", "answer"))
        rating = 0 if raw.get("rating") is None else _whole(raw["rating"], where)
        yield Row(where, number + 1, str(raw.get("source") or ""), question, answer, rating)


def _text(raw: dict[str, Any], column: str, name: str, where: str) -> str:
    if column not in raw:
        raise UserError(
            f"there is no column '{column}', only {', '.join(raw)}.",
            where=name,
            cure="Name a data set with the columns question and answer.",
        )
    value = raw[column]
    if isinstance(value, int) and not isinstance(value, bool):  # digits alone, which lose nothing as a number
        return str(value)
    if not isinstance(value, str):
        raise UserError(
            f"the {column} must be text, not {value!r:.40}.", where=where, cure="Correct or remove the row."
        )
    return value


def _whole(rating: str | int | float, where: str) -> int:
    try:
        if not isinstance(rating, float) or rating.is_integer():
            return int(rating)
    except (TypeError, ValueError):
        pass
    raise UserError(
        f"the rating must be a whole number, not '{str(rating)[:20]}'.", where=where, cure="Write 0 if it is unknown."
    )


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its line."""
    reader = csv.reader(text_lines(path, ".csv"), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise UserError(f"the row is not valid CSV ({error}).", where=where, cure="Correct its quotes.") from None
