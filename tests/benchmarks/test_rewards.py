"""The reward is the verifier, and no way of writing earns it without the one right answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from benchmarks.problem import Answer, Problem
from benchmarks.rewards import Guarded, format_reward, judge, overlong_reward, score_reward, verifier_reward
from benchmarks.sandbox.run import isolation
from benchmarks.task import load_task

TASK = load_task("arithmetic")
PROBLEM = TASK.problem(27, 34)  # 0918


def reward(text, style="cot"):
    given = verifier_reward(TASK, [PROBLEM], style)(completions=[text], id=[PROBLEM.id])
    assert len(given) == 1
    assert isinstance(given[0], float)
    return given[0]


@pytest.mark.parametrize(
    "text", ["</think>0918", "</think>918", "27*30=0810;27*4=0108;0810+0108=0918</think>0918", "<think></think> 918\n"]
)
def test_a_right_answer_after_one_end_of_thought_earns_one(text):
    assert reward(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0918",
        "0918</think>",
        "</think>0919",
        "</think>",
        "</think></think>0918",
        "</think>0918</think>",
        "</think>0917</think>0918",
        "</think>0918</think>0917",
        "</think>0917 0918",
        "</think>0918 0917",
        "</think>0918,0918",
        "</think>0918;",
        "</think>=0918",
        "</think>27*34=0918",
        "</think>09180918",
        "</think><think>0918",
        "</think>the answer is 0918",
        "</think>" + ";".join(f"{n:04d}" for n in range(1000)),
        "</think>" + "".join(f"{n:04d}" for n in range(1000)),
        "</think>٠٩١٨",
        "</think >0918",
        "<think>0918",
    ],
)
def test_nothing_else_does(text):
    assert reward(text) == 0.0


def test_without_a_chain_of_thought_the_completion_is_the_answer():
    assert reward("0918", "answer_only") == 1.0
    assert reward("</think>0918", "answer_only") == 0.0
    assert reward("0917 0918", "answer_only") == 0.0


def test_each_completion_is_judged_against_its_own_label_and_other_columns_are_ignored():
    other = TASK.problem(11, 12)
    correct = verifier_reward(TASK, [PROBLEM, other], "cot")
    given = correct(
        completions=["</think>0918", "</think>0918", "</think>0132"],
        id=[PROBLEM.id, other.id, other.id],
        prompts=["a", "b", "c"],
        trainer_state=None,
    )
    assert given == [1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="zip"):
        correct(completions=["</think>0918"], id=[])


def test_a_second_end_of_thought_loses_also_in_a_family_that_reads_answers_leniently(monkeypatch):
    monkeypatch.setattr(type(TASK), "parse_answer", lambda self, problem, text: Answer(text[-4:]))
    assert reward("</think>0917 0918") == 1.0
    assert reward("</think>0917</think>0918") == 0.0
    assert reward("0918") == 0.0


# --- what only shapes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        ("27*34=918</think>0918", 1.0),
        ("a guess</think>0917", 1.0),  # wrong, but in form
        ("</think>0918", 0.0),  # an empty thought
        (" \n</think>0918", 0.0),
        ("27*34</think>", 0.0),
        ("27*34</think>about 900", 0.0),
        ("27*34</think>0918</think>", 0.0),
        ("<think>27*34</think>0918", 0.0),
        ("0918", 0.0),
    ],
)
def test_form_is_a_readable_answer_behind_a_thought(text, formed):
    assert format_reward(TASK, [PROBLEM], "cot")(completions=[text], id=[PROBLEM.id]) == [formed]


def test_partial_credit_is_the_verdicts_score():
    task = load_task("sudoku", size=4)
    [problem] = task.generate("train", 1, 0)
    label = task.answer_text(problem)
    blank = next(i for i, sign in enumerate(problem.question) if sign not in "1234")
    off = problem.answer[:blank] + str(int(problem.answer[blank]) % 4 + 1) + problem.answer[blank + 1 :]
    texts = [f"</think>{label}", f"</think>{task.answer_text(replace(problem, answer=off))}", "</think>none"]
    values = score_reward(task, [problem], "cot")(completions=texts, id=[problem.id] * 3)
    assert values[0] == 1.0
    assert 0 < values[1] < 1
    assert values[2] == 0.0


def test_length_costs_nothing_until_it_comes_near_the_longest():
    lengths = [1, 80, 85, 90, 95, 100, 120]
    values = overlong_reward(100)(completions=[""] * 7, completion_ids=[[0] * n for n in lengths])
    assert values == pytest.approx([0, 0, -0.25, -0.5, -0.75, -1, -1])


def test_failures_beyond_the_file_are_still_counted(tmp_path, monkeypatch):
    from benchmarks import rewards

    monkeypatch.setattr(rewards, "KEPT", 3)
    guard = Guarded("broken", lambda **_: 1 / 0, tmp_path / "failures.jsonl")
    assert guard(completions=["a", "b"], id=["1", "2"]) == [0.0, 0.0]
    assert guard.take() == 2
    assert guard(completions=["c", "d"], id=["3", "4"]) == [0.0, 0.0]
    assert (guard.take(), guard.take(), guard.failures) == (2, 0, 4)
    lines = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [(line["id"], line["completion"]) for line in lines] == [("1", "a"), ("2", "b"), ("3", "c")]
    assert "ZeroDivisionError" in lines[0]["why"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "x", object(), [1.0]])
def test_what_is_no_finite_number_is_a_failure(tmp_path, value):
    guard = Guarded("odd", lambda completions, **_: [value, 0.5], tmp_path / "failures.jsonl")
    assert guard(completions=["a", "b"]) == [0.0, 0.5]
    assert guard.failures == 1


def test_an_interruption_is_no_failure(tmp_path):
    def stopped(**_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded("any", stopped, tmp_path / "failures.jsonl")(completions=["a"])


# --- several verdicts at a time ---------------------------------------------------------------------


@dataclass(frozen=True)
class Slow(type(TASK)):  # type: ignore[misc]
    """Waits in its verifier, longest for the first problem, and notes how many wait at a time."""

    waiting: ClassVar[list[int]] = []
    most: ClassVar[list[int]] = []
    concurrent: ClassVar[bool] = True

    def verify(self, problem, answer):
        self.waiting.append(1)
        self.most.append(len(self.waiting))
        time.sleep(0.2 if problem == PROBLEM else 0.05)
        self.waiting.pop()
        return super().verify(problem, answer)


def test_verdicts_that_are_waited_for_are_asked_for_at_once_and_stay_in_order():
    task = Slow()
    other = task.problem(11, 12)
    completions = ["</think>0918", "</think>0918", "</think>0132", "</think>0918", "none"] * 3
    columns = {"completions": completions, "id": [PROBLEM.id, other.id, other.id, PROBLEM.id, PROBLEM.id] * 3}
    assert verifier_reward(task, [PROBLEM, other], "cot")(**columns) == [1.0, 0.0, 1.0, 1.0, 0.0] * 3
    assert max(Slow.most) > 1
    with pytest.raises(ValueError, match="zip"):
        verifier_reward(task, [PROBLEM], "cot")(completions=["a", "b"], id=[PROBLEM.id])


def test_a_verifier_that_raises_in_a_thread_fails_its_own_completion_only(tmp_path):
    @dataclass(frozen=True)
    class Faulty(Slow):
        def verify(self, problem, answer):
            if answer is None:
                raise OSError("gone")
            return super().verify(problem, answer)

    guard = Guarded("correct", verifier_reward(Faulty(), [PROBLEM], "cot"), tmp_path / "failures.jsonl")
    assert guard(completions=["</think>0918", "none", "</think>0917"], id=[PROBLEM.id] * 3) == [1.0, 0.0, 0.0]
    assert guard.failures == 1


def test_the_sandbox_gives_threads_the_verdicts_that_it_gives_one_by_one():
    task = load_task("mbpp")
    if why := isolation():
        pytest.skip(why)
    tests = [f"assert f({n}) == {n * n}" for n in range(3)]
    meta = {"tests": tests, "setup": "", "remote": ["f"]}
    problems = [Problem(f"p{i}", "", "", f"o{i}", meta) for i in range(4)]
    codes = [
        "def f(n): return n * n",
        "def f(n): return n",
        "def f(n): raise SystemExit(0)",
        "import os\nos._exit(0)",
        "def f(n): return n ** 2 if n < 2 else 5",
        "def f(n:",
        "",
    ]
    asked = [problems[(i + j) % 4] for i in range(len(codes)) for j in range(4)]
    texts = [f"</think>{code}" for code in codes for _ in range(4)]
    one_by_one = [
        task.verify(p, task.parse_answer(p, t.removeprefix("</think>"))) for p, t in zip(asked, texts, strict=True)
    ]
    assert judge(task, asked, texts, "cot") == one_by_one
    assert [v.correct for v in one_by_one] == [True] * 4 + [False] * 24
    scores = score_reward(task, problems, "cot")(completions=texts, id=[p.id for p in asked])
    assert scores == [v.score for v in one_by_one]
    assert scores[4] == pytest.approx(2 / 3)
