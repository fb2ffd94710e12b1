"""A stranger's family trains every kind of model: recursive, direct, language models and the autoregressive TRM."""

from __future__ import annotations

import pytest
import torch
from toy_families import Factors, Flags, Sorting
from training_runs import distill, train_recursive

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.grid_task import as_grid
from benchmarks.language_models import ModelOptions
from benchmarks.training.budget import Budget
from cot_distill.options import SFTOptions
from trm.options import DirectOptions, TRMOptions
from trm.solver import TRMSolver

TINY = {"precision": "float32", "width": 32, "inner_multiple": 32, "batch_size": 16, "warmup_steps": 5}
RECURSIVE = [TRMOptions(**TINY, T=2, n=1, supervision_steps=3), DirectOptions(**TINY)]
SHAPE = {"layers": 1, "width": 32, "heads": 2, "key_value_heads": 2, "inner": 64}
TEXT = [ModelOptions(**SHAPE), ModelOptions(**SHAPE, architecture="autoregressive_trm", settings={"rung": "recursive"})]


@pytest.mark.parametrize("options", RECURSIVE, ids=["trm", "direct"])
@pytest.mark.parametrize("task", [Sorting(4, 2), Flags()], ids=["sorting", "flags"])
def test_recursive_models_run_on_it(task, options, tmp_path) -> None:
    torch.set_num_threads(1)
    problems = task.generate("train", 100, 0)
    trained = train_recursive(as_grid(task, "here"), problems, options, Budget("steps", 30), 0, tmp_path)
    evaluation = evaluate(TRMSolver(trained.model, task, votes=3), task, task.generate("test", 20, 0))
    assert 0 <= evaluation.accuracy <= 1
    assert trained.losses[-1]["loss"] < trained.losses[0]["loss"]


@pytest.mark.parametrize("model", TEXT, ids=["transformer", "autoregressive TRM"])
@pytest.mark.parametrize("task", [Sorting(4, 2), Factors()], ids=["sorting", "factors"])
def test_language_models_run_on_it(task, model, tmp_path) -> None:
    torch.set_num_threads(1)
    problems = task.generate("train", 100, 0)
    options = SFTOptions(batch_size=16)
    trained = distill(task, problems, options, model, "answer_only", Budget("steps", 20), 0, tmp_path)
    evaluation = evaluate(trained.solver(task, "answer_only"), task, task.generate("test", 10, 0))
    assert 0 <= evaluation.accuracy <= 1


def test_a_text_only_family_is_refused_where_grids_are_read() -> None:
    with pytest.raises(UserError, match="the family 'factors' is text only"):
        as_grid(Factors(), "method.trm")
