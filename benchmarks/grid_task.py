"""GridTask: a family whose problems also have a grid form, token ids and labels of fixed length."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.symmetries import Symmetries
from benchmarks.task import FAMILIES, Task, family_class

# Token 0 is padding in every family.
PADDING = 0


class GridTask(Task):
    """What recursive models read and fill.

    Attributes:
        positions: length ``l`` of the grid form.
        vocabulary: the character of every grid token from 1 on (token 0 is padding), so
            ``vocabulary_size == len(vocabulary) + 1``.
    """

    @property
    @abstractmethod
    def positions(self) -> int: ...

    @property
    @abstractmethod
    def vocabulary(self) -> str: ...

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary) + 1

    # --- grid form ------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, problems: Sequence[Problem]) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """Token ids and labels; positions without a label hold :data:`benchmarks.symmetries.IGNORE`."""

    @abstractmethod
    def restore(self, input_ids: Int[Tensor, " l"], labels: Int[Tensor, " l"]) -> tuple[str, str]:
        """The question and answer of one row of :meth:`encode`, its inverse (also after a symmetry)."""

    @abstractmethod
    def decode(self, problem: Problem, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer that a row of predicted tokens spells; a token that is no symbol becomes ``?``."""

    @abstractmethod
    def sample_symmetries(self, batch: int, generator: torch.Generator) -> Symmetries:
        """Random symmetries of the family, one per row; all of its symmetries can be drawn."""

    def augment(self, problems: Sequence[Problem], generator: torch.Generator) -> list[Problem]:
        """Each problem under a random symmetry: the same augmentation for language models as for recursive ones."""
        input_ids, labels = self.encode(problems)
        symmetries = self.sample_symmetries(len(problems), generator)
        moved = zip(problems, symmetries.apply(input_ids), symmetries.apply(labels), strict=True)
        return [
            replace(problem, question=question, answer=answer)
            for problem, (question, answer) in ((p, self.restore(ids, lab)) for p, ids, lab in moved)
        ]

    # --- variants -------------------------------------------------------------------------------

    def variants(self, problem: Problem, most: int) -> int:
        """How many different numbered variants there are, at most ``most``; variant 0 is the problem as it is."""
        return most

    def encode_variants(
        self, problems: Sequence[Problem], variants: Sequence[int], generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, "b l"], Int[Tensor, "b l"]]:
        """:meth:`encode` each problem under its numbered symmetry; a number always means the same symmetry.

        Args:
            generator: draws what is new each time a training problem is used (ARC: where the grids lie).
        """
        input_ids, labels = self.encode(problems)
        symmetries = self._numbered_symmetries(problems, variants)
        return symmetries.apply(input_ids), symmetries.apply(labels)

    def decode_variant(self, problem: Problem, variant: int, tokens: Int[Tensor, " l"]) -> Answer:
        """The answer to the problem itself, from the tokens predicted for its variant."""
        back = self._numbered_symmetries([problem], [variant]).inverse()
        return self.decode(problem, back.apply(tokens[None])[0])

    def _numbered_symmetries(self, problems: Sequence[Problem], variants: Sequence[int]) -> Symmetries:
        rows = [self._numbered_symmetry(p, v) for p, v in zip(problems, variants, strict=True)]
        return Symmetries(torch.cat([r.position for r in rows]), torch.cat([r.token for r in rows]))

    def _numbered_symmetry(self, problem: Problem, variant: int) -> Symmetries:
        if variant == 0:
            return Symmetries.identity(1, self.positions, self.vocabulary_size)
        digest = hashlib.sha256(f"{problem.id} {variant}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return self.sample_symmetries(1, generator)


def as_grid(task: Task, where: str) -> GridTask:
    """The task, for a method that reads grids.

    Raises:
        UserError: if its family is text only.
    """
    if isinstance(task, GridTask):
        return task
    grids = [name for name in FAMILIES if issubclass(family_class(name), GridTask)]
    raise UserError(
        f"the family '{task.family}' is text only, and a recursive model reads and fills grids.",
        where=where,
        cure=f"Compare language models on it: method=[answer_only,cot,grpo]; or choose one of: {', '.join(grids)}.",
    )
