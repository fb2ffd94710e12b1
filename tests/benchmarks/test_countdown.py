"""Countdown: right labels, disjoint splits, the grid form and its symmetry, typed questions, wrong options."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import permutations

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, split_of
from benchmarks.splits import build_splits
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task
from benchmarks.verifiable.countdown import expressions
from benchmarks.verifiable.countdown.search import first_answer, goals, search

OPTIONS = [
    {},
    {"numbers": 4, "fewest": 3},
    {"numbers": 5},
    {"numbers": 6},
    {"largest": 9, "target": [1, 20]},
    {"numbers": 4, "largest": 300, "target": (100, 999)},
]


@pytest.fixture(params=OPTIONS, ids=str)
def task(request):
    return load_task("countdown", **request.param)


@pytest.fixture(scope="module")
def three():
    return load_task("countdown")


def test_generated_labels_are_right_and_reproducible(task):
    problems = task.generate("train", 40, 3)
    assert problems == task.generate("train", 40, 3)
    assert problems[:10] == task.generate("train", 10, 3)
    assert problems != task.generate("train", 40, 4)
    for p in problems:
        left, target = p.question.split("=")
        numbers = [int(n) for n in left.split(",")]
        # Python, which has no part in the verifier, agrees.
        assert eval(p.answer.replace("/", "//")) == int(target)
        assert sorted(expressions.numbers(expressions.parse(p.answer))) == sorted(numbers)
        assert task.least <= len(numbers) <= task.numbers
        assert all(1 <= n <= task.largest for n in numbers)
        assert task.target[0] <= int(target) <= task.target[1]
        assert all(step[3] >= 1 and step[3].denominator == 1 for step in expressions.steps(expressions.parse(p.answer)))
        verdict = task.verify(p, task.parse_answer(p, task.answer_text(p)))
        assert (verdict.correct, verdict.exact, verdict.valid, verdict.score) == (True, True, True, 1.0)
        assert task.parse_question(p.question) == p
        assert set(task.question_text(p) + task.answer_text(p)) <= set(task.alphabet)


@pytest.mark.parametrize("seeds", [(0, 0), (1, 2)])
def test_splits_share_no_numbers_with_target(seeds):
    task = load_task("countdown", largest=9, target=(1, 12))
    train, test = task.generate("train", 300, seeds[0]), task.generate("test", 80, seeds[1])
    sets = [{(tuple(sorted(p.question.split("=")[0].split(","))), p.question.split("=")[1]) for p in s}
            for s in (train, test)]  # fmt: skip
    assert [len(s) for s in sets] == [300, 80]  # no repeats, in no order of the numbers
    assert not sets[0] & sets[1]
    assert all(split_of(p.orbit) == "test" for p in test)
    build_splits(task, 50, 20, 5)


def test_more_problems_than_there_are_is_a_user_error():
    with pytest.raises(UserError, match="different problems"):
        load_task("countdown", largest=3, target=(1, 5)).generate("test", 500, 0)


def test_the_label_does_not_depend_on_the_order_of_the_numbers(three):
    for p in three.generate("train", 30, 0):
        left, target = p.question.split("=")
        same = [three.parse_question(f"{','.join(order)}={target}") for order in permutations(left.split(","))]
        assert {(q.answer, q.orbit) for q in same} == {(p.answer, p.orbit)}


def test_the_solver_is_complete_for_three_numbers():
    """Against every expression of three numbers, computed here by brute force."""
    found = 0
    for numbers in [(1, 2, 3), (2, 5, 8), (7, 7, 7), (3, 8, 8), (1, 1, 6), (4, 6, 9)]:
        makes = set(_everything([Fraction(n) for n in numbers]))
        for target in range(1, 80):
            tree = first_answer(numbers, target)
            assert (tree is not None) == (target in makes), (numbers, target)
            if tree is not None:
                assert expressions.fault(tree, list(numbers), target) == ""
                found += 1
    assert found > 60


def _everything(left):
    if len(left) == 1:
        yield left[0]
    for i in range(len(left)):
        for j in range(len(left)):
            if i != j:
                a, b = left[i], left[j]
                rest = [n for k, n in enumerate(left) if k not in (i, j)]
                for made in (a + b, a - b, a * b, *([a / b] if b else [])):
                    yield from _everything([*rest, made])


@pytest.mark.parametrize("question", ["3,3,8,8=24", "1,3,4,6=24", "5,5,5,1=24"])
def test_fractions_are_found_where_nothing_else_is(question):
    task = load_task("countdown", numbers=4)
    p = task.parse_question(question)
    assert task.verify(p, Answer(p.answer)).correct
    assert search([int(n) for n in question.split("=")[0].split(",")], 24)[1] is None


def test_goals_are_right():
    for target in range(1, 30):
        for last in range(1, 30):
            for equation, sign in goals(Fraction(target), Fraction(last)):
                x = equation.result
                made = {"+": x + last, "-": x - last, "*": x * last, "/": x / last, "_": last - x, "\\": last / x}
                assert made[sign] == target
                assert x >= 1


def test_grid_form_round_trip(task):
    problems = task.generate("train", 30, 1)
    input_ids, labels = task.encode(problems)
    assert input_ids.shape == labels.shape == (30, task.positions)
    assert input_ids.min() >= 1
    assert max(input_ids.max(), labels.max()) < task.vocabulary_size
    for p, ids, lab in zip(problems, input_ids, labels, strict=True):
        assert task.restore(ids, lab) == (p.question, p.answer)
        assert task.decode(p, lab) == Answer(p.answer)
        assert (lab != IGNORE).sum() == task.width
        assert task.restore(ids, ids)[1] == ""  # the grid does not give the answer away
        assert not task.verify(p, task.decode(p, torch.zeros_like(lab))).correct


def test_the_widest_answer_fits(three):
    p = three.parse_question("99,98,10=10")
    assert len("(99-98)*10") <= three.width
    assert three.decode(p, three.encode([p])[1][0]).text == p.answer


def test_symmetries_keep_the_answer_and_all_orders_occur():
    task = load_task("countdown", numbers=4, fewest=3)
    problems = task.generate("train", 200, 1)
    moved = task.augment(problems, torch.Generator().manual_seed(0))
    for p, q in zip(problems, moved, strict=True):
        assert q.answer == p.answer
        assert task.verify(q, Answer(q.answer)).exact
        again = task.parse_question(q.question)
        assert (again.orbit, again.answer) == (p.orbit, p.answer)
    one = next(p for p in problems if re.fullmatch(r"(\d+),(?!\1,)(\d+),(?!(\1|\2)=)\d+=.*", p.question))
    seen = {task.augment([one], torch.Generator().manual_seed(seed))[0].question for seed in range(100)}
    assert len(seen) == 6


def test_variants_lead_back_to_the_answer(three):
    problems = three.generate("train", 20, 2)
    for variant in range(4):
        input_ids, labels = three.encode_variants(problems, [variant] * 20)
        for p, ids, lab in zip(problems, input_ids, labels, strict=True):
            question, answer = three.restore(ids, lab)
            assert answer == p.answer
            assert sorted(question.partition("=")[0].split(",")) == sorted(p.question.partition("=")[0].split(","))
            assert three.decode_variant(p, variant, lab) == Answer(p.answer)


@pytest.mark.parametrize(
    ("text", "question"),
    [("31,13,92=74", "31,13,92=74"), (" 31 13  92 = 74\n", "31,13,92=74"), ("31, 13, 92=074", "31,13,92=74")],
)
def test_typed_questions(three, text, question):
    assert three.parse_question(text).question == question


@pytest.mark.parametrize(
    "text",
    ["", "31,13,92", "31,13=74", "1,2,3,4=10", "31,13,92=", "a,b,c=10", "-1,2,3=10", "1.5,2,3=10", "0,1,2=10",
     "100,1,2=50", "31,13,92=9", "31,13,92=100", "1,1,1=99", "٣,1,2=10", "9" * 500 + ",1,2=10", "1,2,3=10=10"],
)  # fmt: skip
def test_wrong_typed_questions_are_user_errors(three, text):
    with pytest.raises(UserError) as error:
        three.parse_question(text)
    assert error.value.cure


@pytest.mark.parametrize(
    "options",
    [
        {"numbers": 2},
        {"numbers": 7},
        {"numbers": "3"},
        {"numbers": True},
        {"fewest": 4},
        {"fewest": 2},
        {"largest": 1},
        {"largest": 1000},
        {"target": 10},
        {"target": (10,)},
        {"target": (0, 9)},
        {"target": (20, 10)},
        {"target": (1, 1000)},
        {"measure": "right"},
        {"number": 3},
    ],
    ids=str,
)
def test_wrong_options_are_user_errors(options):
    with pytest.raises(UserError) as error:
        load_task("countdown", **options)
    assert error.value.cure or error.value.what.startswith(f"{error.value.where} must be ")


def test_exact_measures_the_label(three):
    task = load_task("countdown", measure="exact")
    p = task.parse_question("31,13,92=74")
    assert p.answer == "92-31+13"
    assert task.verify(p, Answer("((92-31))+13")).correct
    other = task.verify(p, Answer("13+92-31"))
    assert (other.correct, other.exact, other.valid) == (False, False, True)
    assert other.score < 1
    assert other.reason
    assert three.verify(p, Answer("13+92-31")).correct


def test_the_score_rises_towards_the_answer(three):
    p = three.parse_question("31,13,92=74")
    texts = ["", "7+8", "31+9", "31+13", "92*31*13", "92+31+13", "92-31-13", "92-31+13"]
    scores = [three.verify(p, Answer(text)).score for text in texts]
    assert scores == sorted(scores)
    assert scores[0] == 0
    assert scores[-2] < 1 == scores[-1]
    nearly = load_task("countdown", numbers=6, largest=999, target=(1, 999)).parse_question("997,998,999,1,1,1=1")
    for text in ("997/998+1/999-1+1-1", "1/997/998/999+1*1-1", "998/999*997/997"):
        assert load_task("countdown", numbers=6, largest=999, target=(1, 999)).verify(nearly, Answer(text)).score < 1


def test_rendering(three):
    p = three.parse_question("31,13,92=74")
    assert three.render(p) == "31 13 92  ->  74"
    assert three.render(p, Answer("92-31+13")).endswith("\n92-31+13")


def test_names_differ_where_problems_do():
    names = [load_task("countdown", **options).name for options in OPTIONS]
    assert len(set(names)) == len(names)
