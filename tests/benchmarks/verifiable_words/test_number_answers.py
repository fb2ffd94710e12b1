"""Completions whose answer is a number, each with what a careful person would give it."""

from __future__ import annotations

import itertools
import random
import threading
import time
from fractions import Fraction

import pytest

from benchmarks.final_answer import final_answer
from benchmarks.problem import Problem
from benchmarks.task import load_task
from benchmarks.text_form import read_completion
from benchmarks.verifiable.expressions import evaluate
from benchmarks.verifiable.numbers import canonical, parse_number

TASK = load_task("gsm8k")
QUESTION = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins with four. She "
    "sells the remainder for $2 each. How much in dollars does she make every day?"
)
EGGS = Problem("eggs", QUESTION, "18", "eggs")
LARGE = Problem("large", "How many?", "1800", "large")


def prompted(text: str, problem: Problem = EGGS) -> bool:
    """The path of a model that was only prompted."""
    answer = final_answer(text)
    return TASK.verify(problem, None if answer is None else TASK.parse_answer(problem, answer)).correct


RIGHT = [
    "<answer>18</answer>",
    "She sells 16 - 3 - 4 = 9 eggs for 2 each.\n<answer>18</answer>",
    "<answer> $18 </answer>",
    "<answer>18 dollars</answer>",
    "<answer>\\boxed{18}</answer>",
    "<answer>**18**</answer>",
    "<answer>Janet makes $18 every day.</answer>",
    "<answer>9 * 2 = 18</answer>",
    "<ANSWER>18.00</ANSWER>\nI hope this helps!",
    "I will end with <answer>...</answer> as asked.\n<answer>18</answer>",
    "<answer>eighteen</answer>",
    "<answer>18</answer>\n<answer>$18</answer>",
    "#### 18",
    "16 - 7 = 9\n9 * 2 = 18\n#### 18",
    "####18",
    "The answer is 18.",
    "the answer is 18",
    "The answer is $18.",
    "The answer is \\$18.",
    "The answer is: 18",
    "The answer is **18**.",
    "**The answer is 18.**",
    "So the answer is 18 dollars per day.",
    "The answer is \\(18\\).",
    "The answer is \\[18\\]",
    "The answer is $18$.",
    "The answer is $\\frac{36}{2}$.",
    "The answer is 18/1.",
    "The answer is 18.0",
    "The answer is USD 18.",
    "The answer is eighteen.",
    "The answer is 18, because 9 times 2 is 18.",
    "The answer is 18. This is because 9 * 2 is 18 and not 20.",
    "Answer: 18 apples",
    "Answer: 18",
    "ANS: 18",
    "**Answer:** 18",
    "Answer:\n18",
    "**Final Answer**\n\n$18",
    "### Final Answer\n\\boxed{18}",
    "Final answer: 18!",
    "The final answer is $\\boxed{18}$. I hope it is correct.",
    "\\boxed{18}",
    "Therefore $9 \\times 2 = \\boxed{18}$ dollars.",
    "\\boxed{\\text{18 dollars}}",
    "\\boxed{\\$18}",
    "\\fbox{18}",
    "First \\boxed{9}. Wait, that is wrong: I was asked for dollars. \\boxed{18}",
    "The answer is 20. Wait, I made a mistake. The answer is 18.",
    "The answer is 9. No, that is not right. The answer is 18.",
    "Answer: 9\nSorry, I forgot the price.\nAnswer: 18",
    "The answer to the first part is 9. The answer is 18.",
    "Answer: 9 eggs are left.\nFinal answer: 18",
    "The answer is 18.\n\\boxed{18}\n<answer>18</answer>",
    "<think>The answer is 20.</think>The answer is 18.",
    "the answer is 20, or not?</think>18",
    "<answer>Rs.18</answer>",
    "<answer>18\\ \\text{cm}^2</answer>",
    "Answer - 18",
    "Answer: $18 per day (9 * $2)",
    "The answer is 18. Let me know if I made a mistake.",
    "<think></think>18",
    "18",
    "$18",
    "18.",
    "18 dollars",
    "18 dollars a day",
    "= 18",
    "So she makes 18 dollars every day.",
    "She sells 9 eggs.\n\nTherefore, she makes $18 every day.",
    "So Janet makes 9 * 2 = $18 every day.",
    "She sells nine eggs a day for two dollars each.\n18",
    "18 is the answer.",
    "If I am not mistaken, the answer is 18.",
    "I do not like eggs, but the answer is 18.",
]

WRONG = [
    "",
    " \n ",
    "<answer></answer>",
    "<answer>...</answer>",
    "<answer>20</answer>",
    "<answer>18 or 20</answer>",
    "<answer>18, 20</answer>",
    "<answer>18</answer> or <answer>20</answer>",
    "<answer>20</answer> <answer>18</answer>",
    "<answer>not 18</answer>",
    "<answer>18",
    "The answer is <answer>1",
    "<answer>18</answer> Wait, actually it is 20.",
    "The answer is not <answer>18</answer>",
    "<answer>-18</answer>",
    "<answer>1.8</answer>",
    "<answer>180</answer>",
    "<answer>0.18</answer>",
    "<answer>18x</answer>",
    "<answer>18^2</answer>",
    "<answer>18 squared</answer>",
    "<answer>18 hundred</answer>",
    "<answer>18k</answer>",
    "<answer>2 dozen and 18</answer>",
    "<answer>18 and a half</answer>",
    "<answer>18%20</answer>",
    "<answer>1 8</answer>",
    "<answer>1,8</answer>",
    "<answer>18:00</answer>",
    "<answer>17-18</answer>",
    "<answer>at least 18</answer>",
    "<answer>less than 18</answer>",
    "<answer>18?</answer>",
    "<answer>9 * 3 = 18</answer>",
    "<answer>18 = 20</answer>",
    "<answer>\u0661\u0668</answer>",
    "<answer>16, 3, 4, 2, 9, 18</answer>",
    "#### 20",
    "#### 18\n#### 20",
    "#### 18 20",
    "The answer is 18 or 20.",
    "The answer is either 18 or 20.",
    "The answer is between 18 and 20.",
    "The answer is not 18.",
    "The answer isn't 18.",
    "The answer cannot be 18.",
    "I don't think the answer is 18.",
    "It is wrong that the answer is 18.",
    "Maybe the answer is 18.",
    "If the answer is 18, she is rich.",
    "Is the answer 18?",
    "The answer is 18?",
    "Tom says the answer is 18.",
    "18 is not the answer.",
    "The answer is 18. The answer is 20.",
    "The answer is 20. The answer is 18.",
    "The answer is 18. Wait, that is wrong. The answer is 20.",
    "The answer is 18. Actually, that is incorrect.",
    "The answer is 18. Oops, I forgot to subtract: it is 12.",
    "The answer is 18 is wrong.",
    "The answer is",
    "\\boxed{17} and \\boxed{18}",
    "\\boxed{18, 20}",
    "\\boxed{18",
    "\\boxed{}",
    "The answer is not \\boxed{18}.",
    "\\boxed{18} is wrong.",
    "<think>The answer is 18.",
    "<think>The answer is 18.</think>",
    "<think>18</think>The answer is 20.",
    QUESTION,
    f"{QUESTION} 18",
    "16 3 4 2 9 18",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
    "\n".join(map(str, range(19))),
    "She has 16 eggs, eats 3, bakes 4 and sells 9 for 18.",
    "I cannot solve this.",
    "So she makes 18 or 20 dollars.",
    "So she sells 9 of 16 eggs for 18 dollars.",
    "eighteen or twenty",
    "So she sells three eggs and makes 18",
    "Answer -18",
    "<answer>.18</answer>",
    "<answer>72 quarters</answer>",
    "<answer>-(18)</answer>",
    "<answer>- (18)</answer>",
    "<answer>sqrt(18)</answer>",
    "<answer>\\sqrt{18}</answer>",
    "<answer>log 18</answer>",
    "<answer>half of 18</answer>",
    "<answer>18 hundred thousand</answer>",
    "<answer>18_000</answer>",
    "<answer>0x18</answer>",
    "<answer>±18</answer>",
    "<answer>18h30</answer>",
    "one",
]


def test_the_tables_are_long_enough() -> None:
    assert min(len(set(RIGHT)), len(set(WRONG))) >= 60


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_answer_counts(text: str) -> None:
    assert prompted(text)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_right_answer_does_not_count(text: str) -> None:
    assert not prompted(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [("1800", True), ("1,800", True), ("$1,800.00", True), ("1\\,800", True), ("1{,}800", True), ("1.8 thousand", True),
     ("1.8k", True), ("1.8 \\times 10^3", True), ("1.8e3", True), ("18 hundred", True), ("eighteen hundred", True),
     ("one thousand eight hundred", True), ("\\frac{3600}{2}", True), ("1.800", False), ("1 800", False),
     ("18,00", False), ("1,80,0", False), ("1.8 million", False), ("18,000", False), ("1800/1,800", False)],
)  # fmt: skip
def test_thousands(text: str, right: bool) -> None:
    assert prompted(f"<answer>{text}</answer>", LARGE) is right
    assert prompted(f"The answer is {text}.", LARGE) is right


STRICT_RIGHT = ["18", "18.0", "$18", "18 dollars", "\n18\n", "\\boxed{18}", "36/2", "+18", "Janet makes $18 a day."]
STRICT_WRONG = [
    "", "20", "18 20", "18/20", "18 or 20", "not 18", "The answer is not 18.", "16 eggs make 18 dollars",
    "She sells 9 eggs and makes 18 dollars", "18</think>20", "20</think>18", "</think>18", "<think>18", QUESTION,
    "#### 18\n#### 20", "18" + " dollars" * 40, "18" + "0" * 300, "The answer is 18. The answer is 20.",
]  # fmt: skip


@pytest.mark.parametrize("text", STRICT_RIGHT)
def test_strict_path_takes_one_number(text: str) -> None:
    assert TASK.verify(EGGS, read_completion(TASK, EGGS, text, "answer_only")).correct
    assert TASK.verify(EGGS, read_completion(TASK, EGGS, f"16-7=9\nor 20?</think>{text}", "cot")).correct
    assert not TASK.verify(EGGS, read_completion(TASK, EGGS, text, "cot")).correct, "the thought never ended"


@pytest.mark.parametrize("text", STRICT_WRONG)
def test_strict_path_takes_nothing_else(text: str) -> None:
    assert not TASK.verify(EGGS, read_completion(TASK, EGGS, f"9*2=18</think>{text}", "cot")).correct
    assert not TASK.verify(EGGS, read_completion(TASK, EGGS, text, "answer_only")).correct


# --- properties --------------------------------------------------------------------------------------

JOINTS = [
    "{a} {b}", "{a}, {b}", "{a} or {b}", "{a} and {b}", "{a}\n{b}", "{a}/{b} or so", "{a}-{b}", "{a}: {b}", "{a};{b}",
    "{a} = {b}", "between {a} and {b}", "{a} (not {b})", "({a}, {b})", "[{a}, {b}]", "{a} dollars {b} cents",
    "{a} to {b}", "from {a} to {b}", "{a}x{b}", "{a}%{b}", "${a}$ ${b}$", "\\boxed{{{a}}} \\boxed{{{b}}}",
    "<answer>{a}</answer><answer>{b}</answer>", "<answer>{a}, {b}</answer>", "The answer is {a} or {b}.",
    "The answer is {a}. The answer is {b}.", "#### {a}\n#### {b}", "Answer: {a}\nAnswer: {b}", "{a} {b} apples",
    "So it is {a} or {b}.", "Final answer: {a}\nFinal answer: {b}", "\\boxed{{{a}, {b}}}",
    "{a} and {b} are the answer.",
    "The answer is {a}, {b}.", "{a} | {b}", "{a} + {b}", "{a} * {b}", "{a}.{b}.{a}",
    "{a} is the answer. {b} is the answer.",
]  # fmt: skip
WAYS = ["{}", "${}", "{} dollars", "{}.0", "**{}**"]


def test_no_text_with_two_different_numbers_verifies() -> None:
    """Neither number, in the prompted and the strict path, however the two are written and joined."""
    draw = random.Random(0)
    for joint in JOINTS:
        for _ in range(60):
            a, b = draw.sample([*range(1, 40), *(draw.randrange(40, 10**6) for _ in range(10))], 2)
            forms = [draw.choice(WAYS).format(number) for number in (a, b)]
            text = joint.format(a=forms[0], b=forms[1])
            for value in (a, b):
                problem = Problem("p", "?", str(value), "p")
                assert not prompted(text, problem), text
                assert not TASK.verify(problem, read_completion(TASK, problem, text, "answer_only")).correct, text


def test_every_way_to_write_a_number_gives_the_same_number() -> None:
    draw = random.Random(1)
    for _ in range(300):
        value = draw.choice([draw.randrange(100), draw.randrange(10**7)])
        forms = [f"{value}", f"{value:,}", f"${value:,}", f"{value}.00", f"\\boxed{{{value}}}", f"{2 * value}/2"]
        forms += [f"\\frac{{{2 * value}}}{{2}}", f"{value:,} miles per hour", f"x = {value}", f"**{value}**"]
        assert {parse_number(form) for form in forms} == {Fraction(value)}
        assert parse_number(f"-{value}") == parse_number(f"minus {value}") == -value


def test_canonical_form_is_read_back() -> None:
    draw = random.Random(2)
    for over, under in itertools.product(range(-30, 31), (1, 2, 3, 4, 5, 7, 8, 10, 16, 100, 125)):
        value = Fraction(over, under)
        assert parse_number(canonical(value)) == value
    assert [canonical(Fraction(n)) for n in ("18", "0.5", "-2.25", "1/3", "0.05", "1000")] == [
        "18", "0.5", "-2.25", "1/3", "0.05", "1000"]  # fmt: skip
    for _ in range(100):
        value = Fraction(draw.randrange(-(10**9), 10**9), 10 ** draw.randrange(7))
        assert parse_number(canonical(value)) == value


def test_numbers_in_words() -> None:
    words = {"zero": 0, "twelve": 12, "twenty-one": 21, "one hundred": 100, "one hundred and five": 105,
             "two thousand three hundred and forty": 2340, "three million": 3 * 10**6, "two dozen": 24, "a dozen": None,
             "two three": None, "one or two": None, "minus five": None, "one half": None}  # fmt: skip
    assert {text: parse_number(text) for text in words} == words


def test_math_verify_agrees_where_it_is_strict_too() -> None:
    """An independent reader of LaTeX and decimals."""
    math_verify = pytest.importorskip("math_verify")
    parse, verify = math_verify.parse, math_verify.verify
    for text in (r"\frac{36}{2}", r"\dfrac{1}{3}", "0.125", "-7", "1800", r"2\frac{1}{2}", "1.5"):
        ours = parse_number(text)
        assert ours is not None
        assert verify(parse(f"${text}$"), parse(f"${canonical(ours)}$")), text


@pytest.mark.parametrize(
    "text",
    ["", "2+", "(2", "2)", "2//3", "2**3", "1/0", "2 3", "a", "__import__('os')", "()", "\u0663", "1.2.3", "(" * 5000,
     "-" * 5000 + "1"],
)  # fmt: skip
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        evaluate(text)


def test_arithmetic_is_exact() -> None:
    assert evaluate("(16-3-4)*2") == 18
    assert evaluate(".1+.2") == Fraction(3, 10)
    assert evaluate("1/3") == Fraction(1, 3)
    assert evaluate("-2*-(3)") == 6
    assert evaluate("10-4-3") == 3
    assert evaluate("8/4/2") == 1


# --- speed -------------------------------------------------------------------------------------------


def test_a_thousand_verifications_take_seconds() -> None:
    prose = "Janet sells 16 - 3 - 4 = 9 eggs. She makes 9 * 2 = 18 dollars. " * 30
    start = time.perf_counter()
    assert all(prompted(f"{prose}\n{text}") for text in itertools.islice(itertools.cycle(RIGHT[:50]), 1_000))
    assert time.perf_counter() - start < 10


def test_it_works_outside_the_main_thread() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(prompted("The answer is $\\frac{36}{2}$.")))
    thread.start()
    thread.join()
    assert found == [True]


@pytest.mark.parametrize(
    "text",
    ["<think>" * 20_000, "<think></think>" * 10_000, "\\boxed{" * 20_000 + "}" * 20_000, "the answer is " * 10_000,
     "answer" + " " * 100_000 + "is 20", "the " * 30_000, "**" * 60_000, "Answer:\n" * 20_000, "1\n" * 60_000,
     "$" * 100_000, "x is " * 30_000, "\\boxed{1}" * 10_000, "<answer>1</answer>" * 10_000, "####" * 30_000,
     "answer to " * 10_000, "9^" * 50_000 + "9", "9" * 100_000, "(" * 100_000, " " * 100_000 + "is the answer"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    start = time.perf_counter()
    assert not prompted(text)
    assert time.perf_counter() - start < 5
