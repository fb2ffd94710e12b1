# ruff: noqa: RUF001
"""What a careful person would give each of many expressions, through the way that a model's completion takes."""

from __future__ import annotations

import itertools
import time

import pytest

from benchmarks.task import load_task
from benchmarks.text_form import read_completion

QUESTION = "48,2,3=27"

RIGHT = [
    "48/2+3",
    "3+48/2",
    "(48/2)+3",
    "((48)/(2))+3",
    "(((((48/2+3)))))",
    " 48 / 2 + 3 ",
    "48/2+3\n",
    "\n\t48/2+3",
    "48/2+3=27",
    "48/2+3 = 27",
    "48/2 + 3= 27\n",
    "3+(48/2)",
]

WRONG = [
    "",
    " ",
    "\n",
    QUESTION,
    "48,2,3",
    "27",
    "24+3",
    "48/2",
    "48/2-3",
    "48/2+3+0",
    "48/2+3*1",
    "48/2+3+3-3",
    "48+2+3",
    "48/(2+3)",
    "48/2+3=",
    "48/2+3=28",
    "48/2+3=027",
    "48/2+3=27=27",
    "48/2+3=27.",
    "48/2+3==27",
    "27=48/2+3",
    "x=48/2+3",
    "48/2+3.",
    "48/2+3,",
    "48/2+3;",
    "48/2+3!",
    "48/2+3 48/2+3",
    "48/2+3\n48/2+3",
    "48/2+3, 3+48/2",
    "48/2+3 or 3+48/2",
    "The answer is 48/2+3",
    "The answer is not 48/2+3.",
    "48/2+3 (wrong)",
    "<answer>48/2+3</answer>",
    "\\boxed{48/2+3}",
    "$48/2+3$",
    "`48/2+3`",
    '"48/2+3"',
    "**48/2+3**",
    "48÷2+3",
    "48／2+3",
    "48∕2+3",
    "48/2＋3",
    "48/2+３",
    "48/2+٣",
    "48/2+³",
    "⁴⁸/2+3",
    "48/2+3\u200b",
    "48\u00a0/2+3",
    "48/2\u2028+3",
    "48//2+3",
    "48/2++3",
    "48/2+-3",
    "48/2--3",
    "+48/2+3",
    "-(-48)/2+3",
    "48/2+(3)(1)",
    "(48/2+3",
    "48/2+3)",
    ")48/2+3(",
    "()48/2+3",
    "(48/2)3",
    "4 8/2+3",
    "48/2+ 3 3",
    "048/2+3",
    "48.0/2+3",
    "4.8e1/2+3",
    "48/2+3.0",
    "0x30/2+3",
    "48_0/2+3",
    "48**1/2+3",
    "48^1/2+3",
    "48/2+3%99",
    "48/2+3#",
    "48/2+3;48",
    "48/2+3 if 1 else 0",
    "int(48/2+3)",
    "48/(2-2)+3",
    "48/(3-3)",
    "2/48+3",
    "482-3",
    "48/2+3</think>",
    "None",
    "nan",
    "1/0",
    "__import__('os')",
    "(" * 10_000 + "48/2+3" + ")" * 10_000,
    "(" * 100_000,
    "-" * 100_000,
    "48/2+3" + "+0" * 50_000,
    "9" * 100_000,
    "48/2+" + " " * 100_000 + "3",
    "2**" * 10_000 + "2",
    "9**9**9**9",
]


@pytest.fixture(scope="module")
def task():
    return load_task("countdown")


@pytest.fixture(scope="module")
def problem(task):
    return task.parse_question(QUESTION)


def judged(task, problem, completion, style):
    started = time.perf_counter()
    verdict = task.verify(problem, read_completion(task, problem, completion, style))
    assert time.perf_counter() - started < 1.0
    assert verdict.correct == (verdict.score == 1.0)
    assert verdict.correct == (not verdict.reason)
    return verdict.correct


def test_there_are_many_of_both():
    assert len(RIGHT) + len(WRONG) >= 60
    assert len(set(RIGHT)) == len(RIGHT)
    assert len(set(WRONG)) == len(WRONG)


@pytest.mark.parametrize("text", RIGHT, ids=ascii)
def test_right(task, problem, text):
    assert judged(task, problem, text, "answer_only")
    assert judged(task, problem, f"48/2=24;24+3=27</think>{text}", "cot")
    assert judged(task, problem, f"</think>{text}", "cot")


@pytest.mark.parametrize("text", WRONG, ids=lambda text: ascii(text[:30]))
def test_wrong(task, problem, text):
    assert not judged(task, problem, text, "answer_only")
    assert not judged(task, problem, f"48/2=24;24+3=27</think>{text}", "cot")


@pytest.mark.parametrize(
    "text",
    ["48/2+3", "48/2+3</think>", "48/2+3</think></think>48/2+3", "a</think>b</think>48/2+3", "<think>48/2+3",
     "48/2+3<think>", "</think>", "a</think>48/2+3</think>", "</THINK>48/2+3", "</think >48/2+3"],
)  # fmt: skip
def test_an_answer_must_follow_the_one_end_of_the_thought(task, problem, text):
    assert not judged(task, problem, text, "cot")


def test_negative_and_fractional_values_on_the_way_are_allowed(task):
    for question, text in (
        ("2,5,30=27", "2-5+30"),
        ("2,10,35=27", "(2-10)+35"),
        ("4,6,18=27", "18*6/4"),
        ("6,4,18=27", "6/4*18"),
        ("48,2,3=72", "48/(2/3)"),
        ("1,3,9=27", "9/(1/3)"),
    ):
        assert judged(task, task.parse_question(question), text, "answer_only")


def test_nothing_is_right_by_rounding():
    task = load_task("countdown", numbers=4, largest=999)
    problem = task.parse_question("999,998,1,26=26")
    assert not judged(task, problem, "26*1*999/998", "answer_only")
    assert not judged(task, problem, "26+998/999-1", "answer_only")


def test_each_number_exactly_once(task):
    twice = task.parse_question("7,7,2=16")
    assert judged(task, twice, "7+7+2", "answer_only")
    for text in ("7*2+2", "7+2+7+2-2", "14+2", "7+9", "77/7+2+3"):
        assert not judged(task, twice, text, "answer_only")


def test_every_change_of_one_character(task):
    """Of the label: a changed digit is never right, and what else is right is another right expression."""
    for p in task.generate("test", 40, 0):
        for at in range(len(p.answer)):
            for char in "0123456789+-*/()= .,x":
                text = p.answer[:at] + char + p.answer[at + 1 :]
                if text != p.answer and judged(task, p, text, "answer_only"):
                    assert char in "+-*/"
                    left, _, target = p.question.partition("=")
                    assert eval(text) == int(target)
                    assert left
            assert not judged(task, p, p.answer[:at] + p.answer[at + 1 :], "answer_only") or p.answer[at] in "()"


def test_labels_of_other_problems(task):
    problems = task.generate("test", 60, 1)
    for p, q in itertools.pairwise(problems):
        assert not judged(task, p, q.answer, "answer_only")


def test_the_grid_form_is_as_strict(task, problem):
    import torch

    label = task.encode([problem])[1][0]
    assert task.verify(problem, task.decode(problem, label)).correct
    for at in range(task.positions - task.width, task.positions):
        for token in range(task.vocabulary_size):
            changed = label.clone()
            changed[at] = token
            if not torch.equal(changed, label):
                answer = task.decode(problem, changed)
                if task.verify(problem, answer).correct:
                    assert eval(answer.text) == 27
