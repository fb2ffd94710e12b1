"""``eval`` and ``solve``: a finished run answers test problems again, or one typed puzzle step by step."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress
from rich.text import Text

from benchmarks.errors import UserError, did_you_mean
from benchmarks.evaluation import Solver
from benchmarks.problem import Problem
from benchmarks.records import RunRecord
from benchmarks.task import Task
from reasoning_kit.config.spec import RunSpec, TaskOptions, checked, find_data_file, spec_from_dict, with_unsafe_code
from reasoning_kit.runs.environment import use_free_cores

if TYPE_CHECKING:
    from benchmarks.splits import Splits

EVALUATION_KEYS = ("test_size", "seed", "test_file")  # what eval can change about the problems


def load_run(folder: Path, unsafe_code: bool = False) -> RunSpec:
    """The specification of a finished run.

    Args:
        unsafe_code: run model-written code now without isolation where none works.

    Raises:
        UserError: if the folder holds none, or a task that runs no code is to run it unsafely.
    """
    spec = spec_from_dict(RunRecord.load(folder).config)
    if unsafe_code:
        return replace(spec, task=with_unsafe_code({spec.task_name: spec.task})[spec.task_name])
    return spec


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


def chosen_problems(spec: RunSpec, overrides: Sequence[str]) -> tuple[Task, Splits, TaskOptions]:
    """The task of a run, its training problems, and the test problems that the overrides ask for.

    Raises:
        UserError: if an option is unknown, a file is wrong, or a test problem was trained on.
    """
    options = _changed(spec.task, overrides)
    from benchmarks.splits import Splits, prove_disjoint
    from reasoning_kit.runs.run import load_splits

    task, splits = load_splits(spec)
    if options != spec.task:
        splits = Splits(splits.train, _test_problems(task, options, spec.data))
        prove_disjoint(splits.train, splits.test, where=options.test_file or task.name)
    return task, splits, options


def load_quietly(spec: RunSpec, task: Task, folder: Path) -> Solver:
    """Without the bar that transformers draws for weights that load in an instant."""
    from transformers.utils import logging

    from reasoning_kit.runs.run import load_solver

    logging.disable_progress_bar()
    use_free_cores()
    return load_solver(spec, task, folder)


def _test_problems(task: Task, options: TaskOptions, data: str | None) -> list[Problem]:
    if options.test_file is not None:
        return task.read(find_data_file(options.test_file, data), options.test_size, options.seed)
    assert options.test_size is not None, "TaskOptions checks it"
    return task.generate("test", options.test_size, options.seed)


def _changed(task: TaskOptions, overrides: Sequence[str]) -> TaskOptions:
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise UserError("an option is written key=value.", where=override, cure="For example test_size=1000.")
        if key not in EVALUATION_KEYS:
            raise UserError(f"unknown key '{key}'.", where=override, cure=did_you_mean(key, EVALUATION_KEYS))
        changes[key] = value
    current = {key: value for key, value in asdict(task).items() if key != "options"}
    changed: TaskOptions = checked(TaskOptions, current | changes, "eval")
    return replace(changed, options=task.options)


def solve_puzzle(folder: Path, puzzle: str | None, file: Path | None, console: Console, latents: bool = False) -> None:
    """Show the answer of a trained model to one puzzle after every step of its thinking.

    Args:
        latents: show y and z of a recursive model side by side, both read through its output head.

    Raises:
        UserError: if the run is not finished, or the puzzle is missing, malformed or has no unique answer.
    """
    spec = load_run(folder)
    text = _puzzle_text(puzzle, file)
    task = spec.task.load()
    problem = task.parse_question(text)
    from benchmarks.evaluation import evaluate
    from reasoning_kit.runs.run import describe_solution

    solver = load_quietly(spec, task, folder)
    if latents:
        _show_latents(solver, task, problem, console)
        return
    [prediction] = evaluate(solver, task, [problem]).predictions
    shown = describe_solution(task, prediction)
    console.print(Panel(Text(shown["question"]), title="question", expand=False))
    *earlier, last = shown["steps"]
    thoughts = [step["text"] for step in earlier if step["correct"] is None]
    if thoughts:
        console.print(Panel(Text("".join(thoughts)), title=f"{len(thoughts)} thoughts", expand=False))
    for step in [*(step for step in earlier if step["correct"] is not None), last]:
        console.print(Panel(Text(step["text"]), title=_title(step), expand=False))
    verdict = prediction.verdict
    flops = prediction.solution.flops
    console.print(
        f"{'right' if verdict.correct else 'wrong: ' + verdict.reason}   "
        f"({prediction.solution.steps} steps, {'FLOPs not known' if isnan(flops) else f'{flops / 1e6:.1f} MFLOP'}, "
        f"{prediction.solution.seconds:.2f} s)",
        highlight=False,
    )


def _show_latents(solver: Solver, task: Task, problem: Problem, console: Console) -> None:
    """The paper's figure 6 for every supervision step: y and z, both read as answers."""
    think = getattr(solver, "think", None)
    if think is None:
        raise UserError("a language model has no latents y and z.", where="--latents", cure="Leave it out.")
    console.print(Panel(Text(task.render(problem)), title="question", expand=False))
    for thought in think(problem):
        halting = thought.halting_probability
        belief = "" if halting is None else f": halting probability {halting:.2f}"
        panels = [
            Panel(Text(task.render(problem, answer)), title=name, expand=False)
            for name, answer in (("y", thought.y), ("z", thought.z))
        ]
        console.print(f"supervision step {thought.step}{belief}", highlight=False)
        console.print(Columns(panels))


def _title(step: dict[str, Any]) -> str:
    halting = step["halting_probability"]
    belief = "" if halting is None else f", halting probability {halting:.2f}"
    verdict = {True: "right", False: "wrong", None: "cannot be read"}[step["correct"]]
    return f"{step['label']}: {verdict}{belief}"


def _puzzle_text(puzzle: str | None, file: Path | None) -> str:
    if (puzzle is None) == (file is None):
        raise UserError("give one puzzle.", where="solve", cure="Type it after the folder, or give --file PATH.")
    if file is not None:
        try:
            return file.read_text().strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read ({error}).", where=str(file), cure="Check the path.") from None
    assert puzzle is not None
    return sys.stdin.read().strip("\r\n") if puzzle == "-" else puzzle  # spaces are open cells of a maze
