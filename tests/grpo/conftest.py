"""One start checkpoint for every file."""

from __future__ import annotations

import pytest
import torch
from tiny_policy import MODEL, SFT, TASK
from training_runs import distill

from benchmarks.training.budget import Budget


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def problems():
    return TASK.generate("train", 60, 0)


@pytest.fixture(scope="session")
def half_taught(tmp_path_factory, problems):
    """The folder of a checkpoint that solves about half of the problems when it samples."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("start")
    trained = distill(TASK, problems, SFT, MODEL, "cot", Budget("steps", 90), 0, folder / "trainer")
    trained.model.save_pretrained(folder)
    trained.tokenizer.save_pretrained(folder)
    return folder
