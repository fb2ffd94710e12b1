"""The way of a pretrained model, without a hub: LoRA or QLoRA, merge, save, load, and the same texts as before."""

from __future__ import annotations

import time
import warnings

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from training_runs import distill as train
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from benchmarks.text_form import told
from benchmarks.training.budget import Budget
from cot_distill.language_model import load_pretrained
from cot_distill.options import SFTOptions
from cot_distill.solver import CausalLMSolver

pytestmark = pytest.mark.slow

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)


def byte_pairs(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, fitted as those of Qwen and Llama are, with a chat template."""
    core = Tokenizer(BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(texts, BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT
    return tokenizer


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def saved(request, tmp_path_factory):
    """A folder as a hub's: weights that have learned something (sums at once, without a thought), tokenizer, template,
    and a generation_config with wishes of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder, raw = tmp_path_factory.mktemp(request.param), tmp_path_factory.mktemp("raw")
    problems = TASK.generate("train", 60, 0)
    asked = [f"{told(TASK, style)}\n\n" for style in ("cot", "answer_only")]
    tokenizer = byte_pairs([f"{words}{TASK.question_text(p)}<think></think>" for words in asked for p in problems])
    config = AutoConfig.for_model(request.param, vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, intermediate_size=96, max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        tie_word_embeddings=request.param == "qwen2")  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(raw)
    tokenizer.save_pretrained(raw)
    options = SFTOptions(batch_size=16, learning_rate=1e-2, warmup_steps=5)
    pretraining = Budget("steps", 80)
    model = train(TASK, problems, options, ModelOptions(path=str(raw)), "answer_only", pretraining, 0, raw / "t").model
    model.generation_config.update(do_sample=True, temperature=0.7, top_k=20, repetition_penalty=1.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def texts_of(solver, problems):
    return [solution.text for solution in solver.solve(problems)]


@pytest.mark.parametrize("quantize", ["none", "4bit", "8bit"])
def test_distilled_merged_saved_and_loaded_it_writes_the_same(saved, tmp_path, quantize):
    if quantize != "none":
        pytest.importorskip("bitsandbytes", reason="QLoRA needs bitsandbytes")
    problems = TASK.generate("test", 15, 0)
    model = ModelOptions(path=str(saved), lora_rank=8, quantize=quantize)
    options = SFTOptions(batch_size=16, learning_rate=1e-2, warmup_steps=5)
    trained = train(TASK, TASK.generate("train", 60, 0), options, model, "cot", Budget("steps", 150), 0, tmp_path / "t")
    assert trained.losses[-1]["loss"] < 0.7 * trained.losses[0]["loss"]
    before, _ = load_pretrained(str(saved))
    assert trained.model.state_dict().keys() == before.state_dict().keys()  # merged: a plain model again
    assert {p.dtype for p in trained.model.parameters()} == {torch.float32}
    solver = trained.solver(TASK, "cot")
    written = texts_of(solver, problems)
    assert written != texts_of(CausalLMSolver(before, trained.tokenizer, TASK, "cot", solver.max_new_tokens), problems)
    assert len(set(written)) > 1
    accuracy = evaluate(solver, TASK, problems).accuracy

    trained.model.save_pretrained(tmp_path / "model")
    trained.tokenizer.save_pretrained(tmp_path / "model")
    again, tokenizer = load_pretrained(str(tmp_path / "model"))
    assert tokenizer.chat_template == CHAT
    assert again.generation_config.top_k == 20  # the model's own wishes are kept, and not followed
    reloaded = CausalLMSolver(again, tokenizer, TASK, "cot", solver.max_new_tokens)
    assert texts_of(reloaded, problems) == written
    assert evaluate(reloaded, TASK, problems).accuracy == accuracy


def test_the_chat_holds_instructions_and_question_and_ends_with_the_think_token(saved):
    model, tokenizer = load_pretrained(str(saved))
    solver = CausalLMSolver(model, tokenizer, TASK, "cot", 8)
    [ids] = solver.prompts([TASK.problem(7, 8)])
    text = tokenizer.decode(ids)
    assert text == f"<|im_start|>user\n{told(TASK, 'cot')}\n\n7+8=<|im_end|>\n<|im_start|>assistant\n<think>"
    assert TASK.instructions in text


def test_quantizing_needs_frozen_weights(saved):
    for options in ({"path": str(saved), "quantize": "4bit"}, {"quantize": "8bit", "lora_rank": 4}):
        with pytest.raises(UserError, match="only frozen weights can be quantized"):
            ModelOptions(**options)


def test_a_tokenizer_without_an_end_is_refused(saved, tmp_path):
    model, tokenizer = load_pretrained(str(saved))
    model.save_pretrained(tmp_path)
    endless = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    endless.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no end token"):
        load_pretrained(str(tmp_path))


@pytest.mark.parametrize("name", ["Qwen2.5-0.5B-that-is-nowhere", "owner/name/too/deep", "bad name!", ""])
def test_a_name_that_is_neither_folder_nor_on_the_hub(name):
    """Told at once, with or without a network."""
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_pretrained(name)
    assert time.monotonic() - started < 30
    assert caught.value.where == f"model.path={name}"
    assert "save_pretrained" in str(caught.value)
