"""GSM8K: word problems of grade-school mathematics with worked answers in words (Cobbe et al., arXiv 2110.14168).

A row is ``question`` and ``answer``; the answer is a rationale in which a calculator's results stand between ``<<``
and ``>>``, then ``#### 72``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.errors import UserError
from benchmarks.files.jsonl import CORRECT, Record
from benchmarks.problem import Problem
from benchmarks.verifiable.word_problems import LABEL, NumberProblems, number_label, orbit_of


@dataclass(frozen=True)
class GSM8K(NumberProblems):
    """``meta`` keeps the ``rationale`` as it was published, and the ``line``."""

    family: ClassVar[str] = "gsm8k"
    signs: ClassVar[str] = (  # those of the published training and test files, a Cyrillic A among them
        "\u00a0\u00a2\u00a3\u00b3\u00bc\u00bd\u00be\u00d7\u00e7\u00e8\u00e9\u00f1\u00f7\u0410\u200b\u2013\u2014\u2018"
        "\u2019\u201c\u201d\u2028\u20ac\u2212\u221a"
    )

    @property
    def instructions(self) -> str:
        return "This is a word problem of grade-school mathematics. Answer with one number, without its unit."

    def problem_of(self, record: Record, key: str) -> Problem:
        question, answer = record.text("question"), record.text("answer")
        rationale, mark, label = answer.partition(LABEL)
        if not mark or LABEL in label:
            raise UserError(
                f"the answer holds {LABEL} {answer.count(LABEL)} times instead of once.",
                where=record.where,
                cure=f"Write it as a rationale, {LABEL} and the number. {CORRECT}",
            )
        number = number_label(label, record.where)
        meta = {"line": record.line, "rationale": rationale.strip()}
        return Problem(key, question, number, orbit_of(question), meta)
