from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.puzzles.satisfiability import formulas
from benchmarks.puzzles.satisfiability.task import Satisfiability
from benchmarks.splits import prove_disjoint
from benchmarks.symmetries import IGNORE
from benchmarks.task import Split

FORMULA = "Bac abC Abc AbC aBC ABc abc"  # every clause over three variables but ABC: abc is the one right answer
SMALL = Satisfiability(3, clauses=7)


@pytest.fixture(scope="module")
def unique() -> list[Problem]:
    return Satisfiability(6).generate("train", 200, seed=0)


@pytest.fixture(scope="module")
def many() -> list[Problem]:
    return Satisfiability(6, answers="many").generate("train", 200, seed=0)


def assignments(variables: int) -> list[str]:
    """All of them, those with ``a`` true first."""
    pairs = [(v, v.upper()) for v in "abcdefghijklmnopqrst"[:variables]]
    return ["".join(literals) for literals in itertools.product(*pairs)]


def holds(question: str, answer: str) -> bool:
    return all(any(char in answer for char in question[i : i + 3]) for i in range(0, len(question), 3))


# --- labels, uniqueness, the verifier -----------------------------------------------------------


def test_labels_and_counts_agree_with_brute_force(unique: list[Problem], many: list[Problem]) -> None:
    for problem in unique + many:
        right = [answer for answer in assignments(6) if holds(problem.question, answer)]
        assert right[0] == problem.answer
        assert len(right) == problem.meta["right_answers"]
        assert (len(right) == 1) == (problem in unique)


@pytest.mark.parametrize("answers", ["unique", "many"])
@pytest.mark.parametrize(("variables", "count"), [(5, 120), (9, 40), (14, 10)])
def test_verifier_and_uniqueness_agree_with_or_tools(answers: str, variables: int, count: int) -> None:
    """CP-SAT finds an answer, or proves that none is left once those seen are forbidden."""
    cp_model = pytest.importorskip("ortools.sat.python.cp_model")
    task = Satisfiability(variables, answers=answers)  # type: ignore[arg-type]
    for problem in task.generate("test", count, seed=3):
        model = cp_model.CpModel()
        literal = {v: model.new_bool_var(v) for v in task.letters}
        literal |= {v.upper(): literal[v].negated() for v in task.letters}
        for at in range(0, len(problem.question), 3):
            model.add_bool_or([literal[char] for char in problem.question[at : at + 3]])
        found = []
        for _ in range(2):
            solver = cp_model.CpSolver()
            solver.parameters.num_workers = 1
            solver.parameters.cp_model_presolve = False  # takes longer than such a small search
            if solver.solve(model) == cp_model.INFEASIBLE:
                break
            found.append("".join(v if solver.boolean_value(literal[v]) else v.upper() for v in task.letters))
            model.add_bool_or([literal[char].negated() for char in found[-1]])
        assert all(task.verify(problem, Answer(answer)).correct for answer in found)
        assert (found == [problem.answer]) if answers == "unique" else len(found) == 2
        if answers == "unique":
            for at, char in enumerate(problem.answer):
                flipped = problem.answer[:at] + char.swapcase() + problem.answer[at + 1 :]
                assert not task.verify(problem, Answer(flipped)).correct


def test_only_right_answers_are_accepted_and_wrong_ones_are_explained(many: list[Problem]) -> None:
    for measure in ("exact", "valid"):
        task = Satisfiability(6, answers="many", measure=measure)  # type: ignore[arg-type]
        for problem in many[:40]:
            for answer in assignments(6):
                verdict = task.verify(problem, Answer(answer))
                assert verdict.valid == holds(problem.question, answer)
                assert verdict.exact == (answer == problem.answer)
                assert verdict.correct == (verdict.exact if measure == "exact" else verdict.valid)
                assert (verdict.reason == "") == verdict.correct
                assert verdict.score == sum(a == b for a, b in zip(answer, problem.answer, strict=True)) / 6


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no answer"),
        ("ab", "2 literals instead of 3"),
        ("ab?", "'?' says neither c nor C"),
        ("bac", "'b' says neither a nor A"),
        ("abC", "clause 6, ABc, is false"),
        ("ABC", "clause 7, abc, is false"),
    ],
)
def test_reasons_name_the_fault(answer: str | None, reason: str) -> None:
    verdict = SMALL.verify(SMALL.parse_question(FORMULA), None if answer is None else Answer(answer))
    assert reason in verdict.reason
    assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)


def test_a_right_answer_that_is_not_the_label_is_named() -> None:
    task = Satisfiability(3, clauses=1, answers="many", measure="exact")
    verdict = task.verify(task.parse_question("abc"), Answer("abC"))
    assert verdict.valid
    assert verdict.reason == "every clause is true, but it is not the labelled answer"


def test_the_measure_follows_the_answers() -> None:
    assert Satisfiability().measure == "exact"
    assert Satisfiability(answers="many").measure == "valid"
    assert Satisfiability(answers="unique", measure="valid").measure == "valid"


# --- generation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", ["unique", "many"])
def test_generated_formulas_differ_and_begin_alike_for_every_count(answers: str) -> None:
    task = Satisfiability(6, answers=answers)  # type: ignore[arg-type]
    problems = task.generate("train", 100, seed=0)
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 100
    assert task.generate("train", 5, seed=0) == problems[:5]
    assert task.generate("train", 5, seed=1) != problems[:5]
    assert {split_of(p.orbit) for p in problems} == {"train"}
    for problem in problems:
        clauses = formulas.clauses_of(problem.question)
        assert len({frozenset(clause) for clause in clauses}) == len(clauses) == task.clause_count == 26
        assert all(len(set(clause.lower())) == 3 for clause in clauses)


def test_labels_favour_no_value_of_a_unique_answer() -> None:
    counts = Counter(char for p in Satisfiability(4).generate("train", 500, seed=0) for char in p.answer)
    assert all(abs(counts[char] - 250) < 60 for char in "abcdABCD")


def test_too_few_formulas_are_named() -> None:
    """Seven of the eight clauses over three variables are one orbit, so one split has no formula at all."""
    empty: Split = "test" if split_of(SMALL.parse_question(FORMULA).orbit) == "train" else "train"
    with pytest.raises(UserError, match=f"only 0 different formulas for the {empty} split") as error:
        SMALL.generate(empty, 1, seed=0)
    assert error.value.where == "satisfiability-3x7"
    assert error.value.cure is not None
    assert "more clauses" in error.value.cure


@pytest.mark.parametrize(
    "options",
    [
        {"variables": 2},
        {"variables": 21},
        {"variables": True},
        {"clauses": 0},
        {"clauses": 141},
        {"clauses": 4.2},
        {"answers": "some"},
        {"measure": "f1"},
    ],
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(UserError) as error:
        Satisfiability(**options)  # type: ignore[arg-type]
    assert error.value.where in options
    assert error.value.what.startswith(f"{error.value.where} must be ")


def test_the_automatic_number_of_clauses_is_always_possible() -> None:
    for variables in range(3, 21):
        task = Satisfiability(variables)
        assert 1 <= task.clause_count <= 7 * math.comb(variables, 3)
        assert Satisfiability(variables, clauses=task.clause_count).name == task.name


# --- symmetries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", ["unique", "many"])
def test_symmetries_keep_answers_right_and_the_orbit(answers: str, request: pytest.FixtureRequest) -> None:
    task = Satisfiability(6, answers=answers)  # type: ignore[arg-type]
    problems = request.getfixturevalue(answers)
    for seed in range(5):
        moved = task.augment(problems, torch.Generator().manual_seed(seed))
        for before, after in zip(problems, moved, strict=True):
            assert formulas.orbit(after.question) == before.orbit
            assert holds(after.question, after.answer)
            assert task.verify(after, Answer(after.answer)).correct
            count = formulas.right_answers(6, formulas.clauses_of(after.question)).bit_count()
            assert count == before.meta["right_answers"]


def test_exact_with_many_answers_keeps_the_first_answer(many: list[Problem]) -> None:
    task = Satisfiability(6, answers="many", measure="exact")
    moved = task.augment(many, torch.Generator().manual_seed(0))
    assert all(task.parse_question(p.question).answer == p.answer for p in moved)
    assert any(p.question != q.question for p, q in zip(many, moved, strict=True))
    free = Satisfiability(6, answers="many").augment(many, torch.Generator().manual_seed(0))
    assert any(task.parse_question(p.question).answer != p.answer for p in free), "otherwise nothing need be fixed"


def test_all_symmetries_are_drawn_equally_often() -> None:
    """Of two clauses over three variables: 2 orders, 6 * 6 orders of literals, 6 renamings, 8 flips."""
    task = Satisfiability(3, clauses=2)
    drawn = task.sample_symmetries(40_000, torch.Generator().manual_seed(0))
    assert (drawn.position.sort(1).values == torch.arange(9)).all()
    assert (drawn.token.sort(1).values == torch.arange(8)).all()
    rows = Counter(map(tuple, torch.cat([drawn.position, drawn.token], dim=1).tolist()))
    assert len(rows) == 2 * 36 * 6 * 8
    assert max(rows.values()) < 40
    assert (drawn.position[:, 6:].diff(dim=1) != 1).any()


def test_the_orbit_tells_formulas_apart(unique: list[Problem]) -> None:
    test = Satisfiability(6).generate("test", 200, seed=0)
    assert len({p.orbit for p in unique + test}) == 400
    prove_disjoint(unique, test, "here")


def test_the_orbit_sees_which_literals_are_opposites() -> None:
    """Three clauses with three pairs of opposites: between the first two, or one between any two."""
    assert formulas.orbit("abcABCdef") != formulas.orbit("abcAdeBDf")


def test_the_orbit_agrees_with_a_canonical_form_of_small_formulas() -> None:
    """All formulas of four clauses over three variables: images share a key, and few others do."""
    keys: dict[str, set[str]] = {}
    for chosen in itertools.combinations(formulas.possible_clauses(3, False), 4):
        keys.setdefault(canonical(chosen), set()).add(formulas.orbit("".join(chosen)))
    assert all(len(found) == 1 for found in keys.values()), "images must share a key"
    assert len(keys) == 6
    assert len(set.union(*keys.values())) == 5, (
        "each literal occurs twice in two of them, which refinement cannot split"
    )


def canonical(clauses: tuple[str, ...]) -> str:
    """The smallest image, by trying all renamings and flips of three variables."""
    images = []
    for names in itertools.permutations("abc"):
        for flips in itertools.product((False, True), repeat=3):
            to = {old: new.upper() if flip else new for old, new, flip in zip("abc", names, flips, strict=True)}
            to |= {old.upper(): new.swapcase() for old, new in to.items()}
            images.append(" ".join(sorted("".join(sorted(to[char] for char in clause)) for clause in clauses)))
    return min(images)


# --- forms --------------------------------------------------------------------------------------


def test_grid_form(unique: list[Problem]) -> None:
    task = Satisfiability(6)
    ids, labels = task.encode(unique)
    assert ids.shape == labels.shape == (200, task.positions) == (200, 84)
    assert int(ids[:, :78].min()) > 1
    assert int(ids.max()) == task.vocabulary_size - 1
    assert (ids[:, 78:] == 1).all()
    assert (labels[:, :78] == IGNORE).all()
    assert [task.restore(*row) for row in zip(ids, labels, strict=True)] == [(p.question, p.answer) for p in unique]
    predicted = torch.where(labels == IGNORE, 5, labels)
    assert task.decode(unique[0], predicted[0]) == Answer(unique[0].answer)
    predicted[0, 78:81] = torch.tensor([0, 1, 99])
    assert task.decode(unique[0], predicted[0]).text == "?.?" + unique[0].answer[3:]
    symmetries = task.sample_symmetries(200, torch.Generator().manual_seed(0))
    for grid in (ids, labels):
        assert (symmetries.inverse().apply(symmetries.apply(grid)) == grid).all()


def test_text_form(unique: list[Problem]) -> None:
    task = Satisfiability(6)
    assert len(set(task.alphabet)) == len(task.alphabet)
    for problem in unique:
        written = task.answer_text(problem)
        assert set(written + task.question_text(problem)) <= set(task.alphabet)
        assert task.parse_answer(problem, f" {written}\n") == Answer(problem.answer)
        assert task.parse_question(task.question_text(problem)) == problem
    for text in ("", "abcde", "abcdeff", "abcdfe", "a b c d e f", "ABCDE?", "123456"):
        assert task.parse_answer(unique[0], text) is None, text


def test_render_shows_which_literals_are_true() -> None:
    problem = SMALL.parse_question(FORMULA)
    assert SMALL.render(problem) == FORMULA
    assert SMALL.render(problem, Answer("abc")) == "a b c\n.ac ab. .bc .b. a.. ..c abc"


# --- typed formulas -----------------------------------------------------------------------------

DIMACS = "-2 1 3 0 1 2 -3 0 -1 2 3 0 -1 2 -3 0 1 -2 -3 0 -1 -2 3 0 1 2 3 0"


def test_typed_formulas_are_read_in_many_forms() -> None:
    problem = SMALL.parse_question(FORMULA)
    assert (problem.question, problem.answer) == (FORMULA.replace(" ", ""), "abc")
    for text in (
        FORMULA.replace(" ", ""),
        FORMULA.replace(" ", ", "),
        FORMULA.replace(" ", "\r\n"),
        f"({FORMULA.replace(' ', ') & (')})",
        SMALL.render(problem),
        DIMACS,
        f"c made by hand: 1 2\np cnf 3 7\n{DIMACS.replace(' 0 ', chr(10) + '0' + chr(10))}\n",
    ):
        assert SMALL.parse_question(text) == problem, text


def test_clauses_may_repeat_and_many_answers_include_one() -> None:
    task = Satisfiability(3, clauses=7, answers="many")
    assert task.parse_question(FORMULA).answer == "abc"
    assert task.parse_question("ABC " * 7).meta["right_answers"] == 7


def test_formulas_without_an_answer_are_refused() -> None:
    with pytest.raises(UserError, match="no assignment makes every clause true"):
        Satisfiability(4, clauses=8).parse_question(FORMULA + " ABC")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 clauses were given instead of 7"),
        (FORMULA[:-4], "6 clauses were given instead of 7. Repeat a clause"),
        (FORMULA + " ABC", "clauses=8"),
        (FORMULA[:-1], "clause 7, 'ab'"),
        (FORMULA.replace("Bac", "Baa"), "clause 1, 'Baa'"),
        (FORMULA.replace("Bac", "Bab"), "clause 1, 'Bab'"),
        (FORMULA.replace("Bac", "Bad"), "'d' is no literal"),
        (FORMULA.replace("Bac", "-bac"), "'-' is no literal. Write a to c for true"),
        (FORMULA.replace("Bac", "abc"), "2 assignments make every clause true"),
        (DIMACS[:-2], "the last clause does not end"),
        (DIMACS.replace("-2", "-4", 1), "'-4' is no literal"),
        (DIMACS.replace("-2", "x2", 1), "'x2' is no literal"),
        (DIMACS.replace("0", "", 1), "clause 1, 'BacabC'"),
        ("p cnf 4 7\n" + DIMACS, "does not say 'p cnf 3'"),
        ("p sat 3\n" + DIMACS, "does not say 'p cnf 3'"),
    ],
)
def test_wrong_typed_formulas_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        SMALL.parse_question(text)
    assert message in str(error.value)
    assert error.value.where
    assert error.value.cure
