"""Supervised fine-tuning: what is learned, that it is learned, and what is refused."""

from __future__ import annotations

import logging

import pytest
import torch
from training_runs import distill as train

from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.language_models import ModelOptions
from benchmarks.splits import Splits, prove_disjoint
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from benchmarks.verifiable.sequences import Sequences
from cot_distill.language_model import character_tokenizer, load_language_model, render_prompt
from cot_distill.options import SFTOptions
from cot_distill.sft_examples import Reader, Skipped, build_sft_examples, completion_limit, programmatic, tokenized
from cot_distill.traces import write_trace
from cot_distill.train import PricedSFTTrainer

SMALL = ModelOptions(width=32, layers=2, heads=2, key_value_heads=2, inner=128)
TINY = ModelOptions(width=16, layers=1, heads=2, key_value_heads=2, inner=32)
ONE_DIGIT = load_task("arithmetic", operation="addition", digits=(1, 1))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows_of(task, problems, tokenizer, style):
    left = Skipped()
    rows = list(tokenized(task, problems, tokenizer, style, programmatic(task, style, None), left))
    assert not left.reasons
    return rows


@pytest.mark.parametrize("style", ["cot", "answer_only"])
def test_labels_mask_exactly_the_prompt(style):
    task = load_task("arithmetic")
    tokenizer = character_tokenizer(task.alphabet)
    problems = task.generate("train", 20, 0)
    for problem, row in zip(problems, rows_of(task, problems, tokenizer, style), strict=True):
        prompt = render_prompt(tokenizer, task, problem, style)
        masked = row["labels"].count(IGNORE)
        assert row["labels"] == [IGNORE] * masked + row["input_ids"][masked:]
        assert tokenizer.decode(row["input_ids"][:masked]) == prompt
        thought = f"{write_trace(task, problem)}</think>" if style == "cot" else ""
        assert tokenizer.decode(row["input_ids"][masked:]) == f"{thought}{problem.answer}<eos>"


def test_the_trainer_sees_these_labels_and_pads_without_loss(tmp_path, monkeypatch):
    """TRL leaves the rows as they are: no second end token, no loss on prompts or padding."""
    batches = []
    price = PricedSFTTrainer.price

    def recorded(self, inputs):
        batches.append({k: v.clone() for k, v in inputs.items() if isinstance(v, torch.Tensor)})
        return price(self, inputs)

    monkeypatch.setattr(PricedSFTTrainer, "price", recorded)
    task = load_task("maze", size=7)
    trained = train(
        task,
        task.generate("train", 20, 0),
        SFTOptions(batch_size=5, warmup_steps=1),
        TINY,
        "cot",
        Budget("steps", 4),
        0,
        tmp_path,
    )
    tokenizer = trained.tokenizer
    assert len(batches) == 4
    for batch in batches:
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            text = tokenizer.decode(ids[labels != IGNORE])
            assert text.endswith("<eos>")
            assert text.count("<eos>") == 1
            assert "<pad>" not in text
            assert tokenizer.decode(ids[labels == IGNORE]).replace("<pad>", "").endswith("<think>")
            assert ids[labels == IGNORE].tolist().count(tokenizer.convert_tokens_to_ids("<think>")) == 1
    assert any((batch["input_ids"] == tokenizer.pad_token_id).any() for batch in batches)


def test_further_passes_are_augmented_and_as_many_as_the_budget_pays():
    task = load_task("arithmetic")
    problems = task.generate("train", 50, 0)
    model, tokenizer = load_language_model(TINY, task, 0)
    shape = CausalLMShape.of(model.config)

    def rows(budget, **options):
        options = SFTOptions(batch_size=10, **options)
        return build_sft_examples(
            task, problems, Reader(tokenizer, shape, 8192), "answer_only", options, budget, 0
        ).rows

    first = rows_of(task, problems, tokenizer, "answer_only")
    assert rows(Budget("steps", 5)) == first
    four = rows(Budget("examples", 200))
    assert len(four) == 200
    assert four[:50] == first
    assert len({tuple(row["input_ids"]) for row in four}) > 80  # both orders of most products
    assert rows(Budget("examples", 200), augment=False) == first
    length = len(first[0]["input_ids"])
    for budget in (
        Budget("tokens", 200 * length),
        Budget("flops", 200 * shape.training_step(1, length)),
        Budget("steps", 20),
    ):
        assert len(rows(budget)) == 200


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Two-digit addition with a chain of thought, from nothing."""
    torch.set_num_threads(1)
    task = load_task("arithmetic", operation="addition", digits=(2, 2))
    splits = Splits(task.generate("train", 2000, 0), task.generate("test", 100, 0))
    untrained, _ = load_language_model(SMALL, task, 0)
    trained = train(
        task,
        splits.train,
        SFTOptions(batch_size=32, learning_rate=1e-2, warmup_steps=10),
        SMALL,
        "cot",
        Budget("steps", 300),
        0,
        tmp_path_factory.mktemp("sft"),
    )
    return task, splits, untrained, trained


@pytest.mark.slow
def test_addition_is_learned_by_thinking(learned):
    """Unseen sums, of which a guess hits one in about 180."""
    task, splits, _, trained = learned
    prove_disjoint(splits.train, splits.test, "test")
    evaluation = evaluate(trained.solver(task, "cot"), task, splits.test)
    assert evaluation.accuracy >= 0.3
    assert trained.losses[-1]["loss"] < 0.2 * trained.losses[0]["loss"]


def test_the_end_is_learned(learned):
    task, splits, _, trained = learned
    solutions = trained.solver(task, "cot").solve(splits.test)
    longest = max(s.tokens for s in solutions)
    assert longest < trained.max_new_tokens
    taught = len("7+4+0=11;2+3+1=06") + 1 + 3 + 1  # the trace, </think>, the answer, the end
    assert sum(s.tokens == taught for s in solutions) >= 95


def test_every_parameter_moved(learned):
    _, _, untrained, trained = learned
    before = dict(untrained.named_parameters())
    for name, parameter in trained.model.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]), name


def test_answers_alone_are_learned(tmp_path):
    """One-digit sums: the seen ones nearly all, at once and without a thought."""
    problems = ONE_DIGIT.generate("train", 60, 0)
    trained = train(
        ONE_DIGIT,
        problems,
        SFTOptions(batch_size=32, learning_rate=1e-2, warmup_steps=10),
        SMALL,
        "answer_only",
        Budget("steps", 200),
        0,
        tmp_path,
    )
    evaluation = evaluate(trained.solver(ONE_DIGIT, "answer_only"), ONE_DIGIT, problems)
    assert evaluation.accuracy >= 0.7
    assert {p.solution.tokens for p in evaluation.predictions} == {3}  # two digits and the end


def test_the_same_seed_gives_the_same_model(tmp_path):
    def weights(seed):
        trained = train(ONE_DIGIT, ONE_DIGIT.generate("train", 20, 0), SFTOptions(batch_size=4), TINY, "answer_only",
                        Budget("steps", 3), seed, tmp_path)  # fmt: skip
        return torch.cat([p.flatten() for p in trained.model.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_rows_that_are_too_long_are_counted_in_a_warning(tmp_path, caplog):
    def warnings(**options):
        model = ModelOptions(
            width=16, layers=1, heads=2, key_value_heads=2, inner=32, context=options.pop("context", 99)
        )
        sft = SFTOptions(batch_size=4, **options)
        with caplog.at_level(logging.WARNING, logger="cot_distill.train"):
            problems = ONE_DIGIT.generate("train", 20, 0)
            return train(ONE_DIGIT, problems, sft, model, "cot", Budget("steps", 5), 0, tmp_path).warnings

    # 7+8=<think>7+8+0=15</think>15<eos> has 17 tokens.
    assert warnings(max_length=17) == []
    assert warnings() == []
    assert warnings(max_length=16) == [
        "20 of 20 training rows are longer than 16 tokens (max_length): what is beyond is not learned."
    ]
    assert "20 of 20" in caplog.text
    assert warnings(context=10, max_length=None) == [
        "20 of 20 training rows are longer than 10 tokens (the context of the model): what is beyond is not learned."
    ]


def test_room_is_a_quarter_more_than_the_longest_completion():
    assert completion_limit([{"labels": [IGNORE] * 50 + [1] * 8}, {"labels": [IGNORE] + [1] * 16}]) == 24
    assert completion_limit([{"labels": [1] * 16}], most=20) == 20


def test_an_unknown_trainer_option_is_a_user_error_with_the_nearest_name(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'gradient_accumulation_steps'") as caught:
        train(ONE_DIGIT, ONE_DIGIT.generate("train", 5, 0), SFTOptions(trainer={"gradient_acumulation_steps": 2}), TINY,
              "cot", Budget("steps", 1), 0, tmp_path)  # fmt: skip
    assert caught.value.where == "method.cot.trainer"


def test_gradient_accumulation_pays_for_every_micro_batch(tmp_path):
    trained = train(ONE_DIGIT, ONE_DIGIT.generate("train", 40, 0), SFTOptions(batch_size=4,
        trainer={"gradient_accumulation_steps": 2}), TINY, "cot", Budget("steps", 3), 0, tmp_path)  # fmt: skip
    assert (trained.meter.spent.steps, trained.meter.spent.examples) == (3, 24)


@pytest.mark.slow
def test_longer_problems_than_those_taught_have_room(tmp_path):
    short, long = Sequences("copy", 3), Sequences("copy", 3, test_lengths=(3, 40))
    taught, asked = short.generate("train", 8, 0), long.generate("test", 8, 0)
    few = Budget("steps", 1)
    for style, longest in (("answer_only", 41), ("cot", 2 * 41)):
        rooms = [
            train(
                short,
                taught,
                SFTOptions(batch_size=4),
                TINY,
                style,
                few,
                0,
                tmp_path,
                test_prompts=lambda each=each: each,
            ).max_new_tokens
            for each in ((), taught, asked)
        ]
        assert rooms[0] == rooms[1] < longest <= rooms[2]


@pytest.mark.parametrize("depth", ["growing", "random"])
def test_batches_of_fewer_supervision_steps_pay_less(tmp_path, monkeypatch, depth):
    settings = {"T": 1, "n": 1, "supervision_steps": 3, "training_depth": depth}
    shape = ModelOptions(
        architecture="autoregressive_trm", width=16, heads=2, key_value_heads=2, inner=32, settings=settings
    )
    seen: list[tuple[int, float]] = []
    price = PricedSFTTrainer.price

    def recorded(trainer, inputs):
        cost = price(trainer, inputs)
        seen.append(
            (
                trainer._drawn["supervision_steps"],
                cost.flops / trainer.model.config.price().training_step(*inputs["input_ids"].shape, 1),
            )
        )
        return cost

    monkeypatch.setattr(PricedSFTTrainer, "price", recorded)
    train(ONE_DIGIT, ONE_DIGIT.generate("train", 20, 0), SFTOptions(batch_size=4), shape, "answer_only",
          Budget("steps", 30), 0, tmp_path)  # fmt: skip
    depths = [steps for steps, _ in seen]
    if depth == "growing":
        assert depths == [1] * 10 + [2] * 10 + [3] * 10
    else:
        assert min(depths.count(steps) for steps in (1, 2, 3)) > 3
        assert depths != sorted(depths)
    assert all(ratio == pytest.approx(steps, rel=1e-3) for steps, ratio in seen)
