"""What the families of programming problems share: the answer is Python code, and tests judge it in a sandbox.

A problem's ``meta`` holds its tests as :class:`benchmarks.sandbox.run.Tests` has them; ``remote`` lists names of the
code under test that they call, as ``name`` or ``name=the code's name``.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from benchmarks.errors import UserError
from benchmarks.files.jsonl import Record, read_records
from benchmarks.problem import Answer, Measure, Problem, Verdict
from benchmarks.sandbox.run import Tests, require_isolation, run_tests
from benchmarks.verifiable.published_text import PublishedText

LONGEST = 40_000  # characters of an answer
FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", flags=re.MULTILINE | re.DOTALL)
OPENED = re.compile(r"^[ \t]*```", flags=re.MULTILINE)
TAGGED = re.compile(r"<answer>(.*?)</answer>", flags=re.DOTALL | re.IGNORECASE)
PYTHON = ("python", "python3", "py")


def final_code(text: str) -> str | None:
    """The code in what a model wrote: the last block fenced as Python, else the last fenced without a language, else
    the whole text. ``None`` for nothing, and where the last fence is not closed: that text was cut off.

    A thought in front (``...</think>``) is not read, and of a text with ``<answer>...</answer>`` only the last one.
    Spaces at the beginning of a line stay: an answer may be the body of a function alone.
    """
    text = text.replace("\r\n", "\n").rpartition("</think>")[2]
    tagged = TAGGED.findall(text)
    if tagged:
        text = tagged[-1]
    blocks = FENCE.findall(text)
    if OPENED.search(FENCE.sub("", text)):
        return None
    python = [code for language, code in blocks if language.casefold() in PYTHON]
    plain = [code for language, code in blocks if not language]
    code = python[-1] if python else plain[-1] if plain else text
    code = re.sub(r"\A(?:[ \t]*\n)+", "", code).rstrip()
    return code if code and len(code) <= LONGEST else None


@dataclass(frozen=True)
class CodeProblems(PublishedText):
    """Published problems; there is no generator.

    Attributes:
        measure: ``valid``: every test passes; ``exact``: besides, it is the published solution but for spaces.
        unsafe_code: run answers without isolation where none works. They can then do whatever you can.
    """

    measure: Measure = "valid"
    unsafe_code: bool = False

    concurrent: ClassVar[bool] = True

    # --- problems -------------------------------------------------------------------------------

    def parse_question(self, text: str) -> NoReturn:
        raise UserError(
            "a programming problem cannot be typed: nothing would know its tests.",
            where=self.name,
            cure="Use the published problems.",
        )

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of a published file, or of a data set on the hub; see :mod:`benchmarks.files.jsonl`.

        Raises:
            UserError: also if code cannot be isolated here, so that this is known before a model is trained.
        """
        self.require_isolation()
        return read_records(path, limit, seed, self.problem_of)

    def require_isolation(self) -> None:
        """
        Raises:
            UserError: if answers cannot be judged here.
        """
        require_isolation(self.unsafe_code)

    def problem_of(self, record: Record) -> Problem:
        """The problem of one published row.

        Raises:
            UserError: if a column is missing or holds what it must not.
        """
        raise NotImplementedError

    # --- judging --------------------------------------------------------------------------------

    def program(self, problem: Problem, answer: str) -> str:
        """What is run: the answer with what the question gives."""
        return answer

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Runs the tests; the score is the share of them that pass.

        Raises:
            UserError: if code cannot be isolated here and ``unsafe_code`` is not set.
        """
        if answer is None:
            return Verdict.wrong("there is no code")
        meta = problem.meta
        remote = {name.partition("=")[0]: name.rpartition("=")[2] for name in meta["remote"]}
        outcome = run_tests(
            self.program(problem, answer.text),
            Tests(tuple(meta["tests"]), meta["setup"], remote),
            seed=zlib.crc32(problem.id.encode()),
            unsafe=self.unsafe_code,
        )

        exact = outcome.right and _squeezed(answer.text) == _squeezed(problem.answer)
        correct = exact if self.measure == "exact" else outcome.right
        score = 1.0 if correct else min(outcome.passed / max(outcome.total, 1), 0.99)
        fault = "" if outcome.right else f"{outcome.passed} of {outcome.total} tests pass: {outcome.fault}"
        return self.verdict(exact, fault, score, "right, but not the published solution")

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return f"{problem.question}\n"

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """See :func:`final_code`."""
        code = final_code(text)
        return None if code is None else Answer(code)

    def find_answer(self, problem: Problem, text: str) -> Answer | None:
        """Code has many lines: it finds its own answer in free text."""
        return self.parse_answer(problem, text)

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        return problem.question + (f"\n\n{answer.text}" if answer else "")


def _squeezed(code: str) -> str:
    """But for spaces at the ends of lines and blank lines."""
    return "\n".join(line.rstrip() for line in code.replace("\t", "    ").splitlines() if line.strip())
