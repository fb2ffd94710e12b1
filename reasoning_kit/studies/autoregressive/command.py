"""``bench refinement``: measured, shown, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.measure import Measurement

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.records import RECORD, write_atomically
from benchmarks.task import Task
from cot_distill.options import SFTOptions
from grpo.options import GRPOOptions
from reasoning_kit.bench.result import progress_line, write_result
from reasoning_kit.bench.show import table
from reasoning_kit.config.checking import at_least
from reasoning_kit.config.spec import RunSpec
from reasoning_kit.runs.environment import use_free_cores
from reasoning_kit.studies.autoregressive import decoding_cost as refinement
from reasoning_kit.studies.autoregressive.aggregate import LENGTHS, LONGEST, Measured, sections
from reasoning_kit.studies.autoregressive.cache_policies import (
    SWEEPS,
    answered,
    cache_bytes,
    every_way,
    policies_of,
    weight_bytes,
)
from reasoning_kit.studies.autoregressive.difficulty import token_kinds
from reasoning_kit.studies.autoregressive.page import refinement_page
from reasoning_kit.studies.autoregressive.tables import refinement_tables

WIDEST = 400  # characters of a table
LANGUAGE_MODELS = ("cot", "answer_only", "grpo")


@dataclass(frozen=True)
class Trained:
    """How trained runs are measured.

    Attributes:
        repeats: of what is timed.
        rows: of a batch.
        problems: asked, at most.
        sure: halting probability above which a token halts; ``None``: each model's own.
    """

    repeats: int
    rows: int
    problems: int
    sure: float | None


def bench_refinement(
    words: Sequence[str],
    width: int,
    repeats: int,
    rows: int,
    problems: int,
    sure: float | None,
    out: Path | None,
    console: Console,
) -> None:
    """Without runs the claims about time and memory, on random weights; with some what decoding makes of them.

    Args:
        words: folders of runs or of comparisons, and options such as ``test_size=1000``.
        width: of the model of random weights.
        rows: of a batch where tokens are decoded.
        problems: of the test that are asked, at most.
        sure: a token halts where its halting probability is above it, or above the model's own.

    Raises:
        UserError: for an impossible size, a folder without runs, or runs that are not autoregressive TRMs.
    """
    for number, name in ((repeats, "--repeats"), (rows, "--rows"), (problems, "--problems")):
        at_least(1, number, name)
    if sure is not None and not 0 < sure < 1:
        raise UserError(
            f"the probability must lie between 0 and 1, not be {sure}.", where="--sure", cure="For example 0.9."
        )
    trained = Trained(repeats, rows, problems, sure)
    use_free_cores()
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    folders = [Path(word) for word in words if word not in overrides]
    with progress_line(console) as tell:
        found = _trained(folders, overrides, trained, tell) if folders else _claims(width, repeats, rows, tell)
    for each in refinement_tables(found):
        shown = table(*each.headings, caption=each.caption or None)
        for row in each.rows:
            shown.add_row(*row)
        console.print(f"\n[bold]{each.title}[/bold]" if each.title else "", highlight=False)
        # Wider than a narrow screen rather than cut: no number is dropped.
        shown.width = Measurement.get(console, console.options.update_width(WIDEST), shown).maximum
        console.print(shown, soft_wrap=True)
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
    refinement.build({**settings, "hidden_size": width})  # a size that does not fit is refused first
    return {
        "settings": settings,
        "prefix": refinement.against_prefix(settings, "committed", repeats, tell),
        "steps": refinement.against_steps(settings, "committed", repeats, tell),
        "memory": refinement.cache_memory(settings, tell),
        "recomputation": refinement.against_recomputation(settings, tell, rows),
    }


def _trained(
    folders: Sequence[Path],
    overrides: Sequence[str],
    how: Trained,
    tell: refinement.Tell,
) -> dict[str, Any]:
    chosen, skipped = _runs_below(folders)
    found = []
    for number, (folder, spec) in enumerate(chosen.items(), start=1):
        name = f"run {number} of {len(chosen)}, {spec.task_name}/{spec.method}/seed-{spec.seed}: "

        def tell_of(what: str, name: str = name) -> None:
            tell(name + what)

        found.append(_measure(folder, spec, overrides, how, tell_of))
    return {"runs": [run.to_dict() for run in found], "sections": sections(found, how.sure), "skipped": skipped}


def _runs_below(folders: Sequence[Path]) -> tuple[dict[Path, RunSpec], list[str]]:
    """Finished runs of language models, and those of others, which are left out.

    Raises:
        UserError: if there is no run, or no autoregressive TRM among them.
    """
    from reasoning_kit.runs.finished import load_run

    chosen: dict[Path, RunSpec] = {}
    skipped = []
    for folder in folders:
        records = [folder / RECORD] if (folder / RECORD).exists() else sorted(folder.rglob(RECORD))
        kept = [record.parent for record in records if not _moved_aside(record.relative_to(folder))]
        for run in kept or [folder]:  # a folder without any is refused by the loader
            spec = load_run(run)
            if spec.base in LANGUAGE_MODELS:
                chosen[run] = spec
            else:
                skipped.append(str(run))
    if not any(spec.model.architecture == "autoregressive_trm" for spec in chosen.values()):
        raise UserError(
            f"{len(chosen) + len(skipped)} run(s), none of which refines tokens.",
            where=", ".join(map(str, folders)),
            cure="Name a run of the ladder, such as ar_recursive_deep (reasoning-kit methods ls).",
        )
    return chosen, skipped


def _moved_aside(place: Path) -> bool:
    """``compare --fresh`` hides what it moves."""
    return any(part.startswith(".") for part in place.parts)


def _measure(
    folder: Path,
    spec: RunSpec,
    overrides: Sequence[str],
    how: Trained,
    tell: refinement.Tell,
) -> Measured:
    from reasoning_kit.runs.finished import chosen_problems, load_quietly

    task, splits, _ = chosen_problems(spec, overrides)
    asked = splits.test[: how.problems]
    solver: Any = load_quietly(spec, task, folder)
    config, end = solver.model.config, solver.tokenizer.eos_token_id
    traces = _traces(spec, task, asked)
    ways = every_way(solver, asked, traces, tell, how.sure)
    greedy = {}
    for way in ways:
        if way.halting == "fixed" and way.policy != SWEEPS:
            tell(f"policy {way.policy}, answers")
            greedy[way.policy] = answered(solver, asked, traces, way.policy, way.whole)
    prompts = solver.prompts(asked)
    # The answer's last token, the end, is never read.
    longest = max(len(prompt) + len(depths) - 1 for prompt, depths in zip(prompts, ways[0].depths, strict=True))
    refining = getattr(config, "halting", "none") == "correct"
    decoding = {"batch_size": how.rows, "depth": "adaptive", "halting_threshold": how.sure}
    decoding["max_new_tokens"] = solver.max_new_tokens
    return Measured(
        run=str(folder),
        task=spec.task_name,
        method=spec.method,
        seed=spec.seed,
        training=getattr(config, "training_mode", config.model_type),
        own=getattr(config, "policy", policies_of(config)[0]),
        most=getattr(config, "supervision_steps", 1),
        ids=[problem.id for problem in asked],
        orbits=[problem.orbit for problem in asked],
        longest=longest,
        weights=weight_bytes(solver.model),
        caches={
            policy: {LONGEST: cache_bytes(config, policy, longest)}
            | {str(tokens): cache_bytes(config, policy, tokens) for tokens in LENGTHS}
            for policy in policies_of(config)
        },
        ways=ways,
        answered=greedy,
        kinds=_kinds(task, asked, traces, ways[0].depths) if refining else {},
        lock_step=refinement.against_lock_step(solver.model, prompts, [end], decoding, how.repeats, tell)
        if refining
        else None,
    )


def _kinds(
    task: Task, problems: Sequence[Problem], traces: Sequence[str | None], depths: Sequence[Sequence[int]]
) -> dict[str, list[list[str]]]:
    """Each problem's kinds of tokens, for all ways to group them; none where a token is no single character."""
    labels = [token_kinds(task, problem, trace) for problem, trace in zip(problems, traces, strict=True)]
    kinds = {grouping: [label[grouping] for label in labels] for grouping in labels[0]}

    # A model writes one token more than the answer has: the end.
    written = [len(own) - 1 for own in depths]
    fits = all([len(row) for row in rows] == written for rows in kinds.values())
    return kinds if fits else {}


def _traces(spec: RunSpec, task: Task, problems: Sequence[Problem]) -> list[str | None]:
    """What each problem's programmatic teacher writes, in the style that the run learned; ``None`` without thoughts."""
    if spec.base == "answer_only":
        return [None] * len(problems)
    from cot_distill.traces import write_trace

    # GRPO learned to write in its start, the others in their only training.
    learned = spec.options.distillation if isinstance(spec.options, GRPOOptions) else spec.options
    style = cast(SFTOptions, learned).trace
    return [write_trace(task, problem, style) for problem in problems]
