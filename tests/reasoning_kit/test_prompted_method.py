"""The method ``prompted`` through the commands: its row, its files, and that mistakes die before anything trains."""

from __future__ import annotations

import json

import pytest
from serving import MODEL

from reasoning_kit.comparison import load_comparison
from reasoning_kit.report import comparison_table, markdown_table, render_report

RUN = "addition-4x4/prompted/seed-0"
TASK = ("task=addition-4x4", "task.addition-4x4.digits=[1,1]", "train_size=32", "test_size=12", "jobs=1")
SETTINGS = ("method.prompted.max_new_tokens=40", f"method.prompted.model={MODEL}", "method.prompted.attempts=0")


@pytest.fixture
def words(proxy) -> tuple[str, ...]:
    return (*TASK, *SETTINGS, f"method.prompted.base_url={proxy.url}")


@pytest.mark.slow
def test_a_row_beside_trained_methods(program, proxy, words, tmp_path):
    methods = ("method=[trm,answer_only,prompted]", "budget=smoke", "budget.limit=2", "method.trm.width=32")
    methods += ("method.trm.batch_size=8", "method.answer_only.batch_size=8")
    done = program("compare", *words, *methods, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads((tmp_path / "out" / RUN / "record.json").read_text(), parse_constant=pytest.fail)
    assert record["training"]["flops"] == record["training"]["seconds"] == 0
    assert record["parameters"] is None
    assert record["metrics"]["flops_per_answer"] == {"value": None}
    assert record["metrics"]["tokens_per_answer"]["value"] > 0
    assert 0 < record["metrics"]["accuracy"]["value"] < 1
    assert "knowledge from outside that is not in the budget, and no training here" in record["notes"][0]
    json.loads((tmp_path / "out" / "summary.json").read_text(), parse_constant=pytest.fail)

    [task] = load_comparison(tmp_path / "out").tasks
    row = next(row for row in task.rows if row.method == "prompted")
    assert row.unmatched == "not matched: trained elsewhere, with other data and compute, and not trained here"
    assert (row.flops_per_answer, row.parameters) == (None, None)
    assert task.headline is not None
    assert (task.headline.a, task.headline.b) == ("trm", "prompted"), "no other method writes tokens"
    assert "LM, prompted is not matched: trained elsewhere" in task.verdict
    comparison = load_comparison(tmp_path / "out")
    page, markdown = render_report(comparison), markdown_table(comparison)
    assert "0% of the budget" not in page + markdown + done.stdout
    line = next(line for line in markdown.splitlines() if line.startswith("| LM, prompted"))
    assert line.count("\u2013") == 2, "no parameters and no FLOPs of an answer"
    assert "NaN" not in page.split('<script type="application/json">')[1].split("</script>")[0]
    assert comparison_table(comparison)

    asked = len(proxy.asked)
    again = program("compare", *words, *methods, "--out", "out", cwd=tmp_path)
    assert again.returncode == 0
    assert len(proxy.asked) == asked, "a finished run is not asked for again"


@pytest.mark.slow
def test_train_stops_goes_on_and_then_eval_and_solve(program, said, proxy, words, tmp_path):
    proxy.fault = lambda number, _: 503 if number >= 8 else ""
    command = ("train", *words, "method=prompted", "method.prompted.parameters=1e3", "method.prompted.concurrency=1")
    stopped = program(*command, "--out", "out", cwd=tmp_path)
    assert stopped.returncode == 2
    assert "7 answers are saved in" in stopped.stderr, "one of the eight was the short question before"
    assert "the same command goes on" in stopped.stderr
    proxy.fault = lambda *_: ""
    done = program(*command, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(set(proxy.answered())) == len(proxy.answered()) - 1 == 13, "12 answers, and the short question twice"
    record = json.loads((tmp_path / "out" / RUN / "record.json").read_text())
    assert record["parameters"] == 1000
    assert record["metrics"]["flops_per_answer"]["value"] > 0

    assert "accuracy" in said("eval", f"out/{RUN}", "test_size=3", "seed=1")
    assert "7+8 = " in said("solve", f"out/{RUN}", "7+8")


def test_mistakes_die_before_anything_is_trained(said, proxy, words, tmp_path):
    quick = ("compare", "method=[trm,prompted]", "budget=smoke", "method.trm.batch_size=8", "--out", "out")
    for more, told in (
        (("method.prompted.model=tests/sum",), f"Did you mean '{MODEL}'?"),
        (("method.prompted.model=null",), "method.prompted.model: no model is named"),
        (("method.prompted.base_url=http://127.0.0.1:9/v1",), "http://127.0.0.1:9/v1: no connection"),
        (("method.prompted.samples=3",), "method.prompted.temperature: samples must be 1"),
        (("method.prompted.sample=3",), "Did you mean 'samples'?"),
    ):
        assert told in said(*quick, *words, *more, code=2)
        assert not list(tmp_path.glob("out/*/trm/seed-0/*"))


def test_estimate_and_methods_ls_know_it(said):
    assert "A pretrained model behind an OpenAI-compatible server" in said("methods", "ls")
    out = said("estimate", "method=prompted", "task=sudoku-4x4")
    assert "prompted" in out
    assert "method.prompted: base_url=http://localhost:8000/v1" in out
