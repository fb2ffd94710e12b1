"""A file of what a model wrote, one JSON line per sample, each on disk before the next is asked for.

Whatever stops the program (Ctrl-C, a dead server, power), a sample that is in the file is never asked for again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.errors import UserError

Row = dict[str, Any]


class SampleLog:
    """The rows of one file, those of earlier commands included. A context manager, which frees the file.

    Args:
        path: made where it is missing. Its first line holds ``configuration``.
        configuration: plain values that decide what is written.
        fresh: move a file of another configuration aside instead of refusing it.
        tell: hears what happened to lines or files.

    Raises:
        UserError: if another command writes it, it is of another configuration, or a line is broken.
    """

    def __init__(
        self,
        path: Path,
        configuration: Mapping[str, Any],
        fresh: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.configuration: Mapping[str, Any] | None
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(dict(configuration)))  # as it comes back from the file
        self._open(tell)
        if not self.rows:  # nothing was ever written under it
            self.file.truncate(0)
            self.configuration = None
        found = self.configuration
        if found is not None and found != wanted:
            if not fresh:
                self.close()
                raise UserError(
                    f"samples of another configuration ({_difference(found, wanted)}).",
                    where=str(path),
                    cure="Give another folder, or --fresh to move these aside.",
                )
            tell(f"samples of another configuration are now in {set_aside(path)}.")
            self.close()
            self._open(tell)
        if self.configuration is None:
            self.configuration = wanted
            self._write({"configuration": wanted})

    def _open(self, tell: Callable[[str], None]) -> None:
        self.file = self.path.open("a+b")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.close()
            raise UserError(
                "another command writes it.", where=str(self.path), cure="Wait for it, or stop it."
            ) from None
        except OSError:
            pass  # a file system without locks
        self.file.seek(0)
        content = self.file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            tell(f"{self.path}: the last line was written by half; it is dropped, and its sample is asked for again.")
            self.file.truncate(whole)
        self.rows: dict[tuple[str, int], Row] = {}
        self.configuration = None
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            row = _row(line, self.path, number)
            if number == 1:
                self.configuration = row.get("configuration")
                if self.configuration is None:
                    raise _broken(self.path, 1, "no configuration")
                continue
            try:
                self.rows[str(row["id"]), int(row["sample"])] = row
            except (KeyError, TypeError, ValueError):
                raise _broken(self.path, number, "no id and sample") from None

    def append(self, rows: Sequence[Row]) -> None:
        """Add samples (``id``, ``sample`` and whatever else); they are on disk when it returns."""
        self._write(*rows)
        for row in rows:
            self.rows[str(row["id"]), int(row["sample"])] = row

    def _write(self, *rows: Row) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self.file.write(text.encode("utf-8", "replace"))
        self.file.flush()
        os.fsync(self.file.fileno())

    def missing(self, ids: Sequence[str], samples: int) -> list[tuple[int, int]]:
        """Position in ``ids`` and number of every sample that is not there."""
        missing = []
        for position, name in enumerate(ids):
            missing += [(position, sample) for sample in range(samples) if (name, sample) not in self.rows]
        return missing

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> SampleLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def set_aside(path: Path) -> Path:
    """Rename a file, to a hidden name beside its place."""
    aside = path.with_name(f".{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    return path.rename(aside)


def read_rows(path: Path) -> tuple[Mapping[str, Any], list[Row]]:
    """The configuration and the rows of a file, which is left as it is; a half-written last line is no row.

    Raises:
        UserError: if it is missing or broken.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror}).",
            where=str(path),
            cure="Give a folder that `reasoning-kit teach` wrote.",
        ) from None
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    rows = [_row(line, path, number) for number, line in enumerate(lines, start=1)]
    if not rows or "configuration" not in rows[0]:
        raise _broken(path, 1, "no configuration")
    return rows[0]["configuration"], rows[1:]


def _row(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _broken(path, number, str(error)) from None
    if not isinstance(row, dict):
        raise _broken(path, number, "no mapping")
    return row


def _broken(path: Path, number: int, why: str) -> UserError:
    return UserError(
        f"not a line that this program wrote ({why}).", where=f"{path}:{number}", cure="Delete the line, or the file."
    )


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    return ", ".join(f"{key} {found.get(key)!r}, now {wanted.get(key)!r}" for key in keys)
