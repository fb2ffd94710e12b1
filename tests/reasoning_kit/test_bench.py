"""``bench``: every command as a user calls it, at sizes that a CPU does in seconds."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import time

import pytest
import torch
from command_line import PROGRAM, call, environment, workers_of

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.files.csv_rows import HEADER
from benchmarks.task import load_task
from reasoning_kit.bench.gpu import seconds_to
from reasoning_kit.bench.matmul import matmul_rate
from reasoning_kit.bench.time_to_accuracy import checked_accuracy, summarise
from trm import pricing
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.solver import TRMSolver
from trm.trainer import build

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TINY = (
    "task=sudoku-4x4", "method=[trm,quick]", "method.quick.base=trm", "method.quick.T=1", "method.quick.n=1",
    "method.trm.width=16", "method.trm.T=2", "method.trm.n=2", "method.trm.supervision_steps=2",
    "method.trm.batch_size=16", "train_size=64", "test_size=32",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    words = ("train", "task=sudoku-4x4", "method=trm", *TINY[5:], "budget.unit=steps", "budget.limit=20")
    done = call(*words, "evaluation.curve_problems=0", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder / "sudoku-4x4" / "trm" / "seed-0"


def assert_says_where(found):
    assert found["command"].startswith("reasoning-kit bench")
    assert found["versions"]["torch"] == torch.__version__
    assert found["hardware"]["processor"]
    assert {"commit", "changed"} >= set(found["git"])


# --- matrix products and the step ----------------------------------------------------------------


def test_the_rate_is_that_of_the_recursions_products():
    config = build(load_task("sudoku", size=4), TRMOptions(width=32, mixer="mlp"))
    rate = matmul_rate(config, 8, "float32", torch.device("cpu"), seconds=0.01)
    flops = sum(2.0 * p.rows * p.inner * p.columns for p in rate.products)
    assert config.layers * flops == 8 * pricing.network(config), "all products of the network, none else"
    assert rate.flops_per_second == max(p.flops_per_second for p in rate.products) > 1e6


def test_trm_step(tmp_path):
    out = tmp_path / "step.json"
    words = ("--size", "4", "--width", "16", "--prefix", "0", "--batch", "4", "-T", "2", "-n", "1", "--steps", "2")
    done = call(
        "bench", "trm-step", *words, "--precision", "float32", "--compile", "off", "--threads", "1", "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("plain", "off", "float32", "FLOP/s", "Start"))
    found = json.loads(out.read_text())
    assert_says_where(found)
    assert found["shape"] | {"width": 16, "batch": 4, "size": 4, "T": 2, "n": 1, "threads": 1} == found["shape"]
    assert [(row["program"], row["precision"]) for row in found["rows"]] == [("plain", "float32"), ("off", "float32")]
    plain, own = found["rows"]
    assert plain["ratio"] == plain["memory_ratio"] == 1
    assert own["ratios"] == [a / b for a, b in zip(plain["seconds"], own["seconds"], strict=True)]
    assert len(own["seconds"]) == 2
    options = TRMOptions(width=16, T=2, n=1, mixer="mlp")
    assert own["flops"] == 4 * pricing.training_step(build(load_task("sudoku", size=4), options))
    rate = found["matmul"]["float32"]["flops_per_second"]
    assert own["utilisation"] == pytest.approx(own["flops"] / own["median_seconds"] / rate)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trm-step", "--compile", "of"), "unknown value 'of'. Did you mean 'off'?"),
        (("trm-step", "--compile", ","), "--compile"),
        (("trm-step", "--precision", "float8"), "unknown value 'float8'"),
        (("trm-step", "--size", "5"), "size must be"),
        (("trm-step", "--steps", "0"), "--steps"),
        (("trm-step", "--threads", "0"), "--threads"),
        (("trm-step", "-T", "0"), "T is 0"),
        (("trm-solve", "nowhere"), "no finished run here"),
        (("trm-solve", "nowhere", "--precision", "double"), "unknown value 'double'"),
        (("trm-solve", "nowhere", "--repeats", "0"), "--repeats"),
        (("time-to-accuracy", *TINY, "--target", "0"), "--target"),
        (("time-to-accuracy", *TINY, "--target", "1.5"), "--target"),
        (("time-to-accuracy", *TINY, "--every", "10", "--limit", "5"), "--every"),
        (("time-to-accuracy", *TINY, "--limit", "0"), "--limit"),
        (("time-to-accuracy", "task=[sudoku-4x4,sudoku-6x6]"), "2 tasks are named"),
        (("time-to-accuracy", "method.trm.widht=3"), "widht"),
        (("gpu", "--out", "x", "--small", "--stages", "matmull"), "Did you mean 'matmul'?"),
        (("gpu", "--out", "x", "--small", "--seeds", "0"), "--seeds"),
        (("gpu", "--out", "x", "--small", "--stages", "scale"), "Run the stage sudoku first"),
    ],
)
def test_mistakes_are_one_message(said, tmp_path, words, message):
    assert message in said("bench", *words, code=2)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("words", [("gpu", "--out", "x"), ("trm-step", "--compile", "cuda_graphs")])
def test_what_needs_a_gpu_says_so(said, tmp_path, words):
    assert "there is no GPU here" in said("bench", *words, code=2)


# --- solving -------------------------------------------------------------------------------------


def test_trm_solve(run, tmp_path):
    out = tmp_path / "solve.json"
    words = ("test_size=12", "seed=3", "--repeats", "2", "--batch-size", "8", "--steps", "3", "--out", out)
    done = call("bench", "trm-solve", run, *words)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("all steps", "halting", "halting, no refill", "12 problems"))
    found = json.loads(out.read_text())
    assert_says_where(found)
    assert (found["problems"], found["steps"], found["batch_size"]) == (12, 3, 8)
    assert found["overrides"] == ["test_size=12", "seed=3"]
    assert {len(speeds) for speeds in found["per_second"].values()} == {2}


# --- time to accuracy ----------------------------------------------------------------------------


@pytest.mark.parametrize("target", [0.02, 0.3, 0.5, 1.0])
def test_a_check_decides_as_if_all_had_been_answered(run, target):
    """The halves of the problems that it is right about are planted: labels are what the model says, or another."""
    task = load_task("sudoku", size=4)
    solver = TRMSolver(TRMForPuzzles.from_pretrained(run / "model").eval(), task)
    problems = task.generate("test", 200, 0)
    told = [solution.answer for solution in solver.solve(problems)]
    mine = [
        p.__class__(p.id, p.question, answer.text if i % 2 else p.answer, p.orbit, p.meta)
        for i, (p, answer) in enumerate(zip(problems, told, strict=True))
    ]
    accuracy = evaluate(solver, task, mine).accuracy
    assert 0.5 <= accuracy < 0.9
    found = checked_accuracy(solver, task, mine, target, 64)
    assert found.reached == (accuracy >= target)
    assert found.right == sum(task.verify(p, a).correct for p, a in zip(mine[: found.seen], told, strict=False))
    assert (found.seen == 200) == found.reached or found.seen - found.right > 200 - math.ceil(200 * target)
    assert checked_accuracy(solver, task, mine, accuracy, 64).reached, "exactly the target is enough"


def timed(method, seconds, reached=True):
    return {"method": method, "seconds": seconds, "flops": 10 * seconds, "reached": reached}


@pytest.mark.parametrize(
    ("runs", "ratio", "meaning"),
    [
        ([timed("a", 8), timed("a", 6), timed("a", 4), timed("b", 3), timed("b", 1), timed("b", 2)], 3, "exactly"),
        ([timed("a", 9, False), timed("a", 9, False), timed("a", 4), timed("b", 3)], 3, "at least"),
        ([timed("a", 9, False), timed("a", 6), timed("a", 4), timed("b", 3)], 2, "exactly"),
        ([timed("a", 3), timed("b", 9, False)], 1 / 3, "at most"),
        ([timed("a", 9, False), timed("b", 9, False)], None, "unknown"),
    ],
)
def test_runs_that_do_not_arrive_bound_the_ratio(runs, ratio, meaning):
    rows = summarise(runs, ["a", "b"])
    assert (rows[1]["ratio"], rows[1]["ratio_is"]) == (ratio, meaning)
    assert rows[0]["ratio"] == 1
    assert rows[0]["at_least"] == (meaning in ("at least", "unknown"))


@pytest.mark.slow
def test_time_to_accuracy_is_measured_once(said, tmp_path):
    out = tmp_path / "time.json"
    words = ("bench", "time-to-accuracy", *TINY, "--every", "0.25", "--limit", "20", "--out", out)
    done = call(*words, "--target", "0.05")
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert_says_where(found)
    assert [(run["method"], run["seed"], run["reached"]) for run in found["runs"]] == [
        ("trm", 0, True),
        ("quick", 0, True),
    ]
    for one in found["runs"]:
        last = one["checks"][-1]
        assert [check["reached"] for check in one["checks"]] == [False] * (len(one["checks"]) - 1) + [True]
        assert (last["seconds"], last["right"] / last["seen"]) == (one["seconds"], one["accuracy"])
        assert last["seen"] == 32
        assert last["right"] >= 0.05 * 32
        assert 0.25 <= one["seconds"] < 20
        assert one["steps"] > 0
        assert one["flops"] > 0
    reference, quick = found["summary"]
    assert quick["ratio"] == reference["seconds"] / quick["seconds"]
    assert not list(tmp_path.glob(".*")), "nothing half written"

    before = out.read_bytes()
    assert said(*words, "--target", "0.05").count("measured before, skipped") == 2
    assert "its runs have target 0.05, not 0.06" in said(*words, "--target", "0.06", code=2)
    assert "it has quick, seed 0, with other options" in said(*words, "--target", "0.05", "method.quick.n=2", code=2)
    assert out.read_bytes() == before

    found["runs"].pop()  # as if it had been stopped before the second
    out.write_text(json.dumps(found))
    assert call(*words, "--target", "0.05").stdout.count("measured before, skipped") == 1
    runs = json.loads(out.read_text())["runs"]
    assert [run["method"] for run in runs] == ["trm", "quick"]
    assert runs[0] == found["runs"][0]


def test_a_target_that_is_not_reached(tmp_path):
    out = tmp_path / "time.json"
    words = (*TINY, "method=[trm]", "--every", "0.5", "--limit", "1", "--target", "1", "--out", out)
    done = call("bench", "time-to-accuracy", *(word for word in words if "quick" not in str(word)))
    assert done.returncode == 0, done.stderr
    [one] = json.loads(out.read_text())["runs"]
    assert not one["reached"]
    assert one["seconds"] >= 1
    assert one["checks"][-1]["seconds"] == one["seconds"], "there is a check at the limit"
    assert "0 of 1" in done.stdout


# --- everything a GPU can tell -------------------------------------------------------------------


@pytest.mark.slow
def test_gpu_goes_on_where_it_was_stopped(said, tmp_path):
    out = tmp_path / "gpu"
    words = ("bench", "gpu", "--small", "--out", out)
    process = subprocess.Popen([PROGRAM, *words], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    patience = time.monotonic() + 300
    log = out / "sudoku/sudoku-extreme/trm/seed-0/trainer/unfinished.json"
    while process.poll() is None and not log.exists() and time.monotonic() < patience:
        time.sleep(0.1)
    assert log.exists()
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert not workers_of(out)
    assert sorted(path.name for path in out.glob("*.json")) == ["matmul.json", "trm-step-off.json"]
    assert "A training step" in (out / "gpu.md").read_text()

    done = call(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("measured before, skipped") == 2
    assert "resumed at step" in done.stdout
    stages = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    assert sorted(stages) == ["matmul", "maze", "scale", "sudoku", "trm-step-off"]
    for stage in stages.values():
        assert_says_where(stage)
    [trained] = stages["sudoku"]["runs"]
    assert trained["seconds_to_target"] == seconds_to(trained["curve"], 0.87)
    assert trained["training"]["seconds"] >= 5
    [scaled] = stages["scale"]["runs"]
    assert scaled["trained_depth"]["accuracy"]["value"] == trained["accuracy"]["value"]
    assert scaled["best"]["accuracy"]["value"] >= trained["accuracy"]["value"]
    assert stages["trm-step-off"]["rows"][1]["program"] == "off"
    report = (out / "gpu.md").read_text()
    for title in ("Matrix products", "A training step", "Sudoku-Extreme", "Maze-Hard", "Deeper and wider inference"):
        assert f"## {title}" in report
    tables = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", report, re.MULTILINE)]
    assert len(tables) == 5
    assert all(len({line.count("|") for line in table}) == 1 for table in tables), "whole rows"

    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert said(*words).count("measured before, skipped") == 5
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    assert "other settings" in said(*words, "--seeds", "2", code=2)


def test_time_is_read_off_the_curve():
    curve = [{"seconds": 3.0, "accuracy": 0.5}, {"seconds": 6.0, "accuracy": 0.9}, {"seconds": 9.0, "accuracy": 0.8}]
    assert seconds_to(curve, 0.87) == 6
    assert seconds_to(curve, 0.95) is None


def test_rows_of_one_source(tmp_path):
    """What the GPU's Sudoku is judged by."""
    problems = load_task("sudoku", size=4).generate("train", 5, 0)
    path = tmp_path / "puzzles.csv"
    rows = [f"{'ab'[i % 2]},{p.question},{p.answer},0" for i, p in enumerate(problems)]
    path.write_text("\n".join([",".join(HEADER), *rows, ""]))
    assert [p.question for p in load_task("sudoku", size=4, source="b").read(path)] == [
        p.question for p in problems[1::2]
    ]
    assert len(load_task("sudoku", size=4).read(path)) == 5
    assert len(load_task("sudoku", size=4, source="a").read(path, 2)) == 2
    with pytest.raises(UserError, match="no row has the source 'c'"):
        load_task("sudoku", size=4, source="c").read(path)
