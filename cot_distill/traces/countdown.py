"""Teacher for Countdown: the whole search with its dead ends, or the steps of the answer alone.

Style ``search``, steps separated by ``;`` (``31,13,92=74``):

- ``13:74-13=61,74+13=87,74*13=962|92+31=123,92-31=61`` the smallest of three numbers, 13, is used last: before the bar
  what the other two would have to make for it, behind it what they make, up to a match; without one the next larger
  number is used last;
- ``>48/2=24`` with more than three numbers: two of them become one; numbers that failed before are passed over;
- ``<`` the newest such step that stands leads nowhere;
- ``!92-31=61;61+13=74`` the answer found, sign by sign, to the end. This is all of the style ``solution``, without
  ``!``.

Characters of the published training rows: three numbers 72 on average, 224 at most; four numbers 296, nine of ten below
812, 3,916 at most. Generated problems with five numbers take 2,100 on average, with six 26,000: use ``solution``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from benchmarks.problem import Problem
from benchmarks.verifiable.countdown import expressions
from benchmarks.verifiable.countdown.search import Equation, Event, search
from benchmarks.verifiable.countdown.task import Countdown

STYLES = {
    "search": "depth-first search with its dead ends, then the steps of the answer",
    "solution": "only the steps of the answer, one sign after another",
}
STEP = "[^;]+;?"


def trace(task: Countdown, problem: Problem, style: str = "search") -> str:
    """The steps from the question to the labelled answer."""
    tree = expressions.parse(problem.answer)
    solution = ";".join(_shown(Equation(*step)) for step in expressions.steps(tree))
    if style == "solution":
        return solution
    events, _ = search(*_question(problem))
    return ";".join([*map(_written, events), f"!{solution}"])


def _written(event: Event) -> str:
    if event.kind == "back":
        return "<"
    sums = ",".join(map(_shown, event.sums))
    if event.kind == "combine":
        return f">{sums}"
    return f"{event.number}:{','.join(map(_shown, event.goals))}|{sums}"


def _shown(equation: Equation) -> str:
    return f"{_value(equation.left)}{equation.sign}{_value(equation.right)}={_value(equation.result)}"


def _value(number: Fraction) -> str:
    return str(number) if number.denominator == 1 else f"({number})"


def _question(problem: Problem) -> tuple[list[int], int]:
    left, _, right = problem.question.partition("=")
    return [int(number) for number in left.split(",")], int(right)


def check(task: Countdown, problem: Problem, text: str, style: str = "search") -> None:
    """Replay a trace with arithmetic of its own: every equation must be true and use numbers that are there, every
    dead end must be one, and the steps at the end must make the labelled answer.

    Raises:
        ValueError: naming the first step that does not follow.
    """
    given, target = _question(problem)
    solution = text
    if style == "search":
        searched, mark, solution = text.rpartition("!")
        if not mark or (searched and not searched.endswith(";")):
            raise ValueError("the answer's steps do not follow after a '!'")
        _Search(given, target).replay(searched.split(";")[:-1])
    _check_solution(given, target, solution, problem.answer)


def _check_solution(given: Sequence[int], target: int, text: str, label: str) -> None:
    left = [Fraction(number) for number in given]
    steps = [_equation(step) for step in text.split(";")]
    for first, sign, second, result in steps:
        for number in (first, second):
            if number not in left:
                raise ValueError(f"'{first}{sign}{second}={result}': there is no {number} left")
            left.remove(number)
        left.append(result)
    if left != [target]:
        raise ValueError(f"the steps end with {', '.join(map(str, left))}, not with {target}")
    if steps != list(expressions.steps(expressions.parse(label))):
        raise ValueError(f"the steps are not those of the label {label}")


NUMBER = r"(\d+|\(\d+/\d+\))"


def _equation(step: str) -> tuple[Fraction, str, Fraction, Fraction]:
    """The parts of a true equation."""
    match = re.fullmatch(rf"{NUMBER}([-+*/]){NUMBER}={NUMBER}", step, re.ASCII)
    if match is None:
        raise ValueError(f"'{step}' is no equation")
    first, second, result = (Fraction(match[part].strip("()")) for part in (1, 3, 4))
    if match[2] == "/" and not second:
        raise ValueError(f"'{step}' divides by zero")
    true = {"+": first + second, "-": first - second, "*": first * second}
    if result != (true[match[2]] if match[2] in true else first / second):
        raise ValueError(f"'{step}' is false")
    return first, match[2], second, result


class _Search:
    """The numbers that are left after each combination that stands, and those that were tried."""

    def __init__(self, given: Sequence[int], target: int) -> None:
        self.stack = [tuple(sorted(map(Fraction, given)))]
        self.target = Fraction(target)
        self.last_used: list[list[Fraction]] = [[]]  # for each state of three, the numbers shown as used last
        self.tried: set[tuple[Fraction, ...]] = {self.stack[0]}
        self.found = False

    def replay(self, steps: Sequence[str]) -> None:
        for step in steps:
            if self.found:
                raise ValueError(f"'{step}' follows after the answer was found")
            if step == "<":
                self._back()
            elif step.startswith(">"):
                self._combine(step)
            else:
                self._use_last(step)
        all_tried = len(self.stack) == 1 and self._is_dead(self.stack[0], self.last_used[0])
        if not (self.found or all_tried):
            raise ValueError("the search ends before an answer is found and before all is tried")

    def _combine(self, step: str) -> None:
        first, _, second, result = _equation(step[1:])
        left = list(self.stack[-1])
        if len(left) <= 3:
            raise ValueError(f"'{step}': only three numbers are left")
        for number in (first, second):
            if number not in left:
                raise ValueError(f"'{step}': there is no {number} left")
            left.remove(number)
        if result < 1 or result.denominator != 1:
            raise ValueError(f"'{step}': {result} is no positive whole number")
        state = tuple(sorted([*left, result]))
        if state in self.tried:
            raise ValueError(f"'{step}' was tried before")
        self.tried.add(state)
        self.stack.append(state)
        self.last_used.append([])

    def _back(self) -> None:
        if len(self.stack) == 1:
            raise ValueError("'<' without a combination that stands")
        if not self._is_dead(self.stack.pop(), self.last_used.pop()):
            raise ValueError("'<' before everything was tried")

    def _is_dead(self, state: tuple[Fraction, ...], last_used: list[Fraction]) -> bool:
        """Whether everything that can be done with these numbers has been shown to fail."""
        if len(state) == 3:
            return sorted(last_used) == list(state)
        for i in range(len(state)):
            for j in range(i):
                rest = [number for k, number in enumerate(state) if k not in (i, j)]
                if any(tuple(sorted([*rest, made])) not in self.tried for made in _makes(state[i], state[j])):
                    return False
        return True

    def _use_last(self, step: str) -> None:
        state, used = list(self.stack[-1]), self.last_used[-1]
        match = re.fullmatch(r"(\d+):([^|]+)\|([^|]+)", step, re.ASCII)
        if match is None or len(state) != 3:
            raise ValueError(f"'{step}' is no step where {len(state)} numbers are left")
        last = Fraction(match[1])
        if sorted([*used, last]) != state[: len(used) + 1]:
            raise ValueError(f"'{step}': {last} is not the next number to be used last")
        used.append(last)
        state.remove(last)
        goals = {
            result
            for first, _, second, result in map(_equation, match[2].split(","))
            if {first, second} == {last, self.target}
        }
        if goals != _goals(last, self.target) or len(goals) > len(match[2].split(",")):
            raise ValueError(f"'{step}': not all that the others would have to make, or more than that")
        shown = []
        for equation in match[3].split(","):
            first, _, second, result = _equation(equation)
            if sorted((first, second)) != state or self.found:
                raise ValueError(f"'{equation}' is not what the other two numbers make, or stands behind a match")
            shown.append(result)
            self.found = result in goals
        if not self.found and set(shown) != _makes(*state):
            raise ValueError(f"'{step}': not all that the other two make")


def _makes(first: Fraction, second: Fraction) -> set[Fraction]:
    """The positive whole numbers that two numbers make with one sign."""
    values = {first + second, abs(first - second), first * second, first / second, second / first}
    return {number for number in values if number >= 1 and number.denominator == 1}


def _goals(last: Fraction, target: Fraction) -> set[Fraction]:
    """The positive whole numbers from which the last number makes the target."""
    values = {target + last, abs(target - last), target * last, target / last, last / target}
    return {number for number in values if number >= 1 and number.denominator == 1}
