"""One run: train one method on one task with one seed, answer the test problems, write the record.

The method is an object that knows how; here is what all methods share. Imports torch, so the command line starts it in
a process of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute import Cost
from benchmarks.evaluation import Evaluation, Prediction, Solver, Step, evaluate
from benchmarks.method import MODEL, TRAINER, Method, Trained, TrainingRun
from benchmarks.problem import Answer
from benchmarks.puzzles.arc.score import puzzle_score
from benchmarks.records import RunRecord, save_predictions
from benchmarks.splits import Splits
from benchmarks.statistics import accuracy_interval
from benchmarks.task import Task
from benchmarks.training.checkpoints import clear
from benchmarks.training.saving import Checkpoints
from reasoning_kit.config.spec import RunSpec, fingerprint
from reasoning_kit.registry import method
from reasoning_kit.runs.environment import git_revision, hardware, measured_energy, peak_memory_bytes, versions
from reasoning_kit.runs.results import UNFINISHED, Unfinished, resume_or_start

Progress = Callable[[str, float, dict[str, float]], None]  # phase, share done, numbers to show


def run(
    spec: RunSpec,
    folder: Path,
    on_progress: Progress,
    checkpoints: Checkpoints | None = None,
) -> RunRecord:
    """Train, evaluate and write ``record.json``, ``predictions.parquet`` and the model into ``folder``.

    The record is written last: a folder that has one is a finished run. Until then ``trainer/`` holds what a stopped
    run needs to go on.

    Args:
        checkpoints: when to save, whether to go on from there, and who hears of it.

    Raises:
        UserError: for everything that the user can mend.
    """
    checkpoints = checkpoints or Checkpoints()
    on_progress("problems", 0.0, {})
    task = spec.task.load()
    splits = spec.splits(task)
    unfinished = resume_or_start(folder, fingerprint(spec), splits.fingerprint, checkpoints.resume, checkpoints.tell)
    unfinished.save(folder)
    watch = Watch(spec, task, splits, folder, unfinished, on_progress, checkpoints)

    with measured_energy() as energy:
        trained = method(spec.base).train(watch.training_run())
    trained.save(folder / MODEL)
    evaluation = evaluate(
        trained.solver,
        task,
        splits.test,
        spec.evaluation.batch_size,
        lambda done: on_progress("evaluation", done / len(splits.test), {}),
    )

    record = make_record(watch, trained, evaluation, energy["joules"])
    save_predictions(folder, evaluation.predictions)
    record.save(folder)
    tidy(method(spec.base), spec.options, folder / TRAINER)
    return record


class Watch:
    """Follows a training: its learning curve, its progress, and what a stopped run must remember."""

    def __init__(
        self,
        spec: RunSpec,
        task: Task,
        splits: Splits,
        folder: Path,
        unfinished: Unfinished,
        on_progress: Progress,
        checkpoints: Checkpoints,
    ) -> None:
        self.spec, self.task, self.splits, self.folder = spec, task, splits, folder
        self.unfinished, self.on_progress, self.checkpoints = unfinished, on_progress, checkpoints
        self.curve = unfinished.curve
        self.earlier = list(unfinished.curve)
        self.phase = "training"

    def training_run(self) -> TrainingRun[Any]:
        """What the method is given."""
        spec = self.spec
        return TrainingRun(
            task=self.task,
            problems=self.splits.train,
            options=spec.options,
            budget=spec.budget,
            seed=spec.seed,
            folder=self.folder / TRAINER,
            model=spec.model,
            where=f"method.{spec.method}",
            keep=self.folder,
            milestones=spec.evaluation.milestones,
            at_milestone=self.milestone,
            on_progress=self.progress,
            at_phase=lambda _, solver: self.accuracy(solver, self.splits.test),
            checkpoints=replace(self.checkpoints, tell=self.note, on_resume=self.resumed),
            test_prompts=lambda: self.splits.test,
            fingerprint=self.splits.fingerprint,
        )

    def accuracy(self, solver: Solver, problems: Any) -> float:
        """Of weights on the way, on test problems."""
        return evaluate(solver, self.task, problems, self.spec.evaluation.batch_size).accuracy

    def milestone(self, solver: Solver, spent: Cost) -> None:
        """One point of the learning curve."""
        problems = self.splits.test[: self.spec.evaluation.curve_problems]
        if not problems:
            return
        accuracy = self.accuracy(solver, problems)
        self.curve.append({**spent.to_dict(), "accuracy": accuracy, "problems": len(problems)})
        self.unfinished.save(self.folder)

    def progress(self, spent: Cost) -> None:
        self.on_progress(self.phase, self._share(spent), spent.to_dict())

    def note(self, text: str) -> None:
        """Say something to the user, and keep it for the record."""
        self.checkpoints.tell(text)
        self.unfinished.notes.append(text)
        self.unfinished.save(self.folder)

    def resumed(self, spent: Cost) -> None:
        """Points of the curve that lie after the checkpoint are measured again."""
        self.curve[:] = [point for point in self.earlier if point["steps"] <= spent.steps]
        self.phase = f"training, resumed at step {spent.steps}"
        self.progress(spent)
        self.note(f"resumed at step {spent.steps} ({self._share(spent):.0%} of the budget).")

    def _share(self, spent: Cost) -> float:
        share: float = getattr(spent, self.spec.budget.unit) / self.spec.budget.limit
        return share


def make_record(watch: Watch, trained: Trained, evaluation: Evaluation, joules: float | None) -> RunRecord:
    """Everything about a run that has ended."""
    spec, task, splits = watch.spec, watch.task, watch.splits
    metrics = summarise(task, evaluation)
    last = {**trained.cost.to_dict(), "accuracy": metrics["accuracy"]["value"], "problems": len(splits.test)}
    watch.curve.append(last)
    return RunRecord(
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
        curve=watch.curve,
        scaling=[asdict(point) for point in evaluation.scaling if not math.isnan(point.flops_per_answer)],
        notes=[*trained.notes, *_interruptions(watch.unfinished.notes)],
        demo=demonstrate(task, evaluation),
        diagnostics=trained.diagnostics,
        versions=versions(),
        hardware=hardware(),
        git=git_revision(),
        peak_memory_bytes=peak_memory_bytes(),
        energy_joules=joules,
        started=watch.unfinished.started,
        loss=trained.losses,
    )


def _interruptions(notes: list[str]) -> list[str]:
    if not notes:
        return []
    sentences = [note[0].upper() + note[1:] for note in notes]
    return [*sentences, "Peak memory and energy are those of the last attempt."]


def tidy(base: Method[Any], options: object, trainer: Path) -> None:
    """The weights are saved: checkpoints go, unless the trainer's own options ask for them."""
    for place, keep in base.trainer_folders(options, trainer).items():
        clear(place, keep_checkpoints=keep)
    (trainer / UNFINISHED).unlink(missing_ok=True)


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
    # A solver that shows no thinking shows its answer.
    trajectory = solution.trajectory or (Step("answer", solution.text, solution.answer),)
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
            for step in trajectory
        ],
    }
