from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from benchmarks.task import Task


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of published data sets."""
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds sudoku_extreme/")
    return folder


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Writes a file, reads it with a task, and returns the message of the UserError that this must raise."""

    def read(task: Task, content: str | bytes, name: str = "rows.csv", **options: int) -> str:
        path = tmp_path / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        with pytest.raises(UserError) as error:
            task.read(path, **options)
        message = str(error.value)
        assert str(path) in message
        assert error.value.cure
        assert "\n" not in message
        return message

    return read


@pytest.fixture
def broken_files(refusal: Callable[..., str]) -> Callable[[Task, str], None]:
    """Every way in which a file can be wrong whatever it holds; ``row`` is a right row of the task."""

    def check(task: Task, row: str) -> None:
        header = "source,question,answer,rating\n"
        good = header + row + "\n"
        packed = gzip.compress((header + (row + "\n") * 500).encode())
        assert "empty" in refusal(task, "")
        assert "must hold a puzzle" in refusal(task, header)
        assert "line 1" in refusal(task, row + "\n")
        assert "line 1" in refusal(task, good.replace("rating", "hardness"))
        assert "line 3" in refusal(task, good + row + ",extra\n")
        assert "line 3" in refusal(task, good + row.rsplit(",", 1)[0] + "\n")
        assert "line 3" in refusal(task, good + row.rsplit(",", 1)[0] + ",hard\n")
        assert "line 3" in refusal(task, good.encode() + b"\xff\xfe" + row.encode())
        assert "line 2" in refusal(task, header + 's,"' + row)
        assert "ends early" in refusal(task, packed[: len(packed) // 2], "rows.csv.gz")
        assert "not a gzip file" in refusal(task, good, "rows.csv.gz")
        assert "not a gzip file" in refusal(task, packed[:30] + b"\x00\xff\x13" + packed[33:], "rows.csv.gz")
        assert "neither" in refusal(task, good, "rows.json")
        assert "holds 1" in refusal(task, good, limit=2)
        assert "at least 1" in refusal(task, good, limit=0)

    return check
