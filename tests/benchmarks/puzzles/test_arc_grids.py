from __future__ import annotations

import numpy as np
import pytest

from benchmarks.puzzles.arc.grids import (
    SIDE,
    crop,
    is_grid,
    lay,
    lift,
    pair_orbit,
    to_grid,
    to_text,
    turned,
    undoing,
)


def random_grid(draw: np.random.Generator, most: int = SIDE, colours: int = 10) -> np.ndarray:
    return draw.integers(0, colours, draw.integers(1, most + 1, 2), dtype=np.uint8)


def test_text_and_array_are_inverse() -> None:
    assert to_grid("012/345").tolist() == [[0, 1, 2], [3, 4, 5]]
    draw = np.random.default_rng(0)
    for _ in range(200):
        grid = random_grid(draw)
        assert is_grid(to_text(grid))
        assert np.array_equal(to_grid(to_text(grid)), grid)


@pytest.mark.parametrize(
    "text", ["", "?", "/", "1/", "/1", "1//1", "12/3", "1 2", "1\n", "1|1", "\u0661", "0" * 31, "/".join("0" * 31)]
)
def test_what_is_no_grid(text: str) -> None:
    assert not is_grid(text)


def test_the_eight_turns_differ_and_are_undone() -> None:
    grid = to_grid("012/345")
    assert [to_text(turned(grid, turn)) for turn in range(8)] == [
        "012/345",
        "25/14/03",
        "543/210",
        "30/41/52",
        "03/14/25",
        "345/012",
        "52/41/30",
        "210/543",
    ]
    for turn in range(8):
        assert np.array_equal(turned(turned(grid, turn), undoing(turn)), grid)


def test_canvas_of_a_small_grid_cell_by_cell() -> None:
    canvas = np.zeros((SIDE, SIDE), dtype=np.int64)
    lay(canvas, to_grid("09/10/23"), 4, 27)
    expected = np.zeros((SIDE, SIDE), dtype=np.int64)
    expected[4:8, 27:30] = [[2, 11, 1], [3, 2, 1], [4, 5, 1], [1, 1, 0]]
    assert np.array_equal(canvas, expected)


def test_marks_have_no_room_beside_a_grid_at_the_edge() -> None:
    for rows in (29, 30):
        for columns in (29, 30):
            canvas = np.zeros((SIDE, SIDE), dtype=np.int64)
            lay(canvas, np.zeros((rows, columns), dtype=np.uint8), 0, 0)
            assert (canvas[:rows, :columns] == 2).all()
            assert (canvas[rows:, :columns] == 1).all()
            assert (canvas[:rows, columns:] == 1).all()
            assert (canvas[rows:, columns:] == 0).all()


def test_a_laid_grid_is_found_again_anywhere() -> None:
    draw = np.random.default_rng(1)
    for _ in range(200):
        grid = random_grid(draw)
        canvas = np.zeros((SIDE, SIDE), dtype=np.int64)
        top, left = draw.integers(0, SIDE + 1 - np.array(grid.shape)).tolist()
        lay(canvas, grid, top, left)
        assert np.array_equal(lift(canvas), grid)
        found = crop(canvas)
        assert np.array_equal(found, grid) if top == left == 0 else found is None


def test_crop_finds_the_largest_rectangle_of_all() -> None:
    draw = np.random.default_rng(2)
    for seed in range(60):
        canvas = draw.integers(2, 12, (SIDE, SIDE))
        holes = draw.random((SIDE, SIDE)) < (0.001, 0.02, 0.2)[seed % 3]
        canvas[holes] = draw.choice([0, 1, 12, -3], holes.sum())
        areas = {
            (rows, columns): rows * columns
            for rows in range(1, SIDE + 1)
            for columns in range(1, SIDE + 1)
            if ((canvas[:rows, :columns] >= 2) & (canvas[:rows, :columns] <= 11)).all()
        }
        found = crop(canvas)
        if not areas:
            assert found is None
            continue
        assert found is not None
        assert found.shape == min(areas, key=lambda size: (-areas[size], size[0]))
        assert np.array_equal(found + 2, canvas[: found.shape[0], : found.shape[1]])


def test_orbit_is_that_of_all_images_and_of_nothing_else() -> None:
    draw = np.random.default_rng(3)
    seen = set()
    for _ in range(40):
        pair = [random_grid(draw, most=6), random_grid(draw, most=6)]
        orbit = pair_orbit(*map(to_text, pair))
        seen.add(orbit)
        for turn in range(8):
            colours = np.concatenate([[0], 1 + draw.permutation(9)]).astype(np.uint8)
            image = [to_text(colours[turned(grid, turn)]) for grid in pair]
            assert pair_orbit(*image) == orbit
    assert len(seen) == 40
    assert pair_orbit("01", "10") == pair_orbit("5/0", "0/5")
    assert pair_orbit("01", "10") != pair_orbit("10", "10"), "input and output turn together"
    assert pair_orbit("112", "1") != pair_orbit("112", "2"), "colours are renamed alike in both"
    assert pair_orbit("01", "0") != pair_orbit("21", "2"), "colour 0 is not renamed"
    assert pair_orbit("11", "1") != pair_orbit("1", "11"), "shapes count"
