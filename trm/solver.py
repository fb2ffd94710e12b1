"""TRMSolver: answers problems with a recursive model and shows every supervision step on the way.

All supervision steps are run and the last answer counts, as in the paper. With ``halting=True`` a problem stops at
the first step at which the halting head takes its answer for right, and costs no more from there on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from benchmarks.evaluation import Solution, Step, batched
from benchmarks.problem import Problem
from benchmarks.task import Task
from trm import pricing
from trm.modeling import TRMForPuzzles


class TRMSolver:
    """Implements :class:`benchmarks.evaluation.Solver`.

    Args:
        steps: supervision steps; the model's own number by default. Direct prediction always takes one.
        halting: stop each problem when the halting head says so.
    """

    def __init__(
        self,
        model: TRMForPuzzles,
        task: Task,
        steps: int | None = None,
        halting: bool = False,
        batch_size: int = 128,
    ) -> None:
        direct = model.config.recursion == "direct"
        self.model, self.task, self.batch_size = model, task, batch_size
        self.steps = 1 if direct else steps or model.config.supervision_steps
        self.halting = halting and not direct

    def solve(self, problems: Sequence[Problem]) -> list[Solution]:
        return [solution for batch in batched(problems, self.batch_size) for solution in self._solve_batch(batch)]

    @torch.inference_mode()
    def _solve_batch(self, problems: Sequence[Problem]) -> list[Solution]:
        started = time.perf_counter()
        input_ids = self.task.encode(problems)[0].to(self.model.device)
        carry = self.model.initial_carry(*input_ids.shape)
        going = list(range(len(problems)))  # the problem of each row that is still worked on
        trajectories: list[list[Step]] = [[] for _ in problems]
        for number in range(1, self.steps + 1):
            output = self.model(input_ids, carry)
            carry = output.carry
            tokens = output.logits.argmax(-1).cpu()
            logit = output.halting_logit
            confidence = [None] * len(going) if logit is None else logit.sigmoid().tolist()
            for row, (i, probability) in enumerate(zip(going, confidence, strict=True)):
                answer = self.task.decode(problems[i], tokens[row])
                trajectories[i].append(Step(f"supervision step {number}", answer.text, answer, probability))
            if self.halting:
                rows = (logit <= 0).nonzero()[:, 0]
                going = [going[row] for row in rows.tolist()]
                if not going:
                    break
                input_ids, carry = input_ids[rows], (carry[0][rows], carry[1][rows])
        seconds = (time.perf_counter() - started) / len(problems)
        return [self._solution(trajectory, seconds) for trajectory in trajectories]

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
