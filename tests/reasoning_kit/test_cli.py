"""The commands as a new user types them; what needs no process of its own runs in this one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, environment

from benchmarks.task import load_task
from cot_distill.traces import styles
from reasoning_kit.config.spec import load_config
from reasoning_kit.registry import trained_methods


def processor_seconds(*words: str) -> float:
    """User and system time of a command: unlike wall time the same on a crowded machine."""
    before = os.times()
    subprocess.run([PROGRAM, *words], check=True, capture_output=True, env=environment())
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


@pytest.mark.parametrize("words", [("--help",), ("compare", "--help"), ("tasks", "--help")])
def test_help_answers_at_once(words):
    assert sorted(processor_seconds(*words) for _ in range(3))[1] < 1


def test_help_names_every_command(program):
    shown = program("--help").stdout
    for command in ("compare", "train", "eval", "solve", "tasks", "methods", "estimate", "report", "doctor", "parity"):
        assert re.search(rf"^  {command} ", shown, re.MULTILINE)


GOLDEN = Path(os.environ.get("REASONING_KIT_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no recorded runs: REASONING_KIT_GOLDEN names their folder")
def test_parity_shows_agreement_and_fails_on_a_changed_number(program, tmp_path):
    recording = GOLDEN / "published_trm_attention.npz"
    same = program("parity", recording)
    assert same.returncode == 0
    assert same.stdout.count("yes") == (7 if "rounds" not in same.stdout else 5), "all kinds, or those of one step"
    with np.load(recording) as stored:
        changed = dict(stored)
    changed["train/0/logits"][0, 0, 0] += 0.1
    np.savez(tmp_path / "changed.npz", **changed)
    other = program("parity", tmp_path / "changed.npz")
    assert (other.returncode, "no: train/0/logits" in other.stdout) == (1, True)


def test_parity_refuses_what_is_no_recording(said, tmp_path):
    (tmp_path / "notes.npz").write_text("no numbers")
    assert "Name a recorded run" in said("parity", tmp_path / "notes.npz", code=2)


def test_the_package_is_a_program_too(tmp_path):
    words = [sys.executable, "-m", "reasoning_kit", "--help"]
    assert "compare" in subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout


def test_a_mistake_exits_with_2(program):
    done = program("compare", "budget.limit=0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: budget.limit: ")


def test_doctor_finds_everything(program, tmp_path):
    done = program("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "packages" in done.stdout
    assert "compare experiment=quick" in done.stdout


def test_doctor_fails_where_something_is_missing(monkeypatch, capsys):
    from reasoning_kit import cli
    from reasoning_kit.commands import doctor

    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name == "trl" else object())
    monkeypatch.setattr(sys, "argv", ["reasoning-kit", "doctor"])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == 1
    assert "pip install trl" in capsys.readouterr().out


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    from reasoning_kit import cli
    from reasoning_kit.commands import compare

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", interrupted)
    monkeypatch.setattr(sys, "argv", ["reasoning-kit", "compare"])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err


# --- tasks and estimates ----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 200])
def test_tasks_are_listed_by_names_that_can_be_typed(said, columns):
    shown = said("tasks", "ls", columns=columns)
    for name in ("sudoku-4x4", "maze-8x8", "multiplication-2x2", "sudoku-extreme"):
        assert name in shown


@pytest.mark.parametrize(
    ("task", "answer", "trace"),
    [
        ("sudoku-4x4", r"\(\d\)", r"(?m)^[a-d1-4?!.]+$"),
        ("maze-8x8", "o", r"\|"),
        ("multiplication-2x2", r"= \d{4}", r"=.*;"),
    ],
)
def test_tasks_show_examples_with_their_traces(said, task, answer, trace):
    said_so = said("tasks", "show", task, "--count", 2)
    first, *traces = said_so.split("trace of the programmatic teacher, method.cot.trace=")
    known = styles(load_config([f"task={task}"]).tasks[task].load())
    assert [text.partition(":")[0] for text in traces] == [*known, *known]
    assert re.search(answer, first)
    assert re.search(trace, traces[0].strip())


def test_estimate_prices_every_method_before_anything_runs(said, tmp_path):
    shown = said("estimate", "--no-probe", "task=[sudoku-4x4,maze-8x8,multiplication-2x2]")
    price = r"\d\.\d\de\+\d\d"
    for task in ("sudoku-4x4", "maze-8x8", "multiplication-2x2"):
        for method in trained_methods():
            row = next(line for line in shown.splitlines() if re.search(rf"{task} .* {method} ", line))
            assert re.search(rf" \d+,\d{{3}} .* {price} .* {price} .* [\d,]+ .* MiB", row), row
    assert "method.grpo: algorithm=grpo start=distill" in shown, "every option and its value"
    assert "distillation.schedule=constant" in shown
    assert not any(tmp_path.iterdir())


def test_a_probe_says_how_long_it_will_take(said, tmp_path):
    shown = said("estimate", "method=[direct,answer_only]", "train_size=64", "budget=smoke", "budget.limit=1000")
    assert re.search(r"All 2 runs, one after another: about \d+", shown)
    assert not any(tmp_path.iterdir())


# --- with trained runs ------------------------------------------------------------------------------

after_training = [pytest.mark.slow, pytest.mark.timeout(900)]
QUESTION = load_task("sudoku", size=4).generate("test", 1, 5)[0].question


class TestWithTrainedRuns:
    pytestmark = after_training

    def test_solve_shows_a_typed_puzzle_step_by_step(self, smoke, program):
        done = program("solve", smoke.run("sudoku-4x4", "trm"), QUESTION)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert [f"supervision step {step}:" in done.stdout for step in range(1, 17)] == [True] * 16
        assert "halting probability" in done.stdout

    def test_solve_shows_both_latents_of_every_step(self, smoke, said):
        shown = said("solve", smoke.run("sudoku-4x4", "trm"), QUESTION, "--latents")
        steps = re.findall(r"supervision step (\d+): halting probability 0\.\d\d", shown)
        assert steps == [str(i) for i in range(1, 17)]
        assert (shown.count("─ y ─"), shown.count("─ z ─")) == (16, 16)

    def test_a_language_model_has_no_latents(self, smoke, said):
        assert "no latents" in said("solve", smoke.run("multiplication-2x2", "cot"), "12*34", "--latents", code=2)

    def test_solve_reads_a_file(self, smoke, tmp_path, said):
        board = "\n".join(QUESTION[i : i + 4] for i in range(0, 16, 4))
        (tmp_path / "puzzle.txt").write_text(f"{board}\n")
        shown = said("solve", smoke.run("sudoku-4x4", "direct"), "--file", tmp_path / "puzzle.txt")
        assert "question" in shown
        assert re.search(r"right|wrong", shown)

    @pytest.mark.parametrize("method", ["cot", "answer_only", "grpo"])
    def test_solve_reads_standard_input(self, smoke, said, method):
        shown = said("solve", smoke.run("multiplication-2x2", method), "-", stdin="12*34\n")
        assert "12*34" in shown
        assert "answer: " in shown

    def test_solve_keeps_the_spaces_of_a_maze(self, smoke, tmp_path, said):
        (tmp_path / "maze.txt").write_text("S       \n" + "        \n" * 6 + "       G\n")
        assert "question" in said("solve", smoke.run("maze-8x8", "direct"), "--file", tmp_path / "maze.txt")

    @pytest.mark.parametrize(("task", "wrong"), [("sudoku-4x4", "." * 16), ("multiplication-2x2", "1*2")])
    def test_solve_refuses_a_wrong_puzzle(self, smoke, said, task, wrong):
        assert said("solve", smoke.run(task, "direct"), wrong, code=2).startswith("error: ")

    @pytest.mark.parametrize("method", trained_methods())
    def test_eval_gives_the_same_numbers_again(self, smoke, said, method):
        folder = smoke.run("sudoku-4x4", method)
        assert "accuracy" in said("eval", folder)
        recorded = json.loads((folder / "record.json").read_text())
        again = json.loads((folder / "eval.json").read_text())
        assert again["data"] == recorded["data"]["fingerprint"]
        for name in ("accuracy", "exact", "valid", "steps_per_answer", "flops_per_answer"):
            assert again["metrics"][name]["value"] == pytest.approx(recorded["metrics"][name]["value"]), name

    def test_eval_takes_other_problems(self, smoke, said, tmp_path):
        folder = smoke.run("sudoku-4x4", "direct")
        said("eval", folder, "test_size=9", "seed=3")
        raw = json.loads((folder / "eval.json").read_text())
        assert raw["metrics"]["accuracy"]["problems"] == 9
        problem = load_task("sudoku", size=4).generate("test", 1, 8)[0]
        header = "source,question,answer,rating\n"
        (tmp_path / "mine.csv").write_text(f"{header}me,{problem.question},{problem.answer},0\n")
        said("eval", folder, f"test_file={tmp_path / 'mine.csv'}", "test_size=1")
        trained_on = load_task("sudoku", size=4).generate("train", 1, 0)[0]
        (tmp_path / "known.csv").write_text(f"{header}me,{trained_on.question},{trained_on.answer},0\n")
        assert "training problem" in said("eval", folder, f"test_file={tmp_path / 'known.csv'}", "test_size=1", code=2)

    def test_report_can_be_written_again(self, smoke, said, tmp_path):
        page = smoke.folder / "report.html"
        before = page.read_text()
        page.unlink()
        shown = said("report", smoke.folder, "--markdown", tmp_path / "tables" / "results.md")
        assert page.read_text() == before
        assert "report.html" in shown
        assert "sudoku-4x4" in (tmp_path / "tables" / "results.md").read_text()


def test_train_says_where_the_run_lies(said, tmp_path):
    shown = said(
        "train", "task=sudoku-4x4", "method=direct", "method.direct.batch_size=8", "train_size=16", "test_size=4",
        "budget=smoke", "budget.limit=1", "evaluation.curve_problems=0", "--out", "out",
    )  # fmt: skip
    folder = tmp_path / "out" / "sudoku-4x4" / "direct" / "seed-0"
    assert (folder / "record.json").exists()
    assert str(folder) in shown.replace("\n", "")
