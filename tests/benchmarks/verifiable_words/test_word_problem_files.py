"""GSM8K, SVAMP and AQuA: the published files, typed questions, and every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Answer, Problem
from benchmarks.splits import build_splits, prove_disjoint
from benchmarks.task import Task, load_task
from benchmarks.verifiable.svamp import story

GSM8K_ROW = {"question": "How many are 2 and 3?", "answer": "2+3=<<2+3=5>>5\n#### 5"}
SVAMP_ROW = {"Body": "Ann has 3 apples.", "Question": "How many has she?", "Equation": "( 3.0 + 0.0 )", "Answer": 3.0}
AQUA_ROW = {
    "question": "What is 2 + 3?",
    "options": ["A)4", "B)5"],
    "rationale": "2 + 3 = 5. Answer: B",
    "correct": "B",
}
ROWS: dict[str, dict[str, Any]] = {"gsm8k": GSM8K_ROW, "svamp": SVAMP_ROW, "aqua": AQUA_ROW}
FILES = {
    "gsm8k": {"gsm8k/train.jsonl.gz": 7473, "gsm8k/test.jsonl.gz": 1019},
    "svamp": {"svamp/SVAMP.json.gz": 1000},
    "aqua": {"aqua/dev.jsonl.gz": 254, "aqua/test.jsonl.gz": 254},
}


@pytest.fixture(params=ROWS)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def judged(task: Task, problem: Problem, text: str) -> bool:
    return task.verify(problem, task.parse_answer(problem, text)).correct


# --- the published files ----------------------------------------------------------------------------


def test_every_published_problem_is_read_and_answered_by_its_label_only(data: Path, family: str) -> None:
    task = load_task(family)
    for file, count in FILES[family].items():
        problems = task.read(data / file)
        assert len(problems) == len({p.id for p in problems}) == count
        assert len({p.orbit for p in problems}) == count, "no question is there twice"
        for problem, neighbour in zip(problems, problems[1:] + problems[:1], strict=True):
            assert judged(task, problem, task.answer_text(problem))
            same = problem.answer == neighbour.answer
            if family == "aqua" and not same:  # an option can be there twice
                options = problem.meta["options"]
                place = ord(neighbour.answer) - ord("A")
                same = options[place] == options[ord(problem.answer) - ord("A")]
            assert judged(task, problem, neighbour.answer) == same
            assert not judged(task, problem, problem.question)
            assert not judged(task, problem, problem.answer + " " + problem.answer + "1")
            assert set(task.question_text(problem) + problem.answer) <= set(task.alphabet)
            assert json.loads(json.dumps(problem.meta)) == problem.meta


def test_published_training_and_test_files_share_no_question(data: Path) -> None:
    for family in ("gsm8k", "aqua"):
        task = load_task(family)
        train, test = FILES[family]
        splits = build_splits(task, None, None, 0, data / train, data / test)
        assert (len(splits.train), len(splits.test)) == tuple(FILES[family].values())


def test_svamp_is_divided_by_story(data: Path) -> None:
    task, file = load_task("svamp"), data / "svamp/SVAMP.json.gz"
    splits = build_splits(task, None, None, 0, file, file)
    assert (len(splits.train), len(splits.test)) == (748, 252)
    assert not {story(p) for p in splits.train} & {story(p) for p in splits.test}
    few = build_splits(task, 50, 20, 0, file, file)
    assert (len(few.train), len(few.test)) == (50, 20)
    assert {p.id for p in few.train} <= {p.id for p in splits.train}
    with pytest.raises(UserError, match="test part: 300 puzzles are asked for, but it holds 252"):
        build_splits(task, 50, 300, 0, file, file)


def test_a_shared_question_is_an_error_that_names_both(tmp_path: Path) -> None:
    task = load_task("gsm8k")
    (tmp_path / "a.jsonl").write_text(json.dumps(GSM8K_ROW) + "\n")
    other = GSM8K_ROW | {"question": " how MANY are  2 and 3? "}
    (tmp_path / "b.jsonl").write_text(json.dumps(other) + "\n")
    with pytest.raises(UserError, match=r"test problem b.jsonl:1 is training problem a.jsonl:1"):
        build_splits(task, None, None, 0, tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    prove_disjoint(task.read(tmp_path / "a.jsonl"), [], "nothing")


def test_known_rows(data: Path) -> None:
    first = load_task("gsm8k").read(data / "gsm8k/train.jsonl.gz")[0]
    assert (first.answer, first.meta["line"]) == ("72", 1)
    assert "<<48/2=24>>" in first.meta["rationale"]
    assert "####" not in first.meta["rationale"]
    thousands = [p for p in load_task("gsm8k").read(data / "gsm8k/test.jsonl.gz") if len(p.answer) > 3]
    assert thousands
    assert not any("," in p.answer for p in thousands)
    first = load_task("svamp").read(data / "svamp/SVAMP.json.gz")[0]
    assert first.answer == "51"
    assert first.question.endswith("on each pack, How much do you have to pay to buy each pack?")
    first = load_task("aqua").read(data / "aqua/dev.jsonl.gz")[0]
    assert first.answer == "A"
    assert first.question.endswith("\nA) 32400\nB) 6000\nC) 600\nD) 60000\nE) 10")


def test_a_choice_of_rows(data: Path) -> None:
    task, file = load_task("gsm8k"), data / "gsm8k/test.jsonl.gz"
    few, more = task.read(file, 10, 3), task.read(file, 40, 3)
    assert len(few) == 10
    assert {p.id for p in few} <= {p.id for p in more}
    assert few != task.read(file, 10, 4)


# --- forms ------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(family: str, *rows: Any, name: str = "") -> Path:
        path = tmp_path / (name or ("rows.json" if family == "svamp" else "rows.jsonl"))
        as_list = ".json" in path.name and ".jsonl" not in path.name
        text = json.dumps(rows) if as_list else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["r.json", "r.json.gz", "r.jsonl", "r.jsonl.gz"])
def test_lists_and_lines_plain_and_compressed_hold_the_same(written, family: str, name: str) -> None:
    row = ROWS[family]
    [one, two] = load_task(family).read(written(family, row, row, name=name))
    assert (one.question, one.answer) == (two.question, two.answer)
    assert [p.meta["line"] for p in (one, two)] == [1, 2]


def test_a_data_set_on_the_hub_holds_the_same(written, family: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    row = ROWS[family]
    file = written(family, row, row | {"extra": 1}, name="set/train.jsonl")
    task = load_task(family)
    read = task.read(f"hub:{tmp_path / 'set'}:train")
    assert [(p.question, p.answer, p.meta) for p in read] == [(p.question, p.answer, p.meta) for p in task.read(file)]


def test_answers_of_svamp_may_be_numbers_or_texts(written) -> None:
    for value, answer in ((3, "3"), (3.0, "3"), (2.5, "2.5"), ("3.0", "3"), ("1,200", "1200"), (1e3, "1000")):
        [problem] = load_task("svamp").read(written("svamp", SVAMP_ROW | {"Answer": value}))
        assert problem.answer == answer


def test_render_wraps_the_question_and_shows_the_answer(data: Path) -> None:
    task = load_task("aqua")
    problem = task.read(data / "aqua/dev.jsonl.gz")[1]
    lines = task.render(problem, Answer("D")).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-6:] == ["A) 100 m", "B) 150 m", "C) 200 m", "D) 250 m", "E) 300 m", "Answer: D"]
    assert task.render(problem).endswith("Answer: ?")


# --- typed questions ---------------------------------------------------------------------------------


def test_a_typed_question_with_its_label_is_judged() -> None:
    problem = load_task("gsm8k").parse_question(" How many are 2 and 3?  #### 1,005.0 ")
    assert (problem.question, problem.answer) == ("How many are 2 and 3?", "1005")
    problem = load_task("aqua").parse_question("What is 2+3? (A) 4 (B) 5 (C) 6 #### (b)")
    assert (problem.question, problem.answer) == ("What is 2+3?\nA) 4\nB) 5\nC) 6", "B")
    assert problem.meta["options"] == ["4", "5", "6"]
    problem = load_task("aqua").parse_question("Point A. is where?\nA) here\nB) there")
    assert problem.meta["options"] in (["here", "there"], ["is where?\nA) here", "there"])


def test_a_typed_question_without_its_label_is_asked_but_not_judged(family: str) -> None:
    task = load_task(family)
    problem = task.parse_question("What is 2 + 3? A) 4 B) 5")
    assert problem.answer == ""
    for answer in (None, Answer("5"), Answer("B"), Answer("")):
        verdict = task.verify(problem, answer)
        assert not verdict.correct
        assert verdict.reason == "the question came without its answer"


@pytest.mark.parametrize(
    ("family", "text"),
    [("gsm8k", ""), ("gsm8k", "#### 5"), ("gsm8k", "How many? ####"), ("gsm8k", "How many? #### 5 #### 6"),
     ("gsm8k", "How many? #### some"), ("gsm8k", "How many? #### 5 or 6"), ("aqua", ""), ("aqua", "How many?"),
     ("aqua", "How many? A) 5"), ("aqua", "A) 5 B) 6"), ("aqua", "How many? A) 5 B) 6 #### C"),
     ("aqua", "How many? A) 5 B) #### A"), ("aqua", "How many? A) 5 B) 6 #### AB"), ("aqua", "How many? B) 5 C) 6"),
     ("svamp", " "), ("svamp", "How many? #### many")],
)  # fmt: skip
def test_wrong_typed_questions_are_refused(family: str, text: str) -> None:
    with pytest.raises(UserError) as error:
        load_task(family).parse_question(text)
    assert error.value.where == family
    assert error.value.cure


# --- what is wrong -------------------------------------------------------------------------------------


def refusal(task: Task, path: Path, **options: int) -> str:
    with pytest.raises(UserError) as error:
        task.read(path, **options)
    message = str(error.value)
    assert str(path) in message
    assert error.value.cure
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("gsm8k", {"answer": "no mark 5"}, "#### 0 times"),
        ("gsm8k", {"answer": "#### 5 #### 5"}, "#### 2 times"),
        ("gsm8k", {"answer": "#### five or six"}, "'five or six' is not one number"),
        ("gsm8k", {"answer": "####"}, "is not one number"),
        ("gsm8k", {"answer": 5}, "the answer is no text but 5"),
        ("gsm8k", {"question": "  "}, "the question is empty"),
        ("gsm8k", {"question": None}, "the question is no text but None"),
        ("svamp", {"Answer": "many"}, "is not one number"),
        ("svamp", {"Answer": None}, "the Answer is no text but None"),
        ("svamp", {"Answer": True}, "the Answer is no text but True"),
        ("svamp", {"Answer": float("nan")}, "the Answer is nan"),
        ("svamp", {"Body": ""}, "the Body is empty"),
        ("svamp", {"Equation": 3}, "the Equation is no text but 3"),
        ("aqua", {"correct": "C"}, "'C' is the letter of no option"),
        ("aqua", {"correct": "AB"}, "'AB' is the letter of no option"),
        ("aqua", {"options": "A)4 B)5"}, "no list of 2 to 26 texts"),
        ("aqua", {"options": ["A)4"]}, "no list of 2 to 26 texts"),
        ("aqua", {"options": ["A)4", 5]}, "no list of 2 to 26 texts"),
        ("aqua", {"options": ["A)4", "C)5"]}, "option 2 is 'C)5' and does not begin with B)"),
        ("aqua", {"rationale": ""}, "the rationale is empty"),
    ],
)
def test_a_wrong_value_is_named_by_file_and_row(written, family: str, changes: dict[str, Any], words: str) -> None:
    row = ROWS[family]
    message = refusal(load_task(family), written(family, row, row | changes))
    assert words in message
    assert ("row 2" if family == "svamp" else "line 2") in message


def test_a_missing_column_is_named_with_its_likely_name(written, family: str) -> None:
    row = ROWS[family]
    for column in row:
        if family == "aqua" and column == "rationale":
            continue
        less = {key: value for key, value in row.items() if key != column} | {column + "s": row[column]}
        message = refusal(load_task(family), written(family, row, less))
        assert f"no column '{column}'" in message
        assert f"Did you mean '{column}s'?" in message


def test_broken_files(tmp_path: Path, family: str) -> None:
    task, row = load_task(family), json.dumps(ROWS[family])
    lines, whole = tmp_path / "rows.jsonl", tmp_path / "rows.json"
    packed = tmp_path / "rows.jsonl.gz"

    def said(path: Path, content: str | bytes, **options: int) -> str:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return refusal(task, path, **options)

    assert "no problem" in said(lines, "")
    assert "no problem" in said(lines, "\n \n")
    assert "no problem" in said(whole, "[]")
    assert "no list of problems but an object" in said(whole, row)
    assert "line 2: the line is no JSON" in said(lines, f"{row}\n{row[:-1]}\n")
    assert "line 2: this is no JSON object but a list" in said(lines, f"{row}\n[]\n")
    assert "row 2: this is no JSON object but null" in said(whole, f"[{row}, null]")
    assert "the file is no JSON" in said(whole, f"[{row}, {row}")
    assert "cannot be read" in said(lines, "[" * 200_000)
    assert "line 2: the line is not UTF-8" in said(lines, f"{row}\n".encode() + b"\xff\xfe\n")
    compressed = gzip.compress("".join(f'{row[:-1]}, "n": {n}}}\n' for n in range(2000)).encode())
    assert "ends early" in said(packed, compressed[: len(compressed) // 2])
    assert "no gzip file" in said(packed, row)
    assert "neither .jsonl nor .jsonl.gz" in said(tmp_path / "rows.csv", row)
    assert "holds 1" in said(lines, row, limit=2)
    assert "at least 1" in said(lines, row, limit=0)
    assert "no such file" in refusal(task, tmp_path / "none.jsonl")


def test_there_is_no_generator_and_no_other_measure(family: str) -> None:
    task = load_task(family)
    with pytest.raises(UserError, match="has no generator") as error:
        task.generate("train", 1, 0)
    assert f"task={family}" in str(error.value.cure)
    with pytest.raises(UserError, match="measure must be 'exact' or 'valid', not 'close'"):
        load_task(family, measure="close")
    assert load_task(family, measure="valid").name == family
    assert task.instructions.endswith(".")
