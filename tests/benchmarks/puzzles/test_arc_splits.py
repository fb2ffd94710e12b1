from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.puzzles.arc import splits as arc_splits
from benchmarks.puzzles.arc.grids import to_grid, to_text, turned
from benchmarks.puzzles.arc.task import ARC
from benchmarks.splits import prove_disjoint

TRAIN_1, TEST_1 = "arc_agi_1/training.json.gz", "arc_agi_1/evaluation.json.gz"
TRAIN_2, TEST_2 = "arc_agi_2/training.json.gz", "arc_agi_2/evaluation.json.gz"
CONCEPTS = "concept_arc/corpus.json.gz"
Splits = tuple[list[Problem], list[Problem]]


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """The large published files are read once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arc_splits, "read_tasks", cache(arc_splits.read_tasks))
        yield


def split(data: Path, train: list[str], test: str) -> Splits:
    return ARC().read_splits([data / name for name in train], data / test, None, None, seed=0)


def refused(data: Path, train: list[str], test: str) -> UserError:
    with pytest.raises(UserError) as error:
        split(data, train, test)
    assert error.value.cure
    return error.value


# --- the published files ------------------------------------------------------------------------


def test_the_papers_setting_of_arc_1(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train, test = split(data, [TRAIN_1, CONCEPTS], TEST_1)
    [note] = [record.getMessage() for record in caplog.records]
    assert "training/40853293 (has a pair or the id of arc_agi_1/evaluation/070dd51e)" in note
    assert "training/caa06a1f (has a pair or the id of arc_agi_1/evaluation/50a16a69)" in note
    puzzles = {p.meta["puzzle"] for p in train}
    assert len(puzzles) == (400 - 2) + 160 + 400
    assert {p.meta["puzzle"] for p in test} <= puzzles
    assert (len(train), len(test)) == (1302 + 416 - 7 + 427 + 480 + 1363, 419)  # the two tasks have 7 pairs
    assert len({p.id for p in (*train, *test)}) == len(train) + len(test)
    prove_disjoint(train, test, where="ARC-AGI-1")
    # all that training sees of a test task is its demonstrations
    asked = {p.answer for p in test}
    shown = {(p.meta["puzzle"], p.answer) for p in train if "/evaluation/" in p.meta["puzzle"]}
    given = {(p.meta["puzzle"], pair.partition(">")[2]) for p in test for pair in p.question.split(";")[:-1]}
    assert shown == given
    assert len(asked) > 400
    # demonstrations that a turn or new colours make their own test pair: trained on, and marked
    orbits = {p.orbit: p.meta["puzzle"] for p in test}
    marked = [p for p in train if "shown by" in p.orbit]
    assert len(marked) == 13
    assert len({p.meta["puzzle"] for p in marked}) == 7
    assert all(orbits[p.orbit.split()[0]] == p.meta["puzzle"] for p in marked)


def test_the_papers_setting_of_arc_2(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        train, test = split(data, [TRAIN_2, CONCEPTS], TEST_2)
    assert not caplog.records
    assert (len(train), len(test)) == (3232 + 1076 + 427 + 480 + 359, 167)
    prove_disjoint(train, test, where="ARC-AGI-2")


def test_training_on_arc_2_and_testing_on_arc_1_is_refused(data: Path) -> None:
    error = refused(data, [CONCEPTS, TRAIN_2], TEST_1)
    assert "376 of the 400" in error.what
    assert "00576224" in error.what
    assert TEST_1 in str(error.where)
    assert "6 of the 120" in refused(data, [TRAIN_1, TEST_1], TEST_2).what


def test_the_guard_looks_at_contents_not_at_names(data: Path, tmp_path: Path) -> None:
    """Other file name, other ids, every grid turned and recoloured, test pairs hidden among demonstrations."""
    raw = json.loads(gzip.decompress((data / TEST_2).read_bytes()))
    colours = np.array([0, 4, 5, 6, 7, 8, 9, 1, 2, 3], dtype=np.uint8)

    def image(grid: list[list[int]]) -> list[list[int]]:
        return colours[turned(np.array(grid, dtype=np.uint8), 5)].tolist()

    moved = {}
    for number, task in enumerate(raw.values()):
        pairs = [{side: image(grid) for side, grid in pair.items()} for pair in (*task["test"], *task["train"])]
        moved[f"new{number}"] = {"train": pairs[:1], "test": pairs[1:]}
    path = tmp_path / "harmless.json"
    path.write_text(json.dumps(moved))
    assert "120 of the 120" in refused(data, [str(path)], TEST_2).what
    with pytest.raises(UserError, match="perhaps under a symmetry"):
        prove_disjoint(ARC().read(path), ARC().read(data / TEST_2), where="x")


def test_naming_the_test_file_for_training_is_refused(data: Path) -> None:
    assert "demonstrations are trained on all the same" in str(refused(data, [TRAIN_1, TEST_1], TEST_1).cure)


# --- small files --------------------------------------------------------------------------------


def pair(seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {side: draw.integers(0, 10, (3, 4)).tolist() for side in ("input", "output")}


def files(folder: Path, known: dict[str, Any], tested: int) -> tuple[list[Path], Path]:
    """``tested`` tasks ``e0, e1, ...`` with the pairs ``1000 * i`` and ``1000 * i + 1``, tested on the second."""
    test = {f"e{i}": {"train": [pair(1000 * i)], "test": [pair(1000 * i + 1)]} for i in range(tested)}
    for name, content in (("train.json", known), ("test.json", test)):
        (folder / name).write_text(json.dumps(content))
    return [folder / "train.json"], folder / "test.json"


@pytest.mark.parametrize(("tested", "refuses"), [(99, True), (100, False)])
def test_up_to_one_in_a_hundred_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tested: int, refuses: bool
) -> None:
    known = {
        "good": {"train": [pair(7)], "test": [pair(8)]},
        "bad": {"train": [pair(9), pair(3001)], "test": [pair(10)]},
    }
    train_files, test_file = files(tmp_path, known, tested)
    if refuses:
        with pytest.raises(UserError, match="answers to 1 of the 99"):
            ARC().read_splits(train_files, test_file, None, None, 0)
        return
    train, test = ARC().read_splits(train_files, test_file, None, None, 0)
    assert len(train) == 100 + 2
    assert "bad" in caplog.text
    prove_disjoint(train, test, where="x")


def test_an_id_of_a_test_task_is_a_leak_too(tmp_path: Path) -> None:
    train_files, test_file = files(tmp_path, {"e3": {"train": [pair(7)], "test": [pair(8)]}}, 5)
    with pytest.raises(UserError, match=r"train/e3, has a pair or the id of .*test/e3"):
        ARC().read_splits(train_files, test_file, None, None, 0)


def test_a_demonstration_that_is_another_tasks_test_pair_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_files, test_file = files(tmp_path, {"good": {"train": [pair(7)], "test": [pair(8)]}}, 3)
    content = json.loads(test_file.read_text())
    content["e0"]["train"] = [content["e1"]["test"][0], content["e0"]["test"][0], pair(5)]
    test_file.write_text(json.dumps(content))
    train, test = ARC().read_splits(train_files, test_file, None, None, 0)
    assert [p.meta["pair"] for p in train if p.meta["puzzle"].endswith("/e0")] == [2, 3]
    assert "e0 train 1 is left out" in caplog.text
    prove_disjoint(train, test, where="x")


def test_each_pair_is_asked_and_shows_the_others(tmp_path: Path) -> None:
    pairs = [pair(seed) for seed in range(5, 9)]
    train_files, test_file = files(tmp_path, {"t": {"train": pairs[:3], "test": pairs[3:]}}, 1)
    train, test = ARC().read_splits(train_files, test_file, None, None, 0)
    texts = [tuple(to_text(np.array(p[side], dtype=np.uint8)) for side in ("input", "output")) for p in pairs]
    asked = [p for p in train if p.meta["puzzle"].endswith("train/t")]
    assert [p.meta["pair"] for p in asked] == [1, 2, 3, 4]
    for number, p in enumerate(asked):
        others = [">".join(other) for k, other in enumerate(texts) if k != number]
        assert p.question == ";".join([*others, texts[number][0]])
        assert p.answer == texts[number][1]
    [only] = [p for p in train if p.meta["puzzle"].endswith("test/e0")]
    [test_problem] = test
    assert ";" not in only.question
    assert test_problem.question.startswith(f"{only.question}>{only.answer};")
    assert ARC().puzzle_of(only) == ARC().puzzle_of(test_problem) == f"{tmp_path.name}/test/e0"
    assert to_text(to_grid(test_problem.answer)) == test_problem.answer


def test_sizes_choose_and_keep_the_demonstrations_of_the_tasks_tested(tmp_path: Path) -> None:
    known = {f"t{i}": {"train": [pair(10**6 + 9 * i)], "test": [pair(10**6 + 9 * i + 1)]} for i in range(30)}
    train_files, test_file = files(tmp_path, known, 40)

    def sized(train_size: int | None, test_size: int | None) -> Splits:
        return ARC().read_splits(train_files, test_file, train_size, test_size, 0)

    everything = {p.id for p in sized(None, None)[0]}
    assert len(everything) == 60 + 40
    train, test = sized(50, 10)
    tested = {p.meta["puzzle"] for p in test}
    assert (len({p.id for p in train}), len({p.id for p in test}), len(tested)) == (50, 10, 10)
    assert {f"{puzzle} train 1" for puzzle in tested} < {p.id for p in train} < everything
    assert len({p.id for p in train if "/train/t" in p.id}) > 10, "the rest is a random choice"
    assert {p.id for p in sized(30, 10)[0]} < {p.id for p in train}
    assert sized(50, 5)[1] == test[:5] == ARC().read(test_file, limit=5, seed=0)
    assert ARC().read(test_file, limit=5, seed=1) != test[:5]
    assert {p.meta["puzzle"] for p in sized(10, 10)[0]} == tested
    assert len(sized(100, 40)[0]) == 100
    for sizes, message in (
        ((9, 10), "Ask for at least 10"),
        ((101, 10), "Ask for at most 100"),
        ((50, 41), "at most 40"),
        ((50, 0), "at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            sized(*sizes)
