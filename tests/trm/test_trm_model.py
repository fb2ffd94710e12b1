"""Model: sizes, initial weights, saving, the layers, the place of the prefix, and wrong configurations."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch

from benchmarks.errors import UserError
from trm.configuration import TRMConfig
from trm.layers import Linear, Mixture, SwiGLU, rms_norm, rotary, rotate
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions

SMALL = {"vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 2, "n": 2}
KINDS = [
    {"mixer": "mlp"},
    {"mixer": "attention", "prefix": 2, "puzzles": 3},
    {"recursion": "direct", "tied_head": True},
    {"recursion": "multi_scale", "experts": 3, "networks": 2, "act": "halt_continue"},
]


@pytest.fixture(params=KINDS, ids=["mlp", "attention", "direct", "multi_scale"])
def model(request):
    torch.manual_seed(0)
    return TRMForPuzzles(TRMConfig(**SMALL, **request.param))


def ids(batch=3):
    return torch.randint(5, (batch, 6), generator=torch.Generator().manual_seed(1))


def test_shapes(model):
    output = model(ids())
    assert output.logits.shape == (3, 6, 5)
    scales = model.config.n if model.config.recursion == "multi_scale" else 1
    assert [h.shape for h in output.carry] == [(3, model.config.length, 16), (3, model.config.length, 16 * scales)]
    assert not any(h.requires_grad for h in output.carry)
    if model.config.recursion == "direct":
        assert output.halting_logit is None
    else:
        assert torch.equal(output.halting_logit, torch.full((3,), -5.0))  # weight 0, bias -5 at the start


def test_published_parameter_counts():
    """TRM_FACTS: parameters without puzzle vectors, for 16 prefix positions + 81 or 900 cells."""
    sizes = {"width": 512, "heads": 8, "prefix": 16, "puzzles": 1000}
    for count, more in [
        (5_028_866, {"vocabulary_size": 11, "positions": 81, "mixer": "mlp"}),
        (6_828_034, {"vocabulary_size": 11, "positions": 81, "mixer": "attention"}),
        (6_822_914, {"vocabulary_size": 6, "positions": 900, "mixer": "attention"}),
        (18_795_522, {"vocabulary_size": 6, "positions": 900, "mixer": "mlp"}),
    ]:
        with torch.device("meta"):
            model = TRMForPuzzles(TRMConfig(**sizes, **more))
        assert sum(p.numel() for p in model.parameters()) == count
        assert model.puzzle_vectors.weight.shape == (1000, 512)


def test_initial_weights():
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(positions=81, width=256))
    assert model.embedding.weight.std().item() == pytest.approx(1 / 16, rel=0.05)
    assert model.y_init.std().item() == pytest.approx(1, rel=0.15)
    assert not torch.equal(model.y_init, model.z_init)
    for layer in model.modules():
        if isinstance(layer, Linear):
            assert layer.weight.std().item() == pytest.approx(1 / math.sqrt(layer.in_features), rel=0.05)
            assert layer.weight.abs().max() < 2.28 / math.sqrt(layer.in_features)
    assert "y_init" in model.state_dict()
    assert "y_init" not in dict(model.named_parameters())


def test_saved_and_loaded_it_is_the_same_function(model, tmp_path):
    for tensor in model.state_dict().values():
        tensor += 0.1 * torch.randn_like(tensor)
    model.save_pretrained(tmp_path)
    loaded = TRMForPuzzles.from_pretrained(tmp_path)
    same = {f.name for f in fields(TRMOptions)} & set(model.config.to_dict()) | {"puzzles", "puzzle_width"}
    assert all(getattr(loaded.config, name) == getattr(model.config, name) for name in same)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    first, second = model(ids()), loaded(ids())
    assert torch.equal(model(ids(), first.carry).logits, loaded(ids(), second.carry).logits)
    assert (first.imbalance is None) == (model.config.experts == 1)


def test_rms_norm_has_no_gain_and_runs_over_the_last_axis():
    h = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(rms_norm(h), h / math.sqrt(12.5 + 1e-5))


def test_attention_knows_the_order_by_rotation_alone():
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SMALL, mixer="attention"))
    network, h = model.networks[0], torch.randn(1, 6, 16)
    still = rotary(6, 8, h.device)
    still = (torch.ones_like(still[0]), torch.zeros_like(still[1]))
    torch.testing.assert_close(network(h, still), network(h.flip(1), still).flip(1))
    turning = network.angles(h)
    assert not torch.allclose(network(h, turning), network(h.flip(1), turning).flip(1), atol=1e-3)


def test_only_the_first_position_of_the_prefix_carries_the_vector():
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SMALL, prefix=3, puzzles=2))
    model.puzzle_vectors.weight[1] = torch.arange(16.0)
    x = model.embed(ids(2), torch.tensor([0, 1]))
    assert x.shape == (2, 9, 16)
    torch.testing.assert_close(x[1, 0], 4 * torch.arange(16.0))  # sqrt(width) = 4 multiplies vectors and tokens
    assert not x[0, :3].any()
    assert not x[1, 1:3].any()
    torch.testing.assert_close(x[:, 3:], 4 * model.embedding(ids(2)))


def test_a_wider_vector_fills_several_positions():
    model = TRMForPuzzles(TRMConfig(**SMALL, prefix=3, puzzles=2, puzzle_width=40))
    model.puzzle_vectors.weight[1] = torch.arange(40.0)
    x = model.embed(ids(1), torch.tensor([1]))
    torch.testing.assert_close(x[0, :3].flatten(), torch.cat((4 * torch.arange(40.0), torch.zeros(8))))


@pytest.mark.parametrize("mixer", ["mlp", "attention"])
def test_the_puzzle_reaches_every_cell_and_its_absence_is_vector_0(mixer):
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SMALL, mixer=mixer, prefix=2, puzzles=3))
    model.puzzle_vectors.weight.normal_()
    plain, other = model(ids()).logits, model(ids(), None, torch.tensor([0, 2, 2])).logits
    assert torch.equal(plain[0], other[0])
    assert ((plain - other)[1:].abs().amax(-1) > 0).all()


def test_a_mixture_sends_each_position_to_its_best_expert():
    torch.manual_seed(0)
    mixture = Mixture(3, 8, 16)
    h = torch.randn(2, 5, 8)
    out = mixture(h)
    probabilities = mixture.router(h).softmax(-1)
    for b in range(2):
        for position in range(5):
            best = probabilities[b, position].argmax()
            expected = probabilities[b, position, best] * mixture.experts[best](h[b, position])
            torch.testing.assert_close(out[b, position], expected)
    shares = torch.stack([(probabilities.argmax(-1) == i).float().mean() for i in range(3)])
    torch.testing.assert_close(mixture.imbalance, 3 * (shares * probabilities.mean((0, 1))).sum())


def test_balanced_experts_have_an_imbalance_of_one_and_one_for_all_of_their_number():
    mixture = Mixture(2, 2, 4)
    mixture.router.weight.data = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    mixture(torch.eye(2)[None])
    assert mixture.imbalance.item() == pytest.approx(1)
    mixture(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]))
    assert mixture.imbalance.item() == pytest.approx(2)


def test_swiglu_by_hand():
    """Gate first: silu(2) * 3 * 5."""
    layer = SwiGLU(1, 1)
    layer.gate_up.weight.data = torch.tensor([[2.0], [3.0]])
    layer.down.weight.data = torch.tensor([[5.0]])
    assert layer(torch.ones(1, 1)).item() == pytest.approx(2 / (1 + math.exp(-2)) * 15, rel=1e-5)


def test_token_mixing_normalises_over_positions():
    """The first half of a block; the second, made to add nothing, normalises over the width."""
    torch.manual_seed(0)
    block = TRMForPuzzles(TRMConfig(**SMALL)).networks[0].blocks[0]
    block.feed_forward.forward = torch.zeros_like
    h = torch.randn(2, 6, 16)
    columns = h.transpose(1, 2)
    mixed = columns + block.mixer(columns)
    mixed = mixed / (mixed.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    expected = mixed.transpose(1, 2)
    torch.testing.assert_close(block(h, None), expected / (expected.square().mean(-1, keepdim=True) + 1e-5).sqrt())


def test_rotation_keeps_lengths_and_depends_on_differences():
    angles = rotary(8, 4, torch.device("cpu"))
    q, k = torch.randn(4), torch.randn(4)
    rotated = [rotate(v.expand(1, 8, 1, 4), angles)[0, :, 0] for v in (q, k)]
    scores = rotated[0] @ rotated[1].T
    torch.testing.assert_close(rotated[0].norm(dim=-1), q.norm().expand(8))
    torch.testing.assert_close(scores[1, 3], scores[4, 6])
    assert rotated[0][0].tolist() == q.tolist()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mixer": "attention", "width": 20, "heads": 8}, "multiple of 16"),
        ({"mixer": "atention"}, "Did you mean 'attention'"),
        ({"T": 0}, "at least 1"),
        ({"exploration": 1.5}, "probability"),
        ({"supervision_steps": 2.5}, "whole number"),
        ({"recursion": "triple_z"}, "unknown recursion"),
        ({"act": "halts"}, "Did you mean 'halt'"),
        ({"n": 0}, "trm needs at least 1"),
        ({"recursion": "fixed_point", "n": 2}, "fixed_point needs at least 3"),
        ({"networks": 3}, "There can be 2"),
        ({"networks": 2, "recursion": "single_z"}, "2 networks with recursion=single_z"),
        ({"gradient_evaluations": 1}, "at least 2"),
        ({"gradient_evaluations": 2, "recursion": "multi_scale"}, "no meaning"),
        ({"prefix": 2, "puzzle_width": 2000}, "does not fit into 2 positions"),
        ({"experts": 0}, "at least 1"),
        ({"expansion": 0}, "positive"),
    ],
)
def test_wrong_configurations_are_explained(wrong, words):
    with pytest.raises(UserError, match=words):
        TRMConfig(**wrong)


def test_bfloat16_trains_all_weights(model):
    """The gradient-free rounds must not leave weights without gradient in autocast's cache."""
    with torch.autocast("cpu", torch.bfloat16):
        output = model(ids())
        loss = output.logits.float().square().sum() + (
            0 if output.halting_logit is None else output.halting_logit.sum()
        )
        loss = loss + (0 if output.imbalance is None else output.imbalance)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
