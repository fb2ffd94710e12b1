"""Teacher for arithmetic: long multiplication by partial products, addition digit by digit with carries.

``partial_products``: ``27*30=0810;27*4=0108;0810+0108=0918``, every result with the width of the answer. ``reversed``
writes results with the last digit first, as carries go: ``27*30=0180;27*4=8010;0180+8010=8190``; sums of digits, which
have two, stay as they are. ``unpadded`` is ``partial_products`` without leading zeros.

``digits`` multiplies and adds digit by digit: ``7*4+0=28;2*4+2=10`` for 27*4, then the next digit of the second number,
``7*3+0=21;2*3+2=08``, and column by column the sum so far, a digit of what is new, and the carry:
``8+0+0=08;0+1+0=01;1+8+0=09;0+0+0=00``. Which a small model learns: docs/results/traces.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.problem import Problem
from benchmarks.verifiable.arithmetic import Arithmetic

STEP = "[^;]+;?"  # one equation
STYLES = {
    "reversed": "partial_products, results with the last digit first",
    "partial_products": "one product for each digit of the second number, then their sums; a sum digit by digit",
    "unpadded": "partial_products without leading zeros",
    "digits": "products and sums digit by digit, with carries",
}


def trace(task: Arithmetic, problem: Problem, style: str = "reversed") -> str:
    """The worked steps, the last of which ends with the answer (``digits``: its digits, from the last to the first)."""
    if task.operation == "addition" or style == "digits":
        return ";".join(
            "+".join(map(str, terms)).replace("+", sign, 1) + "=" + _write(value, 2, style)
            for sign, terms, value in _by_digits(task, problem)
        )
    first, second = problem.question.split("*")
    partials = [
        (int(digit) * 10**power, int(first) * int(digit) * 10**power)
        for digit, power in zip(second, range(len(second) - 1, -1, -1), strict=True)
    ]
    lines = [f"{first}*{factor}={_write(product, task.width, style)}" for factor, product in partials]
    total = partials[0][1]
    for _, product in partials[1:]:
        terms = "+".join(_write(term, task.width, style) for term in (total, product))
        lines.append(f"{terms}={_write(total + product, task.width, style)}")
        total += product
    return ";".join(lines)


def _write(value: int, width: int, style: str) -> str:
    if style == "unpadded":
        return str(value)
    padded = f"{value:0{width}d}"
    return padded[::-1] if style == "reversed" and width > 2 else padded


def _by_digits(task: Arithmetic, problem: Problem) -> Iterator[tuple[str, list[int], int]]:
    """Lines of digits and carries: first sign, terms, value."""
    first, second = (int(number) for number in problem.question.split("+" if task.operation == "addition" else "*"))
    if task.operation == "addition":
        yield from _sum(first, second, task.width - 1)
        return
    total = 0
    for power in range(task.digits[1]):
        carry, factor = 0, second // 10**power % 10
        for place in range(task.digits[0]):
            terms = [first // 10**place % 10, factor, carry]
            value = terms[0] * factor + carry
            yield "*", terms, value
            carry = value // 10
        product = first * factor * 10**power
        if power:
            yield from _sum(total, product, task.width)
        total += product


def _sum(first: int, second: int, width: int) -> Iterator[tuple[str, list[int], int]]:
    """From the last digit to the first: ``digit+digit+carry=two-digit sum``."""
    carry = 0
    for place in range(width):
        terms = [first // 10**place % 10, second // 10**place % 10, carry]
        yield "+", terms, sum(terms)
        carry = sum(terms) // 10


def check(task: Arithmetic, problem: Problem, text: str, style: str = "reversed") -> None:
    """Read a trace again: every line must be true, and use the question's numbers or what earlier lines found.

    Raises:
        ValueError: if a line is false or does not follow, or the lines do not lead to the labelled answer.
    """
    if style == "digits" and task.operation == "multiplication":
        _check_digits(task, problem, text)
        return
    width = 2 if task.operation == "addition" else task.width
    lines = [_equation(line, width, style) for line in text.split(";")]
    first, second = (int(number) for number in problem.question.split("+" if task.operation == "addition" else "*"))
    end = _check_sums(lines, first, second) if task.operation == "addition" else _check_products(lines, first, second)
    if end != int(problem.answer):
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _equation(line: str, width: int, style: str) -> tuple[str, list[int], int]:
    """Sign, terms and value of a true line such as ``27*30=0810``; ``width``: digits of a result."""
    left, equals, right = line.partition("=")
    sign = "*" if "*" in left else "+"
    terms = left.split(sign)
    if not equals or not all(number.isdigit() for number in (*terms, right)):
        raise ValueError(f"'{line}' is no equation")
    turned = style == "reversed" and sign == "+" and width > 2  # these terms are results of earlier lines
    numbers = [int(term[::-1] if turned else term) for term in terms]
    value = math.prod(numbers) if sign == "*" else sum(numbers)
    if right != _write(value, width, style):
        raise ValueError(f"'{line}' is false: it is {_write(value, width, style)}")
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


def _check_digits(task: Arithmetic, problem: Problem, text: str) -> None:
    """Every line with the digits that stand there, carries and column sums taken from the lines before."""
    first, second = problem.question.split("*")
    lines = iter(text.split(";"))
    total = [0] * task.width  # the last digit first
    for power, factor in enumerate(reversed(second)):
        partial = [0] * task.width
        carry = 0
        for place, digit in enumerate(reversed(first), start=power):
            value = int(digit) * int(factor) + carry
            carry, partial[place] = divmod(_line(lines, f"{digit}*{factor}+{carry}", value), 10)
        partial[power + len(first)] = carry
        if power == 0:
            total = partial
            continue
        carry = 0
        for place in range(task.width):
            value = total[place] + partial[place] + carry
            carry, total[place] = divmod(_line(lines, f"{total[place]}+{partial[place]}+{carry}", value), 10)
    if (line := next(lines, None)) is not None:
        raise ValueError(f"'{line}' stands where nothing is left to do")
    end = "".join(map(str, reversed(total)))
    if end != problem.answer:
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _line(lines: Iterator[str], left: str, value: int) -> int:
    """The value of the next line, which must be this one."""
    line, right = next(lines, ""), f"{left}={value:02d}"
    if line != right:
        raise ValueError(f"'{line}' stands where {right} should")
    return value
