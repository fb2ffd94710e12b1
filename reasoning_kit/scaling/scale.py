"""``scale``: how much better a trained model gets when it may think longer, and what that costs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.method import Effort
from reasoning_kit.registry import method

JSON, ROWS, PAGE = "scaling.json", "scaling.parquet", "scaling.html"


def scale_run(
    folder: Path,
    overrides: Sequence[str],
    console: Console,
    effort: Effort,
    out: Path | None = None,
    unsafe_code: bool = False,
) -> Path:
    """Measure, print a table, and write ``scaling.json``, ``scaling.parquet`` and ``scaling.html``; returns the page.

    Args:
        overrides: of the test problems, as in ``eval``.
        effort: how far the model is to think.
        out: folder of the results; ``scaling`` in the run's folder if not given.
        unsafe_code: as in ``eval``.

    Raises:
        UserError: if the run is not finished or does not think, an option is wrong, or a problem was trained on.
    """
    from benchmarks.records import write_atomically
    from reasoning_kit.runs.environment import surroundings, use_free_cores
    from reasoning_kit.runs.finished import chosen_problems, load_run
    from reasoning_kit.scaling.page import scaling_page, scaling_table

    spec = load_run(folder, unsafe_code)
    effort = replace(effort, batch_size=spec.evaluation.batch_size)
    measure = method(spec.base).longer(spec.setting(), folder, effort)
    task, splits, task_options = chosen_problems(spec, overrides)

    use_free_cores()
    started = time.perf_counter()
    with _bar(console, f"{spec.method} on {spec.task_name}", len(splits.test)) as on_progress:
        scaled = measure(splits.test, on_progress)
    found = {
        "run": str(folder.absolute()),
        "method": spec.method,
        "seed": spec.seed,
        "task": {"name": spec.task_name, "measure": task.measure} | asdict(task_options),
        "data": splits.fingerprint,
        "problems": len(splits.test),
        "settings": scaled.settings,
        "unit": scaled.unit,
        "lead": scaled.lead,
        "how": scaled.how,
        "series": [asdict(line) for line in scaled.series],
        "seconds": time.perf_counter() - started,
    } | surroundings()

    console.print(scaling_table(scaled.series, scaled.unit))
    out = out or folder / "scaling"
    write_atomically(out / JSON, json.dumps(found, indent=1))
    _write_rows(out / ROWS, scaled.rows)
    write_atomically(out / PAGE, scaling_page(found, scaled.series))
    (out / PAGE).chmod(0o644)
    return out / PAGE


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
