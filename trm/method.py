"""The recursive methods: TRM, and direct prediction, which is one pass of the same network.

Light until something runs: options are checked without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmarks.errors import UserError
from benchmarks.grid_task import as_grid
from benchmarks.method import (
    Effort,
    Measurement,
    Method,
    Price,
    Setting,
    Thinking,
    Trained,
    TrainingRun,
    trained_weights,
)
from benchmarks.problem import Problem
from trm.options import DirectOptions, TRMOptions, check_exploration, check_heads, mixer_for

if TYPE_CHECKING:
    from benchmarks.evaluation import Solver
    from benchmarks.scaling import Scaled
    from trm.modeling import TRMForPuzzles

DEPTH = 64  # supervision steps that `scale` goes to, unless told otherwise

HOW_LONGER = (
    "Every problem was thought about once along every way to the full depth; fewer steps, halting, trajectories "
    "and votes are read from these rollouts, since rows of a batch do not meet. FLOPs are counted by formula, for "
    "all supervision steps of all rollouts of a problem, as if each had stopped where its line says. Trajectory 0 "
    "has no noise (arXiv 2605.19943; until one is sure: arXiv 2601.19085)."
)


class RecursiveMethod(Method[TRMOptions]):
    """What TRM and direct prediction share: both train :class:`trm.modeling.TRMForPuzzles` on grids."""

    indifferent = ("model", "evaluation.batch_size")

    def check(self, setting: Setting[TRMOptions]) -> None:
        """The family must have a grid form, and its training problems must fill a batch: the last one is dropped."""
        as_grid(setting.task, f"task.{setting.task_name} with {setting.where}")

        batch, problems = setting.options.batch_size, setting.train_size
        if problems is not None and batch > problems:
            raise UserError(
                f"{problems} training problems of {setting.task_name} do not fill a batch of {batch}.",
                where=f"{setting.where}.batch_size",
                cure=f"Choose at most {problems}, or more training problems.",
            )

    def preflight(self, setting: Setting[TRMOptions]) -> None:
        """The network must fit the task, and the library take what the user hands through.

        The library is loaded only for options of its own, or for a precision that this machine may not have.
        """
        options, budget = setting.options, setting.budget
        positions = as_grid(setting.task, setting.where).positions
        check_exploration(options.exploration)
        check_heads(mixer_for(options.mixer, positions), options.width, options.heads)
        if not options.trainer and options.precision == "auto":
            return

        from benchmarks.training.trainer_options import try_arguments
        from trm.arguments import training_arguments

        try_arguments(
            lambda: training_arguments(options, budget, setting.seed, Path("unused")), f"{setting.where}.trainer"
        )

    def train(self, run: TrainingRun[TRMOptions]) -> Trained:
        """See :func:`trm.trainer.train`."""
        from trm.trainer import solver, train

        result = train(run)
        return Trained(
            solver=solver(result.model, as_grid(run.task, run.where), run.options),
            save=result.model.save_pretrained,
            parameters=result.model.num_parameters(),
            cost=result.meter.spent,
            losses=result.losses,
            diagnostics={"precision": result.precision},
        )

    def load(self, setting: Setting[TRMOptions], folder: Path) -> Solver:
        from trm.modeling import TRMForPuzzles
        from trm.trainer import solver

        model = TRMForPuzzles.from_pretrained(trained_weights(folder)).eval()
        return solver(model, as_grid(setting.task, setting.where), setting.options)

    def price(self, setting: Setting[TRMOptions]) -> Price:
        """Parameters and FLOPs by :mod:`trm.pricing`: no model is built."""
        from trm import pricing
        from trm.building import build

        options = setting.options
        config = build(as_grid(setting.task, setting.where), options)
        steps = 1 if config.recursion == "direct" else options.evaluation_steps or config.supervision_steps
        return Price(
            parameters=pricing.parameters(config),
            flops_per_step=options.batch_size * pricing.training_step(config),
            flops_per_answer=options.votes * options.trajectories * pricing.answer(config, steps),
            examples_per_step=options.batch_size,
        )


class Direct(RecursiveMethod):
    """One pass of the recursive model's network: the papers' baseline, and what recursion is measured against."""

    name: ClassVar[str] = "direct"
    label: ClassVar[str] = "Direct prediction"
    colour: ClassVar[str] = "slate"
    options: ClassVar[type] = DirectOptions


class TRM(RecursiveMethod):
    """Latent recursion with deep supervision, halting and EMA (arXiv 2510.04871)."""

    name: ClassVar[str] = "trm"
    label: ClassVar[str] = "TRM"
    colour: ClassVar[str] = "blue"
    thinking: ClassVar[Thinking] = "latent"
    options: ClassVar[type] = TRMOptions
    contrast: ClassVar[str | None] = "direct"

    def longer(self, setting: Setting[TRMOptions], folder: Path, effort: Effort) -> Measurement:
        """More supervision steps, halting, noisy trajectories, symmetric votes (:mod:`trm.scaling`)."""
        from trm import scaling

        options = setting.options
        settings = scaling.Settings(
            depth=DEPTH if effort.depth is None else effort.depth,
            trajectories=effort.trajectories,
            votes=effort.votes,
            noise=options.noise if effort.noise is None else effort.noise,
            patience=options.patience,
            precision=effort.precision,
        )
        scaling.check(settings)

        def measure(problems: Sequence[Problem], on_progress: Callable[[float], None]) -> Scaled:
            from benchmarks.scaling import Scaled

            model, grids = trained_model(folder), as_grid(setting.task, str(folder))
            series, rows = scaling.measure(model, grids, problems, settings, effort.batch_size, on_progress)
            lead = (
                f"trained with at most {options.supervision_steps} supervision steps, given up to {settings.depth} "
                f"here. Noise {settings.noise}, {settings.precision}."
            )
            return Scaled(series, rows, asdict(settings), "Steps", lead, HOW_LONGER)

        return measure


def trained_model(folder: Path) -> TRMForPuzzles:
    """The trained model of a finished run, on the GPU where there is one.

    Raises:
        UserError: if the run left no weights.
    """
    import torch
    from transformers.utils import logging

    from trm.modeling import TRMForPuzzles

    logging.disable_progress_bar()  # the weights load in an instant
    model = TRMForPuzzles.from_pretrained(trained_weights(folder)).eval()
    model.to(torch.accelerator.current_accelerator() or torch.device("cpu"))
    return model
