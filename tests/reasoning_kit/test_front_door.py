"""``import reasoning_kit as rk``: light, not led astray by the working folder, and all of it works for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import reasoning_kit as rk
from benchmarks.training.budget import Budget
from reasoning_kit.comparison.view import Results

ROOT = Path(rk.__file__).parents[1]
SMALL = {"width": 32, "heads": 2, "batch_size": 32, "n": 1, "T": 1, "supervision_steps": 2}


def python(code: str, folder: Path, **environment: str) -> str:
    """What a fresh interpreter prints that stands in ``folder``, which Python puts before everything else."""
    script = folder / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_light(tmp_path):
    found = json.loads(
        python(
            "import sys, time; t = time.process_time(); import reasoning_kit as rk; seconds = time.process_time() - t\n"
            "import json; print(json.dumps([seconds, [m for m in sys.modules if m in "
            "('torch', 'transformers', 'datasets', 'numpy', 'pandas', 'hydra', 'pydantic')]]))",
            tmp_path,
        )
    )
    assert found[1] == []
    assert found[0] < 0.3


def test_what_is_called_like_a_package_in_the_working_folder_does_no_harm(tmp_path):
    (tmp_path / "trm.py").write_text("raise SystemExit('imported from the working folder')")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("raise SystemExit('imported from the working folder')")
    said = python(
        "import reasoning_kit as rk\n"
        "print(rk.load_task('sudoku', size=4).name)\n"
        "from benchmarks.task import load_task; print(load_task('sudoku', size=6).name)",
        tmp_path,
    )
    assert said.split() == ["sudoku-4x4", "sudoku-6x6"]


def test_a_package_of_that_name_that_is_loaded_already_is_named(tmp_path):
    (tmp_path / "trm.py").write_text("")
    said = python(
        "import trm\ntry:\n    import reasoning_kit\nexcept ImportError as error:\n    print(error)",
        tmp_path,
    )
    assert "needs its own package 'trm'" in said
    assert str(tmp_path / "trm.py") in said


def test_every_name_of_the_front_door_is_there():
    assert set(rk.__all__) <= set(dir(rk))
    for name in rk.__all__:
        assert getattr(rk, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        rk.no_such_name  # noqa: B018


def test_tasks_by_family_and_by_name():
    assert rk.load_task("sudoku", size=4).name == rk.load_task("sudoku-4x4").name == "sudoku-4x4"
    assert rk.load_task("sudoku-4x4", givens=6).givens == 6
    with pytest.raises(rk.UserError, match=r"Did you mean 'sudoku'"):
        rk.load_task("sudko")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    task = rk.load_task("sudoku", size=4)
    return rk.train(
        "trm", task, Budget("steps", 6), train_size=64, test_size=20, out=folder / "trm", progress=False, **SMALL
    )


def test_a_run_trains_is_found_again_and_answers(run):
    assert 0 <= run.accuracy <= 1
    assert run.interval[0] <= run.accuracy <= run.interval[1]
    assert run.cost["steps"] == 6
    assert run.spec.options.n == 1
    assert len(run.predictions()) == 20
    assert rk.evaluate(run).accuracy == run.accuracy
    assert len(rk.evaluate(run.folder, test_size=7, seed=3).predictions) == 7

    again = rk.train("trm", run.task, Budget("steps", 6), train_size=64, test_size=20, out=run.folder, **SMALL)
    assert again.record.started == run.record.started, "it was not trained again"
    assert rk.load_run(run.folder).accuracy == run.accuracy

    prediction = run.solve("1.....3..4.....2")
    assert prediction.verdict.correct in (True, False)
    assert len(run.think("1.....3..4.....2").trajectory) >= 1
    assert "trm on sudoku-4x4" in repr(run)
    assert "<div>" in run._repr_html_()


def test_another_configuration_in_the_same_folder_is_refused(run):
    with pytest.raises(rk.UserError, match="another configuration"):
        rk.train("trm", run.task, Budget("steps", 7), train_size=64, test_size=20, out=run.folder, **SMALL)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return rk.compare(
        tasks=["sudoku-4x4"],
        methods={"direct": {}, "trm": {"n": 1, "T": 1}, "deeper": {"base": "trm", "n": 2, "T": 1}},
        budget=Budget("steps", 4),
        train_size=64,
        test_size=20,
        out=tmp_path_factory.mktemp("compare") / "out",
    )


@pytest.mark.slow
def test_a_comparison_is_an_object(results):
    table = results.table()
    assert isinstance(table, pd.DataFrame)
    assert list(table["method"]) == ["direct", "trm", "deeper"]
    assert (table["low"] <= table["accuracy"]).all()
    assert len(results.problems()) == 3 * 20
    assert set(results.problems()["method"]) == {"direct", "trm", "deeper"}

    one, other = results.difference("trm", "direct"), results.difference("direct", "trm")
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    assert results.report.exists()
    assert "sudoku-4x4" in results.verdicts
    assert "<table>" in results._repr_html_()
    assert Results(results.folder).table().equals(rk.load_comparison(results.folder).table())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda results: results.difference("trm", "cot"), "no run of 'cot'"),
        (lambda results: results.difference("trm", "trm"), "two methods"),
        (lambda results: results.difference("trm", "direct", task="maze"), "the task must be one of"),
    ],
)
def test_what_is_not_in_a_comparison_is_told(results, ask, said):
    with pytest.raises(rk.UserError, match=said):
        ask(results)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rk.train("trmm", "sudoku-4x4"), r"Did you mean 'trm'"),
        (lambda: rk.train("trm", "sudoku-4x5"), r"sudoku-4x4"),
        (lambda: rk.train("trm", "sudoku-4x4", m=4), r"unknown key 'm'"),
        (lambda: rk.train("trm", "gsm8k"), r"text only"),
        (lambda: rk.compare(["sudoku-4x4"], ["cot"], model={"widht": 3}), r"Did you mean 'width'"),
        (lambda: rk.compare([], ["trm"]), r"nothing to compare"),
        (lambda: rk.load_run("nowhere"), r"no finished run"),
        (lambda: rk.load_comparison("nowhere"), r"no finished run"),
        (lambda: rk.evaluate(object()), r"needs a task and problems"),
    ],
)
def test_mistakes_are_one_sentence(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(rk.UserError, match=said):
        call()
