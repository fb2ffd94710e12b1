"""The papers' systems as presets: parameters, depth and forward passes are those of the papers' tables."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from training_runs import train_recursive as train

from benchmarks.training.budget import Budget
from reasoning_kit.config.composition import choices, compose
from reasoning_kit.config.methods import Entry
from reasoning_kit.config.spec import ExperimentConfig, check_config, load_config
from reasoning_kit.registry import METHODS
from trm import pricing
from trm.configuration import TRMConfig
from trm.modeling import TRMForPuzzles
from trm.solver import TRMSolver
from trm.trainer import build

PUBLISHED = ["method.trm.width=512", "method.trm.heads=8", "method.trm.inner_multiple=256", "method.trm.prefix=16"]


def published(name: str) -> Entry:
    """A preset as its file has it."""
    return check_config(compose([f"method=[{name}]"])).methods[name]


VARIANTS = [
    name for name in choices("method") if name == "trm" or (name not in METHODS and published(name).base == "trm")
]

# Table 1 and section 6: effective depth T (n + 1) layers, and millions of parameters as they are printed there.
TABLE_1 = {
    "hrm": (24, 27),
    "trm": (42, 5),
    "trm_act": (42, 5),
    "trm_two_networks": (42, 10),
    "trm_no_ema": (42, 5),
    "trm_4_layers": (48, 10),
    "trm_attention": (42, 7),
    "trm_shallow": (12, 5),
    "trm_1_step": (42, 5),
}


@cache
def presets(*overrides: str) -> ExperimentConfig:
    """Every preset in one comparison, so that each follows the options of ``trm``."""
    return load_config([f"method=[{','.join(VARIANTS)}]", *overrides])


def preset(name: str, task: str = "sudoku-9x9") -> TRMConfig:
    """The model of a preset at the papers' size."""
    config = presets("task=[sudoku-9x9,maze-hard]", *PUBLISHED)
    return build(config.tasks[task].load(), config.methods[name].options)


def parameters(config: TRMConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in TRMForPuzzles(config).parameters())


@pytest.mark.parametrize(("name", "row"), TABLE_1.items(), ids=list(TABLE_1))
def test_table_1(name, row):
    depth, millions = row
    config = preset(name)
    assert config.depth == depth
    assert round(parameters(config) / 1e6) == millions


@pytest.mark.parametrize(
    ("name", "task", "count"),
    [
        ("trm_mlp", "sudoku-9x9", 5_028_866),
        ("trm_attention", "sudoku-9x9", 6_828_034),
        ("trm_attention", "maze-hard", 6_822_914),
        ("trm_mlp", "maze-hard", 18_795_522),
    ],
)
def test_published_parameter_counts(name, task, count):
    """TRM_FACTS; without puzzle vectors."""
    assert parameters(preset(name, task)) == count


def test_the_published_settings_are_the_experiments_settings():
    """The experiments of the paper build the same models."""
    published = (("paper-sudoku", "sudoku-extreme", 5_028_866), ("paper-maze", "maze-hard", 6_822_914))
    for experiment, task, count in published:
        config = load_config([f"experiment={experiment}"])
        assert parameters(build(config.tasks[task].load(), config.methods["trm"].options)) == count


def test_forward_passes():
    """Table 1, NFP: the continue loss doubles the forward passes of an optimiser step; nothing else does."""
    plain = preset("trm")
    for name in ("trm_act", "hrm"):
        config = preset(name)
        backward = 2 * (config.tracked * pricing.network(config) + pricing.heads(config))
        assert pricing.training_step(config) - backward == 2 * pricing.supervision_step(config)
    assert pricing.training_step(preset("trm_no_ema")) == pricing.training_step(plain)


def test_gradients_of_the_presets():
    """HRM and the 1-step gradient go back through two evaluations, k = 4 through four, TRM through n + 1."""
    assert {name: preset(name).tracked for name in ("trm", "hrm", "trm_1_step", "trm_last_4", "trm_fixed_point")} == {
        "trm": 7, "hrm": 2, "trm_1_step": 2, "trm_last_4": 4, "trm_fixed_point": 2,
    }  # fmt: skip


def test_the_quick_recipe_costs_a_sixth_per_optimiser_step():
    """(T + 2)(n + 1) evaluations: 6 against 35, and heads; it thinks at evaluation for as long as TRM does."""
    ratio = pricing.training_step(preset("trm_quick")) / pricing.training_step(preset("trm"))
    assert 6 / 35 < ratio < 7 / 35
    quick, plain = (presets().methods[name].options for name in ("trm_quick", "trm"))
    assert quick.evaluation_steps == plain.supervision_steps


@pytest.mark.parametrize("name", VARIANTS)
def test_each_preset_differs_from_trm_in_what_it_says(name):
    """A preset that changed nothing would be a row that compares TRM with itself."""
    config = presets()
    assert name == "trm" or config.methods[name].options != config.methods["trm"].options
    assert config.methods[name].base == "trm"


@pytest.mark.parametrize("name", VARIANTS)
def test_each_preset_trains(name, tmp_path):
    """Two supervision steps of every problem, on real puzzles, through the trainer."""
    sizes = ("width=16", "heads=2", "inner_multiple=16", "batch_size=8", "supervision_steps=2", "ema=0.5")
    config = presets("task=sudoku-4x4", *(f"method.trm.{size}" for size in sizes))
    task = config.tasks["sudoku-4x4"].load()
    problems = task.generate("train", 16, 0)
    trained = train(task, problems, config.methods[name].options, Budget("steps", 4), 0, tmp_path)
    assert trained.meter.spent.steps == 4
    assert all(torch.isfinite(p).all() for p in trained.model.parameters())
    [solution] = TRMSolver(trained.model, task).solve(problems[:1])
    assert solution.steps == 2
    assert (solution.trajectory[0].halting_probability is None) == (name == "trm_no_act")
