"""The final answer as text, for every kind of answer: boards, expressions, words; each rule of the docstring once."""

from __future__ import annotations

import random

import pytest

from benchmarks.final_answer import LONGEST, LONGEST_ANSWER, final_answer, same_answer
from benchmarks.task import load_task
from benchmarks.verifiable.numbers import parse_number

BOARD = "1234\n3412\n2143\n4321"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"<answer>\n{BOARD}\n</answer>", BOARD),
        (f"Here it is.\n\nAnswer:\n{BOARD}\n\nEvery row holds each digit.", BOARD),
        (f"**Final answer:**\n```\n{BOARD}\n```\nDone.", BOARD),
        (BOARD, BOARD),
        (f"```text\n{BOARD}\n```", BOARD),
        ("The answer is 1234341221434321.", "1234341221434321"),
        ("<answer>(48/2)+3=27</answer>", "(48/2)+3=27"),
        ("The answer is (48 / 2) + 3.", "(48 / 2) + 3"),
        ("The answer is 3*(4+5).", "3*(4+5)"),
        ("<answer>apple, banana, cherry</answer>", "apple, banana, cherry"),
        ("The answer is Tuesday.", "Tuesday"),
        ("Final answer: **yes**", "yes"),
        ("<answer>RRDDL</answer>", "RRDDL"),
        ("<answer>The answer is in here</answer>", "The answer is in here"),
        ("<answer>a or b</answer>", "a or b"),
        ("<answer>$x^2$</answer>", "x^2"),
        ("<answer>`print(1)`</answer>", "print(1)"),
        ("The answer is 3.25.", "3.25"),
        ("The answer is $\\frac{1}{2}$.", "\\frac{1}{2}"),
        ("\\boxed{\\frac{1}{\\sqrt{2}}}", "\\frac{1}{\\sqrt{2}}"),
    ],
)
def test_answers_of_other_kinds(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_a_board_is_read_by_its_family() -> None:
    task = load_task("sudoku", size=4)
    [problem] = task.generate("test", 1, 0)
    rows = [problem.answer[at : at + 4] for at in range(0, 16, 4)]
    for text in (
        f"<answer>{problem.answer}</answer>",
        f"The answer is {problem.answer}.",
        f"\\boxed{{{problem.answer}}}",
    ):
        answer = final_answer(f"I looked at {problem.question} first.\n{text}")
        assert answer is not None
        assert task.verify(problem, task.parse_answer(problem, answer)).correct
    assert final_answer("Answer:\n" + "\n".join(rows)) == "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # Thoughts.
        ("<think>The answer is 1.</think>The answer is 2.", "2"),
        ("<Thinking>The answer is 1.</Thinking>2", "2"),
        ("The answer is 1.</think>2", "2"),
        ("<think>a</think><think>b</think><answer>2</answer>", "2"),
        ("<answer>1</answer><think>The answer is 2.", None),
        ("<think></think>", None),
        # The most definite form counts, and what stands before it leads up to it.
        ("The answer is 1. <answer>2</answer>", "2"),
        ("\\boxed{1}\n<answer>2</answer>", "2"),
        ("Answer: 1\nFinal answer: 2", "2"),
        ("The answer to part a is 1. The answer is 2.", "2"),
        # What follows it and says something else contradicts it, unless it corrects.
        ("<answer>1</answer> The answer is 2.", None),
        ("<answer>1</answer> Wait, I made a mistake. The answer is 2.", "2"),
        ("<answer>1</answer> Wait, I made a mistake. <answer>2</answer>", "2"),
        ("<answer>1</answer> Wait, I made a mistake.", None),
        ("<answer>1</answer> Let me know if I made a mistake.", "1"),
        ("<answer>1</answer> The answer is 1.", "1"),
        ("The answer is 1. Wait. The answer is 2. Wait. The answer is 1.", "1"),
        ("The answer is 1. Wait. The answer is 2. The answer is 1.", None),
        # Cut.
        ("The answer is 1. <answer>", None),
        ("\\boxed{\\frac{1}{2}", None),
        ("Answer:", None),
        # Conclusions.
        ("Two and two.\nThus, there are 4 of them.", "there are 4 of them"),
        ("Two and two.\nThus, there are 4 of the", "Two and two.\nThus, there are 4 of the"),
        ("Two and two is what it is.\n4", "4"),
        ("1\n2\n3\n4", "1\n2\n3\n4"),
    ],
)
def test_rules(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


def test_a_long_text_without_any_mark_is_no_answer() -> None:
    assert final_answer("word " * LONGEST_ANSWER) is None
    assert final_answer("x" * LONGEST_ANSWER) is not None
    assert final_answer("<answer>" + "x" * (LONGEST_ANSWER + 1) + "</answer>") is None


def test_the_end_of_a_long_text_is_read() -> None:
    assert final_answer("The answer is 1. " + "So far so good. " * LONGEST + "<answer>2</answer>") == "2"
    assert final_answer("<think>" + "The answer is 1. " * LONGEST + "</think>The answer is 2.") == "2"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("18", "$18.00", True), ("18", "18 dollars", True), ("C", "(c)", True), ("C", "C) 24", True), ("yes",
    "Yes.", True),
     ("18", "20", False), ("C", "D", False), ("1/2", "12", False), ("-1", "1", False), ("C", "24", False)],
)  # fmt: skip
def test_same_answers(first: str, second: str, same: bool) -> None:
    assert same_answer(first, second) is same


def test_noise_never_crashes_and_two_answers_never_become_one() -> None:
    """Random sequences of the marks; an answer that comes out was written as one."""
    draw = random.Random(0)
    parts = ["<answer>", "</answer>", "\\boxed{", "}", "####", "The answer is", "18", "20", "\n", " ", ".", "?", "not",
             "<think>", "</think>", "$", "**", "Wait,", "or", "is the answer", "Final answer:", "(C)", "\\",
             "{"]  # fmt: skip
    for _ in range(20_000):
        text = " ".join(draw.choices(parts, k=draw.randrange(1, 14)))
        answer = final_answer(text)
        if answer is not None and (value := parse_number(answer)) is not None:
            assert abs(value) in (18, 20)
            assert str(abs(value)) in text
