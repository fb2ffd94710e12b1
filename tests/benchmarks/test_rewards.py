"""The reward is the verifier, and no way of writing earns it without the one right answer."""

from __future__ import annotations

import pytest

from benchmarks.problem import Answer
from benchmarks.rewards import verifier_reward
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
