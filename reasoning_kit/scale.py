"""``scale``: how much better a trained recursive model gets when it may think longer, and what that costs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.errors import UserError

if TYPE_CHECKING:
    from reasoning_kit.config import RunSpec
    from trm.modeling import TRMForPuzzles

JSON, ROWS, PAGE = "scaling.json", "scaling.parquet", "scaling.html"


def scale_run(
    folder: Path,
    overrides: Sequence[str],
    console: Console,
    depth: int = 64,
    trajectories: int = 8,
    votes: int = 8,
    noise: float | None = None,
    precision: str = "float32",
    out: Path | None = None,
) -> Path:
    """Measure, print a table, and write ``scaling.json``, ``scaling.parquet`` and ``scaling.html``; returns the page.

    Args:
        overrides: of the test problems, as in ``eval``.
        noise: the run's own, if not given.
        out: folder of the results; ``scaling`` in the run's folder if not given.

    Raises:
        UserError: if the run is not finished or thinks in tokens, an option is wrong, or a problem was trained on.
    """
    from benchmarks.grid_task import as_grid
    from benchmarks.records import write_atomically
    from reasoning_kit.environment import surroundings, use_free_cores
    from reasoning_kit.inspect_run import chosen_problems
    from reasoning_kit.report.scaling import scaling_page, scaling_table
    from reasoning_kit.thinking_longer import Settings, check, measure

    spec = load_recursive_run(folder)
    options: Any = spec.options
    settings = Settings(
        depth, trajectories, votes, options.noise if noise is None else noise, options.patience, precision
    )
    check(settings)
    task, splits, task_options = chosen_problems(spec, overrides)
    use_free_cores()
    started = time.perf_counter()
    with _bar(console, f"{spec.method} on {spec.task_name}", len(splits.test)) as on_progress:
        series, rows = measure(
            load_recursive(folder),
            as_grid(task, str(folder)),
            splits.test,
            settings,
            spec.evaluation.batch_size,
            on_progress,
        )
    found = {
        "run": str(folder.absolute()),
        "method": spec.method,
        "seed": spec.seed,
        "task": {"name": spec.task_name, "measure": task.measure} | asdict(task_options),
        "data": splits.fingerprint,
        "problems": len(splits.test),
        "settings": asdict(settings),
        "trained_steps": options.supervision_steps,
        "series": [asdict(line) for line in series],
        "seconds": time.perf_counter() - started,
    } | surroundings()
    console.print(scaling_table(series))
    out = out or folder / "scaling"
    write_atomically(out / JSON, json.dumps(found, indent=1))
    _write_rows(out / ROWS, rows)
    write_atomically(out / PAGE, scaling_page(found, series))
    (out / PAGE).chmod(0o644)
    return out / PAGE


def load_recursive_run(folder: Path) -> RunSpec:
    """The specification of a finished run of TRM or a variant.

    Raises:
        UserError: if it is of another method, or not finished.
    """
    from reasoning_kit.inspect_run import load_run

    spec = load_run(folder)
    if spec.base != "trm":
        raise UserError(
            f"{spec.method} has no supervision steps to add.", where=str(folder), cure="Name a run of TRM or a variant."
        )
    return spec


def load_recursive(folder: Path) -> TRMForPuzzles:
    """The trained model of such a run, on the GPU where there is one."""
    from transformers.utils import logging

    from reasoning_kit.environment import compute_device
    from reasoning_kit.experiment import MODEL
    from trm.modeling import TRMForPuzzles

    logging.disable_progress_bar()  # the weights load in an instant
    model = TRMForPuzzles.from_pretrained(folder / MODEL).eval()
    model.to(compute_device())
    return model


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    partial = path.with_name(f".{path.name}")
    pq.write_table(pa.Table.from_pylist(rows), partial)
    os.replace(partial, path)


@contextmanager
def _bar(console: Console, what: str, total: int) -> Iterator[Callable[[float], None]]:
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda done: progress.update(bar, completed=done)
