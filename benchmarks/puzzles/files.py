"""Reads the published form of grid puzzles: CSV ``source,question,answer,rating``, plain or gzip-compressed.

It is the form of the data sets sapientinc/sudoku-extreme and sapientinc/maze-30x30-hard-1k. Every way in which a
file can be wrong becomes one :class:`UserError` that names the file, the line and the cure.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError

HEADER = ["source", "question", "answer", "rating"]


@dataclass(frozen=True)
class Row:
    """One row of a file: ``where`` names file and line for messages, ``line`` counts from 1, the header included."""

    where: str
    line: int
    source: str
    question: str
    answer: str
    rating: int


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a published file, in order and with their spaces; blank lines are skipped.

    Raises:
        UserError: for a missing, unreadable, empty, truncated or wrongly encoded file, a missing or wrong header,
            a row with a wrong number of columns, or a rating that is no whole number.
    """
    rows = _cells(path)
    line, header = next(rows, (0, []))
    where = f"{path}, line {line}" if line else str(path)
    if not line:
        raise UserError("the file is empty.", where=where, cure="Save or download it again.")
    if header != HEADER:
        raise UserError(
            f"the header is '{','.join(header)[:60]}'.", where=where, cure=f"Make the first line '{','.join(HEADER)}'."
        )
    empty = True
    for line, cells in rows:
        where = f"{path}, line {line}"
        if len(cells) != len(HEADER):
            raise UserError(
                f"the row has {len(cells)} columns instead of {len(HEADER)}.",
                where=where,
                cure=f"Write it as {','.join(HEADER)}.",
            )
        source, question, answer, rating = cells
        try:
            value = int(rating)
        except ValueError:
            raise UserError(
                f"the rating '{rating[:20]}' is no whole number.", where=where, cure="Write one, 0 if it is unknown."
            ) from None
        empty = False
        yield Row(where, line, source, question, answer, value)
    if empty:
        raise UserError(
            "the file holds a header and no puzzle.", where=str(path), cure="Add rows, or name another file."
        )


def sample(rows: Iterable[Row], limit: int | None, seed: int, path: Path) -> list[Row]:
    """All rows, or a random choice of ``limit``; a smaller limit with the same seed chooses a subset of a larger.

    Raises:
        UserError: if there are fewer than ``limit`` rows, or ``limit`` is below 1.
    """
    if limit is None:
        return list(rows)
    if limit < 1:
        raise UserError(f"{limit} puzzles are asked for.", where=str(path), cure="Ask for at least 1.")
    draw = random.Random(seed)
    chosen = heapq.nsmallest(limit, rows, key=lambda _: draw.random())
    if len(chosen) < limit:
        raise UserError(
            f"{limit} puzzles are asked for, but the file holds {len(chosen)}.",
            where=str(path),
            cure=f"Ask for at most {len(chosen)}, or name a larger file.",
        )
    return chosen


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its line."""
    reader = csv.reader(_lines(path), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise UserError(f"the row is no CSV ({error}).", where=where, cure="Correct its quotes.") from None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file as text; what the operating system, gzip and UTF-8 can object to becomes a UserError."""
    if not str(path).endswith((".csv", ".csv.gz")):
        raise UserError("the file is neither .csv nor .csv.gz.", where=str(path), cure="Name a published CSV file.")
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except FileNotFoundError:
        raise UserError("there is no such file.", where=str(path), cure="Correct the path.") from None
    except UnicodeDecodeError:
        raise UserError(
            "the line is not UTF-8 text.", where=f"{path}, line {number}", cure="Save the file as UTF-8."
        ) from None
    except EOFError:
        raise UserError(
            "the compressed file ends early.", where=f"{path}, after line {number}", cure="Download it again."
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise UserError(
            "the file is no gzip file, or is damaged.",
            where=f"{path}, after line {number}",
            cure="Download it again; name it .csv if it is not compressed.",
        ) from None
    except OSError as error:
        raise UserError(
            f"the file cannot be read ({error.strerror}).", where=str(path), cure="Name a file that you may read."
        ) from None
