"""Toy families that learn in seconds: write a word backwards; replace letters by a rule that only the puzzle tells."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from transformers import set_seed

from benchmarks.grid_task import GridTask
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.symmetries import IGNORE, Symmetries
from benchmarks.task import Measure
from benchmarks.training.budget import Budget, Meter
from benchmarks.training.trainer import BudgetCallback
from trm.arguments import training_arguments
from trm.dataset import Examples
from trm.ema import EMACallback
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.trainer import TRMTrainer, build

LETTERS = "abc"
TINY = {
    "precision": "float32",
    "width": 32,
    "inner_multiple": 32,
    "batch_size": 16,
    "T": 2,
    "n": 1,
    "supervision_steps": 3,
    "warmup_steps": 5,
}


@dataclass(frozen=True)
class Backwards(GridTask):
    """Letters ``abc``; the last position carries no label, so that unlabelled positions are tested too."""

    length: int = 6
    measure: Measure = "exact"
    family: ClassVar[str] = "backwards"

    name = "backwards"
    vocabulary = LETTERS
    alphabet = LETTERS
    instructions = "Write the letters backwards."

    @property
    def positions(self):
        return self.length + 1

    def generate(self, split, count, seed):
        generator = torch.Generator().manual_seed(seed + (split == "test") * 1000)
        drawn = torch.randint(3, (count, self.length), generator=generator)
        words = ["".join(LETTERS[i] for i in row) for row in drawn]
        return [Problem(f"{split}-{i}", word, word[::-1], orbit=word) for i, word in enumerate(words)]

    def parse_question(self, text):
        return Problem(text, text, text[::-1], orbit=text)

    def verify(self, problem, answer):
        right = answer is not None and answer.text == problem.answer
        return Verdict(right, right, right, float(right))

    def encode(self, problems):
        def tokens(texts, end):
            return torch.tensor([[1 + LETTERS.index(letter) for letter in text] + [end] for text in texts])

        return tokens([p.question for p in problems], 0), tokens([p.answer for p in problems], IGNORE)

    def restore(self, input_ids, labels):
        return tuple("".join(("?" + LETTERS)[i] for i in row[:-1].tolist()) for row in (input_ids, labels))

    def decode(self, problem, tokens):
        return Answer("".join(("?" + LETTERS)[i] for i in tokens[:-1].tolist()))

    def sample_symmetries(self, batch, generator):
        """Any renaming of the three letters."""
        return self._renamed(torch.stack([torch.randperm(3, generator=generator) for _ in range(batch)]))

    def _renamed(self, letters):
        positions = torch.arange(self.positions).expand(len(letters), -1)
        return Symmetries(positions, torch.cat((torch.zeros(len(letters), 1).long(), 1 + letters), 1))

    def question_text(self, problem):
        return problem.question

    def answer_text(self, problem):
        return problem.answer

    def parse_answer(self, problem, text):
        return Answer(text)

    def render(self, problem, answer=None):
        return problem.question


@dataclass(frozen=True)
class HiddenRule(Backwards):
    """Replace every letter by the one ``k`` further on: the puzzle ``rule-k`` is named, its rule is nowhere written.

    A puzzle has six variants, the renamings of three letters; in half of them the rule turns the other way round.
    """

    family: ClassVar[str] = "hidden-rule"
    name = "hidden-rule"

    def generate(self, split, count, seed):
        def moved(word, by):
            return "".join(LETTERS[(LETTERS.index(letter) + by) % 3] for letter in word)

        words = [p.question for p in super().generate(split, count, seed)]
        return [Problem(f"{split}-{i}:{i % 3}", word, moved(word, i % 3), orbit=word) for i, word in enumerate(words)]

    def puzzle_of(self, problem):
        return f"rule-{problem.id[-1]}"

    def variants(self, problem, most):
        return min(most, 6)

    def _numbered_symmetry(self, problem, variant):
        return self._renamed(torch.tensor([list(itertools.permutations(range(3)))[variant]]))


@pytest.fixture(scope="session")
def task():
    return Backwards()


@pytest.fixture(scope="session")
def problems(task):
    return task.generate("train", 200, seed=0)


@pytest.fixture(scope="session")
def hidden_rule():
    return HiddenRule()


@pytest.fixture(scope="session")
def tiny():
    """Options of a model that trains in a second or two."""
    return TINY


@pytest.fixture(scope="session")
def trainer_for():
    """Builds a trainer of a tiny model with a budget in steps."""

    def build_trainer(task, problems, output_dir, steps, **options):
        chosen = TRMOptions(**TINY | options)
        examples = Examples(task, problems, chosen)
        set_seed(0)
        meter = Meter(Budget("steps", steps))
        return TRMTrainer(
            TRMForPuzzles(build(task, chosen, examples.table)),
            training_arguments(chosen, meter.budget, 0, output_dir),
            examples=examples,
            options=chosen,
            meter=meter,
            ema=EMACallback(chosen.ema, chosen.ema_warmup),
            callbacks=[BudgetCallback(meter)],
        )

    return build_trainer


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
