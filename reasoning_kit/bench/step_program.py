"""One program of ``bench trm-step``, in a process of its own: ``python -m reasoning_kit.bench.step_program SHAPE``.

It takes one training step for each line that it reads and answers with the seconds that it took; at the end of its
input it tells the most memory that it used. So several programs take turns, and each one's memory is its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from benchmarks.grid_task import GridTask
    from benchmarks.problem import Problem
    from trm.configuration import TRMConfig
    from trm.options import TRMOptions

PLAIN = "plain"
NEVER = 10**8  # steps


@dataclass(frozen=True)
class Shape:
    """What is trained, and by which program.

    Attributes:
        program: ``plain``, or a setting of ``compile`` for ours.
        size: side of the Sudoku; there are ``size ** 2 + prefix`` positions.
        threads: of the CPU.
    """

    program: str
    precision: str
    size: int = 9
    prefix: int = 16
    width: int = 512
    batch: int = 32
    T: int = 3
    n: int = 6
    threads: int = 1
    use_cpu: bool = False

    def options(self) -> TRMOptions:
        """Ours: the published sizes, optimiser and average; nothing halts of its own accord so early in training."""
        from trm.options import TRMOptions

        settings: dict[str, Any] = {
            "compile": "off" if self.program == PLAIN else self.program,
            "inner_multiple": 256 if self.width >= 256 else 64,
            "trainer": {"use_cpu": True} if self.use_cpu else {},
        }
        names = ("width", "prefix", "T", "n", "precision")
        return TRMOptions(
            **{name: getattr(self, name) for name in names}, batch_size=self.batch, mixer="mlp", **settings
        )

    def task(self) -> GridTask:
        from benchmarks.puzzles.sudoku.task import Sudoku

        return Sudoku(self.size)

    def config(self) -> TRMConfig:
        """Of the model, plain or ours.

        Raises:
            UserError: if the sizes do not fit together.
        """
        from trm.trainer import build

        return build(self.task(), self.options())

    def data(self) -> tuple[GridTask, list[Problem]]:
        task = self.task()
        return task, task.generate("train", 2 * self.batch, seed=0)


class Turns:
    """Waits for its turn before each step and tells how long the step took, on a GPU until it is done there."""

    def __init__(self, channel: TextIO, use_cpu: bool) -> None:
        self.channel, self.use_cpu = channel, use_cpu
        self.started: float | None = None

    def next(self) -> bool:
        """Whether there is another step; the one before ends here."""
        import torch

        if torch.accelerator.is_available() and not self.use_cpu:
            torch.accelerator.synchronize()
        if self.started is not None:
            self.say(seconds=time.perf_counter() - self.started)
        going_on = bool(sys.stdin.readline())
        self.started = time.perf_counter()
        return going_on

    def say(self, **message: object) -> None:
        print(json.dumps(message), file=self.channel, flush=True)


def run_plain(shape: Shape, turns: Turns) -> None:
    import torch

    from reasoning_kit.bench.plain import PlainTraining
    from reasoning_kit.runs.environment import compute_device

    task, problems = shape.data()
    device = compute_device(shape.use_cpu)
    input_ids, labels = (ids[: shape.batch].to(device) for ids in task.encode(problems))
    training = PlainTraining(shape.config(), shape.batch, getattr(torch, shape.precision), device)
    while turns.next():
        training.step(input_ids, labels)


def run_ours(shape: Shape, turns: Turns) -> None:
    """The trainer that users have, with everything that belongs to a step: data, symmetries, clipping, average, log."""
    from transformers import TrainerCallback

    from benchmarks.training.budget import Budget, Meter
    from trm.arguments import training_arguments
    from trm.dataset import Examples
    from trm.ema import EMACallback
    from trm.modeling import TRMForPuzzles
    from trm.trainer import TRMTrainer

    class Listening(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if not turns.next():
                raise EOFError

    options, (task, problems) = shape.options(), shape.data()
    with tempfile.TemporaryDirectory() as folder:
        budget = Budget("steps", NEVER)
        trainer = TRMTrainer(
            TRMForPuzzles(shape.config()),
            training_arguments(options, budget, 0, Path(folder)),
            examples=Examples(task, problems, options),
            options=options,
            meter=Meter(budget),
            ema=EMACallback(),
            callbacks=[Listening()],
        )
        try:
            trainer.train()
        except EOFError:
            return


def main(specification: str) -> None:
    import torch

    from reasoning_kit.runs.environment import peak_memory_bytes

    shape = Shape(**json.loads(specification))
    torch.set_num_threads(shape.threads)
    channel, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    turns = Turns(channel, shape.use_cpu)
    (run_plain if shape.program == PLAIN else run_ours)(shape, turns)
    turns.say(memory=peak_memory_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
