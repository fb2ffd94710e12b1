"""A toy family that learns in seconds: write a word of six letters backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.symmetries import IGNORE, Symmetries
from benchmarks.task import Measure, Task


@dataclass(frozen=True)
class Backwards(Task):
    """Letters ``abc``; the last position carries no label, so that unlabelled positions are tested too."""

    length: int = 6
    measure: Measure = "exact"
    family: ClassVar[str] = "backwards"

    name = "backwards"
    vocabulary = "abc"
    alphabet = "abc"

    @property
    def positions(self):
        return self.length + 1

    def generate(self, split, count, seed):
        generator = torch.Generator().manual_seed(seed + (split == "test") * 1000)
        words = ["".join("abc"[i] for i in row) for row in torch.randint(3, (count, self.length), generator=generator)]
        return [Problem(f"{split}-{i}", word, word[::-1], orbit=word) for i, word in enumerate(words)]

    def parse_question(self, text):
        return Problem(text, text, text[::-1], orbit=text)

    def verify(self, problem, answer):
        right = answer is not None and answer.text == problem.answer
        return Verdict(right, right, right, float(right))

    def encode(self, problems):
        def tokens(texts, end):
            return torch.tensor([[1 + "abc".index(letter) for letter in text] + [end] for text in texts])

        return tokens([p.question for p in problems], 0), tokens([p.answer for p in problems], IGNORE)

    def restore(self, input_ids, labels):
        return tuple("".join("?abc"[i] for i in row[:-1].tolist()) for row in (input_ids, labels))

    def decode(self, problem, tokens):
        return Answer("".join("?abc"[i] for i in tokens[:-1].tolist()))

    def sample_symmetries(self, batch, generator):
        """Any renaming of the three letters."""
        letters = torch.stack([1 + torch.randperm(3, generator=generator) for _ in range(batch)])
        return Symmetries(
            torch.arange(self.positions).expand(batch, -1), torch.cat((torch.zeros(batch, 1).long(), letters), 1)
        )

    def question_text(self, problem):
        return problem.question

    def answer_text(self, problem):
        return problem.answer

    def parse_answer(self, problem, text):
        return Answer(text)

    def render(self, problem, answer=None):
        return problem.question


@pytest.fixture(scope="session")
def task():
    return Backwards()


@pytest.fixture(scope="session")
def problems(task):
    return task.generate("train", 200, seed=0)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
