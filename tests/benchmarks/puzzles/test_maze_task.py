from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.puzzles.maze.task import Maze
from benchmarks.splits import prove_disjoint

QUESTION = "S  #  ## #  G#  "  # 4x4: the first column leads from S to G
ROWS = "S..#..##.#..G#.."
ANSWER = "S  #o ##o#  G#  "


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return Maze(8).generate("train", 200, seed=0)


def shortest(size: int, board: str) -> int | None:
    """Steps from S to G by relaxing all cells until nothing changes: independent of the queue in the package."""
    far = size * size
    distance = [0 if char == "S" else far for char in board]
    for _ in range(far):
        for cell, char in enumerate(board):
            row, column = divmod(cell, size)
            for r, c in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if char != "#" and 0 <= r < size and 0 <= c < size and board[r * size + c] != "#":
                    distance[cell] = min(distance[cell], distance[r * size + c] + 1)
    found = distance[board.index("G")]
    return None if found == far else found


def test_labels_are_shortest_paths_and_long_enough(problems: list[Problem]) -> None:
    task = Maze(8)
    for problem in problems[:40]:
        steps = shortest(8, problem.question)
        assert steps is not None
        assert problem.answer.count("o") == steps - 1 == problem.meta["path"] - 2 >= 10
        assert problem.answer.replace("o", " ") == problem.question
        assert task.verify(problem, Answer(problem.answer)).correct
    assert all(p.meta["path"] >= 20 for p in Maze(8, min_path=20).generate("test", 5, seed=0))


def test_generated_mazes_differ_and_begin_alike_for_every_count(problems: list[Problem]) -> None:
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 200
    assert Maze(8).generate("train", 5, seed=0) == problems[:5]
    assert Maze(8).generate("train", 5, seed=1) != problems[:5]
    assert {split_of(p.orbit) for p in problems} == {"train"}


def test_orbit_survives_every_symmetry_and_keeps_the_splits_apart(problems: list[Problem]) -> None:
    task = Maze(8, measure="valid")
    test = task.generate("test", 100, seed=0)
    moved = [p for seed in range(5) for p in task.augment(problems, torch.Generator().manual_seed(seed))]
    assert [task.parse_question(p.question).orbit for p in moved] == [p.orbit for p in moved]
    assert not {p.orbit for p in moved} & {p.orbit for p in test}
    assert all(task.verify(p, Answer(p.answer)).valid for p in moved)
    assert any(task.parse_question(p.question).answer != p.answer for p in moved), "the tie-break is not symmetric"


def test_all_eight_symmetries_are_drawn() -> None:
    def drawn(task: Maze) -> Counter[tuple[int, ...]]:
        return Counter(map(tuple, task.sample_symmetries(800, torch.Generator().manual_seed(0)).position.tolist()))

    assert len(drawn(Maze(5, measure="valid"))) == 8
    assert min(drawn(Maze(5, measure="valid")).values()) > 50
    assert set(drawn(Maze(5))) == {tuple(range(25))}, "a moved label is not the one that the tie-break chooses"


@pytest.mark.parametrize(
    ("measure", "dihedral", "drawn"),
    [("exact", None, 1), ("exact", False, 1), ("exact", True, 8), ("valid", None, 8), ("valid", False, 1)],
)
def test_dihedral_decides_what_is_drawn(
    problems: list[Problem], measure: str, dihedral: bool | None, drawn: int
) -> None:
    task = Maze(8, measure=measure, dihedral=dihedral)  # type: ignore[arg-type]
    symmetries = task.sample_symmetries(200, torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in symmetries.position.tolist()}) == drawn
    moved = task.augment(problems, torch.Generator().manual_seed(0))
    assert all(task.verify(p, Answer(p.answer)).exact for p in moved), (
        "a moved label is the label of what is trained on"
    )
    assert all(Maze(8, measure="valid").verify(p, Answer(p.answer)).correct for p in moved)
    other = sum(task.parse_question(p.question).answer != p.answer for p in moved)
    assert (other > 50) == (drawn == 8), "moved labels follow another tie-break"


def test_every_change_of_one_cell_is_rejected(problems: list[Problem]) -> None:
    task = Maze(8, measure="valid")
    for problem in problems[:5]:
        for cell, char in itertools.product(range(64), "# SGo?"):
            if problem.answer[cell] != char:
                wrong = problem.answer[:cell] + char + problem.answer[cell + 1 :]
                verdict = task.verify(problem, Answer(wrong))
                assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)
                assert verdict.reason
                assert verdict.score < 1 or wrong.count("o") == problem.answer.count("o")


def test_any_shortest_path_is_valid_but_only_the_label_is_exact() -> None:
    question = "S       G"
    moves = {"".join(m) for m in itertools.permutations("DDRR")}
    for measure in ("exact", "valid"):
        task = Maze(3, measure=measure)  # type: ignore[arg-type]
        problem = task.parse_question(question)
        assert task.answer_text(problem) == "DDRR"
        for way in moves:
            answer = task.parse_answer(problem, way)
            verdict = task.verify(problem, answer)
            assert verdict.valid
            assert verdict.exact == (way == "DDRR")
            assert verdict.correct == (verdict.exact if measure == "exact" else verdict.valid)
            assert (verdict.reason == "") == verdict.correct
        longer = task.verify(problem, Answer("S oooo  G"))
        assert not longer.valid


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no answer"),
        (ANSWER[1:], "15 cells instead of 16"),
        (QUESTION, "does not lead from S to G"),
        (ANSWER[:1] + "o" + ANSWER[2:], "1 of the cells marked o are not on the path"),
        (ANSWER[:3] + " " + ANSWER[4:], "row 1, column 4 was '#' and became ' '"),
        ("o" + ANSWER[1:], "row 1, column 1 was 'S' and became 'o'"),
    ],
)
def test_reasons_name_the_fault(answer: str | None, reason: str) -> None:
    task = Maze(4)
    verdict = task.verify(task.parse_question(QUESTION), None if answer is None else Answer(answer))
    assert reason in verdict.reason
    assert not verdict.correct


def test_a_detour_is_named() -> None:
    task = Maze(3)
    problem = task.parse_question("S     G  ")
    verdict = task.verify(problem, Answer("Soo  oGoo"))
    assert verdict.reason == "the path takes 6 steps, the shortest 2"


def test_typed_mazes_are_read_in_many_forms() -> None:
    task = Maze(4)
    problem = task.parse_question(QUESTION)
    assert problem.answer == ANSWER
    rows = [ROWS[i : i + 4] for i in range(0, 16, 4)]
    for text in (ROWS, "\n".join(rows), "/".join(rows), "\r\n".join(rows) + "\r\n", task.render(problem)):
        assert task.parse_question(text) == problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 cells instead of 16"),
        (ROWS[:-1], "15 cells instead of 16"),
        ("S..#\n..##\n.#.\nG#..", "row 3 of 4 has 3 cells"),
        ("S..\n...\n..G", "size=3"),
        (ROWS.replace("#", "x", 1), "'x' in row 1, column 4"),
        (ROWS.replace("S", "."), "0 cells S"),
        (ROWS.replace("G", "S"), "2 cells S"),
        ("S#..##.........G", "no path"),
    ],
)
def test_wrong_typed_mazes_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        Maze(4).parse_question(text)
    assert message in str(error.value)
    assert error.value.cure


def test_text_form(problems: list[Problem]) -> None:
    task = Maze(4)
    problem = task.parse_question(QUESTION)
    assert task.question_text(problem) == ROWS
    assert task.answer_text(problem) == "DDD"
    for text in ("", "DD", "DDDD", "RRR", "UDDD", "DDDU", "RLDDD", "ddd", "D D D", "DRDLD"):
        assert task.parse_answer(problem, text) is None, text
    task = Maze(8)
    assert len(set(task.alphabet)) == len(task.alphabet)
    for problem in problems:
        written = task.answer_text(problem)
        assert len(written) == problem.meta["path"] - 1
        assert set(written + task.question_text(problem)) <= set(task.alphabet)
        assert task.parse_answer(problem, f" {written}\n") == Answer(problem.answer)


def test_grid_form(problems: list[Problem]) -> None:
    task = Maze(8)
    ids, labels = task.encode(problems)
    assert ids.shape == labels.shape == (200, 64)
    assert [task.restore(*row) for row in zip(ids, labels, strict=True)] == [(p.question, p.answer) for p in problems]
    assert task.decode(problems[0], labels[0]) == Answer(problems[0].answer)
    labels[0, :3] = torch.tensor([0, 6, -100])
    assert task.decode(problems[0], labels[0]).text == "???" + problems[0].answer[3:]


def test_too_few_mazes_are_named() -> None:
    with pytest.raises(UserError, match="different mazes for the test split"):
        Maze(3, wall_share=0.0).generate("test", 1000, seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 2},
        {"size": 53},
        {"wall_share": 1.0},
        {"min_path": 1},
        {"min_path": 65},
        {"measure": "f1"},
        {"dihedral": "yes"},
    ],
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(UserError) as error:
        Maze(**options)  # type: ignore[arg-type]
    assert error.value.where in options
    assert error.value.what.startswith(f"{error.value.where} must be ")


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_of_the_published_mazes_are_reproduced(split: str, data: Path) -> None:
    task = Maze(30)
    read = task.read(data / "maze_30x30_hard" / f"{split}.csv.gz")
    assert len(read) == 1000
    for problem in read[::5]:
        own = task.parse_question(problem.question)
        assert own.answer == problem.answer
        assert own.meta["path"] == problem.meta["path"] == problem.meta["rating"]


def test_published_splits_are_disjoint_and_choices_are_nested(data: Path) -> None:
    task = Maze(30)
    train, test = (task.read(data / "maze_30x30_hard" / f"{s}.csv.gz", limit=300) for s in ("train", "test"))
    prove_disjoint(train, test, "here")
    assert task.read(data / "maze_30x30_hard" / "train.csv.gz", limit=10) == train[:10]


def test_broken_files_are_refused(broken_files, refusal) -> None:
    task, header = Maze(4), "source,question,answer,rating\n"
    row = f",{QUESTION},{ANSWER},4"
    broken_files(task, row)
    good = header + row + "\n"

    def second(question: str, answer: str) -> str:
        message = refusal(task, good + f",{question},{answer},4\n")
        assert "line 3" in message
        return message

    assert "question has 14 characters" in second(QUESTION.rstrip(), ANSWER)
    assert "answer has 14 characters" in second(QUESTION, ANSWER.rstrip())
    assert "size=5" in second(" " * 25, " " * 25)
    assert "'.' in row 1, column 2" in second(ROWS, ANSWER)
    assert "0 cells S" in second(QUESTION.replace("S", " "), ANSWER)
    assert "2 cells G" in second(QUESTION[:-1] + "G", ANSWER)
    assert "no path leads" in second("S#  ##         G", ANSWER)
    assert "no shortest path: row 1, column 4 was '#'" in second(QUESTION, ANSWER[:3] + "o" + ANSWER[4:])
    assert "does not lead from S to G" in second(QUESTION, QUESTION)
    assert "takes 6 steps, the shortest 2" in second("S       G       ", "Soo   o Goo     ")
