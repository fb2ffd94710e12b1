from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.puzzles.maze.task import Maze
from cot_distill.traces.maze import STYLES, check, trace


@pytest.mark.parametrize(("size", "count"), [(5, 100), (8, 100), (30, 5)])
def test_traces_pass_their_check_also_under_symmetries(size: int, count: int) -> None:
    task = Maze(size)
    problems = task.generate("train", count, seed=0)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem)
        assert set(text) <= set(task.alphabet)
        check(task, problem, text)
        back = text.partition("|")[2]
        assert back[2::3][::-1] == task.answer_text(problem)


def test_a_small_maze_by_hand() -> None:
    task = Maze(3)
    problem = task.parse_question("S.#/..#/#.G")
    assert trace(task, problem) == "baDabRbbRcbDccR|ccRcbDbbRbaD"


def test_the_path_alone() -> None:
    task = Maze(3)
    problem = task.parse_question("S.#/..#/#.G")
    assert trace(task, problem, "path") == "baDbbRcbDccR"
    with pytest.raises(ValueError, match="not the labelled path"):
        check(task, problem, "abRbbDcbDccR", "path")
    with pytest.raises(ValueError, match="step 3, bcR, does not follow"):
        check(task, problem, "baDbbRbcRccD", "path")
    for problem in Maze(8).generate("train", 30, seed=0):
        text = trace(Maze(8), problem, "path")
        check(Maze(8), problem, text, "path")
        assert text[2::3] == Maze(8).answer_text(problem)


@pytest.mark.parametrize("style", STYLES)
def test_every_corruption_fails(style: str) -> None:
    task = Maze(5)
    problem = task.generate("train", 1, seed=0)[0]
    text = trace(task, problem, style)
    for at in range(len(text)):
        for other in "abcdeDLRU|x":
            if other != text[at]:
                with pytest.raises(ValueError, match=r"."):
                    check(task, problem, text[:at] + other + text[at + 1 :], style)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.replace("|", ""), "never turns back"),
        (lambda t: t[3:], "step 1 of the search is"),
        (lambda t: t.replace("|", "aaD|"), "goes on after G"),
        (lambda t: t.replace(t[t.index("|") - 3 : t.index("|") + 1], "|"), "ends before G"),
        (lambda t: t[:-3], "does not end on S"),
        (lambda t: t[: t.index("|") + 1] + t[t.index("|") + 4 :], "step 1 of the way back"),
        (lambda t: t + t[-3:], "does not follow"),
        (lambda t: t + "a", "is no step"),
        (lambda t: "", "never turns back"),
    ],
)
def test_reasons(change, reason: str) -> None:
    task = Maze(5)
    problem = task.generate("train", 1, seed=0)[0]
    with pytest.raises(ValueError, match=reason):
        check(task, problem, change(trace(task, problem)))


def test_a_label_with_another_tie_break_is_refused() -> None:
    task = Maze(3)
    problem = task.parse_question("S../.../..G")
    zigzag = replace(problem, answer="So  oo  G")
    with pytest.raises(ValueError, match="eight neighbour orders"):
        trace(task, zigzag)
