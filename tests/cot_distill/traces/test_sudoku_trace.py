from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from benchmarks.problem import Problem
from benchmarks.puzzles.sudoku.task import Sudoku
from cot_distill.traces import trace_steps
from cot_distill.traces.sudoku import STYLES, check, trace

# From Sudoku-Extreme's train.csv.gz; needs guesses, some of them wrong.
HARD = "9...5......3..8..1.2.4.......8..47...4..9....5..2.......6..7.8..3....1.7....4.3.6"
QUESTION = "..2....3.2.44..."  # minimal; 11 naked singles
SOLVED = "3421214312344312"
BY_HAND = {
    "search": "ad1aa3ab4bb1ba2bc4ca1cc3db3dc1dd2",
    "boards": "a..2.b...3c.2.4d4...a..21b..43c.2.4d4..2a3421b.143c1234d4312a3421b2143c1234d4312",
    "visits": "ac2bd3cb2cd4da4aa.ab.ad1ba.bb.bc4ca.cc.db.dc.dd2aa3ab4ba.bb1ca1cc3db3dc1ba2",
    "clean": "ad1aa3ab4bb1ba2bc4ca1cc3db3dc1dd2",
    "reading": "aa3ab4ad1ba2bb1bc4ca1cc3db3dc1dd2",
}


@cache
def some(size: int, count: int) -> list[Problem]:
    return Sudoku(size).generate("train", count, seed=0)


def one(size: int = 4) -> Problem:
    return Sudoku(size).generate("train", 1, seed=0)[0]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("size", "count"), [(4, 60), (6, 20), (9, 2)])
def test_traces_pass_their_check_also_under_symmetries(size: int, count: int, style: str) -> None:
    task, problems = Sudoku(size), some(size, count)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem, style)
        assert set(text) <= set(task.alphabet)
        check(task, problem, text, style)
        steps = trace_steps(task, text)
        assert "".join(steps) == text
        assert min(map(len, steps)) >= 3, "no character stands alone"


@pytest.mark.parametrize("style", BY_HAND)
def test_a_puzzle_by_hand(style: str) -> None:
    problem = Sudoku(4).parse_question(QUESTION)
    assert problem.answer == SOLVED
    assert trace(Sudoku(4), problem, style) == BY_HAND[style]


def test_what_stands_beside_a_step() -> None:
    problem = Sudoku(4).parse_question(QUESTION)
    text = {style: trace(Sudoku(4), problem, style) for style in ("units", "wordy", "states")}
    assert text["units"].startswith("ad..2..34.2..3!1aa..21")
    assert text["wordy"].startswith("ad234!1aa124!3")
    assert text["states"].startswith("ad1a..21b...3c.2.4d4...aa3a3.21")
    assert text["states"].endswith("dd2a3421b2143c1234d4312")


def test_random_order_is_fixed_by_the_question_and_no_other() -> None:
    task, problems = Sudoku(4), Sudoku(4).generate("train", 50, seed=0)
    texts = [trace(task, problem, "random") for problem in problems]
    assert texts == [trace(task, problem, "random") for problem in problems]
    first = {text[:2] for text in texts}
    assert len(first) > 10
    with pytest.raises(ValueError, match="comes next in this order"):
        check(task, problems[0], trace(task, problems[0], "reading"), "random")


def test_minimal_4x4_puzzles_need_neither_hidden_singles_nor_guesses() -> None:
    """Which is why sweeps of naked singles are enough there."""
    task = Sudoku(4)
    for problem in task.generate("test", 100, seed=0):
        boards = trace_steps(task, trace(task, problem, "boards"))
        assert 2 <= len(boards) <= 5
        assert boards[-1].translate({ord(c): None for c in "abcd"}) == problem.answer
        assert "?" not in "".join(boards)


@pytest.mark.parametrize("style", ["search", "boards", "visits", "states", "units", "wordy"])
def test_search_is_shown(style: str) -> None:
    task = Sudoku(9)
    problem = task.parse_question(HARD)
    text = trace(task, problem, style)
    check(task, problem, text, style)
    steps = trace_steps(task, text)
    assert text.count("?") > sum(step[0] == "!" for step in steps) > 0
    for at in [at for at, step in enumerate(steps) if step[0] in "?!"][:4]:
        with pytest.raises(ValueError, match=r"."):
            check(task, problem, "".join([*steps[:at], steps[at][1:], *steps[at + 1 :]]), style)
    guess = next(step for step in steps if step[0] == "?")
    at = text.index(guess) + len(guess)
    with pytest.raises(ValueError, match=r"."):
        check(task, problem, text[:at] + "!" + guess[1:3] + guess[-1], style)


def test_clean_keeps_what_stands() -> None:
    task = Sudoku(9)
    problem = task.parse_question(HARD)
    clean, searched = trace(task, problem, "clean"), trace(task, problem, "search")
    check(task, problem, clean, "clean")
    assert len(trace_steps(task, clean)) == problem.question.count(".") < len(trace_steps(task, searched))
    assert clean.count("?") >= searched.count("?") - searched.count("!") > 0
    with pytest.raises(ValueError, match="retracts nothing"):
        check(task, problem, searched, "clean")


@pytest.mark.parametrize("style", STYLES)
def test_every_corruption_of_a_digit_or_cell_fails(style: str) -> None:
    task = Sudoku(6 if style in ("search", "clean") else 4)
    problem = one(task.size)
    text = trace(task, problem, style)
    for at, char in enumerate(text):
        for other in "abcdef" if char.isalpha() else ".12345" if char.isdigit() or char == "." else "x":
            if other != char:
                with pytest.raises(ValueError, match=r"."):
                    check(task, problem, text[:at] + other + text[at + 1 :], style)


@pytest.mark.parametrize("style", STYLES)
def test_a_missing_or_repeated_step_fails(style: str) -> None:
    task, problem = Sudoku(4), one()
    steps = trace_steps(task, trace(task, problem, style))
    for at, step in enumerate(steps):
        for changed in (steps[:at] + steps[at + 1 :], [*steps[:at], step, *steps[at:]]):
            try:
                check(task, problem, "".join(changed), style)
            except ValueError:
                continue
            pytest.fail(f"{style}: accepted {''.join(changed)}")


@pytest.mark.parametrize(
    ("style", "change", "reason"),
    [
        ("search", lambda t: t[:-3], "the trace ends with"),
        ("search", lambda t: t[3:], "does not follow|ends with"),
        ("search", lambda t: t + t[-3:], "is no candidate"),
        ("search", lambda t: t + "a", "is no step"),
        ("search", lambda t: "ee1" + t, "is no step"),
        ("search", lambda t: "!" + t, "not the newest standing guess"),
        ("search", lambda t: "?" + t[:3] + "!" + t[:3] + t, "without a contradiction"),
        ("search", lambda t: "", "the trace ends with"),
        ("units", lambda t: t.replace("!", "?", 1), "is no step"),
        ("states", lambda t: t[:-1], "the board is not"),
        ("reading", lambda t: t[3:], "comes next"),
        ("reading", lambda t: t + t[-3:], "no further cell"),
        ("reading", lambda t: t[:-1], "is no step"),
        ("boards", lambda t: "", "does not follow"),
        ("boards", lambda t: t[:-20], "the trace ends with"),
        ("boards", lambda t: t + t[-20:], "no single left"),
        ("boards", lambda t: t[:20] + "?ba2" + t[20:], "before the sweeps have ended"),
        ("visits", lambda t: t + "aa1", "does not follow|no single left|is no step"),
        ("visits", lambda t: t + "!aa1", "not the newest standing guess"),
    ],
)
def test_reasons(style: str, change, reason: str) -> None:
    task, problem = Sudoku(4), one()
    with pytest.raises(ValueError, match=reason):
        check(task, problem, change(trace(task, problem, style)), style)


@pytest.mark.parametrize("style", STYLES)
def test_a_wrong_label_is_refused(style: str) -> None:
    task, problem = Sudoku(4), one()
    wrong = replace(problem, answer=problem.answer[::-1])
    with pytest.raises(ValueError, match="another solution"):
        trace(task, wrong, style)
    with pytest.raises(ValueError, match="the label is"):
        check(task, wrong, trace(task, problem, style), style)


def test_a_trace_is_cut_into_its_steps() -> None:
    assert trace_steps(Sudoku(4), "aa1?bc2!bc2") == ["aa1", "?bc2", "!bc2"]
    assert trace_steps(Sudoku(4), "aa1b2") == ["aa1", "b", "2"], "what a model garbles is kept"
    assert trace_steps(Sudoku(4), "ad234!1!ad1") == ["ad234!1", "!ad1"]
    assert trace_steps(Sudoku(4), "a..21b..43c.2.4d4..2?aa3a3421") == ["a..21b..43c.2.4d4..2", "?aa3", *"a3421"]
