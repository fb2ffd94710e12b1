"""What checkpoints, budgets and TRM's trainer override, call and read of transformers and accelerate.

Most of it is private to the library. A new release that changes one of these must fail here, with a sentence that
names it, and not in the middle of a run.
"""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import accelerate.utils
import pytest
from hooks import check_hook
from packaging.requirements import Requirement
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerState, TrainingArguments, trainer_utils

from benchmarks.training.checkpoints import LOG_WINDOW, CheckpointCallback, ResumableTrainerMixin
from benchmarks.training.trainer import BudgetCallback, BudgetedTrainerMixin
from trm.trainer import TRMTrainer

# Of transformers' Trainer: methods that ours stand before or call, private ones first.
METHODS = {
    "_get_output_dir": "(self, trial)",
    "_load_from_checkpoint": "(self, resume_from_checkpoint, ...)",
    "_load_optimizer_and_scheduler": "(self, checkpoint)",
    "_load_rng_state": "(self, checkpoint)",
    "_push_from_checkpoint": "(self, checkpoint_folder)",
    "_save_checkpoint": "(self, model, trial)",
    "_save_optimizer_and_scheduler": "(self, output_dir)",
    "add_callback": "(self, callback)",
    "compute_loss": "(self, model, inputs, return_outputs=False, num_items_in_batch=None)",
    "create_optimizer": "(self, model=None)",
    "create_scheduler": "(self, num_training_steps, optimizer=None)",
    "floating_point_ops": "(self, inputs)",
    "is_world_process_zero": "(self)",
    "log": "(self, logs, start_time=None)",
    "remove_callback": "(self, callback)",
    "train": "(self, resume_from_checkpoint=None, ...)",
}
FUNCTIONS = [
    (trainer_utils, "rotate_checkpoints", "(output_dir, save_total_limit=None, ...)"),
    (accelerate.utils, "broadcast_object_list", "(object_list, ...)"),
    (TrainingArguments, "get_warmup_steps", "(self, num_training_steps)"),
    (TrainerState, "load_from_json", "(json_path)"),
]
BOUNDED = ("accelerate", "peft", "transformers", "trl")
ROOT = Path(__file__).parents[2]
EVENTS = ("on_train_begin", "on_step_end", "on_save")
OURS = (ResumableTrainerMixin, BudgetedTrainerMixin, TRMTrainer)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_the_trainer_has_not_changed(name):
    check_hook(Trainer, name, METHODS[name])


@pytest.mark.parametrize(("owner", "name", "signature"), FUNCTIONS)
def test_a_function_of_the_libraries_has_not_changed(owner, name, signature):
    check_hook(owner, name, signature)


@pytest.mark.parametrize("event", EVENTS)
def test_callbacks_are_called_as_before(event):
    check_hook(TrainerCallback, event, "(self, args, state, control, **kwargs)")
    assert any(event in vars(ours) for ours in (BudgetCallback, CheckpointCallback))


@pytest.mark.parametrize("name", [*LOG_WINDOW, "_created_lr_scheduler"])
def test_the_trainer_keeps_its_log_and_scheduler_under_the_names_that_we_read(name):
    source = inspect.getsource(Trainer)
    assert f"self.{name} = " in source, (
        f"transformers' Trainer must set '{name}', which checkpoints or schedules of ours read or set."
    )


def test_the_random_states_are_loaded_last():
    """``_load_rng_state`` of ours puts the log's window back, so it must run after the library has emptied it."""
    source = inspect.getsource(Trainer)
    emptied, loaded = source.index("self._tr_loss = torch.tensor"), source.index("self._load_rng_state(")
    assert emptied < loaded, "transformers' Trainer must set _tr_loss before it calls _load_rng_state."


def test_a_checkpoint_is_pushed_by_name_and_saved_by_name():
    saving = inspect.getsource(Trainer._save_checkpoint)
    for called in ("self._get_output_dir(", "self._save_optimizer_and_scheduler(", "self._push_from_checkpoint("):
        assert called in saving, f"Trainer._save_checkpoint must call {called[5:-1]}, which ours overrides."


def test_the_printer_that_is_taken_away_is_still_there():
    assert issubclass(PrinterCallback, TrainerCallback)


def test_every_method_that_ours_override_is_named_here():
    """A method of ours that happens to have the name of one of the library's would be called by the library."""
    for ours in OURS:
        for name, member in vars(ours).items():
            overrides = callable(member) and hasattr(Trainer, name) and not name.startswith("__")
            assert not overrides or name in METHODS, f"{ours.__name__}.{name} overrides Trainer.{name}: name it here."


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("pins", ["constraints.txt", "constraints-vllm.txt"])
def test_the_versions_that_are_tested_lie_within_the_bounds(name, pins):
    wanted = map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    [bounds] = [requirement.specifier for requirement in wanted if requirement.name == name]
    [pinned] = [line for line in (ROOT / pins).read_text().splitlines() if line.startswith(f"{name}==")]
    assert any(bound.operator == "<" for bound in bounds), f"{name} must have an upper bound in pyproject.toml."
    assert pinned.partition("==")[2] in bounds
