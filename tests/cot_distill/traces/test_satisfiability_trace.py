from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.puzzles.satisfiability.task import Satisfiability
from cot_distill.traces import trace_steps
from cot_distill.traces.satisfiability import check, trace

SMALL = Satisfiability(3, clauses=7)
FORMULA = "Bac abC Abc AbC aBC ABc abc"  # every clause but ABC: all three variables are true
TRACE = "?B?a>Abcc!AbC=BA>abCC!abc=b?a>ABcc"


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (Satisfiability(4), 200),
        (Satisfiability(6), 100),
        (Satisfiability(12), 10),
        (Satisfiability(5, answers="many"), 200),
        (Satisfiability(12, clauses=24, answers="many"), 20),
    ],
    ids=lambda value: value.name if isinstance(value, Satisfiability) else str(value),
)
def test_traces_lead_to_the_label_also_under_symmetries(task: Satisfiability, count: int) -> None:
    problems = task.generate("train", count, seed=0)
    for problem in (*problems, *task.augment(problems, torch.Generator().manual_seed(0))):
        text = trace(task, problem)
        assert set(text) <= set(task.alphabet)
        assert "".join(trace_steps(task, text)) == text
        check(task, problem, text)
        assert replayed(task, text) == problem.answer


def replayed(task: Satisfiability, text: str) -> str:
    """The end of a trace, read without the checker: what ``=`` restates and the last letter of each later step."""
    true = ""
    for step in trace_steps(task, text):
        true = step[1:] if step[0] == "=" else true + step[-1] if step[0] in ">?" else true
    return "".join(sorted(true, key=str.lower))


def test_a_small_formula_by_hand() -> None:
    problem = SMALL.parse_question(FORMULA)
    assert trace(SMALL, problem) == TRACE
    check(SMALL, problem, TRACE)
    check(SMALL, problem, "?a?b>ABcc")  # a guess may be any open variable


def test_wrong_guesses_are_made_and_refuted() -> None:
    """Where one answer is right the label does not choose: the first guess is the first literal of the question."""
    task = Satisfiability(6)
    problems = task.generate("train", 300, seed=0)
    texts = [trace(task, problem) for problem in problems]
    assert all(text.startswith("?" + p.question[0]) for p, text in zip(problems, texts, strict=True))
    wrong = sum(text[1] not in p.answer for p, text in zip(problems, texts, strict=True))
    assert 0.25 < wrong / 300 < 0.5
    assert all("!" in text for p, text in zip(problems, texts, strict=True) if text[1] not in p.answer)


def test_with_many_answers_only_guesses_without_a_right_answer_are_refuted() -> None:
    task = Satisfiability(4, clauses=1, answers="many")
    for formula, label in (("abc", "abcd"), ("AbC", "abcd"), ("Dba", "abcd")):
        problem = task.parse_question(formula)
        assert problem.answer == label
        assert "!" not in trace(task, problem)
    moved = replace(task.parse_question("abc"), answer="ABcD")  # as after a symmetry: right, but not first
    assert trace(task, moved) == "?A?B>abcc?D"
    check(task, moved, trace(task, moved))


def test_every_corruption_of_a_letter_or_sign_fails() -> None:
    problem = SMALL.parse_question(FORMULA)
    for at in range(len(TRACE)):
        for other in "abcABCd>?!=,":
            spoiled = TRACE[:at] + other + TRACE[at + 1 :]
            if other != TRACE[at]:
                with pytest.raises(ValueError, match=r"."):
                    check(SMALL, problem, spoiled)


def test_a_left_out_step_fails() -> None:
    """Only a deduction that is undone later can be missed: the contradiction may not need it."""
    task = Satisfiability(6)
    for problem in task.generate("train", 30, seed=1):
        steps = trace_steps(task, trace(task, problem))
        for at in range(len(steps)):
            if steps[at][0] == ">" and any(step[0] == "!" for step in steps[at:]):
                continue
            with pytest.raises(ValueError, match=r"."):
                check(task, problem, "".join(steps[:at] + steps[at + 1 :]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the trace ends with , the label is abc"),
        ("?a?b?C", "the trace ends with abC, the label is abc"),
        (TRACE[:-5], "the trace ends with ab, the label"),
        (TRACE + "?a", "the variable of a is known already"),
        (TRACE.replace("?B?a>Abcc", "?B>Abcc"), "not all other literals of Abc are false"),
        (TRACE.replace(">Abcc", ">cAbc"), "no clause 'cAb'"),
        (TRACE.replace(">Abcc!AbC", "!AbC"), "!AbC: C is not false"),
        (TRACE.replace("=BA", ""), "stands where =BA should"),
        (TRACE.replace("=BA", "=AB"), "=AB stands where =BA should"),
        (TRACE[: TRACE.index("=BA")], "ends where =BA should stand"),
        ("=a" + TRACE, "=a follows no false clause"),
        (TRACE.replace("!abc=b", "!abc=b!abc=b"), "!abc: a is not false"),
        ("?a>", "'>' is no step"),
        ("?ab", "'[?]ab' is no step"),
        ("?d", "'[?]d' is no step"),
        ("a", "'a' is no step"),
    ],
)
def test_reasons(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(SMALL, SMALL.parse_question(FORMULA), text)


def test_a_formula_without_an_answer_cannot_blame_a_guess() -> None:
    task = Satisfiability(3, clauses=7)
    problem = replace(task.parse_question(FORMULA), question=FORMULA.replace(" ", "") + "ABC")
    with pytest.raises(ValueError, match="no guess stands that could be wrong"):
        check(task, problem, "?B?a>Abcc!AbC=BA>abCC!abc=b?a>ABcc!ABC=bA>Bacc!aBC=")
    with pytest.raises(ValueError, match="does not make every clause true"):
        trace(task, problem)


def test_clean_refutes_nothing() -> None:
    task = Satisfiability(6)
    for problem in task.generate("train", 50, seed=0):
        clean, searched = trace(task, problem, "clean"), trace(task, problem)
        check(task, problem, clean, "clean")
        assert {step[1] for step in trace_steps(task, clean) if step[0] == "?"} <= set(problem.answer)
        assert ("!" in searched) == (clean != searched)
        if "!" in searched:
            with pytest.raises(ValueError, match="refutes nothing"):
                check(task, problem, searched, "clean")
