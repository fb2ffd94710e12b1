"""Accuracy against compute per puzzle of one trained language model: what ``scale`` shows, measured.

Two ways of thinking longer in tokens: a longer thought, by budgets at which it is ended and an answer forced (budget
forcing, arXiv 2501.19393), and more thoughts, of which the most frequent answer counts (self-consistency, arXiv
2203.11171); of a model that answers without a thought, more answers. Every problem is thought about once greedily and
``samples`` times at random; shorter budgets and fewer samples are read from these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.scaling import Point, Series, doubling
from benchmarks.statistics import accuracy_interval

if TYPE_CHECKING:
    from benchmarks.evaluation import Judge
    from cot_distill.generators.base import Completion
    from cot_distill.solver import CausalLMSolver


@dataclass(frozen=True)
class Settings:
    """How far thinking is scaled.

    Attributes:
        samples: thoughts that vote; 1: none are drawn.
        temperature: at which they are drawn.
    """

    samples: int
    temperature: float


def check(settings: Settings) -> None:
    """
    Raises:
        UserError: naming the setting.
    """
    if settings.samples < 1:
        raise UserError(f"samples is {settings.samples}.", where="--samples", cure="Give at least 1.")
    if not settings.temperature > 0:
        raise UserError(
            f"temperature is {settings.temperature}.",
            where="--temperature",
            cure="Give a positive number, such as 0.8.",
        )


def measure(
    solver: CausalLMSolver,
    problems: Sequence[Problem],
    settings: Settings,
    batch_size: int,
    on_progress: Callable[[float], None],
) -> tuple[list[Series], list[dict[str, Any]]]:
    """All series, and one row per problem and sample; sample 0 is greedy.

    Args:
        solver: as the run has it; its own budget of thought and samples do not count here.
        on_progress: called with the problems done, counted in shares of all their thoughts.
    """
    from benchmarks.evaluation import Judge

    judge = Judge(solver.task)
    prompts = solver.prompts(problems)
    total, done = settings.samples + 1, 0

    def written(samples: int, temperature: float) -> list[list[Completion]]:
        found: dict[int, list[Completion]] = {}

        def keep(number: int, completions: list[Completion]) -> None:
            nonlocal done
            found[number] = completions
            done += samples
            on_progress(done / total)

        solver.options = replace(solver.options, samples=samples, temperature=temperature, token_budget=None)
        solver.complete(problems, prompts, batch_size, keep)
        return [found[number] for number in range(len(problems))]

    greedy = [completions[0] for completions in written(1, 0.0)]
    thinks = solver.style == "cot"
    series = [_by_budget(solver, judge, problems, prompts, greedy, batch_size)] if thinks else []
    drawn = written(settings.samples, settings.temperature) if settings.samples > 1 else [[] for _ in problems]
    if settings.samples > 1:
        series.append(_by_votes(solver, judge, problems, drawn))
    return series, _rows(solver, judge, problems, greedy, drawn)


def _by_budget(
    solver: CausalLMSolver,
    judge: Judge,
    problems: Sequence[Problem],
    prompts: Sequence[list[int]],
    greedy: list[Completion],
    batch_size: int,
) -> Series:
    """The greedy thought, ended after 0, 1, 2, 4 ... tokens; and as long as it is."""
    lengths, orbits = [solver.thought_tokens(completion) for completion in greedy], [p.orbit for p in problems]
    found = np.zeros(len(problems), dtype=bool)
    points = []
    budgets: list[int | None] = [0, *doubling(max(lengths)), None] if max(lengths) else [None]
    for budget in budgets:
        texts = dict(enumerate([completion] for completion in greedy))
        if budget is not None:
            cut = [i for i, length in enumerate(lengths) if length > budget]
            shortened = {at: [solver.shortened(greedy[i], budget)] for at, i in enumerate(cut)}
            forced: dict[int, list[Completion]] = {}
            solver.force_answers(
                [problems[i] for i in cut], [prompts[i] for i in cut], shortened, batch_size, forced.__setitem__
            )
            texts |= {cut[at]: completions for at, completions in forced.items()}
        right = np.array([judge(p, solver.read(p, texts[i][0])) for i, p in enumerate(problems)])
        found = found | right
        label = "the whole thought" if budget is None else f"at most {budget} tokens"
        points.append(point_of(solver, orbits, label, [texts[i] for i in range(len(problems))], right, found))
    return Series("budget", "longer thought, greedy", points)


def _by_votes(
    solver: CausalLMSolver, judge: Judge, problems: Sequence[Problem], drawn: list[list[Completion]]
) -> Series:
    """The first 1, 2, 4 ... samples of each problem."""
    from cot_distill.votes import majority

    answers = []  # of each problem, one for each sample
    for problem, completions in zip(problems, drawn, strict=True):
        answers.append([solver.read(problem, completion) for completion in completions])
    points = []
    for count in doubling(len(drawn[0])):
        voted = [majority(solver.task, given[:count]) for given in answers]
        right = np.array([judge(p, answer) for p, answer in zip(problems, voted, strict=True)])
        found = np.array([_any(judge, p, given[:count]) for p, given in zip(problems, answers, strict=True)])
        few = [completions[:count] for completions in drawn]
        label = f"{count} sample{'s' if count > 1 else ''}"
        points.append(point_of(solver, [p.orbit for p in problems], label, few, right, found | right))
    what = "thoughts" if solver.style == "cot" else "answers"
    return Series("votes", f"more {what}, majority vote", points)


def _any(judge: Judge, problem: Problem, answers: Sequence[Answer | None]) -> bool:
    return any(judge(problem, answer) for answer in answers)


def point_of(
    solver: CausalLMSolver,
    orbits: Sequence[str],
    label: str,
    texts: Sequence[Sequence[Completion]],
    right: NDArray[np.bool_],
    found: NDArray[np.bool_],
) -> Point:
    """
    Args:
        texts: all completions of each problem.
        right, found: whether each problem's answer is right, and whether any on the way was.
    """
    steps = []  # of all completions of each problem
    for completions in texts:
        steps.append(sum(steps_of(solver, completion) for completion in completions))
    return Point(
        label,
        float(np.mean([solver.price(completions) for completions in texts])),
        float(np.mean(steps)),
        accuracy_interval([right], orbits),
        accuracy_interval([found], orbits),
    )


def steps_of(solver: CausalLMSolver, completion: Completion) -> float:
    """Tokens; of a model that refines each in supervision steps, all of these."""
    full = getattr(solver.model.config, "supervision_steps", 1)
    return (completion.tokens or 0) * (full if completion.depth is None else completion.depth)


def _rows(
    solver: CausalLMSolver,
    judge: Judge,
    problems: Sequence[Problem],
    greedy: Sequence[Completion],
    drawn: Sequence[Sequence[Completion]],
) -> list[dict[str, Any]]:
    rows = []
    for problem, first, others in zip(problems, greedy, drawn, strict=True):
        rows.append(row_of(solver, judge, problem, first, "greedy", 0))
        for number, completion in enumerate(others, start=1):
            rows.append(row_of(solver, judge, problem, completion, "sampled", number))
    return rows


def row_of(
    solver: CausalLMSolver, judge: Judge, problem: Problem, completion: Completion, way: str, sample: int
) -> dict[str, Any]:
    """One row of ``scaling.parquet``."""
    answer = solver.read(problem, completion)
    return {
        "id": problem.id,
        "orbit": problem.orbit,
        "way": way,
        "sample": sample,
        "answer": None if answer is None else answer.text,
        "correct": judge(problem, answer),
        "tokens": completion.tokens,
        "thought_tokens": solver.thought_tokens(completion) if solver.style == "cot" else 0,
        "steps": steps_of(solver, completion),
        "finished": completion.finished,
    }
