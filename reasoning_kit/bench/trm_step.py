"""``bench trm-step``: a training step of ours against a plain one (:mod:`reasoning_kit.bench.plain`), same shapes.

The programs take turns, step by step, each in a process of its own. What else the machine does falls on all of them, so
the ratio of neighbouring steps says more than any time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

from benchmarks.errors import UserError
from reasoning_kit.bench.step_program import PLAIN, Shape
from reasoning_kit.runs.environment import process_settings


@dataclass(frozen=True)
class StepBench:
    """One program at one precision.

    Attributes:
        seconds: of each step, in order; steps that set things up or compile are left out.
        ratios: seconds of the plain step in the same precision before it, over its own.
        first_seconds: of the steps that were left out, all together.
        memory_bytes: most that its process used, on a GPU there.
        flops: of one step, by formula (:mod:`trm.pricing`).
    """

    program: str
    precision: str
    seconds: list[float]
    ratios: list[float]
    first_seconds: float
    memory_bytes: int
    flops: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"median_seconds": self.median, "ratio": self.ratio}


def bench_step(
    shape: Shape,
    programs: Sequence[str] = ("off",),
    precisions: Sequence[str] = ("float32", "bfloat16"),
    steps: int = 5,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[StepBench]:
    """Measure plain and ``programs`` (settings of ``compile``) in each precision.

    Args:
        shape: its ``program`` and ``precision`` are set here.
        steps: timed steps of each program.

    Raises:
        UserError: if a program fails.
    """
    found = []
    for precision in precisions:
        shapes = [replace(shape, program=name, precision=precision) for name in (PLAIN, *programs)]
        found += _take_turns(shapes, steps, on_progress)
    return found


WARM_UP = 3  # a first step, one with a carry of other strides, and one that compiles nothing


def _take_turns(shapes: Sequence[Shape], steps: int, on_progress: Callable[[str], None]) -> list[StepBench]:
    with ExitStack() as stack:
        running = [stack.enter_context(_started(shape)) for shape in shapes]
        first = []
        for shape, program in zip(shapes, running, strict=True):
            on_progress(f"{shape.precision}: starting {shape.program}")
            first.append(sum(program.step() for _ in range(WARM_UP)))
        times: list[list[float]] = [[] for _ in shapes]
        for turn in range(steps):
            on_progress(f"{shapes[0].precision}: step {turn + 1} of {steps}")
            for own, program in zip(times, running, strict=True):
                own.append(program.step())
        memory = [program.end() for program in running]
    flops = _flops(shapes[0])
    return [
        StepBench(
            shape.program,
            shape.precision,
            own,
            [plain / mine for plain, mine in zip(times[0], own, strict=True)],
            started,
            used,
            flops,
        )
        for shape, own, started, used in zip(shapes, times, first, memory, strict=True)
    ]


class _Program:
    """A running :mod:`reasoning_kit.bench.step_program`."""

    def __init__(self, shape: Shape, process: subprocess.Popen[str], log: IO[str]) -> None:
        self.shape, self.process, self.log = shape, process, log

    def step(self) -> float:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended is read below
        return float(self._answer("seconds"))

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return int(self._answer("memory"))

    def _answer(self, name: str) -> float:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return float(json.loads(line)[name])
        self.process.wait()
        self.log.seek(0)
        raise UserError(
            f"the program '{self.shape.program}' in {self.shape.precision} failed: {self.log.read()[-1500:]}",
            where="bench trm-step",
            cure="Choose a smaller shape, or leave this program out (--compile).",
        )


@contextmanager
def _started(shape: Shape) -> Iterator[_Program]:
    settings = process_settings(shape.threads)
    if shape.program == PLAIN:  # as a user starts a script
        settings = {name: value for name, value in settings.items() if not name.startswith("MALLOC")}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "reasoning_kit.bench.step_program", json.dumps(asdict(shape))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | settings | {"PYTHONWARNINGS": "ignore"},
        )
        try:
            yield _Program(shape, process, log)
        finally:
            process.kill()
            process.wait()


def _flops(shape: Shape) -> float:
    from trm import pricing

    return shape.batch * pricing.training_step(shape.config())
