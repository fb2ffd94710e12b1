"""Every family imports in an instant: what computes with tensors is loaded only where something is computed."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "datasets", "pandas", "scipy")

CODE = f"""
import sys
import benchmarks.task, benchmarks.grid_task, benchmarks.splits, benchmarks.text_form
from benchmarks.task import FAMILIES, load_task
tasks = [load_task(family) for family in FAMILIES]
described = [(task.name, task.alphabet, task.instructions) for task in tasks]
print(len(described), [name for name in {HEAVY} if name in sys.modules])
"""


def test_families_and_their_options_need_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    count, loaded = done.stdout.split(maxsplit=1)
    assert int(count) >= 17
    assert loaded.strip() == "[]"
