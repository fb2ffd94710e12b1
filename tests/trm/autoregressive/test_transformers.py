"""An ordinary causal language model: saved, loaded by the Auto classes, trained by TRL's own trainers."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from benchmarks.errors import UserError
from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM

SIGNS = ["<pad>", "<eos>", *"0123456789+="]
ON_CPU = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "logging_steps": 1,
}


@pytest.fixture
def tokenizer():
    torch.set_num_threads(1)
    core = Tokenizer(WordLevel({sign: index for index, sign in enumerate(SIGNS)}, unk_token="<pad>"))
    core.pre_tokenizer = Split("", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", padding_side="left")


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    return AutoregressiveTRMForCausalLM(
        AutoregressiveTRMConfig(
            vocab_size=len(SIGNS),
            hidden_size=32,
            num_attention_heads=2,
            intermediate_size=64,
            T=1,
            n=1,
            supervision_steps=2,
            eos_token_id=1,
            pad_token_id=0,
            bos_token_id=None,
        )
    )


def test_a_saved_model_is_the_same_model(model, tmp_path):
    ids = torch.arange(8)[None]
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is AutoregressiveTRMForCausalLM
    assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    assert torch.equal(loaded.model.recursion.y_init, model.model.recursion.y_init)


def test_what_is_asked_of_a_saved_model_is_checked(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path, cache_policy="committed").config.policy == "committed"
    for asked, words in [({"cache_policy": "comitted"}, "comitted"), ({"rung": "gpt"}, "too late")]:
        with pytest.raises(UserError, match=words):
            AutoModelForCausalLM.from_pretrained(tmp_path, **asked)


def moved(before, model):
    return {key for key, value in model.named_parameters() if not torch.equal(before[key], value)}


class OwnLoss(SFTTrainer):
    """As TRL advises for a loss of one's own."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return model(**inputs, num_items_in_batch=num_items_in_batch).loss


@pytest.mark.parametrize("deep", [True, False])
def test_sft_trains_it_and_with_its_own_loss_every_parameter(model, tokenizer, tmp_path, deep):
    rows = Dataset.from_list([{"prompt": f"{i}+{i}=", "completion": f"{2 * i}"} for i in range(5)] * 8)
    before = {key: value.clone() for key, value in model.named_parameters()}
    trainer = (OwnLoss if deep else SFTTrainer)(
        model,
        SFTConfig(output_dir=str(tmp_path), max_steps=40, learning_rate=5e-3, per_device_train_batch_size=20, **ON_CPU),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    expected = set(before) if deep else {key for key in before if "halting" not in key}
    assert moved(before, model) == expected


@pytest.mark.parametrize("bf16", [False, True])
def test_grpo_trains_it(model, tokenizer, tmp_path, bf16):
    """The reward is for the digit 7: its probability must rise."""
    start = torch.tensor([[3, 12, 3, 13]])
    before = model.eval()(start).logits[0, -1].softmax(-1)[SIGNS.index("7")].item()
    trainer = GRPOTrainer(
        model,
        reward_funcs=lambda completions, **_: [float(text.strip()[:1] == "7") for text in completions],
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=12,
            learning_rate=5e-3,
            per_device_train_batch_size=32,
            num_generations=16,
            max_completion_length=2,
            **ON_CPU | {"bf16": bf16},
        ),
        train_dataset=Dataset.from_list([{"prompt": "1+1="}] * 32),
        processing_class=tokenizer,
    )
    trainer.train()
    after = model.eval()(start).logits[0, -1].softmax(-1)[SIGNS.index("7")].item()
    assert after > 2 * before
