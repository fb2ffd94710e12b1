"""Answers with all their supervision steps, and with halting."""

from __future__ import annotations

import pytest
import torch

from trm import pricing
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.solver import TRMSolver
from trm.trainer import build

OPTIONS = TRMOptions(width=32, inner_multiple=32, T=1, n=1, supervision_steps=4)


@pytest.fixture
def model(task):
    torch.manual_seed(0)
    return TRMForPuzzles(build(task, OPTIONS))


def test_every_step_is_shown_and_priced(task, problems, model):
    solutions = TRMSolver(model, task, batch_size=8).solve(problems[:20])
    price = pricing.supervision_step(model.config)
    assert len(solutions) == 20
    for solution in solutions:
        assert [step.label for step in solution.trajectory] == [f"supervision step {i}" for i in range(1, 5)]
        assert solution.step_flops == tuple(price * i for i in range(1, 5))
        assert (solution.steps, solution.flops, solution.tokens) == (4, 4 * price, 0)
        assert solution.answer == solution.trajectory[-1].answer
        assert solution.trajectory[0].halting_probability == pytest.approx(0.0067, abs=1e-4)  # bias -5


def test_steps_can_be_chosen_and_batches_do_not_matter(task, problems, model):
    one = TRMSolver(model, task, steps=6, batch_size=1).solve(problems[:5])
    all_at_once = TRMSolver(model, task, steps=6).solve(problems[:5])
    assert [s.answer for s in one] == [s.answer for s in all_at_once]
    assert {s.steps for s in one} == {6}


def test_halting_ends_each_problem_at_its_own_step(task, problems, model):
    """A halting head that really depends on y; where a problem stops is checked against the run of all steps."""
    model.halting_head.weight.data[0] = torch.randn(32)
    model.halting_head.bias.data.fill_(-2.0)
    everything = TRMSolver(model, task).solve(problems)
    halted = TRMSolver(model, task, halting=True, batch_size=64).solve(problems)
    assert len({s.steps for s in halted}) > 1
    for whole, short in zip(everything, halted, strict=True):
        sure = [i for i, step in enumerate(whole.trajectory, 1) if step.halting_probability > 0.5]
        assert short.steps == (sure[0] if sure else 4)
        assert short.answer == whole.trajectory[short.steps - 1].answer
        assert short.flops == whole.step_flops[short.steps - 1]


def test_direct_prediction_takes_one_step(task, problems):
    model = TRMForPuzzles(build(task, OPTIONS, "direct"))
    solution = TRMSolver(model, task, steps=5, halting=True).solve(problems[:1])[0]
    assert solution.steps == 1
    assert solution.trajectory[0].halting_probability is None
