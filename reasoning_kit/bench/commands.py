"""``bench trm-step``, ``trm-solve`` and ``grpo-step``: checked, measured, shown, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console

from benchmarks.errors import UserError, did_you_mean
from reasoning_kit.bench.result import progress_line, write_result
from reasoning_kit.bench.show import solve_table, step_table
from reasoning_kit.bench.step_program import PLAIN, Shape
from reasoning_kit.config.checking import at_least
from reasoning_kit.runs.environment import compute_device, free_cores, use_free_cores
from trm.options import Compile

if TYPE_CHECKING:
    from reasoning_kit.bench.matmul import MatmulRate
    from reasoning_kit.bench.trm_step import StepBench

PRECISIONS = ("float32", "bfloat16")


def words(text: str, known: Sequence[str], where: str) -> list[str]:
    """The words of an option ``a,b``, without repetition.

    Raises:
        UserError: if there are none, or one is not known.
    """
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in found or [""]:
        if word not in known:
            raise UserError(f"unknown value '{word}'.", where=where, cure=did_you_mean(word, known))
    return found


def trm_step(
    shape: Shape,
    compile: str | None,
    precision: str,
    steps: int,
    threads: int | None,
    out: Path | None,
    console: Console,
) -> None:
    """Show a table and write ``out``.

    Args:
        shape: its ``program``, ``precision`` and ``threads`` are set here.
        compile: settings of ``compile`` that take part; those that make sense here, if not given.
        threads: as many as there are free cores, if not given.

    Raises:
        UserError: for an impossible shape, an unknown word, or a program that fails.
    """
    import torch

    gpu = torch.cuda.is_available() and not shape.use_cpu
    programs = words(
        compile or ",".join(get_args(Compile) if gpu else ("off", "network")), get_args(Compile), "--compile"
    )
    if "cuda_graphs" in programs and not gpu:
        raise UserError("there is no GPU here.", where="--compile cuda_graphs", cure="Leave it out.")
    precisions = words(precision, PRECISIONS, "--precision")
    at_least(1, steps, "--steps")
    if threads is not None:
        at_least(1, threads, "--threads")
    shape = replace(shape, threads=threads or free_cores())
    found = measured_step(shape, programs, precisions, steps, console)
    console.print(step_table(found["rows"]))
    if out is not None:
        write_result(out, found)


def measured_step(
    shape: Shape, programs: Sequence[str], precisions: Sequence[str], steps: int, console: Console
) -> dict[str, Any]:
    """The rates and the rows, as they are written."""
    from reasoning_kit.bench.trm_step import bench_step

    check_shape(shape, programs)
    with progress_line(console) as tell:
        tell("matrix products")
        rates = matmul_rates(shape, precisions)
        rows = step_rows(bench_step(shape, programs, precisions, steps, tell), rates)
    return {
        "shape": {k: v for k, v in asdict(shape).items() if k not in ("program", "precision")},
        "steps": steps,
        "matmul": {name: rate.to_dict() for name, rate in rates.items()},
        "rows": rows,
    }


def check_shape(shape: Shape, programs: Sequence[str]) -> None:
    """What is wrong is said before the programs start.

    Raises:
        UserError: naming the size.
    """
    for program in programs:
        replace(shape, program=program).config()


def matmul_rates(shape: Shape, precisions: Sequence[str]) -> dict[str, MatmulRate]:
    import torch

    from reasoning_kit.bench.matmul import matmul_rate

    config, device = replace(shape, program=PLAIN).config(), compute_device(shape.use_cpu)
    torch.set_num_threads(shape.threads)
    return {name: matmul_rate(config, shape.batch, name, device) for name in precisions}


def step_rows(found: Sequence[StepBench], rates: Mapping[str, MatmulRate]) -> list[dict[str, Any]]:
    """One per program and precision: :meth:`StepBench.to_dict`, FLOP/s by formula, their share of the fastest
    matrix product in that precision, and memory over that of the plain program."""
    plain = {row.precision: row for row in found if row.program == PLAIN}
    rows = []
    for row in found:
        speed = row.flops / row.median
        rows.append(
            row.to_dict()
            | {
                "flops_per_second": speed,
                "utilisation": speed / rates[row.precision].flops_per_second,
                "memory_ratio": row.memory_bytes / plain[row.precision].memory_bytes,
            }
        )
    return rows


def trm_solve(
    run: Path,
    overrides: Sequence[str],
    repeats: int,
    batch_size: int,
    steps: int | None,
    precision: str,
    out: Path | None,
    console: Console,
) -> None:
    """Show a table and write ``out``.

    Raises:
        UserError: as :func:`reasoning_kit.bench.trm_solve.bench_solve`, or for an impossible number or precision.
    """
    at_least(1, repeats, "--repeats")
    at_least(1, batch_size, "--batch-size")
    if steps is not None:
        at_least(1, steps, "--steps")
    [chosen] = words(precision, (*PRECISIONS, "auto"), "--precision")[:1]
    import torch

    from reasoning_kit.bench.trm_solve import bench_solve
    from trm.arguments import use_bfloat16

    use_free_cores()
    bfloat16 = use_bfloat16(chosen, torch.accelerator.is_available())
    with progress_line(console) as tell:
        tell(f"{run}: {repeats} repeats of three ways")
        found = bench_solve(run, overrides, repeats, batch_size, steps, bfloat16)
    console.print(solve_table(found))
    if out is not None:
        write_result(out, {"run": str(run.absolute()), "overrides": list(overrides)} | found.to_dict())


def grpo_step(overrides: Sequence[str], steps: int, out: Path | None, console: Console) -> None:
    """Show a table and write ``out``.

    Args:
        overrides: as of ``train``; several tasks and variants of GRPO are measured in turn.

    Raises:
        UserError: for a mistake in the configuration, or a budget that ends too early.
    """
    from reasoning_kit.bench.grpo_step import configured, measure, shares_table

    at_least(1, steps, "--steps")
    config = configured(overrides)
    import torch

    torch.set_num_threads(config.threads)
    with progress_line(console) as tell:
        rows = [measure(spec, steps, tell).to_dict() for spec in config.runs()]
    console.print(shares_table(rows))
    if out is not None:
        write_result(out, {"overrides": list(overrides), "threads": config.threads, "rows": rows})
