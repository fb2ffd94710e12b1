"""Teacher for sequences: letters one after the other, sums column by column with carries.

``c;b;a`` for ``abc<``; ``3+6+0=09;2+5+0=07;1+4+0=05`` for ``321+654=``: two digits, the carry, and
their sum with two digits, of which the first is the next carry.
"""

from __future__ import annotations

from benchmarks.problem import Problem
from benchmarks.verifiable.sequences import Sequences

STEP = "[^;]+;?"
STYLES = {"steps": "letter by letter; a sum column by column with carries"}


def trace(task: Sequences, problem: Problem, style: str = "steps") -> str:
    """Every letter or column of the answer, in the order in which it is written."""
    if task.operation != "addition":
        return ";".join(problem.answer)
    first, second = problem.question.rstrip("=").split("+")
    carry, columns = 0, []
    for a, b in zip(first, second, strict=True):
        total = int(a) + int(b) + carry
        columns.append(f"{a}+{b}+{carry}={total:02d}")
        carry = total // 10
    return ";".join(columns)


def check(task: Sequences, problem: Problem, text: str, style: str = "steps") -> None:
    """Compare step by step.

    Raises:
        ValueError: naming the first step that is another, or says that steps are missing or too many.
    """
    wanted, written = trace(task, problem, style).split(";"), text.split(";")
    for number, (right, found) in enumerate(zip(wanted, written, strict=False), start=1):
        if right != found:
            raise ValueError(f"step {number} is '{found}', not '{right}'")
    if len(wanted) != len(written):
        raise ValueError(f"{len(written)} steps instead of {len(wanted)}")
