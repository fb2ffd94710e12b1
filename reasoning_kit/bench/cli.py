"""``reasoning-kit bench``: benchmarks of speed, and what is measured of the autoregressive TRM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from reasoning_kit.commands.flags import OtherProblems, Overrides, ResultFile, command, new_console

bench_app = typer.Typer(help="Benchmarks of speed: ratios in one run.", no_args_is_help=True)


@dataclass(frozen=True)
class ShapeFlags:
    """The network and the batch of a measured step."""

    width: int = 512
    batch: int = 32
    size: Annotated[int, typer.Option(help="Side of the Sudoku.")] = 9
    prefix: Annotated[int, typer.Option(help="Positions before the grid.")] = 16
    big_t: Annotated[int, typer.Option("-T", help="Rounds of the recursion.")] = 3
    n: Annotated[int, typer.Option("-n", help="Updates of z in a round.")] = 6


@command(bench_app, "trm-step")
def trm_step(
    flags: ShapeFlags,
    steps: Annotated[int, typer.Option(help="Timed steps of each program.")] = 5,
    threads: Annotated[int | None, typer.Option(help="CPU threads; as many as free cores if not given.")] = None,
    precision: Annotated[str, typer.Option(help="float32,bfloat16 or one of them.")] = "float32,bfloat16",
    compile: Annotated[
        str | None,
        typer.Option(
            help="Some of off,network,recursion,cuda_graphs; off,network if not given, with a GPU all.",
            show_default=False,
        ),
    ] = None,
    out: ResultFile = None,
) -> None:
    """A training step of TRM against a plain eager program of the same shape, in turns."""
    from reasoning_kit.bench.commands import trm_step as measure
    from reasoning_kit.bench.step_program import PLAIN, Shape

    shape = Shape(PLAIN, "float32", flags.size, flags.prefix, flags.width, flags.batch, flags.big_t, flags.n)
    measure(shape, compile, precision, steps, threads, out, new_console())


@command(bench_app, "trm-solve")
def trm_solve(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run of TRM or a variant.")],
    problems: OtherProblems = None,
    repeats: int = 5,
    batch_size: int = 128,
    steps: Annotated[int | None, typer.Option(help="Most supervision steps; as in training if not given.")] = None,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or auto.")] = "float32",
    out: ResultFile = None,
) -> None:
    """Puzzles per second with halting against always running all supervision steps."""
    from reasoning_kit.bench.commands import trm_solve as measure

    measure(run, problems or [], repeats, batch_size, steps, precision, out, new_console())


@command(bench_app, "grpo-step")
def grpo_step(
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(help="Measured steps of each run.")] = 10,
    out: ResultFile = None,
) -> None:
    """Where the time of a step of GRPO goes: generation, passes, rewards, the rest."""
    from reasoning_kit.bench.commands import grpo_step as measure

    measure(overrides or [], steps, out, new_console())


@command(bench_app, "time-to-accuracy")
def time_to_accuracy(
    overrides: Overrides = None,
    target: Annotated[float, typer.Option(help="Share of the test problems that must be right.")] = 0.95,
    every: Annotated[float, typer.Option(help="Seconds of training between checks.")] = 5.0,
    limit: Annotated[float, typer.Option(help="Seconds of training after which a run has not reached it.")] = 900.0,
    out: Annotated[Path | None, typer.Option(help="JSON; runs/NAME/time-to-accuracy.json if not given.")] = None,
) -> None:
    """Training time of each method until it is right often enough on one task, against the first method."""
    from reasoning_kit.bench.time_to_accuracy import time_to_accuracy as measure

    path = measure(overrides or [], target, every, limit, out, new_console())
    new_console().print(f"\nResults: [bold]{path.absolute()}[/bold]", soft_wrap=True)


@command(bench_app, "refinement")
def refinement(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of finished runs of the ladder (ar_...) or of a comparison with some, and other test "
            "problems: test_size=1000 seed=7 test_file=PATH",
            show_default=False,
        ),
    ] = None,
    width: Annotated[int, typer.Option(help="Of the model of random weights, where no run is named.")] = 128,
    repeats: Annotated[int, typer.Option(help="Of everything that is timed.")] = 5,
    rows: Annotated[int, typer.Option(help="Of a batch where tokens are decoded.")] = 32,
    problems: Annotated[int, typer.Option(help="Of the test that each run is asked, at most.")] = 100,
    sure: Annotated[
        float | None, typer.Option(help="Halting probability above which a token halts; else each model's own.")
    ] = None,
    out: ResultFile = None,
) -> None:
    """Autoregressive TRM: time and memory against prefix and steps; of runs, caches, halting, bytes, batching."""
    from reasoning_kit.studies.autoregressive.command import bench_refinement as measure

    measure(runs or [], width, repeats, rows, problems, sure, out, new_console())


@command(bench_app, "gpu")
def gpu(
    out: Annotated[Path, typer.Option(help="Folder of the results; what it holds is not measured again.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the published files.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Tiny sizes, to try the command on a CPU.")] = False,
    seeds: Annotated[int, typer.Option(help="Of each training.")] = 1,
    stages: Annotated[
        str | None,
        typer.Option(help="Some of matmul,trm-step,sudoku,scale,maze; all if not given.", show_default=False),
    ] = None,
) -> None:
    """Everything a GPU can tell: products, step, time to accuracy, deeper inference. Goes on where it was stopped."""
    from reasoning_kit.bench.gpu import bench_gpu as run_bench_gpu

    report = run_bench_gpu(out, data, small, seeds, stages, new_console())
    new_console().print(f"\nReport: [bold]{report.absolute()}[/bold]", soft_wrap=True)
