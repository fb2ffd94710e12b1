"""Format-only data: every problem is shown the thought and the answer of another one, never a right one.

What a model learns from a random other problem is how a completion looks (and what a thought of this family is like in
itself), not what it has to do with the question: the start of "R1-Zero in small", of which everything that is right
afterwards must be found by reinforcement. It must be random: from problems that resemble the one asked a model learns
to solve it although not one answer is right, because each part of it is right most often (docs/results/grpo-zero.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from benchmarks.problem import Problem
from benchmarks.task import Task
from benchmarks.text_form import END_THINK, Style, read_completion
from cot_distill.traces import check_trace

TRIES = 100  # partners that a problem is offered before it is left out


def right_thought(task: Task, problem: Problem, completion: str, style: str | None) -> bool:
    """Whether the thought in a completion, a model's too, holds step by step and leads to the labelled answer.

    Args:
        style: of the programmatic teacher, whose check judges; ``None``: the family's default.
    """
    thought, end, _ = completion.partition(END_THINK)
    if not end:
        return False
    try:
        check_trace(task, problem, thought, style)
    except Exception:  # a model can write anything: what a check stumbles over, it did not justify
        return False
    return True


class FormatOnlyData:
    """Completions of the right form and with wrong content.

    Args:
        teach: writes right completions; problems that it refuses are refused here too.
        trace: the style in which it writes thoughts.
    """

    def __init__(
        self,
        task: Task,
        problems: Sequence[Problem],
        style: Style,
        teach: Callable[[Problem], Sequence[str]],
        trace: str | None,
    ) -> None:
        self.task, self.style, self.trace = task, style, trace
        self.refused: dict[str, ValueError] = {}
        self.written: list[str] = []
        self.problems: list[Problem] = []
        for problem in problems:
            try:
                self.written.append(teach(problem)[0])
                self.problems.append(problem)
            except ValueError as error:
                self.refused[problem.id] = error

    def summary(self, rows: int) -> list[str]:
        """What was taught, for the record."""
        what = "thought and answer are those" if self.style == "cot" else "answer is that"
        return [
            f"Only the form was taught: in all {rows} training rows the {what} of another problem, and the verifier "
            "found not one of them right."
        ]

    def wrong(self, problem: Problem, completion: str) -> bool:
        """Neither the answer nor the thought is right for the problem."""
        if self.task.verify(problem, read_completion(self.task, problem, completion, self.style)).correct:
            return False
        return self.style != "cot" or not right_thought(self.task, problem, completion, self.trace)

    def one_pass(self, generator: torch.Generator) -> Callable[[Problem], list[str]]:
        """A teacher that gives each problem the completion of another one, drawn anew by each call.

        It raises ``ValueError`` for problems to which all of :data:`TRIES` others would give a right answer.
        """
        givers = self._permuted(generator)
        given = {
            problem.id: self.written[giver]
            for problem, giver in zip(self.problems, givers, strict=True)
            if giver is not None
        }

        def completions(problem: Problem) -> list[str]:
            if problem.id in self.refused:
                raise self.refused[problem.id]
            if problem.id not in given:
                raise ValueError(f"what other problems show is right here too ({TRIES} were tried)")
            return [given[problem.id]]

        return completions

    def _fits(self, place: int, giver: int) -> bool:
        return self.wrong(self.problems[place], self.written[giver])

    def _permuted(self, generator: torch.Generator) -> list[int | None]:
        """Each completion once: a random permutation, in which pairs that are right by chance change partners with
        random others until none is; ``None`` where none is found."""
        count = len(self.problems)
        order = torch.randperm(count, generator=generator).tolist()
        alone: set[int] = set()
        for place in range(count):
            if self._fits(place, order[place]):
                continue
            for other in torch.randint(count, (TRIES,), generator=generator).tolist():
                # A later one may still be right by chance: its turn comes.
                if self._fits(place, order[other]) and (other > place or self._fits(other, order[place])):
                    order[place], order[other] = order[other], order[place]
                    alone.discard(other)
                    break
            else:
                alone.add(place)
        return [None if place in alone else giver for place, giver in enumerate(order)]
