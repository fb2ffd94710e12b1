"""The language-model solver: prices, the end of an answer, limits, and that a batch changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.budget import Budget
from benchmarks.compute import CausalLMShape
from benchmarks.problem import Answer
from benchmarks.task import load_task
from cot_distill.language_model import load_language_model
from cot_distill.options import ModelOptions, SFTOptions
from cot_distill.solver import CausalLMSolver
from cot_distill.train import train

MODEL = ModelOptions(width=32, layers=2, heads=2, key_value_heads=1, inner=64)
TASK = load_task("arithmetic", operation="addition", digits=(1, 1))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One-digit sums, seen ones learned by heart: texts of the right form."""
    torch.set_num_threads(1)
    return train(TASK, TASK.generate("train", 60, 0), SFTOptions(learning_rate=1e-2, warmup_steps=10), MODEL, "cot",
                 Budget("steps", 150), 0, tmp_path_factory.mktemp("sft"))  # fmt: skip


@pytest.fixture(scope="module")
def solver(trained):
    return trained.solver(TASK, "cot")


def test_texts_answers_and_thinking(solver):
    problems = TASK.generate("train", 60, 0)
    solutions = solver.solve(problems)
    right = 0
    for problem, solution in zip(problems, solutions, strict=True):
        *thoughts, last = solution.trajectory
        assert (last.label, last.answer) == ("answer", solution.answer)
        assert all(step.answer is None for step in thoughts)
        if "</think>" in solution.text:
            assert "".join(step.text for step in thoughts) + "</think>" + last.text == solution.text
        assert solution.steps == solution.tokens
        right += solution.answer == Answer(problem.answer)
    assert right >= 40
    solution = next(s for p, s in zip(problems, solutions, strict=True) if s.answer == Answer(p.answer))
    assert solution.text.endswith(f"</think>{solution.answer.text}")
    assert solution.tokens == len("7+8+0=15") + 1 + 2 + 1  # the trace, </think>, the answer, the end


def test_the_price_is_that_of_the_own_prompt_and_the_own_tokens(solver, trained):
    for solution in solver.solve(TASK.generate("test", 10, 0)):
        prompt = len("7+8=") + 1  # and <think>
        assert solution.flops == CausalLMShape.of(trained.model.config).generation(1, prompt, solution.tokens)


@pytest.mark.parametrize("limit", [1, 5])
def test_the_limit_on_new_tokens_is_kept(trained, limit):
    short = CausalLMSolver(trained.model, trained.tokenizer, TASK, "cot", limit)
    for solution in short.solve(TASK.generate("test", 5, 0)):
        assert solution.tokens == limit
        assert solution.answer is None
        assert [step.label for step in solution.trajectory] == ["answer"]


def test_tokens_after_the_end_are_neither_read_nor_paid(trained, monkeypatch):
    """A batch runs until its longest text ends; what stands behind an end token is padding or nonsense."""
    texts = ["7+8+0=15</think>15<eos>", "1+1+0=02</think>02<eos>9999", "2+2+0=04</think>04<eos><pad><pad>", "2+2"]
    problems = [TASK.problem(7, 8), TASK.problem(1, 1), TASK.problem(2, 2), TASK.problem(2, 2)]

    def generate(input_ids, **_):
        written = trained.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")["input_ids"]
        return torch.cat((input_ids, written), 1)

    monkeypatch.setattr(trained.model, "generate", generate)
    first, second, third, fourth = trained.solver(TASK, "cot").solve(problems)
    assert [s.answer for s in (first, second, third, fourth)] == [Answer("15"), Answer("02"), Answer("04"), None]
    assert [s.tokens for s in (first, second, third)] == [12, 12, 12]
    assert second.text == "1+1+0=02</think>02"
    assert first.flops == second.flops == third.flops


@pytest.mark.parametrize("architecture", ["qwen3", "qwen2", "llama"])
def test_a_batch_of_different_lengths_gives_the_same_texts_as_one_by_one(architecture):
    """Left padding: an untrained model with grouped heads writes the same, alone and beside longer questions."""
    mixed = [
        replace(TASK.problem(1, 2), question=q) for q in ("1+2", "9+9+9+9+9+9", "4", "7+7+7=", "12345678901234567890")
    ]
    model, tokenizer = load_language_model(replace(MODEL, architecture=architecture), TASK, 5)
    solver = CausalLMSolver(model, tokenizer, TASK, "cot", 10)
    together = solver.solve(mixed)
    alone = [solver.solve([problem])[0] for problem in mixed]
    assert [s.text for s in together] == [s.text for s in alone]
    assert [s.flops for s in together] == [s.flops for s in alone]
    assert len({s.text for s in together}) > 1


def test_the_mode_of_the_model_is_left_as_it_was(trained):
    for training in (True, False):
        trained.model.train(training)
        trained.solver(TASK, "cot").solve([TASK.problem(1, 1)])
        assert trained.model.training is training
    trained.model.eval()
