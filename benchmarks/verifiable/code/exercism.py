"""Exercism's problem specifications: a statement in words, and cases with inputs and expected values.

The file is one JSON object, ``{slug: {"statement": ..., "cases": [...]}}``; a case has ``property`` (the function),
``input`` (its arguments by name) and ``expected`` (a value, or ``{"error": ...}``: the function must raise). There are
no published solutions, so a model can be trained on these by reward or by a teacher, not by copying answers.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.files.text import sample, text_lines
from benchmarks.problem import Problem
from benchmarks.verifiable.code.base import CodeProblems
from benchmarks.verifiable.published_text import OneFile

LEFT_OUT = {
    "baffling-birthdays": "random answers, whose properties are described in words",
    "circular-buffer": "the cases expect nothing of what the function returns",
    "complex-numbers": "numbers are written as text",
    "dnd-character": "random answers, whose properties are described in words",
    "grep": "reads files",
    "linked-list": "the cases expect nothing of what the function returns",
    "list-ops": "functions are written as text",
    "react": "the cases expect nothing of what the function returns",
    "simple-cipher": "random answers, whose properties are described in words",
    "simple-linked-list": "the cases expect nothing of what the function returns",
    "split-second-stopwatch": "the cases expect nothing of what the function returns",
    "strain": "functions are written as text",
}
SHOWN = 1  # case of each function in the question
# Expected fractions are rounded to two decimals where they are not exact; a list may be a tuple; True is not 1.
SAME = """
def same(given, expected):
    if isinstance(expected, bool) or isinstance(given, bool):
        return given is expected
    if isinstance(expected, (int, float)):
        close = 0.01 if isinstance(expected, float) and expected != int(expected) else 0
        return isinstance(given, (int, float)) and abs(given - expected) <= close
    if isinstance(expected, list):
        return (isinstance(given, (list, tuple)) and len(given) == len(expected)
                and all(same(one, other) for one, other in zip(given, expected)))
    if isinstance(expected, dict):
        return (isinstance(given, dict) and given.keys() == expected.keys()
                and all(same(given[key], expected[key]) for key in expected))
    return given == expected

def refuses(function, arguments):
    try:
        function(**arguments)
    except Raised:
        return True
    return False
"""


@dataclass(frozen=True)
class Exercism(OneFile, CodeProblems):
    """122 of the 134 problems; those ``LEFT_OUT`` have no cases that can judge. A problem's split is that of its slug's
    hash. ``meta`` keeps the ``slug``."""

    family: ClassVar[str] = "exercism"
    signs: ClassVar[str] = (
        "\u00a3\u00b0\u00b2\u00b3\u00b7\u00b9\u00d7\u00e2\u00e4\u00e8\u00e9\u00ed\u00f8\u00fc\u0144\u0151\u016b\u02bb"
        "\u0308\u0391\u0392\u0393\u0394\u03ac\u03b1\u03b2\u03b3\u03b5\u03b9\u03bc\u03bd\u03c0\u03c1\u03c5\u03c6\u0414"
        "\u0431\u043e\u0440\u044a\u0e01\u0e02\u0e19\u0e1b\u0e1c\u0e21\u0e22\u0e23\u0e35\u0e39\u0e40\u0e41\u0e42\u0e49"
        "\u1edd\u2013\u2014\u2019\u201c\u201d\u2026\u2070\u2074\u2075\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087"
        "\u2088\u2089\u20ac\u2102\u2115\u211a\u211d\u2122\u2124\u2191\u2192\u2193\u2205\u2265\u228a\u2500\u2502\u250c"
        "\u2510\u2514\u2518\u251c\u2524\u252c\u2534\u2744\u279c\u2b02\u307b\u5b50\u672c\u732b\U0001f0b8\U0001f0c1"
        "\U0001f0c5\U0001f0ca\U0001f0cb\U0001f0cd\U0001f0ce\U0001f321\U0001f3e5\U0001f487\U0001f570\U0001f600"
        "\U0001f61b\U0001f6eb\U0001f912\U0001f920\U0001f921\U0001f927"
    )

    @property
    def instructions(self) -> str:
        return (
            "Write the Python functions that are asked for, with the standard library alone. They take their arguments "
            "by name, return plain data, and raise ValueError for input that is not allowed. "
            "Answer with the code in one ```python block."
        )

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of the published file; see :class:`Exercism` for those that are left out."""
        self.require_isolation()
        try:
            content = json.loads("".join(text_lines(Path(path), ".json")))
        except (ValueError, RecursionError) as error:
            raise UserError(f"the file is no JSON ({error}).", where=str(path), cure="Download it again.") from None
        if not isinstance(content, dict):
            raise UserError("the file holds no object of problems.", where=str(path), cure="Download it again.")
        problems = [
            exercism_problem(slug, Record(f"{path}, {slug}", at + 1, values if isinstance(values, dict) else {}))
            for at, (slug, values) in enumerate(content.items())
            if slug not in LEFT_OUT
        ]
        return sample(problems, limit, seed, path)

    def answer_text(self, problem: Problem) -> NoReturn:
        raise UserError(
            "there are no published solutions of Exercism's problems to learn from.",
            where=self.name,
            cure="Train with method=grpo, or let a language model teach (reasoning-kit teach).",
        )


def exercism_problem(slug: str, record: Record) -> Problem:
    """
    Raises:
        UserError: if it is no problem of Exercism.
    """
    statement, given = record.text("statement"), record.value("cases")
    if not isinstance(given, list):
        raise UserError("the cases are no list.", where=record.where, cure=CORRECT)
    cases = list(_cases(given, record.where))
    replaced = {case["reimplements"] for case in cases if "reimplements" in case}
    cases = [case for case in cases if case.get("uuid") not in replaced]
    tests, shown = [], []
    functions: dict[str, list[tuple[dict[str, Any], Any]]] = {}
    for case in cases:
        arguments = {_safe(name): value for name, value in case["input"].items()}
        function = _safe(case["property"])
        tests.append(_test(function, arguments, case["expected"]))
        functions.setdefault(function, []).append((arguments, case["expected"]))
    for function, examples in functions.items():
        names = sorted({name for arguments, _ in examples for name in arguments}, key=_first_place(examples))
        always = [name for name in names if all(name in arguments for arguments, _ in examples)]
        written = ", ".join(name if name in always else f"{name}=None" for name in sorted(names, key=_not_in(always)))
        shown.append(f"def {function}({written}): ...")
        shown += [f"    # {_example(function, *example)}" for example in examples[:SHOWN]]
    question = f"{statement}\n\nWrite these functions:\n\n" + "\n".join(shown)
    meta = {"line": record.line, "slug": slug, "tests": tests, "setup": SAME, "remote": sorted(functions)}
    return Problem(f"exercism:{slug}", question, "", slug, meta)


def _cases(group: list[Any], where: str) -> Iterator[dict[str, Any]]:
    for case in group:
        if isinstance(case, dict) and isinstance(case.get("cases"), list):
            yield from _cases(case["cases"], where)
        elif (
            isinstance(case, dict)
            and isinstance(case.get("property"), str)
            and isinstance(case.get("input"), dict)
            and "expected" in case
        ):
            yield case
        else:
            raise UserError(f"this is no case: {case!r:.60}.", where=where, cure=CORRECT)


def _safe(name: str) -> str:
    """A name as Python writes it: ``leapYear`` is ``leap_year``, ``from`` is ``from_``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return f"{snake}_" if keyword.iskeyword(snake) or hasattr(builtins, snake) else snake


def _raises(expected: Any) -> bool:
    return isinstance(expected, dict) and set(expected) == {"error"}


def _test(function: str, arguments: dict[str, Any], expected: Any) -> str:
    if _raises(expected):
        return f"assert refuses({function}, {arguments!r})"
    return f"assert same({function}(**{arguments!r}), {expected!r})"


def _example(function: str, arguments: dict[str, Any], expected: Any) -> str:
    call = f"{function}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    return f"{call} raises ValueError" if _raises(expected) else f"{call} == {expected!r}"


def _first_place(examples: list[tuple[dict[str, Any], Any]]):
    order: dict[str, int] = {}
    for arguments, _ in examples:
        for name in arguments:
            order.setdefault(name, len(order))
    return order.__getitem__


def _not_in(always: list[str]):
    return lambda name: name not in always
