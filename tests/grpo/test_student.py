"""RL first, then distillation: a student learns what the policy writes, from one budget, and resumes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch
from tiny_policy import MODEL, SFT, SMALL, TASK
from training_runs import train_student as train

from benchmarks.compute import CausalLMShape, Cost
from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.language_models import ModelOptions, OwnModel
from benchmarks.training.budget import Budget
from benchmarks.training.saving import STOPPED, Checkpoints
from cot_distill.language_model import load_pretrained
from cot_distill.teacher import read_traces, summary_of
from grpo.options import GRPOOptions, StudentOptions
from grpo.start import given_start
from reasoning_kit.commands.estimate import estimate_run
from reasoning_kit.config.spec import load_config, spec_from_dict
from reasoning_kit.runs.run import run

STUDENT = StudentOptions(samples=2, policy_share=0.1, writing_share=0.5, distillation=replace(SFT, schedule="cosine"))
BUDGET = Budget("steps", 60)


def options(half_taught, **changes) -> GRPOOptions:
    student = replace(STUDENT, **changes)
    return replace(SMALL, start=str(half_taught), learning_rate=1e-3, batch_size=32, pupil=student)


@pytest.fixture(scope="module")
def taught(half_taught, problems, tmp_path_factory):
    """6 steps of the policy, 120 traces, 54 steps of the student."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("taught")
    seen: list[float] = []
    student = train(
        TASK, problems, options(half_taught), MODEL, BUDGET, 0, folder / "trainer", folder,
        at_policy=lambda solver: seen.append(evaluate(solver, TASK, problems).accuracy),
    )  # fmt: skip
    return folder, student, seen[0]


def rows_of(folder):
    return [json.loads(line) for line in (folder / "traces" / "traces.jsonl").read_text().splitlines()[1:]]


def test_the_student_learns_what_the_policy_can_do_and_is_another_model(taught, problems):
    folder, student, policy = taught
    assert policy > 0.3
    assert evaluate(student.solver(TASK, "cot"), TASK, problems).accuracy > policy / 2
    saved = dict(load_pretrained(str(folder / "policy"))[0].named_parameters())
    for name, parameter in student.model.named_parameters():
        assert not torch.equal(parameter, saved[name]), name


def test_only_right_traces_are_learned_and_everything_is_counted(taught, problems):
    folder, student, _ = taught
    rows, summary = rows_of(folder), summary_of(folder / "traces")
    assert len(rows) == summary["written"] == summary["asked"] == 120
    assert {(row["id"], row["sample"]) for row in rows} == {(p.id, s) for p in problems for s in range(2)}
    assert [row["sample"] for row in rows] == [0] * 60 + [1] * 60  # one of every problem before the second of any
    right = {row["id"] for row in rows if row["correct"]}
    assert 0 < summary["acceptance_per_sample"] < 1
    assert set(read_traces(folder / "traces", TASK, problems)) == right
    assert student.warnings[0].startswith(f"{60 - len(right)} of 60 training problems are left out")


def test_every_phase_is_paid(taught, half_taught, problems):
    """Writing by the longest prompt and completion of each batch, the whole of it."""
    folder, student, _ = taught
    shape = CausalLMShape.of(load_pretrained(str(folder / "policy"))[0].config)
    rows, flops = rows_of(folder), 0.0
    for at in (0, 32, 60, 92):
        batch = rows[at : at + (32 if at in (0, 60) else 28)]
        flops += shape.generation(
            len(batch), max(row["prompt_tokens"] for row in batch), max(row["tokens"] for row in batch)
        )
    assert student.costs["writing"].flops == pytest.approx(flops)
    assert student.costs["writing"].examples == 120
    assert student.costs["writing"].seconds > 0
    assert [student.costs[phase].steps for phase in ("policy", "writing", "pupil")] == [6, 0, 54]
    assert student.meter.spent == student.costs["policy"] + student.costs["writing"] + student.costs["pupil"]


@pytest.mark.parametrize(("unit", "limit"), [("flops", 3e9), ("examples", 900), ("tokens", 20000)])
def test_the_whole_ends_within_one_step_of_the_budget_and_writing_at_its_share(
    half_taught, problems, tmp_path, unit, limit
):
    spent: list[float] = []
    asked = options(half_taught, samples=500, policy_share=0.3, writing_share=0.2)
    student = train(
        TASK, problems, asked, MODEL, Budget(unit, limit), 0, tmp_path / "trainer", tmp_path,
        on_progress=lambda cost: spent.append(getattr(cost, unit)),
    )  # fmt: skip
    policy, writing = (getattr(student.costs[phase], unit) for phase in ("policy", "writing"))
    assert spent == sorted(spent)
    assert spent[-2] < limit <= spent[-1] == getattr(student.meter.spent, unit)
    assert 0.3 * limit <= policy
    batch = max(b - a for a, b in pairwise(spent))
    assert 0.2 * limit <= writing < 0.2 * limit + batch
    assert student.teaching["written"] < student.teaching["asked"] == 60 * 500


def test_milestones_are_of_the_model_that_trains(half_taught, problems, tmp_path):
    sizes: list[tuple[int, float]] = []
    small = options(half_taught, model=OwnModel(width=16, inner=32), policy_share=0.5, writing_share=0.2)
    student = train(
        TASK, problems, small, MODEL, Budget("steps", 20), 0, tmp_path / "trainer", tmp_path,
        milestones=[0.25, 0.75],
        at_milestone=lambda solver, cost: sizes.append((solver.model.config.hidden_size, cost.steps)),
    )  # fmt: skip
    assert sizes == [(32, 5), (16, 15)]
    assert student.model.num_parameters() < student.policy.model.num_parameters() / 2
    assert student.meter.spent.steps == 20


# --- killed -----------------------------------------------------------------------------------------------


LIMIT = 15_000  # tokens: about 7 steps of the policy, 180 traces, 10 steps of the student
STEPWISE = Checkpoints(1e-9, True, lambda text: None, on_resume=lambda spent: None)  # saved after every step


class Killed(Exception):
    pass


def go(half_taught, problems, folder, checkpoints=STEPWISE, on_progress=None):
    asked = options(half_taught, policy_share=0.5, writing_share=0.25, samples=3)
    return train(
        TASK, problems, asked, MODEL, Budget("tokens", LIMIT), 0, folder / "trainer", folder,
        on_progress=on_progress, checkpoints=checkpoints,
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(half_taught, problems, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, go(half_taught, problems, folder, Checkpoints())


def as_written(folder):
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in rows_of(folder)]
    return sorted(rows, key=lambda row: (row["sample"], row["id"]))


@pytest.mark.parametrize(("at", "torn"), [(0.3, False), (0.6, False), (0.6, True), (0.9, False), (0.9, True)])
def test_killed_in_any_phase_it_spends_what_an_undisturbed_run_spends(
    undisturbed, half_taught, problems, tmp_path, at, torn
):
    """In the policy's training, the writing and the student's training; ``torn``: not all traces of a batch came to the
    disk."""
    folder, whole = undisturbed

    def kill(cost):
        if cost.tokens >= at * LIMIT:
            raise Killed

    with pytest.raises(Killed):
        go(half_taught, problems, tmp_path, on_progress=kill)
    file = tmp_path / "traces" / "traces.jsonl"
    assert file.exists() is (at > 0.5)
    if torn:
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-5]) + '{"torn')
    resumed: list[Cost] = []
    told: list[str] = []
    again = go(half_taught, problems, tmp_path, replace(STEPWISE, on_resume=resumed.append, tell=told.append))
    assert any("traces are on the disk already" in text for text in told) is (at > 0.5)
    assert resumed[-1].tokens == pytest.approx(LIMIT * (0.5 if at == 0.6 else at), abs=0.1 * LIMIT)
    for phase, cost in whole.costs.items():
        assert replace(cost, seconds=0) == replace(again.costs[phase], seconds=0), phase
    assert again.meter.spent.seconds > 0
    assert as_written(tmp_path) == as_written(folder)
    assert again.losses == whole.losses
    for (name, one), other in zip(again.model.named_parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_asked_to_stop_while_it_writes_it_stops_after_a_batch(half_taught, problems, tmp_path):
    file = tmp_path / "traces" / "traces.jsonl"
    with pytest.raises(SystemExit) as ending:
        go(half_taught, problems, tmp_path, replace(STEPWISE, stop=file.exists))
    assert ending.value.code == STOPPED
    assert len(rows_of(tmp_path)) == 32
    assert not (tmp_path / "trainer" / "pupil").exists()


def test_traces_of_another_policy_are_not_taken_for_its_own(taught, half_taught, problems, tmp_path):
    told: list[str] = []
    for rate in (1e-3, 5e-4):
        changed = replace(options(half_taught), learning_rate=rate)
        checkpoints = Checkpoints(0, True, told.append)
        student = train(
            TASK, problems, changed, MODEL, BUDGET, 0, tmp_path / "trainer", tmp_path, checkpoints=checkpoints
        )
    assert [text.split(" are now in ")[0] for text in told] == ["samples of another configuration"]
    assert len(rows_of(tmp_path)) == student.teaching["written"] == 120


# --- what is wrong ----------------------------------------------------------------------------------------


def test_a_policy_that_solves_nothing_teaches_nothing(problems, tmp_path):
    nothing = replace(SMALL, start="model", pupil=STUDENT)
    with pytest.raises(UserError, match="accepted none of the 120 traces") as caught:
        train(TASK, problems, nothing, MODEL, Budget("steps", 10), 0, tmp_path / "trainer", tmp_path)
    assert "policy_share" in caught.value.cure
    assert caught.value.where == "method.grpo.pupil"


@pytest.mark.parametrize(
    ("words", "where", "what"),
    [
        ("policy_share=0.9", "policy_share", "leave the student nothing"),
        ("writing_share=0", "writing_share", "must be between 0 and 1, not 0"),
        ("samples=-1", "samples", "must be 0 or more, not -1"),
        ("temperature=-1", "temperature", "must be 0 or more, not -1"),
        ("temperature=0", "temperature", "all alike"),
        ("distillation.traces=here", "distillation", "the policy is the student's teacher"),
        ("distillation.content=wrong", "distillation", "the policy is the student's teacher"),
        ("sample=3", "", "unknown key 'sample'"),
        ("model.widht=3", "model", "unknown key 'widht'"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_anything_trains(words, where, what):
    with pytest.raises(UserError, match=what) as caught:
        load_config(["method=[grpo_distill]", f"method.grpo_distill.pupil.{words}"])
    assert caught.value.where == "method.grpo_distill.pupil" + (f".{where}" if where else "")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"model": OwnModel(width=30, heads=4)}, "method.grpo.pupil.model"),
        ({"model": OwnModel(path="/nowhere/model")}, "method.grpo.pupil.model.path=/nowhere/model"),
        ({"distillation": replace(SFT, trainer={"lr": 1})}, "method.grpo.pupil.distillation.trainer"),
    ],
)  # fmt: skip
def test_a_student_that_cannot_be_trained_is_told_before_the_policy_trains(
    half_taught, problems, tmp_path, changes, where
):
    with pytest.raises(UserError) as caught:
        train(TASK, problems, options(half_taught, **changes), MODEL, BUDGET, 0, tmp_path / "trainer", tmp_path)
    assert caught.value.where == where
    assert not list(tmp_path.iterdir())


def test_the_students_model_is_the_runs_but_for_what_it_names(half_taught):
    pretrained = ModelOptions(path="hub/name", lora_rank=8)
    assert OwnModel().over(pretrained, "model") == pretrained
    assert OwnModel(path="other").over(pretrained, "model") == replace(pretrained, path="other")
    assert OwnModel(lora_rank=2).over(pretrained, "model") == replace(pretrained, lora_rank=2)
    scratch = OwnModel(width=48, heads=8).over(pretrained, "model")
    assert (scratch.path, scratch.lora_rank, scratch.width, scratch.heads) == (None, 0, 48, 8)


# --- the whole row ----------------------------------------------------------------------------------------


def test_the_record_tells_the_policy_from_the_student(half_taught, tmp_path):
    row = "method.grpo_distill_small"
    [spec] = load_config(
        [
            "task=addition-4x4", "task.addition-4x4.digits=[1,1]", "train_size=40", "test_size=10",
            "method=grpo_distill_small", f"{row}.start={half_taught}", f"{row}.batch_size=32",
            f"{row}.pupil.policy_share=0.2", f"{row}.pupil.model.width=16", f"{row}.pupil.model.inner=32",
            f"{row}.max_new_tokens=14", "budget.unit=steps", "budget.limit=20",
        ]
    ).runs()  # fmt: skip
    assert spec_from_dict(json.loads(json.dumps(asdict(spec)))) == spec
    record = run(spec, tmp_path, lambda *_: None)
    found = record.diagnostics["pupil"]
    assert set(found["costs"]) == {"policy", "writing", "pupil"}
    assert record.training["steps"] == 20
    assert record.parameters < load_pretrained(str(tmp_path / "policy"))[0].num_parameters()
    assert load_pretrained(str(tmp_path / "model"))[0].num_parameters() == record.parameters
    assert (tmp_path / "traces" / "teacher.json").exists()
    told = " ".join(record.notes)
    assert f"The policy solved {found['policy_accuracy']:.1%} after GRPO" in told
    assert f"accepted {found['teaching']['acceptance_per_sample']:.1%}" in told
    assert "Of the budget the policy took 20%, writing 0%, the student 80%" in told
    task = spec.task.load()
    start, _ = given_start(task, task.generate("train", 4, 0), GRPOOptions(start=str(tmp_path)), MODEL, BUDGET, 0)
    assert start.model.num_parameters() == record.parameters  # a run's model is its student


@pytest.mark.parametrize("unit", ["flops", "steps", "tokens"])
def test_an_estimate_prices_both_models(unit):
    words = ["task=addition-4x4", "train_size=40", "test_size=10", f"budget.unit={unit}", "budget.limit=1e9"]
    found = {
        run.method: estimate_run(run, probe=False)
        for run in load_config([*words, "method=[grpo,cot,grpo_distill,grpo_distill_small]"]).runs()
    }
    grpo, cot, same, small = (found[name] for name in ("grpo", "cot", "grpo_distill", "grpo_distill_small"))
    assert same.parameters == grpo.parameters > 3 * small.parameters
    assert small.flops_per_answer < grpo.flops_per_answer / 3
    assert small.state_bytes == grpo.state_bytes  # the larger of the two
    if unit == "tokens":
        assert same.steps is None
    elif unit == "flops":
        assert same.steps == pytest.approx(0.5 * grpo.steps + 0.35 * cot.steps)
        assert same.flops_per_step * same.steps == pytest.approx(0.85e9)  # the rest is writing
    else:
        assert same.steps == pytest.approx(1e9)
