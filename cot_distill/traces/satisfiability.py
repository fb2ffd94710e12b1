"""Teacher for satisfiability: unit propagation; where it ends, a search that is shown in full (DPLL).

A step is a sign and literals; steps follow each other without a separator:

- ``>AcBc`` the clause AcB, as it stands in the question: its other literals are false, so c is true;
- ``?a`` a guess: a is true. It is on the first clause of which one literal is known to be false and none to be true,
  or on the first clause without a true literal, or on the first variable left;
- ``!aBc`` all literals of the clause aBc are false: the newest standing guess was wrong;
- ``=DbA`` follows it: what stands now, in the order in which it was found, the opposite of that guess last.

``clean`` makes only guesses that the label has, so that nothing is refuted.

Davis, Logemann and Loveland, "A machine program for theorem-proving", 1962.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from benchmarks.problem import Problem
from benchmarks.puzzles.satisfiability import formulas
from benchmarks.puzzles.satisfiability.task import Satisfiability

STEP = r"[>?!=][a-zA-Z]*"
STYLES = {
    "search": "unit propagation, guesses and their refutations shown (DPLL)",
    "clean": "search with right guesses only",
}


def trace(task: Satisfiability, problem: Problem, style: str = "search") -> str:
    """The steps from the question to the labelled answer.

    A guess is the literal of its clause if that is in the label, or if no right answer has it (then the search shows
    why). Where it would lead to a right answer that is not the labelled one, the opposite is guessed.

    Raises:
        ValueError: if the label is no right answer.
    """
    clauses = formulas.clauses_of(problem.question)
    if formulas.false_clause(problem.question, problem.answer) is not None:
        raise ValueError(f"the label {problem.answer} does not make every clause true")
    answers = formulas.right_answers(task.variables, clauses)
    tables = formulas.literal_tables(task.variables)
    steps: list[str] = []
    true: list[str] = []
    guesses: list[int] = []  # where in `true` they stand
    while True:
        rests = [_rest(clause, true) for clause in clauses]
        unit = next((at for at, rest in enumerate(rests) if len(rest) == 1 and rest not in true), None)
        if "" in rests:
            true = _refute(true, guesses)
            steps += ["!" + clauses[rests.index("")], "=" + "".join(true)]
        elif unit is not None:
            true.append(rests[unit])
            steps.append(">" + clauses[unit] + rests[unit])
        elif len(true) == task.variables:
            return "".join(steps)
        else:
            literal = _guess(task, rests, true)
            left = answers & tables[literal]
            for known in true:
                left &= tables[known]
            if (left or style == "clean") and literal not in problem.answer:
                literal = literal.swapcase()
            guesses.append(len(true))
            true.append(literal)
            steps.append("?" + literal)


def _rest(clause: str, true: Collection[str]) -> str:
    """The literals of a clause that are not known to be false."""
    return "".join(literal for literal in clause if literal.swapcase() not in true)


def _refute(true: list[str], guesses: list[int]) -> list[str]:
    """What stands when the newest guess is given up; takes it from ``guesses``."""
    at = guesses.pop()
    return [*true[:at], true[at].swapcase()]


def _guess(task: Satisfiability, rests: list[str], true: list[str]) -> str:
    """The literal to look at next; after propagation, a clause without a true literal has two or three left."""
    waiting = [rest for rest in rests if set(rest).isdisjoint(true)]
    for rest in waiting:
        if len(rest) == 2:
            return rest[0]
    if waiting:
        return waiting[0][0]
    return next(v for v in task.letters if v not in true and v.upper() not in true)


def check(task: Satisfiability, problem: Problem, trace: str, style: str = "search") -> None:
    """Read a trace again and justify every step; a guess needs only to be on an open variable.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    if style == "clean" and "!" in trace:
        raise ValueError("a clean trace refutes nothing")
    clauses = set(formulas.clauses_of(problem.question))
    true: list[str] = []
    guesses: list[int] = []
    awaited = ""  # the step that must come next
    for step in _parse(task, trace):
        sign, literals = step[0], step[1:]
        if awaited and step != awaited:
            raise ValueError(f"{step} stands where {awaited} should")
        if sign == "=":
            if not awaited:
                raise ValueError(f"{step} follows no false clause")
            awaited = ""
            continue
        clause = literals[:3]
        if sign in ">!" and clause not in clauses:
            raise ValueError(f"{step}: the question has no clause '{clause}'")
        if sign == "!":
            if left := _rest(clause, true):
                raise ValueError(f"{step}: {left[0]} is not false")
            if not guesses:
                raise ValueError(f"{step}: no guess stands that could be wrong")
            true = _refute(true, guesses)
            awaited = "=" + "".join(true)
            continue
        literal = literals[-1]
        if literal in true or literal.swapcase() in true:
            raise ValueError(f"{step}: the variable of {literal} is known already")
        if sign == ">" and _rest(clause, true) != literal:
            raise ValueError(f"{step} does not follow: not all other literals of {clause} are false")
        if sign == "?":
            guesses.append(len(true))
        true.append(literal)
    if awaited:
        raise ValueError(f"the trace ends where {awaited} should stand")
    end = "".join(sorted(true, key=str.lower))
    if end != problem.answer:
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


def _parse(task: Satisfiability, text: str) -> list[str]:
    """The steps, each with as many literals as its sign asks for."""
    steps = re.findall(f"{STEP}|.", text, flags=re.DOTALL)
    for step in steps:
        literals = step[1:]
        count = {">": 4, "?": 1, "!": 3, "=": len(literals)}.get(step[0])
        if len(literals) != count or not set(literals.lower()) <= set(task.letters):
            raise ValueError(f"'{step}' is no step")
    return steps
