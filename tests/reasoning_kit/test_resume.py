"""A run killed on the command line goes on with the same command, and its record is that of an undisturbed one."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from command_line import PROGRAM, call, environment, workers_of

from benchmarks.records import RunRecord, load_predictions
from benchmarks.training.checkpoints import checkpoints_in
from benchmarks.training.saving import Checkpoints
from reasoning_kit.config.spec import RunSpec, fingerprint, load_config
from reasoning_kit.runs.results import TRAINER, Unfinished, resume_or_start
from reasoning_kit.runs.run import run

pytestmark = pytest.mark.slow

SMALL = (
    "task=sudoku-4x4", "method=trm", "budget.unit=steps", "train_size=50", "test_size=8", "evaluation.curve_problems=4",
    "evaluation.milestones=[0.1,0.9]", "method.trm.width=16", "method.trm.batch_size=8", "method.trm.T=2",
    "method.trm.n=2",
)  # fmt: skip
LONG = (*SMALL, "budget.limit=600", "checkpoint_minutes=0.005")
RUN = Path("sudoku-4x4/trm/seed-0")


def spec_of(*words: str) -> RunSpec:
    [spec] = load_config(words).runs()
    return spec


def wait_for(condition, patience: float = 120.0) -> None:
    while not condition():
        assert (patience := patience - 0.05) > 0
        time.sleep(0.05)


def is_free(log: Path) -> bool:
    """Whether the worker's lock is gone, which outlives its name in the list of processes."""
    with log.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def without_seconds(value):
    if isinstance(value, dict):
        return {key: without_seconds(inner) for key, inner in value.items() if "seconds" not in key}
    return [without_seconds(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_killed_and_stopped_it_goes_on_and_its_record_is_the_undisturbed_one(tmp_path):
    """First the launcher is killed, which ends its worker too; then the worker is asked to stop."""
    folder, words = tmp_path / "out" / RUN, ("train", *LONG, "--out", str(tmp_path / "out"))
    launcher = subprocess.Popen([PROGRAM, *words], env=environment(), stdout=subprocess.DEVNULL)
    wait_for(lambda: checkpoints_in(folder / TRAINER))
    launcher.kill()
    launcher.wait()
    wait_for(lambda: not workers_of(folder) and is_free(folder / "log.txt"))
    assert not (folder / "record.json").exists()

    worker = subprocess.Popen(
        [sys.executable, "-m", "reasoning_kit.runs.worker", str(folder / "spec.json"), str(folder), "0.005"],
        env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    messages = []
    for line in worker.stdout:
        messages.append(json.loads(line))
        if "resumed" in messages[-1].get("phase", ""):
            worker.send_signal(signal.SIGTERM)
    assert (worker.wait(), messages[-1].get("what")) == (128 + signal.SIGTERM, "stopped."), messages[-1]
    [told] = [message["note"] for message in messages if "note" in message]
    first = int(told.split()[3])
    second = int(checkpoints_in(folder / TRAINER)[0].name.split("-")[1])
    assert 0 < first < second

    done = call(*words)
    assert done.returncode == 0, done.stderr
    assert f"sudoku-4x4  trm  seed 0: resumed at step {second} ({second / 600:.0%} of the budget)." in done.stdout
    record = RunRecord.load(folder)
    assert [note.split(" (")[0] for note in record.notes[:2]] == [f"Resumed at step {n}" for n in (first, second)]
    assert "last attempt" in record.notes[2]
    assert list((folder / TRAINER).iterdir()) == [], "checkpoints are removed once the weights are saved"

    torch.set_num_threads(1)
    undisturbed = run(spec_of(*LONG), tmp_path / "undisturbed", lambda *_: None)
    for name in ("metrics", "training", "curve", "loss", "scaling", "demo", "fingerprint", "data"):
        assert without_seconds(getattr(record, name)) == without_seconds(getattr(undisturbed, name)), name
    assert undisturbed.notes == []
    for one, other in zip(load_predictions(folder), load_predictions(tmp_path / "undisturbed"), strict=True):
        assert without_seconds(one) == without_seconds(other)


class Crash(Exception):
    pass


def crashed(words: tuple[str, ...], folder: Path, at: float) -> None:
    """A run that ends after the share ``at`` of its training, having saved after every step."""

    def progress(phase, share, numbers):
        if phase.startswith("training") and share >= at:
            raise Crash

    with pytest.raises(Crash):
        run(spec_of(*words), folder, progress, Checkpoints(1e-9, True, lambda text: None))


def test_points_of_the_curve_that_came_after_the_checkpoint_are_measured_again(tmp_path):
    words = (*SMALL, "budget.limit=20")
    crashed(words, tmp_path, 0.95)
    before = Unfinished.load(tmp_path)
    assert [point["steps"] for point in before.curve] == [2, 18]
    os.truncate(tmp_path / TRAINER / "checkpoint-18" / "optimizer.pt", 10)
    told: list[str] = []
    record = run(spec_of(*words), tmp_path, lambda *_: None, Checkpoints(1e-9, True, told.append))
    assert [point["steps"] for point in record.curve] == [2, 18, 20]
    assert "optimizer.pt has 10 bytes" in told[0]
    assert told[1] == "resumed at step 17 (85% of the budget)."
    assert [note[1:] for note in record.notes[:2]] == [message[1:] for message in told]


def test_checkpoints_of_another_configuration_are_moved_aside_and_told(tmp_path):
    crashed((*SMALL, "budget.limit=20"), tmp_path, 0.5)
    before = {path.name: path.stat().st_size for path in (tmp_path / TRAINER).rglob("*")}
    told: list[str] = []
    changed = (*SMALL, "budget.limit=20", "method.trm.learning_rate=0.01")
    record = run(spec_of(*changed), tmp_path, lambda *_: None, Checkpoints(1e-9, True, told.append))
    [aside] = tmp_path.glob(f".{TRAINER}-*")
    assert told == [
        "the checkpoints of an unfinished run are of another configuration or other problems: they are now in "
        f"{aside}, and training starts anew."
    ]
    assert {path.name: path.stat().st_size for path in aside.rglob("*")} == before
    assert (record.training["steps"], record.notes) == (20, [])


@pytest.mark.parametrize("resume", [True, False])
def test_taking_up_is_for_the_same_run_only_and_if_wanted(tmp_path, resume):
    mine = Unfinished("mine", "problems", notes=["so far"])
    mine.save(tmp_path)
    (tmp_path / TRAINER / "checkpoint-3").mkdir()
    told: list[str] = []
    taken = resume_or_start(tmp_path, "mine", "problems", resume, told.append)
    assert taken.notes == (["so far"] if resume else [])
    assert bool(told) is not resume
    assert (tmp_path / TRAINER).exists() is resume
    mine.save(tmp_path)
    assert resume_or_start(tmp_path, "mine", "others", True, told.append).notes == []
    mine.save(tmp_path)
    (tmp_path / TRAINER / "unfinished.json").write_text('{"torn')
    assert resume_or_start(tmp_path, "mine", "problems", True, told.append).notes == []


def test_how_often_it_saves_decides_no_result():
    [often], [never] = (load_config([*SMALL, f"checkpoint_minutes={n}"]).runs() for n in (1, 0))
    assert fingerprint(often) == fingerprint(never)


def test_a_users_own_checkpoints_stay(tmp_path):
    own = ("+method.trm.trainer.save_strategy=steps", "+method.trm.trainer.save_steps=8")
    record = run(
        spec_of(*SMALL, "budget.limit=20", *own), tmp_path, lambda *_: None, Checkpoints(5, True, lambda text: None)
    )
    assert [path.name for path in checkpoints_in(tmp_path / TRAINER)] == [f"checkpoint-{n}" for n in (20, 16, 8)]
    assert record.notes == []
