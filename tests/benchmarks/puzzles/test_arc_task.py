from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.evaluation import Prediction, Solution
from benchmarks.problem import Answer, Problem, Verdict
from benchmarks.puzzles.arc.grids import pair_orbit, to_grid, to_text
from benchmarks.puzzles.arc.score import puzzle_score
from benchmarks.puzzles.arc.task import ARC
from benchmarks.puzzles.arc.variants import PuzzleVariants
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task
from benchmarks.text_form import completion_text, prompt_text, read_completion

TYPED: dict[str, Any] = {
    "train": [{"input": [[0, 1], [2, 0]], "output": [[1]]}, {"input": [[3]], "output": [[3, 3]]}],
    "test": [{"input": [[1, 2, 0]], "output": [[0, 0], [1, 2], [0, 5]]}],
}
TASK = ARC()


@pytest.fixture
def problem() -> Problem:
    return TASK.parse_question(json.dumps(TYPED))


@pytest.fixture(scope="module")
def splits(data: Path) -> tuple[list[Problem], list[Problem]]:
    """All 400 tasks of ARC-AGI-1 evaluation: demonstrations and test pairs; and ConceptARC."""
    return TASK.read_splits([data / "concept_arc/corpus.json.gz"], data / "arc_agi_1/evaluation.json.gz", None, None, 0)


# --- judging ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "exact", "valid", "score", "reason"),
    [
        ("00/12/05", True, True, 1, ""),
        ("00/12/05|1", True, True, 1, ""),
        ("1|00/12/05", False, True, 1, ""),
        ("?|00/12/05", False, True, 1, ""),
        ("00/12/06", False, False, 5 / 6, "1 of 6 cells are wrong"),
        ("11/11/11|00/12/06", False, False, 5 / 6, "5 of 6 cells are wrong"),
        ("012/000", False, False, 0, "the grid is 2x3 instead of 3x2"),
        ("?", False, False, 0, "no grid could be read"),
        ("", False, False, 0, "no grid could be read"),
        ("00/1/05", False, False, 0, "no grid could be read"),
        ("1|2|00/12/05", False, False, 0, "the answer has 3 grids, 2 are allowed"),
        (None, False, False, 0, "no answer could be read"),
    ],
)
def test_verdicts(problem: Problem, text: str | None, exact: bool, valid: bool, score: float, reason: str) -> None:
    answer = None if text is None else Answer(text)
    verdict = TASK.verify(problem, answer)
    assert verdict == Verdict(valid, exact, valid, verdict.score, reason)
    assert verdict.score == pytest.approx(score)
    first_only = ARC(measure="exact").verify(problem, answer)
    assert first_only.correct == exact
    assert bool(first_only.reason) == (not exact)


def test_one_attempt(problem: Problem) -> None:
    assert ARC(attempts=1).verify(problem, Answer("00/12/05")).correct
    assert not ARC(attempts=1).verify(problem, Answer("1|00/12/05")).correct
    assert not ARC(attempts=1).verify(problem, Answer("00/12/05|1")).correct


def test_the_most_voted_grids_become_the_attempts() -> None:
    def combined(*texts: str, attempts: Any = 2) -> str:
        return ARC(attempts=attempts).combine([Answer(text) for text in texts]).text

    assert combined("1", "2", "3") == "1|2"
    assert combined("1", "2", attempts=1) == "1"
    assert combined("1") == combined("1", "1") == "1"
    assert combined("?", "1", "2") == "1|2", "an unreadable answer takes no attempt"
    assert combined("1|2", "3") == "1|3", "of a pair of attempts the first one counts"
    assert combined("?") == combined() == "?"


def test_arcs_own_score_weighs_tasks_equally() -> None:
    def prediction(puzzle: str, correct: bool) -> Prediction:
        asked = Problem(puzzle, "1", "2", "", {"puzzle": puzzle})
        return Prediction(asked, Solution(None, 0, 0, 0), Verdict(correct, correct, correct, 0))

    rows = [("a", True), ("b", True), ("b", False), ("b", False), ("b", False), ("c", False)]
    assert puzzle_score(TASK, [prediction(*row) for row in rows]) == pytest.approx((1 + 0.25 + 0) / 3)
    assert puzzle_score(TASK, [prediction("a", True)]) == 1
    assert puzzle_score(load_task("maze"), [prediction(*row) for row in rows[:2]]) == 1
    with pytest.raises(ValueError, match="no predictions"):
        puzzle_score(TASK, [])


# --- grid form ----------------------------------------------------------------------------------


def test_grid_form_by_hand(problem: Problem) -> None:
    input_ids, labels = TASK.encode([problem])
    assert input_ids.shape == labels.shape == (1, 900)
    assert TASK.vocabulary_size == 12
    given, wanted = input_ids.view(30, 30), labels.view(30, 30)
    assert given[:2, :4].tolist() == [[3, 4, 2, 1], [1, 1, 1, 0]]
    assert wanted[:4, :3].tolist() == [[2, 2, 1], [3, 4, 1], [2, 7, 1], [1, 1, IGNORE]]
    assert int((given > 0).sum()) == 3 + 4
    assert int((wanted != IGNORE).sum()) == 6 + 5


def test_all_grids_survive_encoding(splits: tuple[list[Problem], list[Problem]]) -> None:
    for problems in splits:
        input_ids, labels = TASK.encode(problems)
        for problem, ids, wanted in zip(problems, input_ids, labels, strict=True):
            assert TASK.restore(ids, wanted) == (problem.question.rpartition(";")[2], problem.answer)
            assert TASK.decode(problem, wanted) == Answer(problem.answer)


def test_nothing_predicted_is_a_wrong_answer_and_no_error(problem: Problem) -> None:
    for tokens in (torch.zeros(900), torch.ones(900), torch.full((900,), 11), torch.full((900,), IGNORE)):
        for variant in (0, 5):
            answer = TASK.decode_variant(problem, variant, tokens.long())
            assert not TASK.verify(problem, answer).valid
            assert len(TASK.render(problem, answer)) > 0
    assert TASK.decode(problem, torch.zeros(900).long()) == Answer("?")


# --- variants -----------------------------------------------------------------------------------


def test_variants_are_undone_for_every_task(splits: tuple[list[Problem], list[Problem]]) -> None:
    draw = random.Random(0)
    problems, numbers = [], []
    for problem in splits[1]:
        most = TASK.variants(problem, 1000)
        for number in (0, *(draw.randrange(most) for _ in range(3))):
            problems.append(problem)
            numbers.append(number)
    input_ids, labels = TASK.encode_variants(problems, numbers)
    again = TASK.encode_variants(problems, numbers)
    assert torch.equal(input_ids, again[0])
    assert torch.equal(labels, again[1])
    for problem, number, ids, wanted in zip(problems, numbers, input_ids, labels, strict=True):
        assert TASK.decode_variant(problem, number, wanted) == Answer(problem.answer)
        assert pair_orbit(*TASK.restore(ids, wanted)) == problem.orbit
    assert torch.equal(input_ids[::4], TASK.encode(splits[1])[0]), "variant 0 is the problem as it is"


def test_variants_of_a_puzzle_look_different_and_most_is_kept(splits: tuple[list[Problem], list[Problem]]) -> None:
    train, test = splits
    few = 0
    for asked in sorted(test, key=lambda p: TASK.variants(p, 10**9))[::20]:
        shown = [p for p in train if TASK.puzzle_of(p) == TASK.puzzle_of(asked)]
        count = TASK.variants(asked, 200)
        few += count < 200
        assert {TASK.variants(p, 200) for p in shown} == {count}, "demonstrations and test share their numbers"
        assert TASK.variants(asked, 3) == 3
        looks = {
            tuple(row.numpy().tobytes() for row in torch.cat(TASK.encode_variants(shown, [number] * len(shown))))
            for number in range(count)
        }
        assert len(looks) == count
    assert few


def test_a_variant_is_the_same_for_demonstrations_and_test(splits: tuple[list[Problem], list[Problem]]) -> None:
    train, test = splits
    for asked in test[::10]:
        shown = [p for p in train if TASK.puzzle_of(p) == TASK.puzzle_of(asked)]
        number = TASK.variants(asked, 1000) - 1
        pairs = [(given, wanted) for given, wanted in (pair.split(">") for pair in asked.question.split(";")[:-1])]
        variant = PuzzleVariants.of(TASK.puzzle_of(asked), pairs)[number]
        encoded = zip(*TASK.encode_variants([*shown, asked], [number] * (len(shown) + 1)), strict=True)
        for (given, wanted), (ids, labels) in zip(
            [*pairs, (asked.question.split(";")[-1], asked.answer)], encoded, strict=True
        ):
            images = tuple(to_text(variant.apply(to_grid(text))) for text in (given, wanted))
            assert TASK.restore(ids, labels) == images


def test_a_generator_moves_input_and_output_together(splits: tuple[list[Problem], list[Problem]]) -> None:
    generator = torch.Generator().manual_seed(0)
    problems = splits[0][:300]
    numbers = [random.Random(i).randrange(TASK.variants(p, 100)) for i, p in enumerate(problems)]
    plain = TASK.encode_variants(problems, numbers)
    moved = TASK.encode_variants(problems, numbers, generator)
    corners = set()
    still = 0
    for row in range(len(problems)):
        assert TASK.restore(moved[0][row], moved[1][row]) == TASK.restore(plain[0][row], plain[1][row])
        given, wanted = (tuple(np.argwhere(ids[row].view(30, 30).numpy() >= 2).min(axis=0).tolist()) for ids in moved)
        assert given == wanted
        corners.add(given)
        still += given == (0, 0)
    assert len(corners) > 100
    assert 30 < still < 180, "about one pair of each puzzle stays in the corner"
    assert not torch.equal(TASK.encode_variants(problems, numbers, generator)[0], moved[0])


def test_every_place_where_both_grids_fit_is_used() -> None:
    big = np.zeros((28, 5), dtype=int).tolist()
    wide = np.ones((3, 29), dtype=int).tolist()
    problem = TASK.parse_question(
        json.dumps({"train": [{"input": [[1]], "output": [[2]]}] * 3, "test": [{"input": big, "output": wide}]})
    )
    input_ids, _ = TASK.encode_variants([problem] * 300, [0] * 300, torch.Generator().manual_seed(0))
    places = {tuple(np.argwhere(ids.view(30, 30).numpy() >= 2).min(axis=0).tolist()) for ids in input_ids}
    assert places == {(top, left) for top in range(3) for left in range(2)}


# --- text form and typed tasks ------------------------------------------------------------------


def test_text_form(problem: Problem) -> None:
    assert problem.question == "01/20>1;3>33;120"
    assert prompt_text(TASK, problem, "answer_only") == "01/20>1;3>33;120><think></think>"
    assert completion_text(TASK, problem, None) == "00/12/05"
    assert set(TASK.question_text(problem) + TASK.answer_text(problem) + "|") <= set(TASK.alphabet)
    assert read_completion(TASK, problem, "00/12/05\n", "answer_only") == Answer("00/12/05")
    assert TASK.parse_answer(problem, " 1|22/33 ") == Answer("1|22/33")
    for wrong in ("", "?", "1|", "1|2|3", "1 | 2", "00/1/05", "a", "1,2", "1/", "0" * 31):
        assert TASK.parse_answer(problem, wrong) is None
    assert ARC(attempts=1).parse_answer(problem, "1|2") is None


def test_augmentation_for_language_models_moves_the_demonstrations_too(
    splits: tuple[list[Problem], list[Problem]],
) -> None:
    problems = splits[0][::15]
    moved = TASK.augment(problems, torch.Generator().manual_seed(0))
    assert moved == TASK.augment(problems, torch.Generator().manual_seed(0))
    changed = 0
    for before, after in zip(problems, moved, strict=True):
        shown = [tuple(pair.split(">")) for p in (before, after) for pair in f"{p.question}>{p.answer}".split(";")]
        half = len(shown) // 2
        assert [pair_orbit(*pair) for pair in shown[:half]] == [pair_orbit(*pair) for pair in shown[half:]]
        changed += before.question != after.question
    assert changed > 0.9 * len(problems)
    with pytest.raises(UserError, match="augment=false"):
        TASK.sample_symmetries(1, torch.Generator())


def test_typed_tasks(problem: Problem) -> None:
    assert problem.answer == "00/12/05"
    assert TASK.parse_question(json.dumps(TYPED)) == problem
    assert TASK.puzzle_of(problem).startswith("typed/")
    named = TASK.parse_question(json.dumps(TYPED | {"puzzle": "arc_agi_1/evaluation/00576224"}))
    assert TASK.puzzle_of(named) == "arc_agi_1/evaluation/00576224"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no object with 'train'"),
        (json.dumps(TYPED | {"test": TYPED["test"] * 2}), "it has 2 test pairs"),
        (json.dumps(TYPED | {"test": [{"input": [[1]]}]}), "test pair 1: the pair has no 'output'"),
        (json.dumps({"test": TYPED["test"]}), "has no 'train'"),
    ],
)
def test_wrong_typed_tasks_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        TASK.parse_question(text)
    assert message in str(error.value)
    assert "the typed task" in str(error.value)
    assert error.value.cure


def test_options_and_what_arc_has_not() -> None:
    assert load_task("arc", attempts=1) == ARC(attempts=1)
    assert TASK.name != ARC(attempts=1).name
    for options in ({"attempts": 3}, {"attempts": 0}, {"measure": "best"}):
        with pytest.raises(UserError):
            load_task("arc", **options)
    with pytest.raises(UserError, match="no generator") as error:
        TASK.generate("train", 1, 0)
    assert "train_file" in str(error.value.cure)


def test_render(problem: Problem) -> None:
    assert TASK.render(problem) == "01 -> 1\n20\n\n3 -> 33\n\n120 -> ?"
    assert TASK.render(problem, Answer("00/12|4")).endswith("120 -> 00 -> 4\n       12")
