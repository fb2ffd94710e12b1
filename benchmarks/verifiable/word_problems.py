"""What GSM8K, SVAMP and AQuA share: questions in words from published files, one right answer, no generator."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.files.jsonl import Record, read_records
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.verifiable.numbers import canonical, parse_number
from benchmarks.verifiable.published_text import PublishedText

LABEL = "####"  # stands before the answer, in GSM8K's files and in a typed question
WIDTH = 100  # columns of a rendered question


@dataclass(frozen=True)
class WordProblems(PublishedText):
    """Questions in plain English; as there is one right answer, the measures ``exact`` and ``valid`` agree."""

    # --- problems -------------------------------------------------------------------------------

    def read(self, path: str | Path, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """Problems of a published file, or of a data set on the hub; see :mod:`benchmarks.files.jsonl`."""
        source = Path(path).name

        def problem(record: Record) -> Problem:
            return self.problem_of(record, f"{source}:{record.line}")

        return read_records(path, limit, seed, problem)

    def problem_of(self, record: Record, key: str) -> Problem:
        """The problem of one published row.

        Raises:
            UserError: if a column is missing or holds what it must not.
        """
        raise NotImplementedError

    # --- judging --------------------------------------------------------------------------------

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        if not problem.answer:
            return Verdict.wrong("the question came without its answer")
        if answer is None:
            return Verdict.wrong("no single answer could be read")
        right = answer.text == problem.answer
        fault = "" if right else f"the answer is {problem.answer}, not {answer.text}"
        return self.verdict(right, fault, float(right))

    # --- text form ------------------------------------------------------------------------------

    def question_text(self, problem: Problem) -> str:
        return problem.question + "\n"

    # --- for people -----------------------------------------------------------------------------

    def render(self, problem: Problem, answer: Answer | None = None) -> str:
        lines: list[str] = []
        for line in problem.question.splitlines():
            lines += textwrap.wrap(line, WIDTH)
        return "\n".join([*lines, f"Answer: {answer.text if answer else '?'}"])


@dataclass(frozen=True)
class NumberProblems(WordProblems):
    """Word problems whose answer is one number, in the form of :func:`benchmarks.verifiable.numbers.canonical`."""

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """One number in any way of writing it (``18``, ``$18.00``, ``18 dollars``); a text with two is no answer."""
        value = parse_number(text)
        return None if value is None else Answer(canonical(value))

    def parse_question(self, text: str) -> Problem:
        """A typed question; its answer may follow ``####``, else it is asked without being judged."""
        question, answer = typed(text, self.name)
        return Problem("typed", question, number_label(answer, self.name) if answer else "", orbit_of(question), {})


def typed(text: str, where: str) -> tuple[str, str]:
    """The question and the label of a typed problem; the label is empty where none was typed.

    Raises:
        UserError: if the question is empty, or the mark of the label stands alone or twice.
    """
    question, mark, label = (part.strip() for part in text.partition(LABEL))
    if not question:
        raise UserError(
            "the question is empty.", where=where, cure=f"Type it, and its answer behind {LABEL} if it is known."
        )
    if mark and (not label or LABEL in label):
        raise UserError(f"behind {LABEL} stands no answer.", where=where, cure=f"Type one, or leave {LABEL} out.")
    return question, label


def number_label(text: str, where: str) -> str:
    """A label in canonical form.

    Raises:
        UserError: if it is not one number.
    """
    value = parse_number(text)
    if value is None:
        raise UserError(
            f"the answer '{text.strip()[:40]}' is not one number.", where=where, cure="Write it like 1080 or 0.5."
        )
    return canonical(value)


def orbit_of(question: str) -> str:
    """The question but for case and spaces."""
    return " ".join(question.casefold().split())
