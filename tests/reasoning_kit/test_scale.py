"""``scale`` and ``bench trm-solve`` on a model trained here: points are what the solver would really have done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_line import call

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.splits import prove_disjoint
from reasoning_kit.bench.trm_solve import bench_solve, load_recursive_run, measure_solve
from reasoning_kit.runs.finished import chosen_problems
from trm.method import trained_model as load_recursive
from trm.scaling import Rollouts, Settings, check, measure
from trm.solver import TRMSolver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SETTINGS = Settings(depth=6, trajectories=4, votes=4, noise=0.5, patience=1, precision="float32")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A 4x4 Sudoku model that is right often but not always."""
    folder = tmp_path_factory.mktemp("scale")
    words = (
        "train", "task=sudoku-4x4", "method=trm", "train_size=128", "test_size=8", "evaluation.curve_problems=0",
        "method.trm.width=32", "method.trm.T=2", "method.trm.n=1", "method.trm.supervision_steps=4",
        "method.trm.batch_size=32", "budget.unit=steps", "budget.limit=250", "--out", folder,
    )  # fmt: skip
    done = call(*words)
    assert done.returncode == 0, done.stderr
    return folder / "sudoku-4x4" / "trm" / "seed-0"


@pytest.fixture(scope="module")
def asked(run):
    task, splits, _ = chosen_problems(load_recursive_run(run), ["test_size=60", "seed=5"])
    prove_disjoint(splits.train, splits.test, where="test")
    return task, splits.test


@pytest.fixture(scope="module")
def measured(run, asked):
    series, rows = measure(load_recursive(run), *asked, SETTINGS, 16, lambda done: None)
    return {line.key: line for line in series}, rows


@pytest.mark.parametrize(
    ("key", "label", "options"),
    [
        ("depth", "1 step", {"steps": 1}),
        ("depth", "6 steps", {"steps": 6}),
        ("halting-0", "at most 4 steps", {"steps": 4, "halting": True, "patience": 0}),
        ("halting-1", "at most 6 steps", {"steps": 6, "halting": True}),
        ("trajectories", "2 trajectories", {"steps": 6, "trajectories": 2}),
        ("trajectories", "4 trajectories", {"steps": 6, "trajectories": 4}),
        ("trajectories-halting", "4 trajectories", {"steps": 6, "trajectories": 4, "halting": True}),
        ("first", "4 trajectories", {"steps": 6, "trajectories": 4, "select": "first"}),
        ("votes", "4 votes", {"steps": 6, "votes": 4}),
        ("votes-halting", "2 votes", {"steps": 6, "votes": 2, "halting": True}),
    ],
)
def test_a_point_is_what_the_solver_does(run, asked, measured, key, label, options):
    task, problems = asked
    [point] = [p for p in measured[0][key].points if p.label == label]
    evaluation = evaluate(TRMSolver(load_recursive(run), task, noise=0.5, **options), task, problems)
    assert point.accuracy.value == pytest.approx(evaluation.accuracy)
    assert point.oracle.value == pytest.approx(evaluation.oracle)
    assert point.flops == pytest.approx(np.mean([p.solution.flops for p in evaluation.predictions]))
    assert point.steps == pytest.approx(np.mean([p.solution.steps for p in evaluation.predictions]))
    assert point.accuracy.low <= point.accuracy.value <= point.accuracy.high


def test_the_lines_hang_together(measured):
    lines, rows = measured
    assert 0.1 < lines["depth"].points[3].accuracy.value < 1, "neither hopeless nor perfect"
    for line in lines.values():
        for point in line.points:
            assert point.oracle.value >= point.accuracy.value
        oracles = [point.oracle.value for point in line.points]
        assert key_is_race(line.key) or oracles == sorted(oracles), line.key
    assert lines["trajectories"].points[0].accuracy == lines["depth"].points[-1].accuracy
    assert lines["first"].points[0].flops == lines["halting-1"].points[-1].flops
    assert len(rows) == 60 * 4
    own = [row["right_at_end"] for row in rows if row["trajectory"] == 0]
    assert np.mean(own) == lines["depth"].points[-1].accuracy.value


def key_is_race(key):
    """With more competitors a race ends earlier, and less is seen."""
    return key == "first"


def test_choices_by_hand():
    right = np.array([[[0, 1, 0], [0, 0, 1]]], dtype=bool)
    trust = np.array([[[-1, 2, 1], [-1, -1, 3]]], dtype=np.float32)
    rollouts = Rollouts(right, trust, np.array([[[0, 0, 0], [0, 0, 1]]]))
    assert rollouts.first_halt(0).tolist() == [[2, 3]]
    assert rollouts.first_halt(1).tolist() == [[3, 3]]
    assert rollouts.first_halt(0, 1).tolist() == [[1, 1]]

    def chosen(steps, ways):
        return [bool(x[0]) for x in rollouts.chosen(np.array(steps), ways)]

    assert chosen([[3, 3]], 1) == [False, True], "its second answer was right, its last is not"
    assert chosen([[3, 3]], 2) == [True, True]
    assert chosen([[2, 2]], 2) == [True, True]
    assert chosen([[1, 1]], 2) == [False, False]


def test_one_command_writes_numbers_rows_and_a_page(run, tmp_path):
    done = call("scale", run, "test_size=20", "seed=3", "--depth", "3", "--trajectories", "2", "--votes", "2",
                "--out", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all(
        word in done.stdout
        for word in ("all steps", "2 trajectories", "first to be sure", "2 votes", "verifier-chosen")
    )
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert found["settings"] == {
        "depth": 3, "trajectories": 2, "votes": 2, "noise": 0.5, "patience": 1, "precision": "float32",
    }  # fmt: skip
    assert (found["problems"], found["task"]["seed"], found["unit"]) == (20, 3, "Steps")
    assert "trained with at most 4 supervision steps" in found["lead"]
    assert found["versions"]["torch"]
    assert found["hardware"]["cores"]
    keys = [line["key"] for line in found["series"]]
    assert keys == [
        "depth", "halting-0", "halting-1", "trajectories", "trajectories-halting", "first", "votes", "votes-halting",
    ]  # fmt: skip
    rows = pq.read_table(tmp_path / "scaling.parquet").to_pylist()
    assert len(rows) == 40
    page = (tmp_path / "scaling.html").read_text()
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=", page.partition("<footer>")[0]), "nothing is fetched"
    assert "verifier" in page
    if CHROMIUM is not None:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
        words = [CHROMIUM, *flags, (tmp_path / "scaling.html").as_uri()]
        dom = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
        root = re.search(r"<html[^>]*>", dom).group()
        assert 'data-ready="yes"' in root
        assert "data-error" not in root
        assert len(re.findall(r'<g class="trace scatter', dom)) == 2 * 2 * len(keys), "lines and marks in two figures"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--depth", "0"), "depth is 0"),
        (("--noise", "0"), "noise is 0"),
        (("--precision", "float8"), "unknown precision"),
        (("test_sise=3",), "test_size"),
    ],
)
def test_mistakes_are_one_message(run, tmp_path, words, message):
    done = call("scale", run, *words, "--out", tmp_path / "out")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_settings_are_checked():
    with pytest.raises(UserError, match="trajectories is 0"):
        check(Settings(1, 0, 1, 0.5, 1, "float32"))


def test_the_benchmark_says_what_halting_gives(run, asked):
    task, problems = asked
    model = load_recursive(run)
    model.halting_head.bias.data[0] = 20.0  # stops as soon as the answer stays
    found = measure_solve(task, model, problems, repeats=3, batch_size=16)
    speeds = found.per_second
    assert {len(values) for values in speeds.values()} == {3}
    ratios = [a / b for a, b in zip(speeds["halting"], speeds["all steps"], strict=True)]
    assert found.ratio == sorted(ratios)[1]
    whole, short = (evaluate(TRMSolver(model, task, halting=h), task, problems) for h in (False, True))
    assert found.all_steps_accuracy.value == pytest.approx(whole.accuracy)
    assert found.accuracy.value == pytest.approx(short.accuracy)
    assert found.difference.value == pytest.approx(short.accuracy - whole.accuracy)
    assert found.mean_steps == np.mean([p.solution.steps for p in short.predictions]) < found.steps == 4
    assert json.loads(json.dumps(found.to_dict()))["problems"] == 60
    assert bench_solve(run, ["test_size=4", "seed=5"], repeats=1).problems == 4
