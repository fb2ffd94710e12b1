"""One run: train one method on one task with one seed, answer the test problems, write the record.

Imports the trainers, so it takes seconds to load; the command line starts it in a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import trm.autoregressive.modeling  # noqa: F401  # AutoModelForCausalLM knows it then
from benchmarks.training.checkpoints import ONLY_IF_ARGUED, Checkpoints, clear
from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.evaluation import Evaluation, Prediction, Solver, evaluate
from benchmarks.grid_task import as_grid
from benchmarks.problem import Answer, Problem
from benchmarks.puzzles.arc.score import puzzle_score
from benchmarks.records import RunRecord, save_predictions
from benchmarks.splits import Splits, build_splits
from benchmarks.statistics import accuracy_interval
from benchmarks.task import Task
from benchmarks.text_form import Style
from reasoning_kit.config.spec import RunSpec, fingerprint
from reasoning_kit.runs.environment import git_revision, hardware, measured_energy, peak_memory_bytes, versions
from reasoning_kit.runs.results import TRAINER, UNFINISHED, take_up

Progress = Callable[[str, float, dict[str, float]], None]  # phase, share done, numbers to show

MODEL = "model"  # folder of the trained weights inside a run's folder
ANSWERS = "answers.jsonl"  # of a served model, as they come


@dataclass
class Trained:
    """What every method's training leaves, whatever its trainer."""

    solver: Solver
    save: Callable[[Path], None]
    parameters: int | None
    cost: Cost
    losses: list[dict[str, float]]
    notes: list[str] = field(default_factory=list)
    diagnostics: dict[str, Any] = field(default_factory=dict)


def load_splits(spec: RunSpec) -> tuple[Task, Splits]:
    """The task of a run and its problems.

    Raises:
        UserError: if a file is missing or wrong, or the task cannot give so many problems.
    """
    task = spec.task.load()
    files = spec.task.files(spec.data)
    return task, build_splits(task, spec.task.train_size, spec.task.test_size, spec.task.seed, *files)


def run(
    spec: RunSpec,
    folder: Path,
    on_progress: Progress,
    checkpoints: Checkpoints = ONLY_IF_ARGUED,
) -> RunRecord:
    """Train, evaluate and write ``record.json``, ``predictions.parquet`` and the model into ``folder``.

    The record is written last: a folder that has one is a finished run. Until then ``trainer/`` holds what a stopped
    run needs to go on.

    Args:
        checkpoints: when to save, whether to go on from there, and who hears of it.

    Raises:
        UserError: for everything that the user can mend.
    """
    on_progress("problems", 0.0, {})
    task, splits = load_splits(spec)
    unfinished = take_up(folder, fingerprint(spec), splits.fingerprint, checkpoints.resume, checkpoints.tell)
    curve, earlier, phase = unfinished.curve, list(unfinished.curve), "training"
    unfinished.save(folder)
    curve_problems = splits.test[: spec.evaluation.curve_problems]

    def milestone(solver: Solver, spent: Cost) -> None:
        if curve_problems:
            accuracy = evaluate(solver, task, curve_problems, spec.evaluation.batch_size).accuracy
            curve.append({**spent.to_dict(), "accuracy": accuracy, "problems": len(curve_problems)})
            unfinished.save(folder)

    def share(spent: Cost) -> float:
        return getattr(spent, spec.budget.unit) / spec.budget.limit

    def progress(spent: Cost) -> None:
        on_progress(phase, share(spent), spent.to_dict())

    def note(text: str) -> None:
        checkpoints.tell(text)
        unfinished.notes.append(text)
        unfinished.save(folder)

    def resumed(spent: Cost) -> None:
        nonlocal phase
        curve[:] = [point for point in earlier if point["steps"] <= spent.steps]
        phase = f"training, resumed at step {spent.steps}"
        progress(spent)
        note(f"resumed at step {spent.steps} ({share(spent):.0%} of the budget).")

    with measured_energy() as energy:
        saving = replace(checkpoints, tell=note, on_resume=resumed)
        trained = train(spec, task, splits.train, folder, milestone, progress, saving)
    trained.save(folder / MODEL)
    evaluation = evaluate(
        trained.solver,
        task,
        splits.test,
        spec.evaluation.batch_size,
        lambda done: on_progress("evaluation", done / len(splits.test), {}),
    )
    metrics = summarise(task, evaluation)
    curve.append({**trained.cost.to_dict(), "accuracy": metrics["accuracy"]["value"], "problems": len(splits.test)})
    record = RunRecord(
        task={"name": spec.task_name, "family": task.family, "measure": task.measure},
        method=spec.method,
        seed=spec.seed,
        config=asdict(spec),
        fingerprint=fingerprint(spec),
        data=describe_data(spec, splits),
        budget=asdict(spec.budget),
        parameters=trained.parameters,
        training=trained.cost.to_dict(),
        metrics=metrics,
        curve=curve,
        scaling=[asdict(point) for point in evaluation.scaling if not math.isnan(point.flops_per_answer)],
        notes=[*trained.notes, *_interruptions(unfinished.notes)],
        demo=demonstrate(task, evaluation),
        diagnostics=trained.diagnostics,
        versions=versions(),
        hardware=hardware(),
        git=git_revision(),
        peak_memory_bytes=peak_memory_bytes(),
        energy_joules=energy["joules"],
        started=unfinished.started,
        loss=trained.losses,
    )
    save_predictions(folder, evaluation.predictions)
    record.save(folder)
    _tidy(spec, folder / TRAINER)
    return record


def _interruptions(notes: list[str]) -> list[str]:
    if not notes:
        return []
    told = [note[0].upper() + note[1:] for note in notes]
    return [*told, "Peak memory and energy are those of the last attempt."]


def _tidy(spec: RunSpec, trainer: Path) -> None:
    """The weights are saved: checkpoints go, unless the trainer's own options ask for them."""
    options: Any = spec.options
    phases = {trainer: options.trainer} if spec.base != "prompted" else {}
    if spec.base == "grpo":
        policy = trainer / "policy" if options.pupil.samples else trainer
        phases |= {policy: options.trainer, policy / "start": options.distillation.trainer}
        phases[trainer / "pupil"] = options.pupil.distillation.trainer
    for place, arguments in phases.items():
        clear(place, keep_checkpoints=arguments.get("save_strategy", "no") != "no")
    (trainer / UNFINISHED).unlink(missing_ok=True)


def train(
    spec: RunSpec,
    task: Task,
    problems: list[Problem],
    folder: Path,
    milestone: Callable[[Any, Cost], None],
    progress: Callable[[Cost], None],
    checkpoints: Checkpoints = ONLY_IF_ARGUED,
) -> Trained:
    """Dispatch to the method's package; each imports its trainer only when it is needed."""
    common: dict[str, Any] = {
        "budget": spec.budget,
        "seed": spec.seed,
        "output_dir": folder / TRAINER,
        "milestones": spec.evaluation.milestones,
        "at_milestone": milestone,
        "on_progress": progress,
        "checkpoints": checkpoints,
    }
    if spec.base in ("trm", "direct"):
        return _train_recursive(spec, task, problems, common)
    if spec.base in ("cot", "answer_only"):
        return _train_distilled(spec, task, problems, common)
    if spec.base == "prompted":
        return _train_prompted(spec, task, folder, checkpoints)
    return _train_grpo(spec, task, problems, folder, common)


def _train_recursive(spec: RunSpec, task: Task, problems: list[Problem], common: dict[str, Any]) -> Trained:
    from trm.trainer import train as train_recursive

    options: Any = spec.options
    result = train_recursive(as_grid(task, f"method.{spec.method}"), problems, options, **common)
    solver = recursive_solver(spec, task, result.model)
    return Trained(
        solver,
        result.model.save_pretrained,
        result.model.num_parameters(),
        result.meter.spent,
        result.losses,
        diagnostics={"precision": result.precision},
    )


def recursive_solver(spec: RunSpec, task: Task, model: Any) -> Solver:
    from trm.trainer import solver

    options: Any = spec.options
    return solver(model, as_grid(task, f"method.{spec.method}"), options)


def _train_distilled(spec: RunSpec, task: Task, problems: list[Problem], common: dict[str, Any]) -> Trained:
    from cot_distill.train import train as train_distilled

    options: Any = spec.options
    style: Style = "cot" if spec.base == "cot" else "answer_only"
    asked = load_splits(spec)[1].test
    result = train_distilled(task, problems, options, spec.model, style, **common, asked=asked)
    notes = [*_outside_knowledge(spec), *result.warnings]
    if spec.base == "cot" and options.content == "right":
        notes.append(_teaching(options.traces))
    return _trained_language_model(result, result.solver(task, style), notes, {})


def _teaching(traces: str | None) -> str:
    """What the traces are beyond the labels, in words for the reader."""
    if traces is None:
        return "Each label comes with a solver-written trace: supervision that TRM and answer-only do not get."
    from cot_distill.teacher import summary_of

    found = summary_of(Path(traces))
    price = "an unknown price" if found["flops"] is None else f"{found['flops']:.3g} FLOPs"
    return (
        f"Taught by traces of {found['configuration']['model']}, of which the verifier accepted "
        f"{found['acceptance_per_sample']:.0%}: writing them took {price}, which is not in the budget."
    )


def _train_grpo(spec: RunSpec, task: Task, problems: list[Problem], folder: Path, common: dict[str, Any]) -> Trained:
    from grpo.notes import policy_diagnostics, policy_notes, pupil_diagnostics, pupil_notes

    options: Any = spec.options
    seen: dict[str, float] = {}

    def test(name: str) -> Callable[[Solver], None]:
        problems = load_splits(spec)[1].test
        return lambda solver: seen.update({name: evaluate(solver, task, problems, spec.evaluation.batch_size).accuracy})

    common |= {"at_start": test("start")}
    pupil = None
    if options.pupil.samples:
        from grpo.student import train as train_pupil

        pupil = train_pupil(task, problems, options, spec.model, **common, keep=folder, at_policy=test("policy"))
        policy = pupil.policy
    else:
        from grpo.train import train as train_policy

        policy = train_policy(task, problems, options, spec.model, **common)
    notes = [*_outside_knowledge(spec), *policy_notes(spec, policy, seen["start"], len(problems))]
    notes += policy.diagnosis.lines
    diagnostics = policy_diagnostics(policy, seen["start"])
    if pupil is not None:
        notes += pupil_notes(spec, pupil, seen["policy"])
        diagnostics["pupil"] = pupil_diagnostics(pupil, seen["policy"])
    result = pupil or policy
    return _trained_language_model(result, result.solver(task, "cot"), notes, diagnostics)


def _train_prompted(spec: RunSpec, task: Task, folder: Path, checkpoints: Checkpoints) -> Trained:
    """Nothing is trained; the answers go to a file in the run's folder as they come."""
    from cot_distill.prompted import keep_answers

    options: Any = spec.options
    problems = load_splits(spec)[1].fingerprint
    log = keep_answers(folder / ANSWERS, options, spec.seed, problems, checkpoints.resume, checkpoints.tell)
    solver = prompted_solver(spec, task, log)
    size = None if options.parameters is None else int(options.parameters)
    return Trained(solver, lambda _: None, size, Cost(), [], solver.notes)


def prompted_solver(spec: RunSpec, task: Task, log: Any = None) -> Any:
    from cot_distill.prompted import PromptedSolver
    from cot_distill.prompting import choose_shots

    options: Any = spec.options
    shots = choose_shots(task, load_splits(spec)[1].train, options.shots) if options.shots else []
    return PromptedSolver(task, options, shots, spec.seed, f"method.{spec.method}", log)


def _trained_language_model(result: Any, solver: Any, notes: list[str], diagnostics: dict[str, Any]) -> Trained:
    def save(folder: Path) -> None:
        result.model.generation_config.max_new_tokens = result.max_new_tokens
        result.model.save_pretrained(folder)
        result.tokenizer.save_pretrained(folder)
        solver.weights = folder

    return Trained(solver, save, result.model.num_parameters(), result.meter.spent, result.losses, notes, diagnostics)


def _outside_knowledge(spec: RunSpec) -> list[str]:
    if spec.model.path is None:
        return []
    return [f"Starts from the pretrained model {spec.model.path}: knowledge from outside that is not in the budget."]


def load_solver(spec: RunSpec, task: Task, folder: Path) -> Solver:
    """The solver of a finished run, from its saved weights.

    Raises:
        UserError: if there are none.
    """
    if spec.base == "prompted":
        return prompted_solver(spec, task)
    weights = folder / MODEL
    if not weights.is_dir():
        raise UserError("no trained model here.", where=str(weights), cure="Give the folder of a finished run.")
    if spec.base in ("trm", "direct"):
        from trm.modeling import TRMForPuzzles

        return recursive_solver(spec, task, TRMForPuzzles.from_pretrained(weights).eval())
    from cot_distill.language_model import load_pretrained
    from cot_distill.solver import CausalLMSolver

    model, tokenizer = load_pretrained(str(weights))
    style: Style = "answer_only" if spec.base == "answer_only" else "cot"
    options: Any = spec.options
    longest = model.generation_config.max_new_tokens
    return CausalLMSolver(model, tokenizer, task, style, longest, options.solver, weights)


def summarise(task: Task, evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Accuracy with its interval, and the mean price of an answer; for ARC also its own score."""
    predictions = evaluation.predictions
    orbits = [p.problem.orbit for p in predictions]
    metrics: dict[str, dict[str, Any]] = {}
    for name, field_name in (("accuracy", "correct"), ("exact", "exact"), ("valid", "valid")):
        right = np.array([getattr(p.verdict, field_name) for p in predictions], dtype=float)
        interval = accuracy_interval([right], orbits)
        metrics[name] = interval.to_metric()
    for name in ("flops", "seconds", "steps", "tokens"):
        mean = float(np.mean([getattr(p.solution, name) for p in predictions]))
        metrics[f"{name}_per_answer"] = {"value": None if math.isnan(mean) else mean}  # a served model has no price
    if tokens := metrics["tokens_per_answer"]["value"]:
        metrics["tokens_per_second"] = {"value": tokens / metrics["seconds_per_answer"]["value"]}
    if evaluation.oracle is not None:
        metrics["oracle"] = {"value": evaluation.oracle}
    if any(task.puzzle_of(p.problem) for p in predictions):
        metrics["puzzle_score"] = {"value": puzzle_score(task, predictions)}
    return metrics


def describe_data(spec: RunSpec, splits: Splits) -> dict[str, Any]:
    source = spec.task.train_file or "generated"
    return {
        "fingerprint": splits.fingerprint,
        "train": len(splits.train),
        "test": len(splits.test),
        "train_orbits": len({p.orbit for p in splits.train}),
        "test_orbits": len({p.orbit for p in splits.test}),
        "source": source if isinstance(source, str) else " and ".join(source),
    }


def demonstrate(task: Task, evaluation: Evaluation) -> dict[str, Any]:
    """The first test problem, as this method thinks it through; the same problem for every method."""
    prediction = evaluation.predictions[0]
    return describe_solution(task, prediction)


def describe_solution(task: Task, prediction: Prediction) -> dict[str, Any]:
    """A solved problem step by step, as text."""
    problem, solution = prediction.problem, prediction.solution
    return {
        "id": problem.id,
        "question": task.render(problem),
        "answer": task.render(problem, Answer(problem.answer)),
        "correct": prediction.verdict.correct,
        "steps": [
            {
                "label": step.label,
                "text": step.text if step.answer is None else task.render(problem, step.answer),
                "correct": None if step.answer is None else task.verify(problem, step.answer).correct,
                "halting_probability": step.halting_probability,
            }
            for step in solution.trajectory
        ],
    }
