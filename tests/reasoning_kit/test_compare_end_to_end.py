"""One tiny comparison for real, through the command line: five methods, three families, a process for each run."""

import json
import math
import time

import pyarrow.parquet as pq
import pytest
from command_line import FIRST, contents, workers_of

from benchmarks.records import RunRecord
from reasoning_kit.registry import METHODS, trained_methods

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TASKS = ("sudoku-4x4", "maze-8x8", "multiplication-2x2")
RUNS = [(task, method) for task in TASKS for method in trained_methods()]


def test_stopping_leaves_no_process_and_what_is_finished(smoke):
    assert smoke.stopped.returncode == 143
    assert "Traceback" not in smoke.stopped.stderr
    assert smoke.survivors == []
    assert {"record.json", "predictions.parquet"} <= set(smoke.finished)


def test_the_same_command_finishes_the_rest(smoke):
    assert smoke.done.returncode == 0, smoke.done.stderr
    assert "Traceback" not in smoke.done.stdout + smoke.done.stderr
    assert smoke.done.stdout.count("finished before, skipped") == 1
    assert smoke.done.stdout.count("accuracy") >= len(RUNS) - 1
    now = contents(smoke.folder / FIRST)  # eval, tested elsewhere on this run, adds a file
    assert {name: now.get(name) for name in smoke.finished} == smoke.finished, "a finished run was touched"
    assert not workers_of(smoke.folder)


@pytest.mark.parametrize(("task", "method"), RUNS)
def test_every_run_has_a_record_and_a_row_per_problem(smoke, task, method):
    folder = smoke.run(task, method)
    record = RunRecord.load(folder)
    assert (record.task["name"], record.method, record.seed) == (task, method, 0)
    assert record.training["steps"] == pytest.approx(2, abs=1), "within one step of the budget"
    assert record.training["flops"] > 0
    assert record.parameters > 0
    assert record.peak_memory_bytes > 2**20
    assert 0 <= record.metrics["accuracy"]["low"] <= record.metrics["accuracy"]["high"] <= 1
    assert record.metrics["flops_per_answer"]["value"] > 0
    assert all(math.isfinite(entry["loss"]) for entry in record.loss)
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert len(rows) == len({row["id"] for row in rows}) == record.data["test"] == 4
    assert (folder / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("task", TASKS)
def test_all_methods_saw_the_same_problems(smoke, task):
    records = [RunRecord.load(smoke.run(task, method)) for method in trained_methods()]
    assert len({record.data["fingerprint"] for record in records}) == 1
    assert len({record.demo["question"] for record in records}) == 1
    questions = [
        pq.read_table(smoke.run(task, m) / "predictions.parquet")["question"].to_pylist() for m in trained_methods()
    ]
    assert all(asked == questions[0] for asked in questions)


def test_grpo_pays_for_its_start_checkpoint(smoke):
    record = RunRecord.load(smoke.run("sudoku-4x4", "grpo"))
    start = record.diagnostics["start_cost"]
    assert 0 < start["steps"] < record.training["steps"]
    assert 0 < start["flops"] < record.training["flops"]


def test_the_report_holds_every_method_and_task(smoke):
    html = (smoke.folder / "report.html").read_text()
    for word in (*TASKS, *(METHODS[name].label for name in trained_methods())):
        assert word in html
    assert str(smoke.folder / "report.html") in smoke.done.stdout.replace("\n", "")


def test_a_working_directory_with_files_called_like_packages_does_no_harm(smoke):
    """``python -m`` imports ``datasets.py`` from where one stands; see :func:`reasoning_kit.runs.launch._start`."""
    logs = "".join(path.read_text() for path in smoke.folder.rglob("log.txt"))
    assert "imported from the working directory" not in logs


def test_once_more_skips_everything(smoke, said):
    def runs() -> dict[str, bytes]:
        return {name: content for name, content in contents(smoke.folder).items() if "seed-0/" in name}

    before = runs()
    began = time.monotonic()
    shown = said(*smoke.words)
    assert time.monotonic() - began < 60, "far less than training takes"
    assert shown.count("finished before, skipped") == len(RUNS)
    assert runs() == before


# --- the published files ----------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "methods"), [("sudoku-extreme", ["trm", "direct"]), ("maze-hard", ["trm", "cot"])])
def test_published_files_train_and_evaluate(data_folder, tmp_path, said, task, methods):
    """The honest score of one step is 0, and is shown as such."""
    sizes = [f"method.{method}.batch_size=2" for method in methods]
    shown = said(
        "compare", f"task={task}", f"data={data_folder}", f"method=[{','.join(methods)}]", *sizes, "budget=smoke",
        "method.trm.evaluation_steps=2", "budget.limit=1", "train_size=16", "test_size=2",
        "evaluation.curve_problems=0", "jobs=1", "--out", "out",
    )  # fmt: skip
    for method in methods:
        raw = json.loads((tmp_path / "out" / task / method / "seed-0" / "record.json").read_text())
        assert raw["metrics"]["accuracy"]["value"] == 0
        assert raw["data"]["source"].endswith("train.csv.gz")
    assert "0.0 %" in shown
