"""Every rung learns, costs what the formula says, and takes as many block passes as the others."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.errors import UserError
from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM
from trm.autoregressive.choices import Policy
from trm.autoregressive.engine import Decoding, Engine
from trm.autoregressive.ladder import ladder, rung
from trm.autoregressive.pricing import RefinementPrice

RUNGS = list(ladder())
POLICIES = get_args(Policy)
SIZES = {"vocab_size": 11, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
JACOBI, TWICE = {"training_mode": "jacobi", "sweeps": 2}, {"training_mode": "jacobi", "sweeps": 4}
PRICED = [(name, {}) for name in RUNGS]
MODES = (JACOBI, TWICE, {"training_mode": "sequential"}, {"training_mode": "first_depth"})
PRICED += [(name, mode) for name in ("gpt", "recursive", "recursive_deep") for mode in MODES]


# Of the sweep before the last, gradients need the keys and values of its last block only: the formula asks for all.
# Where a single stream goes on from a state without gradient, its first products need none for their input.
TOLERANCE = {False: 0.02, True: 0.04}


def build(name, **settings):
    torch.manual_seed(0)
    return AutoregressiveTRMForCausalLM(AutoregressiveTRMConfig(**{**SIZES, **rung(name), **settings}))


@pytest.mark.parametrize("name", RUNGS)
def test_every_parameter_of_every_rung_learns(name):
    torch.set_num_threads(1)
    model = build(name)
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ids = torch.arange(8).repeat(4, 2)
    losses = []
    for _ in range(30):
        output = model(ids, labels=ids)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(float(F.cross_entropy(output.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).detach()))
    assert losses[-1] < 0.6 * losses[0]
    for key, value in model.named_parameters():
        assert not torch.equal(before[key], value), key


def test_rungs_cost_the_same_block_passes():
    for blocks in (16, 32):
        for name, settings in ladder(blocks).items():
            config = AutoregressiveTRMConfig(**SIZES, **settings)
            passes = config.supervision_steps * config.passes * config.num_hidden_layers
            assert passes == (2 if name == "gpt_small" else blocks), name


def test_small_rungs_have_equal_parameters():
    counts = {name: build(name).num_parameters() for name in RUNGS}
    assert counts["gpt_small"] == counts["tied"] == counts["dual"] == counts["nested"] == counts["recursive"]
    assert 0 < counts["recursive_deep"] - counts["recursive"] == SIZES["hidden_size"] + 1
    assert counts["gpt"] > 5 * counts["tied"]


@pytest.mark.parametrize(("name", "mode"), PRICED)
def test_the_price_is_what_torch_counts(name, mode):
    assert counted(name, mode, None) == pytest.approx(
        price_of(name, mode), rel=TOLERANCE[bool(mode) or name == "tied_deep"]
    )


@pytest.mark.parametrize("name", ["tied_deep", "recursive", "recursive_deep"])
def test_fewer_steps_in_a_batch_cost_less(name):
    each = [price_of(name, {}, steps) for steps in (1, 2, 3, 4)]
    assert each[3] == price_of(name, {}) > 1.7 * each[0]
    for steps, price in enumerate(each, start=1):
        assert counted(name, {}, steps) == pytest.approx(price, rel=TOLERANCE[name == "tied_deep"])
    # a quarter of the budget for each depth; or equally many batches of each
    assert price_of(name, {"training_depth": "growing"}) == pytest.approx(4 / sum(1 / price for price in each))
    assert price_of(name, {"training_depth": "random"}) == pytest.approx(sum(each) / 4)


def price_of(name, settings, steps=None):
    config = AutoregressiveTRMConfig(**{**SIZES, **rung(name), **settings})
    return RefinementPrice(config).training_step(2, 12, steps)


@pytest.mark.parametrize("more", [{}, {"training_depth": "growing"}, JACOBI])
def test_a_loss_of_the_last_state_is_paid_as_torch_counts_it(more):
    price = RefinementPrice(AutoregressiveTRMConfig(**{**SIZES, **rung("recursive_deep"), **more})).of_last_state()
    last = counted("recursive_deep", more, None, lambda model, ids: model(ids).logits.sum())
    assert last == pytest.approx(price.training_step(2, 12), rel=TOLERANCE[more == JACOBI])
    assert last < 0.7 * counted("recursive_deep", more, None)


def test_sweeps_drawn_anew_are_paid_as_they_are():
    drawn = {"training_mode": "jacobi", "sweeps": 4, "training_sweeps": "random"}
    each = [price_of("recursive_deep", JACOBI | {"sweeps": sweeps}) for sweeps in (2, 3, 4)]
    assert price_of("recursive_deep", drawn) == pytest.approx(sum(each) / 3)
    model = build("recursive_deep", **drawn)
    found = [model.training_depth(0.5) for _ in range(60)]
    assert min(found.count({"supervision_steps": 4, "sweeps": sweeps}) for sweeps in (2, 3, 4)) > 5
    price = RefinementPrice(model.config)
    assert [price.training_step(2, 12, 4, sweeps) for sweeps in (2, 3, 4)] == each
    ids = torch.arange(8).repeat(2, 1)
    assert (model(ids, sweeps=2).logits - model(ids, sweeps=3).logits).abs().max() > 1e-4


def counted(name, mode, steps, loss=None):
    """FLOPs of a forward and backward pass over 2 rows of 12 tokens."""
    with torch.device("meta"):
        model = build(name, **mode)
        ids = torch.zeros(2, 12, dtype=torch.long)
        mask = torch.ones_like(ids)
    model.model.forward = _without_looking(model.model, mask)
    with FlopCounterMode(display=False) as counter:
        (model(ids, labels=ids, supervision_steps=steps).loss if loss is None else loss(model, ids)).backward()
    return counter.get_total_flops()


def _without_looking(backbone, mask):
    """The mask's values cannot be asked for on "meta"."""
    from trm.autoregressive.outputs import RefinedOutput
    from trm.autoregressive.recursion import positions_of

    def forward(input_ids, _mask, _positions, _cache, _use_cache, supervision_steps, sweeps, last_only):
        assert not last_only, "it has no cache"
        refined = backbone.refined(input_ids, positions_of(mask), None, supervision_steps, sweeps)
        answers = tuple(backbone.read_out(answer) for answer in refined.answers)
        return RefinedOutput(last_hidden_state=answers[-1], answers=answers, ponder=refined.ponder)

    return forward


def test_decoding_costs_what_its_steps_cost():
    price = RefinementPrice(AutoregressiveTRMConfig(**SIZES, **rung("recursive_deep")))
    assert price.generation(1, 5, 7, steps=4) == price.generation(1, 5, 7)
    one, two, three = (price.generation(1, 1, 100, steps=s) for s in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    assert two > 1.8 * one
    longer = [price.generation(1, prompt, 1) - price.generation(1, prompt, 0) for prompt in (101, 201, 301)]
    assert longer[2] - longer[1] == pytest.approx(longer[1] - longer[0])


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("prompt", [1, 2, 20, 60])
def test_decoding_is_paid_as_torch_counts_it(policy, prompt, monkeypatch):
    """Both ways of decoding; the engine also asks what every step would write, which is not charged."""
    monkeypatch.setattr("trm.layers.product", F.linear)  # the counter does not know oneDNN's
    model = build("recursive_deep", cache_policy=policy).eval()
    ids = torch.arange(2 * prompt).view(2, prompt) % 10
    price = RefinementPrice(model.config).generation(2, prompt, 8)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as generated:
        model.generate(ids, max_new_tokens=8, min_new_tokens=8, do_sample=False, pad_token_id=10)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as decoded:
        Engine(model, Decoding(8)).decode(ids.tolist())
    assert generated.get_total_flops() == pytest.approx(price, rel=1e-3)
    assert decoded.get_total_flops() == pytest.approx(price, rel=0.01)


def test_what_is_given_beside_a_rung_wins(tmp_path):
    config = AutoregressiveTRMConfig(**SIZES, rung="recursive_deep", T=2, supervision_steps=2, gradient="all")
    assert (config.T, config.n, config.supervision_steps, config.gradient) == (2, 1, 2, "all"), "2 is T's default too"
    assert copy.deepcopy(copy.deepcopy(config)).to_dict() == config.to_dict()
    config.save_pretrained(tmp_path)
    assert AutoregressiveTRMConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()
    assert AutoregressiveTRMConfig(rung="gpt", blocks=32).T == 32


def test_mistakes_are_told():
    with pytest.raises(UserError, match="multiple of 16"):
        ladder(20)
    with pytest.raises(UserError, match="universal"):
        rung("universl")
    for settings, words in [
        ({"n": 0}, "z would never change"),
        ({"training_depth": "growing", "supervision_steps": 1}, "one supervision step only"),
        ({"training_sweeps": "random", "training_mode": "jacobi"}, "no number of sweeps"),
        ({"hidden_size": 30}, "heads of even size"), ({"depth": "adaptive", "halting": "none"}, "when to halt"),
        ({"halting": "act"}, "one tied stream"),
        ({"halting_probability": 1.0}, "must lie between 0 and 1"),
        ({"halting": "act", "streams": "single"}, "one supervision step"),
        ({"cache_policy": "comitted"}, "committed"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=words):
            AutoregressiveTRMConfig(**{**SIZES, **settings})
