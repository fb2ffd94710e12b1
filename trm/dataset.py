"""The training problems: encoded once, and moved by a symmetry as they enter a slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Problem
from benchmarks.symmetries import Symmetries, to_device
from trm.configuration import TRMConfig
from trm.modeling import check_inputs
from trm.options import TRMOptions
from trm.puzzle_table import PuzzleTable
from trm.random_numbers import Draws
from trm.supervision import Offer

PUBLISHED_VARIANTS = 1000  # of each puzzle, about (paper, section 5)


class Examples(torch.utils.data.Dataset):
    """What the trainer draws from: batches of problem numbers, which :meth:`take` makes into grids.

    Three ways to augment: a new symmetry each time; one of a fixed number of variants of each problem; none. Puzzles
    with vectors of their own need the second, since each variant of a puzzle has its own vector.
    """

    def __init__(self, task: GridTask, problems: Sequence[Problem], options: TRMOptions) -> None:
        """
        Raises:
            UserError: if the task has puzzles with rules of their own and the model no prefix.
        """
        self.task, self.problems, self.augment = task, list(problems), options.augment
        with_puzzles = task.puzzle_of(self.problems[0]) is not None
        if with_puzzles and not options.prefix:
            raise UserError(
                f"each puzzle of {task.name} has a rule of its own, and the model has no place for its vector.",
                where="prefix",
                cure="Set prefix to 1 or more (published: 16).",
            )
        numbered = options.augmentations or (PUBLISHED_VARIANTS if with_puzzles else 0)
        self.most = numbered if options.augment else 1
        self.fixed = with_puzzles or (options.augment and numbered > 0)
        self.table = PuzzleTable.build(task, self.problems, self.most) if with_puzzles else PuzzleTable({})
        self.input_ids, self.labels = task.encode(self.problems)

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        """The numbers of a batch: a tensor, which travels to the device, or a list, which stays on the host."""
        return {"index": indices if self.fixed else torch.tensor(indices)}

    def to(self, device: torch.device | str) -> Examples:
        """Keep the grids there, where new symmetries are to be applied."""
        if not self.fixed:
            self.input_ids, self.labels = self.input_ids.to(device), self.labels.to(device)
        return self

    def check(self, config: TRMConfig) -> None:
        """Raise UserError unless every grid fits the model."""
        check_inputs(config, self.input_ids)

    def take(self, index: Tensor | list[int], draws: Draws, step: int) -> Offer:
        """Token ids, labels and puzzle vectors of the problems of this process, each under a symmetry of its own.

        New symmetries are drawn and applied on the device; fixed variants are looked up on the host, whose copy to
        the device does not wait.
        """
        if isinstance(index, Tensor):
            input_ids, labels = self.input_ids[index], self.labels[index]
            if self.augment:
                slots = len(index) * draws.processes
                symmetries = self.task.sample_symmetries(slots, draws.at(step, "symmetries"))
                symmetries = Symmetries(draws.part(symmetries.position), draws.part(symmetries.token))
                input_ids, labels = symmetries.apply(input_ids), symmetries.apply(labels)
            return input_ids, labels, torch.zeros_like(input_ids[:, 0])
        generator = draws.own(step)
        problems = [self.problems[i] for i in index]
        variants = list(self._draw(problems, generator))
        input_ids, labels = self.task.encode_variants(problems, variants, generator)
        vectors = [self.table.vector(self.task.puzzle_of(p), v) for p, v in zip(problems, variants, strict=True)]
        return to_device(input_ids, draws.device), to_device(labels, draws.device), to_device(vectors, draws.device)

    def _draw(self, problems: Sequence[Problem], generator: torch.Generator) -> Iterator[int]:
        for problem in problems:
            name = self.task.puzzle_of(problem)
            count = self.table.ranges[name][1] if name in self.table.ranges else self.task.variants(problem, self.most)
            yield int(torch.randint(count, (), generator=generator))


def collate(batch: dict[str, Any]) -> dict[str, Any]:
    """Nothing to do: :meth:`Examples.__getitems__` gives whole batches."""
    return batch
