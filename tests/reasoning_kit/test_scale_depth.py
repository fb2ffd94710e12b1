"""``scale`` on an autoregressive TRM trained here: points are what the solver would really have done."""

from __future__ import annotations

import json
import math

import pyarrow.parquet as pq
import pytest
import torch
from command_line import call
from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.method import Effort
from cot_distill.scaling.token_depth import SURE, Settings, deepens, measure
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs import run as experiment
from reasoning_kit.runs.finished import chosen_problems, load_quietly, load_run
from reasoning_kit.scaling.scale import scale_run
from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TRAINED, POLICY = 3, "committed"


def trained(folder, method, settings, steps):
    torch.set_num_threads(1)
    [spec] = load_config(
        [
            "task=copy-10-long", "task.copy-10-long.length=4", "task.copy-10-long.test_lengths=[4,5]",
            f"method={method}", f"method.{method}.model={{architecture: autoregressive_trm, settings: {settings}}}",
            f"method.{method}.learning_rate=1e-2", f"method.{method}.warmup_steps=10", "train_size=2000",
            "test_size=8", "evaluation.curve_problems=0", "model.width=32", "model.heads=2",
            "model.key_value_heads=2", "model.inner=64", "budget.unit=steps", f"budget.limit={steps}",
        ]
    ).runs()  # fmt: skip
    experiment.run(spec, folder, lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four letters to repeat, right often but not always."""
    settings = f"{{T: 1, n: 1, supervision_steps: {TRAINED}}}"
    return trained(tmp_path_factory.mktemp("depth"), "answer_only", settings, 80)


@pytest.fixture(scope="module")
def asked(run):
    spec = load_run(run)
    task, splits, _ = chosen_problems(spec, ["test_size=60", "seed=5"])
    return spec, task, splits.test


@pytest.fixture(scope="module")
def measured(run, asked):
    spec, task, problems = asked
    told = []
    series, rows = measure(load_quietly(spec, task, run), problems, Settings(6), 16, told.append)
    assert told == sorted(told)
    assert told[-1] == len(problems)
    return {line.key: {point.label: point for point in line.points} for line in series}, rows


@pytest.mark.parametrize(
    ("key", "label", "changes", "sure"),
    [
        ("depth", "1 step", {"supervision_steps": 1}, None),
        ("depth", "6 steps", {"supervision_steps": 6}, None),
        ("halting", "at most 4 steps", {"supervision_steps": 4, "depth": "adaptive"}, 0.5),
        ("sure", "10 % sure", {"depth": "adaptive"}, 0.1),
        ("sure", "99 % sure", {"depth": "adaptive"}, 0.99),
    ],
)
def test_a_point_is_what_a_model_of_that_depth_does(run, asked, measured, tmp_path, key, label, changes, sure):
    spec, task, problems = asked
    saved = load_quietly(spec, task, run).model
    for name, value in changes.items():
        setattr(saved.config, name, value)
    if sure is not None:  # the same as another threshold
        with torch.no_grad():
            saved.model.halting_head.bias -= math.log(sure / (1 - sure))
    saved.save_pretrained(tmp_path / "model")
    load_quietly(spec, task, run).tokenizer.save_pretrained(tmp_path / "model")
    solver = load_quietly(spec, task, tmp_path)
    evaluation = evaluate(solver, task, problems, 16)
    point = measured[0][key][label]
    assert point.accuracy.value == pytest.approx(evaluation.accuracy)
    flops = [p.solution.flops for p in evaluation.predictions]
    assert point.flops == pytest.approx(sum(flops) / len(flops))


def test_more_steps_cost_more_and_halting_saves(measured):
    points, _ = measured
    assert set(points) == {"depth", "halting", "sure"}
    depth, halting, sure = (list(points[key].values()) for key in ("depth", "halting", "sure"))
    assert [p.flops for p in depth] == sorted(p.flops for p in depth)
    assert [p.steps for p in sure] == sorted(p.steps for p in sure)
    assert halting[-1].steps < depth[-1].steps
    assert list(points["depth"]) == ["1 step", "2 steps", f"{TRAINED} steps", "4 steps", "6 steps"]
    assert len(sure) == len(SURE)
    for line in (depth, halting, sure):
        assert [p.oracle.value for p in line] == sorted(p.oracle.value for p in line)
    assert len({p.accuracy.value for p in depth}) > 1, "steps matter to it"


def test_rows_say_what_was_written(asked, measured):
    _, _, problems = asked
    points, rows = measured
    assert len(rows) == len(problems) * sum(map(len, points.values()))
    own = [row for row in rows if row["way"] == "steps per token: 2 steps"]
    assert sum(row["correct"] for row in own) / len(own) == pytest.approx(points["depth"]["2 steps"].accuracy.value)
    assert all(row["steps"] == 2 * row["tokens"] for row in own)


def test_the_model_is_left_as_it_was(run, asked):
    spec, task, problems = asked
    solver = load_quietly(spec, task, run)
    measure(solver, problems[:2], Settings(2), 16, lambda done: None)
    assert solver.model.config.supervision_steps == TRAINED


def test_the_command_writes_page_numbers_and_rows(run):
    done = call("scale", run, "test_size=20", "seed=5", "--depth", "4", "--samples", "2", "--temperature", "1.0")
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "scaling" / "scaling.json").read_text())
    assert [line["key"] for line in found["series"]] == ["depth", "halting", "sure", "votes"]
    assert found["unit"] == "Steps"
    assert found["settings"] == {"samples": 2, "temperature": 1.0, "depth": 4, "cache_policy": "per_depth"}
    assert len(pq.read_table(run / "scaling" / "scaling.parquet")) == 20 * (4 + 4 + len(SURE) + 3)
    page = (run / "scaling" / "scaling.html").read_text()
    assert f"trained with {TRAINED} supervision steps and is given up to 4 here" in page
    assert "at most 2 steps" in page
    assert "greedy thought" not in page, "it has none"


def test_other_policies_and_models_without_a_halting_head_or_steps(run, asked, tmp_path):
    spec, task, problems = asked
    solver = load_quietly(spec, task, run)
    solver.model.config.cache_policy, solver.model.config.halting = POLICY, "none"
    series, _ = measure(solver, problems[:4], Settings(2), 16, lambda done: None)
    assert [line.key for line in series] == ["depth"]
    assert deepens(run / "model")
    assert not deepens(tmp_path)
    gpt = AutoregressiveTRMConfig(rung="gpt_small", hidden_size=8, num_attention_heads=1, intermediate_size=8)
    AutoregressiveTRMForCausalLM(gpt).save_pretrained(tmp_path)
    assert not deepens(tmp_path)


def test_a_prompt_without_room_is_a_wrong_answer(run, asked):
    """As the solver has it."""
    spec, task, problems = asked
    solver = load_quietly(spec, task, run)
    lengths = [len(prompt) for prompt in solver.prompts(problems)]
    solver.model.config.max_position_embeddings = max(lengths)
    fits = [length < max(lengths) for length in lengths]
    assert True in fits
    assert False in fits
    _, rows = measure(solver, problems, Settings(TRAINED), 16, lambda done: None)
    full = [row for row in rows if row["way"] == f"steps per token: {TRAINED} steps"]
    answers = [solution.answer for solution in solver.solve(problems)]
    assert [row["correct"] for row in full] == [a == p.answer for a, p in zip(answers, problems, strict=True)]
    assert [row["tokens"] > 0 for row in full] == fits
    assert not any(row["correct"] for row, fit in zip(full, fits, strict=True) if not fit)


def test_a_chain_of_thought_has_both_ways(tmp_path):
    run = trained(tmp_path, "cot", "{T: 1, n: 1, supervision_steps: 2}", 2)
    scale_run(run, ["test_size=4", "seed=5"], Console(quiet=True), Effort(depth=2, samples=1))
    found = json.loads((run / "scaling" / "scaling.json").read_text())
    assert [line["key"] for line in found["series"]] == ["depth", "halting", "sure", "budget"]
    whole = found["series"][-1]["points"][-1]
    fixed = next(p for p in found["series"][0]["points"] if p["label"] == "2 steps")
    assert (whole["flops"], whole["steps"]) == (fixed["flops"], fixed["steps"]), "the run as it was trained"


def test_a_wrong_depth_is_told(run):
    with pytest.raises(UserError, match="depth is 0"):
        scale_run(run, [], Console(quiet=True), Effort(depth=0))
