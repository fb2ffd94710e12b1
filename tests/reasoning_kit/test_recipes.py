"""The recipes for a GPU train for real, with a tiny pretrained model in place of Qwen; and how one names a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from tiny_pretrained import save_tiny

from benchmarks.errors import UserError
from benchmarks.records import RunRecord
from grpo.options import GRPOOptions
from reasoning_kit.config.composition import config_folder
from reasoning_kit.config.spec import load_config, spec_from_dict
from reasoning_kit.runs.run import run

DATA = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
RECIPES = ("gpu-grpo-gsm8k", "gpu-grpo-countdown")
needs_data = pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="REASONING_KIT_DATA names no published files")


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(("recipe", "chat", "steps"), [("gpu-grpo-gsm8k", True, 2), ("gpu-grpo-countdown", False, 4)])
def test_a_recipe_trains(recipe, chat, steps, tmp_path):
    """Only what costs time is smaller: steps, problems, tokens. Batches, groups, losses and starts are the recipe's."""
    torch.set_num_threads(1)
    config = load_config(
        [
            f"experiment={recipe}", f"model={save_tiny(tmp_path / 'tiny', chat)}", f"data={DATA}",
            "train_size=200", "test_size=4", f"budget.limit={steps}", "evaluation.milestones=[0.75]",
            "method.grpo.max_new_tokens=8", "method.grpo.held_out_samples=2", "evaluation.curve_problems=2",
        ]
    )  # fmt: skip
    [spec] = config.runs()
    record = run(spec, tmp_path / "run", lambda *_: None)
    distilled = spec.options.start == "distill"
    assert record.training["steps"] == steps
    history = record.diagnostics["history"]
    assert len(history) == (steps / 2 if distilled else steps)
    assert [entry["groups/drawn"] for entry in history] == [16] * len(history)  # 128 completions, groups of 8
    assert all("failures/correct" not in entry for entry in history)
    assert ("kl" in history[0]) == (spec.options.beta > 0)
    assert len(record.diagnostics["before"]["right"]) == 20
    assert any("pretrained" in note for note in record.notes)
    again = RunRecord.load(tmp_path / "run")
    assert spec_from_dict(again.config) == spec
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("recipe", [*RECIPES, "grpo-products"])
def test_a_recipe_says_how_it_is_run_and_what_it_costs(recipe):
    text = (config_folder() / "experiment" / f"{recipe}.yaml").read_text()
    head = text.partition("defaults:")[0]
    assert f"\n# reasoning-kit compare experiment={recipe}" in head
    assert " s a run" in head or "hours" in head
    assert "Published, not ours" in head or "docs/results/" in head
    config = load_config([f"experiment={recipe}"])
    assert config.name == recipe
    assert all(isinstance(entry.options, GRPOOptions) for name, entry in config.methods.items() if "grpo" in name)


# --- model=... ------------------------------------------------------------------------------------


def model_of(*overrides):
    return load_config(["task=[gsm8k]", "method=grpo", *overrides]).model


def test_model_is_a_choice_a_folder_or_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "small", "it's, [odd]"):
        (tmp_path / name).mkdir()
    assert model_of("model=small").path is None  # a choice is a choice, whatever lies here
    assert model_of("model=small").width == 256
    for named in ("mine", "./mine", "Qwen/Qwen2.5-0.5B", str(tmp_path / "mine"), str(tmp_path / "it's, [odd]")):
        assert model_of(f"model={named}").path == named
        assert model_of(f"model={named}") == model_of(f"model.path={named}" if "'" not in named else f"model={named}")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_of("model=~/mine").path == str(tmp_path / "mine")
    assert model_of("model=Qwen/Qwen2.5-0.5B", "model.lora_rank=8").lora_rank == 8


@pytest.mark.parametrize("mistyped", ["smal", "tinny", "Qwen2.5-0.5B"])
def test_a_mistyped_choice_is_no_hub_name(mistyped):
    with pytest.raises(UserError, match=f"unknown model '{mistyped}'") as caught:
        model_of(f"model={mistyped}")
    assert "OWNER/NAME" in str(caught.value)
    if mistyped == "smal":
        assert "Did you mean 'small'?" in str(caught.value)


@pytest.mark.parametrize(("task", "start"), [("gsm8k", "distill"), ("gym-gcd", "model"), ("mbpp", "model")])
def test_grpo_on_any_task_from_a_pretrained_model(task, start):
    """``train method=grpo model=X task=<any>``: where no program can teach the family, from the model as it is."""
    pytest.importorskip("reasoning_gym")
    config = load_config([f"task={task}", "method=grpo", "model=OWNER/NAME"])
    [spec] = config.runs()
    assert spec.options.start == start
    if start == "model":
        with pytest.raises(UserError, match="no programmatic teacher"):
            load_config([f"task={task}", "method=grpo"])
