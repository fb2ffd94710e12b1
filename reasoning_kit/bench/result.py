"""What every benchmark's JSON says beside its numbers, and where it is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.records import write_atomically
from reasoning_kit.runs.environment import surroundings


def write_result(path: Path, found: Mapping[str, Any]) -> None:
    """As JSON, with the surroundings; whole or not at all."""
    write_atomically(path, json.dumps({**found, **surroundings()}, indent=1) + "\n")


def read_result(path: Path) -> dict[str, Any] | None:
    """What an earlier command wrote; ``None`` if there is none.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"no readable result ({error}).", where=str(path), cure="Delete it, or name another.") from None
    if not isinstance(raw, dict):
        raise UserError("no result of a benchmark.", where=str(path), cure="Delete it, or name another.")
    return raw


@contextmanager
def progress_line(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that says what is going on, on a terminal."""
    with console.status("starting") as status:
        yield status.update
