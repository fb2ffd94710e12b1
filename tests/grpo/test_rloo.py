"""RLOO and REINFORCE: advantages and losses written out from the papers, and that the rows really train."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from by_hand import TEMPERATURE, Seen, log_probabilities
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.training.budget import Budget
from benchmarks.training.saving import Checkpoints
from cot_distill.language_model import load_pretrained
from grpo.options import GRPOOptions
from grpo.trainer import PricedRLOOTrainer, ReinforceTrainer

BETA, LOW, HIGH = 0.05, 0.02, 0.03
RLOO = replace(SMALL, algorithm="rloo")


def test_a_completion_is_compared_with_the_others_of_its_group(half_taught, problems, tmp_path, monkeypatch):
    """Leave-one-out advantage, one clipped ratio per completion, the KL penalty inside the reward; on the second use of
    a batch, when policy and writer differ. The first batch changes the policy, so that there is a divergence."""
    seen, unshuffled = Seen(monkeypatch, PricedRLOOTrainer), []
    score = PricedRLOOTrainer._generate_and_score_completions

    def scored(trainer, inputs):
        unshuffled.append(score(trainer, inputs))
        return unshuffled[-1]

    monkeypatch.setattr(PricedRLOOTrainer, "_generate_and_score_completions", scored)
    options = replace(
        RLOO, start=str(half_taught), batch_size=16, learning_rate=3e-3, beta=BETA, epsilon=LOW, epsilon_high=HIGH,
        temperature=TEMPERATURE, trainer={"num_iterations": 2},
    )  # fmt: skip
    run = train(TASK, problems, options, MODEL, Budget("steps", 4), 0, tmp_path)
    writer, _, *_ = seen.steps[2]
    weights, batch, loss, gradients, logged = seen.steps[3]
    reference = load_pretrained(str(half_taught))[0].eval()
    policy = load_pretrained(str(half_taught))[0].eval()
    policy.load_state_dict(writer)

    whole = unshuffled[1]
    with torch.no_grad():
        written = [sum(row) for row in log_probabilities(policy, whole)]
        start = [sum(row) for row in log_probabilities(reference, whole)]
    rewards = [
        reward - BETA * float(new - old)
        for reward, new, old in zip(seen.rewards[1][:, 0].tolist(), written, start, strict=True)
    ]
    expected = []
    for at in range(0, 16, 4):
        group = rewards[at : at + 4]
        expected += [r - (sum(group) - r) / 3 for r in group]
    assert whole["advantages"].tolist() == pytest.approx(expected, abs=1e-4)
    assert any(abs(a) > 0.3 for a in expected)
    tokens = int(whole["completion_mask"].sum())
    divergence = float(sum(written) - sum(start)) / tokens
    assert run.steps[2]["kl"] == pytest.approx(divergence, abs=1e-5)
    assert abs(divergence) > 1e-4

    with torch.no_grad():
        old = [sum(row) for row in log_probabilities(policy, batch)]
    policy.load_state_dict(weights)
    new = [sum(row) for row in log_probabilities(policy, batch)]
    terms, clipped = [], []
    for now, was, advantage in zip(new, old, batch["advantages"].tolist(), strict=True):
        ratio = torch.exp(now - was)
        terms.append(-torch.minimum(ratio * advantage, ratio.clamp(1 - LOW, 1 + HIGH) * advantage))
        clipped.append((ratio < 1 - LOW and advantage < 0) or (ratio > 1 + HIGH and advantage > 0))
    mine = sum(terms) / 16
    assert loss == pytest.approx(mine.item(), rel=1e-3, abs=1e-5)
    mine.backward()
    for name, parameter in policy.named_parameters():
        assert (parameter.grad - gradients[name]).abs().max() < 1e-3 * parameter.grad.abs().max(), name
    assert logged["clip_ratio/region_mean"] == pytest.approx(sum(map(float, clipped)) / 16)
    assert any(clipped)


def test_without_a_baseline_the_advantage_is_the_reward(half_taught, problems, tmp_path, monkeypatch):
    seen = Seen(monkeypatch, ReinforceTrainer)
    options = replace(
        SMALL, algorithm="reinforce", start=str(half_taught), batch_size=16, temperature=TEMPERATURE,
        rewards={"format": 0.25},
    )  # fmt: skip
    train(TASK, problems, options, MODEL, Budget("steps", 1), 0, tmp_path)
    weights, batch, loss, gradients, _ = seen.steps[0]
    worth = (seen.rewards[0] * torch.tensor([1.0, 0.25])).sum(1)
    assert sorted(batch["advantages"].tolist()) == pytest.approx(sorted(worth.tolist()))
    model = load_pretrained(str(half_taught))[0].eval()
    model.load_state_dict(weights)
    rows = log_probabilities(model, batch)
    score = sum(sum(row) * a for row, a in zip(rows, batch["advantages"].tolist(), strict=True))
    score = -score / sum(map(len, rows))
    score.backward()  # the likelihood's gradient, weighted; its value is another than the ratio's
    for name, parameter in model.named_parameters():
        assert (parameter.grad - gradients[name]).abs().max() < 1e-4 * parameter.grad.abs().max(), name
    assert loss == pytest.approx(
        -float((batch["advantages"][:, None] * batch["completion_mask"]).sum()) / sum(map(len, rows))
    )


@pytest.mark.parametrize("algorithm", ["rloo", "reinforce"])
def test_the_reward_rises_and_every_parameter_moves(half_taught, problems, tmp_path, algorithm):
    """Two seeds rose by 0.22 to 0.27 when this was written."""
    options = GRPOOptions(algorithm=algorithm, start=str(half_taught), learning_rate=1e-3, warmup_steps=2, held_out=0)
    run = train(TASK, problems, options, MODEL, Budget("steps", 30), 0, tmp_path)
    rewards = [entry["reward"] for entry in run.history]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.08
    before = dict(load_pretrained(str(half_taught))[0].named_parameters())
    for name, parameter in run.model.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]), name
    assert run.diagnosis.summary.startswith("Accuracy while training went from")
    assert run.memory.keys() == {"policy"}


def test_the_passes_of_rloo_are_paid_for_and_groups_resampled(half_taught, problems, tmp_path, monkeypatch):
    seen, written = Seen(monkeypatch, PricedRLOOTrainer), []
    charge = PricedRLOOTrainer.charge_generation

    def charged(trainer, prompt, completions):
        written.append((len(completions), prompt, max(map(len, completions))))
        return charge(trainer, prompt, completions)

    monkeypatch.setattr(PricedRLOOTrainer, "charge_generation", charged)
    options = replace(RLOO, start=str(half_taught), batch_size=16, resample=20)
    run = train(TASK, problems, options, MODEL, Budget("steps", 4), 0, tmp_path)
    assert sum(entry["groups/skipped"] for entry in run.history) > 0
    assert all(entry["frac_reward_zero_std"] == 0 for entry in run.history)
    shape = CausalLMShape.of(run.model.config)
    flops = sum(shape.generation(*each) for each in written)
    for _, batch, *_ in seen.steps:
        size = 16, batch["prompt_ids"].shape[1] + batch["completion_ids"].shape[1]
        flops += shape.training_step(*size) + shape.forward(*size)  # and the writer's log-probabilities
    assert run.meter.spent.flops == pytest.approx(flops)


def test_groups_that_teach_nothing_without_a_baseline_are_those_that_are_all_wrong(half_taught, problems, tmp_path):
    options = replace(SMALL, algorithm="reinforce", start=str(half_taught), batch_size=32)
    run = train(TASK, problems, options, MODEL, Budget("steps", 4), 0, tmp_path)
    assert sum(entry["groups/all_right"] for entry in run.history) > 0
    for entry in run.history:
        assert entry["groups/no_signal"] == entry["groups/all_wrong"]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["rloo", "reinforce"])
def test_a_run_goes_on_where_it_stopped(half_taught, problems, tmp_path, algorithm):
    options = replace(SMALL, algorithm=algorithm, start=str(half_taught), beta=0.05)

    def run(folder, steps):
        saving = Checkpoints(1e-9, True, print, lambda spent: None)
        return train(TASK, problems, options, MODEL, Budget("steps", steps), 0, tmp_path / folder, checkpoints=saving)

    whole = run("whole", 5)
    run("stopped", 3)
    resumed = run("stopped", 5)
    assert [entry["reward"] for entry in resumed.history] == [entry["reward"] for entry in whole.history]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("options", "where", "cure"),
    [
        ({"algorithm": "rlo"}, "algorithm", "Did you mean 'rloo'"),
        (
            {"algorithm": "rloo", "loss_type": "grpo"},
            "loss_type",
            "method.NAME.loss_type=dapo), or take algorithm=grpo.",
        ),
        ({"algorithm": "rloo", "importance_sampling_level": "sequence"}, "importance_sampling_level", "at token"),
        ({"algorithm": "rloo", "scale_rewards": "none"}, "scale_rewards", "algorithm=grpo"),
        ({"algorithm": "rloo", "kl_estimator": "k3"}, "kl_estimator", "algorithm=grpo or reinforce"),
        ({"algorithm": "reinforce", "resample": 3}, "resample", "algorithm=grpo or rloo"),
    ],
    ids=str,
)
def test_what_an_algorithm_does_not_use_is_refused(options, where, cure):
    with pytest.raises(UserError) as caught:
        GRPOOptions(**options)
    assert caught.value.where == f"method.grpo.{where}"
    assert cure in caught.value.cure


def test_an_option_of_trls_other_trainer_is_refused(half_taught, problems, tmp_path):
    options = replace(RLOO, start=str(half_taught), trainer={"top_entropy_quantile": 0.5})
    with pytest.raises(UserError, match="RLOOConfig has no option 'top_entropy_quantile'"):
        train(TASK, problems, options, MODEL, Budget("steps", 1), 0, tmp_path)
