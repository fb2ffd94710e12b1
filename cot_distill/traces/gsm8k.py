"""Teacher for GSM8K: the published rationale, which a person wrote.

The published text holds the results of a calculator, ``48/2 = <<48/2=24>>24``. The style ``rationale`` leaves them out,
``annotated`` keeps them.
"""

from __future__ import annotations

import re
from fractions import Fraction

from benchmarks.problem import Problem
from benchmarks.verifiable.expressions import evaluate
from benchmarks.verifiable.gsm8k import GSM8K

STEP = "[^\n]+\n?"  # one line
STYLES = {
    "rationale": "the person's words, without the calculator's results",
    "annotated": "the same with the calculator's results, <<48/2=24>>",
}

ANNOTATION = re.compile(r"<<([^<>\n]*)>>")
NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+")


def trace(task: GSM8K, problem: Problem, style: str) -> str:
    """The rationale in one of the styles.

    Raises:
        ValueError: if the problem came without one.
    """
    rationale = str(problem.meta.get("rationale", ""))
    if not rationale:
        raise ValueError("the problem came without a rationale")
    return rationale if style == "annotated" else ANNOTATION.sub("", rationale)


def check(task: GSM8K, problem: Problem, trace: str, style: str) -> None:
    """Evaluate every result of the calculator exactly, and look whether the end leads to the label.

    The style ``rationale`` shows none of them, so those of the published rationale are evaluated, and the trace must
    be what it says. The label must be the last result, or stand in the last line.

    Raises:
        ValueError: naming the first result that is malformed or false, or saying that the end is another number.
    """
    published = trace
    if style != "annotated":
        published = str(problem.meta.get("rationale", ""))
        if trace != ANNOTATION.sub("", published):
            raise ValueError("the trace is not the published rationale")
    last = None
    for annotation in ANNOTATION.findall(published):
        left, equals, right = annotation.partition("=")
        if not equals:
            raise ValueError(f"<<{annotation}>> is no equation")
        value, last = evaluate(left), evaluate(right)
        if value != last:
            raise ValueError(f"<<{annotation}>> is false: it is {value}")
    words = ANNOTATION.sub("", published)
    if "<<" in words or ">>" in words:
        raise ValueError("the marks << and >> do not match")
    label = Fraction(problem.answer)
    if last != label and label not in numbers(words.rstrip().split("\n")[-1]):
        raise ValueError(f"the last line does not come to {problem.answer}")


def numbers(text: str) -> list[Fraction]:
    """All numbers of a text, without their signs."""
    return [Fraction(number.replace(",", "")) for number in NUMBER.findall(text)]
