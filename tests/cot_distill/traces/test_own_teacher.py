"""A task that brings its own teacher, as a plug-in may: no file of the kit knows its family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from training_runs import distill

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.method import Setting
from benchmarks.problem import Problem
from benchmarks.training.budget import Budget
from benchmarks.verifiable.sequences import Sequences
from cot_distill.language_model import load_tokenizer
from cot_distill.method import COT
from cot_distill.options import SFTOptions
from cot_distill.prompting import choose_shots, messages
from cot_distill.traces import (
    alphabet,
    can_check,
    check_style,
    check_trace,
    has_teacher,
    styles,
    trace_steps,
    write_trace,
)
from grpo.method import GRPO
from grpo.options import GRPOOptions

TINY = ModelOptions(width=16, layers=1, heads=2, key_value_heads=2, inner=32)


@dataclass(frozen=True)
class Untaught(Sequences):
    """A family without a teacher."""

    family: ClassVar[str] = "untaught"


@dataclass(frozen=True)
class Taught(Untaught):
    """The same with a teacher that writes a line for each letter."""

    family: ClassVar[str] = "taught"

    def trace(self, problem: Problem) -> str:
        if problem.question.startswith("a"):
            raise ValueError("it starts with a")
        return "".join(f"{place}: {letter}\n" for place, letter in enumerate(problem.question, start=1))


@dataclass(frozen=True)
class Checked(Taught):
    """The same with a check and an alphabet of its own."""

    family: ClassVar[str] = "checked"
    trace_alphabet: ClassVar[str] = "0123456789: \n"

    def check_trace(self, problem: Problem, trace: str) -> None:
        if trace != self.trace(problem):
            raise ValueError("a line does not follow")


def problems_of(task: Sequences, count: int = 5) -> list[Problem]:
    return [p for p in task.generate("train", 4 * count, seed=0) if not p.question.startswith("a")][:count]


def test_its_own_methods_write_and_check() -> None:
    task = Checked()
    problem = problems_of(task)[0]
    trace = write_trace(task, problem)
    assert list(styles(task)) == ["own"]
    assert has_teacher(task)
    assert has_teacher(Checked)
    assert trace == write_trace(task, problem, "own") == task.trace(problem)
    assert trace_steps(task, trace + "rest") == [*trace.splitlines(keepends=True), "rest"]
    assert "".join(trace_steps(task, "\n\na")) == "\n\na"
    check_trace(task, problem, trace)
    with pytest.raises(ValueError, match="a line does not follow"):
        check_trace(task, problem, trace[1:])
    with pytest.raises(UserError, match="the teacher of 'checked' does not write in the style 'boards'"):
        check_style(task, "boards")


def test_without_a_check_nothing_is_refused_and_thoughts_are_not_judged() -> None:
    task = Taught()
    check_trace(task, problems_of(task)[0], "anything")
    assert can_check(Checked())
    assert not can_check(task)
    assert has_teacher(task)


def test_a_trace_must_be_text() -> None:
    class Numbers(Taught):
        def trace(self, problem: Problem) -> str:
            return 7  # type: ignore[return-value]

    with pytest.raises(UserError, match="a trace must be text, not int") as caught:
        write_trace(Numbers(), problems_of(Taught())[0])
    assert caught.value.where == "Numbers.trace"


def test_a_model_from_scratch_reads_every_character_of_the_traces() -> None:
    for task in (Taught(), Checked()):
        tokenizer = load_tokenizer(TINY, task)
        for problem in problems_of(task):
            ids = tokenizer(write_trace(task, problem))["input_ids"]
            assert tokenizer.unk_token_id not in ids
    assert set(alphabet(Checked())) == set(Checked().alphabet) | set("0123456789: \n")
    assert alphabet(Untaught()) == Untaught().alphabet, "as it was for families of the kit"


def test_without_a_teacher_the_cure_names_the_methods_that_need_none() -> None:
    setting = Setting(Untaught(), SFTOptions(), TINY, Budget("steps", 2), where="method.cot", task_name="mine")
    with pytest.raises(UserError, match="the family 'untaught' has no programmatic teacher") as caught:
        COT().check(setting)
    assert caught.value.where == "method.cot.trace (task.mine)"
    assert "or leave cot and grpo out: method=[trm,answer_only]" in str(caught.value.cure)
    COT().check(replace(setting, task=Taught()))


def test_grpo_starts_from_distillation_where_the_task_teaches() -> None:
    pretrained = ModelOptions(path="somewhere")
    assert GRPO().resolve(GRPOOptions(), Taught, pretrained).start == "distill"
    assert GRPO().resolve(GRPOOptions(), Untaught, pretrained).start == "model"


def test_shots_show_its_thoughts_and_leave_out_what_it_refuses() -> None:
    task = Taught()
    refused = task.problem("abc")
    shot = choose_shots(task, [refused, *problems_of(task)], 1)[0]
    assert shot != refused
    assert task.trace(shot) in messages(task, refused, [shot])[1]["content"]


def test_cot_learns_from_it(tmp_path: Path) -> None:
    task = Checked()
    problems = [task.problem("abc"), *problems_of(task)]
    found = distill(task, problems, SFTOptions(batch_size=2), TINY, "cot", Budget("steps", 2), 0, tmp_path)
    assert found.warnings[0].endswith("it starts with a.")
    assert "1 of 6" in found.warnings[0]
    assert len(found.warnings) == 1, "no character is unknown"
