"""``bench refinement``: measured, shown, written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.records import write_atomically
from benchmarks.task import Task
from reasoning_kit.checking import at_least
from reasoning_kit.config import RunSpec
from reasoning_kit.environment import use_free_cores
from reasoning_kit.report.refinement import refinement_page, refinement_tables
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
    for each in refinement_tables(found):
        shown = table(*each.headings, caption=each.caption or None)
        for row in each.rows:
            shown.add_row(*row)
        console.print(shown)
    if out is not None:
        write_result(out, found)
        page = out.with_suffix(".html")
        write_atomically(page, refinement_page(found))
        console.print(f"Page: {page.absolute()}", soft_wrap=True)


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
