"""When slots halt and what they hold afterwards; HRM's value of going on. By hand."""

from __future__ import annotations

import math

import pytest
import torch

from trm.configuration import TRMConfig
from trm.halting import Carry, halting_logit, halts, minimum_steps, replace_halted
from trm.losses import continue_target, supervision_loss
from trm.modeling import TRMForPuzzles, TRMOutput
from trm.supervision import DeepSupervision

HRM = {
    "vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 8, "T": 2, "n": 2, "networks": 2,
    "gradient_evaluations": 2, "act": "halt_continue", "exploration": 0.0, "prefix": 1, "puzzles": 4,
}  # fmt: skip


def halting(*logits):
    return TRMOutput(halting_logit=torch.tensor(logits))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_halting_rule_by_hand():
    steps = torch.tensor([4, 1, 1, 3, 2, 4])
    output = halting(-9.0, 0.1, -0.1, 2.0, 2.0, -9.0)
    minimum = torch.tensor([0, 0, 0, 4, 2, 4])
    # out of steps; sure; unsure; sure but exploring until 4; sure and explored enough; out of steps while exploring
    assert halts(steps, output, minimum, most=4).tolist() == [True, True, False, False, True, True]
    assert halts(steps, TRMOutput(), minimum, most=4).tolist() == [True, False, False, False, False, True]


def test_a_logit_of_zero_goes_on():
    assert not halts(torch.tensor([1]), halting(0.0), torch.tensor([0]), most=4).item()


def test_hrm_halts_where_halting_is_worth_more_than_going_on():
    output = TRMOutput(
        halting_logit=torch.tensor([1.0, 1.0, -2.0, -3.0, 0.5]),
        continue_logit=torch.tensor([0.9, 1.1, -2.1, -2.0, 0.5]),
    )
    assert (halting_logit(output) > 0).tolist() == [True, False, True, False, False]
    steps = torch.tensor([1, 3, 1, 2, 3])
    assert halts(steps, output, torch.tensor([2, 0, 0, 0, 0]), most=3).tolist() == [False, True, True, False, True]


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
        puzzle_ids=torch.tensor([1, 2, 3]),
    )
    fresh = (torch.zeros(3, 2, 1), torch.full((3, 2, 1), 7.0))
    offered = (torch.tensor([[4, 4], [5, 5], [6, 6]]), torch.tensor([[7, 7], [8, 8], [9, 9]]), torch.tensor([5, 0, 8]))
    new = replace_halted(old, fresh, *offered)
    assert new.y[:, 0, 0].tolist() == [0, 1, 0]
    assert new.z[:, 0, 0].tolist() == [7, 2, 7]
    assert new.steps.tolist() == [0, 2, 0]
    assert new.input_ids[:, 0].tolist() == [4, 2, 6]
    assert new.labels[:, 0].tolist() == [7, 2, 9]
    assert new.puzzle_ids.tolist() == [5, 2, 8]
    assert not new.halted.any()
    assert old.input_ids[:, 0].tolist() == [1, 2, 3], "the old carry stays as it was"


def test_an_empty_carry_takes_the_whole_batch():
    initial = (torch.zeros(2, 3, 1), torch.zeros(2, 3, 1))
    batch, rows = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.arange(2)
    offered = (batch, batch, rows)
    carry = replace_halted(Carry.empty(initial, *offered), initial, *offered)
    assert carry.input_ids.tolist() == batch.tolist()
    assert carry.steps.tolist() == [0, 0]


# --- HRM's second output ------------------------------------------------------------------------


def test_what_going_on_is_worth_by_hand():
    """The better of the next step's two values; at the last step only halting is left."""
    following = TRMOutput(halting_logit=torch.tensor([1.0, -2.0, -2.0]), continue_logit=torch.tensor([0.5, 3.0, 3.0]))
    target = continue_target(following, torch.tensor([False, False, True]))
    assert target.tolist() == pytest.approx([sigmoid(1.0), sigmoid(3.0), sigmoid(-2.0)])


def test_the_loss_of_going_on_by_hand():
    """Three terms: (answer + 0.5 (halting + going on)) / batch."""
    logits = torch.zeros(1, 1, 2)
    output = TRMOutput(logits=logits, halting_logit=torch.tensor([2.0]), continue_logit=torch.tensor([-1.0]))
    loss = supervision_loss(output, torch.tensor([[0]]), "softmax", torch.tensor([0.3]))
    going_on = -0.3 * math.log(sigmoid(-1)) - 0.7 * math.log(sigmoid(1))
    assert loss.going_on.item() == pytest.approx(going_on)
    assert loss.total.item() == pytest.approx(math.log(2) + 0.5 * (-math.log(sigmoid(2)) + going_on))


def hrm_step(supervision_steps, taken):
    """The supervision step after ``taken`` steps of an HRM whose halting head matters; what it saw and its loss."""
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**HRM, supervision_steps=supervision_steps))
    model.halting_head.weight.data.normal_()
    model.halting_head.bias.data.copy_(torch.tensor([-1e3, 1e3]))  # never halt of one's own accord
    model.puzzle_vectors.weight.normal_()
    grids, ids = torch.randint(5, (3, 6)), torch.tensor([1, 2, 3])
    supervision, minimum = DeepSupervision(model), torch.zeros(3, dtype=torch.long)
    for _ in range(taken):
        supervision.step(model, (grids, grids, ids), minimum)
    model.halting_head.bias.data.copy_(torch.tensor([0.5, -0.5]))
    before = supervision.carry
    calls = []

    def forward(input_ids, carry, puzzle_ids):
        output = model(input_ids, carry, puzzle_ids)
        calls.append((output, carry, puzzle_ids))
        return output

    loss, _ = supervision.step(forward, (grids, grids, ids), minimum)
    return model, before, calls, loss


@pytest.mark.parametrize(("taken", "last"), [(1, False), (2, True)])
def test_the_second_forward_pass_looks_one_step_ahead_without_gradient(taken, last):
    model, before, calls, loss = hrm_step(3, taken)
    (now, carry, ids), (following, next_carry, next_ids) = calls
    assert torch.equal(carry[0], before.y)
    assert next_carry is now.carry
    assert ids.tolist() == next_ids.tolist() == [1, 2, 3]
    assert now.logits.requires_grad
    assert not following.halting_logit.requires_grad
    halt, going_on = following.halting_logit, following.continue_logit
    values = halt if last else torch.maximum(halt, going_on)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        now.continue_logit, values.sigmoid(), reduction="sum"
    )
    assert loss.going_on.item() == pytest.approx(expected.item(), rel=1e-6)
    assert not torch.equal(halt, torch.maximum(halt, going_on)), "the two cases differ here"
    loss.total.backward()
    assert torch.equal(model.puzzle_vectors.used[0], ids)
    assert model.puzzle_vectors.used[1].grad.abs().sum() > 0, "the second pass did not take the vectors' place"


def test_in_the_one_value_form_the_second_output_is_silent():
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**HRM | {"act": "halt"}))
    output = model(torch.randint(5, (2, 6)))
    assert output.continue_logit is None
    assert supervision_loss(output, torch.randint(5, (2, 6)), "softmax").going_on == 0
