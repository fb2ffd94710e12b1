"""``--unsafe-code``: the user's word that model-written code may run without isolation, for the tasks that run code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import PROGRAM, environment
from tiny_pretrained import save_tiny

from benchmarks.errors import UserError
from benchmarks.records import RECORD, RunRecord
from reasoning_kit.commands.teach import read_options
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.finished import load_run

pytestmark = pytest.mark.slow


def unsafe(*overrides):
    return {name: task.options.get("unsafe_code", False) for name, task in load_config(overrides).tasks.items()}


def test_it_holds_for_the_tasks_that_run_code(said):
    named = ("task=[mbpp,sudoku-4x4,humaneval]", "method=answer_only")
    assert unsafe(*named) == {"mbpp": False, "sudoku-4x4": False, "humaneval": False}
    assert unsafe(*named, "unsafe_code=true") == {"mbpp": True, "sudoku-4x4": False, "humaneval": True}
    assert unsafe(*named, "unsafe_code=true") == unsafe(
        *named, "task.mbpp.unsafe_code=true", "task.humaneval.unsafe_code=true"
    )
    assert unsafe(*named, "unsafe_code=false") == unsafe(*named)
    teaching = ["task=mbpp", "teacher.model=x", "unsafe_code=true"]
    assert read_options(teaching)[2].options["unsafe_code"] is True


@pytest.mark.parametrize(
    "words", [("compare", "method=[grpo]"), ("train", "method=grpo"), ("estimate", "method=grpo", "--no-probe")]
)
def test_it_is_refused_where_no_code_is_run(said, words):
    command, *others = words
    told = said(command, "task=sudoku-4x4", *others, "--unsafe-code", code=2)
    assert "--unsafe-code: no task here runs model-written code (sudoku-4x4). Leave it out." in told


def without_bubblewrap(*words, cwd: Path) -> subprocess.CompletedProcess[str]:
    (cwd / "nothing").mkdir(exist_ok=True)
    surroundings = environment() | {"PATH": str(cwd / "nothing")}
    return subprocess.run([PROGRAM, *words], cwd=cwd, env=surroundings, capture_output=True, text=True, check=False)


def test_both_ways_where_nothing_isolates(data_folder, tmp_path):
    """Training, then evaluation of a run that was trained where there was isolation: refused without the flag, and the
    refusal names it; done with it."""
    model = save_tiny(tmp_path / "tiny", chat=True)
    words = (
        "train", "task=mbpp", "method=grpo", f"model={model}", f"data={data_folder}", "train_size=16", "test_size=2",
        "budget.unit=steps", "budget.limit=1", "method.grpo.batch_size=2", "method.grpo.num_generations=2",
        "method.grpo.max_new_tokens=4", "method.grpo.held_out=0", "evaluation.curve_problems=0", "--out", "here",
    )  # fmt: skip
    refused = without_bubblewrap(*words, cwd=tmp_path)
    assert refused.returncode == 2
    assert "bubblewrap is not installed" in refused.stderr
    assert "--unsafe-code, or for one task task.NAME.unsafe_code=true" in refused.stderr
    done = without_bubblewrap(*words, "--unsafe-code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "here/mbpp/grpo/seed-0"
    assert RunRecord.load(run).config["task"]["options"]["unsafe_code"] is True

    record = json.loads((run / RECORD).read_text())
    record["config"]["task"]["options"]["unsafe_code"] = False
    (run / RECORD).write_text(json.dumps(record))
    refused = without_bubblewrap("eval", run, cwd=tmp_path)
    assert refused.returncode == 2
    assert "--unsafe-code" in refused.stderr
    done = without_bubblewrap("eval", run, "--unsafe-code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    assert json.loads((run / "eval.json").read_text())["task"]["options"]["unsafe_code"] is True


def test_a_run_that_runs_no_code_cannot_be_evaluated_unsafely(run_factory, tmp_path):
    run_factory(tmp_path, "sudoku-4x4", "cot", 0)
    run = tmp_path / "sudoku-4x4/cot/seed-0"
    record = json.loads((run / RECORD).read_text())
    [spec] = load_config(["task=sudoku-4x4", "method=cot"]).runs()
    from dataclasses import asdict

    record["config"] = asdict(spec)
    (run / RECORD).write_text(json.dumps(record))
    assert load_run(run).task.options == spec.task.options
    with pytest.raises(UserError, match="no task here runs model-written code"):
        load_run(run, unsafe_code=True)
