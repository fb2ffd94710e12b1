"""What all readers of files share: the lines of a text file, and a random choice among rows."""

from __future__ import annotations

import gzip
import heapq
import random
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from benchmarks.errors import UserError

T = TypeVar("T")


def text_lines(path: Path, ending: str) -> Iterator[str]:
    """The lines of a text file, plain or gzip-compressed, with their ends.

    Args:
        ending: what its name must end with (before ``.gz``), for example ``.csv``.

    Raises:
        UserError: for what the operating system, gzip and UTF-8 can object to.
    """
    if not str(path).endswith((ending, f"{ending}.gz")):
        raise UserError(
            f"the file is neither {ending} nor {ending}.gz.",
            where=str(path),
            cure=f"Name a published {ending[1:].upper()} file.",
        )
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
            cure=f"Download it again; name it {ending} if it is not compressed.",
        ) from None
    except OSError as error:
        raise UserError(
            f"the file cannot be read ({error.strerror}).", where=str(path), cure="Name a file that you may read."
        ) from None


def sample(rows: Iterable[T], limit: int | None, seed: int, where: str | Path) -> list[T]:
    """All rows, or a random choice of ``limit``; a smaller limit with the same seed chooses a subset of a larger.

    Raises:
        UserError: if there are fewer than ``limit`` rows, or ``limit`` is below 1.
    """
    if limit is None:
        return list(rows)
    if limit < 1:
        raise UserError(f"{limit} puzzles are asked for.", where=str(where), cure="Ask for at least 1.")
    draw = random.Random(seed)
    chosen = heapq.nsmallest(limit, rows, key=lambda _: draw.random())
    if len(chosen) < limit:
        raise UserError(
            f"{limit} puzzles are asked for, but it holds {len(chosen)}.",
            where=str(where),
            cure=f"Ask for at most {len(chosen)}, or name a larger one.",
        )
    return chosen
