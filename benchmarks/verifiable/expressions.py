"""Arithmetic as people type it, evaluated exactly: ``48/2``, ``(16-3-4)*2``, ``.5*20``."""

from __future__ import annotations

import re
from fractions import Fraction

LONGEST = 300  # characters
TOKEN = re.compile(r"\s*(\d+\.?\d*|\.\d+|[-+*/()])")


def evaluate(expression: str) -> Fraction:
    """The value of an expression of ``+ - * /``, signs, parentheses and decimal numbers.

    Raises:
        ValueError: if it is malformed, divides by zero, or is longer than :data:`LONGEST`.
    """
    if len(expression) > LONGEST:
        raise ValueError(f"the expression has {len(expression)} characters, {LONGEST} are the most")
    tokens, at = [], 0
    text = expression.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None or not text.isascii():
            raise ValueError(f"'{expression}' is no arithmetic")
        tokens.append(match[1])
        at = match.end()
    value, rest = _sum(tokens)
    if rest:
        raise ValueError(f"'{expression}' is no arithmetic")
    return value


Parsed = tuple[Fraction, list[str]]  # the value so far and the tokens that follow


def _sum(tokens: list[str]) -> Parsed:
    value, tokens = _product(tokens)
    while tokens and tokens[0] in "+-":
        sign = tokens[0]
        term, tokens = _product(tokens[1:])
        value = value + term if sign == "+" else value - term
    return value, tokens


def _product(tokens: list[str]) -> Parsed:
    value, tokens = _factor(tokens)
    while tokens and tokens[0] in "*/":
        sign = tokens[0]
        factor, tokens = _factor(tokens[1:])
        if sign == "/" and factor == 0:
            raise ValueError("division by zero")
        value = value * factor if sign == "*" else value / factor
    return value, tokens


def _factor(tokens: list[str]) -> Parsed:
    if not tokens:
        raise ValueError("the expression ends where a number should stand")
    first, rest = tokens[0], tokens[1:]
    if first in "+-":
        value, rest = _factor(rest)
        return (-value if first == "-" else value), rest
    if first == "(":
        value, rest = _sum(rest)
        if not rest or rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return value, rest[1:]
    if first in ")*/":
        raise ValueError(f"'{first}' stands where a number should")
    return Fraction(first.rstrip(".")), rest
