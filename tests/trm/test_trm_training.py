"""Real training on a toy family: it learns, every weight moves, a resumed run continues as if never interrupted."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from training_runs import train_recursive as train

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.training.budget import Budget
from trm import pricing
from trm.options import DirectOptions, TRMOptions
from trm.random_numbers import Draws
from trm.solver import TRMSolver
from trm.trainer import TRMTrainer, build


@pytest.mark.parametrize(("kind", "steps"), [(TRMOptions, 400), (DirectOptions, 150)])
def test_it_learns(task, problems, tmp_path, capfd, tiny, kind, steps):
    """From nothing to nearly all unseen words; quietly."""
    seen = []
    trained = train(
        task,
        problems,
        kind(**tiny),
        Budget("steps", steps),
        0,
        tmp_path,
        milestones=[0.5],
        at_milestone=lambda solver, spent: seen.append((spent.steps, evaluate(solver, task, problems[:20]).accuracy)),
    )
    # With halting: after 400 steps nearly every problem leaves its slot at once, so later steps were hardly trained.
    evaluation = evaluate(TRMSolver(trained.model, task, halting=True), task, task.generate("test", 50, 1))
    assert evaluation.accuracy >= 0.9
    assert trained.losses[-1]["loss"] < 0.3 * trained.losses[0]["loss"]
    assert [steps for steps, _ in seen] == [trained.meter.spent.steps // 2]
    assert capfd.readouterr().out == ""
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_is_learned_from_a_budget_of_flops(task, problems, tmp_path, tiny):
    """Price and count of examples, checked independently of the trainer's own counting."""
    options = TRMOptions(**tiny, exploration=0)
    price = 16 * pricing.training_step(build(task, options))
    trained = train(task, problems, options, Budget("flops", 6.5 * price), 0, tmp_path)
    spent = trained.meter.spent
    assert spent.steps == 7
    assert spent.flops == pytest.approx(7 * price)
    assert spent.tokens == 7 * 16 * 7
    assert spent.examples == 3 * 16  # three supervision steps each: slots were filled at steps 1, 4 and 7


def test_every_parameter_moves(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 3, weight_decay=0.0)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    buffers = {name: b.clone() for name, b in trainer.model.named_buffers()}
    trainer.train()
    for name, p in trainer.model.named_parameters():
        if name.startswith("halting_head"):  # of its two outputs only the first is used, so only that row may move
            assert not torch.equal(p[0], before[name][0]), name
            assert torch.equal(p[1], before[name][1]), name
        else:
            assert not torch.equal(p, before[name]), name
    assert all(torch.equal(b, buffers[name]) for name, b in trainer.model.named_buffers())


def test_weight_decay_falls_on_everything(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 3, weight_decay=0.1)
    trainer.train()
    groups = trainer.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.1]
    assert len(groups[0]["params"]) == len(list(trainer.model.parameters()))
    assert -5 < trainer.model.halting_head.bias[1].item() < -4.9  # no gradient: decay alone moved it


def test_a_resumed_run_is_the_uninterrupted_run(trainer_for, task, problems, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 5}
    whole = trainer_for(task, problems, tmp_path / "whole", 10, trainer=saving)
    whole.train()
    resumed = trainer_for(task, problems, tmp_path / "resumed", 10, trainer=saving)
    resumed.model.embedding.weight.data.zero_()  # the checkpoint must bring back everything
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-5"))
    for name, tensor in whole.supervision.carry.tensors().items():
        assert torch.equal(tensor, resumed.supervision.carry.tensors()[name]), name
    for name, p in whole.model.state_dict().items():
        assert torch.equal(p, resumed.model.state_dict()[name]), name
    assert all(torch.equal(p, resumed.ema.average[name]) for name, p in whole.ema.average.items())
    assert (resumed.meter.spent.flops, resumed.meter.spent.examples) == (
        whole.meter.spent.flops,
        whole.meter.spent.examples,
    )


def test_mixed_precision_keeps_the_carry_in_float32(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 3, mixer="attention", precision="bfloat16")
    trainer.train()
    assert trainer.supervision.carry.y.dtype == torch.float32
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert trainer.accelerator.mixed_precision == "bf16"


def test_a_checkpoint_without_carry_is_refused(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 2, trainer={"save_strategy": "steps", "save_steps": 1})
    trainer.train()
    (tmp_path / "checkpoint-1" / "carry-0.pt").unlink()
    with pytest.raises(UserError, match=r"carry-0\.pt is missing"):
        trainer_for(task, problems, tmp_path, 2).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))


def test_slots_keep_their_problem_until_they_halt(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 2, exploration=0.0)
    trainer.train()
    supervision = trainer.supervision
    assert supervision.carry.steps.tolist() == [2] * 16
    offer = trainer.examples.take(torch.arange(16), Draws(7), step=3)
    supervision.entered = None
    again = supervision.admit(offer)  # a problem for everyone, and nobody takes it
    assert torch.equal(again.input_ids, supervision.carry.input_ids)
    assert supervision.entered == 0
    supervision.carry.halted[3] = True
    after = supervision.admit(offer)
    assert torch.equal(after.input_ids[3], offer[0][3])
    assert after.steps.tolist() == [2, 2, 2, 0] + [2] * 12
    assert supervision.entered == 1


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"logging_step": 3}, "Did you mean 'logging_steps'"),
        ({"learning_rate": 3}, "set by learning_rate"),
        ({"gradient_accumulation_steps": 2}, "one optimiser step per supervision step"),
        ({"dataloader_drop_last": False}, "every batch must be full"),
        ({"save_strategy": "sometimes"}, "sometimes"),
    ],
)
def test_wrong_trainer_arguments_are_explained(trainer_for, task, problems, tmp_path, mapping, words):
    with pytest.raises(UserError, match=words):
        trainer_for(task, problems, tmp_path, 1, trainer=mapping)


def test_data_parallel_is_refused(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 1)
    trainer.args._n_gpu = 2
    with pytest.raises(UserError, match="accelerate launch"):
        TRMTrainer(trainer.model, trainer.args, examples=trainer.examples, options=trainer.options, meter=trainer.meter)


def test_too_few_problems_are_refused(trainer_for, task, problems, tmp_path):
    with pytest.raises(UserError, match="at most 10"):
        trainer_for(task, problems[:10], tmp_path, 1)


def test_the_mixer_follows_the_size(task):
    assert build(task, TRMOptions()).mixer == "mlp"
    assert build(type(task)(length=200), TRMOptions()).mixer == "attention"
    assert build(task, DirectOptions()).evaluations == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"ema": 1.0}, "decay from 0"),
        ({"learning_rate": 0}, "positive"),
        ({"puzzle_learning_rate": -1}, "positive"),
        ({"votes": 0}, "at least 1"),
        ({"augmentations": -1}, "at least 0"),
        ({"evaluation_steps": 0}, "at least 1"),
        ({"optimizer": "muonn"}, "Did you mean 'muon'"),
        ({"recursion": "hrm"}, "unknown recursion"),
        ({"n": 0}, "trm needs at least 1"),
        ({"gradient_evaluations": 1}, "at least 2"),
    ],
)
def test_wrong_options_are_explained(wrong, words):
    with pytest.raises(UserError, match=words):
        TRMOptions(**wrong)


def test_direct_prediction_has_no_other_recursion():
    assert DirectOptions().recursion == "direct"
    with pytest.raises(UserError, match="direct prediction has no recursion 'single_z'"):
        DirectOptions(recursion="single_z")


def test_options_are_light():
    """A configuration is checked before torch is imported."""
    code = "import sys, trm.options; assert not {'torch', 'transformers'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
