"""Completions whose answer is one of five options, each with what a careful person would give it."""

from __future__ import annotations

import pytest

from benchmarks.final_answer import final_answer
from benchmarks.problem import Answer, Problem
from benchmarks.task import load_task
from benchmarks.text_form import read_completion

TASK = load_task("aqua")
TRAIN = TASK.parse_question(
    "How far does a train go in half an hour at 48 km/h? A) 12 km B) 36 km C) 24 km D) 30 km E) None of these #### C"
)


def prompted(text: str, problem: Problem = TRAIN) -> bool:
    answer = final_answer(text)
    return TASK.verify(problem, None if answer is None else TASK.parse_answer(problem, answer)).correct


RIGHT = [
    "<answer>C</answer>",
    "<answer>(C)</answer>",
    "<answer> c </answer>",
    "<answer>C)</answer>",
    "<answer>C.</answer>",
    "<answer>C) 24 km</answer>",
    "<answer>C: 24</answer>",
    "<answer>C, 24 km</answer>",
    "<answer>C - 24 km</answer>",
    "<answer>C (24 km)</answer>",
    "<answer>24 km</answer>",
    "<answer>24</answer>",
    "<answer>24 kilometres</answer>",
    "<answer>Option C</answer>",
    "<answer>**C**</answer>",
    "<answer>$C$</answer>",
    "<answer>\\boxed{C}</answer>",
    "<answer>\\text{C}</answer>",
    "48 / 2 = 24, so <answer>C</answer>",
    "I end with <answer>letter</answer>: <answer>C</answer>",
    "\\boxed{C}",
    "$\\boxed{\\text{C}}$",
    "\\boxed{\\text{(C)}}",
    "\\boxed{\\textbf{(C) } 24}",
    "\\boxed{24}",
    "The answer is C.",
    "The answer is C",
    "The answer is (C).",
    "The answer is c.",
    "The answer is: C",
    "The answer is **C**.",
    "The answer is option C.",
    "The answer is C) 24 km.",
    "The answer is (C) 24 km.",
    "The answer is 24 km.",
    "The answer is C, because 48 / 2 is 24.",
    "The correct answer is C.",
    "The correct option is (C).",
    "The correct choice is C.",
    "The right option is C.",
    "So the correct answer is option (C).",
    "Answer: C",
    "ANSWER:C",
    "Answer : C.",
    "ANS:C",
    "Answer C",
    "Answer C)24 km",
    "Answer - C",
    "Answer: Option C",
    "**Answer:** C",
    "Answer:\nC",
    "Final answer: (C)",
    "**Final Answer**\n\nC",
    "The final answer is $\\boxed{C}$.",
    "#### C",
    "C is the correct answer.",
    "(C) is the answer.",
    "Option C is correct.",
    "Hence (C) is correct answer.",
    "So option C is the right choice.",
    "C",
    "(C)",
    "C)",
    "C.",
    "C) 24 km",
    "24 km",
    "In half an hour it goes half of 48 km, which is 24 km.\nC",
    "48 / 2 = 24\nC",
    "It goes half of that way.\nOption C",
    "A is too short and B too far. The answer is C.",
    "The answer is B. Wait, that is wrong. The answer is C.",
    "The answer is B.\nSorry, I misread the speed.\nThe answer is C.",
    "<think>B? The answer is B.</think>The answer is C.",
    "The answer is B</think>C",
    "The answer is C.\n<answer>C) 24 km</answer>",
    f"{TRAIN.question}\nC",
]

WRONG = [
    "",
    "<answer></answer>",
    "<answer>letter</answer>",
    "<answer>B</answer>",
    "<answer>F</answer>",
    "<answer>A, B, C, D, E</answer>",
    "<answer>A B C D E</answer>",
    "<answer>ABCDE</answer>",
    "<answer>C or D</answer>",
    "<answer>C and D</answer>",
    "<answer>C, D</answer>",
    "<answer>C/D</answer>",
    "<answer>not C</answer>",
    "<answer>C?</answer>",
    "<answer>C) 36 km</answer>",
    "<answer>B) 24 km</answer>",
    "<answer>C) 30</answer>",
    "<answer>C 24 36</answer>",
    "<answer>36 km</answer>",
    "<answer>-24 km</answer>",
    "<answer>2.4 km</answer>",
    "<answer>24, 36</answer>",
    "<answer>240 km</answer>",
    "<answer>E</answer>",
    "<answer>None of these</answer>",
    "<answer>\u0421</answer>",  # a Cyrillic letter
    "<answer>\uff23</answer>",  # a wide one
    "<answer>CC</answer>",
    "<answer>Cat</answer>",
    "<answer>C",
    "<answer>C</answer> <answer>D</answer>",
    "<answer>C</answer> or <answer>D</answer>",
    "<answer>C</answer> Wait, actually it is D.",
    "The answer is not <answer>C</answer>",
    "\\boxed{B}",
    "\\boxed{C} \\boxed{D}",
    "\\boxed{C, D}",
    "\\boxed{C",
    "not \\boxed{C}",
    "The answer is B.",
    "The answer is C or D.",
    "The answer is either C or D.",
    "The answer is not C.",
    "The answer isn't C.",
    "The answer cannot be C.",
    "I don't think the answer is C.",
    "Maybe the answer is C.",
    "If the answer is C, it is slow.",
    "Is the answer C?",
    "The answer is C?",
    "Tom thinks the answer is C.",
    "C is not the answer.",
    "Option C is not correct.",
    "Option C is wrong.",
    "The answer is C. The answer is D.",
    "The answer is D. The answer is C.",
    "The answer is C. Wait, that is wrong. The answer is D.",
    "The answer is C. Actually, that is incorrect.",
    "The answer is",
    "Answer: C\nAnswer: B",
    "#### D",
    "A\nB\nC",
    "A B C D E",
    "A) 12 km B) 36 km C) 24 km D) 30 km E) None of these",
    TRAIN.question,
    "<think>The answer is C.",
    "<think>C</think>",
    "<think>C</think>The answer is D.",
    "I cannot choose.",
    "A car is slower than a train.",
    "Could be C",
]


def test_the_tables_are_long_enough() -> None:
    assert min(len(set(RIGHT)), len(set(WRONG))) >= 60


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_answer_counts(text: str) -> None:
    assert prompted(text)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_right_answer_does_not_count(text: str) -> None:
    assert not prompted(text)


@pytest.mark.parametrize("text", ["C", " c\n", "(C)", "C) 24 km", "24 km", "24", "**C**", "\\boxed{C}", "Option C"])
def test_strict_path_takes_one_option(text: str) -> None:
    assert TASK.verify(TRAIN, read_completion(TASK, TRAIN, text, "answer_only")).correct
    assert TASK.verify(TRAIN, read_completion(TASK, TRAIN, f"B? no</think>{text}", "cot")).correct
    assert not TASK.verify(TRAIN, read_completion(TASK, TRAIN, text, "cot")).correct, "the thought never ended"


@pytest.mark.parametrize(
    "text",
    ["", "B", "F", "CD", "C D", "C or D", "A B C D E", "not C", "The answer is not C.", "C) 36 km",
    "B) 24 km", "C</think>D",
     "D</think>C", "C because it is half", "C" * 400, "24 36", "The train goes 12 km, then 24 km", TRAIN.question],
)  # fmt: skip
def test_strict_path_takes_nothing_else(text: str) -> None:
    assert not TASK.verify(TRAIN, read_completion(TASK, TRAIN, f"24</think>{text}", "cot")).correct
    assert not TASK.verify(TRAIN, read_completion(TASK, TRAIN, text, "answer_only")).correct


def test_an_option_that_is_there_twice_is_right_under_both_letters() -> None:
    problem = TASK.parse_question("How fast? A) 15 kmph B) 6 kmph C) 12 kmph D) 14 kmph E) 6 kmph #### E")
    assert [prompted(letter, problem) for letter in "ABCDE"] == [False, True, False, False, True]
    assert prompted("6 kmph", problem)
    verdict = TASK.verify(problem, Answer("C"))
    assert verdict.reason == "the answer is E, not C"


def test_the_exact_text_of_an_option_comes_before_its_number() -> None:
    problem = TASK.parse_question("How much? A) 1/2 B) 0.5 C) 50% D) 50 #### D")
    assert TASK.parse_answer(problem, "50") == Answer("D")
    assert TASK.parse_answer(problem, "1/2") == Answer("A")
    assert TASK.parse_answer(problem, "2/4") is None
    assert TASK.parse_answer(problem, "0.25") is None
