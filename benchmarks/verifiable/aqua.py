"""AQuA-RAT: algebra word problems with five options and a rationale in words (Ling et al., arXiv 1705.04146).

A row is ``question``, ``options`` (``["A)24 km", ...]``), ``rationale`` and ``correct`` (a letter).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.verifiable.choices import parse_choice
from benchmarks.verifiable.word_problems import LABEL, WordProblems, orbit_of, typed

FORM = "Write A) 24 km B) 30 km and so on, two options at least."
OPTION = r"(?:^|(?<=\s))\(?{}[).:]\s*"  # in a typed question


@dataclass(frozen=True)
class AQuA(WordProblems):
    """The answer is a letter; ``meta`` keeps the texts of the ``options``, the ``rationale``, and the ``line``."""

    family: ClassVar[str] = "aqua"
    signs: ClassVar[str] = (  # those of the published development and test files
        "\u00b0\u00b1\u00bd\u00c3\u00d7\u00f7\u03c0\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2039\u203a\u2044\u21d2"
        "\u21d4\u2212\u2217\u221a\u2229\u222a\u2234\u2235\u2260\u2264\u22c5\u25b3"
    )

    @property
    def instructions(self) -> str:
        return (
            "This is a word problem with several options, of which one is right. Answer with the letter of that option."
        )

    def problem_of(self, record: Record, key: str) -> Problem:
        question, rationale, correct = (record.text(column) for column in ("question", "rationale", "correct"))
        options = _published_options(record.value("options"), record.where)
        meta = {"line": record.line, "rationale": rationale}
        return _problem(key, question, options, _checked_letter(correct, options, record.where), meta)

    def parse_question(self, text: str) -> Problem:
        """A typed question with its options, ``How far? A) 24 km B) 30 km``; the right letter may follow ``####``."""
        whole, label = typed(text, self.name)
        question, options = _typed_options(whole, self.name)
        letter = _checked_letter(label, options, self.name) if label else ""
        return _problem("typed", question, options, letter, {})

    def verify(self, problem: Problem, answer: Answer | None) -> Verdict:
        """Some published questions have the right option twice: then both letters are the right one."""
        if answer is not None and problem.answer:
            options, first = problem.meta["options"], ord("A")
            if options[ord(answer.text) - first] == options[ord(problem.answer) - first]:
                answer = Answer(problem.answer)
        return super().verify(problem, answer)

    def parse_answer(self, problem: Problem, text: str) -> Answer | None:
        """A letter, with or without its option's text, or that text alone; see :mod:`.choices`."""
        letter = parse_choice(text, problem.meta["options"])
        return None if letter is None else Answer(letter)


def _problem(key: str, question: str, options: list[str], letter: str, meta: dict[str, Any]) -> Problem:
    lines = [question, *(f"{chr(ord('A') + at)}) {option}" for at, option in enumerate(options))]
    # The options are no part of the orbit: the same question with other options is the same question.
    return Problem(key, "\n".join(lines), letter, orbit_of(question), {**meta, "options": options})


def _published_options(raw: Any, where: str) -> list[str]:
    if not isinstance(raw, list) or not 2 <= len(raw) <= 26 or not all(isinstance(option, str) for option in raw):
        raise UserError(
            "the options must be a list of 2 to 26 texts.", where=where, cure='Write ["A)24", "B)30", ...].'
        )
    options = []
    for at, option in enumerate(raw):
        letter = chr(ord("A") + at)
        match = re.fullmatch(rf"\s*\(?{letter}\s*[).:]\s*(.*)", option, flags=re.DOTALL)
        if match is None:
            raise UserError(
                f"option {at + 1} is '{option[:30]}' and does not begin with {letter}).", where=where, cure=CORRECT
            )
        options.append(match[1].strip())
    return options


def _typed_options(text: str, where: str) -> tuple[str, list[str]]:
    """The question and the texts of its options, which stand in the order of their letters."""
    places: list[tuple[int, int]] = []
    for letter in map(chr, range(ord("A"), ord("Z") + 1)):
        match = re.compile(OPTION.format(letter)).search(text, places[-1][1] if places else 0)
        if match is None:
            break
        places.append(match.span())
    if len(places) < 2 or not text[: places[0][0]].strip():
        raise UserError("this is not a question with options.", where=where, cure=FORM)
    ends = [start for start, _ in places[1:]] + [len(text)]
    options = [text[start:end].strip() for (_, start), end in zip(places, ends, strict=True)]
    if not all(options):
        raise UserError("an option is empty.", where=where, cure=FORM)
    return text[: places[0][0]].strip(), options


def _checked_letter(text: str, options: list[str], where: str) -> str:
    letter = text.strip().strip("()").upper()
    if len(letter) != 1 or not "A" <= letter < chr(ord("A") + len(options)):
        raise UserError(
            f"'{text[:20]}' is the letter of no option.",
            where=where,
            cure=f"Write a letter from A to {chr(ord('A') + len(options) - 1)}"
            + (f" behind {LABEL}." if where == "aqua" else "."),
        )
    return letter
