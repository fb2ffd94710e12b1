"""``bench gpu``: everything a GPU can tell, in stages that each leave a file and are not repeated.

A command that is stopped goes on where it was: training from its last checkpoint, everything else with its stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.records import RunRecord, write_atomically
from reasoning_kit.bench.commands import check_shape, matmul_rates, measured_step, words
from reasoning_kit.bench.result import read_result, write_result
from reasoning_kit.bench.step_program import PLAIN, Shape
from reasoning_kit.config.checking import at_least
from trm.options import TRMOptions

STAGES = ("matmul", "trm-step", "sudoku", "scale", "maze")
TARGETS = {"sudoku": 0.87, "scale": 0.96, "maze": 0.85}
REPORT = "gpu.md"

SMALL_RUN = (
    "method.trm.width=32", "method.trm.heads=2", "method.trm.inner_multiple=32", "method.trm.prefix=0",
    "method.trm.T=2", "method.trm.n=1", "method.trm.supervision_steps=4", "method.trm.batch_size=32",
    "method.trm.compile=off", "method.trm.precision=float32", "method.trm.learning_rate=2e-3",
    "method.trm.weight_decay=0.1", "method.trm.warmup_steps=20", "budget.limit=5", "evaluation.milestones=[0.5]",
)  # fmt: skip
SMALL_TASKS = {
    "sudoku": ("size=4", "source=null", "train_file=null", "test_file=null", "train_size=128", "test_size=32"),
    "maze": ("size=5", "train_file=null", "test_file=null", "train_size=64", "test_size=16"),
}
TASKS = {"sudoku": "sudoku-extreme", "maze": "maze-hard"}


@dataclass(frozen=True)
class Plan:
    """What the stages measure.

    Attributes:
        shape: of the training step.
        programs: settings of ``compile``; each is measured beside plain for itself, so one that fails or takes too much
            memory harms no other.
        seeds: of the trainings.
        small: tiny sizes that a CPU can do; their numbers say nothing.
        depth, trajectories, votes: of the scaling (:mod:`reasoning_kit.scaling.scale`).
        data: folder of the published files.
    """

    shape: Shape = field(default_factory=lambda: Shape(PLAIN, "bfloat16", batch=768))
    programs: tuple[str, ...] = ("off", "network", "recursion", "cuda_graphs")
    steps: int = 20
    seeds: int = 1
    small: bool = False
    depth: int = 64
    trajectories: int = 8
    votes: int = 8
    data: Path | None = None

    @classmethod
    def tiny(cls, seeds: int) -> Plan:
        shape = Shape(PLAIN, "float32", size=4, prefix=0, width=16, batch=8, T=2, n=1, use_cpu=True)
        return cls(shape, ("off",), 2, seeds, True, depth=6, trajectories=2, votes=2)

    def overrides(self, stage: str) -> list[str]:
        """What is trained in a stage, as ``reasoning-kit train`` takes it."""
        found = [f"experiment=gpu-{stage}", f"seeds={self.seeds}", "jobs=1"]
        if self.data is not None:
            found.append(f"data='{self.data.absolute()}'")
        if self.small:
            found += [*SMALL_RUN, *(f"task.{TASKS[stage]}.{option}" for option in SMALL_TASKS[stage])]
        return found

    def settings(self) -> dict[str, Any]:
        """What must be the same for a stage's file to hold; the data's place decides nothing."""
        return json.loads(json.dumps({name: value for name, value in asdict(self).items() if name != "data"}))


def bench_gpu(out: Path, data: Path | None, small: bool, seeds: int, stages: str | None, console: Console) -> Path:
    """Run the stages that have no file in ``out`` yet; returns the report, which is written anew after each.

    Args:
        data: folder of the published files; else the environment variable of :mod:`reasoning_kit.config.spec`.
        stages: some of them, ``a,b``; all if not given.

    Raises:
        UserError: without a GPU, if ``out`` holds results of other settings, or as
            :func:`reasoning_kit.commands.compare.train_one`.
        RunsFailed: if a training crashed; earlier stages are kept.
    """
    import torch

    chosen = words(stages or ",".join(STAGES), STAGES, "--stages")
    at_least(1, seeds, "--seeds")
    if not small and not torch.cuda.is_available():
        raise UserError("there is no GPU here.", where="bench gpu", cure="Add --small to try the command on a CPU.")
    plan = Plan.tiny(seeds) if small else Plan(seeds=seeds, data=data)
    if not small:
        _check_data(plan, chosen)
    for stage in STAGES:
        if stage in chosen:
            for name, measure in _parts(stage, plan, out, console):
                _settled(name, measure, plan, out, console)
        _write_report(out, plan)
    return out / REPORT


def _check_data(plan: Plan, stages: Sequence[str]) -> None:
    """A missing file is refused before anything is measured.

    Raises:
        UserError: naming it.
    """
    from reasoning_kit.config.spec import load_config

    for stage in sorted(set(stages) & set(TASKS)):
        config = load_config(plan.overrides(stage))
        for options in config.tasks.values():
            train, test = options.files(config.data)
            for path in (*(train or ()), test):
                if isinstance(path, Path) and not path.exists():
                    raise UserError("there is no such file.", where=str(path), cure="Give --data FOLDER.")


def _parts(stage: str, plan: Plan, out: Path, console: Console) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    if stage == "matmul":
        return [(stage, lambda: _matmul(plan))]
    if stage == "trm-step":
        return [(f"{stage}-{program}", _step(plan, program, console)) for program in plan.programs]
    if stage == "scale":
        return [(stage, lambda: _scale(plan, out, console))]
    return [(stage, lambda: _training(stage, plan, out, console))]


def _settled(name: str, measure: Callable[[], dict[str, Any]], plan: Plan, out: Path, console: Console) -> None:
    path = out / f"{name}.json"
    found = read_result(path)
    if found is None:
        console.print(f"[bold]{name}[/bold]")
        write_result(path, measure() | {"settings": plan.settings()})
        return
    if found.get("settings") != plan.settings():
        raise UserError("holds results of other settings.", where=str(path), cure="Name another folder with --out.")
    console.print(f"{name}: measured before, skipped", highlight=False)


# --- stages -------------------------------------------------------------------------------------


def _matmul(plan: Plan) -> dict[str, Any]:
    precisions = ("float32", "bfloat16")
    return {"matmul": {name: rate.to_dict() for name, rate in matmul_rates(plan.shape, precisions).items()}}


def _step(plan: Plan, program: str, console: Console) -> Callable[[], dict[str, Any]]:
    def measure() -> dict[str, Any]:
        check_shape(plan.shape, [program])
        try:
            return measured_step(plan.shape, [program], [plan.shape.precision], plan.steps, console)
        except UserError as error:  # what this GPU cannot do is a result too
            console.print(f"{program}: {error}", highlight=False, markup=False)
            return {"failed": str(error)}

    return measure


def _training(stage: str, plan: Plan, out: Path, console: Console) -> dict[str, Any]:
    from reasoning_kit.commands.compare import train_one

    train_one(plan.overrides(stage), out / stage, False, console)
    return {"target": TARGETS[stage], "runs": [_trained(folder, TARGETS[stage]) for folder in _runs(out / stage)]}


def _runs(folder: Path) -> list[Path]:
    """The finished runs of a comparison, by seed."""
    return sorted((path.parent for path in folder.glob("*/*/seed-*/record.json")), key=lambda path: int(path.name[5:]))


def _trained(folder: Path, target: float) -> dict[str, Any]:
    record = RunRecord.load(folder)
    return {
        "run": str(folder),
        "seed": record.seed,
        "accuracy": record.metrics["accuracy"],
        "seconds_to_target": seconds_to(record.curve, target),
        "training": record.training,
        "flops_per_second": record.training["flops"] / record.training["seconds"],
        "curve": record.curve,
        "precision": record.diagnostics["precision"],
        "peak_memory_bytes": record.peak_memory_bytes,
        "energy_joules": record.energy_joules,
        "hardware": record.hardware,
        "notes": record.notes,
        "config": record.config,
    }


def seconds_to(curve: Sequence[Mapping[str, float]], target: float) -> float | None:
    """Training time at the first point of a learning curve that reaches the target; ``None`` if none does."""
    return next((point["seconds"] for point in curve if point["accuracy"] >= target), None)


def _scale(plan: Plan, out: Path, console: Console) -> dict[str, Any]:
    """Deeper and wider inference on each model of the Sudoku stage.

    Raises:
        UserError: if that stage is not done.
    """
    from benchmarks.method import Effort
    from reasoning_kit.runs.finished import load_run
    from reasoning_kit.scaling.scale import JSON, scale_run

    folders = _runs(out / "sudoku")
    if not folders:
        raise UserError("no trained model here.", where=str(out / "sudoku"), cure="Run the stage sudoku first.")
    found = []
    for folder in folders:
        place = out / "scale" / folder.name
        options = cast(TRMOptions, load_run(folder).options)
        if not (place / JSON).exists():
            precision = options.evaluation_precision  # as the run itself was judged
            effort = Effort(plan.depth, plan.trajectories, plan.votes, precision=precision)
            scale_run(folder, [], console, effort, place)
        measured = json.loads((place / JSON).read_text())
        points: list[dict[str, Any]] = []
        for line in measured["series"]:
            points += [point | {"way": line["label"]} for point in line["points"]]

        # The run as it was trained, and the most accurate way to think longer, the cheapest of equals.
        depth = measured["series"][0]["points"]
        trained = next(point for point in depth if round(point["steps"]) == options.supervision_steps)
        best = max(points, key=lambda point: (point["accuracy"]["value"], -point["flops"]))
        found.append({"seed": measured["seed"], "trained_depth": trained, "best": best, "seconds": measured["seconds"]})
    return {"target": TARGETS["scale"], "problems": measured["problems"], "runs": found}


# --- report -------------------------------------------------------------------------------------


def _write_report(out: Path, plan: Plan) -> None:
    from reasoning_kit.bench.gpu_report import gpu_markdown

    names = [f"trm-step-{program}" for program in plan.programs]
    stages = {name: read_result(out / f"{name}.json") for name in ("matmul", *names, "sudoku", "scale", "maze")}
    write_atomically(out / REPORT, gpu_markdown({k: v for k, v in stages.items() if v is not None}, plan.small))
