"""The search that solves Countdown: the label of a question is the first answer that it finds, and traces show it.

With three numbers left one of them, ``c``, is used last, the smallest first. What the other two would have to make for
it (the *goals*, ``target-c`` and so on) is compared with what they do make (the *sums*). With more numbers left, two of
them are combined into one, depth first, and what is left is solved; a set of numbers that failed is not tried again.

Intermediate values are positive whole numbers. Only where no such answer exists, zero and fractions are tried too
(``8/(3-8/3)=24``). Negative values are never needed: where one leads to a positive target, another order avoids it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from benchmarks.verifiable.countdown.expressions import Tree, value

Term = tuple[Fraction, Tree]  # a number that is left, and how it was made
PATIENCE = 100_000  # sets of numbers that are tried before a search gives up (seconds)
ORDER = "-/+*"  # of combinations; of the orders tried, traces of four numbers are shortest with it


class GaveUp(Exception):
    """The search tried :data:`PATIENCE` sets of numbers and found no answer."""


@dataclass(frozen=True, slots=True)
class Equation:
    """``left sign right = result``."""

    left: Fraction
    sign: str
    right: Fraction
    result: Fraction


@dataclass(frozen=True, slots=True)
class Event:
    """One step of the search.

    - ``combine``: two numbers become one, ``sums[0]``;
    - ``last``: ``number`` is used last; ``goals`` are all there are, ``sums`` end where one is a goal;
    - ``back``: the newest combination that stands leads nowhere.
    """

    kind: Literal["combine", "last", "back"]
    number: Fraction = Fraction(0)
    goals: tuple[Equation, ...] = ()
    sums: tuple[Equation, ...] = ()


def search(numbers: Sequence[int], target: int) -> tuple[list[Event], Tree | None]:
    """The steps with positive whole values, and the answer that they end with (``None``: there is none).

    Raises:
        GaveUp: if it takes too long.
    """
    events: list[Event] = []
    terms: list[Term] = sorted(((Fraction(n), n) for n in numbers), key=_order)
    return events, _solve(terms, Fraction(target), events.append, set())


def first_answer(numbers: Sequence[int], target: int) -> Tree | None:
    """The first answer with positive whole values, else the first with zero or fractions, else ``None``.

    Raises:
        GaveUp: if it takes too long.
    """
    _, found = search(numbers, target)
    return found if found is not None else _solve_widely([(Fraction(n), n) for n in numbers], Fraction(target), set())


def _order(term: Term) -> Fraction:
    return -term[0]


def _solve(terms: list[Term], target: Fraction, note: Callable[[Event], None], tried: set) -> Tree | None:
    """``terms``: largest first, at least two."""
    key = tuple(number for number, _ in terms)
    tried.add(key)
    if len(tried) > PATIENCE:
        raise GaveUp
    if len(terms) == 2:
        return next((tree for equation, tree in _sums(*terms) if equation.result == target), None)
    if len(terms) == 3:
        return _solve_three(terms, target, note)
    for equation, tree, rest in _combinations(terms):
        left = sorted([*rest, (equation.result, tree)], key=_order)
        if tuple(number for number, _ in left) in tried:
            continue
        note(Event("combine", sums=(equation,)))
        if (found := _solve(left, target, note, tried)) is not None:
            return found
        note(Event("back"))
    return None


def _combinations(terms: list[Term]) -> list[tuple[Equation, Tree, list[Term]]]:
    """All ways to combine two of the numbers, in the order in which they are tried, each with the numbers left over."""
    found: list[tuple[Equation, Tree, list[Term]]] = []
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            rest = [term for k, term in enumerate(terms) if k not in (i, j)]
            found += [(equation, tree, rest) for equation, tree in _sums(terms[i], terms[j])]
    return sorted(found, key=lambda entry: ORDER.index(entry[0].sign))


def _sums(larger: Term, smaller: Term) -> Iterator[tuple[Equation, Tree]]:
    """What two numbers make, positive whole values only; dividing by 1 is the same as multiplying with it."""
    (a, first), (b, second) = larger, smaller
    yield Equation(a, "+", b, a + b), ("+", first, second)
    if a > b:
        yield Equation(a, "-", b, a - b), ("-", first, second)
    yield Equation(a, "*", b, a * b), ("*", first, second)
    if b > 1 and a % b == 0:
        yield Equation(a, "/", b, a / b), ("/", first, second)


def goals(target: Fraction, last: Fraction) -> list[tuple[Equation, str]]:
    """What the other numbers must make, so that the last one brings them to the target, each with the last sign.

    The sign is ``+ - * /`` where the last number stands behind it, ``_`` or ``\\`` where it stands before - or /.
    """
    found = []
    if target > last:
        found.append((Equation(target, "-", last, target - last), "+"))
    if last > target:
        found.append((Equation(last, "-", target, last - target), "_"))
    found.append((Equation(target, "+", last, target + last), "-"))
    if last > 1:
        found.append((Equation(target, "*", last, target * last), "/"))
    if target % last == 0:
        found.append((Equation(target, "/", last, target / last), "*"))
    elif last % target == 0:
        found.append((Equation(last, "/", target, last / target), "\\"))
    return found


def _solve_three(terms: list[Term], target: Fraction, note: Callable[[Event], None]) -> Tree | None:
    for at in (2, 1, 0):
        last = terms[at]
        wanted = goals(target, last[0])
        sign_of = {equation.result: sign for equation, sign in reversed(wanted)}
        shown, found = [], None
        for equation, tree in _sums(*(term for k, term in enumerate(terms) if k != at)):
            shown.append(equation)
            if sign := sign_of.get(equation.result):
                found = _finished(sign, tree, last[1])
                break
        note(Event("last", last[0], tuple(equation for equation, _ in wanted), tuple(shown)))
        if found is not None:
            return found
    return None


def _finished(sign: str, tree: Tree, last: Tree) -> Tree:
    if sign == "_":
        return ("-", last, tree)
    if sign == "\\":
        return ("/", last, tree)
    return (sign, tree, last)


def _solve_widely(terms: list[Term], target: Fraction, tried: set) -> Tree | None:
    """Any answer, zero and fractions among the intermediate values."""
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    terms = sorted(terms, key=_order)
    key = tuple(number for number, _ in terms)
    if key in tried:
        return None
    tried.add(key)
    if len(tried) > PATIENCE:
        raise GaveUp
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            (a, first), (b, second) = terms[i], terms[j]
            rest = [term for k, term in enumerate(terms) if k not in (i, j)]
            made: list[Tree] = [("+", first, second), ("-", first, second), ("*", first, second)]
            made += [("/", first, second)] if b else []
            made += [("/", second, first)] if a else []
            for tree in made:
                if (found := _solve_widely([*rest, (value(tree), tree)], target, tried)) is not None:
                    return found
    return None
