"""HumanEval, MBPP, CRUXEval and Exercism: published answers are right, wrong ones are not, splits are the published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.sandbox.monty import monty_available
from benchmarks.sandbox.run import Tests, isolation, run_tests
from benchmarks.splits import build_splits
from benchmarks.task import Task, load_task
from benchmarks.verifiable.code.base import final_code

jail = pytest.mark.skipif(bool(isolation()), reason=f"no isolation here: {isolation()}")
FILES = {"humaneval": "humaneval/HumanEval.jsonl.gz", "mbpp": "mbpp/mbpp.jsonl.gz",
         "cruxeval": "cruxeval/cruxeval.jsonl.gz", "exercism": "exercism/problems.json.gz"}  # fmt: skip
SAMPLE = 40


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds humaneval/")
    return folder


def verdicts(task: Task, problems: list[Problem], texts: list[str]) -> list[bool]:
    with ThreadPoolExecutor(2) as workers:
        pairs = zip(problems, texts, strict=True)
        return list(workers.map(lambda pair: task.verify(pair[0], task.parse_answer(*pair)).correct, pairs))


# --- published answers -----------------------------------------------------------------------------


@jail
@pytest.mark.parametrize("family", ["humaneval", "mbpp"])
def test_published_solutions_are_right(family: str, data: Path) -> None:
    """A sample; all of them in the slow test."""
    task = load_task(family)
    _check_solutions(task, task.read(data / FILES[family], SAMPLE, seed=1))


@jail
@pytest.mark.slow
@pytest.mark.parametrize(("family", "count"), [("humaneval", 164), ("mbpp", 974)])
def test_all_published_solutions_are_right(family: str, count: int, data: Path) -> None:
    task = load_task(family)
    problems = task.read(data / FILES[family])
    assert len(problems) == count
    _check_solutions(task, problems)


def _check_solutions(task: Task, problems: list[Problem]) -> None:
    texts = [f"So:\n```python\n{task.answer_text(problem)}\n```\n" for problem in problems]
    wrong = [p.id for p, right in zip(problems, verdicts(task, problems, texts), strict=True) if not right]
    assert wrong == []


@jail
@pytest.mark.parametrize("family", ["humaneval", "mbpp"])
def test_wrong_solutions_are_wrong(family: str, data: Path) -> None:
    """The function under its right name, with a body that gives nothing; and each problem's answer to the next one."""
    task = load_task(family)
    problems = task.read(data / FILES[family], SAMPLE, seed=2)
    names = [problem.meta["remote"][-1].rpartition("=")[2] for problem in problems]
    nothing = [f"def {name}(*arguments, **named):\n    return None" for name in names]
    assert sum(verdicts(task, problems, nothing)) == 0
    others = [task.answer_text(problem) for problem in [*problems[1:], problems[0]]]
    assert sum(verdicts(task, problems, others)) == 0


@jail
def test_humaneval_takes_a_function_or_its_body(data: Path) -> None:
    task = load_task("humaneval")
    problem = task.read(data / FILES["humaneval"])[0]
    body = task.answer_text(problem).rpartition('"""')[2].strip("\n")
    assert body.startswith("    for")
    whole = f"def {problem.meta['entry']}(numbers, threshold):\n{body}"  # its imports are in the question
    for text in (body, whole, f"```python\n{whole}\n```", f"<answer>```python\n{body}\n```</answer>", body.lstrip()):
        assert task.verify(problem, task.parse_answer(problem, text)).valid, text
    verdict = task.verify(problem, Answer("    return True"))
    assert (verdict.valid, verdict.score) == (False, 0.0)
    assert "0 of 1 tests pass: a test failed" in verdict.reason


@jail
def test_exact_is_the_published_solution_and_passes(data: Path) -> None:
    task, strict = load_task("mbpp"), load_task("mbpp", measure="exact")
    problem = next(p for p in task.read(data / FILES["mbpp"]) if p.meta["task_id"] == 6)
    other = Answer(problem.answer + "\nmore = 1")
    assert task.verify(problem, Answer(problem.answer)).exact
    assert task.verify(problem, other).correct
    verdict = strict.verify(problem, other)
    assert (verdict.correct, verdict.valid, verdict.reason) == (False, True, "right, but not the published solution")


@jail
def test_the_share_of_tests_is_the_score(data: Path) -> None:
    task = load_task("mbpp")
    problem = next(p for p in task.read(data / FILES["mbpp"]) if p.meta["task_id"] == 6)
    verdict = task.verify(problem, Answer("def differ_At_One_Bit_Pos(a, b): return False"))  # as two of three expect
    assert not verdict.correct
    assert verdict.score == pytest.approx(2 / 3)


# --- splits ----------------------------------------------------------------------------------------


@jail
def test_splits_are_the_published_ones(data: Path) -> None:
    sizes = {}
    for family, train in (("mbpp", "mbpp"), ("humaneval", "mbpp"), ("cruxeval", "cruxeval"), ("exercism", "exercism")):
        splits = build_splits(load_task(family), None, None, 0, data / FILES[train], data / FILES[family])
        sizes[family] = len(splits.train), len(splits.test)
        if family == "mbpp":
            assert {problem.meta["task_id"] for problem in splits.test} == set(range(11, 511))
    assert sizes == {"mbpp": (471, 500), "humaneval": (471, 164), "cruxeval": (588, 212), "exercism": (94, 28)}


@jail
def test_nothing_is_trained_on_humaneval(data: Path) -> None:
    task = load_task("humaneval")
    with pytest.raises(UserError, match="for testing only"):
        build_splits(task, None, None, 0, data / FILES["humaneval"], data / FILES["humaneval"])
    with pytest.raises(UserError, match="problems of MBPP"):
        build_splits(task, None, None, 0, data / FILES["mbpp"], data / FILES["mbpp"])


@jail
def test_a_question_shows_one_test_and_hides_the_others(data: Path) -> None:
    problem = load_task("mbpp").read(data / FILES["mbpp"])[0]
    shown, *hidden = problem.meta["tests"]
    assert shown in problem.question
    assert not any(test in problem.question for test in hidden)
    everything = load_task("mbpp", shown=3)
    assert everything.name == "mbpp-shown3"
    assert all(test in everything.read(data / FILES["mbpp"])[0].question for test in hidden)


# --- CRUXEval --------------------------------------------------------------------------------------


def test_all_published_outputs_are_accepted_and_others_not(data: Path) -> None:
    task = load_task("cruxeval")
    problems = task.read(data / FILES["cruxeval"])
    assert len(problems) == 800
    assert all(task.verify(p, task.parse_answer(p, f"\n{task.answer_text(p)} ")).correct for p in problems)
    assert not any(task.verify(p, Answer("'nothing of the kind'")).correct for p in problems)


@jail
@pytest.mark.slow
def test_all_published_outputs_are_what_the_functions_return(data: Path) -> None:
    problems = load_task("cruxeval").read(data / FILES["cruxeval"])

    def right(problem: Problem) -> bool:
        meta = problem.meta
        code = f"{meta['code']}\ndef given():\n    return f({meta['input']}\n)"
        return run_tests(code, Tests((f"assert given() == {meta['output']}",), remote={"given": "given"})).right

    with ThreadPoolExecutor(2) as workers:
        assert all(workers.map(right, problems))


@pytest.mark.parametrize(
    ("answer", "right"),
    [("[(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]", True), ("[(4,1),(4,1),(4,1),(4,1),(2,3),(2,3),]", True),
     ("assert f([1, 1, 3, 1, 3, 1]) == [(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]", True),
     ("```python\n[(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]\n```", True),
     ("[(4.0, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]", False), ("[(4, True)] * 4 + [(2, 3)] * 2", False),
     ("f([1, 1, 3, 1, 3, 1])", False), ("?", False), ("", False), ("[" * 3000, False), ("-" * 3900 + "1", False)],
)  # fmt: skip
def test_outputs_are_literals(answer: str, right: bool, data: Path) -> None:
    task = load_task("cruxeval")
    problem = task.read(data / FILES["cruxeval"])[0]
    assert task.verify(problem, task.parse_answer(problem, answer)).correct is right


RUNNERS = [pytest.param("bubblewrap", marks=jail)]
if monty_available():
    RUNNERS.append(pytest.param("monty"))


@pytest.mark.parametrize("runner", RUNNERS)
def test_any_input_with_that_output_is_right(runner: str, data: Path) -> None:
    task = load_task("cruxeval", predict="input", runner=runner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the problems that monty cannot run
        problem = task.read(data / FILES["cruxeval"])[0]
    for answer, right in (
        ("[1, 1, 3, 1, 3, 1]", True), ("[3, 3, 1, 1, 1, 1]", True), ("nums=[1, 1, 3, 1, 3, 1]", True), ("[1]", False),
        ("[1, 1, 3, 1, 3, 1]) or f([1]", False), ("(lambda: 1)()", False), ("5", False), ("*[[1]]", False),
        ("**{}", False), ("[1, 1, 3, 1, 3, 1], 2", False), ("[1])\nprint(1", False),
    ):  # fmt: skip
        assert task.verify(problem, task.parse_answer(problem, answer)).correct is right, answer


@pytest.mark.skipif(not monty_available(), reason="pydantic-monty is not installed")
def test_what_monty_cannot_run_is_counted(data: Path) -> None:
    task = load_task("cruxeval", predict="input", runner="monty")
    with pytest.warns(UserWarning, match="40 of 800 problems are left out"):
        assert len(task.read(data / FILES["cruxeval"])) == 760


# --- Exercism --------------------------------------------------------------------------------------

LEAP = "def leap_year(year):\n    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)"
HAMMING = (
    "def distance(strand1, strand2):\n    if len(strand1) != len(strand2):\n        raise ValueError('lengths')\n"
    "    return sum(a != b for a, b in zip(strand1, strand2))"
)
SPACE = (
    "def age(planet, seconds):\n    years = {'Mercury': 0.2408467, 'Venus': 0.61519726, 'Earth': 1, 'Mars': 1.8808158,"
    " 'Jupiter': 11.862615, 'Saturn': 29.447498, 'Uranus': 84.016846, 'Neptune': 164.79132}\n"
    "    if planet not in years:\n        raise ValueError('not a planet')\n"
    "    return seconds / 31557600 / years[planet]"
)


@jail
def test_exercism_solutions_written_here(data: Path) -> None:
    task = load_task("exercism")
    problems = {problem.meta["slug"]: problem for problem in task.read(data / FILES["exercism"])}
    for slug, code in (("leap", LEAP), ("hamming", HAMMING), ("space-age", SPACE)):
        verdict = task.verify(problems[slug], Answer(code))
        assert verdict.correct, verdict.reason
    never = HAMMING.replace("        raise ValueError('lengths')", "        return 0")
    verdict = task.verify(problems["hamming"], Answer(never))
    assert not verdict.correct
    assert 0 < verdict.score < 1
    assert not task.verify(problems["leap"], Answer(LEAP.replace("400", "300"))).correct
    assert not task.verify(problems["leap"], Answer(LEAP.replace("return ", "return 1 * (") + ")")).correct
    with pytest.raises(UserError, match="no published solutions"):
        task.answer_text(problems["leap"])


@jail
def test_no_constant_answer_solves_a_problem_with_several_cases(data: Path) -> None:
    for problem in load_task("exercism").read(data / FILES["exercism"]):
        tests = problem.meta["tests"]
        ends = {test.rpartition("}), ")[2] for test in tests if test.startswith("assert same")}
        raising = any(test.startswith("assert refuses") for test in tests)
        assert len(tests) == 1 or len(problem.meta["remote"]) > 1 or len(ends) + raising > 1, problem.id


# --- reading answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [("x = 1", "x = 1"), ("\n\n    return 1\n\n", "    return 1"), ("```python\nx = 1\n```", "x = 1"),
     ("First\n```python\nx = 1\n```\nthen\n```py\nx = 2\n```\ngives\n```\n2\n```", "x = 2"),
     ("```\nx = 1\n```", "x = 1"), ("```text\nx\n```\n```\ny = 1\n```", "y = 1"), ("```python\nx = 1", None),
     ("```python\nx = 1\n```\nor better\n```python\nx =", None), ("", None), ("```python\n```", None),
     ("<think>```python\nx = 1\n```</think>x = 2", "x = 2"), ("x\r\ny", "x\ny"), ("a" * 50_000, None),
     ("<answer>```python\nx = 1\n```</answer>", "x = 1"), ("<answer>x = 1</answer> <answer>x = 2</answer>", "x = 2")],
)  # fmt: skip
def test_code_in_what_a_model_wrote(text: str, code: str | None) -> None:
    assert final_code(text) == code


# --- mistakes --------------------------------------------------------------------------------------

MBPP_ROW = {"text": "Add.", "code": "def add(a, b): return a + b", "task_id": 1, "test_setup_code": "",
            "test_list": ["assert add(1, 2) == 3"]}  # fmt: skip
HUMANEVAL_ROW = {"task_id": "a/0", "prompt": 'def f(x):\n    """Twice."""\n', "entry_point": "f",
                 "canonical_solution": "    return 2 * x\n",
                 "test": "def check(candidate):\n    assert candidate(1) == 2\n"}  # fmt: skip
CRUX_ROW = {"code": "def f(x): return x", "input": "1", "output": "1", "id": "s"}


@jail
@pytest.mark.parametrize(
    ("family", "row", "change", "message"),
    [("mbpp", MBPP_ROW, {"test_list": []}, "must be a list of texts"),
     ("mbpp", MBPP_ROW, {"code": "def"}, "not valid Python"),
     ("mbpp", MBPP_ROW, {"test_list": ["assert sub(1, 2) == 3"]}, "nothing that its code defines"),
     ("mbpp", MBPP_ROW, {"test_list": ["assert add(1, y) == 3"]}, "unknown names"),
     ("mbpp", MBPP_ROW, {"task_id": "one"}, "must be a whole number"),
     ("mbpp", MBPP_ROW, {"test_setup_code": 1}, "must be text"),
     ("humaneval", HUMANEVAL_ROW, {"entry_point": "g"}, "does not define g"),
     ("humaneval", HUMANEVAL_ROW, {"test": "x = 1"}, "does not define check"),
     ("cruxeval", CRUX_ROW, {"output": "f(1)"}, "must be a Python literal"),
     ("cruxeval", CRUX_ROW, {"input": 1}, "must be text")],
)  # fmt: skip
def test_wrong_rows(family: str, row: dict, change: dict, message: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    assert len(load_task(family).read(file)) == 1
    file.write_text(json.dumps(row | change))
    with pytest.raises(UserError, match=message) as raised:
        load_task(family).read(file)
    assert "rows.jsonl, line 1" in str(raised.value)


@pytest.mark.parametrize(
    ("family", "options"),
    [("mbpp", {"shown": 0}), ("mbpp", {"measure": "none"}), ("cruxeval", {"predict": "code"}),
     ("cruxeval", {"runner": "docker"})],
)  # fmt: skip
def test_wrong_options(family: str, options: dict) -> None:
    with pytest.raises(UserError):
        load_task(family, **options)


def test_no_generator_and_no_typed_questions() -> None:
    for family in FILES:
        with pytest.raises(UserError, match="no generator"):
            load_task(family).generate("train", 1, 0)
        with pytest.raises(UserError, match="cannot be typed"):
            load_task(family).parse_question("x")


@jail
def test_the_alphabet_holds_every_character_of_the_files(data: Path) -> None:
    for family, file in FILES.items():
        task = load_task(family)
        problems = task.read(data / file)
        used = {c for p in problems for c in task.question_text(p) + (p.answer or "")}
        assert used <= set(task.alphabet), (family, sorted(used - set(task.alphabet)))


# --- without isolation -----------------------------------------------------------------------------

ELSEWHERE = """
import sys, warnings
from benchmarks.errors import UserError
from benchmarks.problem import Answer
from benchmarks.task import load_task
warnings.simplefilter("ignore")
mbpp, cruxeval = sys.argv[1:]
try:
    load_task("mbpp").read(mbpp)
except UserError as error:
    print(error)
unsafe = load_task("mbpp", unsafe_code=True)
problem = unsafe.read(mbpp)[0]
print(unsafe.verify(problem, Answer(problem.answer)).correct, unsafe.verify(problem, Answer("x = 1")).correct)
monty = load_task("cruxeval", predict="input")
problem = monty.read(cruxeval)[0]
print(monty.verify(problem, Answer("[1, 3, 1, 1, 3, 1]")).correct, monty.verify(problem, Answer("[1]")).correct)
"""


@pytest.mark.skipif(not monty_available(), reason="pydantic-monty is not installed")
def test_where_bubblewrap_is_missing(data: Path, tmp_path: Path) -> None:
    files = [str(data / FILES[family]) for family in ("mbpp", "cruxeval")]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *files],
        env={"PATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    refusal, unsafe, monty = done.stdout.splitlines()
    assert "bubblewrap is not installed" in refusal
    assert "task.NAME.unsafe_code=true" in refusal
    assert unsafe == monty == "True False"
