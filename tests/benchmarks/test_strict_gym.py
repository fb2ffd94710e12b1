# ruff: noqa: RUF001
"""What a careful person would give each of many answers to reasoning-gym questions, through a model's completion."""

from __future__ import annotations

import importlib.util

import pytest

from benchmarks.problem import Problem
from benchmarks.task import load_task
from benchmarks.text_form import read_completion

if importlib.util.find_spec("reasoning_gym") is None:
    pytest.skip("reasoning-gym is not installed: pip install -e '.[gym]'", allow_module_level=True)

# dataset, gold answer, what the dataset knows, right answers, wrong answers
TABLE = [
    (
        "gcd",
        "18",
        None,
        ["18", " 18", "18\n", "18.0", "18.00"],
        [
            "",
            " ",
            "1",
            "8",
            "118",
            "180",
            "18.",
            "18.01",
            "-18",
            "+18",
            "018",
            "18 18",
            "18, 18",
            "1 8",
            "18x",
            "x18",
            "x = 18",
            "The answer is 18",
            "It is 18.",
            "not 18",
            "18 or 17",
            "17 18 19",
            "1,8",
            "１８",
            "١٨",
            "18\u200b",
            "18%",
            "$18",
            "1.8e1",
            "0x12",
            "9+9",
            "18/1",
            "36/2",
            "\\boxed{18}",
            "<answer>18</answer>",
            "**18**",
            "(18)",
            "[18]",
            "'18'",
            "18</think>",
            "eighteen",
            "XVIII",
            "18" * 500,
            "9" * 5_000,
            "nan",
            "inf",
            "None",
            "18 apples",
        ],
    ),
    (
        "decimal_arithmetic",
        "5.40",
        None,
        ["5.40", "5.4", "5.400"],
        ["5.41", "5.39", "5", "54", "5,40", ".540e1", "5.4.", "5.4.0", "5.40001", "-5.40", "05.40", "27/5", "5.4 or 6"],
    ),
    (
        "color_cube_rotation",
        "yellow",
        None,
        ["yellow", "yellow\n"],
        [
            "Yellow!",
            "yellow.",
            "yellow yellow",
            "red, yellow",
            "yello",
            "ellow",
            "it is yellow",
            "yell0w",
            "уellow",
            "not yellow",
        ],
    ),
    (
        "number_sorting",
        "['-73.94', '-54.5', '21.0']",
        None,
        ["['-73.94', '-54.5', '21.0']", '["-73.94", "-54.5", "21.0"]', "['-73.94','-54.5','21.0']"],
        [
            "['-54.5', '-73.94', '21.0']",
            "['-73.94', '-54.5']",
            "['-73.94', '-54.5', '21.0', '21.0']",
            "-73.94, -54.5, 21.0",
            "['-73.94', '-54.5', '22.0']",
            "['-73.94', '-54.5', '21.0'",
            "['-73.94', '-54.5', '21.0']]",
            "[]",
            "['-73.94', '-54.5', '21.0'] is it",
            "sorted(['-73.94', '-54.5', '21.0'])",
            "[" * 500,
        ],
    ),
    (
        "mini_sudoku",
        "2 1 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 4",
        None,
        [
            "2 1 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 4",
            "2 1 4 3 \n3 4 1 2\n4 2 3 1  \n1 3 2 4\n",
            "2 1 4 3\r\n3 4 1 2\r\n4 2 3 1\r\n1 3 2 4",
        ],
        [
            "1 2 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 4",
            "2 1 4 3\n3 4 1 2\n4 2 3 1",
            "1 1 1 1\n1 1 1 1\n1 1 1 1\n1 1 1 1",
            "2 1 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 4\n1 3 2 4",
            "The board:\n2 1 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 4",
            "2143341242311324",
            "2 1 4 3\n3 4 1 2\n4 2 3 1\n1 3 2 ４",
        ],
    ),
    (
        "knights_knaves",
        "Luke is an altruist, and Emily is an egoist.",
        None,
        ["Luke is an altruist, and Emily is an egoist."],
        [
            "Luke is an egoist, and Emily is an altruist.",
            "Luke is an altruist.",
            "Luke is an altruist, and Emily is an altruist.",
            "Luke is an altruist, and Emily is an egoist, and I am a fish.",
            "Luke is not an altruist, and Emily is an egoist.",
            "It is false that Luke is an altruist, and Emily is an egoist.",
        ],
    ),
    (
        "game_of_life_halting",
        "True",
        None,
        ["True", "True\n"],
        ["False", "true or false", "yes", "1", "TrueFalse", "not True", "True.", "anything"],
    ),
    (
        "puzzle24",
        "4*8 - 6 - 2",
        {"source_dataset": "puzzle24", "numbers": [4, 8, 6, 2]},
        ["4*8 - 6 - 2", "4*8-6-2", "8*4-(6+2)", "(8*6)/(4-2)", "8*6/(4-2)"],
        [
            "24",
            "4*6",
            "4*8-8",
            "4*6*1*1",
            "4*8-6-3",
            "4*8-6-2=24",
            "12*2",
            "8*6/4*2+0",
            "20+4",
            "4*8-6-2.0",
            "4*8 - 6 - 2 ok",
            "__import__('os').getpid()",
            "4*8-6--2",
            "2**4+8",
            "(4*8-6-2",
            "8/(3-8/3)",
            "4*8 - 6 - 2\n4*8 - 6 - 2",
        ],
    ),
    (
        "graph_color",
        '{"0": 1, "1": 2, "2": 1}',
        {
            "source_dataset": "graph_color",
            "puzzle": {"vertices": [0, 1, 2], "edges": [(0, 1), (1, 2)], "num_colors": 3, "color_options": [1, 2, 3]},
        },
        ['{"0": 1, "1": 2, "2": 1}', '{"0":2,"1":1,"2":3}', '{"2": 3, "1": 1, "0": 3}'],
        [
            '{"0": 1, "1": 1, "2": 2}',
            '{"0": 1, "1": 2}',
            '{"0": 1, "1": 2, "2": 4}',
            '{"0": 1, "1": 2, "2": 0}',
            "{}",
            "[]",
            '{"0": 1, "1": 2, "2": "1"}',
            '{"0": 1, "1": 2, "2": true}',
            '{"0": 1, "1": 2, "2": 1.0}',
            '{"0": 1, "1": 2, "2": 1, "3": 1}',
            '{"0": 1, "1": 1, "2": 1, "1": 2}',
            '{"0": 1, "1": 2, "2": 1} ok',
            "1, 2, 1",
            '{"0": 1, "1": 2, "2": [1]}',
            "null",
        ],
    ),
    (
        "quantum_lock",
        "C → A",
        {
            "source_dataset": "quantum_lock",
            "target_value": 2,
            "initial_state": "red",
            "initial_value": 0,
            "solution_path": ["C", "A"],
            "buttons": [
                {"name": "A", "type": "multiply", "value": 2, "active_state": "any"},
                {"name": "B", "type": "add", "value": 2, "active_state": "any"},
                {"name": "C", "type": "add", "value": 1, "active_state": "any"},
            ],
        },
        ["C → A", "C → C"],
        [
            "B",
            "A → C",
            "C",
            "C → A → A",
            "CA",
            "C A",
            "C -> A",
            "c → a",
            "The answer: C → A",
            "C → A.",
            "C →",
            "A → A → B",
            "D → A",
        ],
    ),
    (
        "propositional_logic",
        "(P ∧ Q)",
        {"source_dataset": "propositional_logic", "premises": ["P", "Q"], "variables": ["P", "Q"]},
        ["(P ∧ Q)", "(P ∨ Q)"],
        [
            "(P ∧ ¬Q)",
            "(P ∨ ¬P)",
            "(P ∧ R)",
            "(P ∧ Q",
            "P ∧ Q)",
            "P Q",
            "(P and Q)",
            "(P ∧ Q).",
            "We conclude (P ∧ Q)",
            "()",
            "¬",
            "∧",
        ],
    ),
]

CASES = [
    pytest.param(dataset, gold, known, text, expected, id=f"{dataset}-{'right' if expected else 'wrong'}-{text[:24]!a}")
    for dataset, gold, known, good, bad in TABLE
    for expected, texts in ((True, good), (False, bad))
    for text in texts
]


@pytest.mark.parametrize(("dataset", "gold", "known", "text", "expected"), CASES)
def test_as_a_careful_person(dataset, gold, known, text, expected):
    task = load_task("gym", dataset=dataset)
    meta = {"index": 0, "source": dataset, "known": "" if known is None else repr(known)}
    problem = Problem("p", "the question", gold, "orbit", meta)
    for style, completion in (("answer_only", text), ("cot", f"I think{'</think>'}{text}")):
        verdict = task.verify(problem, read_completion(task, problem, completion, style))
        assert verdict.correct == expected, verdict
        assert verdict.correct == (verdict.score == 1.0)
        assert verdict.correct == (not verdict.reason)
    assert not task.verify(problem, read_completion(task, problem, text, "cot")).correct
    two_ends = f"a</think>b</think>{text}"
    assert not task.verify(problem, read_completion(task, problem, two_ends, "cot")).correct


def test_there_are_many_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize(
    "dataset", ["gcd", "word_sorting", "mini_sudoku", "knights_knaves", "rubiks_cube", "shortest_path"]
)
def test_every_change_of_one_character(dataset):
    """A change is right only where the text is another right answer, which these datasets hardly have."""
    task = load_task("gym", dataset=dataset)
    wrongly = []
    for p in task.generate("test", 3, 0):
        a = task.answer_text(p)
        for at in range(min(len(a), 40)):
            for char in "01 x.UL'":
                for text in (a[:at] + char + a[at + 1 :], a[:at] + char + a[at:], a[:at] + a[at + 1 :]):
                    if [line.rstrip() for line in text.strip().split("\n")] != a.split("\n"):
                        verdict = task.verify(p, read_completion(task, p, text, "answer_only"))
                        if verdict.correct:
                            wrongly.append((a, text))
    assert wrongly == []
