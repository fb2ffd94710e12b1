"""Data sets through the ``datasets`` library: local folders for real, and a small hub of our own to download from."""

from __future__ import annotations

import csv
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.errors import UserError
from benchmarks.files.csv_rows import HEADER, read_rows
from benchmarks.files.hub import hub_rows, is_hub, whole_name
from benchmarks.problem import Problem
from benchmarks.puzzles.maze.task import Maze
from benchmarks.puzzles.sudoku.task import Sudoku
from benchmarks.task import Task

Rows = Sequence[dict[str, Any]]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def rows_of(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [{"source": "mine", "question": p.question, "answer": p.answer, "rating": i} for i, p in enumerate(problems)]


@cache
def generated(task: Task) -> list[Problem]:
    return task.generate("train", 12, seed=0)


def csv_text(rows: Rows) -> str:
    lines = [",".join(rows[0])] + [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
    return "".join(f"{line}\n" for line in lines)


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    "csv": lambda path, rows: path.write_text(csv_text(rows)),
    "csv.gz": lambda path, rows: path.write_bytes(gzip.compress(csv_text(rows).encode())),
    "jsonl": lambda path, rows: path.write_text("".join(json.dumps(row) + "\n" for row in rows)),
    "parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(list(rows)), path),
}


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., str]:
    """Writes rows as the split ``train`` of a folder; the name of that split."""

    def write(rows: Rows, ending: str = "jsonl", folder: str = "set") -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        WRITERS[ending](tmp_path / folder / f"train.{ending}", rows)
        return f"hub:{tmp_path / folder}:train"

    return write


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        read()
    assert error.value.where
    assert error.value.cure
    assert "\n" not in str(error.value)
    return str(error.value)


def without_place(problems: Sequence[Problem]) -> list[Problem]:
    return [replace(p, id="", meta={k: v for k, v in p.meta.items() if k != "line"}) for p in problems]


# --- what is right ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("task", [Sudoku(4), Sudoku(6), Maze(5)], ids=lambda task: task.name)
def test_every_form_holds_what_the_published_file_holds(folder_of, tmp_path: Path, task: Task, ending: str) -> None:
    """Answers of digits alone stay text, mazes keep their spaces, and a choice is the choice from the file."""
    rows = rows_of(generated(task))
    name, file = folder_of(rows, ending), tmp_path / "rows.csv"
    file.write_text(csv_text(rows))
    read = task.read(name)
    assert without_place(read) == without_place(task.read(file))
    assert [(p.id, p.meta["line"]) for p in read[:2]] == [("set:train:1", 1), ("set:train:2", 2)]
    for limit, seed in ((1, 0), (5, 0), (5, 1), (12, 2)):
        assert without_place(task.read(name, limit, seed)) == without_place(task.read(file, limit, seed))


@pytest.mark.parametrize(("task", "folder"), [(Sudoku(9), "sudoku_extreme"), (Maze(30), "maze_30x30_hard")])
def test_published_rows(folder_of, data: Path, tmp_path: Path, task: Task, folder: str) -> None:
    """The source of Maze-Hard is empty, the answers of Sudoku-Extreme are numbers too large to be stored as such."""
    with gzip.open(data / folder / "test.csv.gz", "rt") as stream:
        lines = list(islice(stream, 31))
    (tmp_path / "rows.csv").write_text("".join(lines))
    name = folder_of(list(csv.DictReader(lines)), "csv")
    assert without_place(task.read(name)) == without_place(task.read(tmp_path / "rows.csv"))
    assert [row["question"] for row in hub_rows(name)] == [line.split(",")[1] for line in lines[1:]]


def test_source_and_rating_may_be_missing(folder_of) -> None:
    [problem] = Sudoku(4).generate("train", 1, 0)
    [row] = read_rows(folder_of([{"answer": problem.answer, "question": problem.question}]))
    assert (row.question, row.answer, row.source, row.rating) == (problem.question, problem.answer, "", 0)


def test_other_columns_come_as_plain_values(folder_of) -> None:
    pair = {"input": [[0, 1, 2], [3, 4, 5]], "output": [[9]]}
    rows = [{"id": f"task {i}", "train": [pair] * (i + 1), "test": [pair]} for i in range(3)]
    assert list(hub_rows(folder_of(rows))) == rows
    assert list(hub_rows(folder_of(rows, "parquet", "other"))) == rows


def test_rows_of_many_batches_stay_in_order(folder_of) -> None:
    rows = [{"question": "q", "answer": "a", "rating": i} for i in range(2_500)]
    assert [row.rating for row in read_rows(folder_of(rows))] == list(range(2_500))


def test_a_file_is_checked_wholly_and_a_data_set_where_it_is_used(folder_of, tmp_path: Path) -> None:
    task, file = Sudoku(4), tmp_path / "rows.csv"
    rows = rows_of(task.generate("train", 30, 0))
    file.write_text(csv_text(rows))
    unused = next(i for i, row in enumerate(rows) if row["question"] not in {p.question for p in task.read(file, 5)})
    rows[unused]["answer"] = "1" * 16
    file.write_text(csv_text(rows))
    assert f"{file}, line {unused + 2}: " in refusal(lambda: task.read(file, 5))
    name = folder_of(rows)
    assert len(task.read(name, 5)) == 5
    assert f"{name}, row {unused + 1}: " in refusal(lambda: task.read(name))


def test_names() -> None:
    assert is_hub("hub:sapientinc/sudoku-extreme:train")
    assert not is_hub("hub.csv")
    assert not is_hub("data/hub:x.csv")


def test_a_folder_gets_its_whole_path_and_a_set_keeps_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "set").mkdir(parents=True)
    assert whole_name("hub:mine/set:train") == f"hub:{tmp_path}/mine/set:train"
    assert whole_name("hub:other/set:train") == "hub:other/set:train"


@pytest.mark.parametrize("disabled", [False, True])
def test_bars_are_as_before(folder_of, capfd, disabled) -> None:
    switch = {True: datasets.utils.disable_progress_bars, False: datasets.utils.enable_progress_bars}
    before = datasets.utils.are_progress_bars_disabled()
    switch[disabled]()
    try:
        assert len(list(hub_rows(folder_of([{"question": "q", "answer": "a"}])))) == 1
        assert datasets.utils.are_progress_bars_disabled() == disabled
    finally:
        switch[before]()
    assert "split" not in capfd.readouterr().err


# --- what is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub:", "hub:a/b", "hub::train", "hub:a/b:", "hub:a/b:train[:10]", "hub:a/b:a b"])
def test_a_name_without_data_set_or_split_is_refused(name: str) -> None:
    assert refusal(lambda: list(hub_rows(name))).startswith(f"{name}: ")
    assert "hub:OWNER/NAME:SPLIT" in refusal(lambda: whole_name(name))


def spoilt(column: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: row | {column: value}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("task", "spoil", "words"),
    [
        (Sudoku(4), lambda row: row | {"question": row["question"][1:]}, "15 characters"),
        (Sudoku(4), spoilt("answer", "1" * 16), "row 2"),
        (Sudoku(4), spoilt("question", "2" + "." * 15), "row 2"),
        (Sudoku(4), spoilt("question", ".x" + "." * 14), "'x' in row 1, column 2"),
        (Maze(5), lambda row: row | {"answer": row["question"]}, "must be a shortest path"),
        (Maze(5), lambda row: row | {"question": row["question"].replace("S", " ")}, "0 cells S"),
        (Maze(5), lambda row: row | {"question": row["question"].strip() + "x"}, "row 2"),
    ],
)
def test_a_wrong_row_is_named_by_data_set_and_row(folder_of, task: Task, spoil, words: str, ending: str) -> None:
    rows = rows_of(generated(task)[:3])
    rows[1] = spoil(rows[1])
    name = folder_of(rows, ending)
    message = refusal(lambda: task.read(name))
    assert message.startswith(f"{name}, row 2: ")
    assert words in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answer": None}, "the answer must be text, not None"),
        ({"question": ["1", "2"]}, "the question must be text"),
        ({"answer": 1.5}, "the answer must be text, not 1.5"),
        ({"answer": True}, "the answer must be text, not True"),
        ({"rating": 1.5}, "the rating must be a whole number, not '1.5'"),
        ({"rating": "hard"}, "the rating must be a whole number, not 'hard'"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(folder_of, changes: dict[str, Any], words: str) -> None:
    [problem] = Sudoku(4).generate("train", 1, 0)
    name = folder_of([rows_of([problem])[0] | changes])
    message = refusal(lambda: Sudoku(4).read(name))
    assert message.startswith(f"{name}, row 1: ")
    assert words in message


def test_a_missing_column_split_or_row_is_named(folder_of, tmp_path: Path) -> None:
    task = Sudoku(4)
    name = folder_of([{"question": "1", "solution": "2"}])
    assert "no column 'answer', only question, solution" in refusal(lambda: task.read(name))
    assert "no split 'trian'. Did you mean 'train'?" in refusal(lambda: task.read(name.replace("train", "trian")))
    assert "holds 1" in refusal(lambda: task.read(folder_of(rows_of(task.generate("train", 1, 0)), "csv", "one"), 2))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "train.csv").write_text(",".join(HEADER) + "\n")
    assert "holds no row" in refusal(lambda: task.read(f"hub:{tmp_path / 'none'}:train"))


def test_files_that_the_library_cannot_read_are_named(tmp_path: Path) -> None:
    for folder, file, content in (
        ("empty", "notes.bin", b"x"),
        ("ragged", "train.csv", b"question,answer\n1,2\n1,2,3,4\n"),
        ("binary", "train.csv", b"question,answer\n\xff\xfe\x00,1\n"),
        ("cut", "train.parquet", b"PAR1 but no more"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_bytes(content)
        name = f"hub:{tmp_path / folder}:train"
        assert refusal(lambda name=name: list(hub_rows(name))).startswith(f"{name}: it cannot be loaded (")


# --- the network ------------------------------------------------------------------------------------


def test_without_a_network_one_quick_message(monkeypatch) -> None:
    for library in ("datasets.config", "huggingface_hub.constants"):  # CI sets it in the environment
        monkeypatch.setattr(f"{library}.HF_HUB_OFFLINE", False)
    with socket.socket() as taken:  # bound but not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        start = time.perf_counter()
        message = refusal(lambda: list(hub_rows("hub:a/b:train")))
    assert time.perf_counter() - start < 5
    assert "cannot be reached (ConnectError)" in message
    assert "HF_HUB_OFFLINE=1" in message
    assert not datasets.config.HF_HUB_OFFLINE, "left as it was"
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refusal(lambda: list(hub_rows("hub:a/b:train")))
    assert "neither a folder '/nowhere'" in refusal(lambda: list(hub_rows("hub:/nowhere:train")))


PUZZLE = [{"source": "", "question": "." * 81, "answer": digit * 81, "rating": 0} for digit in "123"]
REVISION = "a" * 40
FILES = {"README.md": b"# A data set\n", "train.csv": csv_text(PUZZLE).encode(), "test.csv": csv_text(PUZZLE).encode()}


class SmallHub(BaseHTTPRequestHandler):
    """As much of the hub's interface as it takes to load the one data set me/puzzles."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        _, _, file = path.partition("/datasets/me/puzzles/resolve/")[2].partition("/")
        if path.startswith("/api/datasets/me/puzzles/tree/"):
            self._send(json.dumps([{"type": "file", "path": k, "size": len(v), "oid": k} for k, v in FILES.items()]))
        elif path.startswith("/api/datasets/me/puzzles"):
            self._send(json.dumps({"id": "me/puzzles", "sha": REVISION, "siblings": [{"rfilename": k} for k in FILES]}))
        elif file in FILES:
            self._send(FILES[file])
        else:
            self._send(b"", 404, "EntryNotFound" if file else "RepoNotFound")

    do_HEAD = do_GET

    def _send(self, body: str | bytes, status: int = 200, error: str = "") -> None:
        raw = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for key, value in {"Content-Length": str(len(raw)), "ETag": f'"{len(raw)}"', "X-Repo-Commit": REVISION}.items():
            self.send_header(key, value)
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def small_hub() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), SmallHub)
    threading.Thread(target=server.serve_forever).start()
    yield server
    server.shutdown()
    server.server_close()


CLIENT = """
import json, sys
from benchmarks.errors import UserError
from benchmarks.files.csv_rows import read_rows

for name in sys.argv[1:]:
    try:
        print(json.dumps([(row.question, row.answer) for row in read_rows(name)]))
    except UserError as error:
        print(error)
"""


def test_a_set_is_downloaded_once_and_then_comes_from_the_cache(small_hub, tmp_path: Path) -> None:
    """In processes of their own, as the libraries read where the hub is when they are imported."""
    host, port = small_hub.server_address
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and not k.lower().endswith("_proxy")}
    surroundings |= {"HF_ENDPOINT": f"http://{host}:{port}", "HF_HOME": str(tmp_path / "home")}

    def read(*names: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, *names], env=surroundings, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    wanted = json.dumps([(row["question"], row["answer"]) for row in PUZZLE])
    train, missing_split, missing_set = read("hub:me/puzzles:train", "hub:me/puzzles:tests", "hub:me/others:train")
    assert train == wanted
    assert "no split 'tests'. Did you mean 'test'?" in missing_split
    assert "neither a folder 'me/others' here nor an open data set" in missing_set
    small_hub.shutdown()
    small_hub.server_close()
    assert read("hub:me/puzzles:test") == [wanted]
