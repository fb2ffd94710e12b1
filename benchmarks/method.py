"""A method is one object: it checks its options, trains, answers, says what it costs and how it thinks longer.

The face (:mod:`reasoning_kit`) asks the object and knows no method by name. A package brings its methods in a module
``method.py``; people outside bring theirs by an entry point, a plain file or :func:`reasoning_kit.register_method`.

Six objects pass between the two:

- :class:`Setting`: one method with its options on one task, before anything runs;
- :class:`TrainingRun` and :class:`Trained`: everything that training is given, and what it leaves;
- :class:`Phase` and :class:`Price`: what it will cost;
- :class:`Effort` and :class:`benchmarks.scaling.Scaled`: how far it is to think at test time, and what that brings.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

from benchmarks.compute import Cost
from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.training.budget import Budget
from benchmarks.training.saving import Checkpoints

if TYPE_CHECKING:
    from benchmarks.evaluation import Solver
    from benchmarks.scaling import Scaled
    from benchmarks.splits import Splits


@runtime_checkable
class MethodOptions(Protocol):
    """Any frozen dataclass: what a user can set for a method. Its docstring says what each attribute means."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


O = TypeVar("O", bound=MethodOptions)  # noqa: E741  # the options of a method
Thinking = Literal["latent", "token", "none"]

MODEL, TRAINER = "model", "trainer"  # folders inside a run's folder: of the trained weights, of the checkpoints


# --- what a method is given -------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting(Generic[O]):
    """One method with its options on one task, before anything runs.

    Attributes:
        task: the family with its options fixed.
        options: of the method.
        model: the language model of the comparison, with what the method has of its own.
        budget: of training.
        seed: of weights, order and augmentation.
        train_size: number of training problems; ``None``: known when the files are read.
        where: the method's place in the configuration, for messages: ``method.trm``.
        task_name: how the comparison calls the task.
        splits: reads or generates the problems; only called where they are needed.
        few_splits: the same, at most so many problems of each split.
    """

    task: Task
    options: O
    model: ModelOptions
    budget: Budget
    seed: int = 0
    train_size: int | None = None
    where: str = "method"
    task_name: str = ""
    splits: Callable[[], Splits] | None = None
    few_splits: Callable[[int], Splits] | None = None


@dataclass(frozen=True)
class TrainingRun(Generic[O]):
    """Everything that a method is given to train.

    Attributes:
        task: the family with its options fixed.
        problems: to train on.
        options: of the method.
        budget: training stops when it is spent.
        seed: of weights, order and augmentation.
        folder: of the trainer's checkpoints.
        model: which language model, for methods that train one.
        where: the method's place in the configuration, for messages.
        keep: folder of what is to stay beside the record (a policy's weights, traces, a server's answers).
        milestones: shares of the budget, each in (0, 1), at which ``at_milestone(solver, spent)`` is called.
        at_milestone: gets a solver over the weights so far and what they cost. It runs off the clock.
        on_progress: gets what is spent, after every step.
        at_phase: gets the name of a phase that has ended and a solver over its weights; tells its accuracy.
        checkpoints: when to save into ``folder``, and whether to go on from there.
        test_prompts: the problems that the model will be asked. Only the length of their answers may be used.
        fingerprint: of the training and test problems, for what is kept outside the trainer's checkpoints.
    """

    task: Task
    problems: Sequence[Problem]
    options: O
    budget: Budget
    seed: int
    folder: Path
    model: ModelOptions = field(default_factory=ModelOptions)
    where: str = "method"
    keep: Path | None = None
    milestones: Sequence[float] = ()
    at_milestone: Callable[[Any, Cost], None] | None = None
    on_progress: Callable[[Cost], None] | None = None
    at_phase: Callable[[str, Any], float] | None = None
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    test_prompts: Callable[[], Sequence[Problem]] = lambda: ()
    fingerprint: str = ""

    def phase(self, name: str, share: float, **changed: Any) -> TrainingRun[Any]:
        """The first part of the budget, in a folder of its own.

        Args:
            name: of the folder.
            share: of the budget, in (0, 1]; milestones that lie in it come along.
            changed: fields of the part that differ.
        """
        part: dict[str, Any] = {
            "budget": self.budget.share(share),
            "folder": self.folder / name,
            "milestones": [m / share for m in self.milestones if m < share],
        }
        return replace(self, **part | changed)

    def rest(self, spent: Cost, since: float | None = None, **changed: Any) -> TrainingRun[Any]:
        """What is left after a part that has ended; its milestones and reports count that part in.

        Args:
            spent: by everything until now.
            since: share of the budget from which milestones are this part's; ``None``: the share that is spent.
            changed: fields of the part that differ.

        Raises:
            UserError: if nothing is left.
        """
        left = self.budget.limit - getattr(spent, self.budget.unit)
        if left <= 0:
            raise UserError(
                f"the phases before took all of the {self.budget.limit:g} {self.budget.unit}.",
                where=self.where,
                cure="Give a larger budget, or a smaller share to what comes first.",
            )

        # Milestones as shares of what is left. Each line rounds as its runs of before: a last digit can move a step.
        begins = 1 - left / self.budget.limit
        if since is None:
            later = [(m - begins) / (1 - begins) for m in self.milestones if m > begins]
        else:
            later = [1 - (1 - m) * self.budget.limit / left for m in self.milestones if m >= since]

        def at_milestone(solver: Any, cost: Cost) -> None:
            if self.at_milestone is not None:
                self.at_milestone(solver, spent + cost)

        def on_progress(cost: Cost) -> None:
            if self.on_progress is not None:
                self.on_progress(spent + cost)

        def on_resume(cost: Cost) -> None:
            self.checkpoints.on_resume(spent + cost)

        part: dict[str, Any] = {
            "budget": Budget(self.budget.unit, left),
            "milestones": later,
            "at_milestone": at_milestone,
            "on_progress": on_progress,
            "checkpoints": replace(self.checkpoints, on_resume=on_resume),
        }
        return replace(self, **part | changed)

    def ended(self, phase: str, solver: Any) -> float:
        """Say that a phase has ended; its accuracy, measured off the clock, or NaN where nobody measures."""
        return math.nan if self.at_phase is None else self.at_phase(phase, solver)


@dataclass
class Trained:
    """What training leaves, whatever the trainer.

    Attributes:
        solver: answers problems with the trained weights.
        save: writes the weights into a folder, from which :meth:`Method.load` takes them.
        parameters: of the model that answers; ``None`` where nobody knows.
        cost: of all that led to the result.
        losses: ``{"step", "loss", ...}`` in order.
        notes: where the method could not be matched with others, in words for the reader.
        diagnostics: what only this method has, as plain values.
    """

    solver: Solver
    save: Callable[[Path], None]
    parameters: int | None
    cost: Cost
    losses: list[dict[str, float]]
    notes: list[str] = field(default_factory=list)
    diagnostics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Price:
    """What a model costs, before it runs.

    Attributes:
        parameters: of the model.
        flops_per_step: of one optimiser step, generation included.
        flops_per_answer: at full depth, and as long as what is taught.
        examples_per_step: problems or completions of one optimiser step.
        copies: numbers held per parameter: weights, gradients, moments, a reference model.
    """

    parameters: int
    flops_per_step: float
    flops_per_answer: float
    examples_per_step: float
    copies: int = 4


@dataclass(frozen=True)
class Phase:
    """One of the trainings that a run consists of: a share of the budget, and the method and setting that it is."""

    share: float
    method: Method[Any]
    setting: Setting[Any]


@dataclass(frozen=True)
class Effort:
    """How far a trained model is to think at test time.

    Attributes:
        depth: most supervision steps; ``None``: the method's own choice.
        trajectories: noisy ways of thinking about a problem.
        votes: symmetric variants of a problem that vote.
        noise: standard deviation of the noise; ``None``: the run's own.
        precision: of the matrix products: ``float32``, ``bfloat16`` or ``auto``.
        samples: thoughts about a problem that vote.
        temperature: at which they are drawn.
        batch_size: problems that are worked on at once.
    """

    depth: int | None = None
    trajectories: int = 8
    votes: int = 8
    noise: float | None = None
    precision: str = "float32"
    samples: int = 16
    temperature: float = 0.8
    batch_size: int = 128


# Measures accuracy against compute on problems; reports how many of them are done.
Measurement = Callable[[Sequence[Problem], Callable[[float], None]], "Scaled"]


class Method(ABC, Generic[O]):
    """A way to learn a task. Stateless; one object of it serves all runs.

    Attributes:
        name: in configurations, records and on the command line.
        label: in tables and figures.
        thinking: ``latent``, ``token`` or ``none``.
        options: the frozen dataclass of what a user can set. Its module must import without torch.
        contrast: the method that isolates what this one's thinking adds; ``None``: there is none.
        colour: in reports, by its name in :data:`reasoning_kit.report.styles.PALETTE`; empty: one that no other has.
        trains: spends the budget; otherwise a model is asked as it is, and no budget is matched.
        indifferent: parts of a run's specification that cannot change its result, such as ``model``.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    thinking: ClassVar[Thinking] = "none"
    options: ClassVar[type]
    contrast: ClassVar[str | None] = None
    colour: ClassVar[str] = ""
    trains: ClassVar[bool] = True
    indifferent: ClassVar[tuple[str, ...]] = ()

    # --- before anything runs -------------------------------------------------------------------

    def check(self, setting: Setting[O]) -> None:
        """Refuse what cannot run, from options and task alone: in an instant, without torch.

        Raises:
            UserError: naming the option.
        """

    def preflight(self, setting: Setting[O]) -> None:
        """Refuse what only libraries, folders and servers know; called once before the first worker starts.

        Raises:
            UserError: naming the option.
        """

    def resolve(self, options: O, task: type[Task], model: ModelOptions) -> O:
        """The options on one task, where a default depends on it.

        Args:
            task: the class of its family.
        """
        return options

    def own_model(self, options: O, model: ModelOptions, where: str) -> ModelOptions:
        """The language model that is trained: the comparison's, with what the method has of its own."""
        return model

    def thinks(self, model: Mapping[str, Any]) -> Thinking:
        """How a run thinks, where its model decides that.

        Args:
            model: :class:`benchmarks.language_models.ModelOptions` as a mapping.
        """
        return self.thinking

    # --- training and answering -----------------------------------------------------------------

    @abstractmethod
    def train(self, run: TrainingRun[O]) -> Trained:
        """Train until the budget is spent.

        Raises:
            UserError: for everything that the user can mend.
        """

    @abstractmethod
    def load(self, setting: Setting[O], folder: Path) -> Solver:
        """The solver of a finished run.

        Args:
            folder: of the run; the weights are in its folder ``model``.

        Raises:
            UserError: if there are none.
        """

    def trainer_folders(self, options: O, folder: Path) -> dict[Path, bool]:
        """Where training leaves checkpoints, and whether the user wants to keep them when it has ended.

        Args:
            folder: :attr:`TrainingRun.folder`.
        """
        trainer: Mapping[str, Any] = getattr(options, "trainer", {})
        return {folder: trainer.get("save_strategy", "no") != "no"}

    # --- what it costs ---------------------------------------------------------------------------

    def price(self, setting: Setting[O]) -> Price | None:
        """What a step and an answer cost, by formula; ``None``: the method cannot say."""
        return None

    def phases(self, setting: Setting[O]) -> list[Phase]:
        """The trainings that a run consists of, in order."""
        return [Phase(1.0, self, setting)]

    def steps_only(self, options: O) -> O:
        """Options for timing a few steps: without what comes before and after them."""
        return options

    # --- how it thinks longer --------------------------------------------------------------------

    def longer(self, setting: Setting[O], folder: Path, effort: Effort) -> Measurement:
        """Check the effort, and return what measures accuracy against compute per answer.

        Args:
            folder: of the finished run.

        Raises:
            UserError: if the method does not think, or the effort is out of range.
        """
        raise UserError(
            f"{setting.where.removeprefix('method.')} does not think, so it cannot think longer.",
            where=str(folder),
            cure="Name a run of a method that thinks; `reasoning-kit methods ls` says which do.",
        )


def trained_weights(folder: Path) -> Path:
    """The folder of a finished run's weights.

    Raises:
        UserError: if there are none.
    """
    weights = folder / MODEL
    if not weights.is_dir():
        raise UserError("no trained model here.", where=str(weights), cure="Give the folder of a finished run.")
    return weights
