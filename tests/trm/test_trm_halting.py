"""When slots halt, and what they hold afterwards; by hand."""

from __future__ import annotations

import torch

from trm.halting import Carry, halts, minimum_steps, replace_halted


def test_halting_rule_by_hand():
    steps = torch.tensor([4, 1, 1, 3, 2, 4])
    logit = torch.tensor([-9.0, 0.1, -0.1, 2.0, 2.0, -9.0])
    minimum = torch.tensor([0, 0, 0, 4, 2, 4])
    # out of steps; sure; unsure; sure but exploring until 4; sure and explored enough; out of steps while exploring
    assert halts(steps, logit, minimum, most=4).tolist() == [True, True, False, False, True, True]
    assert halts(steps, None, minimum, most=4).tolist() == [True, False, False, False, False, True]


def test_a_logit_of_zero_goes_on():
    assert not halts(torch.tensor([1]), torch.tensor([0.0]), torch.tensor([0]), most=4).item()


def test_exploration_is_uniform_from_two():
    drawn = minimum_steps(40_000, 5, 0.2, torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=6) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0.8, 0, 0.05, 0.05, 0.05, 0.05]), atol=0.005, rtol=0)
    assert minimum_steps(100, 5, 0.0, torch.Generator()).max() == 0
    assert minimum_steps(100, 1, 1.0, torch.Generator()).max() == 0  # direct prediction: nothing to put off


def test_halted_slots_take_the_same_index_sample():
    old = Carry(
        y=torch.ones(3, 2, 1),
        z=2 * torch.ones(3, 2, 1),
        steps=torch.tensor([4, 2, 1]),
        halted=torch.tensor([True, False, True]),
        input_ids=torch.tensor([[1, 1], [2, 2], [3, 3]]),
        labels=torch.tensor([[1, 1], [2, 2], [3, 3]]),
    )
    fresh = (torch.zeros(3, 2, 1), torch.full((3, 2, 1), 7.0))
    new = replace_halted(old, fresh, torch.tensor([[4, 4], [5, 5], [6, 6]]), torch.tensor([[7, 7], [8, 8], [9, 9]]))
    assert new.y[:, 0, 0].tolist() == [0, 1, 0]
    assert new.z[:, 0, 0].tolist() == [7, 2, 7]
    assert new.steps.tolist() == [0, 2, 0]
    assert new.input_ids[:, 0].tolist() == [4, 2, 6]  # the sample 5, offered to a slot that goes on, is dropped
    assert new.labels[:, 0].tolist() == [7, 2, 9]
    assert not new.halted.any()


def test_an_empty_carry_takes_the_whole_batch():
    initial = (torch.zeros(2, 3, 1), torch.zeros(2, 3, 1))
    batch = torch.tensor([[1, 2, 3], [4, 5, 6]])
    carry = replace_halted(Carry.empty(initial, batch, batch), initial, batch, batch)
    assert carry.input_ids.tolist() == batch.tolist()
    assert carry.steps.tolist() == [0, 0]
