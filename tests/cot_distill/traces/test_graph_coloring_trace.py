from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.puzzles.graph_coloring.task import GraphColoring
from cot_distill.traces import trace_steps
from cot_distill.traces.graph_coloring import check, trace


@pytest.mark.parametrize(
    "task",
    [
        GraphColoring(8, 3),
        GraphColoring(8, 3, answers="many"),
        GraphColoring(12, 3, min_guesses=1),
        GraphColoring(16, 4, degree=7),
        GraphColoring(12, 4, answers="many", degree=6),
    ],
    ids=lambda t: t.name,
)
def test_traces_pass_their_check_also_under_symmetries(task: GraphColoring) -> None:
    problems = task.generate("train", 80, seed=0)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem)
        assert set(text) <= set(task.alphabet)
        check(task, problem, text)
        assert "".join(trace_steps(task, text)) == text


def test_a_trace_without_guesses_names_every_open_node_once() -> None:
    task = GraphColoring(8, 3)
    for problem in task.generate("test", 50, seed=0):
        if not problem.meta["guesses"]:
            assert len(set(trace(task, problem)[::2])) == len(trace(task, problem)) / 2 == 8 - problem.meta["givens"]


def test_a_search_by_hand() -> None:
    """b has 2 or 3 left; b = 2 leaves 1 for both c and d, which are neighbours. Then c and d are free to choose."""
    task = GraphColoring(5, 3, answers="many")
    problem = task.parse_question("ab bc bd cd ce de a1 e3")
    assert trace(task, problem) == "?b2c1!b2b3?c1d2"
    with pytest.raises(ValueError, match="not the newest standing guess"):
        check(task, problem, "?b2c1!b3b3?c1d2")
    moved = replace(problem, answer="13213")
    assert trace(task, moved) == "?b2c1!b2b3?c2d1", "refuted as before, then a guess towards the other answer"
    check(task, moved, trace(task, moved))


def test_guesses_are_on_the_first_node_with_fewest_colours_left() -> None:
    task = GraphColoring(4, 3, answers="many")
    assert trace(task, task.parse_question("ab bc cd d1")) == "?c2?b1?a2"
    assert trace(task, task.parse_question("ad bd cd d1")) == "?a2?b2?c2"


def test_search_is_shown() -> None:
    task = GraphColoring(12, 3, min_guesses=3)
    for problem in task.generate("train", 10, seed=0):
        text = trace(task, problem)
        assert text.count("?") >= 3
        assert text.count("!") > 0
        without_proof = text.replace("?", "")
        with pytest.raises(ValueError, match="does not follow"):
            check(task, problem, without_proof)
        guess = text.index("?")
        at_once = text[: guess + 3] + "!" + text[guess + 1 : guess + 3]
        with pytest.raises(ValueError, match="without a contradiction"):
            check(task, problem, at_once)


def test_every_corruption_of_a_node_or_colour_fails() -> None:
    task = GraphColoring(8, 3)
    for problem in task.generate("train", 5, seed=0):
        text = trace(task, problem)
        assert "?" not in text
        for at, char in enumerate(text):
            for other in "abcdefgh" if char.isalpha() else "123":
                if other != char:
                    with pytest.raises(ValueError, match=r"."):
                        check(task, problem, text[:at] + other + text[at + 1 :])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[:-2], "the trace ends with"),
        (lambda t: t + t[-2:], "is not possible"),
        (lambda t: t + "a", "is no step"),
        (lambda t: "i1" + t, "is no step"),
        (lambda t: "a4" + t, "is no step"),
        (lambda t: "!" + t, "not the newest standing guess"),
        (lambda t: "?" + t[:2] + "!" + t[:2] + t, "without a contradiction"),
        (lambda t: "", "the trace ends with"),
    ],
)
def test_reasons(change, reason: str) -> None:
    task = GraphColoring(8, 3)
    problem = task.generate("train", 1, seed=0)[0]
    with pytest.raises(ValueError, match=reason):
        check(task, problem, change(trace(task, problem)))


def test_a_wrong_label_is_refused() -> None:
    task = GraphColoring(8, 3)
    problem = task.generate("train", 1, seed=0)[0]
    wrong = replace(problem, answer=problem.answer[::-1])
    with pytest.raises(ValueError, match="another answer"):
        trace(task, wrong)
    with pytest.raises(ValueError, match="the label is"):
        check(task, wrong, trace(task, problem))


def test_clean_keeps_what_stands_and_says_where_a_step_does_not_follow() -> None:
    task = GraphColoring(12, 3, min_guesses=2)
    for problem in task.generate("train", 30, seed=0):
        clean, searched = trace(task, problem, "clean"), trace(task, problem)
        check(task, problem, clean, "clean")
        assert "!" not in clean
        assert "?" in clean
        assert clean.replace("?", "")[::2] == "".join(dict.fromkeys(clean.replace("?", "")[::2])), "each node once"
        with pytest.raises(ValueError, match="does not follow"):
            check(task, problem, clean.replace("?", ""), "clean")
        if "!" in searched:
            with pytest.raises(ValueError, match="retracts nothing"):
                check(task, problem, searched, "clean")
