"""Which prompts a batch holds: zero-variance groups drawn anew, problems ordered or weighted by measured difficulty,
problems held out; all of it paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tiny_policy import MODEL, SFT, SMALL, TASK
from training_runs import train_policy as train

from benchmarks.compute import CausalLMShape
from benchmarks.errors import UserError
from benchmarks.training.budget import Budget
from cot_distill.language_model import load_pretrained
from grpo.curriculum import arranged, hold_out
from grpo.train import PricedGRPOTrainer


class Batches:
    """What every step learned from, and everything that was written for it."""

    def __init__(self, monkeypatch):
        self.learned, self.written, self.asked = [], [], []
        charge, loss, judge = (
            PricedGRPOTrainer.charge_generation,
            PricedGRPOTrainer.compute_loss,
            PricedGRPOTrainer._calculate_rewards,
        )

        def charged(trainer, prompt, completions):
            self.written.append((len(completions), prompt, max(map(len, completions))))
            return charge(trainer, prompt, completions)

        def computed(trainer, model, inputs, *args, **kwargs):
            self.learned.append({key: value.clone() for key, value in inputs.items()})
            return loss(trainer, model, inputs, *args, **kwargs)

        def judged(trainer, rows, *args):
            if trainer._ready is None:
                self.asked.append([row["id"] for row in rows[:: trainer.num_generations]])
            return judge(trainer, rows, *args)

        monkeypatch.setattr(PricedGRPOTrainer, "charge_generation", charged)
        monkeypatch.setattr(PricedGRPOTrainer, "compute_loss", computed)
        monkeypatch.setattr(PricedGRPOTrainer, "_calculate_rewards", judged)


def test_resampled_batches_vary_and_are_paid_for(half_taught, problems, tmp_path, monkeypatch):
    plain = Batches(monkeypatch)
    options = replace(SMALL, start=str(half_taught), num_generations=4, batch_size=16)
    without = train(TASK, problems, options, MODEL, Budget("steps", 6), 0, tmp_path / "plain")
    assert sum(entry["frac_reward_zero_std"] for entry in without.history) > 0, "or there is nothing to mend"
    monkeypatch.undo()
    assert all(len(set(asked)) == 4 for asked in plain.asked)

    batches = Batches(monkeypatch)
    options = replace(options, resample=20)
    run = train(TASK, problems, options, MODEL, Budget("steps", 6), 0, tmp_path / "resampled")
    for entry, batch in zip(run.history, batches.learned, strict=True):
        assert entry["frac_reward_zero_std"] == 0
        assert (batch["advantages"] != 0).all()
        assert batch["advantages"].sum() == pytest.approx(0, abs=1e-4)
        assert len(batch["completion_ids"]) == 16
    drawn = [entry["groups/drawn"] for entry in run.history]
    skipped = [entry["groups/skipped"] for entry in run.history]
    assert [d - s for d, s in zip(drawn, skipped, strict=True)] == [4] * 6
    assert sum(skipped) == sum(entry["groups/no_signal"] for entry in run.history) > 0
    assert run.meter.spent.examples == sum(count for count, *_ in batches.written) == 4 * sum(drawn)
    shape = CausalLMShape.of(run.model.config)
    generation = sum(shape.generation(*each) for each in batches.written)
    updates = sum(
        shape.training_step(16, b["prompt_ids"].shape[1] + b["completion_ids"].shape[1]) for b in batches.learned
    )
    assert run.meter.spent.flops == pytest.approx(generation + updates)


def test_the_advantages_are_those_of_the_completions_that_are_learned(half_taught, problems, tmp_path, monkeypatch):
    """The rewards of skipped groups do not end up at the completions of others."""
    batches = Batches(monkeypatch)
    options = replace(SMALL, start=str(half_taught), batch_size=16, resample=20)
    train(TASK, problems, options, MODEL, Budget("steps", 3), 0, tmp_path)
    tokenizer = load_pretrained(str(half_taught))[1]
    labels = {problem.question: problem.answer for problem in problems}
    for batch in batches.learned:
        prompts = tokenizer.batch_decode(batch["prompt_ids"])
        texts = tokenizer.batch_decode(batch["completion_ids"], skip_special_tokens=True)
        groups = {}
        for prompt, text, advantage in zip(prompts, texts, batch["advantages"].tolist(), strict=True):
            answer = TASK.problem(*map(int, prompt.split("=")[0].split("+")))
            assert answer.answer == labels[answer.question]
            end = text.partition("</think>")[2]
            right = text.count("</think>") == 1 and end.isdigit() and int(end) == int(answer.answer)
            groups.setdefault(prompt, []).append((right, advantage > 0))
        assert all(right == positive for group in groups.values() for right, positive in group)
        assert Counter(map(len, groups.values())) == {4: 4}


def test_where_no_group_varies_the_batch_is_filled_all_the_same(problems, tmp_path, monkeypatch):
    """An untrained model is never right: the given number of attempts, then training goes on."""
    batches = Batches(monkeypatch)
    options = replace(SMALL, start="model", resample=3)
    run = train(TASK, problems, options, MODEL, Budget("steps", 2), 0, tmp_path)
    for entry in run.history:
        assert (entry["groups/drawn"], entry["groups/skipped"], entry["frac_reward_zero_std"]) == (8, 6, 1)
    assert run.meter.spent.examples == 2 * 8 * 4
    for step in (batches.asked[:4], batches.asked[4:]):
        names = [name for asked in step for name in asked]
        assert len(set(names)) == len(names) == 8, "other prompts each time"
    assert "Not one completion was right" in " ".join(run.diagnosis.lines)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A start that knows one half of the problems far better than the other, and which these are."""
    torch.set_num_threads(1)
    from training_runs import distill

    problems = TASK.generate("train", 60, 0)
    known = [p for p in problems if int(p.answer) < 9]
    folder = tmp_path_factory.mktemp("uneven")
    trained = distill(TASK, known, SFT, MODEL, "cot", Budget("steps", 160), 0, folder / "trainer")
    trained.model.save_pretrained(folder)
    trained.tokenizer.save_pretrained(folder)
    return folder, {p.id for p in known}


@pytest.mark.slow
def test_the_curriculum_begins_with_the_easiest_and_its_measuring_is_paid_for(uneven, problems, tmp_path, monkeypatch):
    folder, known = uneven
    batches = Batches(monkeypatch)
    options = replace(SMALL, start=str(folder), batch_size=16, curriculum="order", learning_rate=0.0)
    run = train(TASK, problems, options, MODEL, Budget("steps", 15), 0, tmp_path)
    rates = run.difficulty["right"]
    assert run.difficulty["samples"] == 8
    assert set(rates) == {p.id for p in problems}
    asked = [name for step in batches.asked for name in step]
    assert sorted(asked) == sorted(rates), "one pass over all of them"
    assert [rates[name] for name in asked] == sorted(rates.values(), reverse=True)
    assert sum(name in known for name in asked[:16]) > 12
    accuracies = [entry["accuracy"] for entry in run.history]
    assert sum(accuracies[:4]) / 4 > sum(accuracies[-4:]) / 4 + 0.3
    cost = run.difficulty["cost"]
    assert cost["examples"] == 8 * 60
    assert run.meter.spent.examples == 8 * 60 + 15 * 16
    assert cost["flops"] > 0
    assert run.meter.spent.seconds > cost["seconds"] > 0


def test_weights_ask_most_what_is_right_now_and_then():
    counts = [0] * 50 + [8] * 50 + [4] * 50
    order = arranged(counts, 8, "weight", 10, 0)
    batches = [order[at : at + 10] for at in range(0, len(order), 10)]
    assert all(len(set(batch)) == 10 for batch in batches)
    drawn = Counter(counts[i] for i in order)
    assert drawn[4] / len(order) == pytest.approx(25 / (25 + 9 + 9), abs=0.03)
    assert drawn[0] == pytest.approx(drawn[8], rel=0.1)


def test_a_weighted_curriculum_trains_on_groups_that_vary_more(half_taught, problems, tmp_path):
    equal = {}
    for curriculum in ("none", "weight"):
        options = replace(
            SMALL, start=str(half_taught), batch_size=64, curriculum=curriculum, learning_rate=0.0, temperature=0.7
        )
        run = train(TASK, problems, options, MODEL, Budget("steps", 10), 0, tmp_path / curriculum)
        equal[curriculum] = sum(entry["frac_reward_zero_std"] for entry in run.history) / 10
    assert equal["weight"] < equal["none"] - 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "limit"), [("examples", 1000), ("flops", 1e8), ("tokens", 30_000), ("seconds", 3)])
def test_measuring_ends_at_its_share_of_the_budget(half_taught, problems, tmp_path, unit, limit):
    options = replace(SMALL, start=str(half_taught), curriculum="weight", curriculum_share=0.2)
    run = train(TASK, problems, options, MODEL, Budget(unit, limit), 0, tmp_path)
    measured = len(run.difficulty["right"])
    share = run.difficulty["cost"][unit] / limit
    assert run.difficulty["cost"]["examples"] == 8 * measured
    assert 0.2 <= share < 0.2 + 2 * share / measured or measured == 60  # it ends with a batch, here of one problem
    assert limit <= getattr(run.meter.spent, unit)
    assert len(run.history) > 1


def test_a_problem_that_is_not_measured_is_neither_easy_nor_hard():
    assert arranged([8, 0, None, 6, 2], 8, "order", 1, 0) == [0, 3, 2, 4, 1]
    order = arranged([None] * 50 + [8] * 50, 8, "weight", 10, 0)
    share = sum(i < 50 for i in order) / len(order)
    assert share == pytest.approx((1 / 6) / (1 / 6 + 9 / 110), abs=0.04)


def test_too_few_problems_for_a_batch_are_a_user_error(problems, tmp_path):
    """TRL would train on nothing at all."""
    options = replace(SMALL, batch_size=64)
    with pytest.raises(UserError, match="16 different problems, but there are 15"):
        train(TASK, problems[:15], options, MODEL, Budget("steps", 2), 0, tmp_path)


def test_what_is_held_out_is_neither_distilled_nor_asked(problems, tmp_path, monkeypatch):
    batches = Batches(monkeypatch)
    options = replace(SMALL, held_out=5, held_out_samples=4)
    run = train(TASK, problems, options, MODEL, Budget("steps", 60), 0, tmp_path)
    learned, held_out = hold_out(problems, 5, 2, 0)
    assert (len(learned), len(held_out)) == (55, 5)
    assert not {p.orbit for p in learned} & {p.orbit for p in held_out}
    assert {name for step in batches.asked for name in step} == {p.id for p in learned}
    assert len(run.before.right) == len(run.after.right) == 5
    assert all(0 <= count <= 4 for count in run.before.right + run.after.right)
    without = train(TASK, learned, replace(options, held_out=0), MODEL, Budget("steps", 60), 0, tmp_path / "again")
    assert without.meter.spent.flops == run.meter.spent.flops, "measuring is off the clock and changes nothing"
    for name, tensor in without.model.state_dict().items():
        assert torch.equal(tensor, run.model.state_dict()[name]), name


@pytest.mark.parametrize(("count", "wanted", "least", "expected"), [(60, 64, 16, 6), (20, 5, 19, 1), (9, 5, 1, 0)])
def test_never_more_than_a_tenth_nor_so_many_that_a_batch_is_not_full(problems, count, wanted, least, expected):
    learned, held_out = hold_out(problems[:count], wanted, least, 3)
    assert len(held_out) <= expected
    assert len(held_out) + len(learned) == count
    assert {p.id for p in learned}.isdisjoint(p.id for p in held_out)
