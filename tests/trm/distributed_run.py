"""A short training run, started by ``accelerate launch``: python distributed_run.py FOLDER BATCH_SIZE."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from conftest import TINY, Backwards

from benchmarks.method import TrainingRun
from benchmarks.training.budget import Budget
from trm.options import TRMOptions
from trm.trainer import train


def main(folder: Path, batch_size: int) -> None:
    torch.set_num_threads(1)
    task = Backwards()
    settings = TINY | {"batch_size": batch_size, "exploration": 0.5, "trainer": {"logging_steps": 1, "use_cpu": True}}
    problems = task.generate("train", 192, seed=0)
    trained = train(TrainingRun(task, problems, TRMOptions(**settings), Budget("steps", 30), 0, folder))
    state = PartialState()
    if state.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        found = {
            "losses": [entry["loss"] for entry in trained.losses],
            "examples": trained.meter.spent.examples,
            "world": state.num_processes,
        }
        (folder / "losses.json").write_text(json.dumps(found))
    state.wait_for_everyone()
    state.destroy_process_group()  # else gloo's threads may end the process with an abort


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
