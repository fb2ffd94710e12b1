"""Reads published problems that are JSON objects: JSON Lines, one JSON list, or a data set on the hub.

JSON Lines (``.jsonl``, ``.jsonl.gz``) hold one object per line; a list (``.json``, ``.json.gz``) holds them all. What
a family does not name as a column is kept and not looked at. Every way in which a source can be wrong becomes one
:class:`UserError` that names it, the line or row, and the cure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.errors import UserError, did_you_mean
from benchmarks.files.hub import chosen_hub_rows, is_hub
from benchmarks.files.text import sample, text_lines

T = TypeVar("T")

CORRECT = "Correct or remove the row."


@dataclass(frozen=True, slots=True)
class Record:
    """One problem as it was published.

    Attributes:
        where: names it for messages.
        line: of the file, from 1; in a list or a data set the number of the row.
        values: its columns.
    """

    where: str
    line: int
    values: dict[str, Any]

    def text(self, column: str) -> str:
        """The text in a column, without the spaces around it.

        Raises:
            UserError: if it is missing, no text, or empty.
        """
        value = self.value(column)
        if not isinstance(value, str):
            raise UserError(f"the {column} is no text but {value!r:.40}.", where=self.where, cure=CORRECT)
        if not value.strip():
            raise UserError(f"the {column} is empty.", where=self.where, cure=CORRECT)
        return value.strip()

    def value(self, column: str) -> Any:
        """What a column holds.

        Raises:
            UserError: if there is no such column.
        """
        if column not in self.values:
            raise UserError(
                f"there is no column '{column}', only {', '.join(self.values) or 'none at all'}.",
                where=self.where,
                cure=did_you_mean(column, self.values) if self.values else CORRECT,
            )
        return self.values[column]


def read_records(
    path: str | Path,
    limit: int | None,
    seed: int,
    check: Callable[[Record], T],
) -> list[T]:
    """What ``check`` makes of every record, or of a random choice of ``limit``.

    Every row of a file is checked, also those that are not chosen, because files are often somebody's own. Of a
    published data set only the chosen rows are read.

    Raises:
        UserError: for a missing, unreadable, empty, truncated or wrongly encoded file, a line that is no JSON object;
            for a data set as :func:`benchmarks.files.hub.hub_rows`; or as ``check`` and
            :func:`benchmarks.files.text.sample`.
    """
    name = str(path)
    if is_hub(name):
        rows = chosen_hub_rows(name, lambda numbers: sample(numbers, limit, seed, path))
        return [check(Record(f"{name}, row {number + 1}", number + 1, values)) for number, values in rows]
    records = _of_list(Path(path)) if name.endswith((".json", ".json.gz")) else _of_lines(Path(path))
    return sample(map(check, records), limit, seed, path)


def _of_lines(path: Path) -> Iterator[Record]:
    empty = True
    for number, line in enumerate(text_lines(path, ".jsonl"), start=1):
        if line.strip():
            empty = False
            where = f"{path}, line {number}"
            yield Record(where, number, _object(_parsed(line, where, "line"), where))
    if empty:
        raise UserError("the file holds no problem.", where=str(path), cure="Save or download it again.")


def _of_list(path: Path) -> Iterator[Record]:
    content = _parsed("".join(text_lines(path, ".json")), str(path), "file")
    if not isinstance(content, list):
        raise UserError(
            f"the file holds no list of problems but {_kind(content)}.",
            where=str(path),
            cure="Write [{...}, {...}], or one object per line in a file that ends with .jsonl.",
        )
    if not content:
        raise UserError("the file holds no problem.", where=str(path), cure="Save or download it again.")
    for number, values in enumerate(content, start=1):
        where = f"{path}, row {number}"
        yield Record(where, number, _object(values, where))


def _parsed(text: str, where: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if what == "file" else f"column {error.colno}"
        raise UserError(
            f"the {what} is no JSON ({error.msg}, {place}).", where=where, cure="Correct it, or download it again."
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or thousands of brackets
        raise UserError(
            f"the {what} is JSON that cannot be read.", where=where, cure="Correct it, or download it again."
        ) from None


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(
            f"this is no JSON object but {_kind(value)}.", where=where, cure='Write it as {"column": value, ...}.'
        )
    return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
