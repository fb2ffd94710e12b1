"""What is learned from and what is left out: every loss of a row is counted and named, and nothing wrong is taught."""

from __future__ import annotations

import pytest

import cot_distill.traces.arithmetic as teacher
from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from cot_distill.language_model import character_tokenizer, load_language_model
from cot_distill.options import SFTOptions, SolverOptions
from cot_distill.sft_examples import Reader, build_sft_examples

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
MODEL = ModelOptions(width=16, layers=1, heads=2, key_value_heads=2, inner=32)
PROBLEMS = TASK.generate("train", 20, 0)
TOKENIZER = character_tokenizer(TASK.alphabet)


@pytest.fixture(scope="module")
def shape():
    return CausalLMShape.of(load_language_model(MODEL, TASK, 0)[0].config)


def made(shape, task=TASK, problems=PROBLEMS, budget=Budget("steps", 1), context=99, **options):  # noqa: B008
    return build_sft_examples(
        task, problems, Reader(TOKENIZER, shape, context), "cot", SFTOptions(batch_size=32, **options), budget, 0
    )


def test_a_wrong_trace_is_never_learned_but_counted_and_named(shape, monkeypatch):
    """The teacher errs on one problem: the others are learned, and the record says what is missing and why."""
    right = teacher.trace
    wrong_one = PROBLEMS[3]

    def trace(task, problem, style):
        text = right(task, problem, style)
        return text.replace("=", "=9", 1) if problem.id == wrong_one.id else text

    monkeypatch.setattr(teacher, "trace", trace)
    found = made(shape)
    assert len(found.rows) == 2 * 19  # the budget of 32 rows pays for two passes
    asked = [TOKENIZER.decode([t for t, label in zip(r["input_ids"], r["labels"], strict=True) if label == IGNORE])
             for r in found.rows]  # fmt: skip
    assert f"{wrong_one.question}=<think>" not in asked
    [warning] = found.warnings
    assert warning.startswith(f"1 of 20 training problems are left out; the first, {wrong_one.id}: '")
    assert "is false" in warning


def test_nothing_left_to_learn_is_an_error_with_the_reason(shape, monkeypatch):
    monkeypatch.setattr(teacher, "trace", lambda task, problem, style: "1+1+0=03")
    with pytest.raises(UserError, match=r"20 of 20 training problems are left out.*'1\+1\+0=03' is false"):
        made(shape)


def test_prompts_that_fill_the_context_are_left_out_and_counted(shape):
    """7+8=<think> has 5 tokens: in a context of 5 nothing of the answer is learned."""
    with pytest.raises(UserError, match="20 of 20 training rows are left out: their prompts fill 5 tokens"):
        made(shape, context=5)
    assert len(made(shape, context=6).rows) == 40
    [warning] = made(shape, context=6).warnings
    assert warning.startswith("20 of 20 training rows are longer than 6 tokens (the context of the model): what is bey")


def test_signs_that_the_tokenizer_does_not_know_are_counted(shape):
    few = character_tokenizer(TASK.alphabet.replace("7", ""))
    found = build_sft_examples(TASK, PROBLEMS, Reader(few, shape, 99), "cot", SFTOptions(), Budget("steps", 1), 0)
    [warning] = found.warnings
    sevens = sum("7" in p.question + p.answer for p in PROBLEMS)
    assert 0 < sevens < 20
    assert warning == f"{sevens} of 20 training rows hold signs that the tokenizer does not know: the model sees gaps."


def test_an_unknown_style_names_the_nearest(shape):
    with pytest.raises(UserError, match="does not write in the style 'partial-product'") as caught:
        made(shape, trace="partial-product")
    assert caught.value.where == "method.cot.trace"


def test_the_learning_rate_follows_the_model():
    assert SFTOptions().rate(pretrained=True) == 4e-5
    assert SFTOptions().rate(pretrained=False) == 3e-3
    assert SFTOptions(schedule="constant").rate(pretrained=False) == 2e-3
    assert SFTOptions(learning_rate=1e-4).rate(pretrained=True) == 1e-4


def test_two_teachers_are_refused():
    with pytest.raises(UserError, match="two teachers"):
        SFTOptions(trace="search", traces="folder")


def test_filler_tokens_stand_in_prompts_alone(shape):
    plain, paused = (
        build_sft_examples(
            TASK, PROBLEMS, Reader(TOKENIZER, shape, 99), "answer_only",
            SFTOptions(solver=SolverOptions(pauses=pauses)), Budget("steps", 1), 0,
        ).rows[0]
        for pauses in (0, 3)
    )  # fmt: skip
    think = TOKENIZER.convert_tokens_to_ids("<think>")
    assert paused["input_ids"].count(think) == plain["input_ids"].count(think) + 3
    learned, learned_too = ([label for label in row["labels"] if label != IGNORE] for row in (plain, paused))
    assert learned == learned_too
