"""Short ways to call the trainers in tests: the arguments of a :class:`benchmarks.method.TrainingRun` in a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.method import TrainingRun


def train_recursive(task, problems, options, budget, seed, output_dir: Path, **more: Any):
    """TRM and its variants."""
    from trm.trainer import train

    run = TrainingRun(task, problems, options, budget, seed, output_dir, where="method.trm", **more)
    return train(run)


def distill(task, problems, options, model, style, budget, seed, output_dir: Path, **more: Any):
    """Answers alone or chains of thought."""
    from cot_distill.train import train

    run = TrainingRun(task, problems, options, budget, seed, output_dir, model, f"method.{style}", **more)
    return train(run, style)


def train_policy(task, problems, options, model, budget, seed, output_dir: Path, at_start=None, **more: Any):
    """GRPO and its relatives."""
    from grpo.train import train

    at_phase = None if at_start is None else _phases(start=at_start)
    run = TrainingRun(
        task, problems, options, budget, seed, output_dir, model, "method.grpo", at_phase=at_phase, **more
    )
    return train(run)


def train_student(
    task,
    problems,
    options,
    model,
    budget,
    seed,
    output_dir: Path,
    keep: Path,
    at_start=None,
    at_policy=None,
    **more: Any,
):
    """A policy, its traces, and the student that learns from them."""
    from grpo.student import train

    at_phase = _phases(start=at_start, policy=at_policy)
    run = TrainingRun(
        task, problems, options, budget, seed, output_dir, model, "method.grpo", keep, at_phase=at_phase, **more
    )
    return train(run)


def _phases(**listeners: Any):
    def at_phase(name: str, solver: Any) -> float:
        if listeners.get(name) is not None:
            listeners[name](solver)
        return 0.0

    return at_phase
