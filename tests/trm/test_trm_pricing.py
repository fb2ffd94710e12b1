"""The formulas against torch's own counter, for every variant.

On the meta device, since the counter sees no attention on a CPU; where a computation depends on numbers (experts,
Anderson iteration) on a CPU with token mixing.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trm import pricing
from trm.configuration import TRMConfig
from trm.cpu_matmul import as_recorded
from trm.modeling import TRMForPuzzles
from trm.supervision import DeepSupervision

SIZES = {"vocabulary_size": 7, "positions": 24, "width": 32, "heads": 4, "inner_multiple": 16, "T": 2, "n": 3}
ON_META = [
    {"mixer": "mlp"},
    {"mixer": "attention", "layers": 3},
    {"recursion": "direct"},
    {"T": 1},
    {"recursion": "single_z"},
    {"recursion": "multi_scale"},
    {"networks": 2},
    {"gradient_evaluations": 2},
    {"recursion": "single_z", "gradient_evaluations": 1},
    {"prefix": 5, "puzzles": 3},
    {"prefix": 5, "puzzles": 3, "mixer": "attention", "puzzle_width": 100},
    {"tied_head": True},
    {"act": "none"},
]
ON_CPU = [{"experts": 3}, {"recursion": "fixed_point"}, {"recursion": "fixed_point", "networks": 2, "experts": 2}]


@as_recorded()  # torch's counter does not know oneDNN's products
def count(work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def backwards(output):
    """Through everything that a loss touches."""
    loss = output.logits.sum()
    if output.halting_logit is not None:
        loss = loss + output.halting_logit.sum()
    loss.backward()


@pytest.mark.parametrize(
    ("kind", "device"), [(k, "meta") for k in ON_META] + [(k, "cpu") for k in ON_CPU], ids=lambda v: str(v)
)
def test_formulas_agree_with_the_counter(kind, device):
    batch = 2
    torch.manual_seed(0)
    with torch.device(device):
        model = TRMForPuzzles(TRMConfig(**SIZES | kind))
        input_ids = torch.zeros(batch, 24, dtype=torch.long)
        h = torch.randn(batch, model.config.length, 32)
    with torch.no_grad():
        once = count(lambda: model.networks[0](h, model.networks[0].angles(h)))
        forwards = count(lambda: model(input_ids))
    training = count(lambda: backwards(model(input_ids)))
    assert once == pytest.approx(batch * pricing.network(model.config), rel=0.001)
    assert forwards == pytest.approx(batch * pricing.supervision_step(model.config), rel=0.001)
    assert training == pytest.approx(batch * pricing.training_step(model.config), rel=0.01)


@pytest.mark.parametrize("kind", [*ON_META, *ON_CPU], ids=str)
def test_parameters_agree_with_the_model(kind):
    with torch.device("meta"):
        model = TRMForPuzzles(TRMConfig(**SIZES | kind))
    assert pricing.parameters(model.config) == model.num_parameters()


@pytest.mark.parametrize("mixer", ["mlp", "attention"])
@pytest.mark.parametrize("act", ["halt", "halt_continue"])
def test_a_training_step_of_hrm_pays_its_second_forward_pass(mixer, act):
    """Through deep supervision itself: on the device without numbers nothing can look at one."""
    with torch.device("meta"):
        config = TRMConfig(**SIZES, mixer=mixer, act=act, networks=2, gradient_evaluations=2)
        model = TRMForPuzzles(config)
        grids, ids = torch.zeros(2, 24, dtype=torch.long), torch.zeros(2, dtype=torch.long)
    supervision = DeepSupervision(model)
    forwards = []

    def forward(*inputs):
        forwards.append(inputs)
        return model(*inputs)

    spent = count(lambda: supervision.step(forward, (grids, grids, ids), ids)[0].total.backward())
    assert len(forwards) == (2 if act == "halt_continue" else 1)
    assert spent == pytest.approx(2 * pricing.training_step(config), rel=0.01)


def test_an_answer_costs_all_its_steps():
    config = TRMConfig(**SIZES)
    assert pricing.answer(config) == 16 * pricing.supervision_step(config)
    assert pricing.answer(config, 3) == 3 * pricing.supervision_step(config)


def test_the_recursion_factor_of_the_facts():
    """6 x tokens x parameters undercounts by (n + 1)(2(T - 1) + 6)/6, 11.7 times at T = 3, n = 6 (heads aside)."""
    config = TRMConfig(**SIZES | {"T": 3, "n": 6})
    steps = pricing.training_step(config) - 3 * pricing.heads(config)
    assert steps / (3 * pricing.network(config)) == pytest.approx(7 * 10 / 6)


def test_what_variants_cost_compared():
    """The 1-step gradient saves backward passes; two networks, many puzzles and a tied head cost nothing."""

    def price(**kind):
        return pricing.training_step(TRMConfig(**SIZES | {"T": 3, "n": 6} | kind))

    f, heads = (part(TRMConfig(**SIZES)) for part in (pricing.network, pricing.heads))
    assert price() - price(gradient_evaluations=2) == pytest.approx(2 * 5 * f)
    assert price(act="halt_continue") - price() == pytest.approx(21 * f + heads)
    assert price(networks=2) == price(tied_head=True) == price(recursion="single_z") == price()
    assert price(prefix=1, puzzles=9) == price(prefix=1) > price()
    assert price(experts=4) > price()
