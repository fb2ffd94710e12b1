"""``scale`` on a language model trained here: points are what the solver would really have done."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from command_line import call

from benchmarks.evaluation import evaluate
from cot_distill.scaling.tokens import Settings, measure
from reasoning_kit.runs.finished import chosen_problems, load_quietly, load_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sums of two digits with a chain of thought, right often but not always."""
    folder = tmp_path_factory.mktemp("tokens")
    words = (
        "train", "task=addition-4x4", "task.addition-4x4.digits=[2,2]", "method=cot", "train_size=2000", "test_size=8",
        "evaluation.curve_problems=0", "method.cot.learning_rate=1e-2", "method.cot.batch_size=32",
        "method.cot.warmup_steps=10", "model.width=32",
        "model.heads=2", "model.key_value_heads=2", "model.inner=128", "budget.unit=steps", "budget.limit=260",
        "--out", folder,
    )  # fmt: skip
    done = call(*words)
    assert done.returncode == 0, done.stderr
    return folder / "addition-4x4" / "cot" / "seed-0"


@pytest.fixture(scope="module")
def asked(run):
    spec = load_run(run)
    task, splits, _ = chosen_problems(spec, ["test_size=60", "seed=5"])
    return spec, task, splits.test


@pytest.fixture(scope="module")
def measured(run, asked):
    spec, task, problems = asked
    series, rows = measure(load_quietly(spec, task, run), problems, Settings(4, 1.0), 16, lambda done: None)
    return {line.key: {point.label: point for point in line.points} for line in series}, rows


@pytest.mark.parametrize("budget", [0, 1, 8, None])
def test_a_budget_is_what_the_solver_does_with_it(run, asked, measured, budget):
    spec, task, problems = asked
    solver = load_quietly(spec, task, run)
    solver.options = replace(solver.options, token_budget=budget)
    evaluation = evaluate(solver, task, problems, 16)
    label = "the whole thought" if budget is None else f"at most {budget} tokens"
    point = measured[0]["budget"][label]
    assert point.accuracy.value == pytest.approx(evaluation.accuracy)
    flops = [p.solution.flops for p in evaluation.predictions]
    assert point.flops == pytest.approx(sum(flops) / len(flops))


def test_more_thought_costs_more_and_the_oracle_never_falls(measured):
    for points in measured[0].values():
        line = list(points.values())
        assert [p.flops for p in line[:-1]] == sorted(p.flops for p in line[:-1])
        assert [p.oracle.value for p in line] == sorted(p.oracle.value for p in line)
        assert all(p.oracle.value >= p.accuracy.value for p in line)
    budget = list(measured[0]["budget"].values())
    assert budget[0].accuracy.value < 0.2 < budget[-1].accuracy.value  # without its thought it does not know


def test_votes_are_what_the_rows_say(asked, measured):
    _, _, problems = asked
    series, rows = measured
    assert len(rows) == 5 * len(problems)
    by_problem = {problem.id: [row for row in rows if row["id"] == problem.id] for problem in problems}
    greedy = sum(rows[0]["correct"] for rows in by_problem.values()) / len(problems)
    assert series["budget"]["the whole thought"].accuracy.value == pytest.approx(greedy)
    first = sum(rows[1]["correct"] for rows in by_problem.values()) / len(problems)
    assert series["votes"]["1 sample"].accuracy.value == pytest.approx(first)
    found = sum(any(row["correct"] for row in rows[1:]) for rows in by_problem.values()) / len(problems)
    assert series["votes"]["4 samples"].oracle.value == pytest.approx(found)


def test_the_command_writes_page_numbers_and_rows(run):
    done = call("scale", run, "test_size=20", "seed=5", "--samples", "2", "--temperature", "1.0")
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "scaling" / "scaling.json").read_text())
    assert [line["key"] for line in found["series"]] == ["budget", "votes"]
    assert found["unit"] == "Tokens"
    assert len(pq.read_table(run / "scaling" / "scaling.parquet")) == 20 * 3
    page = (run / "scaling" / "scaling.html").read_text()
    assert "at most 8 tokens" in page
    assert "supervision step" not in page


@pytest.mark.parametrize(
    ("words", "told"), [(["--samples", "0"], "samples is 0"), (["--temperature", "0"], "positive")]
)
def test_wrong_settings_are_told(run, words, told):
    done = call("scale", run, *words)
    assert done.returncode == 2
    assert told in done.stderr
