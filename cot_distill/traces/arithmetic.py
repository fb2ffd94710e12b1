"""Teacher for arithmetic: long multiplication by partial products, addition digit by digit with carries.

``27*34``: ``27*30=0810;27*4=0108;0810+0108=0918``. Every number has a fixed width: without the padding the same
model learns less in the same time (measured: see docs/results).
"""

from __future__ import annotations

import math

from benchmarks.problem import Problem
from benchmarks.verifiable.arithmetic import Arithmetic

STEP = "[^;]+;?"  # one equation
STYLES = {"partial_products": "one product for each digit of the second number, then their sums; a sum digit by digit"}


def trace(task: Arithmetic, problem: Problem, style: str) -> str:
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


def check(task: Arithmetic, problem: Problem, text: str, style: str) -> None:
    """Read a trace again: every line must be true, and use the question's numbers or what earlier lines found.

    Raises:
        ValueError: if a line is false or does not follow, or the lines do not lead to the labelled answer.
    """
    lines = [_equation(line) for line in text.split(";")]
    first, second = (int(number) for number in problem.question.split("+" if task.operation == "addition" else "*"))
    end = _check_sums(lines, first, second) if task.operation == "addition" else _check_products(lines, first, second)
    if end != int(problem.answer):
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _equation(line: str) -> tuple[str, list[int], int]:
    """Sign, terms and value of a true line such as ``27*30=0810``."""
    left, equals, right = line.partition("=")
    sign = "*" if "*" in left else "+"
    terms = left.split(sign)
    if not equals or not all(number.isdigit() for number in (*terms, right)):
        raise ValueError(f"'{line}' is no equation")
    numbers = [int(term) for term in terms]
    value = math.prod(numbers) if sign == "*" else sum(numbers)
    if value != int(right):
        raise ValueError(f"'{line}' is false: it is {value}")
    return sign, numbers, value


def _check_products(lines: list[tuple[str, list[int], int]], first: int, second: int) -> int:
    """Partial products of all digits of the second number, then their sums one after the other."""
    products = [line for line in lines if line[0] == "*"]
    if any(len(terms) != 2 or terms[0] != first for _, terms, _ in products):
        raise ValueError(f"a product without {first}")
    if sum(terms[1] for _, terms, _ in products) != second:
        raise ValueError(f"the factors do not make {second}")
    total = products[0][2]
    for (_, _, product), (sign, terms, value) in zip(products[1:], lines[len(products) :], strict=True):
        if sign != "+" or terms != [total, product]:
            raise ValueError(f"the sum of {terms} is not that of {total} and {product}")
        total = value
    return total


def _check_sums(lines: list[tuple[str, list[int], int]], first: int, second: int) -> int:
    """The digits of both numbers from the last to the first, each with the carry of the line before."""
    carry, end = 0, 0
    for power, (_, terms, value) in enumerate(lines):
        if terms != [first // 10**power % 10, second // 10**power % 10, carry]:
            raise ValueError(f"line {power + 1} adds {terms}, not two digits and the carry {carry}")
        carry = value // 10
        end += value % 10 * 10**power
    return end + carry * 10 ** len(lines)
