"""Budgets: the meter's sums and clock, schedules, and that a real training run stops within one step of its limit."""

from __future__ import annotations

import math
import time

import pytest
import torch
from training_runs import distill as train

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from benchmarks.training.budget import UNITS, Budget, Meter
from benchmarks.training.trainer import SCHEDULES, BudgetCallback, decay
from cot_distill.options import SFTOptions
from cot_distill.train import PricedSFTTrainer

TINY = ModelOptions(width=16, layers=1, heads=2, key_value_heads=2, inner=32)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("limit", [0, -1, math.inf, -math.inf, math.nan])
def test_a_budget_that_trains_nothing_or_never_ends_is_a_user_error(limit):
    with pytest.raises(UserError, match="positive, finite"):
        Budget("steps", limit)


def test_unknown_unit_is_a_user_error():
    budget = Budget("seconds", 1)
    object.__setattr__(
        budget, "unit", "hours"
    )  # as a configuration gives it: the tests' type checker refuses it sooner
    with pytest.raises(UserError, match="flops, seconds, examples, tokens, steps"):
        budget.__post_init__()


@pytest.mark.parametrize(
    ("text", "unit", "limit"),
    [
        ("2e12 flops", "flops", 2e12),
        ("2e12", "flops", 2e12),
        ("3.5 TFLOP", "flops", 3.5e12),
        ("1 PFLOP", "flops", 1e15),
        ("500 GFLOPs", "flops", 5e11),
        ("1_000_000flop", "flops", 1e6),
        ("5 minutes", "seconds", 300),
        ("1 Minute", "seconds", 60),
        ("300 s", "seconds", 300),
        ("1.5 seconds", "seconds", 1.5),
        ("2 h", "seconds", 7200),
        (" .5 hours ", "seconds", 1800),
        ("1e3 EXAMPLES", "examples", 1000),
        ("1 example", "examples", 1),
        ("1e6 tokens", "tokens", 1e6),
        ("300 steps", "steps", 300),
        ("+1 step", "steps", 1),
    ],
)
def test_a_budget_is_read_as_a_person_writes_it(text, unit, limit):
    assert Budget.parse(text) == Budget(unit, limit)


@pytest.mark.parametrize(
    "text", ["", "flops", "2e12 flop/s", "five minutes", "5 miles", "5 m", "nan", "inf steps", "1 2 s", "s"]
)
def test_a_budget_that_cannot_be_read_says_what_it_must_be(text):
    with pytest.raises(UserError, match="must be a number and a unit, such as '2e12 flops' or '5 minutes'") as error:
        Budget.parse(text)
    assert error.value.where == "budget"
    assert f"not '{text}'" in str(error.value)


@pytest.mark.parametrize("text", ["0 steps", "-5 minutes", "1e999 flops", "1e308 hours"])
def test_a_written_budget_must_be_positive_and_finite(text):
    with pytest.raises(UserError, match="must be positive and finite") as error:
        Budget.parse(text)
    assert error.value.where == "budget"


@pytest.mark.parametrize("unit", UNITS)
def test_meter_adds_and_measures_progress_in_its_unit(unit):
    meter = Meter(Budget(unit, 200), Cost(10, 10, 10, 10, 10))
    meter.add(Cost(**{unit: 40}))
    meter.add(Cost(**{u: 1000 for u in UNITS if u != unit}))
    assert getattr(meter.spent, unit) == 50
    assert meter.progress == pytest.approx(0.25)


def test_clock_runs_only_inside_running_and_not_inside_paused():
    meter = Meter(Budget("seconds", 1))
    time.sleep(0.02)
    assert meter.spent.seconds == 0
    with meter.running():
        time.sleep(0.02)
        before = meter.spent.seconds
        with meter.paused():
            paused = meter.spent.seconds
            time.sleep(0.2)
            assert meter.spent.seconds == paused
        time.sleep(0.02)
    after = meter.spent.seconds
    assert before >= 0.02
    assert 0.04 <= after < 0.2
    time.sleep(0.02)
    assert meter.spent.seconds == after
    with meter.paused():
        pass
    time.sleep(0.02)
    assert meter.spent.seconds == after  # a pause does not start a clock that was not running


def test_schedules():
    assert [decay(s, 0.0) for s in SCHEDULES] == [1.0, 1.0, 1.0]
    assert decay("cosine", 0.5) == pytest.approx(0.5)
    assert decay("linear", 0.25) == pytest.approx(0.75)
    for schedule in ("cosine", "linear"):
        assert decay(schedule, 1.0) == decay(schedule, 1.3) == 0.0  # never up again after the end
    assert decay("constant", 1.0) == 1.0
    with pytest.raises(UserError, match="cosine"):
        decay("cosin", 0.5)


class _Control:
    should_training_stop = False


def test_callback_calls_each_milestone_once_in_order_and_never_at_the_end():
    meter, seen, progress = Meter(Budget("steps", 10)), [], []
    callback = BudgetCallback(
        meter, [0.5, 0.2, 0.21, 1.0], lambda model, spent: seen.append((model, spent.steps)), progress.append
    )
    controls = []
    for _ in range(11):
        controls.append(callback.on_step_end(None, None, _Control(), model="m").should_training_stop)
    assert seen == [("m", 2), ("m", 3), ("m", 5)]
    assert controls == [False] * 9 + [True] * 2
    assert [cost.steps for cost in progress] == list(range(1, 12))


@pytest.fixture(scope="module")
def task():
    return load_task("arithmetic", operation="addition", digits=(1, 1))


# One step of four rows of 9 tokens: 4 examples, 36 tokens.
STEP = {"steps": 1, "examples": 4, "tokens": 36}


@pytest.mark.parametrize(
    ("unit", "limit"), [("steps", 7), ("examples", 26), ("tokens", 250), ("flops", 1e7), ("seconds", 1.5)]
)
def test_training_stops_within_one_step_of_the_limit(task, tmp_path, unit, limit):
    costs = []
    milestones = []

    def at_milestone(solver, spent):
        time.sleep(0.3)
        milestones.append(spent)

    trained = train(
        task,
        task.generate("train", 40, 0),
        SFTOptions(batch_size=4, warmup_steps=1),
        TINY,
        "answer_only",
        Budget(unit, limit),
        0,
        tmp_path,
        milestones=[0.5],
        at_milestone=at_milestone,
        on_progress=costs.append,
    )
    spent = trained.meter.spent
    assert getattr(costs[-2], unit) < limit <= getattr(spent, unit)
    assert spent.steps == len(costs)
    assert [cost.steps for cost in costs] == list(range(1, len(costs) + 1))
    assert len(milestones) == 1
    assert 0.5 * limit <= getattr(milestones[0], unit) < limit
    if unit == "seconds":
        at_milestone = milestones[0].seconds
        assert next(c.seconds for c in costs if c.seconds >= at_milestone) - at_milestone < 0.2  # slept off the clock
    else:
        assert spent.flops / spent.steps == costs[0].flops
        assert {u: getattr(spent, u) / spent.steps for u in STEP} == STEP


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_learning_rate_follows_the_share_of_the_budget_spent(task, tmp_path, monkeypatch, schedule):
    rates = []
    training_step = PricedSFTTrainer.training_step

    def recorded(self, *args, **kwargs):
        rates.append(self.optimizer.param_groups[0]["lr"])
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(PricedSFTTrainer, "training_step", recorded)
    train(
        task,
        task.generate("train", 40, 0),
        SFTOptions(batch_size=4, warmup_steps=4, schedule=schedule, learning_rate=0.1),
        TINY,
        "answer_only",
        Budget("examples", 80),
        0,
        tmp_path,
    )
    expected = [0.1 * min(1, (step + 1) / 4) * decay(schedule, step / 20) for step in range(20)]
    assert rates == pytest.approx(expected)
