"""``estimate`` of models that refine their tokens: what a run then really takes, and what its answers cost."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch

from benchmarks.text_form import completion_text
from cot_distill.generators.base import Completion
from cot_distill.solver import CausalLMSolver
from reasoning_kit.commands.estimate import estimate_run
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.finished import load_solver
from reasoning_kit.runs.run import run

pytestmark = pytest.mark.slow

TASK = "task.addition-10-long"
SMALL = (
    "task=[addition-10-long]", f"{TASK}.length=3", f"{TASK}.test_lengths=[3,9]", "train_size=80", "test_size=12",
    "model.width=16", "model.inner=32", "model.heads=2", "model.key_value_heads=2", "evaluation.curve_problems=0",
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def right_answers(solver: CausalLMSolver, problems, samples=1):
    """FLOPs of completions that say what is right, at full depth."""
    prices = []
    for problem, prompt in zip(problems, solver.prompts(problems), strict=True):
        ids = solver.tokenizer(completion_text(solver.task, problem, None), add_special_tokens=False)["input_ids"]
        prices.append(solver.price([Completion("", len(ids) + 1, len(prompt), True)] * samples))
    return fmean(prices)


@pytest.mark.parametrize("method", ["ar_gpt", "ar_recursive_deep", "ar_jacobi", "ar_pause"])
def test_training_and_answers_cost_what_was_estimated(method, tmp_path):
    one, budget = [f"method=[{method}]"], 40
    if method == "ar_jacobi":  # whose batches differ in price otherwise
        settings = f"method.{method}.model.settings"
        one += [f"{settings}.training_sweeps=fixed", f"{settings}.training_depth=full"]
    [spec] = load_config([*SMALL, *one, "budget.unit=steps", "budget.limit=2"]).runs()
    record = run(spec, tmp_path, lambda *_: None)
    per_step = record.training["flops"] / record.training["steps"]
    [asked] = load_config([*SMALL, *one, "budget.unit=flops", f"budget.limit={budget * per_step}"]).runs()
    found = estimate_run(asked, probe=False)
    assert found.parameters == record.parameters
    assert found.state_bytes == 16 * record.parameters
    assert found.flops_per_step == pytest.approx(per_step)
    assert found.steps == pytest.approx(budget)
    task, splits = spec.task.load(), spec.splits()
    expected = right_answers(load_solver(spec, task, tmp_path), splits.test)
    assert found.flops_per_answer == pytest.approx(expected), "test problems are longer than those of training"


def test_samples_of_an_answer_are_paid_and_its_prompt_once(tmp_path):
    words = [*SMALL, "method=[ar_recursive_deep]", "budget.unit=steps", "budget.limit=1"]
    [spec] = load_config([*words, "method.ar_recursive_deep.solver={samples: 3, temperature: 1}"]).runs()
    run(spec, tmp_path, lambda *_: None)
    task, splits = spec.task.load(), spec.splits()
    expected = right_answers(load_solver(spec, task, tmp_path), splits.test, samples=3)
    assert estimate_run(spec, probe=False).flops_per_answer == pytest.approx(expected)
