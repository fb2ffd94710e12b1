"""``solve``: a finished run answers one typed puzzle, and shows its thinking step by step."""

from __future__ import annotations

import sys
from math import isnan
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from benchmarks.errors import UserError
from benchmarks.evaluation import Solver
from benchmarks.problem import Problem
from benchmarks.task import Task
from reasoning_kit.runs.finished import load_quietly, load_run


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
