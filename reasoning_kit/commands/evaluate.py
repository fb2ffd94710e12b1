"""``eval``: a finished run answers its test problems again, or others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from reasoning_kit.runs.finished import chosen_problems, load_quietly, load_run


def evaluate_run(folder: Path, overrides: Sequence[str], console: Console, unsafe_code: bool = False) -> None:
    """Print accuracy with its interval and the price of an answer; write ``eval.json`` beside the record.

    Args:
        unsafe_code: run model-written code without isolation where none works.

    Raises:
        UserError: if the run is not finished, an option is unknown, a file is wrong, or a problem was trained on.
    """
    spec = load_run(folder, unsafe_code)
    from benchmarks.evaluation import evaluate
    from benchmarks.records import write_atomically
    from reasoning_kit.runs.run import summarise

    task, splits, options = chosen_problems(spec, overrides)
    solver = load_quietly(spec, task, folder)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"{spec.method} on {spec.task_name}", total=len(splits.test))
        evaluation = evaluate(
            solver,
            task,
            splits.test,
            spec.evaluation.batch_size,
            lambda done: progress.update(bar, completed=done),
        )
    metrics = summarise(task, evaluation)
    for name in ("accuracy", "exact", "valid"):
        value = metrics[name]
        console.print(f"{name:9} {value['value']:.1%}  [{value['low']:.1%}, {value['high']:.1%}]", highlight=False)
    if evaluation.oracle is not None:
        console.print(
            f"{'oracle':9} {evaluation.oracle:.1%}  (verifier-chosen among all answers seen)", highlight=False
        )
    if "puzzle_score" in metrics:
        console.print(f"{'score':9} {metrics['puzzle_score']['value']:.1%}  (mean over puzzles)", highlight=False)
    for name in ("flops_per_answer", "steps_per_answer", "seconds_per_answer"):
        value = metrics[name]["value"]
        console.print(
            f"{name.replace('_', ' '):20} {'not known' if value is None else f'{value:.4g}'}", highlight=False
        )
    result = {"task": asdict(options), "data": splits.fingerprint, "metrics": metrics}
    write_atomically(folder / "eval.json", json.dumps(result, indent=1))
