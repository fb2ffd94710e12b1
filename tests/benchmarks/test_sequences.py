"""Sequences: right labels, tests at other lengths, and only the whole answer counts as right."""

from __future__ import annotations

import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Answer
from benchmarks.task import load_task

OPERATIONS = ("copy", "reverse", "addition")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_labels_are_right_and_splits_have_their_lengths(operation):
    task = load_task("sequences", operation=operation, length=6, test_lengths=[6, 12])
    train, test = task.generate("train", 50, 0), task.generate("test", 40, 0)
    assert {p.meta["length"] for p in train} == {6}
    assert [p.meta["length"] for p in test].count(12) == 20
    assert not {p.orbit for p in train} & {p.orbit for p in test}
    assert train == task.generate("train", 50, 0)
    for p in train + test:
        if operation == "addition":
            first, second = p.question[:-1].split("+")
            assert int(p.answer[::-1]) == int(first[::-1]) + int(second[::-1])
            assert len(p.answer) == p.meta["length"] + 1
        else:
            assert p.answer == (p.question[:-1] if operation == "copy" else p.question[-2::-1])
        assert task.verify(p, task.parse_answer(p, task.answer_text(p))).correct
        assert set(task.question_text(p) + p.answer) <= set(task.alphabet)
        assert task.parse_question(p.question) == p


def test_training_problems_of_several_lengths():
    several = load_task("sequences", operation="reverse", length=5, shortest=2, test_lengths=[5, 9])
    assert several.name == "reverse-2to5-long"
    lengths = [p.meta["length"] for p in several.generate("train", 400, 0)]
    assert set(lengths) == {2, 3, 4, 5}
    assert lengths.count(5) > 80  # as likely as the others; of the shortest there are not as many different ones
    assert {p.meta["length"] for p in several.generate("test", 20, 0)} == {5, 9}


def test_problems_of_a_seed_are_those_of_earlier_versions():
    """So that runs from before can be gone on with, and compared."""
    sums = load_task("sequences", operation="addition", length=4)
    assert [p.question for p in sums.generate("train", 2, 0)] == ["4974+9541=", "7017+7831="]


@pytest.mark.parametrize(("written", "score"), [("abd", 2 / 3), ("abcc", 3 / 4), ("ab", 2 / 3), ("cba", 1 / 3)])
def test_wrong_answers_get_what_agrees_and_never_all(written, score):
    task = load_task("sequences", operation="copy", length=3)
    verdict = task.verify(task.problem("abc"), Answer(written))
    assert not verdict.correct
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize("text", ["", "abc", "abx>", "a b>", ">"])
def test_what_cannot_be_read_is_told(text):
    task = load_task("sequences", operation="copy", length=3)
    problem = task.problem("abc")
    assert task.parse_answer(problem, "abX") is None
    assert not task.verify(problem, None).correct
    if text != "abc":  # the sign may be left out
        with pytest.raises(UserError, match="must look like abc>"):
            task.parse_question(text)


def test_mistakes_in_the_options_are_told():
    for options, words in [
        ({"operation": "revers"}, "reverse"), ({"length": 0}, "at least 1"), ({"test_lengths": []}, "at least 1"),
        ({"shortest": 11}, "must be 1 to 10"), ({"shortest": 0}, "must be 1 to 10"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=words):
            load_task("sequences", **options)
    with pytest.raises(UserError, match="fewer"):
        load_task("sequences", operation="copy", length=1).generate("train", 50, 0)
