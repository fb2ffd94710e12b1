"""Finished runs of before are recognised, and nothing that cannot matter makes a run another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasoning_kit.config.spec import fingerprint, is_same_run, load_config, spec_from_dict, whole_fingerprint

BEFORE = json.loads((Path(__file__).parent / "golden" / "runs_of_before.json").read_text())
NAMES = [f"{run['config']['task_name']}-{run['config']['method']}-{number}" for number, run in enumerate(BEFORE)]


@pytest.mark.parametrize("run", BEFORE, ids=NAMES)
def test_a_record_of_before_is_of_the_same_run(run):
    spec = spec_from_dict(run["config"])
    assert fingerprint(spec) == run["fingerprint"]
    assert is_same_run(SimpleNamespace(**run), spec)
    assert not is_same_run(SimpleNamespace(**run), replace(spec, seed=spec.seed + 1))


def test_the_quick_comparison_finds_its_runs_of_before():
    specs = [spec for spec in load_config(["experiment=quick"]).runs() if spec.task_name == "sudoku-4x4"]
    assert len(specs) == 5
    assert {fingerprint(spec) for spec in specs} <= {run["fingerprint"] for run in BEFORE}


def runs(*overrides: str):
    return {spec.method: spec for spec in load_config(["method=[direct,trm,cot]", *overrides]).runs()}


@pytest.mark.parametrize("change", ["model.width=48", "evaluation.batch_size=7"])
def test_what_cannot_matter_to_a_recursive_model_leaves_its_run_finished(change):
    before, after = runs(), runs(change)
    for method in ("direct", "trm"):
        assert fingerprint(before[method]) == fingerprint(after[method])
    assert fingerprint(before["cot"]) != fingerprint(after["cot"])


def test_a_record_with_another_language_model_beside_it_is_still_of_the_same_run():
    """Its stored fingerprint is of before, when the model counted; its configuration says that it is the same run."""
    spec = runs()["trm"]
    config = json.loads(json.dumps(BEFORE[[run["config"]["method"] for run in BEFORE].index("trm")]["config"]))
    config["model"]["width"] = 48
    wanted = spec_from_dict({**config, "model": {**config["model"], "width": 96}})
    stored = whole_fingerprint(spec_from_dict(config))
    assert stored != fingerprint(wanted)
    assert is_same_run(SimpleNamespace(fingerprint=stored, config=config), wanted)
    assert not is_same_run(SimpleNamespace(fingerprint=stored, config=config), replace(spec, seed=3))
    assert not is_same_run(SimpleNamespace(fingerprint="0123456789abcdef", config=config), wanted), "a changed record"


def test_a_configuration_that_nobody_knows_is_another_run():
    spec = runs()["trm"]
    for config in ({}, {"method": "trm"}, {"method": "gone", "task": {"family": "sudoku"}}):
        assert not is_same_run(SimpleNamespace(fingerprint="x", config=config), spec)
