"""Each mistake of a user ends in exit code 2 and one message with its place and its cure, and nothing is lost."""

import gzip
import sys

import pytest
from command_line import contents

from benchmarks.task import load_task
from reasoning_kit.cli import main
from reasoning_kit.config.spec import fingerprint, load_config

HEADER = "source,question,answer,rating\n"


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("REASONING_KIT_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """The one message that a command ends with; what lay in the folder before is still there afterwards."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        before = contents(tmp_path)
        monkeypatch.setattr(sys, "argv", ["reasoning-kit", *words])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capsys.readouterr()
        assert ending.value.code == 2, err
        assert "Traceback" not in out + err
        assert "error:" not in out
        assert err.count("rror:") == 1, err
        message = err.strip().rpartition("rror: ")[2]
        assert "\n" not in message
        assert {name: contents(tmp_path)[name] for name in before} == before, "something was changed or lost"
        return message

    return run


@pytest.fixture(scope="module")
def rows():
    """Right rows of 4x4 Sudokus and 5x5 mazes, by family: (question, answer)."""
    sudokus = load_task("sudoku", size=4).generate("train", 3, 0)
    mazes = load_task("maze", size=5).generate("train", 3, 0)
    return {"sudoku": [(p.question, p.answer) for p in sudokus], "maze": [(p.question, p.answer) for p in mazes]}


def file_of(pairs) -> str:
    return HEADER + "".join(f"s,{question},{answer},0\n" for question, answer in pairs)


def reading(family: str, train: str = "train.csv", test: str = "train.csv", **sizes: int) -> list[str]:
    """The words of a comparison that reads these files."""
    name = {"sudoku": "sudoku-4x4", "maze": "maze-8x8"}[family]
    size = [f"task.{name}.size=5"] if family == "maze" else []
    counts = {"train_size": 3, "test_size": 3} | sizes
    return [
        "compare", f"task={name}", *size, f"task.{name}.train_file={train}", f"task.{name}.test_file={test}",
        "method=[cot]", *(f"{key}={value}" for key, value in counts.items()),
    ]  # fmt: skip


# --- files ------------------------------------------------------------------------------------------


def change(text: str, cell: int, char: str) -> str:
    return text[:cell] + char + text[cell + 1 :]


SUDOKU_FAULTS = {
    "the question has a cell too few": (lambda q, a: (q[:-1], a), "15 characters instead of 16"),
    "the answer has a cell too many": (lambda q, a: (q, a + "1"), "17 characters instead of 16"),
    "no solution": (lambda q, a: ("11" + q[2:], a), "line 3"),
    "several solutions": (lambda q, a: ("." * 16, a), "more than one solution"),
    "an answer that contradicts its question": (lambda q, a: (change(a, 0, str(5 - int(a[0]))), a), "question gives"),
    "an answer that breaks the rules": (lambda q, a: ("." * 16, "1" * 16), "must be a Sudoku"),
    "an unknown symbol": (lambda q, a: (change(q, 5, "7"), a), "has '7'"),
}
MAZE_FAULTS = {
    "a row too short": (lambda q, a: (q[:-5], a), "20 characters instead of 25"),
    "an unknown symbol": (lambda q, a: (change(q, q.index(" "), "x"), a), "'x'"),
    "a path through a wall": (lambda q, a: (q, change(a, a.index("#"), "o")), "line 3"),
    "no path": (lambda q, a: (q, a.replace("o", " ")), "line 3"),
    "two starts": (lambda q, a: (change(q, q.index(" "), "S"), a), "line 3"),
}
FAULTS = [("sudoku", name) for name in SUDOKU_FAULTS] + [("maze", name) for name in MAZE_FAULTS]


@pytest.mark.parametrize(("family", "fault"), FAULTS, ids=[f"{family}: {fault}" for family, fault in FAULTS])
def test_a_wrong_row_is_named_by_file_and_line(refused, rows, tmp_path, family, fault):
    spoil, words = (SUDOKU_FAULTS | MAZE_FAULTS if family == "maze" else SUDOKU_FAULTS)[fault]
    pairs = list(rows[family])
    pairs[1] = spoil(*pairs[1])
    (tmp_path / "train.csv").write_text(file_of(pairs))
    message = refused(*reading(family))
    assert message.startswith(f"{tmp_path / 'train.csv'}, line 3: ")
    assert words in message
    assert not (tmp_path / "runs").exists(), "nothing starts before the data is known to be right"


def test_broken_files_are_named(refused, rows, tmp_path):
    good = file_of(rows["sudoku"])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text(HEADER)
    (tmp_path / "columns.csv").write_text(good + "s,1234\n")
    packed = gzip.compress(good.encode() * 40)
    (tmp_path / "short.csv.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "plain.csv.gz").write_text(good)
    (tmp_path / "folder.csv").mkdir()
    for name, words in {
        "empty.csv": "is empty",
        "header.csv": "must hold a puzzle",
        "columns.csv": "line 5: the row must have 4 columns, not 2",
        "short.csv.gz": "ends early",
        "plain.csv.gz": "not a gzip",
        "folder.csv": "cannot be read",
    }.items():
        message = refused(*reading("sudoku", name, name))
        assert name in message
        assert words in message


def test_a_missing_path_says_where_it_was_looked_for(refused, tmp_path):
    assert str(tmp_path / "gone.csv") in refused(*reading("sudoku", *[str(tmp_path / "gone.csv")] * 2))
    assert "REASONING_KIT_DATA" in refused("compare", "task=sudoku-extreme")
    message = refused("compare", "task=sudoku-extreme", "data=nowhere")
    assert str(tmp_path / "nowhere" / "sudoku_extreme" / "train.csv.gz") in message


def test_files_that_cannot_serve_together(refused, rows, tmp_path):
    (tmp_path / "train.csv").write_text(file_of(rows["sudoku"]))
    assert "training problem" in refused(*reading("sudoku")), "test problems that were trained on"
    assert "holds 3" in refused(*reading("sudoku", train_size=4))
    assert "train_file and test_file must be given together" in refused(
        "compare", "method=[cot]", "task.sudoku-4x4.train_file=train.csv"
    )


@pytest.fixture
def sets(rows, tmp_path, monkeypatch):
    """A folder as the hub has them, its name; nothing is fetched."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text(file_of(rows["sudoku"]))
    (tmp_path / "set" / "test.csv").write_text(file_of([rows["sudoku"][0], ("." * 16, "1" * 16)]))
    return f"hub:{tmp_path / 'set'}"


def test_data_sets_are_refused_as_files_are(refused, sets, tmp_path):
    assert refused(*reading("sudoku", f"{sets}:train", f"{sets}:test", test_size=2)).startswith(f"{sets}:test, row 2: ")
    assert "training problem" in refused(*reading("sudoku", "hub:set:train", f"{sets}:train")), "one set, two names"
    assert "holds 3" in refused(*reading("sudoku", f"{sets}:train", f"{sets}:train", train_size=4))
    assert "Did you mean 'train'?" in refused(*reading("sudoku", f"{sets}:trial", f"{sets}:test"))
    assert "hub:OWNER/NAME:SPLIT" in refused(*reading("sudoku", "hub:owner/name", f"{sets}:test"))
    assert "there is no copy" in refused("compare", "task=sudoku-extreme-hub", "method=[cot]")
    assert not (tmp_path / "runs").exists()


def test_a_wrong_one_of_several_files_is_named(refused, rows, tmp_path):
    (tmp_path / "good.csv").write_text(file_of(rows["sudoku"]))
    (tmp_path / "bad.csv").write_text(HEADER)
    assert "bad.csv" in refused(*reading("sudoku", "[good.csv,bad.csv]", "good.csv"))
    assert "REASONING_KIT_DATA" in refused(*reading("sudoku", "[good.csv,gone.csv]", "good.csv"))


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("compare method=[trm,reflex]", "unknown method 'reflex'"),
        ("compare task=sudoku-7x7", "unknown task 'sudoku-7x7'"),
        ("compare budget.limit=0", "budget.limit: a budget must be a positive, finite number of flops, not 0"),
        ("compare colour=blue", "unknown key 'colour'"),
        ("compare seeds=-1", "seeds: the value must be at least 1, not -1"),
        ("compare task.sudoku-4x4.seed=-1", "task.sudoku-4x4.seed: the value must be at least 0, not -1"),
        ("compare task=multiplication-2x2 train_size=9000", "9000 are asked for"),
        ("compare --oot x", "--oot: there is no such flag"),
        ("compare sudoku", "key=value"),
        ("train", "1 task(s) and 5 method(s)"),
        ("train task=[sudoku-4x4,maze-8x8] method=trm", "2 task(s) and 1 method(s)"),
        ("eval nowhere", "no finished run here"),
        ("solve nowhere 1234", "no finished run here"),
        ("report nowhere", "no finished run here"),
        ("tasks show sudoku-5x5", "unknown task"),
        ("tasks show sudoku-4x4 --count 0", "--count"),
        ("estimate --no-probe model=pretrained", "model.path"),
        ("estimate --no-probe --model ./nothing", "model.path=./nothing"),
        ("compair", "No such command 'compair'"),
    ],
)
def test_a_wrong_word_is_named(refused, line, expected):
    assert expected in refused(*line.split())


def test_a_place_that_cannot_be_written_is_named(refused, tmp_path):
    (tmp_path / "taken").write_text("a file, no folder")
    words = ("train_size=64", "test_size=4", "method=[direct]", "--out", "taken")
    assert "taken" in refused("compare", *words)


# --- results that are there already -----------------------------------------------------------------

SETTING = ("method=[trm]", "train_size=64", "test_size=4", "budget=smoke", "--out", "out")


def test_results_of_another_configuration_are_left_alone(refused, run_factory, tmp_path):
    run_factory(tmp_path / "out", "sudoku-4x4", "trm", 0, problems=4, fingerprint="of another configuration")
    message = refused("compare", *SETTING)
    assert message.startswith("out/sudoku-4x4/trm/seed-0: ")
    assert "--fresh" in message


def test_results_on_other_problems_are_told_before_anything_is_trained(refused, run_factory, tmp_path):
    """They would end in a refusal to report, after hours of training."""
    run_factory(tmp_path / "out", "sudoku-4x4", "cot", 0, problems=4)
    message = refused("compare", *SETTING)
    assert message.startswith("out/sudoku-4x4/cot/seed-0: ")
    assert "other problems" in message


@pytest.mark.parametrize("damage", [b"", b'{"task": ', b"[]", b"\xff\xfe\x00"])
def test_an_unreadable_record_is_named(refused, run_factory, tmp_path, damage):
    run_factory(tmp_path / "out", "sudoku-4x4", "trm", 0, problems=4)
    record = tmp_path / "out" / "sudoku-4x4" / "trm" / "seed-0" / "record.json"
    record.write_bytes(damage)
    for words in (
        ("compare", *SETTING),
        ("report", "out"),
        ("eval", str(record.parent)),
        ("solve", str(record.parent)),
    ):
        assert "record.json" in refused(*words)


def test_predictions_that_are_missing_are_named(refused, run_factory, tmp_path):
    run_factory(tmp_path / "out", "sudoku-4x4", "trm", 0, problems=4)
    (tmp_path / "out" / "sudoku-4x4" / "trm" / "seed-0" / "predictions.parquet").unlink()
    assert "predictions.parquet" in refused("report", "out")


def test_a_finished_run_without_its_weights(refused, run_factory, tmp_path):
    spec = load_config(["method=[trm]"]).runs()[0]
    from dataclasses import asdict

    run_factory(tmp_path, "sudoku-4x4", "trm", 0, problems=4, config=asdict(spec), fingerprint=fingerprint(spec))
    run = str(tmp_path / "sudoku-4x4" / "trm" / "seed-0")
    question = load_task("sudoku", size=4).generate("test", 1, 0)[0].question
    assert "no trained model" in refused("solve", run, question)
    assert "one puzzle" in refused("solve", run)
    assert "one puzzle" in refused("solve", run, question, "--file", "also.txt")
    assert "gone.txt" in refused("solve", run, "--file", "gone.txt")
    assert "cells were given" in refused("solve", run, "123")
    assert "neither a digit" in refused("solve", run, "5" * 16)
    assert "more than one solution" in refused("solve", run, "." * 16)
    assert "Did you mean 'test_size'" in refused("eval", run, "tst_size=4")
    assert "eval.test_size" in refused("eval", run, "test_size=many")
    assert "eval.seed" in refused("eval", run, "seed=-1")
    assert "key=value" in refused("eval", run, "test_size")
