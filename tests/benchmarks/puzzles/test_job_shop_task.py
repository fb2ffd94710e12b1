from __future__ import annotations

import itertools
import random
from collections import Counter
from math import factorial

import pytest
import torch

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem, split_of
from benchmarks.puzzles.job_shop.rules import Shop, canonical_form
from benchmarks.puzzles.job_shop.search import has_one_schedule, shortest
from benchmarks.puzzles.job_shop.task import NUMBERS, JobShop
from benchmarks.splits import prove_disjoint

TASKS = [
    JobShop(),
    JobShop(answers="many"),
    JobShop(jobs=2, machines=3, longest=5, horizon=15, answers="many"),
    JobShop(machines=3),
    JobShop(jobs=4, machines=4, longest=9, horizon=35),
]
# Both jobs begin on A. Three schedules end by 4: job 1 first, then on B at 1 or 2; or job 2 first.
TYPED = "A1B1/A2B1"


def starts_of(text: str) -> tuple[int, ...]:
    return tuple(map(NUMBERS.index, text))


def is_schedule(shop: Shop, deadline: int, starts: tuple[int, ...]) -> bool:
    """Unit by unit of time, independent of the package: no machine and no job is used twice, all in order and time."""
    used: set[tuple[str, int, int]] = set()
    for operation, (start, duration) in enumerate(zip(starts, shop.duration, strict=True)):
        job, place = divmod(operation, shop.machines)
        if start + duration > deadline or (place and starts[operation - 1] >= start):
            return False
        for time in range(start, start + duration):
            units = {("machine", shop.machine[operation], time), ("job", job, time)}
            if units & used:
                return False
            used |= units
    return True


def all_schedules(shop: Shop, deadline: int, most: int) -> set[tuple[int, ...]]:
    """Up to ``most`` schedules, found by CP-SAT."""
    cp_model = pytest.importorskip("ortools.sat.python.cp_model")
    model = cp_model.CpModel()
    starts = [model.new_int_var(0, deadline, "") for _ in shop.duration]
    intervals = [
        model.new_fixed_size_interval_var(start, duration, "")
        for start, duration in zip(starts, shop.duration, strict=True)
    ]
    for operation, duration in enumerate(shop.duration):
        model.add(starts[operation] + duration <= deadline)
        if operation % shop.machines:
            model.add(starts[operation - 1] + shop.duration[operation - 1] <= starts[operation])
    for machine in range(shop.machines):
        model.add_no_overlap([i for i, m in zip(intervals, shop.machine, strict=True) if m == machine])
    found: set[tuple[int, ...]] = set()

    class Collect(cp_model.CpSolverSolutionCallback):  # type: ignore[misc, name-defined]
        def on_solution_callback(self) -> None:
            found.add(tuple(self.value(start) for start in starts))
            if len(found) == most:
                self.stop_search()

    solver = cp_model.CpSolver()
    solver.parameters.enumerate_all_solutions, solver.parameters.num_workers = True, 1
    solver.solve(model, Collect())
    return found


def random_shop(draw: random.Random, jobs: int, machines: int, longest: int) -> Shop:
    machine = [m for _ in range(jobs) for m in draw.sample(range(machines), machines)]
    return Shop(machines, tuple(machine), tuple(draw.randint(1, longest) for _ in machine))


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return JobShop(machines=3).generate("train", 200, seed=0)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_deadlines_labels_and_numbers_of_schedules_agree_with_cp_sat(task: JobShop) -> None:
    for problem in task.generate("test", 40 if task.jobs < 4 else 15, seed=0):
        shop, deadline = task.read_question(problem.question)
        assert 1 <= min(shop.duration) <= max(shop.duration) <= task.longest
        assert deadline == problem.meta["deadline"] <= task.horizon
        assert not all_schedules(shop, deadline - 1, 1), "a shorter schedule exists"
        found = all_schedules(shop, deadline, 20)
        assert (len(found) == 1) == (task.answers == "unique")
        assert all(is_schedule(shop, deadline, starts) for starts in found)
        for starts in {*found, starts_of(problem.answer)}:
            text = "".join(NUMBERS[start] for start in starts)
            verdict = task.verify(problem, Answer(text))
            assert (verdict.correct, verdict.valid, verdict.exact) == (True, True, text == problem.answer)
            assert verdict.score == sum(map(str.__eq__, text, problem.answer)) / len(text)


def test_search_agrees_with_cp_sat_on_random_shops() -> None:
    draw = random.Random(0)
    one = 0
    for _ in range(120):
        shop = random_shop(draw, draw.randint(2, 3), draw.randint(2, 3), draw.randint(1, 4))
        found = shortest(shop, 35)
        assert found is not None
        deadline, starts = found
        assert shortest(shop, deadline - 1) is None
        assert not all_schedules(shop, deadline - 1, 1)
        assert is_schedule(shop, deadline, starts)
        for later in (deadline, deadline + 1):
            unique = has_one_schedule(shop, later)
            assert unique == (len(all_schedules(shop, later, 2)) == 1)
            one += unique
    assert one > 10


def test_the_label_settles_each_pair_for_the_lower_job_and_starts_early() -> None:
    task = JobShop(answers="many", longest=3)
    differ = 0
    for problem in task.generate("train", 60, seed=1):
        shop, deadline = task.read_question(problem.question)
        pairs = [(u, v) for u, v in itertools.combinations(range(6), 2) if shop.machine[u] == shop.machine[v]]
        found = all_schedules(shop, deadline, 100_000)
        best = min(found, key=lambda starts: ([starts[u] > starts[v] for u, v in pairs], sum(starts)))
        assert starts_of(problem.answer) == best
        differ += best != min(found)
    assert differ, "the lexicographically smallest starts are something else"


def test_verdicts_agree_with_a_count_of_the_used_units_of_time() -> None:
    draw = random.Random(0)
    for task in TASKS[:4]:
        for problem in task.generate("train", 20, seed=0):
            shop, deadline = task.read_question(problem.question)
            for _ in range(60):
                changed = list(problem.answer)
                for at in draw.sample(range(len(changed)), draw.randint(1, 2)):
                    changed[at] = draw.choice(NUMBERS[: task.horizon + 1])
                text = "".join(changed)
                verdict = task.verify(problem, Answer(text))
                assert verdict.valid == verdict.correct == is_schedule(shop, deadline, starts_of(text))
                assert (verdict.reason == "") == verdict.correct
                assert verdict.exact == (text == problem.answer) == (verdict.score == 1)
                assert task.answers == "many" or verdict.exact == verdict.valid


def test_exact_takes_the_label_only() -> None:
    task = JobShop(jobs=2, answers="many", measure="exact")
    problem = task.parse_question(TYPED)
    assert problem.answer == "0113"
    shop, deadline = task.read_question(problem.question)
    assert deadline == 4
    for starts in itertools.product(range(5), repeat=4):
        text = "".join(map(str, starts))
        verdict = task.verify(problem, Answer(text))
        assert verdict.valid == is_schedule(shop, 4, starts)
        assert verdict.correct == verdict.exact == (text == "0113")
        assert ("not the labelled one" in verdict.reason) == (verdict.valid and not verdict.exact)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no answer"),
        ("011", "3 start times instead of 4"),
        ("0?13", "job 1 on B starts at '?'"),
        ("0A13", "job 1 on B starts at 'A'"),
        ("0013", "job 1 on B starts at 0, its operation before ends at 1"),
        ("0103", "job 1 on A starts at 0, job 2 on A lasts from 0 to 2"),
        ("1302", "job 1 on A starts at 1, job 2 on A lasts from 0 to 2"),
        ("0122", "job 2 on B starts at 2, its operation before ends at 4"),
        ("0114", "job 2 on B ends at 5, the deadline is 4"),
    ],
)
def test_reasons_name_the_fault(answer: str | None, reason: str) -> None:
    task = JobShop(jobs=2, answers="many")
    verdict = task.verify(task.parse_question(TYPED), None if answer is None else Answer(answer))
    assert reason in verdict.reason
    assert not any((verdict.correct, verdict.valid, verdict.exact))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_generated_shops_differ_and_begin_alike_for_every_count(task: JobShop) -> None:
    problems = task.generate("train", 40, seed=0)
    assert len({p.question for p in problems}) == len({p.id for p in problems}) == 40
    assert task.generate("train", 5, seed=0) == problems[:5]
    assert task.generate("train", 5, seed=1) != problems[:5]
    assert {split_of(p.orbit) for p in problems} == {"train"}
    for problem in problems:
        shop, _ = task.read_question(problem.question)
        starts = starts_of(problem.answer)
        ready = [0 if i % task.machines == 0 else starts[i - 1] + shop.duration[i - 1] for i in range(len(starts))]
        assert any(start > time for start, time in zip(starts, ready, strict=True)), "some operation has to wait"
    prove_disjoint(problems, task.generate("test", 40, seed=0), "here")


def test_orbit_and_answers_survive_every_symmetry(problems: list[Problem]) -> None:
    for task, given in (
        (JobShop(machines=3), problems),
        (JobShop(answers="many"), JobShop(answers="many").generate("train", 200, seed=0)),
        (JobShop(answers="many", measure="exact"), JobShop(answers="many").generate("train", 200, seed=0)),
    ):
        moved = task.augment(given, torch.Generator().manual_seed(0))
        assert sum(a.question != b.question for a, b in zip(given, moved, strict=True)) > 50
        again = [task.parse_question(task.question_text(p)) for p in moved]
        assert [p.orbit for p in again] == [p.orbit for p in given]
        assert [p.question for p in again] == [p.question for p in moved]
        assert all(task.verify(p, Answer(p.answer)).correct for p in moved)
        same = all(p.answer == q.answer for p, q in zip(again, moved, strict=True))
        assert same == (task.answers == "unique" or task.measure == "exact"), "the tie-break knows the jobs' numbers"


def test_orbits_are_the_classes_under_jobs_machines_and_reversed_time() -> None:
    shops = {
        (order, durations): Shop(2, order, durations)
        for order in itertools.product((0, 1), repeat=4)
        if order[0] != order[1] and order[2] != order[3]
        for durations in itertools.product((1, 2, 3), repeat=4)
    }
    classes: list[set[tuple[tuple[int, ...], ...]]] = []
    todo = set(shops)
    while todo:
        grown, edge = set(), {todo.pop()}
        while edge:
            grown |= edge
            edge = {
                (tuple(swap[order[i]] for i in places), tuple(durations[i] for i in places))
                for order, durations in edge
                for swap, places in (((0, 1), (2, 3, 0, 1)), ((1, 0), (0, 1, 2, 3)), ((0, 1), (1, 0, 3, 2)))
            } - grown
        todo -= grown
        classes.append(grown)
    keys = [{canonical_form(shops[key]) for key in members} for members in classes]
    assert all(len(key) == 1 for key in keys)
    assert len(set().union(*keys)) == len(classes) > 50


@pytest.mark.parametrize(
    ("task", "jobs"),
    [
        (JobShop(), 3),
        (JobShop(measure="exact"), 3),
        (JobShop(answers="many"), 3),
        (JobShop(answers="many", measure="exact"), 1),
    ],
)
def test_all_symmetries_are_drawn_and_undone(task: JobShop, jobs: int) -> None:
    drawn = task.sample_symmetries(2400, torch.Generator().manual_seed(0))
    counts = Counter(map(tuple, torch.cat([drawn.position, drawn.token], dim=1).tolist()))
    assert len(counts) == factorial(jobs) * 2
    assert min(counts.values()) > 1800 / len(counts)
    ids, labels = task.encode(task.generate("train", 1, seed=0) * 2400)
    for grid in (ids, labels):
        assert torch.equal(drawn.inverse().apply(drawn.apply(grid)), grid)
    moved = drawn.token != torch.arange(task.vocabulary_size)
    assert moved.any(0).nonzero()[:, 0].tolist() == [2, 3], "only machines are renamed"


def test_grid_form(problems: list[Problem]) -> None:
    task = JobShop(machines=3)
    ids, labels = task.encode(problems)
    assert ids.shape == labels.shape == (200, 28) == (200, task.positions)
    assert [task.restore(*row) for row in zip(ids, labels, strict=True)] == [(p.question, p.answer) for p in problems]
    assert (labels[:, :19] == -100).all()
    assert (ids[:, 19:] == 1).all()
    assert 2 <= ids[:, :9].min() <= ids[:, :9].max() <= 4 < 5 < ids[:, 9:19].min()
    assert ids.max() < task.vocabulary_size
    full = ids.clone()
    full[:, 19:] = labels[:, 19:]
    assert [task.decode(p, row) for p, row in zip(problems, full, strict=True)] == [Answer(p.answer) for p in problems]
    full[0, 19:22] = torch.tensor([0, task.vocabulary_size, 2])
    assert task.decode(problems[0], full[0]).text == "??A" + problems[0].answer[3:]


def test_text_form(problems: list[Problem]) -> None:
    task = JobShop(jobs=2, answers="many")
    problem = task.parse_question(TYPED)
    assert (task.question_text(problem), task.answer_text(problem)) == (TYPED + "=4", "01/13")
    for text in ("", "01", "0113", "01/1", "01/13/", "0/113", "01/1x", "01/1 3", "01,13", "01/133", "²1/13"):
        assert task.parse_answer(problem, text) is None, text
    wide = JobShop(jobs=2, answers="many", horizon=12)
    assert wide.question_text(problem) == TYPED + "=04"
    assert wide.answer_text(problem) == "0001/0103"
    assert wide.parse_answer(problem, "0012/0103") == Answer("0c13")
    assert wide.parse_answer(problem, "0013/0103") is None, "later than the horizon"
    for task, some in ((JobShop(machines=3), problems), (TASKS[-1], TASKS[-1].generate("train", 20, seed=0))):
        assert len(set(task.alphabet)) == len(task.alphabet)
        for problem in some:
            written = task.answer_text(problem)
            assert set(written + task.question_text(problem)) <= set(task.alphabet)
            assert task.parse_answer(problem, f" {written}\n") == Answer(problem.answer)
            assert task.parse_question(task.question_text(problem)) == problem


def test_typed_shops_are_read_in_many_forms() -> None:
    task = JobShop(jobs=2, answers="many")
    problem = task.parse_question(TYPED)
    for text in (
        f"{TYPED}=4",
        f"{TYPED}=04",
        "a1 b1\na2 b1\n",
        "A1B1\r\nA2B1=4",
        " A 1 B 1 / A 2 B 1 / ",
        "A1B1\nA2B1\n=4",
    ):
        assert task.parse_question(text) == problem, text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1 jobs instead of 2"),
        ("A1B1", "jobs=1"),
        (TYPED + "/A1B1", "3 jobs instead of 2"),
        ("A1B1/A2C1", "job 2: 'C' stands where one of A, B"),
        ("A1B0/A2B1", "job 1: '0' stands where one of 1, 2, 3, 4"),
        ("A5B1/A2B1", "'5' stands"),
        ("1A1B/A2B1", "'1' stands"),
        ("A1A1/A2B1", "job 1: 'A1A1' does not visit each of A, B once"),
        ("A1B/A2B1", "'A1B' does not visit"),
        ("A1/A2B1", "'A1' does not visit"),
        ("A1B1A1/A2B1", "does not visit"),
        (TYPED + "=3", "earliest that can be met is 4"),
        (TYPED + "=5", "Write =4"),
        (TYPED + "=", "deadline is ''"),
        (TYPED + "=x", "deadline is 'X'"),
        ("A4B4/A4B4", "no schedule ends by 9"),
        (TYPED, "more than one schedule"),
    ],
)
def test_wrong_typed_shops_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        JobShop(jobs=2).parse_question(text)
    assert message in str(error.value)
    assert error.value.cure
    assert "job-shop-2x2" in str(error.value.where)


def test_render() -> None:
    task = JobShop(jobs=2, answers="many")
    problem = task.parse_question(TYPED)
    assert task.render(problem) == "deadline 4\njob 1: A 1, B 1\njob 2: A 2, B 1"
    assert task.render(problem, Answer("0113")) == (
        "deadline 4\njob 1: A 1 from 0, B 1 from 1\njob 2: A 2 from 1, B 1 from 3\nA 122.|\nB .1.2|"
    )
    assert task.render(problem, Answer("0?04")).endswith(
        "B 1 from ?\njob 2: A 2 from 0, B 1 from 4\nA *2..|.\nB ....|2"
    )


def test_too_few_shops_are_named() -> None:
    with pytest.raises(UserError, match="different shops for the test split") as error:
        JobShop(jobs=2, longest=1, horizon=3).generate("test", 100, seed=0)
    assert error.value.cure


@pytest.mark.parametrize(
    "options",
    [
        {"jobs": 1},
        {"jobs": 5},
        {"jobs": True},
        {"machines": 1},
        {"machines": 5},
        {"longest": 0},
        {"longest": 10},
        {"longest": "4"},
        {"horizon": 2},
        {"horizon": 36},
        {"answers": "some"},
        {"measure": "f1"},
    ],
)
def test_wrong_options_are_named(options: dict[str, object]) -> None:
    with pytest.raises(UserError) as error:
        JobShop(**options)  # type: ignore[arg-type]
    assert error.value.where in options
    assert error.value.what.startswith(f"{error.value.where} must be ")


def test_names_tell_options_apart() -> None:
    names = [task.name for task in TASKS]
    assert names[:2] == ["job-shop-3x2", "job-shop-3x2-many"]
    assert names[-1] == "job-shop-4x4-9long-35late"
    assert len(set(names)) == len(names)
