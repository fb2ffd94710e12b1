"""What a user can get wrong is named with its cure: foreign checkpoints and grids, and training that diverges."""

from __future__ import annotations

import math

import pytest
import torch
from training_runs import train_recursive as train
from transformers import GPT2Config, TrainerCallback

from benchmarks.errors import UserError
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from trm import trainer as training
from trm.modeling import TRMForPuzzles
from trm.options import TRMOptions
from trm.solver import TRMSolver
from trm.trainer import build


@pytest.fixture
def model(task, tiny):
    return TRMForPuzzles(build(task, TRMOptions(**tiny, prefix=1)))


def refused(action, *words):
    with pytest.raises(UserError) as caught:
        action()
    assert caught.value.cure, "every refusal says what to do"
    for word in words:
        assert word in str(caught.value), caught.value


# --- checkpoints and grids ------------------------------------------------------------------------


def test_a_checkpoint_of_another_architecture(tmp_path):
    GPT2Config(n_layer=1, n_head=1, n_embd=8).save_pretrained(tmp_path)
    refused(lambda: TRMForPuzzles.from_pretrained(tmp_path), "'gpt2'", "'trm'", str(tmp_path))


@pytest.mark.parametrize("cells", [6, 8, 16])
def test_a_grid_of_another_size(model, cells):
    refused(lambda: model(torch.ones(2, cells, dtype=torch.long)), f"[2, {cells}]", "7 positions")


def test_a_grid_without_batch(model):
    refused(lambda: model(torch.ones(7, dtype=torch.long)), "[7]", "[batch, positions]")


@pytest.mark.parametrize("token", [-1, 4, 99])
def test_a_token_outside_the_vocabulary(model, token):
    grid = torch.ones(2, 7, dtype=torch.long)
    grid[1, 3] = token
    refused(lambda: model(grid), f"token {token}", "0 to 3")


@pytest.mark.parametrize("puzzle", [-1, 1])
def test_a_puzzle_without_vector(model, puzzle):
    grid = torch.ones(2, 7, dtype=torch.long)
    refused(lambda: model(grid, None, torch.tensor([0, puzzle])), f"puzzle {puzzle}", "0 to 0")


def test_the_largest_token_and_puzzle_are_fine(model):
    model(torch.full((2, 7), 3), None, torch.zeros(2, dtype=torch.long))
    assert model(torch.ones(0, 7, dtype=torch.long)).logits.shape == (0, 7, 4)


def test_a_solver_with_a_task_of_another_size(model, task):
    longer = type(task)(length=9)
    for votes in (1, 3):
        solver = TRMSolver(model, longer, votes=votes)
        refused(lambda s=solver: s.solve(longer.generate("test", 2, 0)), "[2, 10]" if votes == 1 else "[3, 10]")
        refused(lambda s=solver: s.think(longer.generate("test", 1, 0)[0]), "[1, 10]", "7 positions")


def test_a_solver_with_another_family(tiny):
    """Sudoku 4x4 has the positions, but more tokens than a model of the toy family with as many."""
    sudoku = load_task("sudoku", size=4)
    config = build(sudoku, TRMOptions(**tiny))
    config.vocabulary_size = 3
    refused(lambda: TRMSolver(TRMForPuzzles(config), sudoku).solve(sudoku.generate("test", 2, 0)), "token", "0 to 2")


def test_training_problems_that_do_not_fit_the_model(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 1)
    longer = trainer_for(type(task)(length=9), type(task)(length=9).generate("train", 20, 0), tmp_path, 1)
    refused(
        lambda: training.TRMTrainer(
            trainer.model, trainer.args, examples=longer.examples, options=trainer.options, meter=trainer.meter
        ),
        "[20, 10]",
    )


# --- divergence -----------------------------------------------------------------------------------


class Poison(TrainerCallback):
    """Makes one weight infinite or no number, right after the optimiser step with this number."""

    def __init__(self, step, value):
        self.step, self.value = step, value

    def on_optimizer_step(self, args, state, control, model=None, **_):
        if state.global_step + 1 == self.step:
            model.head.weight.data[0, 0] = self.value


def saved(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("step", "words"), [(4, "a weight"), (5, "the loss")])
def test_a_poisoned_weight_stops_training_and_spares_the_checkpoints(
    trainer_for, task, problems, tmp_path, value, step, words
):
    """Poisoned at step 4, it is found before the checkpoint of step 4; at step 5, by the loss of step 6, where it is
    logged: between log entries nobody looks."""
    saving = {"save_strategy": "steps", "save_steps": 2, "logging_steps": 3}
    trainer = trainer_for(task, problems, tmp_path, 10, trainer=saving)
    trainer.add_callback(Poison(step, value))
    refused(trainer.train, words, "diverged", "Lower learning_rate (now 0.002)", "checkpoints from before are kept")
    assert saved(tmp_path) == ["checkpoint-2"] + ["checkpoint-4"] * (step == 5)
    kept = TRMForPuzzles.from_pretrained(tmp_path / saved(tmp_path)[-1])
    assert all(torch.isfinite(tensor).all() for tensor in kept.state_dict().values())
    again = trainer_for(task, problems, tmp_path / "again", 6)
    again.train(resume_from_checkpoint=str(tmp_path / saved(tmp_path)[-1]))
    assert all(torch.isfinite(p).all() for p in [*again.model.parameters(), *again.ema.average.values()])


def test_a_loss_that_is_no_number(trainer_for, task, problems, tmp_path):
    trainer = trainer_for(task, problems, tmp_path, 20)
    trainer.model.head.weight.data.fill_(math.nan)
    refused(trainer.train, "the loss", "at step 10")  # the first log entry
    assert not saved(tmp_path)


def test_the_last_step_is_looked_at_too(task, problems, tmp_path, tiny):
    """No loss follows the last update: weights that it spoiled would be handed on as the trained model."""
    options = TRMOptions(**tiny | {"learning_rate": 1e39, "warmup_steps": 0})
    refused(lambda: train(task, problems, options, Budget("steps", 1), 0, tmp_path), "a weight", "at step 1")
