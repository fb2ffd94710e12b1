"""``eval`` and ``solve``: a finished run answers test problems again, or one typed puzzle step by step."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress
from rich.text import Text

from benchmarks.errors import UserError
from benchmarks.records import RunRecord
from reasoning_kit.config import RunSpec, TaskOptions, checked, spec_from_dict


def load_run(folder: Path) -> RunSpec:
    """The specification of a finished run.

    Raises:
        UserError: if the folder holds none.
    """
    return spec_from_dict(RunRecord.load(folder).config)


def evaluate_run(folder: Path, overrides: Sequence[str], console: Console) -> None:
    """Print accuracy with its interval and the price of an answer; write ``eval.json`` beside the record.

    Raises:
        UserError: if the run is not finished, an option is unknown, or a file is wrong.
    """
    spec = load_run(folder)
    spec = replace(spec, task=_changed(spec.task, overrides))
    from benchmarks.evaluation import evaluate
    from benchmarks.records import write_atomically
    from reasoning_kit.experiment import load_solver, load_splits, summarise

    task, splits = load_splits(spec)
    solver = load_solver(spec, task, folder)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(f"{spec.method} on {spec.task_name}", total=len(splits.test))
        evaluation = evaluate(
            solver,
            task,
            splits.test,
            spec.evaluation.batch_size,
            lambda done: progress.update(bar, completed=done),
        )
    metrics = summarise(evaluation)
    for name in ("accuracy", "exact", "valid"):
        value = metrics[name]
        console.print(f"{name:9} {value['value']:.1%}  [{value['low']:.1%}, {value['high']:.1%}]", highlight=False)
    for name in ("flops_per_answer", "steps_per_answer", "seconds_per_answer"):
        console.print(f"{name.replace('_', ' '):20} {metrics[name]['value']:.4g}", highlight=False)
    result = {"task": asdict(spec.task), "data": splits.fingerprint, "metrics": metrics}
    write_atomically(folder / "eval.json", json.dumps(result, indent=1))


def _changed(task: TaskOptions, overrides: Sequence[str]) -> TaskOptions:
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError("an option is written key=value.", where=override, cure="For example test_size=1000.")
        changes[key] = value
    current = {key: value for key, value in asdict(task).items() if key != "options"}
    changed: TaskOptions = checked(TaskOptions, current | changes, "eval")
    return replace(changed, options=task.options)


def solve_puzzle(folder: Path, puzzle: str | None, file: Path | None, console: Console) -> None:
    """Show the answer of a trained model to one puzzle after every step of its thinking.

    Raises:
        UserError: if the run is not finished, or the puzzle is missing, malformed or has no unique answer.
    """
    spec = load_run(folder)
    text = _puzzle_text(puzzle, file)
    task = spec.task.load()
    problem = task.parse_question(text)
    from benchmarks.evaluation import evaluate
    from reasoning_kit.experiment import describe_solution, load_solver

    solver = load_solver(spec, task, folder)
    [prediction] = evaluate(solver, task, [problem]).predictions
    shown = describe_solution(task, prediction)
    console.print(Panel(Text(shown["question"]), title="question", expand=False))
    thoughts = [step for step in shown["steps"] if step["correct"] is None]
    if thoughts:
        trace = "".join(step["text"] for step in thoughts)
        console.print(Panel(Text(trace), title=f"{len(thoughts)} thoughts", expand=False))
    for step in shown["steps"]:
        if step["correct"] is not None:
            console.print(Panel(Text(step["text"]), title=_title(step), expand=False))
    verdict = prediction.verdict
    console.print(
        f"{'right' if verdict.correct else 'wrong: ' + verdict.reason}   "
        f"({prediction.solution.steps} steps, {prediction.solution.flops / 1e6:.1f} MFLOP, "
        f"{prediction.solution.seconds:.2f} s)",
        highlight=False,
    )


def _title(step: dict[str, Any]) -> str:
    halting = step["halting_probability"]
    belief = "" if halting is None else f", halting probability {halting:.2f}"
    return f"{step['label']}: {'right' if step['correct'] else 'wrong'}{belief}"


def _puzzle_text(puzzle: str | None, file: Path | None) -> str:
    if (puzzle is None) == (file is None):
        raise UserError("give one puzzle.", where="solve", cure="Type it after the folder, or give --file PATH.")
    if file is not None:
        try:
            return file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error}).", where=str(file), cure="Check the path.") from None
    assert puzzle is not None
    return sys.stdin.read() if puzzle == "-" else puzzle
