"""Human rationales and equations as teachers: what is checked, and how many of the published ones fail."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from benchmarks.problem import Problem
from benchmarks.task import Task, load_task
from cot_distill.traces import check_trace, styles, trace_steps, write_trace


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("REASONING_KIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: set REASONING_KIT_DATA to the folder that holds gsm8k/")
    return folder


RATIONALE = "She sold 48/2 = <<48/2=24>>24 clips in May.\nThat makes 48+24 = <<48+24=72>>72 clips."
CLIPS = Problem("clips", "How many clips?", "72", "clips", {"rationale": RATIONALE})
APPLES = Problem("apples", "How many?", "7", "apples", {"equation": "( ( 8.0 - 3.0 ) + 2.0 )", "body": ""})
TRAIN = load_task("aqua").parse_question("How far? A) 12 km B) 36 km C) 24 km #### C")


def refused(task: Task, problem: Problem, words: str, trace: str | None = None, style: str | None = None) -> None:
    with pytest.raises(ValueError, match=words):
        check_trace(task, problem, write_trace(task, problem, style) if trace is None else trace, style)


def skipped(task: Task, problems: list[Problem], style: str) -> Counter[str]:
    """First words of the reasons why traces are no traces."""
    reasons: Counter[str] = Counter()
    for problem in problems:
        try:
            trace = write_trace(task, problem, style)
            check_trace(task, problem, trace, style)
        except ValueError as error:
            reasons["end" if "come" in str(error) else "form"] += 1
        else:
            assert set(trace) <= set(task.alphabet)
            assert "".join(trace_steps(task, trace)) == trace
    return reasons


@pytest.mark.parametrize(
    ("family", "file", "reasons"),
    [
        ("gsm8k", "gsm8k/train.jsonl.gz", {"end": 19, "form": 2}),
        ("gsm8k", "gsm8k/test.jsonl.gz", {"end": 5}),
        ("svamp", "svamp/SVAMP.json.gz", {"end": 1}),
        ("aqua", "aqua/dev.jsonl.gz", {}),
        ("aqua", "aqua/test.jsonl.gz", {}),
    ],
)
def test_published_traces(data: Path, family: str, file: str, reasons: dict[str, int]) -> None:
    task = load_task(family)
    problems = task.read(data / file)
    for style in styles(task):
        assert skipped(task, problems, style) == reasons


def test_gsm8k_styles() -> None:
    task = load_task("gsm8k")
    assert list(styles(task)) == ["rationale", "annotated"]
    plain = "She sold 48/2 = 24 clips in May.\nThat makes 48+24 = 72 clips."
    assert write_trace(task, CLIPS) == write_trace(task, CLIPS, "rationale") == plain
    assert write_trace(task, CLIPS, "annotated") == RATIONALE
    assert trace_steps(task, plain) == plain.splitlines(keepends=True)
    check_trace(task, CLIPS, plain)
    check_trace(task, CLIPS, RATIONALE, "annotated")
    with pytest.raises(UserError, match="anotated"):
        write_trace(task, CLIPS, "anotated")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("48/2=24", "48/2=25", "is false: it is 24"),
        ("48/2=24", "1/3=.33", "is false: it is 1/3"),
        ("48/2=24", "48//2=24", "stands where a number should"),
        ("48/2=24", "48/0=24", "division by zero"),
        ("48/2=24", "48/2", "is no equation"),
        ("48/2=24", "x=24", "is no arithmetic"),
        ("<<48/2=24>>", "<<48/2=24>", "do not match"),
        ("<<48/2=24>>", "<<48/2=24", "do not match"),
        ("<<48+24=72>>72", "<<48+25=73>>73", "does not come to 72"),
        ("<<48+24=72>>72 clips.", "<<48+24=72>>72 clips.\nSo <<7*1=7>>7 of 720.", "does not come to 72"),
    ],
)
def test_wrong_rationales_are_refused_in_both_styles(old: str, new: str, words: str) -> None:
    task = load_task("gsm8k")
    wrong = replace(CLIPS, meta={"rationale": RATIONALE.replace(old, new)})
    for style in styles(task):
        refused(task, wrong, words, style=style)


def test_another_text_than_the_rationale_is_refused() -> None:
    task = load_task("gsm8k")
    refused(task, CLIPS, "not the published rationale", "It is 72.")
    refused(task, CLIPS, "not the published rationale", RATIONALE)


def test_the_last_line_may_state_the_label_without_a_calculator() -> None:
    task = load_task("gsm8k")
    for last in ("So 1,072 - 1,000 = 72 clips after the 3rd month.", "$72", "72.00"):
        check_trace(
            task, problem := replace(CLIPS, meta={"rationale": f"{RATIONALE[:47]}\n{last}"}), write_trace(task, problem)
        )


def test_svamp_equations() -> None:
    task = load_task("svamp")
    assert write_trace(task, APPLES) == "(8-3)+2=7"
    for equation, written in (("( 76.0 - 25.0 )", "76-25=51"), ("( 2.5 * 4.0 )", "2.5*4=10"), ("8.0", "8=8"),
                              ("( ( 1.0 + 2.0 ) * ( 3.0 + 4.0 ) )", "(1+2)*(3+4)=21"), ("( 10.0 / 100.0 )",
                              "10/100=0.1"),
                              ("( 1.0 + 2.0 ) * ( 3.0 + 4.0 )", "(1+2)*(3+4)=21")):  # fmt: skip
        problem = replace(APPLES, meta={"equation": equation}, answer=written.partition("=")[2])
        assert write_trace(task, problem) == written
        check_trace(task, problem, written)


@pytest.mark.parametrize(
    ("trace", "words"),
    [("", "no equation"), ("7", "no equation"), ("(8-3)+2=8", "is false"), ("3+4=7", "other numbers"), ("7=7",
    "other numbers"),
     ("8-3+2=7=7", "no arithmetic"), ("(8-3+2=7", "not closed"), ("8+3+2=13", "the label is 7"), ("x=7",
     "no arithmetic")],
)  # fmt: skip
def test_wrong_equations_are_refused(trace: str, words: str) -> None:
    refused(load_task("svamp"), APPLES, words, trace)


def test_aqua_rationales_must_not_come_to_another_option() -> None:
    task = load_task("aqua")
    for good in ("48/2 = 24\nAnswer: C", "It is 24 km.", "The answer is 24 km.", "Half of 48."):
        problem = replace(TRAIN, meta={**TRAIN.meta, "rationale": good})
        check_trace(task, problem, write_trace(task, problem))
    refused(task, TRAIN, "comes to B, the label is C", "36\nAnswer: B")
    refused(task, TRAIN, "comes to A", "48/4.\nANS:A")
    refused(task, TRAIN, "comes to B", "So it is 36 km.\nThe answer is 36 km.")
    refused(task, TRAIN, "empty", " ")


@pytest.mark.parametrize("family", ["gsm8k", "svamp", "aqua"])
def test_a_typed_problem_has_no_trace(family: str) -> None:
    task = load_task(family)
    with pytest.raises(ValueError, match="came without"):
        write_trace(task, task.parse_question("How many? A) 5 B) 6"))
