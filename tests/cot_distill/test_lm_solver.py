"""The language-model solver: prices, the end of an answer, limits, and that a batch changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import distill as train

from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.language_models import ModelOptions
from benchmarks.problem import Answer
from benchmarks.task import load_task
from benchmarks.text_form import read_completion
from benchmarks.training.budget import Budget
from cot_distill.language_model import load_language_model
from cot_distill.options import SFTOptions, SolverOptions
from cot_distill.solver import CausalLMSolver

MODEL = ModelOptions(width=32, layers=2, heads=2, key_value_heads=1, inner=64)
TASK = load_task("arithmetic", operation="addition", digits=(1, 1))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One-digit sums, seen ones learned by heart: texts of the right form."""
    torch.set_num_threads(1)
    options = SFTOptions(batch_size=32, learning_rate=1e-2, warmup_steps=10)
    folder = tmp_path_factory.mktemp("sft")
    return train(TASK, TASK.generate("train", 60, 0), options, MODEL, "cot", Budget("steps", 150), 0, folder)


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


# --- samples, votes and budgets of thought ------------------------------------------------------


def thinking(trained, **options):
    return CausalLMSolver(trained.model, trained.tokenizer, TASK, "cot", 24, SolverOptions(**options))


def test_samples_vote_and_the_oracle_sees_them_all(trained):
    problems = TASK.generate("test", 20, 0)
    solver = thinking(trained, samples=8, temperature=1.5)
    evaluation = evaluate(solver, TASK, problems)
    for prediction in evaluation.predictions:
        solution = prediction.solution
        texts = [step.text for step in solution.trajectory]
        answers = [read_completion(TASK, prediction.problem, text, "cot") for text in texts]
        given = [answer for answer in answers if answer is not None]
        assert len(texts) == 8
        assert set(solution.seen) == set(given)
        if given:
            most = max(given.count(answer) for answer in given)
            assert solution.answer == next(a for a in given if given.count(a) == most)
        assert list(solution.step_flops) == sorted(solution.step_flops)
        assert solution.step_flops[-1] == solution.flops
    assert evaluation.oracle >= evaluation.accuracy
    assert [point.label for point in evaluation.scaling] == ["1 samples", *(f"{k} samples" for k in range(2, 9))]
    assert len({p.solution.answer for p in evaluation.predictions}) > 3


def test_the_prompt_is_paid_once_for_all_samples(trained):
    shape = CausalLMShape.of(trained.model.config)
    [solution] = thinking(trained, samples=3, temperature=1.0).solve([TASK.problem(7, 8)])
    prompt = shape.generation(1, 5, 0)
    lengths = [len(trained.tokenizer(s.text, add_special_tokens=False)["input_ids"]) for s in solution.trajectory]
    most = prompt + sum(
        shape.generation(1, 5, n + 1) - prompt for n in lengths
    )  # and the end token, where there is one
    least = prompt + sum(shape.generation(1, 5, n) - prompt for n in lengths)
    assert least <= solution.flops <= most
    assert solution.tokens - 3 <= sum(lengths) <= solution.tokens


@pytest.mark.parametrize("budget", [0, 1, 4, 7, 8, 9, 20])
def test_a_thought_is_ended_at_its_budget_and_an_answer_forced(trained, budget):
    """7+8+0=15 has 8 tokens: with fewer the answer comes without the rest of it, with more nothing changes."""
    problems = TASK.generate("train", 60, 0)
    free = thinking(trained).solve(problems)
    forced = thinking(trained, token_budget=budget).solve(problems)
    answer = 2 + 1  # digits and the end
    for without, within in zip(free, forced, strict=True):
        thought = within.text.partition("</think>")[0]
        assert within.text.startswith(thought + "</think>")
        assert len(thought) <= budget
        assert within.tokens <= budget + 1 + answer
        if within.text.startswith(without.text.partition("</think>")[0] + "</think>") and budget > 8:
            assert (within.text, within.tokens, within.flops) == (without.text, without.tokens, without.flops)
        elif budget < 8:
            assert without.text.startswith(thought)
    right = sum(s.answer == Answer(p.answer) for s, p in zip(forced, problems, strict=True))
    assert right <= 20 if budget == 0 else True
    assert right >= 40 if budget >= 9 else True


def test_samples_within_a_budget(trained):
    solutions = thinking(trained, samples=4, temperature=1.0, token_budget=3).solve(TASK.generate("test", 5, 0))
    for solution in solutions:
        assert len(solution.trajectory) == 4
        assert all(len(step.text.partition("</think>")[0]) <= 3 for step in solution.trajectory)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "samples must be 1 or more, not 0"),
        ({"samples": 4}, "all alike"),
        ({"token_budget": -1}, "token_budget must be 0 or more, not -1"),
        ({"temperature": -0.1}, "temperature must be 0 or more, not -0.1"),
        ({"temperature": float("nan")}, "temperature must be 0 or more, not nan"),
        ({"top_p": 0.0}, "top_p must be above 0 and up to 1, not 0.0"),
    ],
)
def test_impossible_ways_of_answering_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        SolverOptions(**options)


def test_a_prompt_longer_than_the_context_is_an_answer_that_says_so(trained):
    """The others are answered; the one without room is wrong, and its row in predictions.parquet says why."""
    context = trained.model.config.max_position_embeddings
    try:
        trained.model.config.max_position_embeddings = 20
        long = replace(TASK.problem(1, 2), question="1+" * 20)
        first, second = trained.solver(TASK, "cot").solve([long, TASK.problem(1, 2)])
    finally:
        trained.model.config.max_position_embeddings = context
    assert (first.answer, first.text) == (None, "[the prompt of 42 tokens leaves no room in the context of 20]")
    assert second.tokens > 0
