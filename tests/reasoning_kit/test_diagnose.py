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
from reasoning_kit.commands.diagnose import diagnose_run
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.run import run

pytestmark = pytest.mark.slow

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
    assert any("of 64 training problems are held out" in note for note in record.notes)
    assert any("Not one completion was right" in line for line in record.diagnostics["verdict"]), "too small to learn"


def test_shares_are_of_the_groups_that_were_drawn(finished):
    """All wrong, every step: 100 %, not two."""
    history = RunRecord.load(finished).diagnostics["history"]
    assert all(entry["groups/drawn"] == 2 for entry in history)
    row = next(line for line in shown(finished).splitlines() if "1-" in line)
    assert "100%" in row


@pytest.mark.parametrize(
    ("change", "words"), [("method", "must have groups and rewards"), ("verdict", "before it was kept")]
)
def test_other_runs_are_refused(finished, tmp_path, change, words):
    raw = json.loads((finished / RECORD).read_text())
    if change == "method":
        raw["method"] = raw["config"]["base"] = "cot"
        raw["diagnostics"] = {}
    else:
        del raw["diagnostics"]["verdict"]
    (tmp_path / RECORD).write_text(json.dumps(raw))
    with pytest.raises(UserError, match=words) as caught:
        shown(tmp_path)
    assert caught.value.cure
    with pytest.raises(UserError, match="no finished run"):
        shown(tmp_path / "nowhere")


# --- with a student ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Sums of one digit: a policy from a distilled start, its traces, and a smaller student."""
    torch.set_num_threads(1)
    folder, row = tmp_path_factory.mktemp("taught"), "method.grpo_distill_small"
    [spec] = load_config(
        [
            "task=addition-4x4", "task.addition-4x4.digits=[1,1]", "method=grpo_distill_small", "train_size=40",
            "test_size=10", "model.width=32", "model.heads=2", "model.key_value_heads=2", "model.inner=64",
            f"{row}.start_share=0.9", f"{row}.distillation.learning_rate=1e-2", f"{row}.distillation.batch_size=32",
            f"{row}.batch_size=32", f"{row}.max_new_tokens=14", f"{row}.held_out=0", f"{row}.pupil.policy_share=0.8",
            f"{row}.pupil.model.width=16", f"{row}.pupil.model.inner=32", "budget.unit=steps", "budget.limit=150",
            "evaluation.milestones=[0.5,0.9]",
        ]
    ).runs()  # fmt: skip
    run(spec, folder, lambda *_: None)
    return folder


def test_the_student_stands_behind_its_policy(taught):
    text, record = shown(taught), RunRecord.load(taught)
    found = record.diagnostics["pupil"]
    for line in record.diagnostics["verdict"]:
        assert line in text, "the policy's part is as ever"
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()[:1]}
    for phase in ("policy", "writing", "pupil"):
        cost = found["costs"][phase]
        share, counts = f"{cost['steps'] / 150:.0%}", f"{cost['steps']} +{cost['examples']:,}"
        assert re.search(rf"^ *{phase} +{share} .* {counts} ", text, re.MULTILINE)
    assert f"{found['policy_parameters']:,}" in rows["policy"]
    assert f"{record.parameters:,}" in rows["pupil"]
    assert f"{found['policy_accuracy']:.1%}" in rows["policy"]
    assert f"{record.metrics['accuracy']['value']:.1%}" in rows["pupil"]
    own = record.loss[-found["losses"] :]
    assert [entry["step"] for entry in own] == [10, 20, 30], "30 steps, logged every ten"
    assert f"{own[0]['loss']:.3f} to {own[-1]['loss']:.3f}" in rows["pupil"]
    assert own[-1]["loss"] < own[0]["loss"]


def test_it_says_what_was_taught_and_how_far_the_student_came(taught):
    text, record = shown(taught), RunRecord.load(taught)
    teaching = record.diagnostics["pupil"]["teaching"]
    assert f"wrote {teaching['written']} of {teaching['asked']} traces" in text
    assert f"accepted {teaching['accepted']} of them ({100 * teaching['acceptance_per_sample']:.1f} %)" in text
    assert f"of the 10 test problems (95 %: {100 * record.metrics['accuracy']['low']:.1f} to" in text
    [*_, within, _] = record.curve
    assert f"While it learned it solved {100 * within['accuracy']:.1f} % at 90 % of the budget." in text


@pytest.mark.parametrize(
    ("teacher", "words"), [(0.0, "better than its teacher"), (1.0, "did not reach its teacher"), (0.5, "no difference")]
)
def test_teacher_against_student_and_records_of_before(taught, tmp_path, teacher, words):
    raw = json.loads((taught / RECORD).read_text())
    raw["metrics"]["accuracy"] |= {"value": 0.5, "low": 0.3, "high": 0.7}
    pupil = raw["diagnostics"]["pupil"]
    pupil["policy_accuracy"] = teacher
    del pupil["losses"]
    pupil["teaching"]["acceptance_per_problem"] = 0.2
    (tmp_path / RECORD).write_text(json.dumps(raw))
    text = shown(tmp_path)
    assert words in text
    assert "never saw a right trace" in text
    assert " to " not in next(line for line in text.splitlines() if line.split()[:1] == ["pupil"])
