"""GRPO from a model that has seen only the form: what it is shown is never right, and the record tells what emerged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_policy import MODEL, SMALL, TASK
from training_runs import distill
from training_runs import train_policy as train

from benchmarks.errors import UserError
from benchmarks.symmetries import IGNORE
from benchmarks.task import load_task
from benchmarks.text_form import END_THINK, read_completion
from benchmarks.training.budget import Budget
from cot_distill.language_model import character_tokenizer
from cot_distill.options import SFTOptions
from cot_distill.sft_examples import Reader, Skipped, build_sft_examples, programmatic, tokenized
from cot_distill.shuffled_answers import FormatOnlyData, right_thought
from grpo.options import GRPOOptions
from grpo.thoughts import Thoughts, compare_thoughts
from reasoning_kit.config.spec import load_config
from reasoning_kit.runs.run import run

FAMILIES = [
    TASK,
    load_task("sudoku", size=4, givens=12),
    load_task("satisfiability", variables=4, clauses=8, answers="many"),
    load_task("countdown"),
]


@pytest.mark.parametrize("task", FAMILIES, ids=lambda task: task.name)
def test_what_is_shown_has_the_right_form_and_is_never_right(task):
    problems = task.generate("train", 40, 0)
    right = programmatic(task, "cot", None)
    form, generator = FormatOnlyData(task, problems, "cot", right, None), torch.Generator().manual_seed(0)
    passes = [form.one_pass(generator) for _ in range(3)]
    for teach in passes:
        shown = [teach(problem)[0] for problem in problems]
        assert sorted(shown) == sorted(right(problem)[0] for problem in problems)  # each completion once
        for problem, text in zip(problems, shown, strict=True):
            assert not task.verify(problem, read_completion(task, problem, text, "cot")).correct
            assert not right_thought(task, problem, text, None)
            assert right_thought(task, problem, right(problem)[0], None)
    assert passes[0](problems[0]) != passes[1](problems[0]) or passes[1](problems[0]) != passes[2](problems[0])


def test_a_problem_that_every_other_one_would_answer_is_left_out_and_counted():
    """1+2, 2+1 and 0+3 are all 3, 9+9 is not: it and one of them exchange, the other two have nobody left."""
    problems = [TASK.parse_question(text) for text in ("1+2", "2+1", "0+3", "9+9")]
    form = FormatOnlyData(TASK, problems, "cot", programmatic(TASK, "cot", None), None)
    teach, left = form.one_pass(torch.Generator().manual_seed(0)), Skipped()
    rows = list(tokenized(TASK, problems, character_tokenizer(TASK.alphabet), "cot", teach, left))
    assert len(rows) == len(left.reasons) == 2
    for name, reason in left.reasons:
        assert name != "9+9"
        assert "right here too" in reason


def made(seed, problems, budget=Budget("steps", 8)):  # noqa: B008
    from benchmarks.compute import CausalLMShape
    from cot_distill.language_model import load_language_model

    model, tokenizer = load_language_model(MODEL, TASK, 0)
    options = SFTOptions(batch_size=60, content="wrong")
    reader = Reader(tokenizer, CausalLMShape.of(model.config), 99)
    found = build_sft_examples(TASK, problems, reader, "cot", options, budget, seed)
    texts = [
        (
            tokenizer.decode([t for t, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORE]),
            tokenizer.decode([label for label in row["labels"] if label != IGNORE], skip_special_tokens=True),
        )
        for row in found.rows
    ]
    return texts, found.warnings


def test_every_pass_of_a_run_is_wrong_in_another_way_and_the_record_counts_it(problems):
    texts, warnings = made(0, problems)
    assert len(texts) == 8 * 60
    asked = {f"{TASK.question_text(problem)}<think>": problem for problem in problems}
    for prompt, text in texts:
        assert not TASK.verify(asked[prompt], read_completion(TASK, asked[prompt], text, "cot")).correct
    one = [text for prompt, text in texts if asked[prompt] == problems[0]]
    assert len(one) == 8
    assert len(set(one)) > 3
    assert made(0, problems)[0] == texts
    assert made(1, problems)[0] != texts
    [note] = warnings
    assert note.startswith("Only the form was taught: in all 480 training rows the thought and answer are those of ano")


def test_language_models_traces_are_not_shown_to_the_wrong_problems():
    with pytest.raises(UserError, match="only programmatic traces"):
        SFTOptions(traces="folder", content="wrong")


def test_a_format_start_is_the_ordinary_distillation_on_wrong_content(problems, tmp_path):
    """Same problems, same seed: the start equals what ``cot`` with wrong content trains; then GRPO moves it."""
    wrong = replace(SMALL.distillation, content="wrong")
    alone = distill(TASK, problems, wrong, MODEL, "cot", Budget("steps", 4), 0, tmp_path / "alone").model.state_dict()
    seen = {}

    def at_start(solver):
        seen.update({name: tensor.clone() for name, tensor in solver.model.state_dict().items()})

    options = replace(SMALL, start="format", rewards={"score": 1.0})
    trained = train(TASK, problems, options, MODEL, Budget("steps", 8), 0, tmp_path / "zero", at_start=at_start)
    assert seen.keys() == alone.keys()
    assert all(torch.equal(seen[name], alone[name]) for name in seen)
    assert trained.start_cost.steps == 4
    assert trained.meter.spent.steps == 8
    assert any("Only the form was taught" in warning for warning in trained.warnings)
    assert any(not torch.equal(seen[name], tensor) for name, tensor in trained.model.state_dict().items())


def test_only_a_start_that_is_taught_here_takes_a_share():
    assert GRPOOptions().taught == GRPOOptions().distillation
    assert GRPOOptions(start="format").taught == replace(GRPOOptions().distillation, content="wrong")
    assert GRPOOptions(start="model").taught is None


# --- what became of the thoughts --------------------------------------------------------------------


def test_thoughts_are_judged_apart_from_answers():
    problem = TASK.parse_question("7+8")
    found = Thoughts()
    found.add(TASK, problem, [f"7+8+0=15{END_THINK}15", f"7+8+0=15{END_THINK}14"], None)
    found.add(TASK, problem, [f"9+6+0=15{END_THINK}15", "7+8+0=15", f"{END_THINK}15", f";;=+{END_THINK}15"], None)
    assert (found.right, found.right_answers, found.both) == (2, 4, 1)
    assert found.lengths == [8, 8, 8, 8, 0, 4]
    assert found.share == pytest.approx(1 / 3)
    assert found.behind_right_answers == pytest.approx(1 / 4)
    assert [shown["text"] for shown in found.shown] == [f"7+8+0=15{END_THINK}15", f"9+6+0=15{END_THINK}15"]
    nothing = Thoughts(lengths=[4])
    assert nothing.behind_right_answers is None
    assert compare_thoughts(nothing, found) == (
        "Right thoughts went from 0.0 % to 33.3 % of completions, their mean length from 4 to 6 characters. At the end "
        "25 % of the right answers follow a right thought."
    )


def test_the_verdict_tells_what_became_of_the_thoughts(half_taught, problems, tmp_path):
    options = replace(SMALL, start=str(half_taught), held_out=6, held_out_samples=4)
    trained = train(TASK, problems, options, MODEL, Budget("steps", 2), 0, tmp_path)
    for rates in (trained.before, trained.after):
        told = rates.to_dict()["thoughts"]
        assert told["completions"] == 24
        assert told["right_answers"] == sum(rates.right)
        assert 0 < told["both"] <= told["right"] <= 24
        assert len(told["shown"]) == 6
    assert "Right thoughts went from " in trained.diagnosis.summary


def test_the_record_says_in_words_what_the_model_has_seen(tmp_path):
    """Both rows: the start of GRPO, and the control that only learns the form. Nobody is told of right traces."""
    specs = load_config(
        [
            "task=[addition-1x1]", "method=[cot_form,grpo_zero_form]", "budget.unit=steps", "budget.limit=4",
            "evaluation.curve_problems=0", "evaluation.milestones=[]", "model.width=16", "model.heads=2",
            "model.key_value_heads=2", "model.inner=32", "method.grpo_zero_form.batch_size=16",
            "method.grpo_zero_form.start_share=0.5", "method.grpo_zero_form.max_new_tokens=14",
        ]
    ).runs()  # fmt: skip
    for spec in specs:
        record = run(spec, tmp_path / spec.method, lambda *_: None)
        notes = " ".join(record.notes)
        assert "Only the form was taught: in all " in notes
        assert "solver-written trace" not in notes
        if spec.method == "grpo_zero_form":
            assert "has seen the form of thoughts and answers, none of them right; that took 50% of the budget" in notes
            assert "Right thoughts went from" in notes
            assert record.diagnostics["before"]["thoughts"]["completions"] == 6 * 8
            assert record.diagnostics["start_cost"]["steps"] == 2
