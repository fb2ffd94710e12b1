"""The price list against torch's own count on the meta device, and against what TRL's trainers really compute."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.compute import CausalLMShape, Cost

BATCH, LENGTH = 3, 50


@pytest.fixture(
    params=[("qwen3", 4, 24), ("qwen3", 2, 32), ("qwen2", 4, None), ("qwen2", 2, None),
            ("llama", 4, None), ("llama", 1, None)],
    ids=lambda p: f"{p[0]}-{p[1]}kv",
)  # fmt: skip
def model(request):
    """A model on the meta device; also with grouped key/value heads, and with heads wider than width / heads."""
    architecture, key_value_heads, head = request.param
    config = AutoConfig.for_model(
        architecture,
        vocab_size=500,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=key_value_heads,
        intermediate_size=200,
        tie_word_embeddings=False,
        max_position_embeddings=512,
        **({"head_dim": head} if head else {}),
    )
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


@pytest.fixture
def ids():
    return torch.zeros(BATCH, LENGTH, dtype=torch.long, device="meta")


def counted(work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def test_forward_and_training_step(model, ids):
    shape = CausalLMShape.of(model.config)
    forward = counted(lambda: model(input_ids=ids))
    assert shape.forward(BATCH, LENGTH) == pytest.approx(forward, rel=0.01)
    both = counted(lambda: model(input_ids=ids, labels=ids).loss.backward())
    assert shape.training_step(BATCH, LENGTH) == pytest.approx(both, rel=0.01)


def test_parameters_agree_with_the_model(model):
    assert CausalLMShape.of(model.config).parameters(model.config.model_type) == model.num_parameters()


@pytest.mark.parametrize("new", [1, 2, 10])
def test_generation_against_a_cache(model, ids, new):
    """Prefill with the head on the last position only, as ``generate`` does, then one token at a time."""

    @torch.no_grad()
    def generate():
        out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        for _ in range(new - 1):
            out = model(input_ids=ids[:, :1], past_key_values=out.past_key_values, use_cache=True)

    assert CausalLMShape.of(model.config).generation(BATCH, LENGTH, new) == pytest.approx(counted(generate), rel=0.01)


def test_generate_itself_computes_the_head_once_per_new_token():
    """On a real device (where attention is not counted): the head's share of the price is what ``generate`` does."""
    config = AutoConfig.for_model("qwen3", vocab_size=5000, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, intermediate_size=64, eos_token_id=None, bos_token_id=None)  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    prompt = torch.ones(2, 20, dtype=torch.long)
    done = counted(lambda: model.generate(prompt, attention_mask=prompt, max_new_tokens=6, do_sample=False))
    assert CausalLMShape.of(config).generation(2, 20, 6) == pytest.approx(done, rel=0.01)


def test_trl_computes_what_is_priced():
    """TRL's fused head: the price of a training step on a character vocabulary is right within 2 %."""
    from trl.trainer.utils import add_fused_lm_head

    config = AutoConfig.for_model("qwen3", vocab_size=19, hidden_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, head_dim=24, intermediate_size=384)  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    add_fused_lm_head(model)
    ids = torch.ones(4, 48, dtype=torch.long)
    done = counted(lambda: model(input_ids=ids, labels=ids, fused_lm_head=True).loss.backward())
    assert CausalLMShape.of(config).training_step(4, 48) == pytest.approx(done, rel=0.02)


def test_prices_add_up():
    shape = CausalLMShape(width=8, layers=1, heads=2, key_value_heads=1, head_size=4, inner=16, vocabulary=10)
    assert shape.per_token() == 2 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16 + 8 * 10)
    assert shape.forward(6, 5) == 6 * shape.forward(1, 5)
    assert shape.generation(1, 5, 0) == shape.generation(1, 5, 1)  # the first token comes from the prefill
    assert Cost(1.0, 2.0, 3, 4, 5) + Cost(10.0, 20.0, 30, 40, 50) == Cost(11.0, 22.0, 33, 44, 55)
    assert Cost(1.0, 2.0, 3, 4, 5).to_dict() == {"flops": 1.0, "seconds": 2.0, "examples": 3, "tokens": 4, "steps": 5}
