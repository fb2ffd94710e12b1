"""A stranger's family: what is derived from its two methods, and how mistakes in its code are named."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from toy_families import Factors, Flags, Sorting

from benchmarks.drawing import Draft
from benchmarks.errors import UserError
from benchmarks.grid_task import GridTask
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.rewards import END_THINK
from benchmarks.splits import build_splits, to_dataset
from benchmarks.symmetries import IGNORE, Symmetries
from benchmarks.task import Task
from benchmarks.text_form import completion_text, prompt_text, read_completion

TASKS: list[Task] = [Factors(), Sorting(), Sorting(8, 2), Flags()]
EVERY = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
GRIDS = pytest.mark.parametrize("task", [task for task in TASKS if isinstance(task, GridTask)], ids=lambda t: t.name)


# --- what is derived ------------------------------------------------------------------------------


def test_a_family_fits_on_a_page() -> None:
    text = (Path(__file__).parents[1] / "toy_families.py").read_text()
    blocks = text.split("@dataclass(frozen=True)\n")[1:]
    assert all(len(block.strip().splitlines()) <= 40 for block in blocks)


@EVERY
def test_problems_are_different_disjoint_and_the_same_again(task: Task) -> None:
    splits = build_splits(task, 40, 12, seed=0)
    assert len({problem.question for problem in splits.train + splits.test}) == 52
    assert {split_of(problem.orbit) for problem in splits.train} == {"train"}
    assert {split_of(problem.orbit) for problem in splits.test} == {"test"}
    assert len({problem.id for problem in splits.train + splits.test}) == 52

    assert splits == build_splits(task, 40, 12, seed=0)
    assert task.generate("train", 15, 0) == splits.train[:15]
    assert task.generate("train", 40, 1) != splits.train
    assert task.generate("train", 0, 0) == []


@EVERY
def test_labels_are_right_and_wrong_answers_are_not(task: Task) -> None:
    for problem in task.generate("train", 20, 0):
        verdict = task.verify(problem, Answer(problem.answer))
        assert (verdict.correct, verdict.exact, verdict.valid, verdict.score) == (True, True, True, 1.0)
        assert not verdict.reason
        for wrong in (None, Answer(""), Answer("?"), Answer(problem.answer + problem.answer), Answer("x*y")):
            verdict = task.verify(problem, wrong)
            assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)
            assert verdict.score < 1
            assert verdict.reason


def test_the_measure_follows_from_what_the_family_says() -> None:
    assert (Factors().measure, Sorting().measure, Flags().measure) == ("valid", "exact", "valid")
    problem = Problem("1", "12", "2*6", "12")
    verdict = Factors().verify(problem, Answer("3*4"))
    assert (verdict.correct, verdict.exact, verdict.valid, verdict.score) == (True, False, True, 1.0)

    strict = replace(ExactFactors(), largest=20)
    verdict = strict.verify(problem, Answer("3*4"))
    assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, True)
    assert verdict.reason == "right, but not the label"
    assert verdict.score < 1
    with pytest.raises(UserError, match="measure must be 'exact' or 'valid', not 'both'"):
        ExactFactors(measure="both")  # type: ignore[arg-type]


@dataclass(frozen=True)
class ExactFactors(Factors):
    measure: Any = "exact"


def test_words_are_derived() -> None:
    assert Factors().name == "factors"
    assert Factors(12).name == "factors-largest12"
    assert Sorting(8, 2).name == "sorting-count8-fewest2"
    assert Factors().instructions.startswith("Write the number as a product of two numbers, neither of them 1, as in")
    assert "Every product" not in Factors().instructions
    assert Silent().instructions == "Write the answer alone."
    assert Factors().alphabet == "*0123456789"
    assert set(Sorting().alphabet) == set("abcdef")


@dataclass(frozen=True)
class Silent(Factors):
    size: int = 2


@EVERY
def test_a_language_model_can_learn_it(task: Task) -> None:
    for problem in task.generate("test", 10, 0):
        for style, trace in (("cot", "so"), ("answer_only", None)):
            text = completion_text(task, problem, trace)
            assert read_completion(task, problem, f"{text}\n", style) == Answer(problem.answer)  # type: ignore[arg-type]
            assert prompt_text(task, problem, style).startswith(problem.question)  # type: ignore[arg-type]
        assert set(task.question_text(problem) + task.answer_text(problem)) <= set(task.alphabet)
        assert task.find_answer(problem, f"I think.{END_THINK}The answer is {problem.answer}") == Answer(problem.answer)
        assert task.parse_answer(problem, " \n") is None
        assert problem.question in task.render(problem)
        assert problem.answer in task.render(problem, Answer(problem.answer))


def test_typed_questions_need_a_solver() -> None:
    problem = Sorting().parse_question(" fedcba ")
    assert (problem.question, problem.answer) == ("fedcba", "abcdef")
    for text in ("fedcbaa", "xyz", ""):
        with pytest.raises(UserError):
            Sorting().parse_question(text)
    with pytest.raises(UserError, match="factors: a question of the family 'factors' cannot be typed"):
        Factors().parse_question("12")


# --- grid form ------------------------------------------------------------------------------------


@GRIDS
def test_rows_are_encoded_restored_and_decoded(task: GridTask) -> None:
    problems = task.generate("train", 20, 0)
    ids, labels = task.encode(problems)
    assert ids.shape == labels.shape == (20, task.positions)
    assert ids.dtype == labels.dtype == torch.int64
    assert 1 <= int(ids.min()) <= int(ids.max()) < task.vocabulary_size
    assert not (labels == IGNORE).any()
    for problem, row, label in zip(problems, ids, labels, strict=True):
        assert task.restore(row, label) == (problem.question, problem.answer)
        assert task.decode(problem, label) == Answer(problem.answer)
    assert task.decode(problems[0], torch.zeros(task.positions, dtype=torch.int64)).text == "?" * task.positions
    assert {"input_ids", "labels"} <= set(to_dataset(task, problems).column_names)


def test_shorter_answers_are_filled_up() -> None:
    task = Sorting(8, 2)
    ids, labels = task.encode([Problem("1", "ca", "ac", "ca")])
    assert task.vocabulary == "_abcdef"
    assert ids.tolist() == [[4, 2, 1, 1, 1, 1, 1, 1]]
    assert labels.tolist() == [[2, 4, 1, 1, 1, 1, 1, 1]]


def test_any_letters_can_be_symbols() -> None:
    @dataclass(frozen=True)
    class Greek(GridTask):
        family: ClassVar[str] = "greek"
        symbols: ClassVar[str] = "αβγ\U0001f600"
        length: ClassVar[int] = 4

        def draw(self, rng: random.Random) -> tuple[str, str]:
            question = "".join(rng.choices(self.symbols, k=4))
            return question, question[::-1]

    task = Greek()
    for problem, *row in zip(task.generate("train", 20, 0), *task.encode(task.generate("train", 20, 0)), strict=True):
        assert task.restore(*row) == (problem.question, problem.answer)


@GRIDS
def test_symmetries_keep_answers_right_and_orbits_together(task: GridTask) -> None:
    problems = task.generate("train", 30, 0)
    moved = task.augment(problems, torch.Generator().manual_seed(0))
    for old, new in zip(problems, moved, strict=True):
        assert task.verify(new, Answer(new.answer)).correct
        assert task.orbit_of(new.question) == task.orbit_of(old.question) == old.orbit
    changed = sum(old.question != new.question for old, new in zip(problems, moved, strict=True))
    assert changed > 15 if isinstance(task, Flags) else changed == 0

    _, labels = task.encode_variants(problems, [3] * len(problems))
    for problem, label in zip(problems, labels, strict=True):
        assert task.decode_variant(problem, 3, label) == Answer(problem.answer)


def test_all_combinations_of_symmetries_are_drawn_equally_often() -> None:
    drawn = Flags().sample_symmetries(6000, torch.Generator().manual_seed(0))
    rows = torch.cat([drawn.position, drawn.token], dim=1)
    kinds, counts = rows.unique(dim=0, return_counts=True)
    assert len(kinds) == 2 * 6
    assert int(counts.min()) > 400
    identity = Symmetries.identity(2, 6, 6)
    none = Sorting().sample_symmetries(2, torch.Generator())
    assert torch.equal(none.position, identity.position)


# --- mistakes in a family's code ------------------------------------------------------------------


def _family(base: type[Task] = Task, **members: Any) -> Task:
    """A family with these members instead of Sorting's."""
    names: dict[str, Any] = {"family": "broken", "draw": lambda self, rng: ("".join(rng.choices("abc", k=3)), "abc")}
    if base is GridTask:
        names |= {"symbols": "abc", "length": 3}
    kept = {key: value for key, value in (names | members).items() if value is not None}
    return dataclass(frozen=True)(type("Broken", (base,), kept))()


def _raises(*_: Any) -> Any:
    return [][3]


def _returns(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def _line(text: str) -> int:
    """The number of the line of this file that holds only this."""
    lines = [line.strip() for line in Path(__file__).read_text().splitlines()]
    return 1 + lines.index(text)


RAISING, CONSTANT = "return [][3]", "return lambda *_: value"


@pytest.mark.parametrize(
    ("members", "message", "line"),
    [
        ({"draw": _raises}, "'draw' of the family 'broken' raised IndexError: list index", RAISING),
        ({"is_right": _raises}, "'is_right' of the family 'broken' raised IndexError", RAISING),
        ({"draw": _returns("abc")}, "must return .question, answer., a Problem or None, not 'abc'", CONSTANT),
        ({"draw": _returns(("a", 7))}, "must return text as answer, not 7", CONSTANT),
        ({"draw": _returns(("a", "b", None))}, "must return text as orbit, not None", CONSTANT),
        ({"draw": _returns(("a", "b", "c", "d"))}, "must return a mapping as meta", CONSTANT),
        ({"draw": _returns(("", "b"))}, "must return a question and an answer that are not empty", CONSTANT),
        ({"is_right": _returns(1)}, "must return True or False, not 1", CONSTANT),
        ({"is_right": _returns(False)}, "must accept the label 'abc' of", CONSTANT),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_and_line(members: dict[str, Any], message: str, line: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        _family(**members).generate("train", 5, 0)
    assert error.value.where == f"{__file__}, line {_line(line)}"
    assert error.value.cure == "Correct the code of the family."


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"draw": _returns(("abcd", "abc"))}, "must return a question of at most length=3 characters, not 'abcd'"),
        ({"draw": _returns(("abc", "aaab"))}, "must return an answer of at most length=3 characters, not 'aaab'"),
        ({"draw": _returns(("abd", "abc"))}, "must return a question of the symbols 'abc'; 'd' is none of them"),
        ({"draw": _returns(("ab_", "abc"))}, "must return a question of the symbols 'abc'; '_' is none of them"),
        ({"symmetries": _returns([[0, 1]])}, "'symmetries' .* must name each of the cells 0 to 2 once"),
        ({"symmetries": _returns([{"a": "b"}])}, "'symmetries' .* must rename symbols to each other"),
        ({"symmetries": _returns([3])}, "'symmetries' .* must name each of the cells"),
        ({"symmetries": _returns(3)}, "'symmetries' .* must return a list of symmetries, not 3"),
        ({"symmetries": _raises}, "'symmetries' .* raised IndexError"),
        ({"symbols": "aab"}, "'symbols' of the family 'broken' must be different characters in one text, not 'aab'"),
        ({"symbols": None}, "'symbols' of the family 'broken' is missing"),
        ({"length": None}, "'length' of the family 'broken' is missing"),
        ({"length": 0}, "'length' of the family 'broken' must be a whole number of at least 1, not 0"),
        ({"length": property(_raises)}, "'length' of the family 'broken' raised IndexError"),
        ({"fill": "a"}, "'fill' of the family 'broken' must be one character that is none of the symbols"),
    ],
)
def test_a_mistake_in_the_grid_form_is_named(members: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        _family(GridTask, **members).generate("train", 5, 0)
    assert error.value.cure == "Correct the code of the family."


def test_too_large_a_group_is_refused() -> None:
    cells = list(range(12))
    members = {"length": 12, "symmetries": _returns([[1, 0, *cells[2:]], [*cells[1:], 0]])}
    with pytest.raises(UserError, match="must not make more than 20,000 combinations"):
        _family(GridTask, **members).generate("train", 5, 0)


def test_a_family_without_draw_is_named() -> None:
    with pytest.raises(UserError, match="'draw' of the family 'broken' is missing"):
        _family(draw=Task.draw).generate("train", 5, 0)


def test_too_few_problems_end_the_search() -> None:
    task = _family(patience=200)
    with pytest.raises(UserError, match=r"found only [0-9]+ different problems for the test split, but 100") as error:
        task.generate("test", 100, 0)
    assert "200 draws in a row" in error.value.what
    assert error.value.where == "broken"
    with pytest.raises(UserError, match="found only 0 different problems"):
        _family(patience=200, draw=_returns(None)).generate("train", 1, 0)


def _endless(*_: Any) -> Any:
    while True:
        try:
            random.random()
        except Exception:
            continue


def test_a_draw_that_never_ends_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=r"'draw' of the family 'broken' did not end within 0\.2 seconds") as error:
        _family(draw=_endless, draw_seconds=0.2).generate("train", 5, 0)
    assert time.monotonic() - began < 20
    first = _endless.__code__.co_firstlineno
    file, _, line = str(error.value.where).rpartition(", line ")
    assert file == __file__
    assert first < int(line) <= first + 5


def test_a_slow_stream_of_quick_draws_is_not_stopped() -> None:
    def draw(self: Task, rng: random.Random) -> tuple[str, str]:
        time.sleep(0.02)
        return f"{rng.random()}", "1"

    assert len(_family(draw=draw, draw_seconds=0.5).generate("train", 40, 0)) == 40


def test_a_familys_own_user_errors_pass() -> None:
    def draw(self: Task, rng: random.Random) -> tuple[str, str]:
        raise UserError("there is no file.", where="words.txt")

    with pytest.raises(UserError, match=r"words.txt: there is no file\."):
        _family(draw=draw).generate("train", 5, 0)


def test_problems_and_drafts_can_be_drawn_too() -> None:
    def problem(self: Task, rng: random.Random) -> Problem:
        number = rng.randrange(10**6)
        return Problem(f"n{number}", f"{number}", "7", f"{number % 1000}", {"number": number})

    def draft(self: Task, rng: random.Random) -> Draft:
        made = problem(self, rng)
        return Draft(made.question, made.orbit, lambda: made if made.meta["number"] % 2 else None)

    assert all(p.id == f"n{p.meta['number']}" for p in _family(draw=problem).generate("train", 30, 0))
    assert all(p.meta["number"] % 2 for p in _family(draw=draft).generate("train", 30, 0))
