"""``bench time-to-accuracy``: how long methods train on one task until they are right often enough.

For each seed every method in turn, so that what else the machine does falls on all. Training stops at regular times
for a check on the test problems, off the clock, and ends when the target is reached. A check answers the problems in
their order and stops as soon as too many are wrong for the target: it decides as if all had been answered. Checking
often favours the lucky moment, for every method alike. Seconds hold compiling, not checks and start-up. The learning
rate's schedule runs over the limit.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.evaluation import Solver, batched
from benchmarks.method import TRAINER, TrainingRun
from benchmarks.training.budget import Budget
from reasoning_kit.bench.result import progress_line, read_result, write_result
from reasoning_kit.bench.show import accuracy_table
from reasoning_kit.config.spec import RunSpec, fingerprint, load_config
from reasoning_kit.registry import method

if TYPE_CHECKING:
    from benchmarks.compute import Cost
    from benchmarks.problem import Problem
    from benchmarks.task import Task

PART = 32  # problems of a check that are answered before it is asked whether to go on
DEFAULT = "experiment=time-to-accuracy"


@dataclass(frozen=True)
class Check:
    """
    Attributes:
        seconds: of training until then.
        seen, right: problems answered, and how many of them rightly.
        reached: whether the share of right answers among all test problems is at least the target.
    """

    seconds: float
    seen: int
    right: int
    reached: bool

    @property
    def accuracy(self) -> float:
        return self.right / self.seen


@dataclass(frozen=True)
class TimedRun:
    """One method with one seed.

    Attributes:
        fingerprint: of its configuration.
        seconds, steps, flops: spent until the target was reached, or else until the limit.
        accuracy: of the last check, over the problems that it answered.
    """

    method: str
    seed: int
    fingerprint: str
    reached: bool
    seconds: float
    steps: int
    flops: float
    accuracy: float
    checks: list[Check]


class _Reached(Exception):
    """Ends a training run from within."""

    def __init__(self, spent: Cost) -> None:
        self.spent = spent


def time_to_accuracy(
    overrides: Sequence[str], target: float, every: float, limit: float, out: Path | None, console: Console
) -> Path:
    """Measure what is not in ``out`` yet, show a table, and return where the results are.

    Args:
        overrides: as of ``compare``; ``experiment=time-to-accuracy`` if there are none.
        target: share of the test problems that must be right.
        every: seconds of training between checks.
        limit: seconds of training after which a run has not reached the target.
        out: ``runs/NAME/time-to-accuracy.json`` if not given.

    Raises:
        UserError: for a mistake in the configuration, the numbers or the data, or if ``out`` holds other runs.
    """
    _check_numbers(target, every, limit)
    config = load_config(overrides or [DEFAULT])
    if len(config.tasks) != 1:
        raise UserError(
            f"{len(config.tasks)} tasks are named.", where="bench time-to-accuracy", cure="Name one: task=sudoku-6x6"
        )
    out = out or Path(config.out or f"runs/{config.name}") / "time-to-accuracy.json"
    import torch

    specs = [_timed(spec, every, limit) for spec in config.runs()]
    torch.set_num_threads(config.threads)
    task = specs[0].task.load()
    splits = specs[0].splits(task)
    question = {
        "task": specs[0].task_name, "target": target, "every": every, "limit": limit, "threads": config.threads,
        "data": splits.fingerprint, "problems": len(splits.test),
    }  # fmt: skip
    runs = _known_runs(out, question, specs)
    with progress_line(console) as tell:
        for spec in specs:
            if any((run["method"], run["seed"]) == (spec.method, spec.seed) for run in runs):
                console.print(f"{spec.method}, seed {spec.seed}: measured before, skipped", highlight=False)
                continue
            run = measure_run(spec, task, splits.train, splits.test, target, tell)
            runs.append(asdict(run))
            write_result(out, question | {"summary": summarise(runs, list(config.methods)), "runs": runs})
            console.print(_told(run), highlight=False)
    console.print(accuracy_table(summarise(runs, list(config.methods)), runs))
    return out


def measure_run(
    spec: RunSpec,
    task: Task,
    train_problems: list[Problem],
    test_problems: Sequence[Problem],
    target: float,
    tell: Callable[[str], None] = lambda _: None,
) -> TimedRun:
    """Train until a check reaches the target, or to the end of the budget.

    Raises:
        UserError: as the method's trainer.
    """
    _forget_compiled(spec)
    checks: list[Check] = []
    name = f"{spec.method}, seed {spec.seed}"

    def check(solver: Solver, spent: Cost) -> None:
        tell(f"{name}: {spent.seconds:.0f} s trained, checking")
        found = checked_accuracy(solver, task, test_problems, target, spec.evaluation.batch_size, spent.seconds)
        checks.append(found)
        if found.reached:
            raise _Reached(spent)

    def progress(spent: Cost) -> None:
        last = f", {checks[-1].accuracy:.0%} right at the last check" if checks else ""
        tell(f"{name}: {spent.seconds:.0f} of {spec.budget.limit:g} s trained{last}")

    with tempfile.TemporaryDirectory() as folder:
        try:
            trained = method(spec.base).train(
                TrainingRun(
                    task=task,
                    problems=train_problems,
                    options=spec.options,
                    budget=spec.budget,
                    seed=spec.seed,
                    folder=Path(folder) / TRAINER,
                    model=spec.model,
                    where=f"method.{spec.method}",
                    keep=Path(folder),
                    milestones=spec.evaluation.milestones,
                    at_milestone=check,
                    on_progress=progress,
                    test_prompts=lambda: test_problems,
                )
            )
            spent = trained.cost
            check(trained.solver, spent)
        except _Reached as end:
            spent = end.spent
    reached = checks[-1].reached
    return TimedRun(
        spec.method, spec.seed, fingerprint(spec), reached, spent.seconds, spent.steps, spent.flops,
        checks[-1].accuracy, checks,
    )  # fmt: skip


def checked_accuracy(
    solver: Solver, task: Task, problems: Sequence[Problem], target: float, batch_size: int, seconds: float = 0.0
) -> Check:
    """Whether ``solver`` answers a share ``target`` of the problems rightly; stops when it cannot any more."""
    may_be_wrong = len(problems) - math.ceil(target * len(problems) - 1e-9)
    seen = right = 0
    for part in batched(problems, PART):
        solutions = solver.solve(part, batch_size)
        right += sum(task.verify(p, s.answer).correct for p, s in zip(part, solutions, strict=True))
        seen += len(part)
        if seen - right > may_be_wrong:
            return Check(seconds, seen, right, reached=False)
    return Check(seconds, seen, right, reached=True)


def summarise(runs: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[dict[str, Any]]:
    """One row per method: medians over its seeds, and the first method's over its own.

    A run that did not reach the target counts with what it had spent at the limit. Then a median can be too small,
    which ``at_least`` says, and a ratio ``at least`` or ``at most`` the truth, which ``ratio_is`` says.
    """
    rows: list[dict[str, Any]] = []
    for name in methods:
        own = [run for run in runs if run["method"] == name]
        if not own:
            continue
        exact = [run["seconds"] if run["reached"] else math.inf for run in own]
        rows.append(
            {
                "method": name,
                "seeds": len(own),
                "reached": sum(run["reached"] for run in own),
                "seconds": statistics.median(run["seconds"] for run in own),
                "flops": statistics.median(run["flops"] for run in own),
                "at_least": math.isinf(statistics.median(exact)),
            }
        )
    for row in rows:
        row["ratio"], row["ratio_is"] = _ratio(rows[0], row)
    return rows


def _ratio(reference: dict[str, Any], row: dict[str, Any]) -> tuple[float | None, str]:
    ratio = reference["seconds"] / row["seconds"]
    if row is reference or not (reference["at_least"] or row["at_least"]):
        return ratio, "exactly"
    if reference["at_least"] and row["at_least"]:
        return None, "unknown"
    return ratio, "at least" if reference["at_least"] else "at most"


def _check_numbers(target: float, every: float, limit: float) -> None:
    if not 0 < target <= 1:
        raise UserError(
            f"the target must be a share in (0, 1], not {target:g}.", where="--target", cure="For example 0.95."
        )
    if not 0 < limit < math.inf:
        raise UserError(
            f"the limit must be a number of seconds above 0, not {limit:g}.", where="--limit", cure="For example 900."
        )
    if not 0 < every < limit:
        raise UserError(
            f"{every:g} s between checks.", where="--every", cure=f"Give more than 0 and less than {limit:g}."
        )


def _timed(spec: RunSpec, every: float, limit: float) -> RunSpec:
    count = math.ceil(limit / every) - 1
    milestones = tuple((i + 1) * every / limit for i in range(count))
    return replace(spec, budget=Budget("seconds", limit), evaluation=replace(spec.evaluation, milestones=milestones))


def _known_runs(out: Path, question: dict[str, Any], specs: Sequence[RunSpec]) -> list[dict[str, Any]]:
    """
    Raises:
        UserError: if ``out`` answers another question, or has a run of these methods and seeds with other options.
    """
    cure = "Name another file with --out, or delete this one."
    found = read_result(out)
    if found is None:
        return []
    for key, value in question.items():
        if found.get(key) != value:
            raise UserError(f"its runs have {key} {found.get(key)}, not {value}.", where=str(out), cure=cure)
    prints = {(spec.method, spec.seed): fingerprint(spec) for spec in specs}
    for run in found["runs"]:
        name = (run["method"], run["seed"])
        if prints.get(name, run["fingerprint"]) != run["fingerprint"]:
            raise UserError(f"it has {name[0]}, seed {name[1]}, with other options.", where=str(out), cure=cure)
    return list(found["runs"])


def _forget_compiled(spec: RunSpec) -> None:
    """Each run that compiles pays for it itself; what inductor has on disk from an earlier one makes that cheaper."""
    if getattr(spec.options, "compile", "off") != "off":
        import torch

        torch.compiler.reset()


def _told(run: TimedRun) -> str:
    outcome = "reached" if run.reached else "not reached"
    return f"{run.method}, seed {run.seed}: {outcome} after {run.seconds:.0f} s, {run.steps} steps"
