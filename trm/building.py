"""The configuration of the model that fits a task. Light enough for a price: it loads no trainer."""

from __future__ import annotations

from dataclasses import fields

from benchmarks.grid_task import GridTask
from trm.configuration import TRMConfig
from trm.options import TRMOptions, mixer_for
from trm.puzzle_table import PuzzleTable

# What the options and the model's configuration have in common.
MODEL_OPTIONS = {f.name for f in fields(TRMOptions)} & set(TRMConfig().to_dict())


def build(task: GridTask, options: TRMOptions, table: PuzzleTable | None = None) -> TRMConfig:
    """The model that fits a task.

    Args:
        table: the puzzles that have vectors of their own.

    Raises:
        UserError: if the sizes do not fit together.
    """
    shared = {name: getattr(options, name) for name in MODEL_OPTIONS}
    return TRMConfig(
        vocabulary_size=task.vocabulary_size,
        positions=task.positions,
        puzzles=1 if table is None else table.vectors,
        puzzle_table=None if table is None else table.ranges,
        **shared | {"mixer": mixer_for(options.mixer, task.positions)},
    )
