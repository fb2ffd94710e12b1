"""``bench refinement``: measured, shown, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.task import Task
from reasoning_kit.checking import at_least
from reasoning_kit.config import RunSpec
from reasoning_kit.environment import use_free_cores
from reasoning_kit.report import formatting as f
from reasoning_kit.speed import refinement
from reasoning_kit.speed.difficulty import token_kinds
from reasoning_kit.speed.refinement_run import Scored, by_difficulty, every_way
from reasoning_kit.speed.result import progress_line, write_result
from reasoning_kit.speed.show import table


def bench_refinement(
    run: Path | None, overrides: Sequence[str], width: int, repeats: int, rows: int, out: Path | None, console: Console
) -> None:
    """Without a run the claims about time and memory, on random weights; with one what decoding makes of it.

    Args:
        width: of the model of random weights.
        rows: of a batch where tokens are decoded.

    Raises:
        UserError: for an impossible size, or a run that is no autoregressive TRM.
    """
    at_least(1, repeats, "--repeats")
    at_least(1, rows, "--rows")
    use_free_cores()
    with progress_line(console) as tell:
        found = _claims(width, repeats, rows, tell) if run is None else _trained(run, overrides, repeats, rows, tell)
    for each in _tables(found):
        console.print(each)
    if out is not None:
        write_result(out, found)


def _claims(width: int, repeats: int, rows: int, tell: refinement.Tell) -> dict[str, Any]:
    settings = {
        "vocab_size": 64,
        "hidden_size": width,
        "num_attention_heads": max(1, width // 32),
        "intermediate_size": 8 * width // 3 // 2 * 2,
        "T": 1,
        "n": 1,
        "supervision_steps": 4,
    }
    refinement.build({**settings, "hidden_size": width})  # a size that does not fit is told first
    return {
        "settings": settings,
        "prefix": refinement.against_prefix(settings, "committed", repeats, tell),
        "steps": refinement.against_steps(settings, "committed", repeats, tell),
        "memory": refinement.cache_memory(settings, tell),
        "recomputation": refinement.against_recomputation(settings, tell, rows),
    }


def _trained(run: Path, overrides: Sequence[str], repeats: int, rows: int, tell: refinement.Tell) -> dict[str, Any]:
    from reasoning_kit.inspect_run import chosen_problems, load_quietly, load_run

    spec = load_run(run)
    _check(spec, run)
    task, splits, _ = chosen_problems(spec, overrides)
    problems = splits.test
    solver: Any = load_quietly(spec, task, run)
    traces = _traces(spec, task, problems)
    ways = every_way(solver, problems, traces, tell)
    decoding = {"max_new_tokens": solver.max_new_tokens, "batch_size": rows, "depth": "adaptive"}
    found: dict[str, Any] = {"run": str(run), "task": task.name, "problems": len(problems)}
    found["ways"] = [way.to_dict() for way in ways]
    found["difficulty"] = _difficulty(task, problems, traces, solver, ways)
    if solver.model.model.halting_head is not None:
        found["lock_step"] = refinement.against_lock_step(
            solver.model, solver.prompts(problems), [solver.tokenizer.eos_token_id], decoding, repeats, tell
        )
    return found


def _check(spec: RunSpec, run: Path) -> None:
    if spec.base not in ("cot", "answer_only", "grpo") or spec.model.architecture != "autoregressive_trm":
        raise UserError(
            f"{spec.method} refines no tokens.",
            where=str(run),
            cure="Name a run of the ladder, such as ar_recursive_deep (reasoning-kit methods ls).",
        )


def _traces(spec: RunSpec, task: Task, problems: Sequence[Problem]) -> list[str | None]:
    if spec.base == "answer_only":
        return [None] * len(problems)
    from cot_distill.traces import write_trace

    options: Any = spec.options
    style = options.distillation.trace if spec.base == "grpo" else options.trace
    return [write_trace(task, problem, style) for problem in problems]


def _difficulty(
    task: Task, problems: Sequence[Problem], traces: Sequence[str | None], solver: Any, ways: Sequence[Scored]
) -> dict[str, dict[str, dict[str, float]]]:
    """For each way of halting under the model's own policy, what kinds of tokens take how many steps."""
    labels = [token_kinds(task, problem, trace) for problem, trace in zip(problems, traces, strict=True)]
    if not all(labels):
        return {}
    policy = solver.model.config.cache_policy
    return {way.halting: by_difficulty(labels, way) for way in ways if way.policy == policy}


def _tables(found: Mapping[str, Any]) -> list[Table]:
    """What was measured, ready for ``console.print``."""
    tables = []
    for key, first in (("prefix", "Prefix"), ("steps", "Steps")):
        if key in found:
            line = found[key]
            caption = (
                f"A straight line explains {line['r_squared']:.1%}; growth at the far end ~ x^{line['exponent']:.2f}"
            )
            shown = table(f"{first}\n({line['policy']})", "Time", "FLOPs", caption=caption)
            for row in line["rows"]:
                shown.add_row(str(row[key]), f.duration(row["seconds"]), f.si(row["flops"]))
            tables.append(shown)
    if "memory" in found:
        shown = table("Cache", "Steps", "Tokens", "Allocated", "Formula")
        for row in found["memory"]:
            sizes = (f.memory(row["allocated"]), f.memory(row["formula"]))
            shown.add_row(row["policy"], str(row["steps"]), str(row["tokens"]), *sizes)
        tables.append(shown)
    if "recomputation" in found:
        line = found["recomputation"]
        shown = table(f"{line['tokens']} tokens, {line['rows']} rows", "Time", "FLOPs")
        shown.add_row("with the cache", f.duration(line["cached_seconds"]), f.si(line["cached_flops"]))
        shown.add_row("recomputed", f.duration(line["recomputed_seconds"]), f.si(line["recomputed_flops"]))
        shown.add_row("ratio", f"{line['ratio']:.1f}", f"{line['recomputed_flops'] / line['cached_flops']:.1f}")
        tables.append(shown)
    if "ways" in found:
        shown = table("Cache policy", "Halting", "Steps", "Loss", "Tokens", "Whole answers", "Cache")
        for way in found["ways"]:
            whole = way["whole"]
            shown.add_row(
                way["policy"],
                way["halting"],
                f"{way['steps']:.2f}",
                f"{way['loss']:.4f}",
                f.percent(way["tokens"]),
                f"{f.percent(whole['value'])} ({f.percent(whole['low'])} to {f.percent(whole['high'])})",
                f.memory(way["memory_bytes"]),
            )
        tables.append(shown)
    for halting, kinds in found.get("difficulty", {}).items():
        shown = table(f"Token ({halting})", "Count", "Steps", "Right")
        for name, row in kinds.items():
            shown.add_row(name, str(row["tokens"]), f"{row['steps']:.2f}", f.percent(row["right"]))
        tables.append(shown)
    if "lock_step" in found:
        line = found["lock_step"]
        caption = f"{line['rows']} rows, {line['mean_steps']:.2f} of {line['most_steps']} steps a token; same tokens"
        shown = table("Batching", "Tokens/s", "Steps of the batch", caption=caption)
        for name, speeds in (("depth-wise", "depthwise"), ("lock-step", "lock_step")):
            per_second = ", ".join(f"{speed:.3g}" for speed in line[f"{speeds}_tokens_per_second"])
            shown.add_row(name, per_second, str(line["ticks"][name]))
        shown.add_row("ratio", f"{line['ratio']:.2f}", f"{line['tick_ratio']:.2f}")
        tables.append(shown)
    return tables
