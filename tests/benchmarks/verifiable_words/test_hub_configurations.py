"""Data sets with several configurations, as openai/gsm8k and deepmind/aqua_rat have them: ``hub:NAME:CONFIG:SPLIT``."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from benchmarks.errors import UserError
from benchmarks.files.hub import hub_rows, whole_name
from benchmarks.task import load_task

CARD = """---
configs:
- config_name: main
  data_files:
  - split: train
    path: main/train.jsonl
- config_name: socratic-2.0
  data_files:
  - split: train
    path: socratic/train.jsonl
---
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name, answer in (("main", 5), ("socratic", 6)):
        (tmp_path / "set" / name).mkdir(parents=True)
        row = {"question": "How many?", "answer": f"#### {answer}"}
        (tmp_path / "set" / name / "train.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "set" / "README.md").write_text(CARD)
    return tmp_path / "set"


def test_a_configuration_is_chosen_by_name(folder: Path) -> None:
    task = load_task("gsm8k")
    assert [p.answer for p in task.read(f"hub:{folder}:main:train")] == ["5"]
    assert [p.answer for p in task.read(f"hub:{folder}:socratic-2.0:train")] == ["6"]
    assert whole_name(f"hub:{folder}:main:train") == f"hub:{folder}:main:train"


def test_a_missing_or_unknown_configuration_is_told_with_what_there_is(folder: Path) -> None:
    with pytest.raises(UserError) as error:
        list(hub_rows(f"hub:{folder}:train"))
    assert "several configurations: main, socratic-2.0" in str(error.value)
    assert f"hub:{folder}:main:train" in str(error.value.cure)
    with pytest.raises(UserError, match=r"no configuration 'mian'\. Did you mean 'main'\?"):
        list(hub_rows(f"hub:{folder}:mian:train"))
    with pytest.raises(UserError, match="no split 'test'"):
        list(hub_rows(f"hub:{folder}:main:test"))


def test_a_relative_folder_keeps_its_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert whole_name("hub:set:main:train") == f"hub:{folder}:main:train"
