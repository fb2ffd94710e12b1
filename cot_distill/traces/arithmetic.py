"""Teacher for arithmetic: long multiplication by partial products, addition digit by digit with carries.

``27*34``: ``27*30=0810;27*4=0108;0810+0108=0918``. Every number has a fixed width: without the padding the same
model learns less in the same time (measured: see docs/results).
"""

from __future__ import annotations

from benchmarks.problem import Problem
from benchmarks.verifiable.arithmetic import Arithmetic


def trace(task: Arithmetic, problem: Problem) -> str:
    """The worked steps, the last of which ends with the answer."""
    if task.operation == "addition":
        return _addition(task, problem)
    first, second = problem.question.split("*")
    partials = [
        (int(digit) * 10**power, int(first) * int(digit) * 10**power)
        for digit, power in zip(second, range(len(second) - 1, -1, -1), strict=True)
    ]
    lines = [f"{first}*{factor}={product:0{task.width}d}" for factor, product in partials]
    total = partials[0][1]
    for _, product in partials[1:]:
        lines.append(f"{total:0{task.width}d}+{product:0{task.width}d}={total + product:0{task.width}d}")
        total += product
    return ";".join(lines)


def _addition(task: Arithmetic, problem: Problem) -> str:
    """From the last digit to the first: ``digit+digit+carry=two-digit sum``."""
    first, second = (number.zfill(task.width - 1) for number in problem.question.split("+"))
    lines, carry = [], 0
    for a, b in zip(reversed(first), reversed(second), strict=True):
        total = int(a) + int(b) + carry
        lines.append(f"{a}+{b}+{carry}={total:02d}")
        carry = total // 10
    return ";".join(lines)


def check(task: Arithmetic, problem: Problem, text: str) -> None:
    """Read a trace again and recompute every line.

    Raises:
        ValueError: if a line is false, or the lines do not lead to the labelled answer.
    """
    values = []
    for line in text.split(";"):
        left, equals, right = line.partition("=")
        if not equals or not right.isdigit():
            raise ValueError(f"'{line}' is no equation")
        sign = "*" if "*" in left else "+"
        terms = [int(term) for term in left.split(sign)]
        value = terms[0] * terms[1] if sign == "*" else sum(terms)
        if value != int(right):
            raise ValueError(f"'{line}' is false: it is {value}")
        values.append(right)
    if task.operation == "addition":
        end = values[-1][0] + "".join(value[1] for value in reversed(values))
    else:
        end = values[-1]
    if int(end) != int(problem.answer):
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")
