from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.puzzles.arc.grids import to_grid, to_text, turned
from benchmarks.puzzles.arc.variants import PuzzleVariants, _shuffled

PUZZLES = {
    "one colour, no symmetry": (("0300/0033", "30"),),
    "one colour, all symmetric": (("030/303/030", "3"),),
    "only background": (("00/00", "0"),),
    "only background, not square": (("000", "0"),),
    "a quarter turn renames": (("12/21", "0"),),
    "a mirror renames": (("102", "201"), ("12", "21")),
    "two pairs, two colours": (("10/20", "1"), ("0/1", "2")),
    "three colours": (("12/30", "3"),),
}


def images(pairs: tuple[tuple[str, str], ...], variants: PuzzleVariants) -> list[tuple[str, ...]]:
    return [
        tuple(to_text(variants[number].apply(to_grid(text))) for pair in pairs for text in pair)
        for number in range(len(variants))
    ]


@pytest.mark.parametrize("name", PUZZLES)
def test_every_image_has_exactly_one_number(name: str) -> None:
    pairs = PUZZLES[name]
    used = sorted({int(c) for pair in pairs for text in pair for c in text if c not in "/0"})
    brute = set()
    for turn, names in itertools.product(range(8), itertools.permutations(range(1, 10), len(used))):
        colours = np.arange(10, dtype=np.uint8)
        colours[used] = names
        brute.add(tuple(to_text(colours[turned(to_grid(text), turn)]) for pair in pairs for text in pair))
    numbered = images(pairs, PuzzleVariants.of(name, pairs))
    assert len(numbered) == len(set(numbered)) == len(brute)
    assert set(numbered) == brute
    assert numbered[0] == tuple(text for pair in pairs for text in pair)


def test_hand_counted() -> None:
    def count(name: str) -> int:
        return len(PuzzleVariants.of(name, PUZZLES[name]))

    assert count("one colour, no symmetry") == 8 * 9
    assert count("one colour, all symmetric") == 9
    assert count("only background") == 1
    assert count("only background, not square") == 2
    assert count("a quarter turn renames") == 9 * 8  # all eight turns only rename


def test_variants_are_permutations_that_keep_colour_0_and_are_undone() -> None:
    pairs = (("12/30", "345"), ("6", "0"))
    variants = PuzzleVariants.of("p", pairs)
    draw = np.random.default_rng(0)
    for number in draw.integers(0, len(variants), 300):
        variant = variants[int(number)]
        assert variant.colours[0] == 0
        assert sorted(variant.colours) == list(range(10))
        grid = draw.integers(0, 10, draw.integers(1, 31, 2), dtype=np.uint8)
        assert np.array_equal(variant.undo(variant.apply(grid)), grid)
    for beyond in (-1, len(variants)):
        with pytest.raises(IndexError):
            variants[beyond]


def test_numbers_depend_on_the_puzzle_and_not_on_the_order_of_its_pairs() -> None:
    pairs = (("12/30", "345"), ("6", "0"), ("7", "8"))
    first = PuzzleVariants.of("a", pairs)
    for order in itertools.permutations(pairs):
        assert PuzzleVariants.of("a", order) == first
    other = PuzzleVariants.of("b", pairs)
    same = [np.array_equal(first[k].colours, other[k].colours) for k in range(1, 100)]
    assert sum(same) < 5


def test_the_first_variants_are_a_fair_sample_of_all() -> None:
    """Every turn and every new name of every colour is met about equally often among the first thousand."""
    turns, names = np.zeros(8), np.zeros((10, 10))
    for puzzle in range(8):
        variants = PuzzleVariants.of(str(puzzle), (("12/30", "345"), ("1", "6")))
        for number in range(1, 1001):
            turns[variants[number].turn] += 1
            names[np.arange(10), variants[number].colours] += 1
    assert abs(turns / 1000 - 1).max() < 0.15
    assert abs(names[1:7, 1:] / (8000 / 9) - 1).max() < 0.2


def test_shuffling_permutes_every_range() -> None:
    for size in (*range(1, 70), 255, 256, 257, 1000):
        for key in (0, 1, 2**64 - 1):
            assert sorted(_shuffled(number, size, key) for number in range(size)) == list(range(size))
