"""The command line. A command only reads its words; it imports what does the work when it runs, so that light ones
answer at once."""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from reasoning_kit.bench.cli import bench_app
from reasoning_kit.commands.flags import (
    ComparisonFlags,
    OtherProblems,
    Overrides,
    ResultFlags,
    UnsafeCode,
    command,
    new_console,
)

app = typer.Typer(
    help="On the same problems, labels and compute: does thinking longer in tokens or in latent recursion win?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tasks_app = typer.Typer(help="The problems: families, sizes, examples.", no_args_is_help=True)
app.add_typer(tasks_app, name="tasks")
methods_app = typer.Typer(help="The methods and variants of them.", no_args_is_help=True)
app.add_typer(methods_app, name="methods")
app.add_typer(bench_app, name="bench")
new_app = typer.Typer(help="Working examples of a task or a method of your own.", no_args_is_help=True)
app.add_typer(new_app, name="new")

INTERRUPTED = 130  # what a shell reports after Ctrl-C
CANNOT_WRITE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOSPC, errno.EDQUOT,
)  # fmt: skip

FinishedRun = Annotated[Path, typer.Argument(help="Folder of a finished run.")]


def _show_version(asked: bool) -> bool:
    if asked:
        from importlib.metadata import version

        print(f"reasoning_kit {version('reasoning_kit')}")
        raise typer.Exit
    return asked


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """On the same problems, labels and compute: does thinking longer in tokens or in latent recursion win?"""


# --- comparing and training -------------------------------------------------------------------------


@command(app, "compare")
def compare(results: ResultFlags, flags: ComparisonFlags, overrides: Overrides = None) -> None:
    """Train every method on every task under one budget, and write the report.

    Besides flags, every option is written key=value: task, method, seeds, jobs, data, train_size, budget and more.
    """
    from reasoning_kit.commands.compare import compare as run_comparison

    console = new_console()
    report = run_comparison(flags.over(overrides), results.out, results.fresh, console, results.resume)
    console.print(f"\nReport: [bold]{report.absolute()}[/bold]")


@command(app, "train")
def train(results: ResultFlags, flags: ComparisonFlags, overrides: Overrides = None) -> None:
    """Train one method on one task: train task=sudoku-4x4 method=trm."""
    from reasoning_kit.commands.compare import train_one

    console = new_console()
    folder = train_one(flags.over(overrides), results.out, results.fresh, console, results.resume)
    console.print(f"\nTrained: [bold]{folder.absolute()}[/bold]   (reasoning-kit eval or solve takes this folder)")


@command(app, "estimate")
def estimate(flags: ComparisonFlags, overrides: Overrides = None, probe: bool = True) -> None:
    """Parameters, FLOPs, memory and time of a comparison, before anything runs."""
    from reasoning_kit.commands.estimate import estimate as run_estimate

    run_estimate(flags.over(overrides), probe, new_console())


@command(app, "report")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a comparison.")],
    markdown: Annotated[Path | None, typer.Option(help="Also write the tables as Markdown into this file.")] = None,
) -> None:
    """Write the table and report.html of a comparison from its records."""
    from reasoning_kit.commands.report import report_comparison

    report_comparison(folder, markdown, new_console())


# --- one finished run -------------------------------------------------------------------------------


@command(app, "eval")
def evaluate(run: FinishedRun, problems: OtherProblems = None, unsafe_code: UnsafeCode = False) -> None:
    """Answer the test problems of a finished run again, or others: other seed, size or file."""
    from reasoning_kit.commands.evaluate import evaluate_run

    evaluate_run(run, problems or [], new_console(), unsafe_code)


@command(app, "solve")
def solve(
    run: FinishedRun,
    puzzle: Annotated[str | None, typer.Argument(help="The puzzle, or - for standard input.")] = None,
    file: Annotated[Path | None, typer.Option(help="File that holds the puzzle.")] = None,
    latents: Annotated[bool, typer.Option("--latents", help="Show y and z of every step, decoded.")] = False,
) -> None:
    """Let a trained model answer one typed puzzle, and show its thinking step by step."""
    from reasoning_kit.commands.solve import solve_puzzle

    solve_puzzle(run, puzzle, file, new_console(), latents)


@dataclass(frozen=True)
class ScaleFlags:
    """How much longer a run thinks than it was trained to."""

    depth: Annotated[
        int | None,
        typer.Option(help="Most supervision steps; 64 of TRM, 16 per token of an autoregressive one if not given."),
    ] = None
    trajectories: Annotated[int, typer.Option(help="TRM: noisy trajectories of a problem.")] = 8
    votes: Annotated[int, typer.Option(help="TRM: symmetric variants of a problem that vote.")] = 8
    noise: Annotated[float | None, typer.Option(help="TRM: scale of the noise; the run's own if not given.")] = None
    precision: Annotated[str, typer.Option(help="TRM: float32, bfloat16 or auto.")] = "float32"
    samples: Annotated[int, typer.Option(help="Language model: thoughts about a problem that vote.")] = 16
    temperature: Annotated[float, typer.Option(help="Language model: at which they are sampled.")] = 0.8


@command(app, "scale")
def scale(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run that thinks: trm, cot, grpo, ar_recursive_deep, variants.")
    ],
    flags: ScaleFlags,
    problems: OtherProblems = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; RUN/scaling if not given.")] = None,
    unsafe_code: UnsafeCode = False,
) -> None:
    """Draw accuracy against compute per puzzle: more steps, halting, trajectories, votes; longer or more thoughts."""
    from dataclasses import asdict

    from benchmarks.method import Effort
    from reasoning_kit.scaling.scale import scale_run

    console = new_console()
    page = scale_run(run, problems or [], console, Effort(**asdict(flags)), out, unsafe_code)
    console.print(f"\nPage: [bold]{page.absolute()}[/bold]")


@command(app, "diagnose")
def diagnose(run: Annotated[Path, typer.Argument(help="Folder of a finished run of grpo or a variant.")]) -> None:
    """Why a GRPO run learned or did not: its course in numbers, pass@k before and after, a verdict with the cure."""
    from reasoning_kit.commands.diagnose import diagnose_run

    diagnose_run(run, new_console())


@command(app, "parity")
def parity(
    recordings: Annotated[list[Path], typer.Argument(help="Recorded runs of the published TRM code (.npz).")],
) -> None:
    """Repeat recorded training runs of the published TRM code and show how far every number is from theirs."""
    from reasoning_kit.commands.parity import check_parity

    raise typer.Exit(check_parity(recordings, new_console()))


# --- before a run -----------------------------------------------------------------------------------


@command(app, "teach")
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

    console = new_console()
    folder = write_traces(ComparisonFlags(unsafe_code=unsafe_code).over(overrides), out, fresh, console)
    console.print(
        f"\nTraces: [bold]{folder.absolute()}[/bold]   (learn them with method.cot.traces={folder})", soft_wrap=True
    )


@command(app, "doctor")
def doctor() -> None:
    """What this machine can run, and what is missing."""
    from reasoning_kit.commands.doctor import examine

    raise typer.Exit(examine(new_console()))


@command(app, "options")
def options(
    path: Annotated[
        str | None,
        typer.Argument(help="Such as method.trm, model, budget.limit or task.sudoku-4x4.", show_default=False),
    ] = None,
) -> None:
    """Every option that is written key=value: its type, default and meaning."""
    from reasoning_kit.commands.options import show_options

    show_options(path, new_console())


@command(tasks_app, "ls")
def tasks_ls() -> None:
    """The tasks that can be named with task=."""
    from reasoning_kit.commands.tasks import list_tasks

    list_tasks(new_console())


@command(tasks_app, "show")
def tasks_show(
    name: Annotated[str, typer.Argument(help="A task of `tasks ls`.")],
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(help="Examples to show.")] = 1,
    options: Annotated[bool, typer.Option("--options", help="Show its options instead.")] = False,
) -> None:
    """Examples of a task: the puzzle, its answer, and a programmatic trace."""
    from reasoning_kit.commands import tasks

    if options:
        tasks.show_task_options(name, new_console())
    else:
        tasks.show_task(name, overrides or [], count, new_console())


@command(methods_app, "ls")
def methods_ls() -> None:
    """The methods that can be named with method=."""
    from reasoning_kit.commands.methods import list_methods

    list_methods(new_console())


@command(methods_app, "show")
def methods_show(name: Annotated[str, typer.Argument(help="A method of `methods ls`.")]) -> None:
    """What a method is, and every option of it with its value, type, default and meaning."""
    from reasoning_kit.commands.methods import show_method

    show_method(name, new_console())


# --- a task or a method of your own -----------------------------------------------------------------

ExampleFolder = Annotated[Path, typer.Option(help="Where the two files are written.")]


@command(new_app, "task")
def new_task(name: Annotated[str, typer.Argument(help="Such as my-task.")], folder: ExampleFolder = Path()) -> None:
    """Write NAME.py, a family of problems that works, and its test."""
    from reasoning_kit.commands.new import write_example

    write_example("task", name, folder, new_console())


@command(new_app, "method")
def new_method(name: Annotated[str, typer.Argument(help="Such as my-method.")], folder: ExampleFolder = Path()) -> None:
    """Write NAME.py, a method that works, and its test."""
    from reasoning_kit.commands.new import write_example

    write_example("method", name, folder, new_console())


# --- how a command ends -----------------------------------------------------------------------------


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
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
        print(f"error: {error.filename}: {error.strerror}. Give another folder, or make room.", file=sys.stderr)
        return 2

    from reasoning_kit.commands.compare import RunsFailed

    if isinstance(error, RunsFailed):
        print(f"error: {error}", file=sys.stderr)
        if error.report:
            print(f"The report holds the runs that finished: {error.report}", file=sys.stderr)
        return 2 if error.user_error else 1
    raise error
