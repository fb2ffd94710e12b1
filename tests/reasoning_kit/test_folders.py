"""Two commands never share a results folder by accident, and nobody's files are overwritten."""

import pytest

from benchmarks.errors import UserError
from reasoning_kit.comparison import load_comparison
from reasoning_kit.config.folders import LONGEST, check_out, results_folder
from reasoning_kit.config.spec import load_config
from reasoning_kit.report import write_report


def folder_of(*overrides: str) -> str:
    return str(results_folder(overrides, load_config(overrides)))


# --- the name ---------------------------------------------------------------------------------------


def test_a_named_comparison_goes_where_its_name_says():
    assert folder_of("experiment=quick") == "runs/quick"
    assert folder_of("experiment=quick", "seeds=3", "jobs=2", "threads=1") == "runs/quick", "more of the same"
    assert folder_of("name=mine", "method.trm.n=4") == "runs/mine"
    assert folder_of("out=elsewhere/here", "method=[trm]") == "elsewhere/here"


def test_a_folder_says_which_tasks_methods_and_budget():
    assert (
        folder_of("task=[sudoku-4x4,maze-8x8]", "method=[trm,cot]") == "runs/sudoku-4x4+maze-8x8--trm+cot--3.5e12-flops"
    )
    assert folder_of("method=trm", "budget=minutes") == "runs/sudoku-4x4--trm--120-seconds"
    assert folder_of("method=trm", "budget.limit=1234567890") == "runs/sudoku-4x4--trm--1234567890.0-flops"
    assert folder_of("method=trm", "budget=quick") == folder_of("method=[trm]") == folder_of("method=trm", "jobs=2")


def test_what_the_name_does_not_say_is_in_a_hash():
    asked = [
        ("method=trm",),
        ("method=trm", "method.trm.n=4"),
        ("method=trm", "method.trm.n=5"),
        ("method=trm", "train_size=70"),
        ("method=trm", "task.sudoku-4x4.givens=6"),
        ("method=[trm,cot]", "model=small"),
        ("experiment=quick",),
        ("experiment=quick", "method.trm.n=4"),
        ("experiment=quick", "budget.limit=1e12"),
        ("experiment=quick", "task=[maze-8x8]"),
    ]
    names = [folder_of(*overrides) for overrides in asked]
    assert len(set(names)) == len(names)
    assert folder_of("method=trm", "method.trm.n=4", "train_size=70") == folder_of(
        "train_size=70", "method.trm.n=3", "method.trm.n=4", "method=trm"
    ), "neither the order nor what was given first and then changed"


def test_a_long_list_stays_a_readable_name():
    many = "method=[ar_gpt_small,ar_pause,ar_gpt,ar_tied_step,ar_tied_growing,ar_universal,ar_dual,ar_nested]"
    name = folder_of(many).removeprefix("runs/")
    assert name.startswith("sudoku-4x4--8-methods--3.5e12-flops--")
    assert len(name) <= LONGEST
    assert name != folder_of(many.replace("ar_dual", "ar_growing")).removeprefix("runs/")


# --- what is there ----------------------------------------------------------------------------------


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        check_out(folder)
    assert "--out" in error.value.cure
    return str(error.value)


def test_a_new_and_an_empty_folder_are_free(tmp_path):
    check_out(tmp_path)
    check_out(tmp_path / "new" / "one")
    (tmp_path / ".hidden").touch()
    check_out(tmp_path)


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    assert "thesis.tex" in refused(tmp_path)
    assert "must be a folder" in refused(tmp_path / "thesis.tex")


def test_a_report_of_another_program_is_refused_and_kept(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0)
    (tmp_path / "report.html").write_text("<title>Grades</title>")
    assert "report.html" in refused(tmp_path)
    assert (tmp_path / "report.html").read_text() == "<title>Grades</title>"


def test_our_own_results_are_gone_on_with(tmp_path, run_factory):
    run_factory(tmp_path, "sudoku-4x4", "trm", 0)
    (tmp_path / "notes.txt").touch()
    check_out(tmp_path)
    write_report(tmp_path)
    check_out(tmp_path)
    assert load_comparison(tmp_path).tasks

    unfinished = tmp_path / "other"
    (unfinished / "sudoku-4x4" / "trm" / "seed-0").mkdir(parents=True)
    check_out(unfinished)
