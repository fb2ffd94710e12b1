from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UserError
from benchmarks.puzzles.arc import files as arc_files
from benchmarks.puzzles.arc.files import ArcTask, Pair, read_tasks

TASK: dict[str, Any] = {
    "train": [{"input": [[0, 1], [2, 3]], "output": [[9]]}, {"input": [[5]], "output": [[6, 7]]}],
    "test": [{"input": [[1]], "output": [[2]]}],
}
READ = (Pair("01/23", "9"), Pair("5", "67")), (Pair("1", "2"),)
# tasks, demonstrations and test pairs of each published file, as its README counts them
COUNTS = {
    "arc_agi_1/training": (400, 1302, 416),
    "arc_agi_1/evaluation": (400, 1363, 419),
    "arc_agi_2/training": (1000, 3232, 1076),
    "arc_agi_2/evaluation": (120, 359, 167),
    "concept_arc/corpus": (160, 427, 480),
    "concept_arc/minimal": (16, 46, 48),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_files_are_read_whole(data: Path, name: str) -> None:
    path = data / f"{name}.json.gz"
    tasks = read_tasks(path)
    assert (len(tasks), sum(len(t.train) for t in tasks), sum(len(t.test) for t in tasks)) == COUNTS[name]
    raw = json.loads(gzip.decompress(path.read_bytes()))
    for task in tasks:
        assert task.puzzle == f"{name}/{task.id}"
        for part in ("train", "test"):
            for pair, published in zip(getattr(task, part), raw[task.id][part], strict=True):
                for text, side in zip(pair, ("input", "output"), strict=True):
                    assert [[int(cell) for cell in row] for row in text.split("/")] == published[side]


def test_a_file_a_folder_and_the_hub_give_the_same_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "some.json"
    plain.write_text(json.dumps({"a": TASK, "b": TASK}))
    packed = tmp_path / "other.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    folder = tmp_path / "evaluation"
    folder.mkdir()
    for key in "ba":
        (folder / f"{key}.json").write_text(json.dumps(TASK | {"name": "kept out"}))

    def rows(name: str) -> Iterator[dict[str, Any]]:
        assert name == "hub:me/arc:test"
        yield {"id": "a", **TASK}
        yield {"task_id": "b", **TASK}

    monkeypatch.setattr(arc_files, "hub_rows", rows)
    for source, name in (
        (plain, f"{tmp_path.name}/some"),
        (str(packed), f"{tmp_path.name}/other"),
        (folder, f"{tmp_path.name}/evaluation"),
        ("hub:me/arc:test", "me/arc:test"),
    ):
        assert read_tasks(source) == [ArcTask(key, f"{name}/{key}", *READ) for key in "ab"]


def changed(**parts: Any) -> dict[str, Any]:
    return {"t1": TASK | parts}


def grid(rows: Any) -> dict[str, Any]:
    return changed(train=[TASK["train"][0], {"input": [[0]], "output": rows}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("", "not valid JSON"),
        ([TASK], "no object of tasks"),
        (TASK, "single task"),
        ({}, "at least one task"),
        ({"t1": [1]}, "task t1: the task must be an object"),
        ({"t1": {"train": TASK["train"]}}, "task t1: the task has no 'test'"),
        (changed(train=[]), "task t1: 'train' must be a list of pairs"),
        (changed(test={"input": [[1]]}), "task t1: 'test' must be a list of pairs"),
        (changed(test=[[[1]]]), "test pair 1: the pair must be an object"),
        (changed(test=[{"output": [[1]]}]), "test pair 1: the pair has no 'input'"),
        (changed(test=[*TASK["test"], {"input": [[1]]}]), "test pair 2: the pair has no 'output'"),
        (grid([]), "train pair 2, output: the grid must be a list of rows"),
        (grid([[]]), "that is not empty"),
        (grid(["01"]), "must be a list of rows"),
        (grid(None), "no 'output'"),
        (grid([[1, 2], [3]]), "row 2 has 1 cells and row 1 has 2"),
        (grid([[1, 10]]), "10 in row 1 must be a colour"),
        (grid([[1], [-1]]), "-1 in row 2 must be a colour"),
        (grid([[True]]), "True in row 1 must be a colour"),
        (grid([[1.0]]), "1.0 in row 1 must be a colour"),
        (grid([["1"]]), "'1' in row 1 must be a colour"),
        (grid([[0] * 31]), "1 rows and 31 columns"),
        (grid([[0]] * 31), "31 rows and 1 columns"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(content if isinstance(content, bytes) else b"")
    if not isinstance(content, bytes):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    refused(path, message)


def refused(source: str | Path, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_tasks(source)
    text = str(error.value)
    assert message in text
    assert str(source) in text
    assert error.value.cure
    assert "\n" not in text


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(json.dumps({str(i): TASK for i in range(200)}).encode())
    for name, raw, message in (
        ("short.json.gz", packed[: len(packed) // 2], "not valid gzip"),
        ("plain.json.gz", b"{}", "not valid gzip"),
        ("broken.json.gz", packed[:40] + b"\x00\xff\x13" + packed[43:], "not valid gzip"),
        ("tasks.csv", b"{}", "neither .json nor .json.gz"),
    ):
        (tmp_path / name).write_bytes(raw)
        refused(tmp_path / name, message)
    refused(tmp_path / "nowhere.json", "no such file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "at least one task")
    (tmp_path / "folder.json").mkdir()
    refused(tmp_path / "folder.json", "at least one task")
    for rows, message in (([{"train": []}], "row 1 has neither 'id'"), ([{"id": 7, **TASK}] * 2, "7 occurs twice")):
        monkeypatch.setattr(arc_files, "hub_rows", lambda name, rows=rows: iter(rows))
        refused("hub:me/arc:test", message)
