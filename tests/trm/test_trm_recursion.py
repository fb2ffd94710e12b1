"""Every recursion by hand, with f(h) = 2h or with counted evaluations, and where its gradient flows."""

from __future__ import annotations

import pytest
import torch

from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles
from trm.recursion import ROUNDS, anderson_iteration, build_round, deep_recursion, direct, latent_recursion, single_z

SIZES = {"vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 2}


def double(h):
    return 2 * h


def values(*numbers):
    return [torch.tensor([[[float(number)]]]) for number in numbers]


class Recorder:
    """A map that notes whose turn it was and whether the evaluation carries a gradient."""

    def __init__(self, factor, name, log):
        self.factor, self.name, self.log = factor, name, log

    def __call__(self, h):
        out = (self.factor * h).cos()
        self.log.append((self.name, out.requires_grad))
        return out


def evaluations_of(recursion, T, n, tracked):
    """The order of all evaluations in a supervision step; y and z enter without gradient, the factors have one."""
    log = []
    f_z, f_y = (Recorder(torch.tensor(0.5, requires_grad=True), name, log) for name in "zy")
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, 4, 3, generator=generator) for _ in range(2))
    z = torch.randn(2, 4, 3 * (n if recursion == "multi_scale" else 1), generator=generator)
    deep_recursion(build_round(recursion, f_z, f_y, n, tracked), x, y, z, T)
    return log


def test_trm_by_hand():
    """Two updates of z, one of y: z = 2(3 + 3) = 12, 2(12 + 3) = 30; y = 2(2 + 30) = 64."""
    x, y, z = values(1, 2, 3)
    y1, z1 = latent_recursion(x, y, z, f_z=double, f_y=double, n=2, tracked=3)
    assert (z1.item(), y1.item()) == (30, 64)
    one_round = build_round("trm", double, double, 2, 3)
    assert deep_recursion(one_round, x, y, z, T=2) == one_round(x, y1, z1)


def test_two_networks_share_the_work():
    """f_z(h) = 2h, f_y(h) = 10h: z = 12, 30 as above; y = 10(2 + 30) = 320."""
    y1, z1 = latent_recursion(*values(1, 2, 3), f_z=double, f_y=lambda h: 10 * h, n=2, tracked=3)
    assert (z1.item(), y1.item()) == (30, 320)
    assert evaluations_of("trm", T=2, n=2, tracked=3) == [("z", False)] * 2 + [("y", False)] + [
        ("z", True), ("z", True), ("y", True),
    ]  # fmt: skip


def test_the_single_latent_is_the_answer():
    """z = 2(3 + 1) = 8, 2(8 + 1) = 18, 2(18 + 1) = 38; what y was does not matter."""
    x, y, z = values(1, 2, 3)
    y1, z1 = single_z(x, y, z, f_z=double, f_y=double, n=2, tracked=3)
    assert (z1.item(), y1.item()) == (38, 38)
    assert single_z(x, y + 7, z, f_z=double, f_y=double, n=2, tracked=3)[0].item() == 38


def test_multi_scale_by_hand():
    """z = (3, 4), x = 1, y = 2: z1 = 2(3 + 3 + 4) = 20; z2 = 2(3 + 20 + 4) = 54; y = 2(2 + 74) = 152."""
    x, y = values(1, 2)
    y1, z1 = build_round("multi_scale", double, double, 2, 3)(x, y, torch.tensor([[[3.0, 4.0]]]))
    assert z1.flatten().tolist() == [20, 54]
    assert y1.item() == 152
    # with two networks: y = 10(2 + 74)
    one_round = build_round("multi_scale", double, lambda h: 10 * h, 2, 3)
    assert one_round(x, y, torch.tensor([[[3.0, 4.0]]]))[0].item() == 760
    assert evaluations_of("multi_scale", T=2, n=3, tracked=4) == [
        ("z", False), ("z", False), ("z", False), ("y", False), ("z", True), ("z", True), ("z", True), ("y", True),
    ]  # fmt: skip


def test_direct_prediction_is_one_evaluation():
    x, y, z = values(1, 2, 3)
    assert [t.item() for t in direct(x, y, z, f_z=double, f_y=double, n=0, tracked=1)] == [2, 3]
    assert evaluations_of("direct", T=1, n=0, tracked=1) == [("y", True)]


@pytest.mark.parametrize("recursion", ["trm", "single_z"])
@pytest.mark.parametrize("last", range(1, 8))
def test_gradients_flow_through_the_last_evaluations_only(recursion, last):
    """Of T = 2 rounds of n = 6: the ``last`` of the second, of which y is one."""
    log = evaluations_of(recursion, T=2, n=6, tracked=last)
    evaluations = [tracked for _, tracked in log]
    # y, or the last z, sees what was computed with gradient before it; the factor itself always counts
    assert evaluations == [False] * (14 - last) + [True] * last


def test_the_one_step_gradient_by_hand():
    """HRM's: z = f(z1 + y + x) and y' = f(y + z) with z1 a constant: d y'/dx = 2 * 2, instead of 2 * (2 + 4)."""
    for tracked, expected in [(2, 4.0), (3, 12.0)]:
        x, y, z = values(1, 2, 3)
        x.requires_grad_()
        latent_recursion(x, y, z, f_z=double, f_y=double, n=2, tracked=tracked)[0].backward()
        assert x.grad.item() == expected


def test_no_gradient_through_the_first_rounds():
    x, y, z = (tensor.requires_grad_() for tensor in values(1, 2, 3))
    deep_recursion(build_round("trm", double, double, 2, 3), x, y, z, T=3)[0].backward()
    assert y.grad is None
    assert z.grad is None
    assert x.grad.item() == 12  # of the last round alone: y' = 2(y + z2), z2 = 2(z1 + y + x), z1 = 2(z + y + x)


# --- fixed point ----------------------------------------------------------------------------------


@pytest.fixture(params=range(5))
def contraction(request):
    """h -> A h + b with spectral radius 0.9, and its fixed point (I - A)^-1 b; float64."""
    generator = torch.Generator().manual_seed(request.param)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))[0]
    scales = torch.tensor([0.9, 0.85, -0.7, 0.5, 0.3, 0.1], dtype=torch.float64)
    a = basis @ torch.diag(scales) @ basis.T
    b = torch.randn(6, generator=generator, dtype=torch.float64)
    return a, b, torch.linalg.solve(torch.eye(6, dtype=torch.float64) - a, b)


def test_anderson_reaches_the_fixed_point_faster_than_plain_iteration(contraction):
    a, b, solution = contraction
    evaluations = 0

    def f(h):
        nonlocal evaluations
        evaluations += 1
        return a @ h + b

    start = torch.zeros(6, dtype=torch.float64)
    plain = start
    for _ in range(12):
        plain = f(plain)
    evaluations = 0
    found = anderson_iteration(f, start, 12)
    assert evaluations == 12
    assert (found - solution).norm() < 0.01 * (plain - solution).norm()
    assert (found - solution).norm() < 1e-3 * solution.norm()


@pytest.mark.parametrize("count", [2, 3, 6, 9])
def test_anderson_takes_exactly_so_many_evaluations(contraction, count):
    a, b, _ = contraction
    seen = []

    def f(h):
        assert not torch.is_grad_enabled() or not h.requires_grad
        seen.append(h)
        return a @ h + b

    found = anderson_iteration(f, torch.zeros(6, dtype=torch.float64), count)
    assert len(seen) == count
    assert torch.equal(found, a @ seen[-1] + b), "the last evaluation is not thrown away"


def test_fixed_point_counts_its_evaluations_and_tracks_two():
    for n in (3, 6):
        one_round = [("z", False)] * n + [("y", False)]
        with_gradient = [("z", False)] * (n - 1) + [("z", True), ("y", True)]
        assert evaluations_of("fixed_point", T=3, n=n, tracked=2) == 2 * one_round + with_gradient


def test_at_the_fixed_point_z_stays_and_y_follows():
    """f_z(h) = h/2: z = (z + y + x)/2 at z = y + x = 3, so y' = 2(2 + 3) = 10."""
    y1, z1 = build_round("fixed_point", lambda h: h / 2, double, 6, 2)(*values(1, 2, 0))
    assert z1.item() == pytest.approx(3, abs=1e-3)
    assert y1.item() == pytest.approx(10, abs=2e-3)


# --- in the model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("recursion", ROUNDS)
def test_the_model_evaluates_as_often_as_its_configuration_says(recursion):
    """Which the price is computed from; with gradient and without."""
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SIZES, n=4, recursion=recursion))
    tracked = []
    model.networks[0].register_forward_hook(lambda _m, _i, out: tracked.append(out.requires_grad))
    output = model(torch.randint(5, (2, 6)))
    assert len(tracked) == model.config.evaluations
    assert sum(tracked) == model.config.tracked
    scales = 4 if recursion == "multi_scale" else 1
    assert [h.shape for h in output.carry] == [(2, 6, 16), (2, 6, 16 * scales)]
    assert model(torch.randint(5, (2, 6)), output.carry).logits.shape == (2, 6, 5)


@pytest.mark.parametrize("recursion", ["trm", "multi_scale", "fixed_point"])
def test_with_two_networks_the_first_updates_z_and_the_second_y(recursion):
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SIZES, n=3, recursion=recursion, networks=2))
    turns = []
    for i, network in enumerate(model.networks):
        network.register_forward_hook(lambda *_, i=i: turns.append(i))
    model(torch.randint(5, (2, 6)))
    assert turns == [0, 0, 0, 1] * 2
    one = TRMForPuzzles(TRMConfig(**SIZES, n=3, recursion=recursion))
    sizes = [sum(p.numel() for p in m.networks.parameters()) for m in (one, model)]
    assert sizes[1] == 2 * sizes[0]
