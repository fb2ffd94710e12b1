"""TRMSolver: answers problems with a recursive model and shows every supervision step on the way.

All supervision steps are run and the last answer counts, as in the paper; ``steps`` can be more than in training.
With ``halting=True`` a problem stops when the halting head takes its answer for right and the answer did not change in
that step, costs no more from there on, and its place in the batch goes to the next problem. With ``trajectories``
each problem is answered along several of them, all but one noisy, and the halting head chooses. With ``votes`` it is
answered in several variants (symmetries), and the most frequent answer counts, as in the paper for ARC; each variant
has its trajectories.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.errors import UserError
from benchmarks.evaluation import BATCH_SIZE, Solution, Step, batched
from benchmarks.grid_task import GridTask
from benchmarks.problem import Answer, Problem
from benchmarks.voting import rank_votes
from trm import pricing
from trm.halting import halting_logit
from trm.modeling import TRMForPuzzles, check_inputs
from trm.options import NOISE, PATIENCE, Select
from trm.puzzle_table import PuzzleTable
from trm.rollout import Jobs, Rollout, Slots, highest_halting_logit
from trm.trajectories import Noise, seed_of

MOST_SHOWN = 5  # answers of a vote that are kept for people to see


@dataclass(frozen=True)
class Thought:
    """One supervision step of one problem, both latents read through the output head (paper, figure 6).

    Attributes:
        y: the answer so far.
        z: what the same head makes of the latent z: no sensible answer in the paper, the answer itself in well-trained
            small models (docs/results/sudoku-6x6.md).
        halting_probability: ``None`` without halting head.
    """

    step: int
    y: Answer
    z: Answer
    halting_probability: float | None


@dataclass(frozen=True)
class Attempt:
    """One variant of a problem and all trajectories through it."""

    variant: int
    rollouts: tuple[Rollout, ...]

    @property
    def steps(self) -> int:
        """Supervision steps of all trajectories."""
        return sum(rollout.steps for rollout in self.rollouts)


class TRMSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        steps: supervision steps; the model's own number by default. Direct prediction always takes one.
        halting: stop each problem when the halting head says so and the answer has stayed for ``patience`` steps.
        votes: variants of each problem to answer; fewer where a problem has not so many different ones.
        trajectories: through each variant, all but the first with noise.
        noise: standard deviation of what is added to each number of y and z (whose mean square is 1).
        select: ``halting``: the trajectory counts whose halting logit is highest at its end; ``first``: the one
            that wants to halt first, with which all others stop.
        bfloat16: compute matrix products in it.

    Raises:
        UserError: for several trajectories of a model without halting head.
    """

    def __init__(
        self,
        model: TRMForPuzzles,
        task: GridTask,
        steps: int | None = None,
        halting: bool = False,
        patience: int = PATIENCE,
        votes: int = 1,
        trajectories: int = 1,
        noise: float = NOISE,
        select: Select = "halting",
        bfloat16: bool = False,
    ) -> None:
        config, can_halt = model.config, model.halting_head is not None
        if trajectories > 1 and not can_halt:
            raise UserError(
                f"{trajectories} trajectories, and no halting head to choose between them.",
                where="trajectories",
                cure="Leave it out, or train a model with act=halt.",
            )
        self.model, self.task, self.votes, self.trajectories, self.select = model, task, votes, trajectories, select
        self.steps = 1 if config.recursion == "direct" else steps or config.supervision_steps
        self.halting = can_halt and (halting or (select == "first" and trajectories > 1))
        self.table = PuzzleTable(config.puzzle_table or {})
        self.patience, self.bfloat16 = patience, bfloat16
        numbers = sum(latent.numel() for latent in model.initial_carry(1))
        self.noise = Noise(noise, numbers, model.device) if trajectories > 1 else None

    def solve(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[Solution]:
        started = time.perf_counter()
        attempts = self.roll_out(problems, batch_size, on_progress)
        steps = [sum(attempt.steps for attempt in of_one) for of_one in attempts]
        per_step = (time.perf_counter() - started) / max(sum(steps), 1)
        combine = self._of_many if self.votes > 1 else self._of_one
        return [
            combine(problem, of_one, count, count * per_step)
            for problem, of_one, count in zip(problems, attempts, steps, strict=True)
        ]

    def roll_out(
        self,
        problems: Sequence[Problem],
        batch_size: int = BATCH_SIZE,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[list[Attempt]]:
        """What the model says along all trajectories through every problem, before anything is chosen."""
        races = self.select == "first" and self.trajectories > 1
        slots = Slots(
            self.model,
            self.steps,
            batch_size,
            self.halting,
            self.patience,
            self.trajectories if races else 1,
            self.noise,
            self.bfloat16,
        )
        book = _Book(on_progress)
        rollouts = slots.run(self._jobs(problems, batch_size, book), book.done)
        attempts: list[list[Attempt]] = [[] for _ in problems]
        for first in range(0, len(rollouts), self.trajectories):
            owner, variant = book.jobs[first]
            attempts[owner].append(Attempt(variant, tuple(rollouts[first : first + self.trajectories])))
        return attempts

    @torch.inference_mode()
    def think(self, problem: Problem) -> list[Thought]:
        """y and z after every supervision step, decoded; one trajectory without noise or halting."""
        input_ids, puzzle_ids = (ids.to(self.model.device) for ids in self._encode([problem], [0]))
        carry, thoughts = None, []
        for step in range(1, self.steps + 1):
            output = self.model(input_ids, carry, puzzle_ids)
            carry = output.carry
            z = self.model.read_out(carry[1][..., -self.model.config.width :])  # the last of several scales
            y_read, z_read = (self.task.decode(problem, logits[0].argmax(-1).cpu()) for logits in (output.logits, z))
            thoughts.append(Thought(step, y_read, z_read, probability(float(halting_logit(output)[0]))))
        return thoughts

    def _jobs(self, problems: Sequence[Problem], rows: int, book: _Book) -> Iterator[Jobs]:
        """All problems in all variants along all trajectories, encoded about a batch at a time."""
        for start, batch in enumerate(batched(problems, rows if self.votes == 1 else 1)):
            if self.votes == 1:
                variants, owners = [0] * len(batch), list(range(start * rows, start * rows + len(batch)))
                input_ids, puzzle_ids = self._encode(batch, variants)
            else:
                variants, input_ids, puzzle_ids = self._different(batch[0])
                owners = [start] * len(variants)
            seeds: list[int] = []
            for owner, variant in zip(owners, variants, strict=True):
                book.jobs.extend([(owner, variant)] * self.trajectories)
                book.open[owner] += self.trajectories
                seeds.extend(seed_of(problems[owner].id, variant, number) for number in range(self.trajectories))

            # Every variant once for each of its trajectories: [b, c] -> [b k, c].
            repeated_ids = input_ids.repeat_interleave(self.trajectories, 0)
            repeated_puzzles = puzzle_ids.repeat_interleave(self.trajectories, 0)
            yield Jobs(repeated_ids, repeated_puzzles, np.array(seeds, np.uint64))

    def _encode(
        self, problems: Sequence[Problem], variants: Sequence[int]
    ) -> tuple[Int[Tensor, "b c"], Int[Tensor, " b"]]:
        moved = any(variants)
        input_ids = self.task.encode_variants(problems, variants)[0] if moved else self.task.encode(problems)[0]
        named = [self.task.puzzle_of(p) for p in problems]
        puzzle_ids = torch.tensor([self.table.vector(name, v) for name, v in zip(named, variants, strict=True)])
        check_inputs(self.model.config, input_ids, puzzle_ids)
        return input_ids, puzzle_ids

    def _different(self, problem: Problem) -> tuple[list[int], Int[Tensor, "b c"], Int[Tensor, " b"]]:
        """The variants that look different to the model: the same grid would get the same answer again."""
        name = self.task.puzzle_of(problem)
        if name in self.table.ranges:
            count = min(self.votes, self.table.ranges[name][1])
        else:
            count = self.task.variants(problem, self.votes)
        input_ids, puzzle_ids = self._encode([problem] * count, range(count))
        seen = torch.cat((puzzle_ids[:, None], input_ids), dim=1).numpy()
        variants = sorted(np.unique(seen, axis=0, return_index=True)[1].tolist())
        return variants, input_ids[variants], puzzle_ids[variants]

    def decoded(self, problem: Problem, variant: int, rollout: Rollout) -> list[Answer]:
        """The answer after every step, s in all; one that did not change is the same object."""
        rows = torch.from_numpy(rollout.tokens.astype(np.int64))
        lengths = np.diff(np.append(rollout.changed, rollout.steps + 1)).tolist()

        answers: list[Answer] = []
        for row, length in zip(rows, lengths, strict=True):
            answer = self.task.decode_variant(problem, variant, row) if variant else self.task.decode(problem, row)
            answers.extend([answer] * length)
        return answers

    def _of_one(self, problem: Problem, attempts: Sequence[Attempt], steps: int, seconds: float) -> Solution:
        """What would be answered after each step, and its price: that of all trajectories so far."""
        [attempt] = attempts
        rollouts = attempt.rollouts
        answers = [self.decoded(problem, attempt.variant, rollout) for rollout in rollouts]
        price = pricing.supervision_step(self.model.config)

        shown, prices = [], []
        for step in range(1, max(r.steps for r in rollouts) + 1):
            # A trajectory that has halted keeps its last answer and its last logit.
            so_far = [r.halting_logits[min(step, r.steps) - 1] for r in rollouts]
            best = int(np.argmax(so_far)) if len(rollouts) > 1 else 0
            answer = answers[best][min(step, rollouts[best].steps) - 1]
            which = f", trajectory {best}" if len(rollouts) > 1 else ""
            shown.append(Step(f"supervision step {step}{which}", answer.text, answer, probability(float(so_far[best]))))
            prices.append(price * sum(min(step, r.steps) for r in rollouts))

        seen: dict[str, Answer] = {}
        for said in answers:
            seen |= {answer.text: answer for answer in said}
        return Solution(
            answer=shown[-1].answer,
            flops=prices[-1],
            seconds=seconds,
            steps=steps,
            trajectory=tuple(shown),
            step_flops=tuple(prices),
            seen=tuple(seen.values()),
        )

    def _of_many(self, problem: Problem, attempts: Sequence[Attempt], steps: int, seconds: float) -> Solution:
        """Each variant's trajectory with the highest halting logit votes; what is shown is the ranking."""
        answers, probabilities = [], []
        seen: dict[str, Answer] = {}
        for attempt in attempts:
            best = attempt.rollouts[highest_halting_logit(attempt.rollouts)]
            for rollout in attempt.rollouts:
                said = self.decoded(problem, attempt.variant, rollout)
                seen |= {answer.text: answer for answer in said}
                if rollout is best:
                    answers.append(said[-1])
                    probabilities.append(probability(float(rollout.halting_logits[-1])) or 0.0)
        ranked = rank_votes(answers, probabilities)
        return Solution(
            answer=self.task.combine([vote.answer for vote in ranked]),
            flops=steps * pricing.supervision_step(self.model.config),
            seconds=seconds,
            steps=steps,
            trajectory=tuple(
                Step(f"{vote.count} of {len(attempts)} votes", vote.answer.text, vote.answer, vote.confidence)
                for vote in reversed(ranked[:MOST_SHOWN])
            ),
            seen=tuple(seen.values()),
        )


@dataclass
class _Book:
    """Which problem and variant every job of the queue so far belongs to, and how many jobs each problem waits for."""

    on_progress: Callable[[int], None] | None
    jobs: list[tuple[int, int]] = field(default_factory=list)
    open: Counter[int] = field(default_factory=Counter)
    finished: int = 0

    def done(self, numbers: NDArray[np.int32]) -> None:
        before = self.finished
        for number in numbers.tolist():
            owner = self.jobs[number][0]
            self.open[owner] -= 1
            self.finished += self.open[owner] == 0
        if self.on_progress is not None and self.finished > before:
            self.on_progress(self.finished)


def probability(halting_logit: float) -> float | None:
    """The sigmoid of a halting logit; ``None`` for NaN, where there is no halting head."""
    if math.isnan(halting_logit):
        return None
    return 1 / (1 + math.exp(-halting_logit)) if halting_logit > -700 else 0.0
