"""PPO: advantages, returns and both losses written out from the papers in plain loops, against what the trainer has;
its value model in the price, in checkpoints and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from by_hand import TEMPERATURE, Seen, log_probabilities
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.training.budget import Budget
from benchmarks.training.saving import Checkpoints
from cot_distill.language_model import load_pretrained
from grpo.health import HealthSettings, health_checks
from grpo.options import GRPOOptions, ValueOptions
from grpo.ppo import VALUE, PPOTrainer, ValueModel, at_the_end, generalised_advantages
from reasoning_kit.commands.estimate import estimate_run
from reasoning_kit.config.spec import load_config

PPO = replace(SMALL, algorithm="ppo")
BETA, LOW, HIGH, GAMMA, LAMBDA, CLIP = 0.05, 0.02, 0.03, 0.9, 0.8, 0.01


def advantages_by_hand(rewards, values, gamma, gae_lambda):
    """Equation 16 as a sum over all that follows, of one completion."""
    values = [*values, 0.0]
    deltas = [r + gamma * values[t + 1] - values[t] for t, r in enumerate(rewards)]
    return [
        sum((gamma * gae_lambda) ** (later - t) * deltas[later] for later in range(t, len(deltas)))
        for t in range(len(deltas))
    ]


def test_advantages_of_padded_completions():
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    values = torch.randn(3, 5) * mask
    rewards = at_the_end(torch.tensor([1.0, 0.5, -2.0]), mask)
    assert rewards.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0.5], [-2, 0, 0, 0, 0]]
    found = generalised_advantages(rewards, values, 0.9, 0.8)
    for row, length in enumerate(mask.sum(1)):
        mine = advantages_by_hand(rewards[row, :length].tolist(), values[row, :length].tolist(), 0.9, 0.8)
        assert found[row, :length].tolist() == pytest.approx(mine, abs=1e-6)
        assert not found[row, length:].any()


def values_by_hand(model, batch):
    """One sequence at a time, without padding."""
    result = []
    for row in range(len(batch["prompt_ids"])):
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row] == 1]
        completion = batch["completion_ids"][row][batch["completion_mask"][row] == 1]
        hidden = model.body(input_ids=torch.cat([prompt, completion])[None]).last_hidden_state[0]
        outputs = hidden @ model.head.weight[0] + model.head.bias
        result.append([outputs[len(prompt) - 1 + t] for t in range(len(completion))])
    return result


def test_the_trainer_computes_what_the_papers_say(half_taught, problems, tmp_path, monkeypatch):
    """On the second use of the second batch: there the values are not zero, the policy is neither the start's nor the
    writer's, and the values have moved since the batch was written."""
    seen, judged = Seen(monkeypatch, PPOTrainer), []
    judge = PPOTrainer.judged

    def judging(trainer, batch, rewards):
        judged.append((dict(batch), rewards, judge(trainer, batch, rewards)))
        return judged[-1][-1]

    monkeypatch.setattr(PPOTrainer, "judged", judging)
    value = ValueOptions(3e-3, coefficient=0.7, gamma=GAMMA, gae_lambda=LAMBDA, clip=CLIP)
    options = replace(
        PPO, start=str(half_taught), batch_size=16, learning_rate=3e-3, beta=BETA, epsilon=LOW, epsilon_high=HIGH,
        temperature=TEMPERATURE, value=value, trainer={"num_iterations": 2},
    )  # fmt: skip
    run = train(TASK, problems, options, MODEL, Budget("steps", 4), 0, tmp_path)
    writer, _, *_ = seen.steps[2]
    weights, batch, loss, gradients, logged = seen.steps[3]
    reference = load_pretrained(str(half_taught))[0].eval()
    policy, value_model = load_pretrained(str(half_taught))[0].eval(), ValueModel(reference)

    whole, rewards, found = judged[1]
    policy.load_state_dict(writer)
    value_model.load_state_dict(seen.value_weights[2])
    with torch.no_grad():
        old, start = log_probabilities(policy, whole), log_probabilities(reference, whole)
        forecasts = [[float(v) for v in row] for row in values_by_hand(value_model, whole)]
    assert any(abs(v) > 0.01 for row in forecasts for v in row)
    assert set(rewards.tolist()) == {0.0, 1.0}
    mine, returns, divergences, followed = [], [], [], []
    for reward, new, was, values in zip(rewards.tolist(), old, start, forecasts, strict=True):
        gaps = [float(a - b) for a, b in zip(new, was, strict=True)]
        token_rewards = [-BETA * gap for gap in gaps]
        token_rewards[-1] += reward
        divergences += gaps
        mine.append(advantages_by_hand(token_rewards, values, GAMMA, LAMBDA))
        returns.append([a + v for a, v in zip(mine[-1], values, strict=True)])
        followed += [sum(GAMMA ** (i - t) * r for i, r in enumerate(token_rewards) if i >= t) for t in range(len(gaps))]
    every = torch.tensor([a for row in mine for a in row])
    mean, deviation = every.mean(), every.std(correction=0)
    for row, (advantages, gains, values) in enumerate(zip(mine, returns, forecasts, strict=True)):
        length = len(advantages)
        assert found["values"][row, :length].tolist() == pytest.approx(values, abs=1e-5)
        assert found["returns"][row, :length].tolist() == pytest.approx(gains, abs=1e-4)
        white = [float((a - mean) / deviation) for a in advantages]
        assert found["advantages"][row, :length].tolist() == pytest.approx(white, abs=1e-3)
        assert not found["advantages"][row, length:].any()
    assert run.steps[2]["kl"] == pytest.approx(sum(divergences) / len(divergences), abs=1e-5)
    knew = torch.tensor([v for row in forecasts for v in row])
    explained = 1 - (torch.tensor(followed) - knew).var() / torch.tensor(followed).var()
    assert run.steps[2]["value/explained"] == pytest.approx(float(explained), abs=1e-4)

    # The losses, on the shuffled batch.
    with torch.no_grad():
        old = log_probabilities(policy, batch)
    policy.load_state_dict(weights)
    value_model.load_state_dict(seen.value_weights[3])
    terms, errors, moved = [], [], 0
    new, values = log_probabilities(policy, batch), values_by_hand(value_model, batch)
    for row, (now, was, forecast) in enumerate(zip(new, old, values, strict=True)):
        for t, (a, b, v) in enumerate(zip(now, was, forecast, strict=True)):
            ratio, advantage = torch.exp(a - b), batch["advantages"][row, t]
            terms.append(-torch.minimum(ratio * advantage, ratio.clamp(1 - LOW, 1 + HIGH) * advantage))
            before, gain = batch["values"][row, t], batch["returns"][row, t]
            near = before + (v - before).clamp(-CLIP, CLIP)
            moved += bool((near - gain) ** 2 > (v - gain) ** 2)
            errors.append(torch.maximum((v - gain) ** 2, (near - gain) ** 2) / 2)
    assert moved > 0, "the clipping acts"
    policy_loss, value_loss = sum(terms) / len(terms), sum(errors) / len(errors)
    assert logged["policy_loss"] == pytest.approx(policy_loss.item(), rel=1e-3, abs=1e-5)
    assert logged["value/loss"] == pytest.approx(value_loss.item(), rel=1e-3)
    assert loss == pytest.approx((policy_loss + 0.7 * value_loss).item(), rel=1e-3, abs=1e-5)
    policy_loss.backward()
    (0.7 * value_loss).backward()
    by_name = dict(policy.named_parameters()) | {f"value.{n}": p for n, p in value_model.named_parameters()}
    assert by_name.keys() == gradients.keys()
    for name, parameter in by_name.items():
        assert (parameter.grad - gradients[name]).abs().max() < 1e-3 * parameter.grad.abs().max() + 1e-7, name


@pytest.fixture(scope="module")
def learned(half_taught, problems, tmp_path_factory):
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        seen = Seen(patch, PPOTrainer)
        options = GRPOOptions(algorithm="ppo", start=str(half_taught), learning_rate=5e-4, warmup_steps=2, held_out=0)
        run = train(TASK, problems, options, MODEL, Budget("steps", 40), 0, tmp_path_factory.mktemp("ppo"))
    return run, seen


def test_the_reward_rises(learned):
    rewards = [entry["reward"] for entry in learned[0].history]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.08


def test_every_parameter_of_both_models_moves(learned, half_taught):
    run, seen = learned
    start = load_pretrained(str(half_taught))[0]
    before = dict(start.named_parameters())
    for name, parameter in run.model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
    assert run.model.state_dict().keys() == start.state_dict().keys(), "the policy alone is handed on"
    fresh = dict(ValueModel(start).named_parameters())
    assert fresh["head.weight"].count_nonzero() == fresh["head.bias"].count_nonzero() == 0
    for name, parameter in seen.trainer.value_model.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, fresh[name]), name


def test_the_value_model_learns(learned):
    history = learned[0].history
    assert history[0]["value/mean"] == 0
    assert history[-1]["value/mean"] == pytest.approx(history[-1]["reward"], abs=0.15)
    losses = [entry["value/loss"] for entry in history]
    assert sum(losses[-5:]) < sum(losses[:5])
    assert all(entry["groups/no_signal"] == 0 for entry in history), "no group decides what teaches"


def test_its_gradient_is_clipped_by_itself_and_does_not_pile_up(half_taught, problems, tmp_path, monkeypatch):
    """The policy's step is that of a run whose value model learns nothing."""
    seen = Seen(monkeypatch, PPOTrainer)
    options = replace(PPO, start=str(half_taught), value=ValueOptions(coefficient=100.0), max_grad_norm=0.5)
    run = train(TASK, problems, options, MODEL, Budget("steps", 3), 0, tmp_path)
    for (*_, gradients, _), entry in zip(seen.steps, run.history, strict=True):
        of_policy = [g for name, g in gradients.items() if not name.startswith("value.")]
        of_value = [g for name, g in gradients.items() if name.startswith("value.")]
        for mine, logged in ((of_policy, "grad_norm"), (of_value, "value/grad_norm")):
            norm = torch.stack([g.norm() for g in mine]).norm().item()
            assert entry[logged] == pytest.approx(norm, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_both_models_are_paid_for(half_taught, problems, tmp_path, monkeypatch, beta):
    seen, written = Seen(monkeypatch, PPOTrainer), []
    charge = PPOTrainer.charge_generation

    def charged(trainer, prompt, completions):
        written.append((len(completions), prompt, max(map(len, completions))))
        return charge(trainer, prompt, completions)

    monkeypatch.setattr(PPOTrainer, "charge_generation", charged)
    run = train(TASK, problems, replace(PPO, start=str(half_taught), beta=beta), MODEL, Budget("steps", 3), 0, tmp_path)
    shape = CausalLMShape.of(run.model.config)
    body = replace(shape, vocabulary=1)
    flops = sum(shape.generation(*each) for each in written)
    for _, batch, *_ in seen.steps:
        size = 8, batch["prompt_ids"].shape[1] + batch["completion_ids"].shape[1]
        flops += shape.training_step(*size) + body.training_step(*size) + body.forward(*size)
        flops += 2 * shape.forward(*size) if beta else 0  # log-probabilities of the writer and of the reference
    assert run.meter.spent.flops == pytest.approx(flops)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_a_resumed_run_equals_the_undisturbed_one(half_taught, problems, tmp_path, monkeypatch, beta):
    options = replace(PPO, start=str(half_taught), beta=beta, learning_rate=3e-3)
    seen = Seen(monkeypatch, PPOTrainer)

    def run(folder, steps):
        saving = Checkpoints(1e-9, True, print, lambda spent: None)
        result = train(TASK, problems, options, MODEL, Budget("steps", steps), 0, tmp_path / folder, checkpoints=saving)
        return result, seen.trainer.value_model.state_dict()

    whole, its_value = run("whole", 6)
    run("stopped", 3)
    assert (tmp_path / "stopped" / "checkpoint-3" / VALUE).exists()
    resumed, value = run("stopped", 6)
    told = ("reward", "loss", "value/loss", "value/mean", "grad_norm", "value/grad_norm")
    assert [[entry[key] for key in told] for entry in resumed.history] == [
        [entry[key] for key in told] for entry in whole.history
    ]
    assert resumed.meter.spent.to_dict() | {"seconds": 0} == whole.meter.spent.to_dict() | {"seconds": 0}
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    for name, tensor in its_value.items():
        assert torch.equal(tensor, value[name]), name
    again, _ = run("stopped", 6)
    assert again.memory["value"]["optimizer"] is None, "nothing was left to train"
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_what_each_algorithm_holds_in_memory(half_taught, problems, tmp_path):
    """Four numbers of four bytes for every weight that AdamW trains (and a count of steps for each tensor), one for
    every weight of the reference."""

    def memory(**options):
        run = train(TASK, problems, replace(SMALL, start=str(half_taught), **options), MODEL, Budget("steps", 1), 0,
                    tmp_path)  # fmt: skip
        return run.model, run.memory

    model, held = memory()
    weights = sum(p.numel() for p in model.parameters())
    tensors = len(list(model.parameters()))
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    policy = {"weights": 4 * weights + buffers, "gradients": 4 * weights, "optimizer": 8 * weights + 4 * tensors}
    assert held == {"policy": policy}
    assert memory(algorithm="rloo")[1] == {"policy": policy}
    reference = {"weights": policy["weights"], "gradients": 0, "optimizer": 0}
    assert memory(beta=0.1)[1] == {"policy": policy, "reference": reference}
    held = memory(algorithm="ppo", beta=0.1)[1]
    head = model.config.vocab_size * model.config.hidden_size if not model.config.tie_word_embeddings else 0
    values = weights - head + model.config.hidden_size + 1
    assert held["policy"] == policy
    assert held["reference"] == reference
    assert held["value"]["weights"] == 4 * values + buffers
    assert held["value"]["gradients"] == 4 * values


def test_a_value_model_that_explains_nothing_is_told():
    def history_of(explained):
        rows = [{"accuracy": 0.5, "groups/drawn": 4, "groups/no_signal": 0, "groups/all_right": 1,
                 "groups/all_wrong": 1, "value/explained": explained, "entropy": 1.0}] * 10  # fmt: skip
        return [finding for finding in health_checks(rows, HealthSettings(algorithm="ppo")) if finding.name == "value"]

    assert history_of(0.1) == []
    (finding,) = history_of(-0.05)
    assert "explains nothing" in finding.text
    assert "-5 %" in finding.text
    assert "value.learning_rate" in finding.text


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"algorithm": "ppo", "scale_rewards": "none"}, "scale_rewards"),
        ({"algorithm": "ppo", "loss_type": "cispo"}, "loss_type"),
        ({"algorithm": "ppo", "resample": 1}, "resample"),
        ({"value": ValueOptions(gamma=0.9)}, "value"),
    ],
    ids=str,
)
def test_options_that_do_not_apply_are_refused(options, where):
    with pytest.raises(UserError, match="does not use") as caught:
        GRPOOptions(**options)
    assert caught.value.where == f"method.grpo.{where}"


@pytest.mark.parametrize(
    "options", [{"gamma": 1.5}, {"gae_lambda": -0.1}, {"clip": 0.0}, {"coefficient": -1.0}], ids=str
)
def test_impossible_values_are_refused(options):
    with pytest.raises(UserError, match="Give") as caught:
        ValueOptions(**options)
    assert caught.value.where == f"method.grpo.value.{next(iter(options))}"


def test_an_estimate_pays_for_the_value_model_and_the_reference():
    words = ["task=multiplication-2x2", "train_size=40", "test_size=10", "budget.unit=steps", "budget.limit=10"]
    rows = {
        run.method: estimate_run(run, probe=False)
        for run in load_config([*words, "method=[grpo,grpo_kl,rloo,ppo]"]).runs()
    }
    cost = {name: row.flops_per_step for name, row in rows.items()}
    assert cost["grpo"] < cost["grpo_kl"] == cost["rloo"] < cost["ppo"]
    held = {name: row.state_bytes / rows["grpo"].parameters / 4 for name, row in rows.items()}
    assert held == {"grpo": 4, "grpo_kl": 5, "rloo": 4, "ppo": 8}


def test_adapters_are_refused_before_anything_trains(problems, tmp_path):
    model = ModelOptions(width=32, layers=1, heads=2, key_value_heads=2, inner=64, lora_rank=2)
    with pytest.raises(UserError, match="every weight") as caught:
        train(TASK, problems, PPO, model, Budget("steps", 4), 0, tmp_path / "run")
    assert caught.value.where == "model.lora_rank"
    assert not (tmp_path / "run").exists()
