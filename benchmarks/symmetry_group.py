"""All combinations of a family's symmetries: drawn uniformly, and used to find the key of an orbit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from benchmarks.shapes import Generator, Int, Tensor
from benchmarks.symmetries import Symmetries, to_device

MOST = 20_000  # symmetries of a group that is listed

Change = tuple[tuple[int, ...], tuple[int, ...]]  # new[i] = token[old[position[i]]]


@dataclass(frozen=True)
class Group:
    """A group of symmetries, each listed.

    Attributes:
        vocabulary: the character of every token from 1 on.
        changes: the identity first.
    """

    vocabulary: str
    changes: tuple[Change, ...]

    @staticmethod
    def of(symmetries: Any, positions: int, vocabulary: str) -> Group:
        """The group that some moves of cells and renamings of symbols make (:meth:`GridTask.symmetries`).

        Raises:
            ValueError: if one of them is malformed, or there are more than :data:`MOST`.
        """
        if not isinstance(symmetries, Sequence) or isinstance(symmetries, str):
            raise ValueError(f"must return a list of symmetries, not {symmetries!r:.60}")
        changes = [_change(symmetry, positions, vocabulary) for symmetry in symmetries]
        return Group(vocabulary, _closed(positions, len(vocabulary) + 1, tuple(changes)))

    def sample(self, batch: int, generator: Generator) -> Symmetries:
        """One for each row, all equally likely. A group of one element draws nothing."""
        import torch

        position = to_device(torch.tensor([position for position, _ in self.changes]), generator.device)
        token = to_device(torch.tensor([token for _, token in self.changes]), generator.device)
        chosen: Int[Tensor, " b"] = torch.zeros(batch, dtype=torch.int64, device=generator.device)
        if len(self.changes) > 1:
            chosen = torch.randint(len(self.changes), (batch,), generator=generator, device=generator.device)
        return Symmetries(position[chosen], token[chosen])

    def smallest_image(self, row: str) -> str:
        """The first in alphabetical order (that of the vocabulary) of the images of a row of characters."""
        old = [self.vocabulary.index(char) + 1 for char in row]
        images = (_image(old, change) for change in self.changes)
        smallest = min(images)
        return "".join(self.vocabulary[token - 1] for token in smallest)


def _image(row: list[int], change: Change) -> list[int]:
    position, token = change
    return [token[row[cell]] for cell in position]


def _change(symmetry: Any, positions: int, vocabulary: str) -> Change:
    """One symmetry as maps of positions and tokens.

    Raises:
        ValueError: if it is not a permutation.
    """
    cells, tokens = list(range(positions)), list(range(len(vocabulary) + 1))
    if isinstance(symmetry, Mapping):
        known = all(isinstance(char, str) and len(char) == 1 and char in vocabulary for char in symmetry)
        if not known or set(symmetry) != set(symmetry.values()):
            raise ValueError(f"must rename symbols to each other, each to another one, not {dict(symmetry)!r:.60}")
        for old, new in symmetry.items():
            tokens[vocabulary.index(old) + 1] = vocabulary.index(new) + 1
    elif isinstance(symmetry, Sequence) and len(symmetry) == positions and set(symmetry) == set(cells):
        cells = list(symmetry)
    else:
        raise ValueError(f"must name each of the cells 0 to {positions - 1} once, not {symmetry!r:.60}")
    return tuple(cells), tuple(tokens)


@lru_cache(64)
def _closed(positions: int, tokens: int, generators: tuple[Change, ...]) -> tuple[Change, ...]:
    """All that comes from one change after another.

    Raises:
        ValueError: if there are too many.
    """
    identity = (tuple(range(positions)), tuple(range(tokens)))
    known = {identity: None}
    queue = [identity]
    for position, token in queue:
        for further, renamed in generators:
            both = (tuple(position[cell] for cell in further), tuple(renamed[old] for old in token))
            if both not in known:
                known[both] = None
                queue.append(both)
        if len(queue) > MOST:
            raise ValueError(
                f"must not make more than {MOST:,} combinations; such a family writes sample_symmetries and orbit_of"
            )
    return tuple(queue)
