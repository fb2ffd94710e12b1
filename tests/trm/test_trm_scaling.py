"""Depth beyond training, places that are filled again, noisy trajectories and who is believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import train_recursive as train

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.training.budget import Budget
from trm import pricing
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.rollout import Rollout, highest_halting_logit
from trm.solver import TRMSolver
from trm.trainer import build
from trm.trajectories import Noise, seed_of

OPTIONS = TRMOptions(width=32, inner_multiple=32, T=1, n=1, supervision_steps=6)


@pytest.fixture
def model(task):
    """Untrained, with a halting head that depends on y, so that rows leave at all steps."""
    torch.manual_seed(0)
    model = TRMForPuzzles(build(task, OPTIONS)).eval()
    model.halting_head.weight.data = torch.randn(2, 32)
    model.halting_head.bias.data.fill_(-2.0)
    return model


@pytest.fixture(scope="module")
def trained(task, problems, tmp_path_factory):
    """Half trained: some problems right, some wrong."""
    torch.set_num_threads(1)
    options = replace(OPTIONS, batch_size=32, learning_rate=5e-3, warmup_steps=5, precision="float32")
    return train(task, problems, options, Budget("steps", 110), 0, tmp_path_factory.mktemp("half")).model


def same(a, b, exact_steps=True):
    """Equal in everything that is counted; halting logits up to what other batch shapes round differently."""
    for one, other in zip(a, b, strict=True):
        assert (one.answer, one.steps, one.flops, one.step_flops) == (
            other.answer, other.steps, other.flops, other.step_flops,
        )  # fmt: skip
        assert [(s.label, s.text) for s in one.trajectory] == [(s.label, s.text) for s in other.trajectory]
        assert [s.halting_probability for s in one.trajectory] == pytest.approx(
            [s.halting_probability for s in other.trajectory], rel=1e-4
        )


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"halting": True, "patience": 0},
        {"halting": True},
        {"halting": True, "patience": 0, "votes": 4},
        {"trajectories": 3},
        {"trajectories": 3, "halting": True, "patience": 0, "votes": 3},
        {"trajectories": 4, "select": "first", "patience": 0},
        {"trajectories": 3, "select": "first", "patience": 0, "votes": 2},
    ],
)
def test_company_does_not_matter(task, problems, model, ways):
    """Full batches with refill, one problem after another, and another order: the same answers, steps and prices."""
    asked = problems[:40]
    solver = TRMSolver(model, task, **ways)
    together = solver.solve(asked, batch_size=7)
    same(together, [solver.solve([problem], batch_size=1)[0] for problem in asked])
    same(together, solver.solve(asked[::-1], batch_size=128)[::-1])
    if "patience" in ways:
        assert len({s.steps for s in together}) > 2


def test_places_are_filled_again_at_once(task, problems, model):
    """The batch is full in every step until the queue is empty: no step does less than it could."""
    sizes = []
    model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    solutions = TRMSolver(model, task, halting=True, patience=0).solve(problems[:60], batch_size=8)
    steps = sum(s.steps for s in solutions)
    assert sum(sizes) == steps < 60 * 6
    last_full = max(i for i, size in enumerate(sizes) if size == 8)
    assert sizes[:last_full] == [8] * last_full
    assert len(sizes) - last_full <= 6


def test_progress_counts_problems_that_are_done(task, problems, model):
    done = []
    TRMSolver(model, task, halting=True, votes=3).solve(problems[:20], batch_size=8, on_progress=done.append)
    assert done == sorted(set(done))
    assert done[-1] == 20


def test_depth_beyond_training_is_the_model_run_on(task, problems, model):
    """64 steps of a model of 6: as the model itself, and an answer that stays is decoded once."""
    [solution] = TRMSolver(model, task, steps=64).solve(problems[:1])
    input_ids, carry, answers = task.encode(problems[:1])[0], None, []
    with torch.inference_mode():
        for _ in range(64):
            output = model(input_ids, carry)
            carry = output.carry
            answers.append(task.decode(problems[0], output.logits[0].argmax(-1)))
    assert [step.answer for step in solution.trajectory] == answers
    assert len(solution.step_flops) == 64
    assert solution.flops == pytest.approx(64 * pricing.supervision_step(model.config))
    evaluation = evaluate(TRMSolver(model, task, steps=64), task, problems[:5])
    assert [point.label for point in evaluation.scaling][-1] == "64 steps"
    [[attempt]] = TRMSolver(model, task, steps=64).roll_out(problems[:1])
    [rollout] = attempt.rollouts
    assert len(rollout.tokens) < 64, "rows that repeat the step before are kept once"
    assert answers == [task.decode(problems[0], row) for row in torch.from_numpy(every_row(rollout).astype(np.int64))]


def every_row(rollout):
    """The tokens after every step, also where they did not change."""
    return np.repeat(rollout.tokens, np.diff(np.append(rollout.changed, rollout.steps + 1)), axis=0)


def test_patience_waits_until_the_answer_stays(task, problems, trained):
    everything = TRMSolver(trained, task, steps=12).roll_out(problems[:60])
    means = []
    for patience in (0, 1, 2):
        halted = TRMSolver(trained, task, steps=12, halting=True, patience=patience).solve(problems[:60])
        for [attempt], short in zip(everything, halted, strict=True):
            [whole] = attempt.rollouts
            rows = every_row(whole)
            ends = [
                i + 1
                for i in range(patience, 12)
                if whole.halting_logits[i] > 0
                and all(np.array_equal(rows[i], rows[i - k]) for k in range(1, patience + 1))
            ]
            assert short.steps == (ends[0] if ends else 12)
        means.append(np.mean([s.steps for s in halted]))
    assert means[0] < means[1] < means[2]


def test_rollouts_are_cut_where_they_would_have_stopped():
    rollout = Rollout(
        np.array([-1, 2, 1, -3, 4], np.float32), np.array([1, 2, 4], np.int32), np.arange(6).reshape(3, 2)
    )
    assert rollout.stayed.tolist() == [0, 0, 1, 0, 1]
    assert [rollout.first_halt(patience) for patience in (0, 1, 2)] == [2, 3, None]
    short = rollout.stopped(3)
    assert (short.steps, short.changed.tolist(), short.tokens.tolist()) == (3, [1, 2], [[0, 1], [2, 3]])
    later = replace(rollout, halting_logits=np.array([-1, -1, -1, -1, 9], np.float32))
    assert highest_halting_logit([later.stopped(3), short]) == 1
    assert highest_halting_logit([rollout, later]) == 1


# --- trajectories -----------------------------------------------------------------------------------


def test_noise_belongs_to_seed_and_step_and_is_gaussian():
    noise = Noise(0.5, 4096, torch.device("cpu"))
    seeds = np.array([seed_of("p", 0, way) for way in range(4)], np.uint64)
    steps = np.array([3, 3, 3, 3], np.int32)
    drawn = noise(seeds, steps)
    assert not drawn[0].any(), "trajectory 0 is the model's own"
    assert torch.equal(noise(seeds[[2]], steps[:1])[0], drawn[2])
    assert len({tuple(row[:3].tolist()) for row in drawn}) == 4
    assert not torch.equal(noise(seeds, steps + 1)[1:], drawn[1:])
    assert drawn[1:].std().item() == pytest.approx(0.5, rel=0.03)
    assert drawn[1:].mean().item() == pytest.approx(0, abs=0.02)
    assert abs(np.corrcoef(drawn[1].numpy(), drawn[2].numpy())[0, 1]) < 0.06


def test_trajectory_0_is_what_one_trajectory_gives(task, problems, trained):
    alone = TRMSolver(trained, task).roll_out(problems[:20])
    several = TRMSolver(trained, task, trajectories=3).roll_out(problems[:20])
    for [one], [three] in zip(alone, several, strict=True):
        assert np.array_equal(one.rollouts[0].tokens, three.rollouts[0].tokens)
        assert one.rollouts[0].halting_logits == pytest.approx(three.rollouts[0].halting_logits, rel=1e-4, abs=1e-4)
        assert not np.allclose(three.rollouts[0].halting_logits, three.rollouts[1].halting_logits, atol=1e-3)


@pytest.mark.parametrize("halting", [False, True])
def test_the_trajectory_with_the_highest_halting_logit_counts_and_all_are_paid(task, problems, trained, halting):
    solver = TRMSolver(trained, task, trajectories=4, halting=halting)
    price = pricing.supervision_step(trained.config)
    for problem, [attempt], solution in zip(
        problems, solver.roll_out(problems[:30]), solver.solve(problems[:30]), strict=False
    ):
        last = [rollout.halting_logits[-1] for rollout in attempt.rollouts]
        best = attempt.rollouts[int(np.argmax(last))]
        assert solution.answer == task.decode(problem, torch.from_numpy(best.tokens[-1].astype(np.int64)))
        assert solution.steps == sum(r.steps for r in attempt.rollouts)
        assert solution.flops == pytest.approx(solution.steps * price)
        assert solution.step_flops[0] == pytest.approx(4 * price)
        everything = {task.decode(problem, torch.from_numpy(row.astype(np.int64))).text
                      for r in attempt.rollouts for row in r.tokens}  # fmt: skip
        assert {answer.text for answer in solution.seen} == everything


@pytest.mark.parametrize("patience", [0, 1])
def test_first_to_halt_is_the_full_rollouts_cut_short(task, problems, trained, patience):
    full = TRMSolver(trained, task, trajectories=3).roll_out(problems[:40])
    race = TRMSolver(trained, task, trajectories=3, select="first", patience=patience).roll_out(problems[:40], 6)
    for [whole], [raced] in zip(full, race, strict=True):
        sure = [step for r in whole.rollouts if (step := r.first_halt(patience)) is not None]
        end = min(sure, default=whole.rollouts[0].steps)
        expected = [rollout.stopped(end) for rollout in whole.rollouts]
        assert [r.steps for r in raced.rollouts] == [r.steps for r in expected]
        for a, b in zip(raced.rollouts, expected, strict=True):
            assert np.array_equal(a.tokens, b.tokens)
    assert min(raced.rollouts[0].steps for [raced] in race) < 6


def test_more_trajectories_than_places_still_start_together(task, problems, model):
    solver = TRMSolver(model, task, trajectories=5, select="first")
    same(solver.solve(problems[:6], batch_size=2), solver.solve(problems[:6], batch_size=64))


def test_the_oracle_sees_all_trajectories(task, trained):
    """And strong noise on a shallow recursion does harm: the oracle would not notice."""
    asked = task.generate("test", 200, 3)
    one, eight, loud = (
        evaluate(TRMSolver(trained, task, trajectories=k, noise=noise), task, asked)
        for k, noise in ((1, 0.1), (8, 0.1), (8, 1.0))
    )
    assert 0.05 < one.accuracy < 0.95, "half trained"
    assert eight.oracle >= one.oracle >= one.accuracy
    assert eight.accuracy > one.accuracy - 0.1
    assert loud.oracle > one.accuracy > loud.accuracy


def test_without_a_halting_head_nothing_can_choose(task):
    model = TRMForPuzzles(build(task, replace(OPTIONS, act="none")))
    with pytest.raises(UserError, match="no halting head to choose"):
        TRMSolver(model, task, trajectories=2)
    with pytest.raises(UserError, match="no halting head to choose"):
        replace(OPTIONS, act="none", trajectories=2)


@pytest.mark.parametrize(
    ("option", "value"), [("trajectories", 0), ("patience", -1), ("noise", 0.0), ("select", "best")]
)
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(UserError, match=option):
        replace(OPTIONS, **{option: value})


def test_bfloat16_answers_as_float32_nearly_always(task, trained):
    asked = task.generate("test", 100, 3)
    full, half = (TRMSolver(trained, task, bfloat16=b).solve(asked) for b in (False, True))
    assert np.mean([a.answer == b.answer for a, b in zip(full, half, strict=True)]) > 0.9
