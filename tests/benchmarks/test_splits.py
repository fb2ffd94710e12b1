"""Splits: disjoint up to symmetry and proven so, a fingerprint of all the data, augmentation that keeps answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import TEST_SHARE, Answer, split_of
from benchmarks.splits import Splits, build_splits, prove_disjoint, to_dataset
from benchmarks.task import load_task


@pytest.fixture(scope="module")
def task():
    return load_task("arithmetic")


def test_a_shared_orbit_is_found_also_under_a_symmetry(task):
    train, test = [task.problem(12, 34), task.problem(56, 78)], [task.problem(11, 22), task.problem(34, 12)]
    with pytest.raises(UserError, match=r"here: test problem 34\*12 is training problem 12\*34"):
        prove_disjoint(train, test, where="here")
    prove_disjoint(train, test[:1], where="here")


def test_build_splits_proves_it(task, monkeypatch):
    """A family that generates overlapping splits is stopped."""
    cls = type(task)
    monkeypatch.setattr(
        cls, "generate", lambda self, split, count, seed: [self.problem(*((12, 34)[:: (1, -1)[split == "test"]]))]
    )
    with pytest.raises(UserError, match="perhaps under a symmetry"):
        build_splits(task, 1, 1, 0)


def test_splits_are_sized_and_disjoint_whatever_the_seed(task):
    for seed in range(3):
        splits = build_splits(task, 300, 100, seed)
        assert (len(splits.train), len(splits.test)) == (300, 100)
        assert all(split_of(p.orbit) == "train" for p in splits.train)
        assert all(split_of(p.orbit) == "test" for p in splits.test)


def test_the_split_of_an_orbit_is_fixed():
    assert [split_of(f"{i}") for i in range(8)] == [split_of(f"{i}") for i in range(8)]
    share = sum(split_of(f"orbit {i}") == "test" for i in range(4000)) / 4000
    assert share == pytest.approx(TEST_SHARE, abs=0.03)
    # Pinned: a change of the hash would move problems between the splits of published runs.
    pinned = {"12*34": "train", "27*34": "train", "10*10": "test", "11*99": "train", "50*51": "test"}
    assert {orbit: split_of(orbit) for orbit in pinned} == pinned


def test_one_file_alone_is_a_user_error(task):
    for files in ((Path("a"), None), (None, Path("b"))):
        with pytest.raises(UserError, match="Give both"):
            build_splits(task, 1, 1, 0, *files)
    with pytest.raises(UserError, match="no file form"):
        build_splits(task, 1, 1, 0, Path("a"), Path("b"))


def test_generated_problems_need_a_number(task):
    for sizes in ((None, 5), (5, None)):
        with pytest.raises(UserError, match="Give train_size and test_size"):
            build_splits(task, *sizes, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two training files of 12 and 20 Sudokus and a test file of 6."""
    folder, task = tmp_path_factory.mktemp("files"), load_task("sudoku", size=4)
    known, asked = task.generate("train", 32, 0), task.generate("test", 6, 0)
    paths = []
    for name, problems in (("a", known[:12]), ("b", known[12:]), ("test", asked)):
        lines = ["source,question,answer,rating", *(f"s,{p.question},{p.answer},0" for p in problems)]
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def test_one_training_file_is_read_as_ever(files):
    task, (first, _, test) = load_task("sudoku", size=4), files
    for seed in range(3):
        splits = build_splits(task, 5, 3, seed, first, test)
        assert (splits.train, splits.test) == (task.read(first, 5, seed), task.read(test, 3, seed))
        assert build_splits(task, 5, 3, seed, [str(first)], str(test)).fingerprint == splits.fingerprint
    # Pinned: the choice decides what published runs were trained on.
    assert [p.meta["line"] for p in build_splits(task, 5, 3, 0, first, test).train] == [5, 9, 7, 4, 10]


def test_several_training_files_are_one(files):
    task, (first, second, test) = load_task("sudoku", size=4), files
    both = task.read(first) + task.read(second)
    splits = build_splits(task, None, None, 0, [first, second], test)
    assert (splits.train, splits.test) == (both, task.read(test))
    some = build_splits(task, 20, 6, 1, [first, second], test).train
    assert len({p.id for p in some}) == 20
    assert {p.id for p in some} < {p.id for p in both}
    assert {p.id[0] for p in some} == {"a", "b"}
    assert build_splits(task, 7, 6, 1, [first, second], test).train == some[:7]
    assert build_splits(task, 20, 6, 2, [first, second], test).train != some
    with pytest.raises(UserError, match=r"a\.csv and .*b\.csv: 33 puzzles are asked for, but it holds 32"):
        build_splits(task, 33, 6, 0, [first, second], test)
    with pytest.raises(UserError, match=r"b\.csv and .*test\.csv and .*b\.csv: test problem .* is training problem"):
        build_splits(task, None, None, 0, [second, test], second)


def test_fingerprint_changes_with_every_part_of_the_data(task):
    splits = build_splits(task, 20, 10, 0)
    assert splits.fingerprint == build_splits(task, 20, 10, 0).fingerprint
    first, *rest = splits.train
    others = [
        build_splits(task, 20, 10, 1),
        Splits(splits.train, splits.test[:-1]),
        Splits([replace(first, answer="0001"), *rest], splits.test),
        Splits([replace(first, question="11*11"), *rest], splits.test),
        Splits([*rest, first], splits.test),
        Splits(splits.test, splits.train),
    ]
    assert len({splits.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_augmented_problems_are_right_and_keep_their_orbit(task):
    problems = task.generate("train", 100, 0)
    moved = task.augment(problems, torch.Generator().manual_seed(0))
    again = task.augment(problems, torch.Generator().manual_seed(0))
    assert moved == again
    assert 20 < sum(a.question != b.question for a, b in zip(problems, moved, strict=True)) < 80
    for old, new in zip(problems, moved, strict=True):
        assert (new.id, new.orbit) == (old.id, old.orbit)
        assert task.verify(task.parse_question(new.question), Answer(new.answer)).correct
        assert task.problem(*map(int, new.question.split("*"))).orbit == old.orbit


def test_dataset_has_the_columns_of_the_contract(task):
    problems = task.generate("train", 10, 0)
    rows = to_dataset(task, problems)
    assert rows.column_names == ["id", "question", "answer", "meta", "input_ids", "labels"]
    assert [row["meta"]["orbit"] for row in rows] == [p.orbit for p in problems]
    ids, labels = task.encode(problems)
    assert torch.equal(torch.tensor(list(rows["input_ids"])), ids)
    assert torch.equal(torch.tensor(list(rows["labels"])), labels)
    assert task.restore(torch.tensor(rows[3]["input_ids"]), torch.tensor(rows[3]["labels"])) == (
        rows[3]["question"],
        rows[3]["answer"],
    )
