"""Traces of sequences: right for every problem, and every change of a step is found."""

from __future__ import annotations

import pytest

from benchmarks.task import load_task
from cot_distill.traces import check_trace, trace_steps, write_trace

WRITTEN = {
    "copy": (("abc",), "a;b;c"),
    "reverse": (("abc",), "c;b;a"),
    "addition": (("981", "654"), "9+6+0=15;8+5+1=14;1+4+1=06"),
}


@pytest.mark.parametrize("operation", WRITTEN)
def test_every_step_is_written_and_checked(operation):
    task = load_task("sequences", operation=operation, length=3)
    parts, expected = WRITTEN[operation]
    assert write_trace(task, task.problem(*parts)) == expected
    for problem in task.generate("train", 50, 0):
        trace = write_trace(task, problem)
        assert set(trace) <= set(task.alphabet)
        check_trace(task, problem, trace)
        assert "".join(trace_steps(task, trace)) == trace
        assert len(trace_steps(task, trace)) == 3


@pytest.mark.parametrize(
    ("text", "words"), [("a;b;d", "step 3"), ("b;b;c", "step 1"), ("a;b", "2 steps"), ("a;b;c;c", "4 steps")]
)
def test_a_wrong_step_is_named(text, words):
    task = load_task("sequences", operation="copy", length=3)
    with pytest.raises(ValueError, match=words):
        check_trace(task, task.problem("abc"), text)
