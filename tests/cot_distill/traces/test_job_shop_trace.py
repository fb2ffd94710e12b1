from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from benchmarks.problem import Problem
from benchmarks.puzzles.job_shop.task import JobShop
from cot_distill.traces import trace_steps
from cot_distill.traces.job_shop import check, trace

TWO = JobShop(jobs=2, answers="many")
# Job 1 can go first on A and on B, but not last on A; the label needs one guess.
OPEN = "A1B1/A2B1"


def searched() -> tuple[JobShop, Problem, str]:
    """A problem whose trace guesses and retracts."""
    task = JobShop(machines=3, horizon=12, answers="many")
    for problem in task.generate("train", 200, seed=0):
        text = trace(task, problem)
        if "!;!" in text and len(text) < 500:
            return task, problem, text
    raise AssertionError


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (JobShop(), 100),
        (JobShop(answers="many"), 100),
        (JobShop(answers="many", measure="exact"), 50),
        (JobShop(machines=3), 100),
        (JobShop(jobs=4, machines=4, longest=9, horizon=35), 10),
        (JobShop(jobs=4, machines=3, longest=5, horizon=25, answers="many"), 20),
    ],
    ids=lambda value: value.name if isinstance(value, JobShop) else str(value),
)
def test_traces_pass_their_check_also_under_symmetries(task: JobShop, count: int) -> None:
    problems = task.generate("train", count, seed=0)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem)
        assert set(text) <= set(task.alphabet)
        check(task, problem, text)
        steps = trace_steps(task, text)
        assert "".join(steps) == text
        windows = next(step for step in reversed(steps) if step[0] not in "?!" and "!" not in step)
        if steps[-1] == windows:  # a last guess or retraction may need no further sweep
            earliest = re.findall(f"[A-D](\\d{{{task.width}}})\\d{{{task.width}}}", windows)
            assert "".join(earliest) == task.answer_text(problem).replace("/", "")


def test_guesses_in_the_trace_are_those_of_the_problem() -> None:
    task = JobShop(machines=3, answers="many")
    problems = task.generate("train", 50, seed=0)
    assert [trace(task, p).count("?") for p in problems] == [p.meta["guesses"] for p in problems]
    assert max(p.meta["guesses"] for p in problems) > 1


def test_small_shops_by_hand() -> None:
    one = JobShop(jobs=2)
    assert trace(one, one.parse_question("A3B1/A1B3")) == "A01B34/A01B12;A11B44/A00B11"
    assert trace(TWO, TWO.parse_question(OPEN)) == "A02B13/A01B23;?A12;A00B13/A11B33;A00B12/A11B33"
    check(TWO, TWO.parse_question(OPEN), "A02B13/A01B23;?A12;A00B13/A11B33;A00B12/A11B33")


def test_search_is_shown() -> None:
    _, _, text = searched()
    assert text.count("?") >= len(re.findall(r";![A-D]", text)) > 0


@pytest.mark.parametrize("seed", range(3))
def test_every_corruption_fails(seed: int) -> None:
    task = JobShop(machines=3)
    for problem in task.generate("train", 1, seed=seed):
        text = trace(task, problem)
        for at in range(len(text)):
            for other in "AB019?!;/x":
                if other != text[at]:
                    with pytest.raises(ValueError, match=r"."):
                        check(task, problem, text[:at] + other + text[at + 1 :])


def test_every_missing_or_repeated_step_fails() -> None:
    task, problem, text = searched()
    steps = text.split(";")
    for at in range(len(steps)):
        for changed in (steps[:at] + steps[at + 1 :], steps[: at + 1] + steps[at:], steps[:at]):
            with pytest.raises(ValueError, match=r"."):
                check(task, problem, ";".join(changed))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: "", "does not follow"),
        (lambda t: t.replace("?A12", "?B12"), "does not follow|settled"),
        (lambda t: t.replace("?A12", "?A13"), "names no two operations"),
        (lambda t: t.replace("?A12", "?A11"), "names no two operations"),
        (lambda t: t.replace("?A12", "!A12"), "without a contradiction"),
        (lambda t: t.replace("?A12;", "?A12;?B12;"), "before the sweeps have ended"),
        (lambda t: t + ";?A21", "guesses what is settled"),
        (lambda t: t + ";A00B12/A11B33", "nothing is left to narrow"),
        (lambda t: t.rpartition(";")[0], "before every order is settled"),
        (lambda t: t.partition(";")[0], "before every order is settled"),
        (lambda t: "A02B13/A01B23;?A21;A22B33/A00B22", "ends with 2302, the label is 0113"),
        (lambda t: t.replace("A11B33", "A01B33"), "does not follow: the windows are"),
    ],
)
def test_reasons(change, reason: str) -> None:
    problem = TWO.parse_question(OPEN)
    with pytest.raises(ValueError, match=reason):
        check(TWO, problem, change(trace(TWO, problem)))


def test_retractions_are_checked() -> None:
    task, problem, text = searched()
    retraction = re.search(r"!;!([A-D])(\d)(\d)", text)
    assert retraction is not None
    machine, first, second = retraction.groups()
    for wrong, reason in (
        (f"!;!{machine}{second}{first}", "not the newest standing guess"),
        (f"!;?{machine}{first}{second}", "leaves a contradiction standing"),
        ("!", "leaves a contradiction standing"),
    ):
        with pytest.raises(ValueError, match=reason):
            check(task, problem, text.replace(retraction[0], wrong, 1))


def test_a_schedule_that_no_order_of_the_jobs_chooses_is_refused() -> None:
    problem = TWO.parse_question(OPEN)
    late = replace(problem, answer="0213")
    assert TWO.verify(late, None) != TWO.verify(late, TWO.parse_answer(late, "02/13"))
    with pytest.raises(ValueError, match="orders of the jobs"):
        trace(TWO, late)


def test_clean_retracts_nothing() -> None:
    task = JobShop(3, 3)
    problems = task.generate("train", 60, seed=0)
    shorter = 0
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        clean, searched = trace(task, problem, "clean"), trace(task, problem)
        check(task, problem, clean, "clean")
        assert "!" not in clean
        if "!" in searched:
            shorter += 1
            assert len(clean) < len(searched)
            with pytest.raises(ValueError, match="retracts nothing"):
                check(task, problem, searched, "clean")
        else:
            assert clean == searched
    assert shorter > 0
