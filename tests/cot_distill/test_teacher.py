"""A language model teaches: what is kept, what is counted, and that a stopped teacher goes on where it was."""

from __future__ import annotations

import json
import math
import shutil
from itertools import combinations

import pytest
import torch
from serving import MODEL, TASK

from benchmarks.errors import UserError
from benchmarks.language_models import ModelOptions
from benchmarks.records import RECORD
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from cot_distill.options import SFTOptions
from cot_distill.server_options import TeacherOptions
from cot_distill.teacher import is_accepted, pass_at_k, read_traces, summary_of, taught_by, teach

PROBLEMS = TASK.generate("train", 10, 0)


def options(model, **changes) -> TeacherOptions:
    return TeacherOptions(**({"model": str(model), "samples": 4, "max_new_tokens": 40, "attempts": 1} | changes))


def rows_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "traces.jsonl").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def taught(adder, tmp_path_factory):
    """By the small model, loaded here."""
    folder = tmp_path_factory.mktemp("taught")
    return folder, teach(TASK, PROBLEMS, options(adder, samples=8), folder)


def trained_run(folder, base="cot", steps=60):
    """What a finished run of this kit leaves: its record (only what a teacher looks at) and its model."""
    from training_runs import distill as train

    torch.set_num_threads(1)
    model = ModelOptions(width=32, layers=2, heads=2, key_value_heads=2, inner=64)
    sft = SFTOptions(batch_size=32, learning_rate=1e-2, warmup_steps=5)
    problems = TASK.generate("train", 60, 0)
    result = train(TASK, problems, sft, model, "cot", Budget("steps", steps), 0, folder / "trainer")
    result.model.generation_config.max_new_tokens = result.max_new_tokens
    result.model.save_pretrained(folder / "model")
    result.tokenizer.save_pretrained(folder / "model")
    write_record(folder, base)
    return result


def write_record(folder, base, task=None):
    empty = {"parameters": 1, "training": {}, "metrics": {}, "curve": [], "scaling": [], "notes": [], "demo": {}}
    empty |= {"diagnostics": {}, "versions": {}, "hardware": {}, "git": {}, "peak_memory_bytes": 0, "schema": 1}
    told = {"task": task or {"name": TASK.name, "family": TASK.family}, "method": base, "seed": 0}
    told |= {"config": {"base": base}, "fingerprint": "", "data": {}, "budget": {}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text(json.dumps(empty | told))


# --- what is written and counted --------------------------------------------------------------------------


def test_every_sample_is_written_with_its_judgement(taught):
    folder, summary = taught
    rows = rows_of(folder)
    by_id = {problem.id: problem for problem in PROBLEMS}
    assert {(row["id"], row["sample"]) for row in rows} == {(p.id, s) for p in PROBLEMS for s in range(8)}
    right = [row for row in rows if row["correct"]]
    assert 0 < len(right) < len(rows), "acceptance is neither 0 nor 1"
    for row in rows:
        assert row["correct"] == (row["answer"] == by_id[row["id"]].answer)
        assert bool(row["reason"]) != is_accepted(row)
        assert row["tokens"] > 0
        assert row["flops"] > 0
        if is_accepted(row):
            assert row["trace"]
            assert "answer" not in row["trace"]
    assert summary["written"] == summary["asked"] == 80
    assert summary["accepted"] == len(right) == 80 - sum(summary["rejected"].values())
    assert summary["acceptance_per_sample"] == len(right) / 80
    assert summary["acceptance_per_problem"] == len({row["id"] for row in right}) / 10
    assert summary["tokens"] == sum(row["tokens"] for row in rows)
    assert json.loads((folder / "teacher.json").read_text())["seconds"] == summary["seconds"] > 0


def test_pass_at_k_is_the_mean_over_all_choices():
    for samples in range(1, 7):
        for right in range(samples + 1):
            flags = [1] * right + [0] * (samples - right)
            for k in range(1, samples + 1):
                every = [max(chosen) for chosen in combinations(flags, k)]
                assert math.isclose(pass_at_k(samples, right, k), sum(every) / len(every))


def test_pass_at_k_of_the_summary(taught):
    _, summary = taught
    assert list(summary["pass_at_k"]) == [1, 2, 4, 8]
    assert math.isclose(summary["pass_at_k"][1], summary["acceptance_per_sample"])
    assert math.isclose(summary["pass_at_k"][8], summary["acceptance_per_problem"])


# --- what is learned ----------------------------------------------------------------------------------------


def test_what_is_learned_are_the_different_accepted_traces(taught):
    folder, summary = taught
    found = read_traces(folder, TASK, PROBLEMS)
    accepted = [row for row in rows_of(folder) if is_accepted(row)]
    assert {(i, trace) for i, traces in found.items() for trace in traces} == {(r["id"], r["trace"]) for r in accepted}
    assert sum(map(len, found.values())) == summary["different"]
    completions = taught_by(folder, TASK, PROBLEMS)
    for problem in PROBLEMS:
        if problem.id in found:
            assert completions(problem) == [f"{trace}</think>{problem.answer}" for trace in found[problem.id]]
        else:
            with pytest.raises(ValueError, match="no right trace"):
                completions(problem)


def test_a_trace_is_learned_with_the_answer_that_it_leads_to(tmp_path):
    """Where many answers are right, the teacher's own is another than the label."""
    task = load_task("maze", size=5, measure="valid")
    open_maze = next(p for p in task.generate("train", 200, 0) if _another_path(task, p))
    moves = _another_path(task, open_maze)
    answer = task.parse_answer(open_maze, moves)
    row = {"id": open_maze.id, "sample": 0, "question": open_maze.question, "answer": answer.text, "trace": "a thought",
           "correct": True, "reason": ""}  # fmt: skip
    lines = [{"configuration": {"model": "somebody"}}, row]
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = {"configuration": {}, "acceptance_per_sample": 1.0, "flops": None, "seconds": 1.0}
    (tmp_path / "teacher.json").write_text(json.dumps(told))
    assert taught_by(tmp_path, task, [open_maze])(open_maze) == [f"a thought</think>{moves}"]
    assert moves != task.answer_text(open_maze)


def _another_path(task, problem):
    """A shortest path that is not the labelled one, if there is one: two moves of it in the other order."""
    moves = task.answer_text(problem)
    for at in range(len(moves) - 1):
        swapped = moves[:at] + moves[at + 1] + moves[at] + moves[at + 2 :]
        answer = task.parse_answer(problem, swapped)
        if swapped != moves and answer is not None and task.verify(problem, answer).correct:
            return swapped
    return None


def test_other_problems_are_counted_and_none_is_an_error(taught, caplog):
    folder, _ = taught
    found = read_traces(folder, TASK, PROBLEMS[:5])
    assert set(found) <= {problem.id for problem in PROBLEMS[:5]}
    foreign = sum(is_accepted(r) for r in rows_of(folder) if r["id"] not in {p.id for p in PROBLEMS[:5]})
    assert f"{foreign} accepted traces are of problems that are not trained on" in caplog.text
    with pytest.raises(UserError, match="no accepted trace of any of the 2 training problems among 80"):
        read_traces(folder, TASK, TASK.generate("test", 2, 0))


@pytest.mark.parametrize(("change", "why"), [
    ({"answer": "99"}, "the answer is not right"), ({"question": "1+1"}, "another question"),
    ({"answer": None}, "it has no answer"), ({"trace": "a</think>b"}, "think marks"),
    ({"trace": " "}, "no thought"), ({"id": []}, "TypeError"),
])  # fmt: skip
def test_a_line_that_does_not_fit_is_refused(taught, tmp_path, change, why):
    """A trace that says it is accepted is verified again."""
    lines = (taught[0] / "traces.jsonl").read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if i and is_accepted(json.loads(line)))
    lines[number] = json.dumps(json.loads(lines[number]) | change)
    (tmp_path / "traces.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"traces\.jsonl:{number + 1}: .*{why}"):
        read_traces(tmp_path, TASK, PROBLEMS)


def test_the_summary_is_wanted_before_anything_is_learned(taught, tmp_path):
    folder, summary = taught
    assert summary_of(folder)["accepted"] == summary["accepted"]
    shutil.copy(folder / "traces.jsonl", tmp_path)
    for broken in (None, "{", "[]", "{}"):
        if broken is not None:
            (tmp_path / "teacher.json").write_text(broken)
        with pytest.raises(UserError, match=r"teacher\.json: cannot be read"):
            taught_by(tmp_path, TASK, PROBLEMS)


def test_no_traces_are_told(tmp_path):
    with pytest.raises(UserError, match=r"traces\.jsonl: cannot be read .*teach"):
        read_traces(tmp_path, TASK, PROBLEMS)


# --- who teaches --------------------------------------------------------------------------------------------


def test_a_server_teaches(proxy, tmp_path):
    summary = teach(TASK, PROBLEMS, options(MODEL, base_url=proxy.url), tmp_path)
    assert summary["written"] == len(proxy.answered()) == 40
    assert 0 < summary["accepted"] < 40
    assert summary["flops"] is None, "its size is not told"
    traces = read_traces(tmp_path, TASK, PROBLEMS)
    assert sum(map(len, traces.values())) == summary["different"]
    shown = teach(TASK, PROBLEMS[:1], options(MODEL, base_url=proxy.url, parameters=100.0), tmp_path / "priced")
    assert shown["flops"] == 200 * (shown["tokens"] + shown["prompt_tokens"])


def test_a_solved_example_is_never_the_problem_itself(proxy, tmp_path):
    teach(TASK, PROBLEMS[:3], options(MODEL, base_url=proxy.url, samples=1, shots=1), tmp_path)
    for asked in proxy.asked:
        example, _, question = asked.body["messages"]
        assert example["content"] != question["content"]


def test_a_finished_run_teaches_as_it_was_trained(tmp_path):
    trained_run(tmp_path / "run")
    folder = tmp_path / "traces"
    summary = teach(TASK, PROBLEMS, options(tmp_path / "run", max_new_tokens=None), folder)
    assert 0 < summary["accepted"] < 40
    longest = len("7+8+0=15</think>15") * 1.25 + 10
    for row in rows_of(folder):
        assert row["prompt_tokens"] == len(row["id"]) + 2  # = and <think>
        assert row["tokens"] <= longest
        if is_accepted(row):
            assert "</think>" not in row["trace"]
    assert read_traces(folder, TASK, PROBLEMS)


@pytest.mark.parametrize("base", ["trm", "direct", "answer_only", "prompted"])
def test_a_run_without_thoughts_does_not_teach(tmp_path, base):
    write_record(tmp_path / "run", base)
    with pytest.raises(UserError, match=rf"'{base}' writes no thoughts.*cot or grpo"):
        teach(TASK, PROBLEMS, options(tmp_path / "run"), tmp_path / "traces")


def test_a_run_on_another_task_does_not_teach(tmp_path):
    write_record(tmp_path / "run", "cot", {"name": "sudoku-4x4", "family": "sudoku"})
    with pytest.raises(UserError, match="it learned 'sudoku-4x4'"):
        teach(TASK, PROBLEMS, options(tmp_path / "run"), tmp_path / "traces")


def test_no_model_there(tmp_path):
    with pytest.raises(UserError, match=r"teacher\.model=.*nothing"):
        teach(TASK, PROBLEMS, options(tmp_path / "nothing"), tmp_path / "traces")


def test_a_base_model_without_a_chat_template_gets_plain_text(adder, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(adder, folder)
    (folder / "chat_template.jinja").unlink()
    summary = teach(TASK, PROBLEMS[:1], options(folder, samples=1), tmp_path / "traces")
    assert summary["written"] == 1
    assert rows_of(tmp_path / "traces")[0]["prompt_tokens"] > 50, "the whole instruction, not the question alone"


# --- going on -----------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def stop_after(count):
    def progress(written, _):
        if written >= count:
            raise Stopped

    return progress


def test_a_stopped_server_teacher_goes_on(proxy, tmp_path):
    chosen = options(MODEL, base_url=proxy.url, concurrency=2)
    with pytest.raises(Stopped):
        teach(TASK, PROBLEMS, chosen, tmp_path, on_progress=stop_after(13))
    early = rows_of(tmp_path)
    assert len(early) == 13
    assert json.loads((tmp_path / "teacher.json").read_text())["written"] == 13
    with (tmp_path / "traces.jsonl").open("a") as file:
        file.write('{"id": "7+')  # as a power cut leaves it
    told = []
    summary = teach(TASK, PROBLEMS, chosen, tmp_path, tell=told.append)
    assert "written by half" in told[0]
    assert rows_of(tmp_path)[:13] == early
    assert summary["written"] == 40
    kept = 13 + 27
    assert kept <= len(proxy.asked) <= kept + 2, "only what was on its way when it was stopped is asked again"
    proxy.asked.clear()
    again = teach(TASK, PROBLEMS, chosen, tmp_path)
    assert proxy.asked == []
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}


def test_a_stopped_local_teacher_goes_on(adder, tmp_path):
    chosen = options(adder, batch_size=8)
    with pytest.raises(Stopped):
        teach(TASK, PROBLEMS, chosen, tmp_path, on_progress=stop_after(12))
    lines = (tmp_path / "traces.jsonl").read_text().splitlines()
    (tmp_path / "traces.jsonl").write_text("\n".join(lines[:-3]) + "\n")  # a problem with one sample of four
    early = rows_of(tmp_path)
    summary = teach(TASK, PROBLEMS, chosen, tmp_path)
    assert rows_of(tmp_path)[: len(early)] == early
    assert summary["written"] == 40


def test_failures_are_counted_and_asked_for_again(proxy, tmp_path):
    bad = PROBLEMS[2].question
    proxy.fault = lambda _, asked: {"choices": []} if f"\n{bad}=" in asked.body["messages"][-1]["content"] else ""
    chosen = options(MODEL, base_url=proxy.url)
    summary = teach(TASK, PROBLEMS, chosen, tmp_path)
    assert summary["written"] == 36
    assert sum(summary["failed"].values()) == 4
    proxy.fault = lambda *_: ""
    proxy.asked.clear()
    summary = teach(TASK, PROBLEMS, chosen, tmp_path)
    assert len(proxy.asked) == 4
    assert (summary["written"], summary["failed"]) == (40, {})


def test_a_dead_server_says_what_is_saved(proxy, tmp_path):
    def close(number, _):
        return 503 if number > 5 else ""

    proxy.fault = close
    with pytest.raises(UserError, match=rf"6 answers are saved in {tmp_path}/traces.jsonl; the same command goes on"):
        teach(TASK, PROBLEMS, options(MODEL, base_url=proxy.url, attempts=0), tmp_path)


def test_another_configuration_is_refused(taught, adder):
    folder, before = taught
    for other, difference in (
        ({"samples": 8, "temperature": 0.5}, "temperature 1.0, now 0.5"),
        ({"samples": 2}, "samples 8, now 2"),
    ):
        with pytest.raises(UserError) as error:
            teach(TASK, PROBLEMS, options(adder, **other), folder)
        assert difference in error.value.what
        assert "--fresh" in error.value.cure
    other_task = load_task("arithmetic", digits=(1, 1))
    others = other_task.generate("train", 3, 0)
    with pytest.raises(UserError, match="task 'addition-1x1', now 'multiplication-1x1', problems"):
        teach(other_task, others, options(adder, samples=8), folder)
    assert json.loads((folder / "teacher.json").read_text())["written"] == before["written"]


def test_fresh_moves_them_aside(adder, tmp_path):
    teach(TASK, PROBLEMS[:2], options(adder), tmp_path)
    told = []
    summary = teach(TASK, PROBLEMS[:2], options(adder, samples=2), tmp_path, fresh=True, tell=told.append)
    assert summary["written"] == 4
    [aside] = tmp_path.glob(".traces-*.jsonl")
    assert str(aside) in told[0]
    assert len(aside.read_text().splitlines()) == 1 + 8
