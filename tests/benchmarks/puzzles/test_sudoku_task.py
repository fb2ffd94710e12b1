from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.puzzles.sudoku.rules import orbits
from benchmarks.puzzles.sudoku.search import guesses_needed
from benchmarks.puzzles.sudoku.task import Sudoku
from benchmarks.splits import build_splits, prove_disjoint
from benchmarks.task import load_task

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
COUNTS = {4: 200, 6: 100, 9: 12}
sizes = pytest.mark.parametrize("size", [4, 6, 9])


@pytest.fixture(scope="module")
def problems() -> dict[int, list[Problem]]:
    return {size: Sudoku(size).generate("train", COUNTS[size], seed=0) for size in BOXES}


@cache
def seen_from(size: int, cell: int) -> list[int]:
    height, width = BOXES[size]
    row, column = divmod(cell, size)
    return [
        r * size + c
        for r, c in itertools.product(range(size), repeat=2)
        if r == row or c == column or (r // height == row // height and c // width == column // width)
    ]


def solutions(size: int, cells: list[int]) -> int:
    """An independent count, up to 2, by plain backtracking on the cell with fewest fitting digits."""
    best, options = -1, set(range(size + 1))
    for cell, held in enumerate(cells):
        if held == 0:
            left = set(range(1, size + 1)) - {cells[other] for other in seen_from(size, cell)}
            if len(left) < len(options):
                best, options = cell, left
    if best < 0:
        return 1
    count = 0
    for digit in options:
        count += solutions(size, [*cells[:best], digit, *cells[best + 1 :]])
        if count > 1:
            return 2
    return count


def to_cells(question: str) -> list[int]:
    return [0 if char == "." else int(char) for char in question]


@sizes
def test_generated_puzzles_are_minimal_with_one_solution(size: int, problems: dict[int, list[Problem]]) -> None:
    for problem in problems[size][: {4: 40, 6: 10, 9: 1}[size]]:
        cells = to_cells(problem.question)
        assert solutions(size, cells) == 1
        for cell, digit in enumerate(cells):
            if digit:
                assert solutions(size, [*cells[:cell], 0, *cells[cell + 1 :]]) == 2


@sizes
def test_generated_puzzles_differ_and_begin_alike_for_every_count(
    size: int, problems: dict[int, list[Problem]]
) -> None:
    assert len({p.question for p in problems[size]}) == len({p.id for p in problems[size]}) == COUNTS[size]
    assert Sudoku(size).generate("train", 5, seed=0) == problems[size][:5]
    if size < 9:
        assert Sudoku(size).generate("train", 5, seed=1) != problems[size][:5]
    assert {split_of(p.orbit) for p in problems[size]} == {"train"}


def test_givens_and_guesses_are_as_asked() -> None:
    for problem in Sudoku(6, givens=14).generate("test", 20, seed=0):
        assert 36 - problem.question.count(".") == 14
        assert solutions(6, to_cells(problem.question)) == 1
    task = Sudoku(6, min_guesses=1)
    assert all(guesses_needed(6, problem.question) > 0 for problem in task.generate("train", 5, seed=0))


@pytest.mark.parametrize("options", [{"givens": 3}, {"min_guesses": 1}])
def test_a_family_with_too_few_puzzles_says_so(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match="found only 0 different puzzles for the train split"):
        load_task("sudoku", **options).generate("train", 1, seed=0)


@pytest.mark.parametrize(
    "options", [{"size": 5}, {"givens": "few"}, {"givens": 0}, {"givens": 16}, {"min_guesses": -1}, {"measure": "f1"}]
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(UserError) as error:
        Sudoku(**options)  # type: ignore[arg-type]
    assert error.value.where in options
    assert error.value.what.startswith(f"{error.value.where} must be ")


@sizes
def test_orbit_survives_every_symmetry_and_keeps_the_splits_apart(
    size: int, problems: dict[int, list[Problem]]
) -> None:
    task = Sudoku(size)
    test = task.generate("test", COUNTS[size] // 4, seed=0)
    moved = [p for seed in range(5) for p in task.augment(problems[size], torch.Generator().manual_seed(seed))]
    again = orbits(size, [p.question for p in moved], [p.answer for p in moved])
    assert again == [p.orbit for p in moved]
    assert sum(p.question != q.question for p, q in zip(moved, problems[size] * 5, strict=True)) > 0.95 * len(moved)
    assert not {p.orbit for p in test} & set(again)
    prove_disjoint(moved, test, "here")
    with pytest.raises(UserError, match="perhaps under a symmetry"):
        prove_disjoint(problems[size], [replace(moved[-1], id="moved")], "here")


def test_minimal_4x4_puzzles_fall_into_36_classes() -> None:
    splits = build_splits(Sudoku(4), 600, 300, seed=0)
    train, test = ({p.orbit for p in part} for part in (splits.train, splits.test))
    assert len(train | test) == 36
    assert not train & test


@sizes
def test_symmetries_keep_answers_right_and_encoding_has_an_inverse(
    size: int, problems: dict[int, list[Problem]]
) -> None:
    task = Sudoku(size)
    ids, labels = task.encode(problems[size])
    assert ids.min() >= 1
    assert ids.max() == task.vocabulary_size - 1 == size + 1
    assert [task.restore(*row) for row in zip(ids, labels, strict=True)] == [
        (p.question, p.answer) for p in problems[size]
    ]
    for moved in task.augment(problems[size], torch.Generator().manual_seed(7)):
        verdict = task.verify(moved, Answer(moved.answer))
        assert verdict.correct
        assert verdict.valid
        assert verdict.score == 1
        assert verdict.reason == ""


def test_all_4x4_symmetries_are_drawn_evenly() -> None:
    drawn = Sudoku(4).sample_symmetries(128 * 60, torch.Generator().manual_seed(0))
    places = Counter(map(tuple, drawn.position.tolist()))
    assert len(places) == 128  # (2! * 2!^2)^2 * 2
    assert max(places.values()) < 60 * 2
    assert len(set(map(tuple, drawn.token[:, 2:].tolist()))) == 24
    assert (drawn.token[:, :2] == torch.tensor([0, 1])).all()
    assert not any(
        (row.view(6, 6)[0] // 6).unique().numel() > 1
        for row in Sudoku(6).sample_symmetries(50, torch.Generator().manual_seed(0)).position
    ), "a 6x6 board must not be transposed"


@sizes
def test_every_change_of_one_cell_is_rejected(size: int, problems: dict[int, list[Problem]]) -> None:
    task = Sudoku(size)
    for problem in problems[size][:3]:
        for cell, char in itertools.product(range(size * size), task.vocabulary + "?"):
            if problem.answer[cell] != char:
                wrong = problem.answer[:cell] + char + problem.answer[cell + 1 :]
                verdict = task.verify(problem, Answer(wrong))
                assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)
                assert verdict.reason


PUZZLE = "...4....1.3..2.."
SOLUTION = "2314412314323241"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no answer"),
        (SOLUTION[:-1], "15 cells instead of 16"),
        (PUZZLE, "row 1, column 1 is empty"),
        ("2313" + SOLUTION[4:], "row 1, column 4 was given as 4 and holds 3"),
        ("2334" + SOLUTION[4:], "row 1 holds 3 twice"),
        ("3214" + SOLUTION[4:], "column 1 holds 3 twice"),
        ("?314" + SOLUTION[4:], "row 1, column 1 holds '?'"),
    ],
)
def test_reasons_name_the_place(answer: str | None, reason: str) -> None:
    task = Sudoku(4)
    verdict = task.verify(task.parse_question(PUZZLE), None if answer is None else Answer(answer))
    assert reason in verdict.reason
    assert not verdict.correct


def test_typed_puzzles_are_read_in_many_forms(problems: dict[int, list[Problem]]) -> None:
    task = Sudoku(4)
    problem = task.parse_question(PUZZLE)
    assert problem.answer == SOLUTION
    for text in (
        PUZZLE.replace(".", "0"),
        PUZZLE.replace(".", "_"),
        PUZZLE.replace(".", "-"),
        task.render(problem),
        "..|.4\n..|..\n--+--\n1.|3.\n.2|..",
    ):
        assert task.parse_question(text) == problem
    for other in (6, 9):
        drawn = problems[other][0]
        assert Sudoku(other).parse_question(Sudoku(other).render(drawn)) == drawn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PUZZLE[:-1], "15 cells were given instead of 16"),
        ("", "0 cells were given"),
        ("x" + PUZZLE[1:], "'x' (cell 1)"),
        ("5" + PUZZLE[1:], "'5' (cell 1) is neither a digit from 1 to 4"),
        ("." * 36, "size=6"),
        ("4" + PUZZLE[1:], "row 1 holds 4 twice"),
        ("123....4........", "no solution"),
        ("." * 16, "more than one solution"),
    ],
)
def test_wrong_typed_puzzles_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        Sudoku(4).parse_question(text)
    assert message in str(error.value)
    assert error.value.cure


def test_text_form_and_decoding() -> None:
    task = Sudoku(4)
    problem = task.parse_question(PUZZLE)
    assert task.question_text(problem) == PUZZLE
    assert task.parse_answer(problem, f" {task.answer_text(problem)}\n") == Answer(SOLUTION)
    for text in (SOLUTION + "1", SOLUTION[1:], PUZZLE, "5" + SOLUTION[1:], ""):
        assert task.parse_answer(problem, text) is None
    _, labels = task.encode([problem])
    assert task.decode(problem, labels[0]) == Answer(SOLUTION)
    labels[0, :4] = torch.tensor([0, 1, 6, -100])
    assert task.decode(problem, labels[0]).text == "?.??" + SOLUTION[4:]
    assert "(2)(3)|(1) 4 " in task.render(problem, Answer(SOLUTION))


def test_published_puzzles_are_read(data: Path) -> None:
    task = Sudoku(9)
    path = data / "sudoku_extreme" / "train.csv.gz"
    train = task.read(path)
    assert len(train) == len({p.orbit for p in train}) == 1000
    assert train[0].id == "train.csv.gz:2"
    some = task.read(path, limit=20, seed=3)
    assert len({p.question for p in some}) == 20
    assert task.read(path, limit=5, seed=3) == some[:5]
    assert task.read(path, limit=20, seed=4) != some
    assert all(task.verify(p, Answer(p.answer)).correct for p in some)
    test = task.read(data / "sudoku_extreme" / "test.csv.gz", limit=200)
    prove_disjoint(train, test, "here")


def test_broken_files_are_refused(broken_files, refusal, tmp_path: Path) -> None:
    task, header = Sudoku(4), "source,question,answer,rating\n"
    row = f"s,{PUZZLE},{SOLUTION},0"
    broken_files(task, row)
    good = header + row + "\n"

    def second(question: str, answer: str) -> str:
        message = refusal(task, good + f"s,{question},{answer},0\n")
        assert "line 3" in message
        return message

    assert "question has 15 characters" in second(PUZZLE[1:], SOLUTION)
    assert "answer has 17 characters" in second(PUZZLE, SOLUTION + "1")
    assert "'x' in row 1, column 2" in second(".x" + PUZZLE[2:], SOLUTION)
    assert "'.' in row 1, column 1" in second(PUZZLE, "." + SOLUTION[1:])
    assert "'é'" in second("é" + PUZZLE[1:], SOLUTION)
    assert "the answer has 2 where the question gives 3, in row 1, column 1" in second("3" + PUZZLE[1:], SOLUTION)
    assert "no Sudoku: row 1 holds 3 twice" in second(PUZZLE, "3314" + SOLUTION[4:])
    assert "more than one solution" in second("2" + "." * 15, SOLUTION)
    assert "size=6" in second("." * 36, "1" * 36)
    with pytest.raises(UserError, match="no such file"):
        task.read(Path("nowhere.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        task.read(tmp_path / "folder.csv")
