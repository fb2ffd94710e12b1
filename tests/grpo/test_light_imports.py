"""What is needed to check options loads no library of language models: a refused option must be told at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "trl", "peft", "accelerate", "vllm", "plotly")
COUNT = """
import importlib, sys
heavy = set({heavy!r})
for name in {before!r}:
    importlib.import_module(name)
already = heavy & set(sys.modules)
importlib.import_module({module!r})
print(*sorted(heavy & set(sys.modules) - already))
"""


def loaded_by(module: str, before: tuple[str, ...] = ()) -> list[str]:
    """Heavy libraries that ``module`` loads in a fresh process beyond those of the modules before."""
    script = COUNT.format(heavy=HEAVY, module=module, before=before)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["cot_distill.options", "cot_distill.server_options", "grpo.options", "grpo.health"])
def test_options_load_nothing_heavy(module):
    assert loaded_by(module) == []


@pytest.mark.parametrize("module", ["cot_distill.traces", "cot_distill.sft_examples", "cot_distill.pricing"])
def test_teachers_load_nothing_heavy_beyond_the_task(module):
    assert loaded_by(module, before=("benchmarks.task",)) == []


def test_a_heavy_module_is_counted():
    assert "torch" in loaded_by("cot_distill.train")
