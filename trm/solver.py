"""TRMSolver: answers problems with a recursive model and shows every supervision step on the way.

All supervision steps are run and the last answer counts, as in the paper. With ``halting=True`` a problem stops at
the first step at which the halting head takes its answer for right, and costs no more from there on. With ``votes``
each problem is answered in several variants (symmetries), and the most frequent answer counts, as in the paper for ARC.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.evaluation import Solution, Step, batched
from benchmarks.problem import Answer, Problem
from benchmarks.task import Task
from benchmarks.voting import rank_votes
from trm import pricing
from trm.examples import PuzzleTable
from trm.halting import wants_to_halt
from trm.modeling import TRMForPuzzles, TRMOutput, check_inputs


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


class TRMSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        steps: supervision steps; the model's own number by default. Direct prediction always takes one.
        halting: stop each problem when the halting head says so.
        votes: variants of each problem to answer; fewer where a problem has not so many different ones.
        batch_size: grids answered at once.
    """

    def __init__(
        self,
        model: TRMForPuzzles,
        task: Task,
        steps: int | None = None,
        halting: bool = False,
        votes: int = 1,
        batch_size: int = 128,
    ) -> None:
        direct = model.config.recursion == "direct"
        self.model, self.task, self.batch_size, self.votes = model, task, batch_size, votes
        self.steps = 1 if direct else steps or model.config.supervision_steps
        self.halting = halting and model.halting_head is not None
        self.table = PuzzleTable(model.config.puzzle_table or {})

    def solve(self, problems: Sequence[Problem]) -> list[Solution]:
        if self.votes > 1:
            return [self._solve_by_vote(problem) for problem in problems]
        return [
            solution
            for batch in batched(problems, self.batch_size)
            for solution in self._solve_batch(batch, [0] * len(batch))
        ]

    @torch.inference_mode()
    def think(self, problem: Problem) -> list[Thought]:
        """y and z after every supervision step, decoded."""
        input_ids, puzzle_ids = self._encode([problem], [0])
        carry, thoughts = None, []
        for step in range(1, self.steps + 1):
            output = self.model(input_ids, carry, puzzle_ids)
            carry = output.carry
            z = self.model.read_out(carry[1][..., -self.model.config.width :])  # the last of several scales
            y_read, z_read = (self.task.decode(problem, logits[0].argmax(-1).cpu()) for logits in (output.logits, z))
            thoughts.append(Thought(step, y_read, z_read, _probabilities(output, 1)[0]))
        return thoughts

    def _encode(self, problems: Sequence[Problem], variants: Sequence[int]) -> tuple[Tensor, Int[Tensor, " b"]]:
        moved = any(variants)
        input_ids = self.task.encode_variants(problems, variants)[0] if moved else self.task.encode(problems)[0]
        named = [self.task.puzzle_of(p) for p in problems]
        puzzle_ids = torch.tensor([self.table.vector(name, v) for name, v in zip(named, variants, strict=True)])
        check_inputs(self.model.config, input_ids, puzzle_ids)
        return input_ids.to(self.model.device), puzzle_ids.to(self.model.device)

    @torch.inference_mode()
    def _solve_batch(self, problems: Sequence[Problem], variants: Sequence[int]) -> list[Solution]:
        started = time.perf_counter()
        input_ids, puzzle_ids = self._encode(problems, variants)
        carry = self.model.initial_carry(len(problems))
        going = list(range(len(problems)))  # the problem of each row that is still worked on
        trajectories: list[list[Step]] = [[] for _ in problems]
        for number in range(1, self.steps + 1):
            output = self.model(input_ids, carry, puzzle_ids)
            carry = output.carry
            tokens = output.logits.argmax(-1).cpu()
            for row, (i, probability) in enumerate(zip(going, _probabilities(output, len(going)), strict=True)):
                answer = self.task.decode_variant(problems[i], variants[i], tokens[row])
                trajectories[i].append(Step(f"supervision step {number}", answer.text, answer, probability))
            if self.halting:
                rows = (~wants_to_halt(output)).nonzero()[:, 0]
                going = [going[row] for row in rows.tolist()]
                if not going:
                    break
                input_ids, puzzle_ids, carry = input_ids[rows], puzzle_ids[rows], (carry[0][rows], carry[1][rows])
        seconds = (time.perf_counter() - started) / len(problems)
        return [self._solution(trajectory, seconds) for trajectory in trajectories]

    def _different(self, problem: Problem, count: int) -> list[int]:
        """The variants that look different to the model: the same grid would get the same answer again."""
        input_ids, puzzle_ids = self._encode([problem] * count, range(count))
        seen = torch.cat((puzzle_ids[:, None], input_ids), dim=1).cpu().numpy()
        return sorted(np.unique(seen, axis=0, return_index=True)[1].tolist())

    def _solution(self, trajectory: list[Step], seconds: float) -> Solution:
        price = pricing.supervision_step(self.model.config)
        step_flops = tuple(price * number for number in range(1, len(trajectory) + 1))
        return Solution(
            answer=trajectory[-1].answer,
            flops=step_flops[-1],
            seconds=seconds,
            steps=len(trajectory),
            trajectory=tuple(trajectory),
            step_flops=step_flops,
        )

    def _solve_by_vote(self, problem: Problem) -> Solution:
        """Answer the problem in all its variants and rank the answers; the trajectory is the ranking."""
        name = self.task.puzzle_of(problem)
        if name in self.table.ranges:
            count = min(self.votes, self.table.ranges[name][1])
        else:
            count = self.task.variants(problem, self.votes)
        different = self._different(problem, count)
        single = [
            solution
            for variants in batched(different, self.batch_size)
            for solution in self._solve_batch([problem] * len(variants), variants)
        ]
        last = [solution.trajectory[-1] for solution in single]
        answers = [step.answer for step in last if step.answer is not None]  # every step of ours has one
        ranked = rank_votes(answers, [step.halting_probability or 0.0 for step in last])
        answer = self.task.combine([vote.answer for vote in ranked])
        trajectory = [
            Step(f"{vote.count} of {len(different)} votes", vote.answer.text, vote.answer, vote.confidence)
            for vote in reversed(ranked[:MOST_SHOWN])
        ]
        return Solution(
            answer=answer,
            flops=sum(solution.flops for solution in single),
            seconds=sum(solution.seconds for solution in single),
            steps=sum(solution.steps for solution in single),
            trajectory=tuple(trajectory),
        )


MOST_SHOWN = 5  # answers of a vote that are kept for people to see


def _probabilities(output: TRMOutput, rows: int) -> list[float | None]:
    return [None] * rows if output.halting_logit is None else output.halting_logit.sigmoid().tolist()
