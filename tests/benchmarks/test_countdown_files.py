"""Countdown from files: the published ones, and every way in which a row can be wrong."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Answer
from benchmarks.splits import build_splits
from benchmarks.task import load_task


@pytest.fixture(scope="session")
def published() -> Path:
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "countdown").is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds countdown/")
    return folder / "countdown"


def test_published_files(published):
    task = load_task("countdown", numbers=4, fewest=3)
    splits = build_splits(task, None, None, 0, published / "train.jsonl.gz", published / "test.jsonl.gz")
    assert (len(splits.train), len(splits.test)) == (20_000, 1_000)
    for p in splits.train[::50] + splits.test[::10]:
        assert task.verify(p, Answer(p.answer)).exact
        solution = task.parse_answer(p, p.meta["solution"])
        assert task.verify(p, solution).correct
        assert p.id == task.parse_question(p.question).id
    assert task.read(published / "test.jsonl.gz", 10, 1) == task.read(published / "test.jsonl.gz", 20, 1)[:10]


def test_the_test_set_of_d1(published):
    task = load_task("countdown", largest=100, target=[1, 100])
    problems = task.read(published / "cd3_test.jsonl.gz")
    assert len(problems) == 256
    assert problems[0].question == "30,100,93=23"
    assert all(task.verify(p, Answer(p.answer)).correct for p in problems)


def test_a_file_with_other_counts_says_what_to_do(published):
    with pytest.raises(UserError, match=r"line \d+: there are 4 numbers instead of 3.*numbers=4 and fewest=3"):
        load_task("countdown").read(published / "train.jsonl.gz")


@pytest.fixture
def task():
    return load_task("countdown")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"nums": [31, 13], "target": 74}, "2 numbers"),
        ({"nums": [31, 13, 92], "target": 5}, "target 5"),
        ({"nums": [31, 13, 192], "target": 74}, "192 must be a number"),
        ({"nums": [31, 13, 0], "target": 74}, "0 must be a number"),
        ({"nums": [31, 13, -5], "target": 74}, "-5 must be a number"),
        ({"nums": [31, 13, 9.5], "target": 74}, "not a problem"),
        ({"nums": [31, 13, True], "target": 74}, "not a problem"),
        ({"nums": "31,13,92", "target": 74}, "not a problem"),
        ({"nums": [31, 13, 92]}, "not a problem"),
        ({"nums": [31, 13, 92], "target": None}, "not a problem"),
        ({"input": "31,13,92"}, "not a problem"),
        ({"input": "31;13;92", "output": "74"}, "not a problem"),
        ({"question": "31,13,92", "answer": "74"}, "not a problem"),
        ({"nums": [1, 1, 1], "target": 74}, "no answer"),
        ({"nums": [31, 13, 92], "target": 74, "solution": "92 - 31"}, "wrong: 31 is used|wrong: 13 is used"),
        ({"nums": [31, 13, 92], "target": 74, "solution": "92 - 31 - 13"}, "it makes 48"),
        ({"nums": [31, 13, 92], "target": 74, "solution": "74"}, "wrong"),
        ({"nums": [31, 13, 92], "target": 74, "solution": "os.system('')"}, "wrong"),
        ({"nums": [31, 13, 92], "target": 74, "solution": 74}, "must be text"),
    ],
    ids=str,
)
def test_wrong_rows_name_their_line(task, tmp_path, row, message):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"nums": [31, 13, 92], "target": 74}) + "\n\n" + json.dumps(row) + "\n")
    with pytest.raises(UserError, match=message) as error:
        task.read(path)
    assert error.value.where == f"{path}, line 3"
    assert error.value.cure


def test_wrong_files(task, tmp_path):
    for name, content in (
        ("none.jsonl", None),
        ("empty.jsonl", b""),
        ("text.jsonl", b"31,13,92=74\n"),
        ("short.jsonl.gz", gzip.compress(b'{"nums": [31, 13, 92], "target": 74}\n' * 500)[:40]),
        ("rows.csv", b"nums,target\n"),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError) as error:
            task.read(path)
        assert str(path) in str(error.value)


def test_a_data_set_of_the_hubs_form(task, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    rows = [{"nums": [31, 13, 92], "target": 74}, {"nums": [43, 24, 23], "target": 44}]
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = task.read(f"hub:{tmp_path / 'set'}:train")
    assert [p.question for p in problems] == ["31,13,92=74", "43,24,23=44"]
    assert [p.answer for p in problems] == ["92-31+13", "43+24-23"]
