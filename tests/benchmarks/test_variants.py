"""Numbered variants: a number always means the same symmetry, answers come back from it, and it keeps answers right."""

from __future__ import annotations

import pytest
import torch

from benchmarks.problem import Answer
from benchmarks.symmetries import IGNORE
from benchmarks.task import Task, load_task

FAMILIES = [
    ("sudoku", {"size": 4}),
    ("sudoku", {"size": 6}),
    ("maze", {"size": 5, "measure": "valid"}),
    ("maze", {"size": 5}),
    ("arithmetic", {"digits": (2, 2)}),
    ("arithmetic", {"digits": (3, 1)}),
]
NUMBERS = range(12)


@pytest.fixture(params=FAMILIES, ids=str)
def task(request) -> Task:
    family, options = request.param
    return load_task(family, **options)


def test_the_answer_comes_back_from_every_variant(task: Task) -> None:
    for problem in task.generate("train", 8, seed=0):
        for number in NUMBERS:
            input_ids, labels = task.encode_variants([problem], [number])
            question, answer = task.restore(input_ids[0], labels[0])
            asked = task.parse_question(question)
            assert task.verify(asked, Answer(answer)).correct, "a variant is a problem with its right answer"
            predicted = torch.where(labels[0] == IGNORE, input_ids[0], labels[0])
            assert task.decode_variant(problem, number, predicted).text == problem.answer


def test_any_prediction_is_undone_cell_by_cell(task: Task) -> None:
    """Also a wrong one: the variant of a grid, undone, is the grid."""
    problems = task.generate("train", 4, seed=1)
    generator = torch.Generator().manual_seed(0)
    for problem in problems:
        grid = torch.randint(1, task.vocabulary_size, (1, task.positions), generator=generator)
        for number in NUMBERS:
            moved = task._numbered_symmetries([problem], [number]).apply(grid)[0]
            assert task.decode_variant(problem, number, moved) == task.decode(problem, grid[0])


def test_a_number_always_means_the_same_symmetry_and_0_is_none(task: Task) -> None:
    problems = task.generate("train", 6, seed=2)
    numbers = [0, 3, 1, 3, 7, 2]
    together = task.encode_variants(problems, numbers)
    torch.manual_seed(5)  # the global generator has no say
    for i, (problem, number) in enumerate(zip(problems, numbers, strict=True)):
        alone = task.encode_variants([problem], [number])
        assert all(torch.equal(a[0], b[i]) for a, b in zip(alone, together, strict=True))
    unmoved = task.encode_variants(problems, [0] * 6)
    assert all(torch.equal(a, b) for a, b in zip(unmoved, task.encode(problems), strict=True))


def test_variants_differ_where_the_family_has_symmetries() -> None:
    for family, options, least in [("sudoku", {"size": 4}, 60), ("maze", {"size": 5, "measure": "valid"}, 8)]:
        task = load_task(family, **options)
        problem = task.generate("train", 1, seed=0)[0]
        grids = task.encode_variants([problem] * 64, range(64))[0]
        assert len({tuple(row) for row in grids.tolist()}) >= least
    first, second = load_task("sudoku", size=4).generate("train", 2, seed=0)
    numbered = [load_task("sudoku", size=4)._numbered_symmetries([p], [5]).token.tolist() for p in (first, second)]
    assert numbered[0] != numbered[1], "a number means something else for another problem"
