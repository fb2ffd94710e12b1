"""One run as an object, for Python and notebooks: its record, its answers, and the trained model that answers more."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.records import RunRecord, load_predictions
from reasoning_kit.config.spec import RunSpec
from reasoning_kit.runs.finished import EVALUATION_KEYS, chosen_problems, load_quietly, load_run

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.evaluation import Evaluation, Prediction, Solution, Solver
    from benchmarks.task import Task
    from reasoning_kit.runs.run import Progress


FORM = "{desc} {n_fmt} %|{bar}| {elapsed}<{remaining}"


class Run:
    """A finished run.

    Attributes:
        folder: where it lies.
        spec: what was asked.
        record: what came of it (:class:`benchmarks.records.RunRecord`).

    Raises:
        UserError: if the folder holds no finished run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = load_run(folder)
        self.record = RunRecord.load(folder)
        self._solver: Solver | None = None

    @property
    def task(self) -> Task:
        return self.spec.task.load()

    @property
    def accuracy(self) -> float:
        """Share of the test problems that were answered rightly."""
        return float(self.record.metrics["accuracy"]["value"])

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of :attr:`accuracy`."""
        found = self.record.metrics["accuracy"]
        return float(found["low"]), float(found["high"])

    @property
    def cost(self) -> dict[str, float]:
        """What training took: ``flops``, ``seconds``, ``examples``, ``tokens``, ``steps``."""
        return self.record.training

    @property
    def solver(self) -> Solver:
        """The trained model, which answers problems of the task; loaded once."""
        if self._solver is None:
            self._solver = load_quietly(self.spec, self.task, self.folder)
        return self._solver

    def predictions(self) -> pd.DataFrame:
        """One row per test problem: what was asked, answered, judged and paid."""
        import pandas as pd

        return pd.DataFrame(load_predictions(self.folder))

    def solve(self, question: str) -> Prediction:
        """Answer one typed problem; the prediction holds the thinking, the answer and the verdict.

        Raises:
            UserError: if the question is malformed.
        """
        from benchmarks.evaluation import evaluate

        problem = self.task.parse_question(question)
        return evaluate(self.solver, self.task, [problem]).predictions[0]

    def think(self, question: str) -> Solution:
        """The solution of one typed problem, step by step (``.trajectory``)."""
        return self.solve(question).solution

    def evaluate(self, problems: Sequence[Problem] | None = None, **changes: Any) -> Evaluation:
        """Answer and judge the run's test problems, others of its task, or those given.

        Args:
            changes: ``test_size``, ``seed``, ``test_file``: other test problems.

        Raises:
            UserError: if a change is unknown, or a test problem was trained on.
        """
        from benchmarks.evaluation import evaluate

        for key in changes:
            if key not in EVALUATION_KEYS:
                raise UserError(
                    f"unknown key '{key}'.", where="evaluate", cure=f"Choose from: {', '.join(EVALUATION_KEYS)}."
                )
        if problems is None:
            overrides = [f"{key}={value}" for key, value in changes.items()]
            problems = chosen_problems(self.spec, overrides)[1].test
        return evaluate(self.solver, self.task, problems, self.spec.evaluation.batch_size)

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"<Run {self.spec.method} on {self.spec.task_name}, seed {self.spec.seed}: accuracy {self.accuracy:.1%} "
            f"({low:.1%} to {high:.1%}), {self.cost['flops']:.3g} FLOPs, in {self.folder}>"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the line above, and what the reader must know beside the number."""
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.record.notes)
        return f"<div>{html.escape(repr(self)[1:-1])}<ul>{notes}</ul></div>"


def train_here(spec: RunSpec, folder: Path, progress: bool = True) -> Run:
    """Train in this process, or load the run if it is finished.

    Args:
        progress: show a bar, in a terminal or a notebook.

    Raises:
        UserError: if the folder holds another run, or for what the method refuses.
    """
    from benchmarks.training.checkpoints import Checkpoints
    from reasoning_kit.registry import method
    from reasoning_kit.runs.environment import use_free_cores
    from reasoning_kit.runs.results import is_finished
    from reasoning_kit.runs.run import run

    if is_finished(spec, folder):
        return Run(folder)
    if (folder / "record.json").exists():
        raise UserError(
            "holds a run of another configuration.", where=str(folder), cure="Give another folder with out=."
        )
    method(spec.base).preflight(spec.setting())

    use_free_cores()
    _quiet()
    folder.mkdir(parents=True, exist_ok=True)
    with _bar(f"{spec.method} on {spec.task_name}", progress) as show:
        run(spec, folder, show, Checkpoints(minutes=5.0, resume=True))
    return Run(folder)


def _quiet() -> None:
    """transformers draws bars of its own for weights that are written in an instant."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@contextmanager
def _bar(title: str, shown: bool) -> Iterator[Progress]:
    """A bar that also works in a notebook."""
    from tqdm.auto import tqdm

    with tqdm(total=100, desc=title, unit="%", disable=not shown, leave=False, bar_format=FORM) as bar:

        def show(phase: str, share: float, numbers: dict[str, float]) -> None:
            bar.n = min(100, round(100 * share))
            flops = f", {numbers['flops'] / 1e12:.2f} TFLOP" if "flops" in numbers else ""
            bar.set_description_str(f"{title}: {phase}{flops}")

        yield show
