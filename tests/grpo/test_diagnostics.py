"""The verdict: each sign is seen where it is there, and only there; real runs say what was done to them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from tiny_policy import MODEL, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.training.budget import Budget
from grpo.diagnostics import PassRates, diagnose, sharpening
from grpo.health import HealthSettings, change, health_checks


def history_of(steps=50, noise=0.01, **ends):
    """Every number goes from its first to its last value in a straight line, with noise."""
    draw = random.Random(0)
    healthy = {
        "reward": (0.4, 0.7), "accuracy": (0.4, 0.7), "entropy": (0.3, 0.25), "kl": (0.0, 0.01),
        "clip_ratio/region_mean": (0.0, 0.01), "completions/clipped_ratio": (0.0, 0.0),
        "completions/mean_length": (40, 42), "groups/drawn": (16, 16), "groups/no_signal": (3, 3),
        "groups/all_right": (1, 2), "groups/all_wrong": (2, 1),
    }  # fmt: skip
    lines = {**healthy, **{key.replace("__", "/"): value for key, value in ends.items()}}
    return [
        {
            "step": step,
            **{
                key: a + (b - a) * step / max(steps - 1, 1) + draw.gauss(0, noise) * max(abs(a), abs(b))
                for key, (a, b) in lines.items()
            },
        }
        for step in range(steps)
    ]


def names(history, **setting):
    return [finding.name for finding in health_checks(history, HealthSettings(**setting))]


def test_a_healthy_run_shows_nothing():
    assert names(history_of()) == []
    assert diagnose(history_of(), HealthSettings()).lines == [
        "Accuracy while training went from 41 % to 67 %. No sign of trouble."
    ]


@pytest.mark.parametrize(
    ("ends", "setting", "name", "words"),
    [
        ({"groups__no_signal": (13, 13), "groups__all_wrong": (12, 12), "accuracy": (0.1, 0.1)}, {}, "silent",
         "81 % of groups had zero variance (9 % all right, 75 % all wrong): start from a better checkpoint"),
        ({"groups__no_signal": (13, 13), "groups__all_right": (12, 12)}, {}, "silent", "take harder problems"),
        ({"groups__no_signal": (13, 13), "groups__all_right": (12, 12), "accuracy": (0.9, 0.99)}, {}, "learned",
         "these problems are learned"),
        ({"accuracy": (0.0, 0.0)}, {}, "nothing right", "Not one completion was right"),
        ({"groups__no_signal": (1, 1), "groups__all_wrong": (15.7, 15.7), "accuracy": (0.004, 0.004)},
         {"rewards": ["format"]}, "hardly anything right", "taught next to nothing: start from a better checkpoint"),
        ({"accuracy": (0.6, 0.3), "reward": (0.7, 0.9), "rewards/format/mean": (0.3, 0.9)}, {"rewards": ["format"]},
         "exploited", "while the reward rose: the format reward is being exploited: give it less weight"),
        ({"accuracy": (0.6, 0.3), "reward": (0.6, 0.3)}, {}, "falling", "beta=0.04"),
        ({"entropy": (0.3, 0.01)}, {}, "entropy collapse", "raise epsilon_high or the temperature"),
        ({"entropy": (0.3, 2.0), "accuracy": (0.6, 0.1), "reward": (0.6, 0.1)}, {}, "noise", "drifts into noise"),
        ({"kl": (0.0, 3.0)}, {"beta": 0.01}, "KL runaway", "beta=0.01 does not hold it"),
        ({"completions__clipped_ratio": (0.1, 0.5)}, {}, "cut", "raise it, punish length"),
        ({"completions__mean_length": (40, 140), "accuracy": (0.5, 0.5)}, {"loss_type": "grpo"}, "longer",
         "use dr_grpo or dapo"),
        ({"completions__mean_length": (40, 9), "accuracy": (0.6, 0.3), "reward": (0.4, 0.5)}, {"rewards": ["length"]},
         "shorter", "give the length reward less weight"),
        ({"clip_ratio__region_mean": (0.1, 0.5)}, {}, "clipping", "goes too far"),
        ({"failures__mine": (2, 2)}, {"failures_file": "x.jsonl"}, "failures/mine", "(the completions are in x.jsonl)"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)  # fmt: skip
def test_each_sign_is_seen(ends, setting, name, words):
    found = {finding.name: finding.text for finding in health_checks(history_of(**ends), HealthSettings(**setting))}
    assert name in found
    assert words in found[name]
    assert ":" in found[name], "a cure"


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_few_steps_are_too_few_to_tell(steps):
    assert names(history_of(steps or 1)[:steps]) == []
    assert f"Only {steps} steps" in diagnose(history_of(max(steps, 2))[:steps], HealthSettings()).summary


def test_noise_is_no_change():
    """Flat histories with a lot of noise: at two standard errors about one in twenty is taken for a change."""
    risen = 0
    for seed in range(200):
        draw = random.Random(seed)
        found = change([{"x": draw.gauss(1, 0.3)} for _ in range(50)], "x")
        risen += found.rose or found.fell
    assert risen / 200 < 0.12


def test_a_missing_number_is_passed_over():
    history = history_of()
    for entry in history[::2]:
        entry["kl"] = None
        del entry["entropy"]
    assert change(history, "entropy").first == pytest.approx(0.3, abs=0.02)
    assert change(history, "nothing") is None
    assert names(history) == []


# --- pass@k -----------------------------------------------------------------------------------------

HARD_AND_HALF = [0] * 20 + [4] * 40


def test_sharpening_is_a_rise_of_pass_at_1_alone():
    [finding] = sharpening(PassRates(HARD_AND_HALF, 8), PassRates([0] * 20 + [7] * 40, 8))
    assert finding.name == "sharpening"
    assert "pass@1 rose by 25.0 points while pass@8 stayed (+0.0 points)" in finding.text


def test_new_skills_are_no_sharpening():
    assert sharpening(PassRates(HARD_AND_HALF, 8), PassRates([3] * 20 + [7] * 40, 8)) == []


def test_nothing_is_said_where_pass_at_k_has_no_room_or_nothing_changed():
    assert sharpening(PassRates([4] * 60, 8), PassRates([7] * 60, 8)) == []
    assert sharpening(PassRates(HARD_AND_HALF, 8), PassRates(HARD_AND_HALF, 8)) == []
    assert sharpening(PassRates([0, 1], 1), PassRates([1, 1], 1)) == []


def test_lost_problems_are_told():
    [finding] = sharpening(PassRates([2] * 60, 8), PassRates([0] * 30 + [8] * 30, 8))
    assert finding.name == "narrowing"
    assert "pass@8 fell from 100 % to 50 %" in finding.text


def test_pass_rates_as_the_record_holds_them():
    rates = PassRates([0, 2, 6], 6)
    assert rates.ks == [1, 2, 4, 6]
    assert rates.at(1) == pytest.approx(8 / 18)
    assert rates.at(6) == pytest.approx(2 / 3)
    assert rates.to_dict()["pass_at_k"]["1"] == rates.at(1)


# --- real runs --------------------------------------------------------------------------------------


def verdict(start, problems, folder, steps, **options):
    options = {"learning_rate": 3e-3, "batch_size": 64, "num_generations": 8, **options}
    run = train(
        TASK, problems, replace(SMALL, start=str(start), **options), MODEL, Budget("steps", steps), 0, folder / "run"
    )
    return run, {finding.name: finding.text for finding in run.diagnosis.findings}


def test_a_shaping_reward_that_outweighs_the_verifier_is_found_out(half_taught, problems, tmp_path):
    """Empty texts are short, and worth ten right answers."""
    mine = tmp_path / "mine.py"
    mine.write_text("def short(completions, **_):\n    return [1 - len(text) / 12 for text in completions]\n")
    run, found = verdict(half_taught, problems, tmp_path, 40, rewards={f"{mine}:short": 10.0})
    assert run.history[-1]["accuracy"] < run.history[0]["accuracy"] - 0.1
    assert run.history[-1]["reward"] > run.history[0]["reward"]
    assert "the short reward is being exploited" in found["exploited"]


def test_a_learning_rate_that_destroys_the_policy_is_found_out(half_taught, problems, tmp_path):
    run, found = verdict(half_taught, problems, tmp_path, 30, learning_rate=0.1, beta=0.01)
    assert run.history[-1]["accuracy"] < 0.1
    assert "lower the learning rate" in found.get("falling", "") + found.get("KL runaway", "")


def test_signs_are_told_while_it_trains(problems, tmp_path, caplog):
    """Twenty steps in which nothing is right are enough."""
    verdict("model", problems, tmp_path, 21)
    told = [record.message for record in caplog.records if "Not one completion was right" in record.message]
    assert len(told) == 1
    assert told[0].startswith("step 20: ")


def test_the_share_of_clipped_ratios_is_that_of_the_later_uses_too(half_taught, problems, tmp_path):
    """At the first use of a batch nothing can be clipped, and only such steps write completions."""
    run, _ = verdict(half_taught, problems, tmp_path, 24, learning_rate=2e-2, trainer={"num_iterations": 4})
    assert len(run.history) == 6
    assert len(run.steps) == 24
    clipped = [entry["clip_ratio/region_mean"] for entry in run.steps]
    assert all(share == 0 for share in clipped[::4])
    assert max(clipped) > 0.05
