"""On the same problems, labels and compute: does thinking longer in tokens or in latent recursion win?

The front door::

    import reasoning_kit as rk

    task = rk.load_task("sudoku", size=4)
    run = rk.train("trm", task, budget="2e12 flops", n=4)
    results = rk.compare(tasks=["sudoku-4x4"], methods=["trm", "cot"], budget="2e12 flops", seeds=3)
    results.table()

Everything is loaded when it is first used, so that the import itself takes no time.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.compute import Cost
    from benchmarks.errors import UserError
    from benchmarks.evaluation import Solution, Solver
    from benchmarks.grid_task import GridTask
    from benchmarks.method import Method, Price, Setting, Trained, TrainingRun
    from benchmarks.problem import Answer, Problem, Verdict
    from benchmarks.scaling import Point, Scaled, Series
    from benchmarks.statistics import Interval, accuracy_interval
    from benchmarks.task import Task
    from benchmarks.training.budget import Budget
    from reasoning_kit.api import compare, evaluate, load_comparison, load_run, load_task, train
    from reasoning_kit.config.plugins import load_plugins, register_method, register_task

# Where each name of the front door lives.
_HOMES = {
    "Answer": "benchmarks.problem",
    "Budget": "benchmarks.training.budget",
    "Cost": "benchmarks.compute",
    "GridTask": "benchmarks.grid_task",
    "Interval": "benchmarks.statistics",
    "Method": "benchmarks.method",
    "Point": "benchmarks.scaling",
    "Price": "benchmarks.method",
    "Problem": "benchmarks.problem",
    "Scaled": "benchmarks.scaling",
    "Series": "benchmarks.scaling",
    "Setting": "benchmarks.method",
    "Solution": "benchmarks.evaluation",
    "Solver": "benchmarks.evaluation",
    "Task": "benchmarks.task",
    "Trained": "benchmarks.method",
    "TrainingRun": "benchmarks.method",
    "UserError": "benchmarks.errors",
    "Verdict": "benchmarks.problem",
    "accuracy_interval": "benchmarks.statistics",
    "compare": "reasoning_kit.api",
    "evaluate": "reasoning_kit.api",
    "load_comparison": "reasoning_kit.api",
    "load_plugins": "reasoning_kit.config.plugins",
    "load_run": "reasoning_kit.api",
    "load_task": "reasoning_kit.api",
    "register_method": "reasoning_kit.config.plugins",
    "register_task": "reasoning_kit.config.plugins",
    "train": "reasoning_kit.api",
}

__all__ = [
    "Answer", "Budget", "Cost", "GridTask", "Interval", "Method", "Point", "Price", "Problem", "Scaled",
    "Series", "Setting", "Solution", "Solver", "Task", "Trained", "TrainingRun", "UserError", "Verdict",
    "__version__", "accuracy_interval", "compare", "evaluate", "load_comparison", "load_plugins", "load_run",
    "load_task", "register_method", "register_task", "train",
]  # fmt: skip

try:
    __version__ = version("reasoning_kit")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"


def _claim_packages() -> None:
    """Take the kit's other packages from beside this one, whatever the working folder calls ``trm`` or ``benchmarks``.

    Raises:
        ImportError: if a package of that name is loaded already and is not the kit's.
    """
    root = Path(__file__).parents[1]
    for name in ("benchmarks", "trm", "cot_distill", "grpo"):
        file = root / name / "__init__.py"
        if name in sys.modules:
            loaded = sys.modules[name].__file__
            if loaded is None or Path(loaded).resolve() != file.resolve():
                raise ImportError(
                    f"reasoning_kit needs its own package '{name}', but {loaded} is loaded under that name; "
                    "rename that file, or import reasoning_kit first"
                )
            continue
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


_claim_packages()


def _register_models() -> None:
    """Saved models of the kit load with transformers' ``Auto`` classes, whenever transformers is imported."""
    from trm.register import register_lazily

    register_lazily()


_register_models()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'reasoning_kit' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
