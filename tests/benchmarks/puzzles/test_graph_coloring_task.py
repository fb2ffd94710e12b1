from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.puzzles.graph_coloring import rules
from benchmarks.puzzles.graph_coloring.search import solving_steps
from benchmarks.puzzles.graph_coloring.task import GraphColoring
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task

# A square a-b-c-d with the diagonal ac: b and d are both what a and c are not.
SQUARE = "abacadbccd|a1c2"
TASKS = [
    GraphColoring(8, 3),
    GraphColoring(8, 3, answers="many"),
    GraphColoring(12, 3, min_guesses=1),
    GraphColoring(10, 4, degree=5),
]


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return GraphColoring(8, 3).generate("train", 200, seed=0)


def right_answers(nodes: int, colors: int, question: str) -> set[str]:
    """All right answers by trying every colouring."""
    edges, _, givens = question.partition("|")
    pairs = [("abcdefghij".index(edges[i]), "abcdefghij".index(edges[i + 1])) for i in range(0, len(edges), 2)]
    choices = ["123456"[:colors]] * nodes
    for i in range(0, len(givens), 2):
        choices["abcdefghij".index(givens[i])] = givens[i + 1]
    return {"".join(c) for c in itertools.product(*choices) if all(c[a] != c[b] for a, b in pairs)}


def cp_sat(task: GraphColoring, question: str, without: str | None = None) -> str | None:
    """A right answer by OR-tools, another one than ``without``; ``None`` if it proves that there is none."""
    cp_model = pytest.importorskip("ortools.sat.python.cp_model")
    model = cp_model.CpModel()
    edges, _, givens = question.partition("|")
    names = "abcdefghijklmnopqrstuvwxyz"[: task.nodes]
    color = {name: model.new_int_var(1, task.colors, name) for name in names}
    for i in range(0, len(edges), 2):
        model.add(color[edges[i]] != color[edges[i + 1]])
    for i in range(0, len(givens), 2):
        model.add(color[givens[i]] == int(givens[i + 1]))
    if without is not None:
        model.add_forbidden_assignments(list(color.values()), [tuple(map(int, without))])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.INFEASIBLE)
    return None if status == cp_model.INFEASIBLE else "".join(str(solver.value(v)) for v in color.values())


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_ortools_agrees_on_labels_and_on_how_many_answers_there_are(task: GraphColoring) -> None:
    for problem in task.generate("train", 60, seed=1):
        other = cp_sat(task, problem.question, without=problem.answer)
        verdict = task.verify(problem, Answer(problem.answer))
        assert (verdict.correct, verdict.exact, verdict.valid, verdict.score) == (True, True, True, 1.0)
        assert (other is None) == (task.answers == "unique")
        if other is not None:
            verdict = task.verify(problem, Answer(other))
            assert (verdict.correct, verdict.exact, verdict.valid) == (True, False, True)
            assert 0 <= verdict.score < 1


def test_ortools_agrees_on_random_graphs_with_and_without_a_colouring() -> None:
    """Graphs that the generator would not make: any density, any givens."""
    draw = random.Random(0)
    task = GraphColoring(9, 3, answers="many")
    outcomes: Counter[str] = Counter()
    for _ in range(300):
        # Half of the graphs are drawn around a colouring, which the givens then follow but for one node in ten.
        hidden = [draw.randint(1, 3) for _ in range(9)]
        around, share = draw.random() < 0.5, draw.choice([0.3, 0.6])
        pairs = itertools.combinations(range(9), 2)
        edges = [(a, b) for a, b in pairs if draw.random() < share and not (around and hidden[a] == hidden[b])]
        colors = [draw.randint(1, 3) if draw.random() < 0.1 else color for color in hidden]
        givens = [color if draw.random() < 0.4 else 0 for color in colors]
        question = rules.write(rules.puzzle_of(edges, givens))
        expected = cp_sat(task, question)
        if expected is None:
            with pytest.raises(UserError, match=r"both have colour|no colouring"):
                task.parse_question(question)
            outcomes["none"] += 1
            continue
        problem = task.parse_question(question)
        assert task.verify(problem, Answer(problem.answer)).exact
        assert task.verify(problem, Answer(expected)).valid
        if cp_sat(task, question, without=problem.answer) is None:
            assert GraphColoring(9, 3).parse_question(question) == problem
            outcomes["one"] += 1
        else:
            with pytest.raises(UserError, match="more than one"):
                GraphColoring(9, 3).parse_question(question)
            outcomes["many"] += 1
    assert min(outcomes[kind] for kind in ("none", "one", "many")) >= 10, outcomes


def test_exactly_the_right_answers_are_valid() -> None:
    task = GraphColoring(6, 3, answers="many", degree=2.5)
    accepted = 0
    for problem in task.generate("train", 5, seed=0):
        right = right_answers(6, 3, problem.question)
        for colors in map("".join, itertools.product("123", repeat=6)):
            verdict = task.verify(problem, Answer(colors))
            assert verdict.correct == verdict.valid == (colors in right)
            assert verdict.exact == (colors == problem.answer)
            assert (verdict.reason == "") == verdict.correct
        accepted += len(right)
    assert accepted >= 10


def test_givens_are_minimal_where_the_answer_is_unique(problems: list[Problem]) -> None:
    for problem in problems[:50]:
        edges, _, givens = problem.question.partition("|")
        assert len(givens) // 2 == problem.meta["givens"] >= 2
        assert right_answers(8, 3, problem.question) == {problem.answer}
        for i in range(0, len(givens), 2):
            assert len(right_answers(8, 3, f"{edges}|{givens[:i]}{givens[i + 2 :]}")) > 1


def test_many_answers_leave_every_colour_a_name() -> None:
    task = GraphColoring(8, 4, answers="many")
    for problem in task.generate("test", 30, seed=0):
        givens = problem.question.partition("|")[2]
        assert len(set(givens[1::2])) == 3 == problem.meta["givens"]


def test_generated_problems_differ_and_begin_alike_for_every_count(problems: list[Problem]) -> None:
    task = GraphColoring(8, 3)
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 200
    assert task.generate("train", 5, seed=0) == problems[:5]
    assert task.generate("train", 5, seed=1) != problems[:5]
    assert {split_of(p.orbit) for p in problems} == {"train"}
    assert all(p.meta["edges"] == 13 and len(p.question.partition("|")[0]) == 26 for p in problems)


def test_options_shape_the_problems() -> None:
    assert all(p.meta["guesses"] >= 2 for p in GraphColoring(12, 3, min_guesses=2).generate("train", 5, seed=0))
    assert all(p.meta["edges"] == 20 for p in GraphColoring(10, 3, degree=4).generate("test", 5, seed=0))
    assert GraphColoring(12, 4, answers="many", degree=6.5).name == "graph-coloring-12x4-many-6.5degree"
    assert load_task("graph-coloring", nodes=9, min_guesses=1).name == "graph-coloring-9x3-1guesses"


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_symmetries_keep_answers_right_and_splits_apart(task: GraphColoring) -> None:
    train, test = task.generate("train", 60, seed=0), task.generate("test", 60, seed=0)
    moved = [p for seed in range(5) for p in task.augment(train, torch.Generator().manual_seed(seed))]
    again = [task.parse_question(p.question) for p in moved]
    assert [p.orbit for p in again] == [p.orbit for p in moved]
    assert not {p.orbit for p in moved} & {p.orbit for p in test}
    assert len({p.question for p in moved}) > 290
    assert all(task.verify(p, Answer(p.answer)).correct for p in moved)
    changed = sum(a.answer != p.answer for a, p in zip(again, moved, strict=True))
    assert (changed > 0) == (task.answers == "many"), "only one of many answers depends on names"


def test_the_orbit_tells_small_puzzles_apart_that_are_no_images_of_each_other() -> None:
    """All graphs of 4 nodes with up to two givens: as many keys as classes found by trying every renaming."""
    pairs = list(itertools.combinations(range(4), 2))
    givens = [g for g in itertools.product(range(4), repeat=4) if sum(map(bool, g)) <= 2]
    renamings = [
        (nodes, (0, *colors))
        for nodes in itertools.permutations(range(4))
        for colors in itertools.permutations((1, 2, 3))
    ]
    key_of_class: dict[tuple[object, ...], str] = {}
    for chosen in itertools.product((0, 1), repeat=6):
        edges = [pair for pair, there in zip(pairs, chosen, strict=True) if there]
        for given in givens:
            smallest = min(
                (
                    tuple(sorted(tuple(sorted((nodes[a], nodes[b]))) for a, b in edges)),
                    tuple(colors[given[nodes.index(node)]] for node in range(4)),
                )
                for nodes, colors in renamings
            )
            key = rules.orbit(rules.puzzle_of(edges, given))
            assert key_of_class.setdefault(smallest, key) == key, "images of one puzzle have one key"
    assert len(set(key_of_class.values())) == len(key_of_class)


def test_all_symmetries_are_drawn() -> None:
    drawn = GraphColoring(4, 3).sample_symmetries(6000, torch.Generator().manual_seed(0))
    counts = Counter(zip(map(tuple, drawn.position.tolist()), map(tuple, drawn.token.tolist()), strict=True))
    assert len(counts) == 24 * 6
    assert min(counts.values()) > 15
    assert {token[:4] for _, token in counts} == {(0, 1, 2, 3)}, "only colours are renamed"
    exact = GraphColoring(4, 3, answers="many", measure="exact").sample_symmetries(50, torch.Generator().manual_seed(0))
    assert set(map(tuple, exact.position.tolist())) == {tuple(range(10))}, "a moved label is not the labelled one"
    unique = GraphColoring(4, 3, measure="exact").sample_symmetries(50, torch.Generator().manual_seed(0))
    assert len(set(map(tuple, unique.position.tolist()))) > 10


def test_grid_form(problems: list[Problem]) -> None:
    task = GraphColoring(4, 3)
    problem = task.parse_question(SQUARE)
    ids, labels = task.encode([problem])
    assert ids.tolist() == [[4, 2, 3, 2, 2, 5, 2, 1, 2, 3]]
    assert labels.tolist() == [[4, IGNORE, 6, IGNORE, IGNORE, 5, IGNORE, IGNORE, IGNORE, 6]]
    tokens = torch.full((10,), 4)
    tokens[torch.tensor([0, 2, 5, 9])] = torch.tensor([0, 2, 7, 5])
    assert task.decode(problem, tokens).text == "?+?2"
    for task in TASKS:
        made = task.generate("test", 30, seed=3)
        ids, labels = task.encode(made)
        assert ids.shape == labels.shape == (30, task.positions)
        assert 1 <= ids.min() <= ids.max() < task.vocabulary_size
        assert [task.restore(*row) for row in zip(ids, labels, strict=True)] == [(p.question, p.answer) for p in made]
        assert [task.decode(p, row).text for p, row in zip(made, labels, strict=True)] == [p.answer for p in made]


def test_text_form(problems: list[Problem]) -> None:
    task = GraphColoring(8, 3)
    assert len(set(task.alphabet)) == len(task.alphabet)
    for problem in problems:
        written = task.answer_text(problem)
        assert set(written + task.question_text(problem)) <= set(task.alphabet)
        assert task.parse_answer(problem, f" {written}\n") == Answer(problem.answer)
        assert task.parse_question(task.question_text(problem)) == problem
    for text in ("", "1212121", "121212121", "1212121a", "12121214", "1212 121", "1,2,1,2,1,2,1,2"):
        assert task.parse_answer(problems[0], text) is None, text


def test_typed_graphs_are_read_in_many_forms() -> None:
    task = GraphColoring(4, 3)
    problem = task.parse_question(SQUARE)
    assert (problem.question, problem.answer) == (SQUARE, "1323")
    for text in (
        "ab ac ad bc cd a1 c2",
        "AB, ca, AD; CB, CD | C2, A1",
        "a-b\na-c\na-d\nb-c\nc-d\na=1\nc:2\n",
        "a1 c2 cd bc ad ac ab ba c2",
    ):
        assert task.parse_question(text) == problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing was typed"),
        ("ab c", "'c' is neither an edge"),
        ("ab 1a", "'1a' is neither an edge"),
        ("ab+bc", "'ab+bc' is neither"),
        ("abe1", "'e1' names a node after d"),
        ("ab ae", "'ae' names a node after d"),
        ("ab cc", "'cc' joins a node to itself"),
        ("ab a4", "'a4' is no colour"),
        ("ab a0", "'a0' is no colour"),
        ("ab a1 a2", "'a2' gives a second colour"),
        ("ab a2 b2", "the neighbours a and b both have colour 2"),
        ("ab ac ad bc bd cd", "no colouring"),
        ("ad bd cd a1 b2 c3", "no colouring"),
        ("ab bc cd a1", "more than one right answer"),
    ],
)
def test_wrong_typed_graphs_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        GraphColoring(4, 3).parse_question(text)
    assert message in error.value.what
    assert error.value.where == "the graph of 4 nodes in 3 colours"
    assert error.value.cure


def test_a_typed_graph_with_many_answers_is_labelled_where_many_are_wanted() -> None:
    task = GraphColoring(4, 3, answers="many")
    assert task.parse_question("ab bc cd a1").answer == "1212"
    assert task.parse_question(SQUARE).answer == "1323", "one answer is as good"


@pytest.mark.parametrize(
    ("answer", "score", "reason"),
    [
        (None, 0.0, "no answer could be read"),
        ("132", 0.0, "the answer has 3 colours instead of 4"),
        ("1.23", 0.5, "node b has '.', no colour from 1 to 3"),
        ("1423", 0.5, "node b has '4', no colour from 1 to 3"),
        ("1333", 1.0, "node c was given colour 2 and has 3"),
        ("1223", 0.5, "the neighbours b and c both have colour 2"),
        ("1322", 0.5, "the neighbours c and d both have colour 2"),
    ],
)
def test_reasons_name_the_fault(answer: str | None, score: float, reason: str) -> None:
    task = GraphColoring(4, 3)
    verdict = task.verify(task.parse_question(SQUARE), None if answer is None else Answer(answer))
    assert (verdict.correct, verdict.exact, verdict.valid) == (False, False, False)
    assert (verdict.score, verdict.reason) == (score, reason)


def test_another_right_answer_is_valid_but_not_exact() -> None:
    for measure in ("exact", "valid"):
        task = GraphColoring(4, 3, answers="many", measure=measure)  # type: ignore[arg-type]
        verdict = task.verify(task.parse_question("ab bc cd a1"), Answer("1313"))
        assert (verdict.valid, verdict.exact, verdict.correct) == (True, False, measure == "valid")
        assert verdict.reason == ("" if verdict.correct else "a right colouring, but not the labelled one")


def test_render() -> None:
    task = GraphColoring(4, 3)
    problem = task.parse_question(SQUARE)
    assert task.render(problem) == "a  1  b c d\nb  .  a c\nc  2  a b d\nd  .  a c"
    assert task.render(problem, Answer("132")) == "a  1  b c d\nb (3) a c\nc  2  a b d\nd (?) a c"


def test_a_search_can_be_led_to_every_right_answer() -> None:
    puzzle = rules.read(5, "abbccddeae|a1")
    right = right_answers(5, 3, "abbccddeae|a1")
    reached = {"".join(map(str, solving_steps(puzzle, 3, [int(c) for c in answer])[1])) for answer in right}
    assert reached == right
    assert len(right) == 10


def test_too_few_problems_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GraphColoring, "patience", 500)
    with pytest.raises(UserError, match="different problems for the train split") as error:
        GraphColoring(4, 3).generate("train", 10_000, seed=0)
    assert error.value.where == "graph-coloring-4x3"
    assert error.value.cure


@pytest.mark.parametrize(
    "options",
    [
        {"nodes": 3},
        {"nodes": 27},
        {"nodes": 8.0},
        {"colors": 2},
        {"colors": 7, "nodes": 12},
        {"answers": "some"},
        {"degree": 0},
        {"degree": 5.3},
        {"degree": "hard"},
        {"min_guesses": -1},
        {"measure": "f1"},
    ],
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    build: Callable[..., GraphColoring] = GraphColoring
    with pytest.raises(UserError) as error:
        build(**options)
    assert error.value.where in options
    assert error.value.what.startswith(f"{error.value.where} must be ")
