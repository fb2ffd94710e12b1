from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.puzzles.sudoku import Sudoku
from cot_distill.traces import trace_steps
from cot_distill.traces.sudoku import check, trace

# From Sudoku-Extreme's train.csv.gz; needs guesses, some of them wrong.
HARD = "9...5......3..8..1.2.4.......8..47...4..9....5..2.......6..7.8..3....1.7....4.3.6"


@pytest.mark.parametrize(("size", "count"), [(4, 200), (6, 100), (9, 20)])
def test_traces_pass_their_check(size: int, count: int) -> None:
    task = Sudoku(size)
    problems = task.generate("train", count, seed=0)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem)
        assert set(text) <= set(task.alphabet)
        check(task, problem, text)


def test_a_trace_without_guesses_names_every_empty_cell_once() -> None:
    task = Sudoku(4)
    for problem in task.generate("test", 50, seed=0):
        text = trace(task, problem)
        cells = [text[i : i + 2] for i in range(0, len(text), 3)]
        assert len(set(cells)) == len(cells) == problem.question.count(".")


def test_search_is_shown() -> None:
    task = Sudoku(9)
    problem = task.parse_question(HARD)
    text = trace(task, problem)
    assert text.count("?") > text.count("!") > 0
    check(task, problem, text)
    without_proof = text.replace("?", "")
    with pytest.raises(ValueError, match="does not follow"):
        check(task, problem, without_proof)
    guess = text.index("?")
    assert text[guess + 1 : guess + 4] != text[guess + 4 : guess + 7]
    at_once = text[: guess + 4] + "!" + text[guess + 1 : guess + 4]
    with pytest.raises(ValueError, match="without a contradiction"):
        check(task, problem, at_once)


def test_every_corruption_of_a_digit_or_cell_fails() -> None:
    task = Sudoku(6)
    problem = task.generate("train", 1, seed=0)[0]
    text = trace(task, problem)
    for at, char in enumerate(text):
        for other in "abcdef" if char.isalpha() else "123456" if char.isdigit() else "":
            if other != char:
                with pytest.raises(ValueError, match=r"."):
                    check(task, problem, text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[:-3], "the trace ends with"),
        (lambda t: t[3:], "does not follow|ends with"),
        (lambda t: t + t[-3:], "is no candidate"),
        (lambda t: t + "a", "is no step"),
        (lambda t: "ee1" + t, "is no step"),
        (lambda t: "!" + t, "not the newest standing guess"),
        (lambda t: "?" + t[:3] + "!" + t[:3] + t, "without a contradiction"),
        (lambda t: "", "the trace ends with"),
    ],
)
def test_reasons(change, reason: str) -> None:
    task = Sudoku(4)
    problem = task.generate("train", 1, seed=0)[0]
    with pytest.raises(ValueError, match=reason):
        check(task, problem, change(trace(task, problem)))


def test_a_wrong_label_is_refused() -> None:
    task = Sudoku(4)
    problem = task.generate("train", 1, seed=0)[0]
    wrong = replace(problem, answer=problem.answer[::-1])
    with pytest.raises(ValueError, match="another solution"):
        trace(task, wrong)
    with pytest.raises(ValueError, match="the label is"):
        check(task, wrong, trace(task, problem))


def test_a_trace_is_cut_into_its_steps() -> None:
    assert trace_steps(Sudoku(4), "aa1?bc2!bc2") == ["aa1", "?bc2", "!bc2"]
    assert trace_steps(Sudoku(4), "aa1b2") == ["aa1", "b", "2"], "what a model garbles is kept"
