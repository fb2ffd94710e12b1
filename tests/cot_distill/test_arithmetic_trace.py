"""The arithmetic teacher: its traces pass the checker, which accepts no line that is false or does not follow."""

from __future__ import annotations

import pytest

from benchmarks.errors import UserError
from benchmarks.task import load_task
from cot_distill.traces import check_trace, styles, write_trace

TASKS = [("multiplication", (2, 2)), ("multiplication", (1, 1)), ("multiplication", (2, 3)), ("addition", (2, 2)),
         ("addition", (1, 1)), ("addition", (1, 3)), ("addition", (4, 2))]  # fmt: skip


@pytest.fixture(params=TASKS, ids=str)
def task(request):
    return load_task("arithmetic", operation=request.param[0], digits=request.param[1])


@pytest.fixture(params=styles(load_task("arithmetic")))
def style(request):
    return request.param


def rejected(task, problem, text, style=None):
    with pytest.raises(ValueError, match=r"."):
        check_trace(task, problem, text, style)


def test_traces_are_accepted_and_written_in_the_alphabet(task, style):
    for problem in task.generate("train", 50 if task.digits != (1, 1) else 30, 0):
        trace = write_trace(task, problem, style)
        check_trace(task, problem, trace, style)
        assert set(trace) <= set(task.alphabet)


def test_every_changed_digit_is_rejected(task, style):
    for problem in task.generate("test", 5, 0):
        trace = write_trace(task, problem, style)
        for place, char in enumerate(trace):
            if char.isdigit():
                changed = trace[:place] + str((int(char) + 1) % 10) + trace[place + 1 :]
                rejected(task, problem, changed, style)


def test_every_missing_or_repeated_line_is_rejected(task, style):
    for problem in task.generate("test", 5, 0):
        lines = write_trace(task, problem, style).split(";")
        for number, line in enumerate(lines):
            rejected(task, problem, ";".join(lines[:number] + lines[number + 1 :]), style)
            rejected(task, problem, ";".join([*lines[:number], line, *lines[number:]]), style)


def test_examples_from_the_docstring():
    task = load_task("arithmetic")
    assert write_trace(task, task.problem(27, 34)) == "27*30=0180;27*4=8010;0180+8010=8190"
    assert write_trace(task, task.problem(27, 34), "partial_products") == "27*30=0810;27*4=0108;0810+0108=0918"
    assert write_trace(task, task.problem(27, 34), "unpadded") == "27*30=810;27*4=108;810+108=918"
    products, sums = "7*4+0=28;2*4+2=10;7*3+0=21;2*3+2=08;", "8+0+0=08;0+1+0=01;1+8+0=09;0+0+0=00"
    assert write_trace(task, task.problem(27, 34), "digits") == products + sums
    task = load_task("arithmetic", operation="addition")
    assert write_trace(task, task.problem(27, 34)) == "7+4+0=11;2+3+1=06"
    assert write_trace(task, task.problem(27, 34), "unpadded") == "7+4+0=11;2+3+1=6"


def test_a_style_is_not_read_as_another():
    task = load_task("arithmetic")
    problem = task.problem(27, 34)
    for written in styles(task):
        for other in styles(task):
            if other != written:
                rejected(task, problem, write_trace(task, problem, written), other)


def test_an_unknown_style_is_refused_with_the_nearest_name():
    task = load_task("arithmetic")
    with pytest.raises(UserError, match="Did you mean 'reversed'"):
        write_trace(task, task.problem(27, 34), "reverse")


@pytest.mark.parametrize(
    "trace",
    [
        "",
        ";",
        "0918",
        "918*1=0918",  # true, but not about this question
        "0+918=0918",
        "27*34=0919",
        "27*30=0810;27*4=0108",
        "27*30=0810;27*4=0108;0800+0118=0918",  # true, but not of the partial products
        "27*30=0810;27*4=0108;0810+0108=0918;0900+0018=0918",
        "27*30=0810;27*4=0108;0810+0108=0918 ",
        "27*x=0810",
        "27*=0810",
        "27*17*2=0918",
    ],
)
def test_a_trace_that_does_not_lead_from_the_question_to_the_answer_is_rejected(trace):
    task = load_task("arithmetic")
    rejected(task, task.problem(27, 34), trace, "partial_products")


@pytest.mark.parametrize("trace", ["1+0+0=1;6+0+0=6", "7+4+0=11;2+3+0=05", "27+34=061", "7+4+0=11;2+3+1=6;0+0+1=1"])
def test_an_addition_that_loses_a_carry_or_skips_the_work_is_rejected(trace):
    task = load_task("arithmetic", operation="addition")
    rejected(task, task.problem(27, 34), trace, "partial_products")
