"""The configuration of the model that fits a task. Light enough for a price: it loads no trainer."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from benchmarks.grid_task import GridTask
from trm.configuration import TRMConfig
from trm.options import TRMOptions
from trm.puzzle_table import PuzzleTable

MLP_UP_TO = 128  # positions up to which mixer="auto" mixes by an MLP, as the paper does for Sudoku but not for 30 x 30
# What the options and the model's configuration have in common.
MODEL_OPTIONS = {f.name for f in fields(TRMOptions)} & set(TRMConfig().to_dict())


def build(task: GridTask, options: TRMOptions, table: PuzzleTable | None = None) -> TRMConfig:
    """The model that fits a task.

    Args:
        table: the puzzles that have vectors of their own.

    Raises:
        UserError: if the sizes do not fit together.
    """
    automatic: Literal["mlp", "attention"] = "mlp" if task.positions <= MLP_UP_TO else "attention"
    mixer = automatic if options.mixer == "auto" else options.mixer
    shared = {name: getattr(options, name) for name in MODEL_OPTIONS}
    return TRMConfig(
        vocabulary_size=task.vocabulary_size,
        positions=task.positions,
        puzzles=1 if table is None else table.vectors,
        puzzle_table=None if table is None else table.ranges,
        **shared | {"mixer": mixer},
    )
