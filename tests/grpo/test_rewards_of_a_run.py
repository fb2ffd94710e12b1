"""Rewards beside the verifier: each under its own name, accuracy from the verifier alone, failures counted and kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.errors import UserError
from benchmarks.text_form import read_completion
from benchmarks.training.budget import Budget
from grpo.options import GRPOOptions

OWN = """
import math

def odd(completions, **columns):
    return [float(len(text) % 2) for text in completions]

def raises(completions, **columns):
    raise RuntimeError("no such luck")

def some_nan(completions, completion_ids, question, **columns):
    return [math.nan if len(ids) > 12 else 0.5 for ids in completion_ids]

def too_few(completions, **columns):
    return [0.0] * (len(completions) - 1)

def no_number(completions, **columns):
    return ["much"] * len(completions)

def not_for_all(completions, **columns):
    return [None] * len(completions)

async def later(completions, **columns):
    return [0.0] * len(completions)
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return lambda name: f"{path}:{name}"


def trained(start, problems, folder, steps=3, **options):
    return train(
        TASK, problems, replace(SMALL, start=str(start), **options), MODEL, Budget("steps", steps), 0, folder / "run"
    )


def test_every_reward_is_logged_by_its_name_and_accuracy_is_the_verifiers(half_taught, problems, own, tmp_path):
    weights = {"format": 0.25, "length": 0.5, "score": 0.125, own("odd"): 2.0}
    history = trained(half_taught, problems, tmp_path, rewards=weights).history
    names = ["correct", *(name.rpartition(":")[2] for name in weights)]
    for entry in history:
        means = [entry[f"rewards/{name}/mean"] for name in names]
        expected = sum(w * mean for w, mean in zip([1.0, *weights.values()], means, strict=True))
        assert entry["reward"] == pytest.approx(expected, abs=1e-5)
        assert entry["accuracy"] == pytest.approx(entry["rewards/correct/mean"])
        assert entry["reward"] > entry["accuracy"]
        assert -1 <= entry["rewards/length/mean"] <= 0
        assert entry["rewards/format/mean"] >= entry["rewards/correct/mean"]
        assert not any(key.startswith("failures/") for key in entry)


def test_rewards_outweigh_the_verifier_where_they_are_told_to(half_taught, problems, own, tmp_path):
    """An advantage is made of all of them: without a weight the odd texts would gain nothing."""
    options = {"rewards": {own("odd"): 10.0}, "batch_size": 64, "num_generations": 8, "learning_rate": 3e-3}
    history = trained(half_taught, problems, tmp_path, 25, **options).history
    assert history[-1]["rewards/odd/mean"] > history[0]["rewards/odd/mean"] + 0.1


@pytest.mark.parametrize("name", ["raises", "too_few", "no_number"])
def test_a_reward_that_always_fails_is_counted_and_worth_nothing(half_taught, problems, own, tmp_path, name):
    run = trained(half_taught, problems, tmp_path, rewards={own(name): 5.0})
    assert [entry[f"failures/{name}"] for entry in run.history] == [8, 8, 8]
    for entry in run.history:
        assert entry[f"rewards/{name}/mean"] == 0
        assert entry["reward"] == pytest.approx(entry["accuracy"], abs=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "run" / "reward-failures.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0] * 8 + [1] * 8 + [2] * 8
    asked = {problem.id: problem.question for problem in problems}
    for line in lines:
        assert line["reward"] == name
        assert line["prompts"] == f"{asked[line['id']]}=<think>"
        assert isinstance(line["completion"], str)
    assert any(f"'{name}' failed on 24 completions" in text for text in run.diagnosis.lines)


def test_only_the_completions_that_it_fails_on_are_failures(half_taught, problems, own, tmp_path):
    run = trained(half_taught, problems, tmp_path, rewards={own("some_nan"): 1.0})
    failed = sum(entry.get("failures/some_nan", 0) for entry in run.history)
    assert 0 < failed < 24
    values = [8 * entry["rewards/some_nan/mean"] for entry in run.history]
    assert sum(values) == pytest.approx(0.5 * (24 - failed), abs=1e-5)


def test_a_verifier_that_raises_does_not_stop_training(half_taught, problems, tmp_path, monkeypatch):
    verify, calls = type(TASK).verify, []

    def fragile(self, problem, answer):
        calls.append(problem)
        if len(calls) % 5 == 0:
            raise KeyError("odd text")
        return verify(self, problem, answer)

    monkeypatch.setattr(type(TASK), "verify", fragile)
    run = trained(half_taught, problems, tmp_path)
    assert sum(entry.get("failures/correct", 0) for entry in run.history) > 0
    assert all(0 <= entry["accuracy"] <= 1 for entry in run.history)


def test_a_reward_that_does_not_apply_is_no_failure(half_taught, problems, own, tmp_path):
    run = trained(half_taught, problems, tmp_path, rewards={own("not_for_all"): 1.0})
    for entry in run.history:
        assert "failures/not_for_all" not in entry
        assert entry["reward"] == pytest.approx(entry["accuracy"], abs=1e-6)


def test_what_the_verifier_accepts_is_what_counts_as_right(half_taught, problems, tmp_path, monkeypatch):
    """The lengths of right and wrong completions, counted again from the texts."""
    from grpo.train import PricedGRPOTrainer

    seen = []
    judge = PricedGRPOTrainer._calculate_rewards

    def judged(trainer, rows, prompts, completions, ids):
        seen.append((rows, completions, ids))
        return judge(trainer, rows, prompts, completions, ids)

    monkeypatch.setattr(PricedGRPOTrainer, "_calculate_rewards", judged)
    history = trained(half_taught, problems, tmp_path).history
    known = {problem.id: problem for problem in problems}
    for entry, (rows, completions, ids) in zip(history, seen, strict=True):
        right = [
            TASK.verify(known[row["id"]], read_completion(TASK, known[row["id"]], text, "cot")).correct
            for row, text in zip(rows, completions, strict=True)
        ]
        for name, wanted in (("length/right", True), ("length/wrong", False)):
            lengths = [len(i) for i, is_right in zip(ids, right, strict=True) if is_right is wanted]
            assert entry.get(name) == (pytest.approx(sum(lengths) / len(lengths)) if lengths else None)
        groups = [right[:4], right[4:]]
        assert entry["groups/drawn"] == 2
        assert entry["groups/all_right"] == sum(map(all, groups))
        assert entry["groups/all_wrong"] == sum(not any(group) for group in groups)
        assert entry["groups/no_signal"] == entry["groups/all_right"] + entry["groups/all_wrong"]
        assert entry["groups/no_signal"] / 2 == pytest.approx(entry["frac_reward_zero_std"])


@pytest.mark.parametrize(
    ("options", "where", "cure"),
    [
        ({"rewards": {"formt": 1.0}}, "rewards.formt", "Did you mean 'format'"),
        ({"rewards": {"correct": 1.0}}, "rewards.correct", "Leave it out"),
        ({"rewards": {"format": 0.0}}, "rewards.format", "other than 0"),
        ({"rewards": {"format": float("nan")}}, "rewards.format", "other than 0"),
        ({"loss_type": "dappo"}, "loss_type", "Did you mean 'dapo'"),
        ({"kl_estimator": "k1"}, "kl_estimator", "Did you mean 'k3'"),
        ({"importance_sampling_level": "sequences"}, "importance_sampling_level", "Did you mean 'sequence'"),
        ({"loss_type": "luspo"}, "importance_sampling_level", "Give sequence"),
        ({"curriculum": "weights"}, "curriculum", "Did you mean 'weight'"),
        ({"resample": -1}, "resample", "0 or more"),
        ({"held_out_samples": 0}, "held_out_samples", "1 or more"),
        ({"trainer": {"loss_type": "grpo"}}, "trainer", "method.grpo.loss_type"),
        ({"trainer": {"use_bias_correction_kl": False}}, "trainer", "method.grpo.kl_estimator"),
    ],
    ids=str,
)
def test_wrong_options_are_user_errors_before_anything_loads(options, where, cure):
    with pytest.raises(UserError) as caught:
        GRPOOptions(**options)
    assert caught.value.where == f"method.grpo.{where}"
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("nowhere.py:f", "path/to/file.py:function"),
        ("json:dumpz", "Did you mean 'dump'"),
        ("later", "without async"),
        ("odds", "Did you mean 'odd'"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_before_the_start_is_trained(problems, own, tmp_path, name, cure):
    name = name if ":" in name else own(name)
    with pytest.raises(UserError) as caught:
        train(TASK, problems, replace(SMALL, rewards={name: 1.0}), MODEL, Budget("steps", 4), 0, tmp_path / "run")
    assert caught.value.where == f"method.grpo.rewards.{name}"
    assert cure in caught.value.cure
    assert not (tmp_path / "run" / "start").exists()


@pytest.mark.parametrize("trainer", [{"importance_sampling_lvl": "token"}, {"generation_batch_size": 7}])
def test_what_trl_refuses_is_told_before_the_start_is_trained(problems, tmp_path, trainer):
    with pytest.raises(UserError) as caught:
        train(TASK, problems, replace(SMALL, trainer=trainer), MODEL, Budget("steps", 4), 0, tmp_path / "run")
    assert caught.value.where == "method.grpo.trainer"
    assert not (tmp_path / "run").exists()
