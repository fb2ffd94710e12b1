"""The optimisers against their formulas; which parameters each of them gets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles
from trm.optimizers import AdamATan2, SignSGD, Together, build_optimizer
from trm.options import TRMOptions
from trm.puzzle_vectors import PuzzleVectors

SMALL = {
    "vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 1, "n": 1,
    "prefix": 1, "puzzles": 6,
}  # fmt: skip
OPTIMIZERS = ["adamw", "adam_atan2", "muon"]


def model_of(**more):
    torch.manual_seed(0)
    return TRMForPuzzles(TRMConfig(**SMALL | more)).train()


def learn(model, optimizer, steps, start=0):
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        grids = torch.randint(5, (3, 6), generator=generator)
        output = model(grids, None, torch.randint(6, (3,), generator=generator))
        loss = output.logits.square().mean() + output.halting_logit.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_adam_atan2_is_its_formula():
    """In float64, a number at a time, with gradients of very different size and some that are 0."""
    generator = torch.Generator().manual_seed(0)
    params = [nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in [(3, 2), (4,)]]
    lr, b1, b2, decay = 0.01, 0.8, 0.9, 0.3
    optimizer = AdamATan2(params, lr=lr, betas=(b1, b2), weight_decay=decay)
    expected = [p.detach().flatten().tolist() for p in params]
    moments = [[[0.0, 0.0] for _ in numbers] for numbers in expected]
    for t in range(1, 8):
        for i, p in enumerate(params):
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64) * 10.0 ** (3 - t)
            p.grad.view(-1)[0] = 0
            for j, g in enumerate(p.grad.flatten().tolist()):
                m, v = moments[i][j]
                m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
                moments[i][j] = [m, v]
                direction = math.atan2(m, math.sqrt(v) / math.sqrt(1 - b2**t))
                expected[i][j] = expected[i][j] * (1 - lr * decay) - lr / (1 - b1**t) * direction
        optimizer.step()
        for p, numbers in zip(params, expected, strict=True):
            assert p.detach().flatten().tolist() == pytest.approx(numbers, rel=1e-12)


def test_adam_atan2_does_not_see_the_size_of_gradients():
    """A power of two changes nothing at all, so tiny gradients count (Adam's epsilon would silence them)."""
    after = []
    for scale in (1.0, 2.0**-60):
        generator = torch.Generator().manual_seed(0)
        p = nn.Parameter(torch.ones(5))
        optimizer = AdamATan2([p], lr=0.1)
        for _ in range(4):
            p.grad = scale * torch.randn(5, generator=generator)
            optimizer.step()
        after.append(p.detach())
    assert torch.equal(*after)


def test_sign_sgd_moves_the_rows_that_occurred_by_the_sign_of_their_sum():
    vectors = PuzzleVectors(5, 2)
    vectors.weight.copy_(torch.arange(10.0).view(5, 2))
    before = vectors.weight.clone()
    optimizer = SignSGD(vectors, lr=0.1, weight_decay=0.5)
    rows = vectors(torch.tensor([3, 1, 3, 3]))
    # row 3: 1 - 3 + 1 < 0 though most are positive, and 2 - 1 - 1 = 0; row 1: -1, 0.001
    (rows * torch.tensor([[1.0, 2.0], [-1.0, 0.001], [-3.0, -1.0], [1.0, -1.0]])).sum().backward()
    optimizer.step()
    expected = before.clone()
    expected[3] = before[3] * 0.95 + torch.tensor([0.1, 0.0])
    expected[1] = before[1] * 0.95 + torch.tensor([0.1, -0.1])
    torch.testing.assert_close(vectors.weight, expected)
    after = vectors.weight.clone()
    optimizer.step()  # the same gradient is not used twice
    assert torch.equal(vectors.weight, after)


def test_vectors_are_remembered_only_for_training():
    vectors = PuzzleVectors(3, 2)
    with torch.no_grad():
        vectors(torch.tensor([1]))
    assert vectors.used is None
    vectors.eval()(torch.tensor([1]))
    assert vectors.used is None
    assert not list(vectors.parameters())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "kind", [{}, {"networks": 2, "act": "halt_continue"}, {"experts": 2, "tied_head": True}], ids=str
)
def test_every_parameter_is_optimised_once_and_moves(optimizer, kind):
    model = model_of(**kind)
    built = build_optimizer(model, TRMOptions(optimizer=optimizer))
    held = [p for group in built.param_groups for p in group["params"]]
    assert len({id(p) for p in held}) == len(held)
    assert {id(p) for p in held} == {id(p) for p in model.parameters()} | {id(model.puzzle_vectors.weight)}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learn(model, built, 3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name in ("y_init", "z_init")), name


def test_muon_takes_the_matrices_of_the_networks():
    model = model_of(experts=2)
    muon, adamw, signs = build_optimizer(model, TRMOptions(optimizer="muon")).optimizers
    names = {id(p): name for name, p in model.named_parameters()}
    taken, others = ({names[id(p)] for p in o.param_groups[0]["params"]} for o in (muon, adamw))
    assert others == {"embedding.weight", "head.weight", "halting_head.weight", "halting_head.bias"}
    assert taken == set(names.values()) - others
    assert signs.param_groups[0]["lr"] == 1e-2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weight_decay_falls_on_heads_and_biases_too(optimizer):
    """With gradients of 0 the decay alone is left."""
    model = model_of()
    built = build_optimizer(model, TRMOptions(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    built.step()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), 0.95 * before[name], msg=name)
    assert model.halting_head.bias[1].item() == pytest.approx(-4.75)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_schedule_reaches_every_group(optimizer):
    built = build_optimizer(model_of(), TRMOptions(optimizer=optimizer, learning_rate=0.4, puzzle_learning_rate=0.8))
    assert isinstance(built, Together)
    schedule = LambdaLR(built, lambda step: 0.5**step)
    for step in range(3):
        rates = [group["lr"] for part in built.optimizers for group in part.param_groups]
        assert rates == pytest.approx([0.4 * 0.5**step] * (len(rates) - 1) + [0.8 * 0.5**step])
        built.step()
        schedule.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_state_continues_exactly(optimizer):
    options = TRMOptions(optimizer=optimizer)
    whole, first, second = (model_of() for _ in range(3))
    learn(whole, build_optimizer(whole, options), 6)
    built = build_optimizer(first, options)
    learn(first, built, 3)
    second.load_state_dict(first.state_dict())
    resumed = build_optimizer(second, options)
    resumed.load_state_dict(built.state_dict())
    learn(second, resumed, 3, start=3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    LambdaLR(resumed, lambda step: 0.25)
    rates = {group["lr"] for part in resumed.optimizers for group in part.param_groups}
    assert rates == {0.25 * options.learning_rate, 0.25 * options.puzzle_learning_rate}, (
        "groups are shared after loading"
    )


def test_without_puzzles_there_is_one_optimiser():
    model = TRMForPuzzles(TRMConfig(**SMALL | {"prefix": 0}))
    assert isinstance(build_optimizer(model, TRMOptions(optimizer="adam_atan2")), AdamATan2)
    assert isinstance(build_optimizer(model, TRMOptions()), torch.optim.AdamW)
