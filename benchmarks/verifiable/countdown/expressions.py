"""Expressions of Countdown: a strict parser of its own, exact values, one way to write each.

A tree is a number or ``(sign, left, right)``. ``parse(write(tree)) == tree``: only parentheses that the tree needs are
written, and no spaces. Values are :class:`fractions.Fraction`, so nothing is right by rounding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Tree = int | tuple[str, "Tree", "Tree"]
else:
    Tree = int | tuple  # checkers at run time do not know types that hold themselves

SIGNS = "+-*/"
LONGEST = 400  # characters; six numbers need less than 60, so more is no answer but an attack on the parser
TOKEN = re.compile(r" *(?:([1-9][0-9]*)|([-+*/()])|(.))", re.DOTALL)  # [0-9]: \d would also match other scripts' digits


class ExpressionError(ValueError):
    """What is wrong with a text that should be an expression."""


def parse(text: str) -> Tree:
    """The tree of a text of whole positive numbers, ``+ - * /`` and parentheses; spaces between them mean nothing.

    Signs of equal rank group to the left; a sign needs a number on both sides, so ``-3`` and ``2**3`` are none.

    Raises:
        ExpressionError: saying which character is wrong.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters")
    tokens = _Tokens(text)
    tree = _sum(tokens)
    if tokens.next:
        raise ExpressionError(f"'{tokens.next}' stands where a sign is expected")
    return tree


class _Tokens:
    """The tokens of a text one after another; ``next`` is empty at the end."""

    def __init__(self, text: str) -> None:
        self.rest = TOKEN.finditer(text.rstrip(" "))
        self.next = ""
        self.advance()

    def advance(self) -> str:
        current, match = self.next, next(self.rest, None)
        if match is not None and match[3]:
            raise ExpressionError(f"{match[3]!a} belongs to no expression")
        self.next = "" if match is None else match[0].strip(" ")
        return current


def _sum(tokens: _Tokens) -> Tree:
    tree = _product(tokens)
    while tokens.next and tokens.next in "+-":
        tree = (tokens.advance(), tree, _product(tokens))
    return tree


def _product(tokens: _Tokens) -> Tree:
    tree = _number(tokens)
    while tokens.next and tokens.next in "*/":
        tree = (tokens.advance(), tree, _number(tokens))
    return tree


def _number(tokens: _Tokens) -> Tree:
    if tokens.next.isdigit():
        return int(tokens.advance())
    if tokens.next != "(":
        raise ExpressionError(f"'{tokens.next or 'the end'}' stands where a number is expected")
    tokens.advance()
    tree = _sum(tokens)
    if tokens.next != ")":
        raise ExpressionError(f"'{tokens.next or 'the end'}' stands where ')' is expected")
    tokens.advance()
    return tree


def value(tree: Tree) -> Fraction:
    """
    Raises:
        ExpressionError: if it divides by zero.
    """
    if isinstance(tree, int):
        return Fraction(tree)
    sign, left, right = tree
    return combined(sign, value(left), value(right))


def combined(sign: str, left: Fraction, right: Fraction) -> Fraction:
    """
    Raises:
        ExpressionError: if it divides by zero.
    """
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    if not right:
        raise ExpressionError("it divides by zero")
    return left / right


def numbers(tree: Tree) -> list[int]:
    """The numbers from left to right."""
    return [tree] if isinstance(tree, int) else numbers(tree[1]) + numbers(tree[2])


def write(tree: Tree) -> str:
    """The tree without a space or a needless parenthesis."""
    if isinstance(tree, int):
        return str(tree)
    sign, left, right = tree
    first, second = write(left), write(right)
    if isinstance(left, tuple) and left[0] in "+-" and sign in "*/":
        first = f"({first})"
    if isinstance(right, tuple) and (sign in "*/" or right[0] in "+-"):
        second = f"({second})"
    return f"{first}{sign}{second}"


def steps(tree: Tree) -> Iterator[tuple[Fraction, str, Fraction, Fraction]]:
    """Left value, sign, right value and result of every sign, in the order in which they can be computed."""
    if isinstance(tree, tuple):
        yield from steps(tree[1])
        yield from steps(tree[2])
        left, right = value(tree[1]), value(tree[2])
        yield left, tree[0], right, combined(tree[0], left, right)


def fault(expression: Tree, given: list[int], target: int) -> str:
    """What is wrong with an answer, in words; empty if it uses the given numbers once each and makes the target."""
    used = numbers(expression)
    for number in dict.fromkeys((*used, *given)):
        if used.count(number) != given.count(number):
            return f"{number} is used {used.count(number)} times instead of {given.count(number)}"
    try:
        made = value(expression)
    except ExpressionError as error:
        return str(error)
    return "" if made == target else f"it makes {made}, not {target}"
