"""Model: sizes, initial weights, saving, the recursion and where its gradient flows."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.errors import UserError
from trm.configuration import TRMConfig
from trm.layers import Linear, rms_norm, rotary, rotate
from trm.modeling import TRMForPuzzles
from trm.recursion import deep_recursion, latent_recursion

SMALL = {"vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 2, "n": 2}
KINDS = [{"mixer": "mlp"}, {"mixer": "attention"}, {"recursion": "direct"}]


@pytest.fixture(params=KINDS, ids=["mlp", "attention", "direct"])
def model(request):
    torch.manual_seed(0)
    return TRMForPuzzles(TRMConfig(**SMALL, **request.param))


def ids(batch=3):
    return torch.randint(5, (batch, 6), generator=torch.Generator().manual_seed(1))


def test_shapes(model):
    output = model(ids())
    assert output.logits.shape == (3, 6, 5)
    assert [h.shape for h in output.carry] == [(3, 6, 16)] * 2
    assert not any(h.requires_grad for h in output.carry)
    if model.config.recursion == "direct":
        assert output.halting_logit is None
    else:
        assert torch.equal(output.halting_logit, torch.full((3,), -5.0))  # weight 0, bias -5 at the start


def test_published_parameter_counts():
    """TRM_FACTS: parameters without puzzle vectors, for 16 prefix positions + 81 or 900 cells."""
    sizes = {"width": 512, "heads": 8}
    for count, more in [
        (5_028_866, {"vocabulary_size": 11, "positions": 97, "mixer": "mlp"}),
        (6_828_034, {"vocabulary_size": 11, "positions": 97, "mixer": "attention"}),
        (6_822_914, {"vocabulary_size": 6, "positions": 916, "mixer": "attention"}),
        (18_795_522, {"vocabulary_size": 6, "positions": 916, "mixer": "mlp"}),
    ]:
        with torch.device("meta"):
            model = TRMForPuzzles(TRMConfig(**sizes, **more))
        assert sum(p.numel() for p in model.parameters()) == count


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
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    model.save_pretrained(tmp_path)
    loaded = TRMForPuzzles.from_pretrained(tmp_path)
    assert loaded.config.to_dict()["T"] == model.config.T
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    first, second = model(ids()), loaded(ids())
    assert torch.equal(model(ids(), first.carry).logits, loaded(ids(), second.carry).logits)


def test_recursion_by_hand():
    """With f(h) = 2h and scalars: two updates of z, one of y."""
    x, y, z = (torch.tensor(v) for v in (1.0, 2.0, 3.0))
    y1, z1 = latent_recursion(lambda h: 2 * h, x, y, z, n=2)
    assert (z1, y1) == (30, 64)  # z: 2(3 + 3) = 12, 2(12 + 3) = 30; y: 2(2 + 30) = 64
    assert deep_recursion(lambda h: 2 * h, x, y, z, n=2, T=2) == latent_recursion(lambda h: 2 * h, x, y1, z1, n=2)


def test_no_gradient_through_the_first_rounds():
    x, y, z = (torch.tensor([v], requires_grad=True) for v in (1.0, 2.0, 3.0))
    with_gradient = []

    def net(h):
        with_gradient.append(h.requires_grad)
        return 2 * h

    deep_recursion(net, x, y, z, n=2, T=3)[0].backward()
    assert with_gradient == [False] * 6 + [True] * 3
    assert y.grad is None
    assert z.grad is None
    # last round: y_out = 2(y + z2), z2 = 2(z1 + y + x), z1 = 2(z + y + x): d y_out / dx = 2 * (2 + 4)
    assert x.grad.item() == 12


def test_rms_norm_has_no_gain_and_runs_over_the_last_axis():
    h = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(rms_norm(h), h / math.sqrt(12.5 + 1e-5))


def test_token_mixing_knows_positions_only_by_its_weights(model):
    """Attention without rotation is blind to order; rotation makes a shifted input another one."""
    if model.config.mixer == "attention":
        h = torch.randn(1, 6, 16)
        there = model.network(h, model.network.angles(h))
        back = model.network(h.flip(1), model.network.angles(h)).flip(1)
        assert not torch.allclose(there, back, atol=1e-3)


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
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
