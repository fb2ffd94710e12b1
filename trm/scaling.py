"""Accuracy against compute per puzzle of one trained recursive model: what ``scale`` shows, measured.

Every problem is thought about once along every way (K noisy trajectories, V variants) to the full depth. What would
have been answered with fewer steps, with halting, with fewer trajectories or fewer votes is read from these rollouts:
rows of a batch do not meet, so a row that is stopped early says what it has said so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.scaling import Point, Series, doubling
from benchmarks.statistics import accuracy_interval

if TYPE_CHECKING:
    from benchmarks.grid_task import GridTask
    from trm.modeling import TRMForPuzzles
    from trm.solver import Attempt, TRMSolver


@dataclass(frozen=True)
class Settings:
    """How far thinking is scaled.

    Attributes:
        depth: most supervision steps.
        noise: standard deviation of the noise of trajectories 1 and up.
        patience: steps for which an answer must have stayed before halting.
        precision: of the matrix products.
    """

    depth: int
    trajectories: int
    votes: int
    noise: float
    patience: int
    precision: str


@dataclass(frozen=True)
class Rollouts:
    """What was said about ``p`` problems along ``k`` ways in ``s`` steps.

    Attributes:
        right: whether the answer after each step is.
        trust: halting logits; NaN without halting head.
        stayed: for how many steps the answer has been the same.
    """

    right: Bool[np.ndarray, "p k s"]
    trust: Float[np.ndarray, "p k s"]
    stayed: Int[np.ndarray, "p k s"]

    @property
    def depth(self) -> int:
        return self.right.shape[2]

    def first_halt(self, patience: int, most: int | None = None) -> Int[np.ndarray, "p k"]:
        """Steps that each rollout takes when it halts as soon as it is sure and has stayed with its answer for
        ``patience`` steps, or after ``most``."""
        wants = self.wants(patience)
        first = np.where(wants.any(2), wants.argmax(2) + 1, self.depth)
        return np.minimum(first, most or self.depth)

    def wants(self, patience: int) -> Bool[np.ndarray, "p k s"]:
        return (self.trust > 0) & (self.stayed >= patience)

    def chosen(self, steps: Int[np.ndarray, "p k"], ways: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of the first ``ways`` rollouts, stopped after ``steps``: whether the most trusted is right, and whether any
        answer of any of them was."""
        steps = steps[:, :ways]
        ends = steps[:, :, None] - 1
        trust, right = (np.take_along_axis(all_[:, :ways], ends, 2)[:, :, 0] for all_ in (self.trust, self.right))
        best = np.nan_to_num(trust, nan=0.0).argmax(1)
        reached = np.arange(self.depth) < steps[:, :, None]
        found = np.asarray((self.right[:, :ways] & reached).any((1, 2)))
        return right[np.arange(len(right)), best], found


def check(settings: Settings) -> None:
    """
    Raises:
        UserError: naming the setting.
    """
    for name in ("depth", "trajectories", "votes"):
        if getattr(settings, name) < 1:
            raise UserError(f"{name} is {getattr(settings, name)}.", where=f"--{name}", cure="Give at least 1.")
    if not settings.noise > 0:
        raise UserError(f"noise is {settings.noise}.", where="--noise", cure="Give a positive number, such as 0.5.")
    if settings.precision not in ("float32", "bfloat16", "auto"):
        raise UserError(
            f"unknown precision '{settings.precision}'.", where="--precision", cure="float32, bfloat16 or auto."
        )


def measure(
    model: TRMForPuzzles,
    task: GridTask,
    problems: Sequence[Problem],
    settings: Settings,
    batch_size: int,
    on_progress: Callable[[float], None],
) -> tuple[list[Series], list[dict[str, Any]]]:
    """All series, and one row per problem and rollout.

    Args:
        on_progress: called with the problems done, counted in shares of all their rollouts.
    """
    from benchmarks.evaluation import Judge
    from trm import pricing
    from trm.arguments import use_bfloat16
    from trm.solver import TRMSolver

    bfloat16 = use_bfloat16(settings.precision, model.device.type != "cpu")
    can_halt = model.halting_head is not None
    ways = settings.trajectories if can_halt else 1
    votes = settings.votes if settings.votes > 1 else 0
    share = ways / (ways + votes)  # of the work; the rest are votes
    judge, orbits = Judge(task), [p.orbit for p in problems]
    price = pricing.supervision_step(model.config)

    solver = TRMSolver(model, task, settings.depth, trajectories=ways, noise=settings.noise, bfloat16=bfloat16)
    noisy = solver.roll_out(problems, batch_size, lambda done: on_progress(share * done))
    rollouts = _judged(solver, problems, noisy, judge)

    def point(
        label: str, steps: NDArray[Any], right: NDArray[Any], any_right: NDArray[Any], marked: bool = True
    ) -> Point:
        mean = float(steps.mean())
        return Point(
            label,
            mean * price,
            mean,
            accuracy_interval([right], orbits),
            accuracy_interval([any_right], orbits),
            marked,
        )

    series = [_by_depth(rollouts, point, "depth", "all steps")]
    if can_halt:
        for patience in sorted({0, settings.patience}):
            label = f"until sure, same answer for {patience + 1}" if patience else "until sure"
            series.append(_by_depth(rollouts, point, f"halting-{patience}", label, patience))
        series += _by_trajectories(rollouts, point, settings.patience)
    if votes:
        voter = TRMSolver(model, task, settings.depth, votes=votes, bfloat16=bfloat16)
        voted = voter.roll_out(
            problems, batch_size, lambda done: on_progress(share * len(problems) + (1 - share) * done)
        )
        series += _by_votes(task, voter, problems, voted, judge, point, settings.patience if can_halt else None)
    return series, _rows_of(problems, rollouts, settings.patience)


def _by_depth(
    rollouts: Rollouts, point: Callable[..., Point], key: str, label: str, patience: int | None = None
) -> Series:
    """The model's own trajectory with at most 1, 2, 3 ... steps."""
    points = []
    for most in range(1, rollouts.depth + 1):
        full = np.full(rollouts.trust.shape[:2], most)
        steps = full if patience is None else rollouts.first_halt(patience, most)
        name = f"{'' if patience is None else 'at most '}{most} step{'s' if most > 1 else ''}"
        right, any_right = rollouts.chosen(steps, 1)
        points.append(point(name, steps[:, 0], right, any_right, most in doubling(rollouts.depth)))
    return Series(key, label, points)


def _by_trajectories(rollouts: Rollouts, point: Callable[..., Point], patience: int) -> list[Series]:
    """The first 1, 2, 4 ... trajectories, stopped in three ways."""
    full = np.full(rollouts.trust.shape[:2], rollouts.depth)
    lines: dict[str, list[Point]] = {"trajectories": [], "trajectories-halting": [], "first": []}
    for ways in doubling(rollouts.trust.shape[1]):
        until_sure = rollouts.first_halt(patience)[:, :ways]
        first = np.repeat(until_sure.min(1, keepdims=True), ways, 1)
        for key, steps in zip(lines, (full[:, :ways], until_sure, first), strict=True):
            name = f"{ways} trajector{'ies' if ways > 1 else 'y'}"
            lines[key].append(point(name, steps.sum(1), *rollouts.chosen(steps, ways)))
    labels = {
        "trajectories": "trajectories, all steps",
        "trajectories-halting": "trajectories, each until sure",
        "first": "trajectories, first to be sure",
    }
    return [Series(key, labels[key], points) for key, points in lines.items()]


def _by_votes(
    task: GridTask,
    solver: TRMSolver,
    problems: Sequence[Problem],
    voted: list[list[Attempt]],
    judge: Callable[[Problem, Answer | None], bool],
    point: Callable[..., Point],
    patience: int | None,
) -> list[Series]:
    """The first 1, 2, 4 ... variants of each problem; one that has fewer keeps all that it has."""
    from benchmarks.voting import rank_votes
    from trm.solver import probability

    series = []
    ways = [("votes", "votes, all steps", None), ("votes-halting", "votes, each until sure", patience)]
    for key, label, wait in ways if patience is not None else ways[:1]:
        points = []
        for count in doubling(solver.votes):
            steps, right, any_right = [], [], []
            for problem, attempts in zip(problems, voted, strict=True):
                answers, trusts, cost, found = [], [], 0, False
                for attempt in attempts[:count]:
                    [rollout] = attempt.rollouts
                    end = (None if wait is None else rollout.first_halt(wait)) or rollout.steps
                    said = solver.decoded(problem, attempt.variant, rollout.stopped(end))
                    answers.append(said[-1])
                    trusts.append(probability(float(rollout.halting_logits[end - 1])) or 0.0)
                    cost += end
                    found = found or any(judge(problem, answer) for answer in said)
                best = task.combine([vote.answer for vote in rank_votes(answers, trusts)])
                good = judge(problem, best)
                steps.append(cost)
                right.append(good)
                any_right.append(found or good)
            name = f"{count} vote{'s' if count > 1 else ''}"
            points.append(point(name, np.array(steps), np.array(right), np.array(any_right)))
        series.append(Series(key, label, points))
    return series


def _judged(
    solver: TRMSolver,
    problems: Sequence[Problem],
    attempts: list[list[Attempt]],
    judge: Callable[[Problem, Answer | None], bool],
) -> Rollouts:
    right: list[list[list[bool]]] = []
    trust, stayed = [], []
    for problem, [attempt] in zip(problems, attempts, strict=True):
        said = [solver.decoded(problem, attempt.variant, rollout) for rollout in attempt.rollouts]
        right.append([])  # [k, s]
        for answers in said:
            right[-1].append([judge(problem, answer) for answer in answers])
        trust.append([rollout.halting_logits for rollout in attempt.rollouts])
        stayed.append([rollout.stayed for rollout in attempt.rollouts])
    return Rollouts(np.array(right, dtype=bool), np.array(trust, dtype=np.float32), np.array(stayed))


def _rows_of(problems: Sequence[Problem], rollouts: Rollouts, patience: int) -> list[dict[str, Any]]:
    halts, wants = rollouts.first_halt(patience), np.asarray(rollouts.wants(patience).any(2))
    found = np.asarray(rollouts.right.any(2))
    first = rollouts.right.argmax(2) + 1
    rows = []
    for i, problem in enumerate(problems):
        for way in range(rollouts.trust.shape[1]):
            rows.append(
                {
                    "id": problem.id,
                    "orbit": problem.orbit,
                    "trajectory": way,
                    "sure_at": int(halts[i, way]) if wants[i, way] else None,
                    "right_when_sure": bool(rollouts.right[i, way, halts[i, way] - 1]),
                    "right_at_end": bool(rollouts.right[i, way, -1]),
                    "first_right_at": int(first[i, way]) if found[i, way] else None,
                    "halting_logit": float(rollouts.trust[i, way, -1]),
                }
            )
    return rows
