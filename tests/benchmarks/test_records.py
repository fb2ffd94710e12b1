"""Records: what is saved is what is loaded, every broken file is a user error, a stopped write leaves no half file."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from benchmarks.errors import UserError
from benchmarks.evaluation import Prediction, Solution
from benchmarks.problem import Answer
from benchmarks.records import (
    PREDICTIONS,
    RECORD,
    SCHEMA,
    RunRecord,
    load_predictions,
    save_predictions,
    write_atomically,
)
from benchmarks.task import load_task


@pytest.fixture
def record():
    return RunRecord(
        task={"name": "multiplication-2x2", "family": "arithmetic", "measure": "exact"},
        method="trm",
        seed=1,
        config={"nested": {"list": [1, 2.5, None, "ü"]}},
        fingerprint="abc",
        data={"train": 3},
        budget={"unit": "steps", "limit": 10},
        parameters=5,
        training={"flops": 1e15, "seconds": 0.1},
        metrics={"accuracy": {"value": 0.1 + 0.2}},
        curve=[],
        scaling=[],
        notes=["a note"],
        demo={},
        diagnostics={},
        versions={},
        hardware={},
        git={},
        peak_memory_bytes=1,
    )


def test_round_trip(record, tmp_path):
    record.save(tmp_path / "deep" / "run")
    assert RunRecord.load(tmp_path / "deep" / "run") == record
    assert os.listdir(tmp_path / "deep" / "run") == [RECORD]
    replace(record, seed=2).save(tmp_path / "deep" / "run")
    assert RunRecord.load(tmp_path / "deep" / "run").seed == 2


def test_missing_record_is_a_user_error(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="no finished run here"):
            RunRecord.load(folder)


def test_every_torn_record_is_a_user_error(record, tmp_path):
    record.save(tmp_path)
    whole = (tmp_path / RECORD).read_text()
    for end in range(0, len(whole), 7):
        (tmp_path / RECORD).write_text(whole[:end])
        with pytest.raises(UserError):
            RunRecord.load(tmp_path)


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b'"text"', b"\xff\xfe\x00", b"{}", b""])
def test_what_is_no_record_is_a_user_error(tmp_path, content):
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(UserError, match=RECORD):
        RunRecord.load(tmp_path)


def test_a_file_in_place_of_the_folder_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        RunRecord.load(tmp_path / "file")


def test_another_schema_is_a_user_error_that_names_both(record, tmp_path):
    record.save(tmp_path)
    raw = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps(raw | {"schema": SCHEMA + 1}))
    with pytest.raises(UserError, match=f"schema {SCHEMA + 1}, this version reads {SCHEMA}"):
        RunRecord.load(tmp_path)
    (tmp_path / RECORD).write_text(json.dumps(raw | {"unheard_of": 1}))
    with pytest.raises(UserError):
        RunRecord.load(tmp_path)
    (tmp_path / RECORD).write_text(json.dumps({k: v for k, v in raw.items() if k != "metrics"}))
    with pytest.raises(UserError, match="metrics"):
        RunRecord.load(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_record_can_be_read_by_others(tmp_path):
    """Colleagues on a shared machine: the permissions are those of any new file."""
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "file", "")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_predictions_round_trip(tmp_path):
    task = load_task("arithmetic")
    problems = [task.problem(12, 34), task.problem(56, 78)]
    solutions = [
        Solution(None, 1e15, 0.25, 3, tokens=3, text="12*"),
        Solution(Answer(problems[1].answer), 7, 1, 2, text="</think>ü"),
    ]
    predictions = [Prediction(p, s, task.verify(p, s.answer)) for p, s in zip(problems, solutions, strict=True)]
    save_predictions(tmp_path, predictions)
    first, second = load_predictions(tmp_path)
    assert os.listdir(tmp_path) == [PREDICTIONS]
    assert first | {"reason": ""} == {
        "id": "12*34", "orbit": "12*34", "question": "12*34", "label": "0408", "answer": None, "correct": False,
        "exact": False, "valid": False, "score": 0.0, "reason": "", "steps": 3, "tokens": 3, "flops": 1e15,
        "seconds": 0.25, "text": "12*",
    }  # fmt: skip
    assert (second["answer"], second["correct"], second["reason"]) == ("4368", True, "")


@pytest.mark.parametrize("content", [None, b"", b"PAR1 torn"])
def test_missing_or_broken_predictions_are_a_user_error(tmp_path, content):
    if content is not None:
        (tmp_path / PREDICTIONS).write_bytes(content)
    with pytest.raises(UserError, match="no readable predictions"):
        load_predictions(tmp_path)
