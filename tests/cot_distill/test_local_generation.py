"""Generation by transformers: every model is asked alike, samples are seeded, prompts of any length meet in a batch."""

from __future__ import annotations

import pytest
import torch

from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from cot_distill.generators.base import Sampling
from cot_distill.generators.transformers import TransformersGenerator
from cot_distill.language_model import load_language_model

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
SIZES = {"width": 32, "layers": 2, "heads": 2, "key_value_heads": 1, "inner": 64}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def loaded():
    return load_language_model(ModelOptions(**SIZES), TASK, 3)


@pytest.fixture(scope="module")
def refining():
    """It has a decoding engine of its own."""
    import trm.autoregressive.modeling  # noqa: F401  # registers it

    return load_language_model(ModelOptions(**SIZES, architecture="autoregressive_trm"), TASK, 3)


def prompts(tokenizer, *texts):
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def written(loaded, texts, sampling, batch_size=8):
    model, tokenizer = loaded
    found = {}
    TransformersGenerator(model, tokenizer, batch_size).generate(
        prompts(tokenizer, *texts), sampling, found.__setitem__
    )
    assert sorted(found) == list(range(len(texts)))
    return [found[i] for i in range(len(texts))]


QUESTIONS = ["1+2=<think>", "7+8+9+1+2=<think>", "4"]


def test_greedy_equals_the_argmax_of_the_forward_pass(loaded):
    """Step by step without cache, padding or generate()."""
    model, tokenizer = loaded
    for text, [completion] in zip(QUESTIONS, written(loaded, QUESTIONS, Sampling(max_new_tokens=12)), strict=True):
        ids = prompts(tokenizer, text)[0]
        expected = []
        while len(expected) < 12 and tokenizer.eos_token_id not in expected:
            expected.append(int(model(torch.tensor([ids + expected])).logits[0, -1].argmax()))
        assert list(completion.ids) == expected
        assert (completion.tokens, completion.prompt_tokens) == (len(expected), len(ids))
        assert completion.finished == (expected[-1] == tokenizer.eos_token_id)


def test_samples_differ_and_repeat_with_their_seed(loaded):
    sampling = Sampling(samples=16, temperature=1.0, max_new_tokens=6)
    first = written(loaded, QUESTIONS, sampling)
    assert [len(completions) for completions in first] == [16] * 3
    assert all(len({c.ids for c in completions}) > 8 for completions in first)
    assert first == written(loaded, QUESTIONS, sampling)
    assert first != written(loaded, QUESTIONS, Sampling(16, 1.0, max_new_tokens=6, seed=1))


def test_sampling_follows_the_distribution(loaded):
    """The first token's frequencies at temperature 2, against softmax of half the logits."""
    model, tokenizer = loaded
    [completions] = written(loaded, ["1+2="], Sampling(4000, 2.0, max_new_tokens=1), batch_size=4000)
    counts = torch.bincount(torch.tensor([c.ids[0] for c in completions]), minlength=len(tokenizer))
    logits = model(torch.tensor(prompts(tokenizer, "1+2="))).logits[0, -1]
    expected = (logits / 2).softmax(0)
    assert (counts / 4000 - expected).abs().max() < 0.03
    assert counts.count_nonzero() == len(tokenizer)  # no top-k


def test_what_a_model_wants_by_itself_is_off(loaded):
    """Pretrained models bring top-k and repetition penalties in their generation_config."""
    model, _ = loaded
    plain = written(loaded, QUESTIONS, Sampling(max_new_tokens=12))
    drawn = written(loaded, QUESTIONS, Sampling(8, 1.0, max_new_tokens=6))
    before = model.generation_config.to_dict()
    try:
        model.generation_config.update(repetition_penalty=5.0, top_k=1, no_repeat_ngram_size=1, min_new_tokens=9)
        assert written(loaded, QUESTIONS, Sampling(max_new_tokens=12)) == plain
        assert written(loaded, QUESTIONS, Sampling(8, 1.0, max_new_tokens=6)) == drawn
    finally:
        model.generation_config.update(**{key: before.get(key) for key in ("repetition_penalty", "top_k",
            "no_repeat_ngram_size", "min_new_tokens")})  # fmt: skip


def test_other_draws_of_the_process_are_left_alone(loaded):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    written(loaded, QUESTIONS, Sampling(2, 1.0, max_new_tokens=3))
    assert torch.equal(torch.rand(3), expected)


def test_the_context_is_not_left(loaded, monkeypatch):
    monkeypatch.setattr(loaded[0].config, "max_position_embeddings", 10)
    [[completion]] = written(loaded, ["1+2=<think>"], Sampling())
    assert completion.tokens == 5 or completion.finished


def test_nothing_asked_is_nothing_written(loaded, refining):
    """As when every thought has ended by itself, so that no answer is forced."""
    assert written(loaded, [], Sampling()) == written(refining, [], Sampling()) == []


def test_a_long_prompt_does_not_shorten_the_completions_of_others(refining, monkeypatch):
    monkeypatch.setattr(refining[0].config, "max_position_embeddings", 40)
    [[alone]] = written(refining, ["1+2=<think>"], Sampling())
    [[beside], [long]] = written(refining, ["1+2=<think>", "1+2=" * 9 + "<think>"], Sampling())
    assert beside == alone
    assert (len(alone.ids), len(long.ids)) == (35, 3), "random weights do not end by themselves here"
