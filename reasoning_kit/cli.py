"""The command line. Every command imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="On the same problems, labels and compute: does thinking longer in tokens or in latent recursion win?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tasks_app = typer.Typer(help="The problems: families, sizes, examples.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")
methods_app = typer.Typer(help="The methods and variants of them.", no_args_is_help=True)
app.add_typer(methods_app, name="methods")
bench_app = typer.Typer(help="Benchmarks of speed: ratios in one run.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="key=value: task=[sudoku-4x4,maze-8x8] method=[trm,cot] budget.limit=1e12 method.trm.n=4 experiment=cpu "
        "model=FOLDER_OR_HUB_NAME; a variant of your own: method.deep.base=trm method.deep.n=12",
        show_default=False,
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the results; runs/<name> if not given.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Move runs of another configuration aside and start anew.")]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Unfinished runs go on from their checkpoints, or start anew.")
]
Model = Annotated[
    str | None, typer.Option("--model", help="Folder or hub name of a pretrained language model.", show_default=False)
]
UnsafeCode = Annotated[
    bool,
    typer.Option(
        "--unsafe-code",
        help="Where nothing isolates model-written code, run it all the same: it can do whatever you can.",
    ),
]
ResultFile = Annotated[Path | None, typer.Option(help="JSON with all numbers.", show_default=False)]

INTERRUPTED = 130  # what a shell reports after Ctrl-C
CANNOT_WRITE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOSPC, errno.EDQUOT,
)  # fmt: skip


@app.command()
def compare(
    overrides: Overrides = None,
    out: Out = None,
    fresh: Fresh = False,
    resume: Resume = True,
    model: Model = None,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Train every method on every task under one budget, and write the report."""
    from reasoning_kit.commands.compare import compare as run_comparison

    report = run_comparison(_with(overrides, model, unsafe_code), out, fresh, _console(), resume)
    _console().print(f"\nReport: [bold]{report.absolute()}[/bold]")


@app.command()
def train(
    overrides: Overrides = None,
    out: Out = None,
    fresh: Fresh = False,
    resume: Resume = True,
    model: Model = None,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Train one method on one task: train task=sudoku-4x4 method=trm."""
    from reasoning_kit.commands.compare import train_one

    folder = train_one(_with(overrides, model, unsafe_code), out, fresh, _console(), resume)
    _console().print(f"\nTrained: [bold]{folder.absolute()}[/bold]   (reasoning-kit eval or solve takes this folder)")


@app.command("eval")
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Other test problems: test_size=1000 seed=7 test_file=PATH")
    ] = None,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Answer the test problems of a finished run again, or others: other seed, size or file."""
    from reasoning_kit.commands.evaluate import evaluate_run

    evaluate_run(run, overrides or [], _console(), unsafe_code)


@app.command()
def solve(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    puzzle: Annotated[str | None, typer.Argument(help="The puzzle, or - for standard input.")] = None,
    file: Annotated[Path | None, typer.Option(help="File that holds the puzzle.")] = None,
    latents: Annotated[bool, typer.Option("--latents", help="Show y and z of every step, decoded.")] = False,
) -> None:
    """Let a trained model answer one typed puzzle, and show its thinking step by step."""
    from reasoning_kit.commands.solve import solve_puzzle

    solve_puzzle(run, puzzle, file, _console(), latents)


@app.command()
def teach(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="task=NAME train_size=1000 teacher.samples=8 teacher.temperature=1, and who teaches: "
            "teacher.base_url=http://localhost:8000/v1 teacher.model=NAME, or teacher.model=FOLDER (a finished run of "
            "cot or grpo, or a pretrained model; teacher.engine=vllm)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the traces; runs/teacher-TASK if not given.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Move traces of another configuration aside.")] = False,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Let a language model write traces of the training problems; those with a right answer can be distilled."""
    from reasoning_kit.commands.teach import teach as write_traces

    folder = write_traces(_with(overrides, None, unsafe_code), out, fresh, _console())
    _console().print(
        f"\nTraces: [bold]{folder.absolute()}[/bold]   (learn them with method.cot.traces={folder})", soft_wrap=True
    )


@app.command()
def scale(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run that thinks: trm, cot, grpo, ar_recursive_deep, variants.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Other test problems: test_size=1000 seed=7 test_file=PATH")
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(help="Most supervision steps; 64 of TRM, 16 per token of an autoregressive one if not given."),
    ] = None,
    trajectories: Annotated[int, typer.Option(help="TRM: noisy ways of thinking about a problem.")] = 8,
    votes: Annotated[int, typer.Option(help="TRM: symmetric variants of a problem that vote.")] = 8,
    noise: Annotated[float | None, typer.Option(help="TRM: scale of the noise; the run's own if not given.")] = None,
    precision: Annotated[str, typer.Option(help="TRM: float32, bfloat16 or auto.")] = "float32",
    samples: Annotated[int, typer.Option(help="Language model: thoughts about a problem that vote.")] = 16,
    temperature: Annotated[float, typer.Option(help="Language model: at which they are drawn.")] = 0.8,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; RUN/scaling if not given.")] = None,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Draw accuracy against compute per puzzle: more steps, halting, trajectories, votes; longer or more thoughts."""
    from benchmarks.method import Effort
    from reasoning_kit.scaling.scale import scale_run

    effort = Effort(depth, trajectories, votes, noise, precision, samples, temperature)
    page = scale_run(run, overrides or [], _console(), effort, out, unsafe_code)
    _console().print(f"\nPage: [bold]{page.absolute()}[/bold]")


@app.command()
def diagnose(run: Annotated[Path, typer.Argument(help="Folder of a finished run of grpo or a variant.")]) -> None:
    """Why a GRPO run learned or did not: its course in numbers, pass@k before and after, a verdict with the cure."""
    from reasoning_kit.commands.diagnose import diagnose_run

    diagnose_run(run, _console())


@app.command()
def parity(
    recordings: Annotated[list[Path], typer.Argument(help="Recorded runs of the published TRM code (.npz).")],
) -> None:
    """Repeat recorded training runs of the published TRM code and show how far every number is from theirs."""
    from reasoning_kit.commands.parity import check_parity

    raise typer.Exit(check_parity(recordings, _console()))


@app.command()
def estimate(
    overrides: Overrides = None, model: Model = None, probe: bool = True, unsafe_code: UnsafeCode = False
) -> None:
    """Parameters, FLOPs, memory and time of a comparison, before anything runs."""
    from reasoning_kit.commands.estimate import estimate as run_estimate

    run_estimate(_with(overrides, model, unsafe_code), probe, _console())


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a comparison.")],
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables as Markdown into this file.")] = None,
) -> None:
    """Write the table and report.html of a comparison from its records."""
    from reasoning_kit.comparison import load_comparison
    from reasoning_kit.report import comparison_table, markdown_table, write_report, write_summary

    comparison = load_comparison(folder)
    console = _console()
    console.print(comparison_table(comparison, console.width))
    write_summary(comparison)
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(markdown_table(comparison))
    console.print(f"\nReport: [bold]{write_report(folder).absolute()}[/bold]")


@app.command()
def doctor() -> None:
    """What this machine can run, and what is missing."""
    from reasoning_kit.commands.doctor import examine

    raise typer.Exit(examine(_console()))


@tasks_app.command("ls")
def tasks_ls() -> None:
    """The tasks that can be named with task=."""
    from reasoning_kit.commands.tasks import list_tasks

    list_tasks(_console())


@tasks_app.command("show")
def tasks_show(
    name: Annotated[str, typer.Argument(help="A task of `tasks ls`.")],
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(help="Examples to show.")] = 1,
) -> None:
    """Examples of a task: the puzzle, its answer, and a programmatic trace."""
    from reasoning_kit.commands.tasks import show_task

    show_task(name, overrides or [], count, _console())


@methods_app.command("ls")
def methods_ls() -> None:
    """The methods that can be named with method=."""
    from reasoning_kit.commands.methods import list_methods

    list_methods(_console())


@bench_app.command("trm-step")
def bench_trm_step(
    width: int = 512,
    batch: int = 32,
    size: Annotated[int, typer.Option(help="Side of the Sudoku.")] = 9,
    prefix: Annotated[int, typer.Option(help="Positions before the grid.")] = 16,
    big_t: Annotated[int, typer.Option("-T", help="Rounds of the recursion.")] = 3,
    n: Annotated[int, typer.Option("-n", help="Updates of z in a round.")] = 6,
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
    from reasoning_kit.bench.commands import trm_step
    from reasoning_kit.bench.step_program import PLAIN, Shape

    shape = Shape(PLAIN, "float32", size, prefix, width, batch, big_t, n)
    trm_step(shape, compile, precision, steps, threads, out, _console())


@bench_app.command("trm-solve")
def bench_trm_solve(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run of TRM or a variant.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Other test problems: test_size=1000 seed=7 test_file=PATH")
    ] = None,
    repeats: int = 5,
    batch_size: int = 128,
    steps: Annotated[int | None, typer.Option(help="Most supervision steps; as in training if not given.")] = None,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or auto.")] = "float32",
    out: ResultFile = None,
) -> None:
    """Puzzles per second with halting against always running all supervision steps."""
    from reasoning_kit.bench.commands import trm_solve

    trm_solve(run, overrides or [], repeats, batch_size, steps, precision, out, _console())


@bench_app.command("grpo-step")
def bench_grpo_step(
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(help="Measured steps of each run.")] = 10,
    out: ResultFile = None,
) -> None:
    """Where the time of a step of GRPO goes: generation, passes, rewards, the rest."""
    from reasoning_kit.bench.commands import grpo_step

    grpo_step(overrides or [], steps, out, _console())


@bench_app.command("time-to-accuracy")
def bench_time_to_accuracy(
    overrides: Overrides = None,
    target: Annotated[float, typer.Option(help="Share of the test problems that must be right.")] = 0.95,
    every: Annotated[float, typer.Option(help="Seconds of training between checks.")] = 5.0,
    limit: Annotated[float, typer.Option(help="Seconds of training after which a run has not reached it.")] = 900.0,
    out: Annotated[Path | None, typer.Option(help="JSON; runs/NAME/time-to-accuracy.json if not given.")] = None,
) -> None:
    """Training time of each method until it is right often enough on one task, against the first method."""
    from reasoning_kit.bench.time_to_accuracy import time_to_accuracy

    path = time_to_accuracy(overrides or [], target, every, limit, out, _console())
    _console().print(f"\nResults: [bold]{path.absolute()}[/bold]", soft_wrap=True)


@bench_app.command("refinement")
def bench_refinement(
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

    measure(runs or [], width, repeats, rows, problems, sure, out, _console())


@bench_app.command("gpu")
def bench_gpu(
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

    report = run_bench_gpu(out, data, small, seeds, stages, _console())
    _console().print(f"\nReport: [bold]{report.absolute()}[/bold]", soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    return Console()


def _with(overrides: list[str] | None, model: str | None, unsafe_code: bool) -> list[str]:
    """The overrides with what options say in their place."""
    from reasoning_kit.config.composition import model_path

    chosen = list(overrides or [])
    if model is not None:
        chosen.append(model_path(model))
    return [*chosen, "unsafe_code=true"] if unsafe_code else chosen


def main() -> None:
    """Entry point: a user's mistake is one message and exit code 2, no traceback."""
    try:
        app()
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            print("\nStopped. What is finished is kept; the same command goes on from there.", file=sys.stderr)
        raise
    except Exception as error:
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    from benchmarks.errors import UserError

    if isinstance(error, UserError):
        print(f"error: {error}", file=sys.stderr)
        return 2
    from reasoning_kit.commands.compare import RunsFailed

    if isinstance(error, RunsFailed):
        print(f"error: {error}", file=sys.stderr)
        if error.report:
            print(f"The report holds the runs that finished: {error.report}", file=sys.stderr)
        return 2 if error.user_error else 1
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        print(f"error: {error.filename}: {error.strerror}. Give another folder, or make room.", file=sys.stderr)
        return 2
    raise error
