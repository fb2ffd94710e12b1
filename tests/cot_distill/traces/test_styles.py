"""What holds for every family's styles of writing."""

from __future__ import annotations

import pytest

from benchmarks.errors import UserError
from benchmarks.task import load_task
from cot_distill.traces import check_trace, styles, write_trace

TASKS = {
    "arithmetic": {},
    "graph-coloring": {"nodes": 8, "colors": 3},
    "job-shop": {"jobs": 3, "machines": 2},
    "maze": {"size": 6},
    "satisfiability": {"variables": 4, "clauses": 12},
    "sudoku": {},
}


@pytest.mark.parametrize("family", TASKS)
def test_the_first_style_is_the_default(family: str) -> None:
    task = load_task(family, **TASKS[family])
    problem = task.generate("train", 1, seed=0)[0]
    first = next(iter(styles(task)))
    assert write_trace(task, problem) == write_trace(task, problem, first)
    check_trace(task, problem, write_trace(task, problem))


@pytest.mark.parametrize("family", TASKS)
def test_every_style_has_a_description_and_a_trace_of_its_own(family: str) -> None:
    task = load_task(family, **TASKS[family])
    problems = task.generate("train", 40, seed=0)
    known = styles(task)
    written = [tuple(write_trace(task, problem, style) for problem in problems) for style in known]
    same = {"clean", "search"} if family in ("sudoku", "job-shop") else set()  # easy ones have no dead ends
    assert len(set(written)) >= len(known) - bool(same)
    assert all(description and not description.endswith(".") for description in known.values())


@pytest.mark.parametrize("family", TASKS)
def test_an_unknown_style_is_refused(family: str) -> None:
    task = load_task(family, **TASKS[family])
    problem = task.generate("train", 1, seed=0)[0]
    for use in (write_trace, lambda *a: check_trace(*a[:2], "", a[2])):
        with pytest.raises(UserError, match="does not write in the style 'serach'"):
            use(task, problem, "serach")
