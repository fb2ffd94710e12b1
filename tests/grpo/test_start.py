"""Where a policy starts: a finished run, a pretrained model without any teacher, and the learning rate that fits it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_policy import MODEL, SMALL, TASK
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from training_runs import train_policy as train
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.records import RECORD
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from cot_distill.language_model import load_pretrained
from grpo.options import GRPOOptions
from grpo.start import DEFAULT_MAX_NEW_TOKENS, given_start
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.run import run

BUDGET = Budget("steps", 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished runs of ``cot`` and ``answer_only``, of two steps."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs")
    specs = load_config(
        [
            "task=[addition-4x4]", "method=[cot,answer_only]", "budget.unit=steps", "budget.limit=2", "train_size=32",
            "test_size=4", "evaluation.curve_problems=0", "model.width=16", "model.heads=2", "model.key_value_heads=2",
            "model.inner=32",
        ]
    ).runs()  # fmt: skip
    for spec in specs:
        run(spec, folder / spec.method, lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder as a hub's base model: byte pairs, no chat template, nothing learned."""
    folder = tmp_path_factory.mktemp("pretrained")
    core = Tokenizer(BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(["7+8="], BpeTrainer(special_tokens=["<end>", "<pad>"], initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<pad>")
    config = AutoConfig.for_model("qwen2", vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, intermediate_size=32, max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None)  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_finished_run_is_a_start_that_knows_how_much_to_write(runs):
    task = load_config(["task=[addition-4x4]", "method=[cot]"]).tasks["addition-4x4"].load()
    problems = task.generate("train", 8, 0)
    options = GRPOOptions(start=str(runs / "cot"))
    start, is_pretrained = given_start(task, problems, options, MODEL, BUDGET, 0)
    assert not is_pretrained
    saved = load_pretrained(str(runs / "cot" / "model"))[0]
    assert start.max_new_tokens == saved.generation_config.max_new_tokens > 10
    for name, tensor in saved.state_dict().items():
        assert torch.equal(tensor, start.model.state_dict()[name]), name


@pytest.mark.parametrize(("method", "task", "words"), [("answer_only", None, "no thoughts"), ("cot", TASK, None)])
def test_a_run_that_cannot_think_about_the_task_is_refused(runs, method, task, words):
    task = task or load_config(["task=[addition-4x4]", "method=[cot]"]).tasks["addition-4x4"].load()
    if words is None:
        task, words = load_task("sudoku", size=4), "it learned 'addition-4x4', not sudoku-4x4"
    with pytest.raises(UserError, match=words) as caught:
        given_start(task, [], GRPOOptions(start=str(runs / method)), MODEL, BUDGET, 0)
    assert caught.value.where == f"method.grpo.start={runs / method}"
    assert (runs / method / RECORD).exists()


@pytest.mark.parametrize("named_by", ["start", "model.path"])
def test_a_pretrained_model_learns_slowly_and_may_write_at_length(pretrained, problems, named_by):
    options = GRPOOptions(start=str(pretrained) if named_by == "start" else "model")
    model = replace(MODEL, path=None if named_by == "start" else str(pretrained))
    start, is_pretrained = given_start(TASK, problems, options, model, BUDGET, 0)
    assert is_pretrained
    assert start.max_new_tokens == DEFAULT_MAX_NEW_TOKENS
    assert given_start(TASK, problems, replace(options, max_new_tokens=9), model, BUDGET, 0)[0].max_new_tokens == 9


def test_a_family_without_a_teacher_trains(pretrained, tmp_path):
    pytest.importorskip("reasoning_gym")
    task = load_task("gym", dataset="gcd")
    problems = task.generate("train", 20, 0)
    options = replace(SMALL, start="model", max_new_tokens=6, rewards={"format": 0.5})
    path = ModelOptions(path=str(pretrained))
    trained = train(task, problems, options, path, BUDGET, 0, tmp_path)
    assert trained.meter.spent.steps == 2


@pytest.mark.parametrize(
    ("options", "model", "rate"),
    [
        ({}, "scratch", 1e-4),
        ({}, "pretrained", 1e-6),
        ({}, "lora", 1e-5),
        ({"learning_rate": 3e-4}, "pretrained", 3e-4),
    ],
)
def test_the_learning_rate_follows_the_model(half_taught, pretrained, problems, tmp_path, options, model, rate):
    start = half_taught if model == "scratch" else pretrained
    grpo = replace(SMALL, start=str(start), max_new_tokens=8, warmup_steps=0, **{"learning_rate": None, **options})
    lora_rank = 2 if model == "lora" else 0
    run = train(TASK, problems, grpo, replace(MODEL, lora_rank=lora_rank), BUDGET, 0, tmp_path)
    assert [entry["learning_rate"] for entry in run.history] == pytest.approx([rate] * 2)
