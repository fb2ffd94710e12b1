"""``scale``: how much better a trained model gets when it may think longer, and what that costs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.errors import UserError
from benchmarks.scaling import Series
from cot_distill.scaling import token_depth as longer_depth
from cot_distill.scaling import tokens as longer_tokens
from reasoning_kit.config.methods import METHODS
from trm import scaling as longer_recursion

if TYPE_CHECKING:
    from benchmarks.problem import Problem
    from benchmarks.task import Task
    from reasoning_kit.config.spec import RunSpec
    from trm.modeling import TRMForPuzzles

JSON, ROWS, PAGE = "scaling.json", "scaling.parquet", "scaling.html"
DEPTH, TOKEN_DEPTH = 64, 16  # supervision steps of an answer, of a token

HOW_VOTES = (
    "The most frequent answer of the samples counts, ties go to the first (arXiv 2203.11171). FLOPs are counted by "
    "formula against a key-value cache, the prompt once for all samples of a problem."
)
HOW_ANSWERS = f"Every problem was answered in samples. {HOW_VOTES}"
HOW_TOKENS = (
    "Every problem was thought about once greedily and then in samples. A thought that goes beyond a budget is ended "
    f"there and the answer forced (arXiv 2501.19393). {HOW_VOTES}"
)
HOW_DEPTH = (
    "Steps are supervision steps, those of all tokens of an answer together. For each number of steps and each "
    "halting rule every problem was answered anew and greedily; the prompt's tokens always take all steps allowed, "
    "which is in the FLOPs. Samples are drawn at the depth of the run."
)


@dataclass(frozen=True)
class Scaled:
    """What was measured, and the words around it.

    Attributes:
        lead: what was given to the model; how: how points were made.
        unit: what ``Point.steps`` are.
    """

    series: list[Series]
    rows: list[dict[str, Any]]
    settings: dict[str, Any]
    unit: str
    lead: str
    how: str


def scale_run(
    folder: Path,
    overrides: Sequence[str],
    console: Console,
    depth: int | None = None,
    trajectories: int = 8,
    votes: int = 8,
    noise: float | None = None,
    precision: str = "float32",
    samples: int = 16,
    temperature: float = 0.8,
    out: Path | None = None,
    unsafe_code: bool = False,
) -> Path:
    """Measure, print a table, and write ``scaling.json``, ``scaling.parquet`` and ``scaling.html``; returns the page.

    Args:
        overrides: of the test problems, as in ``eval``.
        depth: most supervision steps; 64 of TRM, 16 per token of an autoregressive one, if not given.
        trajectories, votes, noise, precision: of TRM; noise is the run's own, if not given.
        samples, temperature: of a language model.
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
    options: Any = spec.options
    if spec.base == "trm":
        recursion = longer_recursion.Settings(
            DEPTH if depth is None else depth,
            trajectories,
            votes,
            options.noise if noise is None else noise,
            options.patience,
            precision,
        )
        longer_recursion.check(recursion)
    else:
        tokens, deeper = longer_tokens.Settings(samples, temperature), _deeper(spec, folder, depth)
        longer_tokens.check(tokens)
    task, splits, task_options = chosen_problems(spec, overrides)
    use_free_cores()
    started = time.perf_counter()
    with _bar(console, f"{spec.method} on {spec.task_name}", len(splits.test)) as on_progress:
        if spec.base == "trm":
            scaled = _recursion(spec, folder, task, splits.test, recursion, on_progress)
        else:
            scaled = _tokens(spec, folder, task, splits.test, tokens, deeper, on_progress)
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


def _deeper(spec: RunSpec, folder: Path, depth: int | None) -> longer_depth.Settings | None:
    """How far tokens are refined; ``None`` for a model that does not refine them.

    Raises:
        UserError: if it does not think either, or the depth is wrong.
    """
    from reasoning_kit.runs.run import MODEL

    if spec.base != "prompted" and longer_depth.deepens(folder / MODEL):
        settings = longer_depth.Settings(TOKEN_DEPTH if depth is None else depth)
        longer_depth.check(settings)
        return settings
    if METHODS[spec.base].thinking != "token" or spec.base == "prompted":
        raise UserError(
            f"{spec.method} does not think, so it cannot think longer.",
            where=str(folder),
            cure="Name a run of trm, cot, grpo, ar_recursive_deep or a variant of them.",
        )
    return None


def _recursion(
    spec: RunSpec,
    folder: Path,
    task: Task,
    problems: Sequence[Problem],
    settings: longer_recursion.Settings,
    on_progress: Callable[[float], None],
) -> Scaled:
    from benchmarks.grid_task import as_grid

    options: Any = spec.options
    model, grids = load_recursive(folder), as_grid(task, str(folder))
    series, rows = longer_recursion.measure(model, grids, problems, settings, spec.evaluation.batch_size, on_progress)
    lead = (
        f"trained with at most {options.supervision_steps} supervision steps, given up to {settings.depth} here. "
        f"Noise {settings.noise}, {settings.precision}."
    )
    how = (
        "Every problem was thought about once along every way to the full depth; fewer steps, halting, trajectories "
        "and votes are read from these rollouts, since rows of a batch do not meet. FLOPs are counted by formula, for "
        "all supervision steps of all rollouts of a problem, as if each had stopped where its line says. Trajectory 0 "
        "has no noise (arXiv 2605.19943; until one is sure: arXiv 2601.19085)."
    )
    return Scaled(series, rows, asdict(settings), "Steps", lead, how)


def _tokens(
    spec: RunSpec,
    folder: Path,
    task: Task,
    problems: Sequence[Problem],
    settings: longer_tokens.Settings,
    deeper: longer_depth.Settings | None,
    on_progress: Callable[[float], None],
) -> Scaled:
    from reasoning_kit.runs.finished import load_quietly

    solver: Any = load_quietly(spec, task, folder)
    batch_size, thinks = spec.evaluation.batch_size, solver.style == "cot"
    share = 1.0 if deeper is None else 0.5
    series, rows = longer_tokens.measure(solver, problems, settings, batch_size, lambda done: on_progress(share * done))
    written = "thoughts" if thinks else "answers"
    lead = f"it may write up to {solver.max_new_tokens} tokens. "
    lead += "Its greedy thought is ended earlier and earlier, and " if thinks else ""
    lead += f"{settings.samples} {written} drawn at temperature {settings.temperature} vote."
    how = HOW_TOKENS if thinks else HOW_ANSWERS
    if deeper is None:
        return Scaled(series, rows, asdict(settings), "Tokens", lead, how)
    more, more_rows = longer_depth.measure(
        solver, problems, deeper, batch_size, lambda done: on_progress((1 - share) * done + share * len(problems))
    )
    trained = solver.model.config.supervision_steps
    lead += f" Each token was trained with {trained} supervision steps and is given up to {deeper.depth} here."
    both = asdict(settings) | asdict(deeper) | {"cache_policy": solver.model.config.policy}
    return Scaled([*more, *series], [*rows, *more_rows], both, "Steps", lead, f"{HOW_DEPTH} {how}")


def load_recursive_run(folder: Path) -> RunSpec:
    """The specification of a finished run of TRM or a variant.

    Raises:
        UserError: if it is of another method, or not finished.
    """
    from reasoning_kit.runs.finished import load_run

    spec = load_run(folder)
    if spec.base != "trm":
        raise UserError(
            f"{spec.method} has no supervision steps to add.", where=str(folder), cure="Name a run of TRM or a variant."
        )
    return spec


def load_recursive(folder: Path) -> TRMForPuzzles:
    """The trained model of such a run, on the GPU where there is one."""
    from transformers.utils import logging

    from reasoning_kit.runs.environment import compute_device
    from reasoning_kit.runs.run import MODEL
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
