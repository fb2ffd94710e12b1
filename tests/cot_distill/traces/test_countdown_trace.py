"""Traces of Countdown: they lead to the label, are short, and the check finds every single-character change."""

from __future__ import annotations

import itertools
import random
import re
import statistics

import pytest

from benchmarks.task import load_task
from cot_distill.traces import countdown as teacher

STYLES = list(teacher.STYLES)


@pytest.fixture(scope="module")
def four():
    return load_task("countdown", numbers=4, fewest=3)


@pytest.fixture(scope="module")
def problems(four):
    return four.generate("train", 150, 0)


@pytest.mark.parametrize("style", STYLES)
def test_traces_are_right_and_in_the_alphabet(four, problems, style):
    for p in problems:
        trace = teacher.trace(four, p, style)
        teacher.check(four, p, trace, style)
        assert set(trace) <= set(four.alphabet)
        assert trace == teacher.trace(four, p, style)
        assert "".join(m[0] for m in re.finditer(teacher.STEP, trace)) == trace


def test_a_trace_in_full():
    task = load_task("countdown")
    p = task.parse_question("31,13,92=74")
    assert teacher.trace(task, p, "solution") == "92-31=61;61+13=74"
    assert teacher.trace(task, p) == "13:74-13=61,74+13=87,74*13=962|92+31=123,92-31=61;!92-31=61;61+13=74"
    far = task.parse_question("2,10,50=30")
    assert teacher.trace(task, far) == "2:30-2=28,30+2=32,30*2=60,30/2=15|50+10=60;!50+10=60;60/2=30"
    assert teacher.trace(task, task.parse_question("2,3,40=46")) == (
        "2:46-2=44,46+2=48,46*2=92,46/2=23|40+3=43,40-3=37,40*3=120;"
        "3:46-3=43,46+3=49,46*3=138|40+2=42,40-2=38,40*2=80,40/2=20;"
        "40:46-40=6,46+40=86,46*40=1840|3+2=5,3-2=1,3*2=6;"
        "!3*2=6;6+40=46"
    )


def test_three_numbers_stay_short():
    task = load_task("countdown")
    lengths = [len(teacher.trace(task, p)) for p in task.generate("train", 2_000, 1)]
    assert max(lengths) < 400
    assert statistics.mean(lengths) < 100


@pytest.mark.parametrize("question", ["3,3,8,8=24", "1,3,4,6=24", "1,1,50,1=50", "5,5,60=60"])
@pytest.mark.parametrize("style", STYLES)
def test_hard_and_odd_questions(four, question, style):
    p = four.parse_question(question)
    trace = teacher.trace(four, p, style)
    teacher.check(four, p, trace, style)
    assert set(trace) <= set(four.alphabet)


@pytest.mark.parametrize("numbers", [5, 6])
def test_many_numbers(numbers):
    task = load_task("countdown", numbers=numbers)
    for p in task.generate("test", 5, 0):
        for style in STYLES:
            teacher.check(task, p, teacher.trace(task, p, style), style)


@pytest.mark.parametrize("style", STYLES)
def test_every_single_character_change_is_found(four, problems, style):
    """One that is still a right trace would be another trace of the same search, and there is none."""
    draw = random.Random(0)
    changed = 0
    for p in problems[:25] + [q for q in problems if len(teacher.trace(four, q)) > 500][:2]:
        trace = teacher.trace(four, p, style)
        for _ in range(60):
            at, char = draw.randrange(len(trace)), draw.choice("0123456789+-*/=;,:|><!( ")
            for wrong in (trace[:at] + char + trace[at + 1 :], trace[:at] + trace[at + 1 :], trace[:at]):
                if wrong != trace:
                    changed += 1
                    with pytest.raises(ValueError, match=r"."):
                        teacher.check(four, p, wrong, style)
    assert changed > 3_000


def test_a_trace_of_another_problem_is_found(four, problems):
    for p, q in itertools.pairwise(problems[:41]):
        for style in STYLES:
            with pytest.raises(ValueError, match=r"."):
                teacher.check(four, p, teacher.trace(four, q, style), style)


@pytest.mark.parametrize(
    ("what", "cut"),
    {
        "gives up early": lambda steps, back, end: [*steps[: back - 1], *steps[back:]],
        "goes on after the end": lambda steps, back, end: [*steps[:end], *steps[back - 4 :]],
        "does not go back": lambda steps, back, end: [*steps[:back], *steps[back + 1 :]],
        "goes back twice": lambda steps, back, end: [*steps[: back + 1], "<", *steps[back + 1 :]],
        "tries the same again": lambda steps, back, end: [*steps[: back + 1], *steps[: back + 1], *steps[back + 1 :]],
        "has no answer": lambda steps, back, end: steps[:end],
        "has only the answer": lambda steps, back, end: steps[end:],
        "is empty": lambda steps, back, end: [],
    }.items(),
)
def test_what_a_check_must_find(what, cut):
    task = load_task("countdown", numbers=4)
    p = next(q for q in task.generate("train", 200, 0) if "<" in teacher.trace(task, q))
    steps = teacher.trace(task, p).split(";")
    end = next(at for at, step in enumerate(steps) if step.startswith("!"))
    with pytest.raises(ValueError, match=r"."):
        teacher.check(task, p, ";".join(cut(steps, steps.index("<"), end)))
