"""Arithmetic: disjoint splits, symmetries that keep answers right, a verifier that no digit escapes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task

TASKS = [("multiplication", (2, 2)), ("multiplication", (3, 2)), ("addition", (2, 2)), ("addition", (1, 3))]


@pytest.fixture(params=TASKS, ids=str)
def task(request):
    operation, digits = request.param
    return load_task("arithmetic", operation=operation, digits=digits)


@pytest.mark.parametrize(("digits", "train", "test"), [((2, 2), 3000, 1000), ((1, 1), 40, 10), ((4, 3), 500, 500)])
@pytest.mark.parametrize("seeds", [(0, 0), (0, 1), (7, 3)])
def test_train_and_test_share_no_pair_in_either_order(digits, train, test, seeds):
    task = load_task("arithmetic", digits=digits)
    seen = task.generate("train", train, seeds[0])
    unseen = task.generate("test", test, seeds[1])
    pairs = {frozenset(p.question.split("*")) for p in seen}
    assert len({p.id for p in seen}) == train
    assert len({p.id for p in unseen}) == test
    assert not any(frozenset(p.question.split("*")) in pairs for p in unseen)


def test_generated_answers_are_right_and_reproducible(task):
    problems = task.generate("train", 200, 3)
    assert problems == task.generate("train", 200, 3)
    assert problems != task.generate("train", 200, 4)
    for p in problems:
        assert int(p.answer) == eval(p.question)
        assert len(p.answer) == task.width
        assert [len(n) for n in p.question.replace("+", "*").split("*")] == list(task.digits)


def test_more_problems_than_there_are_is_a_user_error_that_says_how_many():
    task = load_task("arithmetic", digits=(1, 1))
    with pytest.raises(UserError, match="Ask for at most") as caught:
        task.generate("test", 100, 0)
    most = int(caught.value.cure.split("at most ")[1].split(",")[0])
    assert len(task.generate("test", most, 5)) == most
    assert most + int(_most(task, "train")) == 100


def _most(task, split):
    with pytest.raises(UserError) as caught:
        task.generate(split, 101, 0)
    return caught.value.cure.split("at most ")[1].split(",")[0]


def test_grid_form_round_trip(task):
    problems = task.generate("train", 50, 0)
    input_ids, labels = task.encode(problems)
    assert input_ids.shape == labels.shape == (50, task.positions)
    assert input_ids.min() >= 1
    assert input_ids.max() < task.vocabulary_size
    for p, ids, lab in zip(problems, input_ids, labels, strict=True):
        assert task.restore(ids, lab) == (p.question, p.answer)
        assert (lab == IGNORE).sum() == task.positions - task.width
        assert task.decode(p, lab) == Answer(p.answer)
        assert p.answer not in task.restore(ids, ids)[1]  # the grid does not give the answer away


def test_decoding_anything_but_a_digit_gives_a_question_mark():
    task = load_task("arithmetic")
    p = task.problem(27, 34)
    tokens = task.encode([p])[1][0].clone()
    tokens[-1] = 0
    tokens[-2] = task.vocabulary.index("=") + 1
    assert task.decode(p, tokens).text == "09??"
    assert not task.verify(p, task.decode(p, tokens)).correct


def test_symmetries_keep_answers_right_and_all_occur(task):
    problems = task.generate("train", 100, 1)
    input_ids, labels = task.encode(problems)
    symmetries = task.sample_symmetries(100, torch.Generator().manual_seed(0))
    changed = 0
    for p, ids, lab in zip(problems, symmetries.apply(input_ids), symmetries.apply(labels), strict=True):
        question, answer = task.restore(ids, lab)
        moved = task.parse_question(question)
        assert task.verify(moved, Answer(answer)).correct
        assert moved.orbit == p.orbit
        changed += question != p.question
    assert 30 < changed < 70 if task.digits[0] == task.digits[1] else changed == 0


def test_every_one_digit_change_is_rejected(task):
    for p in task.generate("test", 30, 0):
        assert task.verify(p, Answer(p.answer)).score == 1.0
        for place in range(task.width):
            for digit in set("0123456789?") - {p.answer[place]}:
                verdict = task.verify(p, Answer(p.answer[:place] + digit + p.answer[place + 1 :]))
                assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)
                assert verdict.score < 1
                assert verdict.reason
    assert not task.verify(p, None).correct
    assert not task.verify(p, Answer(p.answer + "0")).correct
    assert task.verify(p, Answer(p.answer + "0")).score < 1


@pytest.mark.parametrize("text", ["918", "0918", " 0918\n", "0000918"])
def test_any_way_to_write_the_number_counts(text):
    task = load_task("arithmetic")
    problem = task.problem(27, 34)
    assert task.verify(problem, task.parse_answer(problem, text)).correct


@pytest.mark.parametrize(
    "text", ["", "9 18", "918.0", "=918", "-918", "٩١٨", "918;918", "<think>918", "0" * 40 + "918"]
)
def test_what_is_no_number_is_no_answer(text):
    task = load_task("arithmetic")
    assert task.parse_answer(task.problem(27, 34), text) is None


def test_typed_questions():
    task = load_task("arithmetic")
    assert task.parse_question(" 27 * 34 = ") == task.problem(27, 34)
    for wrong in (
        "",
        "27",
        "27*",
        "27+34",
        "7*34",
        "127*34",
        "27*34*2",
        "a*34",
        "-27*34",
        "2.7*34",
        "9" * 5000 + "*12",
    ):
        with pytest.raises(UserError, match="Type it like"):
            task.parse_question(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"operation": "division"},
        {"digits": (0, 2)},
        {"digits": (2, 10)},
        {"digits": (2,)},
        {"digits": (1, 2, 3)},
        {"digits": 2},
        {"digits": ["2", "2"]},
        {"digit": (2, 2)},
    ],
    ids=str,
)
def test_wrong_options_are_user_errors(options):
    with pytest.raises(UserError):
        load_task("arithmetic", **options)


def test_digits_from_yaml_give_the_same_task():
    assert load_task("arithmetic", digits=[2, 3]) == load_task("arithmetic", digits=(2, 3))
