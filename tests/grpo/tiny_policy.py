"""A task, a model and options with which GRPO trains in seconds."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.language_models import ModelOptions
from benchmarks.task import load_task
from cot_distill.options import SFTOptions
from grpo.options import GRPOOptions

TASK = load_task("arithmetic", operation="addition", digits=(1, 1))
MODEL = ModelOptions(width=32, layers=2, heads=2, key_value_heads=2, inner=64)
SFT = SFTOptions(batch_size=32, learning_rate=1e-2, warmup_steps=10, schedule="constant")
SMALL = GRPOOptions(
    distillation=replace(SFT, batch_size=8, warmup_steps=1), num_generations=4, batch_size=8, warmup_steps=1,
    learning_rate=1e-3, max_new_tokens=14, held_out=0,
)  # fmt: skip
