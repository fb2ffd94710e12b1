"""Losses and the average of the weights, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from trm.ema import EMACallback
from trm.losses import softmax_cross_entropy, stablemax_cross_entropy, supervision_loss
from trm.modeling import TRMOutput


def test_stablemax_by_hand():
    """s(1) = 2, s(-1) = 1/2, s(0) = 1."""
    logits = torch.tensor([[[1.0, -1.0, 0.0]] * 4])
    loss = stablemax_cross_entropy(logits, torch.tensor([[0, 1, 2, -100]]))
    expected = [-math.log(2 / 3.5), -math.log(0.5 / 3.5), -math.log(1 / 3.5), 0.0]
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, torch.tensor([expected], dtype=torch.float64))


def test_stablemax_gradient():
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[0, 1, -100], [3, 2, 1]])
    assert torch.autograd.gradcheck(lambda x: stablemax_cross_entropy(x, labels), logits)


def test_softmax_is_torchs():
    logits, labels = torch.randn(2, 3, 4), torch.tensor([[0, 1, -100], [3, 2, 1]])
    loss = softmax_cross_entropy(logits, labels)
    assert loss[0, 2] == 0
    torch.testing.assert_close(loss[0, 0], -logits[0, 0].log_softmax(-1)[0])


def test_supervision_loss_by_hand():
    """Uniform logits over two tokens: log 2 per labelled position, a mean per sequence, a sum over the batch."""
    logits = torch.zeros(2, 2, 2)
    logits[0, 0, 1] = 1e-9  # argmax 1 there, 0 elsewhere
    labels = torch.tensor([[1, -100], [0, 1]])
    output = TRMOutput(logits=logits, halting_logit=torch.tensor([2.0, -1.0]))
    loss = supervision_loss(output, labels, "stablemax")
    assert loss.exact.tolist() == [True, False]  # unlabelled positions do not matter
    assert loss.answer.item() == pytest.approx(2 * math.log(2))
    halting = math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))
    assert loss.halting.item() == pytest.approx(halting)
    assert loss.total.item() == pytest.approx((2 * math.log(2) + 0.5 * halting) / 2)


def test_direct_prediction_has_no_halting_loss():
    loss = supervision_loss(TRMOutput(logits=torch.zeros(1, 1, 2)), torch.tensor([[0]]), "softmax")
    assert (loss.halting, loss.going_on, loss.imbalance) == (0, 0, 0)
    assert loss.total.item() == pytest.approx(math.log(2))


def test_experts_pay_for_imbalance():
    output = TRMOutput(logits=torch.zeros(4, 1, 2), imbalance=torch.tensor(1.5))
    loss = supervision_loss(output, torch.zeros(4, 1, dtype=torch.long), "softmax")
    assert loss.total.item() == pytest.approx(math.log(2) + 0.01 * 1.5), "a mean already: not divided by the batch"


def test_a_sequence_without_labels_costs_nothing():
    loss = supervision_loss(TRMOutput(logits=torch.randn(1, 2, 3)), torch.full((1, 2), -100), "stablemax")
    assert (loss.answer, loss.exact.tolist()) == (0, [True])


@pytest.mark.parametrize("warmup", [False, True])
def test_ema_by_hand(warmup):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    ema = EMACallback(decay=0.5, warmup=warmup)
    ema.start(model)
    expected = 1.0
    for t, weight in enumerate([3.0, 5.0], start=1):
        model.weight.data.fill_(weight)
        ema.update(model)
        decay = min(0.5, (1 + t) / (10 + t)) if warmup else 0.5
        expected = decay * expected + (1 - decay) * weight
    assert ema.average["weight"].item() == pytest.approx(expected)
    with ema.applied(model):
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == 5.0


def test_ema_warmup_ends():
    ema = EMACallback(decay=0.999)
    ema.updates = 100_000
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    ema.start(model)
    model.weight.data.fill_(1.0)
    ema.update(model)
    assert ema.average["weight"].item() == pytest.approx(0.001)


def test_ema_state_comes_back():
    model = nn.Linear(2, 2)
    ema, other = EMACallback(), EMACallback()
    ema.start(model)
    ema.update(model)
    other.load_state_dict(ema.state_dict(), torch.device("cpu"))
    assert other.updates == 1
    assert all(torch.equal(other.average[name], ema.average[name]) for name in ema.average)
