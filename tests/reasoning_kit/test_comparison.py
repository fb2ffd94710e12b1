"""Runs become rows, curves and a verdict; runs that cannot be compared are refused or flagged."""

import json
from dataclasses import replace

import pytest

from benchmarks.errors import UserError
from benchmarks.records import RECORD
from reasoning_kit.comparison import load_comparison
from reasoning_kit.report import markdown_table, write_summary


@pytest.fixture(scope="module")
def comparison(comparison_folder):
    return load_comparison(comparison_folder)


def test_one_row_per_method_over_its_seeds(comparison):
    assert [task.name for task in comparison.tasks] == ["arithmetic-mul-2x2", "sudoku-4x4"]
    sudoku = comparison.tasks[1]
    assert [row.method for row in sudoku.rows] == ["direct", "trm", "answer_only", "cot", "grpo"]
    assert {row.seeds for row in sudoku.rows} == {3}
    trm = sudoku.rows[1]
    assert trm.accuracy.low <= trm.accuracy.value <= trm.accuracy.high
    assert trm.accuracy.problems == 120
    assert trm.training_seconds == pytest.approx(96.0)
    assert trm.steps_per_answer == 16
    assert trm.unmatched == ""
    assert not sudoku.measures_differ


def test_verdicts_follow_from_the_data(comparison):
    arithmetic, sudoku = comparison.tasks
    assert sudoku.winner == "latent"
    assert sudoku.verdict.startswith("Latent recursion wins: TRM 99.7 % against")
    assert sudoku.headline.a == "trm"
    assert sudoku.headline.difference.low > 0
    assert arithmetic.winner == "none"
    assert arithmetic.verdict.startswith("No clear winner")
    assert arithmetic.headline.difference.low < 0 < arithmetic.headline.difference.high


def test_tokens_can_win(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0, accuracy=0.2)
    run_factory(tmp_path, "sudoku-4x4", "cot", 0, accuracy=0.9)
    (task,) = load_comparison(tmp_path).tasks
    assert task.winner == "token"
    assert task.verdict.startswith("Tokens win: LM, chain of thought (distilled)")
    assert "tokens minus latent +" in task.verdict
    assert "one seed" in task.verdict
    assert task.headline.difference.p_value < 1e-6


@pytest.mark.parametrize(("plain", "told"), [(0.9, True), (0.5, False), (0.2, False)])
def test_a_method_that_wins_without_thinking_is_not_missed(tmp_path, run_factory, plain, told):
    for seed in range(3):
        for method, accuracy in {"trm": 0.5, "cot": 0.1, "answer_only": plain}.items():
            run_factory(tmp_path, "sudoku-4x4", method, seed, problems=200, accuracy=accuracy)
    [task] = load_comparison(tmp_path).tasks
    assert task.winner == "latent"
    assert ("Without thinking, LM, answer only does better than both" in task.verdict) == told


def test_no_verdict_where_one_side_did_not_run(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0)
    run_factory(tmp_path, "sudoku-4x4", "direct", 0)
    (task,) = load_comparison(tmp_path).tasks
    assert task.winner == "unknown"
    assert task.headline is None
    assert task.verdict == "No verdict: no run of tokens here."


def test_contrasts_say_what_thinking_adds(comparison):
    pairs = [(p.a, p.b) for p in comparison.tasks[1].contrasts]
    assert pairs == [("trm", "direct"), ("cot", "answer_only"), ("grpo", "cot")]
    assert len(comparison.tasks[1].pairs) == 10


def test_curves_are_means_over_seeds(comparison):
    sudoku = comparison.tasks[1]
    trm = sudoku.learning["trm"]
    assert len(trm.seeds) == 3
    starts, ends = [s[0][0] for s in trm.seeds], [s[-1][0] for s in trm.seeds]
    assert trm.points[0][0] == max(starts)
    assert trm.points[-1][0] == min(ends)
    assert len(sudoku.scaling["trm"].points) == 16
    assert sudoku.scaling["trm"].labels[0] == "1 steps"
    assert len(sudoku.scaling["cot"].points) == 1


def test_demos_are_of_one_problem(comparison):
    demos = comparison.tasks[1].demos
    assert list(demos) == ["direct", "trm", "answer_only", "cot", "grpo"]
    assert {demo["id"] for demo in demos.values()} == {"sudoku-4x4-test-0"}


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no finished run here"):
        load_comparison(tmp_path)


def test_a_torn_record_is_named(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0)
    path = tmp_path / "sudoku-4x4" / "trm" / "seed-0" / RECORD
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"seed-0/record\.json.*not a readable record"):
        load_comparison(tmp_path)


def test_other_problems_are_refused(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0)
    run_factory(tmp_path, "sudoku-4x4", "cot", 0, data={"fingerprint": "other"})
    with pytest.raises(UserError, match="did not see the same problems") as error:
        load_comparison(tmp_path)
    assert "another folder" in error.value.cure


def test_the_same_run_twice_is_refused(tmp_path, run_factory):
    run_factory(tmp_path / "a", "sudoku-4x4", "trm", 0)
    run_factory(tmp_path / "b", "sudoku-4x4", "trm", 0)
    with pytest.raises(UserError, match="a second run"):
        load_comparison(tmp_path)


def test_other_budgets_are_flagged(tmp_path, run_factory):
    for method in ("trm", "direct"):
        run_factory(tmp_path, "sudoku-4x4", method, 0)
    run_factory(tmp_path, "sudoku-4x4", "cot", 0, budget={"unit": "flops", "limit": 9e12})
    spent = {"flops": 4.0e11, "seconds": 9.0}
    run_factory(tmp_path, "sudoku-4x4", "answer_only", 0, training=spent)
    (task,) = load_comparison(tmp_path).tasks
    flags = {row.method: row.unmatched for row in task.rows}
    assert flags["trm"] == flags["direct"] == ""
    assert "9e+12 flops instead of 1.1e+12" in flags["cot"]
    assert "spent 36% of the budget" in flags["answer_only"]
    assert "Caution" in task.verdict
    assert "(not matched)" in markdown_table(load_comparison(tmp_path))


def test_an_unknown_method_is_shown_without_a_verdict(tmp_path, run_factory):
    for method in ("trm", "cot"):
        run_factory(tmp_path, "sudoku-4x4", method, 0)
    record = run_factory(tmp_path, "sudoku-4x4", "direct", 0)
    replace(record, method="new_method").save(tmp_path / "sudoku-4x4" / "direct" / "seed-0")
    (task,) = load_comparison(tmp_path).tasks
    assert task.rows[-1].label == "new_method"
    assert task.winner == "latent"


def test_summary_and_markdown(comparison, tmp_path):
    written = json.loads(write_summary(comparison, tmp_path / "summary.json").read_text())
    assert written["sudoku-4x4"]["winner"] == "latent"
    assert written["sudoku-4x4"]["methods"]["trm"]["accuracy"]["clusters"] == 120
    text = markdown_table(comparison)
    assert "### sudoku-4x4" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows}) == 1
    assert len(rows) == 2 * 7
