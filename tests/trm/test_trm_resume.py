"""Killed with SIGKILL at any moment and started again, training ends as the undisturbed run does, to the last bit."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_runs import train_recursive as train

from benchmarks.errors import UserError
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from benchmarks.training.checkpoints import checkpoints_in, newest
from benchmarks.training.saving import Checkpoints
from trm.options import TRMOptions

pytestmark = pytest.mark.slow

STEPS = 60
OPTIONS = {"width": 16, "heads": 2, "T": 2, "n": 2, "batch_size": 8, "supervision_steps": 4, "warmup_steps": 5}
OFTEN = 1e-9  # minutes: after every step


def run(folder: Path, pipe=None, precision: str = "float32", every: int = 0) -> None:
    """One attempt, in a process of its own; tells every step, and leaves what training returned in ``result.pt``.

    ``every`` so many steps it saves, after every step (by the clock) if 0.
    """
    torch.set_num_threads(1)
    logging.getLogger("benchmarks.training").addHandler(logging.FileHandler(folder.with_suffix(".log")))
    steps = {"save_strategy": "steps", "save_steps": every, "save_total_limit": 2}
    task = load_task("sudoku", size=4)
    trained = train(
        task,
        task.generate("train", 50, 0),  # six batches in each pass, so that checkpoints fall on all parts of one
        TRMOptions(**OPTIONS, precision=precision, schedule="cosine", trainer=steps if every else {}),
        Budget("steps", STEPS),
        0,
        folder,
        on_progress=lambda spent: pipe and pipe.send(spent.steps),
        checkpoints=Checkpoints(OFTEN, resume=True),
    )
    spent = trained.meter.spent.to_dict() | {"seconds": None}
    torch.save((trained.model.state_dict(), trained.losses, spent), folder / "result.pt")


@pytest.fixture(scope="module")
def processes():
    """Real processes, without the seconds of imports: the server that starts them has them done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trm.trainer", "benchmarks.puzzles.sudoku.task"])
    return context


def undisturbed(processes, folder: Path, *options) -> None:
    process = processes.Process(target=run, args=(folder, None, *options))
    process.start()
    process.join()
    assert process.exitcode == 0


def killed(processes, folder: Path, kill_at: int, delay: float, *options) -> int:
    """The step that the process had reached when it was killed."""
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=run, args=(folder, there, *options))
    process.start()
    there.close()
    reached = 0
    while reached < kill_at:
        reached = here.recv()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return reached


def same(one: Path, other: Path) -> None:
    """Everything in the checkpoints after the last step: weights, EMA, optimiser, carry, random states, log."""
    for name in ("model.safetensors", "ema.safetensors"):
        first, second = load_file(one / name), load_file(other / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(tensor, second[key]) for key, tensor in first.items()), name
    for name in ("optimizer.pt", "scheduler.pt", "carry-0.pt", "rng_state.pth", "progress-0.pt"):
        assert plain(one / name) == plain(other / name), name
    logs = [json.loads((folder / "trainer_state.json").read_text())["log_history"] for folder in (one, other)]
    assert logs[0] == logs[1]
    assert len(logs[0]) == STEPS / 10


def plain(path: Path):
    def convert(value):
        if isinstance(value, torch.Tensor):
            return value.dtype, value.tolist()
        if isinstance(value, dict):
            return {key: convert(inner) for key, inner in value.items() if key != "seconds"}
        if isinstance(value, list | tuple):
            return [convert(inner) for inner in value]
        return repr(value)

    return convert(torch.load(path, weights_only=False))


@pytest.mark.parametrize("options", [("float32", 3), ("bfloat16", 0)])
def test_killed_at_five_moments_and_resumed_it_is_the_undisturbed_run(processes, tmp_path, options):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    undisturbed(processes, whole, *options)
    chance = random.Random(options[0])
    for kill_at in sorted(chance.sample(range(4, STEPS - 4), 5)):
        killed(processes, broken, kill_at, chance.uniform(0, 0.03), *options)
        assert checkpoints_in(broken)
    undisturbed(processes, broken, *options)
    same(whole / f"checkpoint-{STEPS}", broken / f"checkpoint-{STEPS}")
    (weights, losses, spent), (others, *rest) = (torch.load(f / "result.pt") for f in (whole, broken))
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())
    assert [losses, spent] == rest
    assert broken.with_suffix(".log").read_text().count("resumed at step") == 5
    assert len(checkpoints_in(broken)) == 2, "old ones are removed"
    assert not list(broken.glob(".*")), "nothing is left of checkpoints that were cut short"
    undisturbed(processes, broken, *options)  # its last step is saved: nothing is left to train
    again = torch.load(broken / "result.pt")
    assert all(torch.equal(tensor, again[0][name]) for name, tensor in weights.items())
    assert [losses, spent] == list(again[1:])


def run_of_two(folder: Path, rank: int, port: int, pipe=None) -> None:
    """One of two processes that train together, as `accelerate launch` starts them."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true", GLOO_SOCKET_IFNAME="lo",
    )  # fmt: skip
    run(folder, pipe)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # else gloo's threads may end the process with an abort


def together(processes, folder: Path, kill_at: float = float("inf")) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here, there = processes.Pipe(duplex=False)
    pair = [
        processes.Process(target=run_of_two, args=(folder, rank, port, there if rank == 0 else None)) for rank in (0, 1)
    ]
    for process in pair:
        process.start()
    there.close()
    reached = 0
    while reached < min(kill_at, STEPS):
        reached = here.recv()
    if kill_at < STEPS:
        for process in pair:  # at once: who hears that the other is gone ends with an error of its own
            os.kill(process.pid, signal.SIGKILL)
    for process in pair:
        process.join()
        assert process.exitcode == (-signal.SIGKILL if kill_at < STEPS else 0)


@pytest.mark.slow
def test_two_processes_killed_and_resumed_are_the_undisturbed_two(processes, tmp_path):
    """The second process writes its carry and its random states, and waits for the first one's clock."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    together(processes, whole)
    together(processes, broken, kill_at=17)
    together(processes, broken)
    assert "resumed at step" in broken.with_suffix(".log").read_text()
    name = f"checkpoint-{STEPS}"
    assert (whole / name / "carry-1.pt").exists()
    for file in ("carry-0.pt", "carry-1.pt", "rng_state_1.pth", "optimizer.pt", "progress-1.pt"):
        assert plain(whole / name / file) == plain(broken / name / file), file
    first, second = (load_file(folder / name / "ema.safetensors") for folder in (whole, broken))
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with two checkpoints of a short run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("saved") / "run"
    short_run(folder, 6, OFTEN)
    assert [path.name for path in checkpoints_in(folder)] == ["checkpoint-6", "checkpoint-5"]
    return folder


def short_run(folder: Path, steps: int, minutes: float = OFTEN, told: list[str] | None = None, **options):
    task = load_task("sudoku", size=4)
    return train(
        task,
        task.generate("train", 50, 0),
        TRMOptions(**OPTIONS, **options),
        Budget("steps", steps),
        0,
        folder,
        checkpoints=Checkpoints(minutes, told is not None, print if told is None else told.append),
    )


KINDS = (
    "model.safetensors", "ema.safetensors", "optimizer.pt", "scheduler.pt", "carry-0.pt", "progress-0.pt",
    "rng_state.pth", "trainer_state.json", "config.json", "training_args.bin", "manifest.json",
)  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", ["a flipped byte", "cut short", "missing"])
def test_damage_to_any_file_is_seen_and_the_checkpoint_before_is_used(saved, tmp_path, name, damage):
    folder = shutil.copytree(saved, tmp_path / "run")
    file = folder / "checkpoint-6" / name
    content = bytearray(file.read_bytes())
    if damage == "a flipped byte":
        content[random.Random(name).randrange(len(content))] ^= 0x10
        file.write_bytes(content)
    elif damage == "cut short":
        file.write_bytes(content[: len(content) // 2])
    else:
        file.unlink()
    told: list[str] = []
    assert newest(folder, told.append) == folder / "checkpoint-5"
    [message] = told
    assert message.startswith(f"{folder / 'checkpoint-6'} is not whole: ")
    assert name in message
    assert "checkpoint-5 before it is used" in message
    assert (folder / ".broken-checkpoint-6").is_dir()
    assert newest(folder, told.append) == folder / "checkpoint-5"
    assert len(told) == 1, "told once"


def test_every_file_of_a_checkpoint_is_one_that_was_damaged_above(saved):
    assert {path.name for path in (saved / "checkpoint-6").iterdir()} == set(KINDS)


def test_with_a_broken_newest_checkpoint_training_ends_the_same(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "run")
    with (folder / "checkpoint-6" / "optimizer.pt").open("r+b") as file:
        file.truncate(100)
    told: list[str] = []
    resumed = short_run(folder, 12, told=told)
    assert "optimizer.pt has 100 bytes" in told[0]
    whole = short_run(tmp_path / "whole", 12)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert resumed.meter.spent.to_dict() | {"seconds": 0} == whole.meter.spent.to_dict() | {"seconds": 0}


def test_a_run_that_starts_anew_moves_the_checkpoints_of_another_aside(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "run")
    shutil.copytree(folder / "checkpoint-6", folder / ".saving" / "checkpoint-7")  # what a crash leaves
    short_run(folder, 3)
    assert [path.name for path in checkpoints_in(folder)] == ["checkpoint-3", "checkpoint-2"]
    [aside] = folder.glob(".*")
    assert sorted(path.name for path in aside.iterdir()) == ["checkpoint-5", "checkpoint-6"]


def test_saving_is_the_users_where_they_set_a_strategy(tmp_path):
    short_run(tmp_path, 6, trainer={"save_strategy": "steps", "save_steps": 2})
    assert [path.name for path in checkpoints_in(tmp_path)] == ["checkpoint-6", "checkpoint-4", "checkpoint-2"]
    assert newest(tmp_path, print) == tmp_path / "checkpoint-6"
    short_run(tmp_path / "none", 6, minutes=0)
    assert not checkpoints_in(tmp_path / "none")


def test_weights_alone_are_not_resumed_from(tmp_path):
    only = {"save_strategy": "steps", "save_steps": 2, "save_only_model": True}
    short_run(tmp_path, 4, trainer=only)
    told: list[str] = []
    assert newest(tmp_path, told.append) is None
    assert all("weights only" in message and "starts anew" in message for message in told)


def test_a_checkpoint_of_more_processes_is_refused(saved, tmp_path):
    from benchmarks.training.checkpoints import seal

    folder = shutil.copytree(saved, tmp_path / "run")
    seal(folder / "checkpoint-6", 6, processes=2)
    with pytest.raises(UserError, match="by 2 process"):
        short_run(folder, 12, told=[])
