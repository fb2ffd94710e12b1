"""CRUXEval: what does a small Python function return, or for which input does it return this? (arXiv 2401.03065)

A row is ``code`` (a function ``f``), ``input``, ``output`` and ``id``. Answers are Python literals. All 800 are for
testing as published; here a hash of the code says which are for training, as there is no training set.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.options import require_choice
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.sandbox.monty import MontyFailure, call_in_monty, monty_available
from benchmarks.sandbox.run import Tests, isolation, require_isolation, run_tests
from benchmarks.task import Task
from benchmarks.verifiable.code.base import CodeProblems
from benchmarks.verifiable.published_text import OneFile

LONGEST = 4_000  # characters of an answer
Predict = Literal["output", "input"]
Runner = Literal["auto", "bubblewrap", "monty"]
NO_LITERAL = object()


@dataclass(frozen=True)
class CRUXEval(OneFile, CodeProblems):
    """``meta`` keeps ``code``, ``input`` and ``output``.

    Attributes:
        predict: ``output`` from the input: answers are compared, nothing is run. ``input`` from the output: the
            function runs on the answer, and any input with that output is right.
        runner: what runs it: bubblewrap, pydantic-monty, or the first that works here.
    """

    predict: Predict = "output"
    runner: Runner = "auto"

    family: ClassVar[str] = "cruxeval"
    signs: ClassVar[str] = (
        "\u00c4\u00cf\u00d6\u00dc\u00e4\u00e5\u00e6\u00ef\u00f6\u00fc\u0421\u0422\u0441\u044c\u0628\u062a\u0645\u0646\uc758"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("predict", self.predict, get_args(Predict))
        require_choice("runner", self.runner, get_args(Runner))

    @property
    def name(self) -> str:
        return f"cruxeval-{self.predict}"

    @property
    def instructions(self) -> str:
        if self.predict == "output":
            return (
                "What does the function return? Answer with the value alone, as a Python literal like [1, 'a'] or 'b'."
            )
        return (
            "Find arguments with which the function returns that value. Answer with the arguments alone, separated by "
            "commas, as Python literals like [1, 2], 'a'."
        )

    # --- problems -------------------------------------------------------------------------------

    def require_isolation(self) -> None:
        if self.predict == "input" and self._by_monty() and not monty_available():
            raise UserError("pydantic-monty is not installed.", where="runner", cure="Install it, or use bubblewrap.")
        if self.predict == "input" and not self._by_monty():
            require_isolation(self.unsafe_code)

    def _by_monty(self) -> bool:
        if self.runner != "auto":
            return self.runner == "monty"
        return not self.unsafe_code and monty_available() and bool(isolation())

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """See :meth:`CodeProblems.read`; warns of problems that pydantic-monty, where it is the runner, cannot run."""
        problems = super().read(path, limit, seed)
        if self.predict == "output" or not self._by_monty():
            return problems
        kept = [problem for problem in problems if not self._fault(problem, problem.meta["input"])]
        if len(kept) < len(problems):
            warnings.warn(
                f"{path}: {len(problems) - len(kept)} of {len(problems)} problems are left out, "
                "as pydantic-monty cannot run them on their published input.",
                stacklevel=2,
            )
        return kept

    def problem_of(self, record: Record) -> Problem:
        code, output, name = (record.text(column) for column in ("code", "output", "id"))
        given = record.value("input")
        if not isinstance(given, str):
            raise UserError(f"the input is no text but {given!r:.40}.", where=record.where, cure=CORRECT)
        given = given.strip()  # empty where the function takes nothing
        if literal(output) is NO_LITERAL:
            raise UserError(f"the output '{output[:40]}' is no Python literal.", where=record.where, cure=CORRECT)
        meta = {"line": record.line, "code": code, "input": given, "output": output}
        if self.predict == "output":
            return Problem(f"cruxeval:{name}", f"{code}\n\nassert f({given}) == ?", output, code, meta)
        return Problem(f"cruxeval:{name}", f"{code}\n\nassert f(?) == {output}", given, code, meta)

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Exact: the published answer as text. Only literals are looked at or run, so an answer cannot compute."""
        if answer is None:
            return Verdict.wrong("no answer could be read")
        exact = answer.text.strip() == problem.answer
        if exact:
            fault = ""
        elif self.predict == "output":
            value = literal(answer.text)
            fault = "it is no literal" if value is NO_LITERAL else ""
            if not fault and not same_value(value, literal(problem.answer)):
                fault = f"it returns {problem.answer[:60]}"
        else:
            fault = self._fault(problem, answer.text)
        correct = exact if self.measure == "exact" else not fault
        return self.verdict(exact, fault, float(correct), "not the published one")

    def _fault(self, problem: Problem, arguments: str) -> str:
        """Why the function does not return the output with these arguments, or nothing."""
        call = literal_call(arguments)
        if call is None:
            return "the arguments are no literals"
        positional, named = call
        expected = literal(problem.meta["output"])
        if self._by_monty():
            try:
                value = call_in_monty(problem.meta["code"], "f", positional, named)
            except MontyFailure as error:
                return f"it raised {error}"
            return "" if same_value(value, expected) else "it returns something else"
        test = f"assert same(f(*{positional!r}, **{named!r}), {expected!r})"
        outcome = run_tests(problem.meta["code"], Tests((test,), SAME, {"f": "f"}), unsafe=self.unsafe_code)
        return "" if outcome.right else outcome.fault

    # --- text form ------------------------------------------------------------------------------

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """The whole text if it is short, without a fence or a leading ``assert f(...) ==`` around it."""
        kept = re.sub(r"\A\s*```\w*\n(.*?)\n?```\s*\Z", r"\1", text, flags=re.DOTALL).strip()
        if kept.startswith("assert ") and self.predict == "output":
            kept = kept.rpartition("==")[2].strip()
        return Answer(kept) if (kept or not problem.answer) and len(kept) <= LONGEST else None

    find_answer = Task.find_answer  # a value, not code


# True is not 1 and 1 is not 1.0 in what a function returns, unlike in Python's ==.
SAME = """
def same(given, expected):
    if type(given) is not type(expected):
        return False
    if isinstance(given, (list, tuple)):
        return len(given) == len(expected) and all(map(same, given, expected))
    if isinstance(given, dict):
        return given == expected and same(sorted(map(repr, given.items())), sorted(map(repr, expected.items())))
    return given == expected or (given != given and expected != expected)
"""
_names: dict[str, Any] = {}
exec(SAME, _names)
same_value = _names["same"]


def literal(text: str) -> Any:
    """The value of a Python literal, or ``NO_LITERAL``."""
    try:
        return ast.literal_eval(text.strip()) if len(text) <= LONGEST else NO_LITERAL
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return NO_LITERAL


def literal_call(arguments: str) -> tuple[list[Any], dict[str, Any]] | None:
    """Positional and named arguments, or ``None`` if they are not literals (a few published ones are not)."""
    if len(arguments) > LONGEST:
        return None
    try:
        call = ast.parse(f"f({arguments}\n)", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return None
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
        if len(named) < len(call.keywords):
            return None
        return [ast.literal_eval(argument) for argument in call.args], named
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
