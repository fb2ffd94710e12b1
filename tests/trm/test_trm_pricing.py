"""The formulas against torch's own counter (on the meta device: it counts no attention on a CPU)."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trm import pricing
from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles

SIZES = {"vocabulary_size": 7, "positions": 24, "width": 32, "heads": 4}
KINDS = [{"mixer": "mlp"}, {"mixer": "attention", "layers": 3}, {"recursion": "direct"}, {"T": 1, "n": 3}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_formulas_agree_with_the_counter(kind):
    batch = 2
    with torch.device("meta"):
        model = TRMForPuzzles(TRMConfig(**SIZES, **kind))
        input_ids = torch.zeros(batch, 24, dtype=torch.long)
        h = torch.zeros(batch, 24, 32)
    with torch.no_grad():
        once = count(lambda: model.network(h, model.network.angles(h)))
        forwards = count(lambda: model(input_ids))
    training = count(lambda: backwards(model(input_ids)))
    assert once == pytest.approx(batch * pricing.network(model.config), rel=0.01)
    assert forwards == pytest.approx(batch * pricing.supervision_step(model.config), rel=0.01)
    assert training == pytest.approx(batch * pricing.training_step(model.config), rel=0.01)


def test_an_answer_costs_all_its_steps():
    config = TRMConfig(**SIZES)
    assert pricing.answer(config) == 16 * pricing.supervision_step(config)
    assert pricing.answer(config, 3) == 3 * pricing.supervision_step(config)


def test_the_recursion_factor_of_the_facts():
    """6 x tokens x parameters undercounts by (n + 1)(2(T - 1) + 6)/6, 11.7 times at T = 3, n = 6 (heads aside)."""
    config = TRMConfig(**SIZES)
    steps = pricing.training_step(config) - 3 * pricing.heads(config)
    assert steps / (3 * pricing.network(config)) == pytest.approx(7 * 10 / 6)


def count(work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def backwards(output):
    (output.logits.sum() + (0 if output.halting_logit is None else output.halting_logit.sum())).backward()
