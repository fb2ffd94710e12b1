"""Teacher for SVAMP: the published equation with its value, ``(8-3)+2=7``."""

from __future__ import annotations

import re
from fractions import Fraction

from benchmarks.problem import Problem
from benchmarks.verifiable.expressions import evaluate
from benchmarks.verifiable.numbers import canonical
from benchmarks.verifiable.svamp import SVAMP

STEP = "[^\n]+\n?"  # one line
STYLES = {"equation": "the published equation and its value, (8-3)+2=7"}


def trace(task: SVAMP, problem: Problem, style: str) -> str:
    """The equation without spaces, needless ``.0`` and the parentheses around it all.

    Raises:
        ValueError: if the problem came without an equation, or with one that cannot be evaluated.
    """
    published = str(problem.meta.get("equation", ""))
    if not published:
        raise ValueError("the problem came without an equation")
    left = re.sub(r"(?<=\d)\.0+(?!\d)", "", "".join(published.split()))
    if _is_enclosed(left):
        left = left[1:-1]
    return f"{left}={canonical(evaluate(left))}"


def _is_enclosed(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return at > 0 and at == len(text) - 1
    return False


def check(task: SVAMP, problem: Problem, trace: str, style: str) -> None:
    """Evaluate the equation exactly; every number in it must be that of the published one.

    Raises:
        ValueError: if it is false, not the published one, or does not come to the label.
    """
    left, equals, right = trace.partition("=")
    if not equals:
        raise ValueError(f"'{trace[:40]}' is no equation")
    value = evaluate(left)
    if value != evaluate(right):
        raise ValueError(f"{trace} is false: it is {canonical(value)}")
    if _numbers(left) != _numbers(str(problem.meta.get("equation", ""))):
        raise ValueError(f"{left} has other numbers than the published equation")
    if value != Fraction(problem.answer):
        raise ValueError(f"the equation comes to {canonical(value)}, the label is {problem.answer}")


def _numbers(text: str) -> list[Fraction]:
    return [Fraction(number) for number in re.findall(r"[0-9]+(?:\.[0-9]+)?", text)]
