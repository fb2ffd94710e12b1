"""Advantage, ratio, clipped loss, KL divergence and their gradient, written out from the papers and summed token by
token in plain loops, against what the trainer computes on the second use of a batch, when policy and writer differ."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from by_hand import TEMPERATURE, Seen, log_probabilities
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.training.budget import Budget
from cot_distill.language_model import load_pretrained
from grpo.options import LOSSES

BETA, LOW, HIGH, LONGEST = 0.3, 0.02, 0.03, 14


def advantages_by_hand(rewards, size, scale):
    result = []
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        mean = sum(group) / size
        deviation = math.sqrt(sum((r - mean) ** 2 for r in group) / (size - 1))
        result += [(r - mean) / (deviation + 1e-4) if scale == "group" else r - mean for r in group]
    return result


def loss_by_hand(new, old, reference, advantages, loss_type, level, corrected, high):
    """The loss, the mean divergence, and the share of ratios that are clipped."""
    terms, divergences, clipped = [], [], []
    for lp, was, start, advantage in zip(new, old, reference, advantages, strict=True):
        ratios = [torch.exp(a - b) for a, b in zip(lp, was, strict=True)]
        if level == "sequence":
            whole = torch.exp(sum(a - b for a, b in zip(lp, was, strict=True)) / len(lp))
            ratios = [whole] * len(lp)
        row = []
        for now, reference_lp, ratio in zip(lp, start, ratios, strict=True):
            if loss_type == "cispo":
                gain = ratio.detach().clamp(max=high) * advantage * now
            else:
                gain = torch.minimum(ratio * advantage, ratio.clamp(1 - LOW, 1 + high) * advantage)
            gap = reference_lp - now
            divergence = torch.exp(gap) - gap - 1
            if corrected:
                divergence = divergence * ratio
            row.append(-gain + BETA * divergence)
            divergences.append(divergence.item())
        outside = [(r < 1 - LOW and advantage < 0) or (r > 1 + high and advantage > 0) for r in ratios]
        clipped += outside[:1] if level == "sequence" else outside
        terms.append(row)
    tokens = sum(len(row) for row in terms)
    total = sum(sum(row) for row in terms)
    if loss_type == "grpo":
        loss = sum(sum(row) / len(row) for row in terms) / len(terms)
    elif loss_type == "dr_grpo":
        loss = total / (len(terms) * LONGEST)
    elif loss_type == "luspo":
        loss = total / len(terms)
    else:
        loss = total / tokens
    return loss, sum(divergences) / tokens, sum(map(float, clipped)) / len(clipped)


@pytest.mark.parametrize(
    ("loss_type", "level", "scale", "estimator"),
    [
        ("grpo", "token", "group", "k3"),
        ("dr_grpo", "token", "none", "k3_corrected"),
        ("dapo", "token", "group", "k3_corrected"),
        ("bnpo", "token", "group", "k3"),
        ("grpo", "sequence", "group", "k3"),  # GSPO
        ("dapo", "sequence", "group", "k3_corrected"),
        ("luspo", "sequence", "group", "k3"),
        ("cispo", "token", "group", "k3"),
    ],
)
def test_the_trainer_computes_what_the_papers_say(
    half_taught, problems, tmp_path, monkeypatch, loss_type, level, scale, estimator
):
    seen = Seen(monkeypatch)
    high = 1.01 if loss_type == "cispo" else HIGH
    options = replace(
        SMALL, start=str(half_taught), batch_size=16, learning_rate=3e-3, beta=BETA, epsilon=LOW, epsilon_high=high,
        loss_type=loss_type, importance_sampling_level=level, scale_rewards=scale, kl_estimator=estimator,
        temperature=TEMPERATURE, max_new_tokens=LONGEST, trainer={"num_iterations": 2},
    )  # fmt: skip
    steps = train(TASK, problems, options, MODEL, Budget("steps", 2), 0, tmp_path).steps
    model = load_pretrained(str(half_taught))[0].eval()
    (_, first, *_), (weights, batch, loss, gradients, logged) = seen.steps
    assert len(set(batch["completion_mask"].sum(1).tolist())) > 1, "completions of different lengths"

    rewards = seen.rewards[0][:, 0].tolist()
    assert set(rewards) == {0.0, 1.0}
    mine = advantages_by_hand(rewards, 4, scale)
    assert sorted(mine) == pytest.approx(sorted(batch["advantages"].tolist()), abs=1e-5)  # TRL shuffles the batch

    with torch.no_grad():
        start = log_probabilities(model, batch)  # of the reference, which also wrote the completions
    for theirs, mine in zip(batch["ref_per_token_logps"], start, strict=True):
        assert theirs[: len(mine)].tolist() == pytest.approx([float(x) for x in mine], abs=1e-4)
    assert torch.equal(first["completion_ids"], batch["completion_ids"])
    model.load_state_dict(weights)
    new = log_probabilities(model, batch)
    expected, divergence, clipped = loss_by_hand(
        new, start, start, batch["advantages"].tolist(), loss_type, level, estimator == "k3_corrected", high
    )
    assert loss == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    expected.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad - gradients[name]).abs().max() < 1e-4 * parameter.grad.abs().max(), name
    assert logged["kl"] == pytest.approx(divergence, rel=1e-3, abs=1e-7)
    assert divergence > 1e-6
    if loss_type != "cispo":
        assert logged["clip_ratio/region_mean"] == pytest.approx(clipped, abs=1e-6)
        assert clipped > 0
    assert steps[1]["kl"] == pytest.approx(logged["kl"])


@pytest.mark.parametrize("loss_type", LOSSES)
def test_every_loss_trains(half_taught, problems, tmp_path, loss_type):
    level = "sequence" if loss_type == "luspo" else "token"
    options = replace(SMALL, start=str(half_taught), loss_type=loss_type, importance_sampling_level=level)
    trained = train(TASK, problems, options, MODEL, Budget("steps", 3), 0, tmp_path)
    before = dict(load_pretrained(str(half_taught))[0].named_parameters())
    assert any(not torch.equal(p, before[name]) for name, p in trained.model.named_parameters())
    assert all(math.isfinite(entry["loss"]) and math.isfinite(entry["grad_norm"]) for entry in trained.history)


def test_the_ratio_of_cispo_may_exceed_one():
    """Its epsilon_high bounds the ratio itself: 0.28, right for the others, would scale every gradient by 0.28."""
    assert replace(SMALL, loss_type="cispo").high == 5.0
    assert SMALL.high == 0.28
    assert replace(SMALL, loss_type="cispo", epsilon_high=2.0).high == 2.0
