"""Accuracy against compute per puzzle of one trained autoregressive TRM, whose tokens are refined longer or shorter.

Three ways, all greedy: a fixed number of supervision steps of each token; the same as a limit, under which the halting
head ends a token's refinement; and how sure that head must be. A token depends on the ones before it, so nothing can be
read from a longer rollout, as in :mod:`trm.scaling`: every point is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.scaling import Series, doubling
from cot_distill.scaling.tokens import point_of, row_of

if TYPE_CHECKING:
    from benchmarks.evaluation import Judge
    from cot_distill.generators.base import Completion
    from cot_distill.solver import CausalLMSolver

SURE = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)  # the halting head's probabilities at which a token may halt


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        depth: most supervision steps of a token.
    """

    depth: int


@dataclass(frozen=True)
class Way:
    """One way of decoding.

    Attributes:
        steps: most supervision steps of a token.
        sure: the halting head's probability at which it halts; ``None``: it takes all steps.
    """

    label: str
    steps: int
    sure: float | None = None


def check(settings: Settings) -> None:
    """
    Raises:
        UserError: naming the setting.
    """
    if settings.depth < 1:
        raise UserError(f"depth is {settings.depth}.", where="--depth", cure="Give at least 1.")


def deepens(weights: Path) -> bool:
    """Whether a saved model refines its tokens in supervision steps, of which it can take more."""
    from transformers import AutoConfig

    if not (weights / "config.json").is_file():
        return False
    config = AutoConfig.from_pretrained(weights)
    return getattr(config, "streams", None) == "dual" or getattr(config, "supervision_steps", 1) > 1


def measure(
    solver: CausalLMSolver,
    problems: Sequence[Problem],
    settings: Settings,
    batch_size: int,
    on_progress: Callable[[float], None],
) -> tuple[list[Series], list[dict[str, Any]]]:
    """All series, and one row per problem and way of decoding.

    Args:
        on_progress: called with the problems done, counted in shares of all supervision steps.
    """
    from benchmarks.evaluation import Judge

    judge, config = Judge(solver.task), solver.model.config
    prompts, orbits = solver.prompts(problems), [problem.orbit for problem in problems]
    ways = _ways(settings.depth, config.supervision_steps, can_halt=config.halting == "correct")
    total, done = 0, 0
    for _, line in ways.values():
        total += sum(way.steps for way in line)
    series, rows = [], []
    for key, (label, line) in ways.items():
        points, found = [], np.zeros(len(problems), dtype=bool)
        for way in line:
            with depth_of(solver, way.steps):
                texts = _written(solver, prompts, way, batch_size)
                right = np.array([judge(p, solver.read(p, text)) for p, text in zip(problems, texts, strict=True)])
                found = found | right
                points.append(point_of(solver, orbits, way.label, [[text] for text in texts], right, found))
                rows += _rows(solver, judge, problems, texts, f"{label}: {way.label}")
            done += way.steps
            on_progress(len(problems) * done / total)
        series.append(Series(key, label, points))
    return series, rows


def _ways(depth: int, trained: int, can_halt: bool) -> dict[str, tuple[str, list[Way]]]:
    """Of each series, by its key: its label and its points."""
    limits = sorted({*doubling(depth), min(trained, depth)})
    ways = {"depth": ("steps per token", [Way(_steps(most), most) for most in limits])}
    if can_halt:
        halting = [Way(f"at most {_steps(most)}", most, 0.5) for most in limits]
        sure = [Way(f"{share:.0%} sure".replace("%", " %"), trained, share) for share in SURE]
        ways["halting"] = ("per token until sure", halting)
        ways["sure"] = (f"until so sure, at most {_steps(trained)}", sure)
    return ways


def _steps(count: int) -> str:
    return f"{count} step{'s' if count > 1 else ''}"


@contextmanager
def depth_of(solver: CausalLMSolver, steps: int) -> Iterator[None]:
    """The model takes so many supervision steps, and is priced so: cache, decoding and price read the same
    configuration."""
    config = solver.model.config
    trained = config.supervision_steps
    config.supervision_steps = steps
    try:
        yield
    finally:
        config.supervision_steps = trained


def _written(solver: CausalLMSolver, prompts: Sequence[list[int]], way: Way, batch_size: int) -> list[Completion]:
    from cot_distill.generators.base import Completion
    from cot_distill.generators.transformers import TransformersGenerator

    generator = TransformersGenerator(solver.model, solver.tokenizer, batch_size)
    model: Any = solver.model
    context = model.config.max_position_embeddings
    fitting = [index for index, prompt in enumerate(prompts) if len(prompt) < context]
    found = {index: Completion("", 0, 0, False) for index in range(len(prompts))}  # what has no room stays so

    def keep(number: int, ids: list[int], steps: list[int]) -> None:
        index = fitting[number]
        text = str(solver.tokenizer.decode(ids, skip_special_tokens=True))
        finished, depth = ids[-1] in generator.ends, sum(steps) / len(steps)
        found[index] = Completion(text, len(ids), len(prompts[index]), finished, tuple(ids), depth=depth)

    halting = {"depth": "fixed"} if way.sure is None else {"depth": "adaptive", "halting_threshold": way.sure}
    asked = [prompts[index] for index in fitting]
    model.write(asked, generator.ends, batch_size, keep, max_new_tokens=solver.max_new_tokens, **halting)
    return [found[index] for index in range(len(prompts))]


def _rows(
    solver: CausalLMSolver, judge: Judge, problems: Sequence[Problem], texts: Sequence[Completion], way: str
) -> list[dict[str, Any]]:
    return [row_of(solver, judge, problem, text, way, 0) for problem, text in zip(problems, texts, strict=True)]
