"""Checkpoints of the language models' trainers: what was interrupted goes on, in its meter, schedule, budget and log.

What a checkpoint has to withstand is in tests/trm/test_trm_resume.py, with real kills.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from training_runs import distill, train_policy

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from benchmarks.training.budget import Budget, Meter
from benchmarks.training.checkpoints import CheckpointCallback, checkpoints_in, clear, defect, newest, seal
from benchmarks.training.saving import Checkpoints
from cot_distill.options import SFTOptions
from grpo.options import GRPOOptions

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
PROBLEMS = TASK.generate("train", 40, 0)
MODEL = ModelOptions(width=16, layers=1, heads=2, key_value_heads=2, inner=32)
SFT = SFTOptions(batch_size=8, warmup_steps=2, schedule="linear")
GRPO = GRPOOptions(
    distillation=SFT, num_generations=4, batch_size=8, warmup_steps=1, max_new_tokens=8, start_share=0.5
)  # fmt: skip
EVERY_STEP = 1e-9  # minutes


class Crash(Exception):
    pass


class Witness:
    """Sees a training, and lets it crash once it has spent so many steps."""

    def __init__(self, crash_at: float = float("inf")) -> None:
        self.crash_at = crash_at
        self.steps: list[int] = []
        self.points: list[int] = []
        self.resumed: list[Cost] = []
        self.told: list[str] = []

    def arguments(self):
        return {
            "milestones": [0.25, 0.75],
            "at_milestone": lambda solver, spent: self.points.append(spent.steps),
            "on_progress": self.progress,
            "checkpoints": Checkpoints(EVERY_STEP, True, self.told.append, self.resumed.append),
        }

    def progress(self, spent: Cost) -> None:
        self.steps.append(spent.steps)
        if spent.steps >= self.crash_at:
            raise Crash


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def sft(folder, witness: Witness, **model):
    return distill(
        TASK, PROBLEMS, SFT, replace(MODEL, **model), "cot", Budget("steps", 20), 0, folder, **witness.arguments()
    )


@pytest.mark.slow
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_distillation_goes_on_where_it_crashed(tmp_path, lora_rank):
    whole = sft(tmp_path / "whole", Witness(), lora_rank=lora_rank)
    first, second = Witness(crash_at=8), Witness()
    with pytest.raises(Crash):
        sft(tmp_path / "crashed", first, lora_rank=lora_rank)
    resumed = sft(tmp_path / "crashed", second, lora_rank=lora_rank)
    assert second.resumed[0].steps == 7
    assert second.steps == list(range(8, 21))
    assert first.points + second.points == [5, 15], "a milestone that was passed is not passed again"
    assert resumed.meter.spent.to_dict() | {"seconds": 0} == whole.meter.spent.to_dict() | {"seconds": 0}
    assert resumed.losses == whole.losses
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    third = Witness()
    again = sft(tmp_path / "crashed", third, lora_rank=lora_rank)
    assert third.steps == []
    assert again.losses == whole.losses
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("crash_at", [6, 14])
@pytest.mark.parametrize("iterations", [1, 2])
def test_grpo_goes_on_in_the_phase_in_which_it_crashed(tmp_path, crash_at, iterations):
    """Ten steps of distillation, then ten of GRPO; the distillation is not done twice."""
    options = replace(GRPO, trainer={"num_iterations": iterations})
    first, second = Witness(crash_at), Witness()
    budget = Budget("steps", 20)
    with pytest.raises(Crash):
        train_policy(TASK, PROBLEMS, options, MODEL, budget, 0, tmp_path, **first.arguments())
    trained = train_policy(TASK, PROBLEMS, options, MODEL, budget, 0, tmp_path, **second.arguments())
    assert [spent.steps for spent in second.resumed] == ([5] if crash_at == 6 else [10, 13])
    assert second.steps == list(range(crash_at, 21))
    assert first.points + second.points == [5, 15]
    assert (trained.start_cost.steps, trained.meter.spent.steps) == (10, 20)
    written_anew = {4} if crash_at == 14 else set()  # completions that the crash lost, in the middle of their use
    expected = sorted({1, 3, 5, 7, 9} | written_anew) if iterations == 2 else list(range(1, 11))
    assert [entry["step"] for entry in trained.history] == expected
    assert trained.meter.spent.flops > second.resumed[-1].flops > 0
    assert not second.told


def test_the_clock_stops_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """So that a budget of seconds buys the same training with checkpoints and without."""
    from benchmarks.training import checkpoints

    def slow(*args):
        time.sleep(0.5)
        return seal(*args)

    monkeypatch.setattr(checkpoints, "seal", slow)
    began = time.monotonic()
    trained = distill(
        TASK, PROBLEMS, SFT, MODEL, "cot", Budget("steps", 4), 0, tmp_path, checkpoints=Checkpoints(EVERY_STEP)
    )
    assert time.monotonic() - began > 4 * 0.5
    assert trained.meter.spent.seconds < time.monotonic() - began - 4 * 0.5


def test_asked_to_stop_it_saves_and_ends_the_process(tmp_path):
    witness = Witness()
    checkpoints = Checkpoints(5, tell=witness.told.append, stop=lambda: len(witness.steps) >= 3)
    with pytest.raises(SystemExit) as ending:
        distill(
            TASK, PROBLEMS, SFT, MODEL, "cot", Budget("steps", 20), 0, tmp_path,
            on_progress=witness.progress, checkpoints=checkpoints,
        )  # fmt: skip
    assert ending.value.code == 143
    assert [path.name for path in checkpoints_in(tmp_path)] == ["checkpoint-3"]


# --- files ------------------------------------------------------------------------------------------


def checkpoint(folder, step: int):
    place = folder / f"checkpoint-{step}"
    (place / "inner").mkdir(parents=True)
    (place / "progress-0.pt").write_bytes(b"progress")
    (place / "inner" / "weights").write_bytes(bytes(1000))
    seal(place, step, 1)
    return place


def test_a_checkpoint_under_another_name_is_not_whole(tmp_path):
    place = checkpoint(tmp_path, 5)
    assert defect(place) is None
    assert "manifest.json" in str(defect(place.rename(tmp_path / "checkpoint-6")))


def test_of_several_broken_ones_each_is_told(tmp_path):
    for step in (9, 10, 100):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-10" / "manifest.json").unlink()
    (tmp_path / "checkpoint-100" / "inner" / "weights").unlink()
    told: list[str] = []
    assert newest(tmp_path, told.append) == tmp_path / "checkpoint-9"
    assert ["inner/weights is missing" in told[0], "it has no manifest.json" in told[1], len(told)] == [True, True, 2]
    (tmp_path / "checkpoint-9" / "inner" / "weights").write_bytes(bytes(999))
    assert newest(tmp_path, told.append) is None
    assert "999 bytes instead of 1,000" in told[2]
    assert "training starts anew" in told[2]


@pytest.mark.parametrize("keep", [True, False])
def test_clearing_leaves_what_others_own(tmp_path, keep):
    checkpoint(tmp_path, 5)
    for name in (".saving", ".broken-checkpoint-4", ".replaced-checkpoint-3", ".aside-20260101-000000", "runs"):
        (tmp_path / name).mkdir()
    clear(tmp_path, keep)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".aside-20260101-000000", "runs"} | ({"checkpoint-5"} if keep else set())


def test_a_named_checkpoint_must_be_whole(tmp_path):
    options = replace(SFT, trainer={"resume_from_checkpoint": str(tmp_path / "checkpoint-5")})
    with pytest.raises(UserError, match="not whole: it has no manifest"):
        distill(TASK, PROBLEMS, options, MODEL, "cot", Budget("steps", 20), 0, tmp_path)


def test_a_restored_meter_counts_on_from_there():
    meter = Meter(Budget("steps", 10))
    with meter.running():
        time.sleep(0.05)
        meter.restore(Cost(steps=4, seconds=100.0))
        assert meter.spent.seconds - 100 < 0.05
    assert meter.progress == 0.4


def test_the_clock_asks_for_a_checkpoint_only_when_its_time_has_come():
    class State:
        global_step = 1

    class Arguments:
        save_strategy = "no"

    class Control:
        should_save = False

    callback = CheckpointCallback(Meter(Budget("steps", 10)), Checkpoints(minutes=0.1 / 60), processes=1)
    callback.on_train_begin(None, State, Control)
    assert not callback.on_step_end(Arguments, State, Control()).should_save
    time.sleep(0.11)
    assert callback.on_step_end(Arguments, State, Control()).should_save
    callback.on_save(None, State, Control)
    assert not callback.on_step_end(Arguments, State, Control()).should_save
