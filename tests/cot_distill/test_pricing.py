"""What is priced without a model is what the model and its tokenizer would say."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks.compute import language_model_price
from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from cot_distill.language_model import character_tokenizer, model_config
from cot_distill.pricing import from_scratch, price_and_parameters
from cot_distill.sft_examples import Skipped, programmatic, tokenized

MODELS = [
    ModelOptions(),
    ModelOptions(architecture="qwen2", layers=3, key_value_heads=2),
    ModelOptions(architecture="qwen3", width=64, heads=8, key_value_heads=1),
    ModelOptions(architecture="llama", inner=100),
    ModelOptions(architecture="llama", settings={"attention_bias": True, "tie_word_embeddings": True}),
    ModelOptions(architecture="autoregressive_trm"),
    ModelOptions(architecture="autoregressive_trm", settings={"step_embedding": True, "halting": "none"}),
    ModelOptions(architecture="autoregressive_trm", settings={"tied": False, "T": 1, "n": 2}),
    ModelOptions(architecture="autoregressive_trm", settings={"rung": "tied", "halting": "act"}),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.architecture} {model.settings}")
def test_price_and_parameters_are_those_of_the_model(model):
    configuration = model_config(model, 40)
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(configuration)
    price, parameters = price_and_parameters(model, 40)
    assert parameters == built.num_parameters()
    expected = language_model_price(configuration)
    assert price.training_step(2, 30) == expected.training_step(2, 30)
    assert price.generation(2, 30, 8) == expected.generation(2, 30, 8)


@pytest.mark.parametrize(("family", "size"), [("sudoku", {"size": 4}), ("countdown", {})])
@pytest.mark.parametrize("style", ["cot", "answer_only"])
def test_lengths_are_those_of_the_tokenizer(family, size, style):
    task = load_task(family, **size)
    problems = task.generate("train", 8, 0)
    teach = programmatic(task, style, None)
    _, _, measure = from_scratch(ModelOptions(), task, style, pauses=2)
    rows = list(tokenized(task, problems, character_tokenizer(task.alphabet), style, teach, Skipped(), 2))
    expected = [(row["labels"].count(-100), len(row["input_ids"])) for row in rows]
    assert [(prompt, prompt + completion) for prompt, completion in measure(problems, teach)] == expected
    assert len(expected) == 8
