"""Reads ARC tasks: one JSON object per file, plain or gzip-compressed, or the official folder of one file per task.

``{task_id: {"train": [{"input": grid, "output": grid}, ...], "test": [...]}}`` is the form of a file,
``{"train": [...], "test": [...]}`` of a file in a folder; a grid is a list of rows of whole numbers 0 to 9.
A row of a data set on the Hugging Face Hub has the second form and an ``id`` or ``task_id``.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.errors import UserError
from benchmarks.files.hub import PREFIX, hub_rows, is_hub
from benchmarks.puzzles.arc.grids import COLOURS, SIDE

FORM = 'Write {"train": [{"input": [[0, 1], [1, 0]], "output": [[1, 0], [0, 1]]}, ...], "test": [...]}.'


class Pair(NamedTuple):
    """Two grids as text (:mod:`benchmarks.puzzles.arc.grids`)."""

    input: str
    output: str


@dataclass(frozen=True)
class ArcTask:
    """One task of ARC.

    Attributes:
        id: for example ``007bbfb7``.
        puzzle: set and id, for example ``arc_agi_1/training/007bbfb7``; the set is the file's name and its folder's.
        train: the demonstrations.
        test: the pairs that ask.
    """

    id: str
    puzzle: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]


def read_tasks(source: str | Path) -> list[ArcTask]:
    """All tasks of a file, of a folder, or of a data set on the Hub (``hub:OWNER/NAME:SPLIT``).

    Raises:
        UserError: naming file, task and cure, for every way in which they can be wrong.
    """
    name = str(source)
    if is_hub(name):
        set_name, entries = name.removeprefix(PREFIX), _of_hub(name)
    else:
        path = Path(source)
        whole = path.absolute()
        set_name = f"{whole.parent.name}/{whole.name.removesuffix('.gz').removesuffix('.json')}"
        entries = _of_folder(path) if path.is_dir() else _of_file(path)
    tasks = [parse_task(raw, key, f"{set_name}/{key}", where) for key, raw, where in entries]
    if not tasks:
        raise UserError(
            "it must hold at least one task.", where=name, cure="Name a file of ARC tasks, or a folder of them."
        )
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UserError(f"the task {task.id} occurs twice.", where=name, cure="Keep one of the two.")
        seen.add(task.id)
    return tasks


def parse_task(raw: Any, key: str, puzzle: str, where: str) -> ArcTask:
    """One checked task.

    Raises:
        UserError: naming the pair that is wrong.
    """
    if not isinstance(raw, dict):
        raise UserError("the task must be an object with 'train' and 'test'.", where=where, cure=FORM)
    for part in ("train", "test"):
        if part not in raw:
            raise UserError(f"the task has no '{part}'.", where=where, cure=FORM)
        if not isinstance(raw[part], list) or not raw[part]:
            raise UserError(f"'{part}' must be a list of pairs that is not empty.", where=where, cure=FORM)
    train, test = (
        tuple(_pair(pair, f"{where}, {part} pair {number}") for number, pair in enumerate(raw[part], start=1))
        for part in ("train", "test")
    )
    return ArcTask(key, puzzle, train, test)


def _pair(raw: Any, where: str) -> Pair:
    if not isinstance(raw, dict):
        raise UserError("the pair must be an object with 'input' and 'output'.", where=where, cure=FORM)
    if "input" not in raw:
        raise UserError("the pair has no 'input'.", where=where, cure=FORM)
    if raw.get("output") is None:
        raise UserError("the pair has no 'output'.", where=where, cure="Add it: an answer is judged by it.")
    return Pair(_grid(raw["input"], f"{where}, input"), _grid(raw["output"], f"{where}, output"))


def _grid(raw: Any, where: str) -> str:
    if not isinstance(raw, list) or not raw or not all(isinstance(row, list) and row for row in raw):
        raise UserError(
            "the grid must be a list of rows that is not empty.", where=where, cure="Write it like [[0, 1], [1, 0]]."
        )
    columns = len(raw[0])
    for number, row in enumerate(raw, start=1):
        if len(row) != columns:
            raise UserError(
                f"row {number} has {len(row)} cells and row 1 has {columns}.",
                where=where,
                cure="Give all rows the same length.",
            )
        for cell in row:
            if type(cell) is not int or not 0 <= cell < COLOURS:  # True is no colour
                raise UserError(
                    f"{cell!r:.20} in row {number} must be a colour from 0 to 9.",
                    where=where,
                    cure="Use whole numbers 0 to 9.",
                )
    if max(len(raw), columns) > SIDE:
        raise UserError(
            f"the grid has {len(raw)} rows and {columns} columns.", where=where, cure=f"Use at most {SIDE} of each."
        )
    return "/".join("".join(map(str, row)) for row in raw)


# --- where tasks come from: (id, raw task, place for messages) ------------------------------------

Entries = Iterator[tuple[str, Any, str]]


def _of_file(path: Path) -> Entries:
    content = _json(path)
    if not isinstance(content, dict):
        raise UserError("the file holds no object of tasks.", where=str(path), cure='Write {"id of a task": {...}}.')
    if content.keys() == {"train", "test"}:
        raise UserError(
            "the file holds a single task.",
            where=str(path),
            cure='Write {"id of the task": {...}}, or name its folder.',
        )
    for key, raw in content.items():
        yield key, raw, f"{path}, task {key}"


def _of_folder(folder: Path) -> Entries:
    for path in sorted(folder.glob("*.json")):
        yield path.stem, _json(path), str(path)


def _of_hub(name: str) -> Entries:
    for number, row in enumerate(hub_rows(name), start=1):
        key = row.get("id", row.get("task_id"))
        if key is None:
            raise UserError(
                f"row {number} has neither 'id' nor 'task_id'.", where=name, cure="Name a set of ARC tasks."
            )
        yield str(key), row, f"{name}, task {key}"


def _json(path: Path) -> Any:
    where = str(path)
    if not where.endswith((".json", ".json.gz")):
        raise UserError("the file is neither .json nor .json.gz.", where=where, cure="Name a file of ARC tasks.")
    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except FileNotFoundError:
        raise UserError("there is no such file.", where=where, cure="Correct the path.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"the file is not valid gzip ({error}).", where=where, cure="Download it again.") from None
    except OSError as error:
        raise UserError(
            f"the file cannot be read ({error.strerror}).", where=where, cure="Name a file that you may read."
        ) from None
    except (ValueError, RecursionError) as error:  # also: no UTF-8
        raise UserError(
            f"the file is not valid JSON ({error}).", where=where, cure="Correct or download it again."
        ) from None
