"""The ladder as rows of a comparison: trained by TRL, decoded by the engine, priced, and measured."""

from __future__ import annotations

import json

import pytest
import torch
from command_line import call
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.errors import UserError
from cot_distill.language_model import load_pretrained
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.finished import load_solver
from reasoning_kit.runs.run import run
from trm.autoregressive.ladder import ladder

pytestmark = pytest.mark.slow

SMALL = [
    "model.width=16", "model.inner=32", "model.heads=2", "model.key_value_heads=2", "train_size=40", "test_size=6",
    "budget.unit=steps", "evaluation.curve_problems=0", "task=[addition-10-long]", "task.addition-10-long.length=3",
    "task.addition-10-long.test_lengths=[3,4]",
]  # fmt: skip
RECURSIVE = "{architecture: autoregressive_trm, settings: {rung: recursive_deep, depth: adaptive}}"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def specs(methods, *more):
    return load_config([*SMALL, f"method=[{methods}]", *more]).runs()


def test_every_rung_is_a_preset_and_each_method_has_its_own_model():
    rows = {spec.method: spec for spec in specs(",".join(f"ar_{name}" for name in ladder()), "budget.limit=2")}
    assert {row.removeprefix("ar_") for row in rows} == set(ladder())
    for method, spec in rows.items():
        assert spec.model.settings == {"rung": method.removeprefix("ar_")}
        assert (spec.model.architecture, spec.model.width) == ("autoregressive_trm", 16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the ladder's top with halting, of a few steps."""
    folder = tmp_path_factory.mktemp("runs") / "top"
    [spec] = specs("ar_recursive_deep", "budget.limit=30", f"method.ar_recursive_deep.model={RECURSIVE}")
    record = run(spec, folder, lambda *_: None)
    return spec, folder, record


def test_a_run_is_trained_by_its_own_loss_saved_and_solved_again(trained):
    spec, folder, record = trained
    assert record.loss[-1]["loss"] < record.loss[0]["loss"]
    model, _ = load_pretrained(str(folder / "model"))
    assert model.config.model_type == "autoregressive_trm"
    assert model.config.depth == "adaptive"
    assert model.model.halting_head.weight.abs().sum() > 0, "the halting head has learned"
    task, splits = spec.task.load(), spec.splits()
    again = load_solver(spec, task, folder).solve(splits.test)
    assert len(again) == 6
    longest = max(solution.tokens for solution in again)
    price = model.config.price()
    prompt = len("123+456=<think></think>")
    assert all(s.flops <= price.generation(1, prompt + 10, longest) for s in again)


@pytest.mark.parametrize(("bias", "steps"), [(-50.0, 4), (50.0, 1)], ids=["never", "after the first step"])
def test_an_answer_pays_for_the_steps_that_its_tokens_took(trained, bias, steps):
    spec, folder, _ = trained
    task, splits = spec.task.load(), spec.splits()
    solver = load_solver(spec, task, folder)
    with torch.no_grad():
        solver.model.model.halting_head.bias.fill_(bias)
    price = solver.model.config.price()
    for prompt, solution in zip(solver.prompts(splits.test), solver.solve(splits.test), strict=True):
        assert solution.flops == price.generation(1, len(prompt), solution.tokens, steps)
        if steps < 4:
            assert solution.flops < price.generation(1, len(prompt), solution.tokens)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("method.grpo.distillation.model={width: 8}", "method.grpo.distillation.model"),
        ("method.grpo.pupil.distillation.model={width: 8}", "method.grpo.pupil.distillation.model"),
        ("method.grpo.solver.pauses=2", "method.grpo.solver.pauses"),
        ("method.grpo.distillation.solver.pauses=-1", "method.grpo.distillation.solver.pauses"),
        ("method.grpo.model={width: 30, heads: 4}", "method.grpo.model"),
    ],
)
def test_a_model_and_fillers_in_the_wrong_place_are_refused(words, where):
    with pytest.raises(UserError) as caught:
        specs("grpo", "budget.limit=1", words)
    assert caught.value.where == where
    assert caught.value.cure


def test_grpo_and_a_chain_of_thought_train_it_too(tmp_path):
    overrides = [f"method.{name}.model={RECURSIVE.replace(', depth: adaptive', '')}" for name in ("cot", "grpo")]
    more = ["method.grpo.batch_size=8", "method.grpo.num_generations=4", "method.grpo.held_out=0", "budget.limit=4"]
    for spec in specs("cot,grpo", *overrides, *more):
        record = run(spec, tmp_path / spec.method, lambda *_: None)
        assert record.training["steps"] == 4
        assert record.parameters == load_pretrained(str(tmp_path / spec.method / "model"))[0].num_parameters()


def test_bench_refinement_measures_a_run(trained, tmp_path):
    _, folder, record = trained
    done = call("bench", "refinement", folder, "--repeats", "1", "--rows", "4", "--out", tmp_path / "found.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    [run_found], [section] = found["runs"], found["sections"]
    ways = {(way["policy"], way["halting"]): way for way in run_found["ways"]}
    assert set(ways) >= {("committed", "fixed"), ("per_depth", "oracle")}
    assert run_found["lock_step"]["same_tokens"]
    assert {"no carry in", "carry of 1 column"} <= set(run_found["difficulty"]["carries"]["fixed"])
    assert set(run_found["difficulty"]["lengths"]["fixed"]) == {"length 3", "length 4"}
    exact = ways["per_depth", "adaptive"]
    assert sum(exact["whole"]) / len(exact["whole"]) == record.metrics["accuracy"]["value"]
    row = next(row for row in section["gap"] if (row["policy"], row["halting"]) == ("per_depth", "adaptive"))
    assert row["loss"]["value"] == exact["loss"]
    assert row["own"]


def test_bench_refinement_measures_the_claims(tmp_path, monkeypatch):
    from rich.console import Console

    from reasoning_kit.studies.autoregressive import decoding_cost as refinement
    from reasoning_kit.studies.autoregressive.command import bench_refinement

    monkeypatch.setattr(refinement, "PREFIXES", (8, 16, 32))
    monkeypatch.setattr(refinement, "STEPS", (1, 2, 4))
    monkeypatch.setattr(refinement.against_recomputation, "__defaults__", (24,))
    bench_refinement([], 32, 1, 2, 10, 0.5, tmp_path / "found.json", Console(quiet=True))
    found = json.loads((tmp_path / "found.json").read_text())
    assert all(row["allocated"] == row["formula"] for row in found["memory"])
    same = [row for row in found["memory"] if (row["policy"], row["tokens"]) == ("committed", refinement.PREFIX)]
    committed = {row["steps"]: row["allocated"] for row in same}
    assert len(set(committed.values())) == 1, "flat in refinement steps"
    assert found["recomputation"]["recomputed_flops"] > 5 * found["recomputation"]["cached_flops"]


def test_a_token_of_many_steps_is_refined_as_often_as_it_says(monkeypatch):
    """What is timed is what ``generate`` does, and costs what the formula says."""
    from reasoning_kit.studies.autoregressive import decoding_cost as refinement

    monkeypatch.setattr(refinement, "STEPS", (1, 3))
    monkeypatch.setattr("trm.layers.product", torch.nn.functional.linear)  # the counter does not know oneDNN's
    counted, median = [], refinement._median

    def measured(work, repeats):
        with FlopCounterMode(display=False) as counter:
            work()
        counted.append(counter.get_total_flops())
        return median(work, repeats)

    monkeypatch.setattr(refinement, "_median", measured)
    settings = {"vocab_size": 20, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 48, "T": 1, "n": 1}
    rows = refinement.against_steps(settings, "committed", 1, lambda text: None)["rows"]
    assert counted == pytest.approx([row["flops"] for row in rows], rel=0.01)


def test_what_is_no_run_of_the_ladder_is_refused(tmp_path):
    [spec] = specs("answer_only", "budget.limit=1")
    run(spec, tmp_path / "run", lambda *_: None)
    done = call("bench", "refinement", tmp_path / "run")
    assert done.returncode == 2
    assert "ar_recursive_deep" in done.stderr
    [spec] = specs("answer_only", "budget.limit=1", "method.answer_only.model={settings: {hidden_act: 7}}")
    with pytest.raises(UserError, match="settings"):
        run(spec, tmp_path / "wrong", lambda *_: None)
