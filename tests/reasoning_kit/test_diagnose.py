"""``diagnose`` on a real, tiny run of GRPO: course, pass@k, verdict; the record and the report's notes hold it too."""

from __future__ import annotations

import io
import json
import re

import pytest
import torch
from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.records import RECORD, RunRecord
from reasoning_kit.config import load_config
from reasoning_kit.diagnose import diagnose_run
from reasoning_kit.experiment import run

TINY = (
    "task=[addition-4x4]", "method=[grpo]", "budget.unit=steps", "budget.limit=30", "train_size=64", "test_size=8",
    "evaluation.curve_problems=0", "evaluation.milestones=[]", "model.width=16", "model.heads=2",
    "model.key_value_heads=2", "model.inner=32", "method.grpo.start_share=0.2", "method.grpo.batch_size=16",
    "method.grpo.distillation.batch_size=4", "method.grpo.rewards={format: 0.5}", "method.grpo.held_out_samples=4",
    "method.grpo.max_new_tokens=40",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    [spec] = load_config(TINY).runs()
    run(spec, folder, lambda *_: None)
    return folder


def shown(folder):
    console = Console(file=io.StringIO(), width=240)
    diagnose_run(folder, console)
    return console.file.getvalue()


def test_course_pass_rates_and_verdict_are_printed(finished):
    text = shown(finished)
    record = RunRecord.load(finished)
    found = record.diagnostics
    steps = [entry["step"] for entry in found["history"]]
    assert steps == list(range(1, record.training["steps"] - found["start_cost"]["steps"] + 1))
    parts = re.findall(r"^ *(\d+)(?:-(\d+))? +\d+%", text, re.MULTILINE)
    told = [step for first, last in parts for step in range(int(first), int(last or first) + 1)]
    assert told == steps
    assert 5 < len(parts) <= 10
    for heading in ("accu-", "lent", "tropy", "clip-", "format", "KL"):
        assert (heading in text) == (heading != "KL"), "no divergence without a reference"
    for k, share in found["before"]["pass_at_k"].items():
        assert f"pass@{k}" in text
        assert f"{share:.1%}" in text
    for line in found["verdict"]:
        assert line in text


def test_the_verdict_stands_in_the_notes_of_the_row(finished):
    record = RunRecord.load(finished)
    assert record.diagnostics["verdict"]
    assert record.notes[-len(record.diagnostics["verdict"]) :] == record.diagnostics["verdict"]
    assert any("of 64 training problems are kept aside" in note for note in record.notes)
    assert any("Not one completion was right" in line for line in record.diagnostics["verdict"]), "too small to learn"


def test_shares_are_of_the_groups_that_were_drawn(finished):
    """All wrong, every step: 100 %, not two."""
    history = RunRecord.load(finished).diagnostics["history"]
    assert all(entry["groups/drawn"] == 2 for entry in history)
    row = next(line for line in shown(finished).splitlines() if "1-" in line)
    assert "100%" in row


@pytest.mark.parametrize(("change", "words"), [("method", "no groups"), ("verdict", "before GRPO kept")])
def test_other_runs_are_refused(finished, tmp_path, change, words):
    raw = json.loads((finished / RECORD).read_text())
    if change == "method":
        raw["method"] = raw["config"]["base"] = "cot"
    else:
        del raw["diagnostics"]["verdict"]
    (tmp_path / RECORD).write_text(json.dumps(raw))
    with pytest.raises(UserError, match=words) as caught:
        shown(tmp_path)
    assert caught.value.cure
    with pytest.raises(UserError, match="no finished run"):
        shown(tmp_path / "nowhere")
