"""``bench trm-solve``: puzzles per second with halting against always running all supervision steps.

One trained model, the same problems, one process; the ways take turns, so that what else the machine does falls on all.
Decoding is in the time, judging is not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.statistics import Difference, Interval, accuracy_interval, paired_difference
from reasoning_kit.registry import method

if TYPE_CHECKING:
    from benchmarks.evaluation import Solution
    from benchmarks.grid_task import GridTask
    from benchmarks.problem import Problem
    from reasoning_kit.config.spec import RunSpec
    from trm.modeling import TRMForPuzzles
    from trm.solver import TRMSolver

ALL, HALTING, WITHOUT_REFILL = "all steps", "halting", "halting, no refill"


@dataclass(frozen=True)
class SolveBench:
    """
    Attributes:
        per_second: puzzles per second of each way, one number per repeat.
        ratio: median over repeats of the speed with halting and refill over that of all steps.
        refill_ratio: the same over halting batch by batch, in which freed places stay empty.
        accuracy, all_steps_accuracy: with halting, and of all steps.
        difference: accuracy with halting minus that of all steps, on the same problems.
        mean_steps: supervision steps of a problem with halting.
        steps: always taken without.
    """

    problems: int
    batch_size: int
    steps: int
    mean_steps: float
    per_second: dict[str, list[float]]
    ratio: float
    refill_ratio: float
    accuracy: Interval
    all_steps_accuracy: Interval
    difference: Difference
    bfloat16: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def bench_solve(
    folder: Path,
    overrides: Sequence[str] = (),
    repeats: int = 5,
    batch_size: int = 128,
    steps: int | None = None,
    bfloat16: bool = False,
) -> SolveBench:
    """Measure on a finished run of TRM.

    Args:
        overrides: of the test problems, as in ``eval``.
        steps: supervision steps; as in training if not given.

    Raises:
        UserError: if there is no finished run of TRM with a halting head, or an override is wrong.
    """
    from benchmarks.grid_task import as_grid
    from reasoning_kit.runs.finished import chosen_problems
    from trm.method import trained_model

    spec = load_recursive_run(folder)
    task, splits, _ = chosen_problems(spec, overrides)
    grids = as_grid(task, str(folder))
    return measure_solve(grids, trained_model(folder), splits.test, repeats, batch_size, steps, bfloat16)


def load_recursive_run(folder: Path) -> RunSpec:
    """The specification of a finished run of TRM or a variant.

    Raises:
        UserError: if it is of another method, or not finished.
    """
    from benchmarks.errors import UserError
    from reasoning_kit.runs.finished import load_run
    from trm.method import TRM

    spec = load_run(folder)
    if not isinstance(method(spec.base), TRM):
        raise UserError(
            f"{spec.method} has no supervision steps to add.", where=str(folder), cure="Name a run of TRM or a variant."
        )
    return spec


def measure_solve(
    task: GridTask,
    model: TRMForPuzzles,
    problems: Sequence[Problem],
    repeats: int = 5,
    batch_size: int = 128,
    steps: int | None = None,
    bfloat16: bool = False,
) -> SolveBench:
    """The same for any model and problems."""
    from benchmarks.errors import UserError
    from benchmarks.evaluation import batched
    from trm.solver import TRMSolver

    if model.halting_head is None:
        raise UserError("the model has no halting head.", where="act", cure="Take a model trained with act=halt.")
    full = TRMSolver(model, task, steps, bfloat16=bfloat16)
    halting = TRMSolver(model, task, steps, halting=True, bfloat16=bfloat16)

    def without_refill() -> list[Solution]:
        """Batch by batch: a batch is as slow as its slowest puzzle."""
        parts = batched(problems, batch_size)
        return list(chain.from_iterable(halting.solve(part, batch_size) for part in parts))

    ways: dict[str, Callable[[], list[Solution]]] = {
        ALL: lambda: full.solve(problems, batch_size),
        HALTING: lambda: halting.solve(problems, batch_size),
        WITHOUT_REFILL: without_refill,
    }
    full.solve(problems[:batch_size], batch_size)  # the first call pays for what torch sets up
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    solutions: dict[str, list[Solution]] = {}
    for _ in range(repeats):
        for name, solve in ways.items():
            started = time.perf_counter()
            solutions[name] = solve()
            _wait(full)
            speeds[name].append(len(problems) / (time.perf_counter() - started))
    right = {
        name: np.array([task.verify(p, s.answer).correct for p, s in zip(problems, found, strict=True)], dtype=float)
        for name, found in solutions.items()
    }
    orbits = [p.orbit for p in problems]
    return SolveBench(
        problems=len(problems),
        batch_size=batch_size,
        steps=full.steps,
        mean_steps=statistics.mean(s.steps for s in solutions[HALTING]),
        per_second=speeds,
        ratio=_ratio(speeds[HALTING], speeds[ALL]),
        refill_ratio=_ratio(speeds[HALTING], speeds[WITHOUT_REFILL]),
        accuracy=accuracy_interval([right[HALTING]], orbits),
        all_steps_accuracy=accuracy_interval([right[ALL]], orbits),
        difference=paired_difference([right[HALTING]], [right[ALL]], orbits),
        bfloat16=bfloat16,
    )


def _ratio(a: Sequence[float], b: Sequence[float]) -> float:
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def _wait(solver: TRMSolver) -> None:
    """Until the device has done all it was given."""
    import torch

    if solver.model.device.type != "cpu":
        torch.accelerator.synchronize()
