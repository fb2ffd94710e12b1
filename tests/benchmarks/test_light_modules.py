"""Modules that every command needs import in an instant: heavy libraries are loaded where something is computed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "trl", "peft", "accelerate", "pandas", "scipy", "statsmodels", "pyarrow")
MODULES = (
    "compute",
    "errors",
    "final_answer",
    "scaling",
    "statistics",
    "voting",
    "files.csv_rows",
    "files.hub",
    "files.jsonl",
    "files.text",
    "sandbox.run",
    "sandbox.pool",
    "training.budget",
    "training.saving",
    "training.trainer_options",
)


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """The heavy libraries that were there after each module, imported one after the other in one process."""
    lines = ["import importlib, sys"]
    for module in MODULES:
        lines.append(f"importlib.import_module('benchmarks.{module}')")
        lines.append(f"print('{module}', *[name for name in {HEAVY} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        module, *heavy = line.split()
        found[module] = heavy
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_that_every_command_needs_loads_nothing_heavy(module, loaded):
    assert loaded[module] == []
