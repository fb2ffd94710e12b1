"""The numbered variants of an ARC puzzle: one of eight turns and a permutation of the colours 1 to 9, colour 0 fixed.

The published builder draws variants at random and throws repeats away. Here the different ones are counted and
numbered instead, so that any of them can be made at once, without a list: variant 0 is the puzzle as it is, and the
puzzle's name decides in which order the others follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from math import perm

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from benchmarks.puzzles.arc.grids import COLOURS, TURNS, Grid, pattern, to_grid, turned, undoing

CACHED = 2**14  # problems whose symmetries are kept: more than ARC-AGI-2 and ConceptARC have together
_WORD = 2**64 - 1


@dataclass(frozen=True)
class Variant:
    """A turn and a renaming of colours: colour ``c`` becomes ``colours[c]``."""

    turn: int
    colours: UInt8[ndarray, " colours"]

    def apply(self, grid: Grid) -> Grid:
        return self.colours[turned(grid, self.turn)]

    def undo(self, grid: Grid) -> Grid:
        back = np.empty_like(self.colours)
        back[self.colours] = np.arange(COLOURS, dtype=np.uint8)
        return turned(back[grid], undoing(self.turn))


@dataclass(frozen=True)
class PuzzleVariants:
    """All variants of a puzzle under which its pairs look different.

    With ``u`` of the colours 1 to 9 in use and ``m`` turns that do no more than rename colours there are
    ``(8 / m) * 9! / (9 - u)!`` of them. So one turn of each kind is enough, and the image of the used colours decides.

    Attributes:
        key: decides the order of the variants.
        pairs: number of pairs that the puzzle shows.
        turns: the first turn of each kind; begins with 0.
        used: the colours 1 to 9 that occur.
    """

    key: int
    pairs: int
    turns: tuple[int, ...]
    used: tuple[int, ...]

    @staticmethod
    def of(puzzle: str, pairs: Sequence[tuple[str, str]]) -> PuzzleVariants:
        """
        Args:
            puzzle: name of the puzzle.
            pairs: what it shows, as texts of grids, in any order.
        """
        grids = [to_grid(text) for text in chain.from_iterable(pairs)]
        kinds: dict[bytes, int] = {}
        for turn in TURNS:
            kinds.setdefault(pattern(grids, turn), turn)
        seen = set().union(*(np.unique(grid).tolist() for grid in grids))
        used = sorted(seen - {0})
        key = int.from_bytes(sha256(puzzle.encode()).digest()[:8], "big")
        return PuzzleVariants(key, len(pairs), tuple(kinds.values()), tuple(used))

    def __len__(self) -> int:
        return len(self.turns) * perm(COLOURS - 1, len(self.used))

    def __getitem__(self, number: int) -> Variant:
        """
        Raises:
            IndexError: if there is no variant of this number.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"variant {number} of {len(self)}")
        rest = number and 1 + _shuffled(number - 1, len(self) - 1, self.key)
        rest, turn = divmod(rest, len(self.turns))
        # The used colours come first and each takes one of the names that are left: all zeros is the identity.
        names = [*self.used, *(colour for colour in range(1, COLOURS) if colour not in self.used)]
        colours = np.zeros(COLOURS, dtype=np.uint8)
        for place, colour in enumerate(tuple(names)):
            choice = 0
            if place < len(self.used):
                rest, choice = divmod(rest, len(names))
            colours[colour] = names.pop(choice)
        return Variant(self.turns[turn], colours)


@lru_cache(CACHED)
def puzzle_variants(puzzle: str, pairs: tuple[tuple[str, str], ...]) -> PuzzleVariants:
    """:meth:`PuzzleVariants.of`, remembered."""
    return PuzzleVariants.of(puzzle, pairs)


def _shuffled(number: int, size: int, key: int) -> int:
    """Where a permutation of ``range(size)``, chosen by ``key``, sends ``number``.

    Four Feistel rounds permute the next larger range of ``4**bits`` numbers, until one of ``range(size)`` is met.
    """
    bits = ((size - 1).bit_length() + 1) // 2
    mask = (1 << bits) - 1
    while True:
        left, right = number >> bits, number & mask
        for turn in range(1, 5):
            mixed = (right * 0x9E3779B97F4A7C15 + key * turn) & _WORD
            mixed = ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & _WORD) >> 32
            left, right = right, left ^ mixed & mask
        number = left << bits | right
        if number < size:
            return number
