"""A served model answers as it is: its votes, prices and thoughts, and that no answer is ever asked for twice."""

from __future__ import annotations

import json
import math

import pytest
from serving import MODEL, TASK

from benchmarks.errors import UserError
from benchmarks.evaluation import evaluate
from benchmarks.problem import Answer
from benchmarks.task import load_task
from cot_distill.generators.base import Completion
from cot_distill.prompted import PromptedSolver, keep_answers
from cot_distill.prompting import choose_shots, messages, read_answer, read_thought
from cot_distill.sample_log import SampleLog
from cot_distill.server_options import PromptedOptions

PROBLEMS = TASK.generate("train", 8, 0)
DRAWN = {"samples": 5, "temperature": 1.0}


def options(proxy, **changes) -> PromptedOptions:
    settings = {"base_url": proxy.url, "model": MODEL, "max_new_tokens": 40, "timeout": 30.0, "attempts": 1}
    return PromptedOptions(**(settings | changes))


def solver(proxy, path=None, seed=0, **changes) -> PromptedSolver:
    chosen = options(proxy, **changes)
    log = path and keep_answers(path, chosen, seed, "problems", True, lambda _: None)
    return PromptedSolver(TASK, chosen, seed=seed, log=log)


# --- what is asked and read -----------------------------------------------------------------------------


def test_the_question_with_its_instructions_is_one_message():
    [message] = messages(TASK, TASK.problem(7, 8))
    assert message["role"] == "user"
    assert message["content"].startswith(TASK.instructions)
    assert "\n\n7+8=\n\n" in message["content"]
    assert message["content"].endswith("<answer>...</answer>.")


def test_solved_examples_are_turns_that_can_be_read_as_answers():
    shots = choose_shots(TASK, PROBLEMS, 2)
    chat = messages(TASK, TASK.problem(7, 8), shots)
    assert [turn["role"] for turn in chat] == ["user", "assistant", "user", "assistant", "user"]
    for shot, turn in zip(shots, chat[1::2], strict=True):
        said = Completion(turn["content"], None, None, True)
        assert TASK.verify(shot, read_answer(TASK, shot, said)).correct
        assert read_thought(said) == turn["content"].partition("\n<answer>")[0] != ""
    with pytest.raises(UserError, match="9 solved problems are wanted, 8"):
        choose_shots(TASK, PROBLEMS, 9)


@pytest.mark.parametrize(("text", "thought", "expected"), [
    ("7+8 is 15.\n<answer>15</answer>", "", "7+8 is 15."),
    ("<think>7+8 is 15</think>The answer is 15.", "", "7+8 is 15"),
    ("7+8 is 15</think>15", "", "7+8 is 15"),
    ("15", "seven and eight", "seven and eight"),
    ("Seven and eight.\nThe answer is 15.", "", "Seven and eight."),
    ("It is 5+10. So the answer is 15.", "", "It is 5+10."),
    ("no idea", "", "no idea"),
    ("", "", ""),
])  # fmt: skip
def test_thoughts(text, thought, expected):
    assert read_thought(Completion(text, None, None, True, thought=thought)) == expected


@pytest.mark.parametrize("task", [load_task("sudoku", size=4), load_task("maze", size=8), TASK])
def test_a_labelled_answer_in_marks_is_right_in_every_family(task):
    problem = task.generate("test", 1, 0)[0]
    said = Completion(f"Well.\n<answer>{task.answer_text(problem)}</answer>", None, None, True)
    assert task.verify(problem, read_answer(task, problem, said)).correct


# --- answering ------------------------------------------------------------------------------------------


def test_greedy_answers_with_their_texts_and_prices(proxy):
    evaluation = evaluate(solver(proxy, parameters=1000.0), TASK, PROBLEMS)
    assert evaluation.accuracy > 0
    for prediction in evaluation.predictions:
        problem, solution = prediction.problem, prediction.solution
        read = len(problem.question) + 2  # =, the end of the line
        assert solution.tokens == solution.steps > 0
        assert solution.flops == 2 * 1000 * (read + solution.tokens)
        assert solution.seconds > 0
        assert solution.trajectory[-1].answer == solution.answer
        assert "".join(step.text for step in solution.trajectory).replace("\n", "") == solution.text.replace("\n", "")


def test_the_majority_of_samples_decides_and_the_oracle_sees_them_all(proxy):
    evaluation = evaluate(solver(proxy, **DRAWN), TASK, PROBLEMS)
    for prediction in evaluation.predictions:
        solution = prediction.solution
        said = [
            read_answer(TASK, prediction.problem, Completion(step.text, None, None, True))
            for step in solution.trajectory
        ]
        given = [answer for answer in said if answer is not None]
        assert len(said) == 5
        assert solution.seen == tuple(dict.fromkeys(given))
        if given:
            assert given.count(solution.answer) == max(map(given.count, given))
    assert evaluation.oracle is not None
    assert evaluation.oracle >= evaluation.accuracy
    assert [point.label for point in evaluation.scaling][:2] == ["1 samples", "2 samples"]


def test_without_its_size_a_model_has_no_price(proxy):
    assert all(math.isnan(solution.flops) for solution in solver(proxy).solve(PROBLEMS[:2]))


def test_without_counts_an_answer_has_no_tokens_and_no_price(proxy):
    proxy.fault = lambda *_: {"choices": [{"message": {"content": "<answer>15</answer>"}}]}
    [solution] = solver(proxy, parameters=1e9).solve([TASK.problem(7, 8)])
    assert (solution.answer, solution.tokens, solution.steps) == (Answer("15"), 0, 0)
    assert math.isnan(solution.flops)


def test_samples_that_do_not_differ_are_told(proxy):
    proxy.fault = lambda *_: {"choices": [{"message": {"content": "<answer>15</answer>"}}]}
    asked = solver(proxy, **DRAWN)
    asked.solve(PROBLEMS)
    assert "at temperature 1" in asked.notes[1]


def test_a_problem_without_a_usable_reply_is_wrong_and_told(proxy):
    bad = json.dumps(messages(TASK, PROBLEMS[3]))
    proxy.fault = lambda _, asked: {"choices": []} if asked.sample[0] == bad else ""
    asked = solver(proxy)
    solutions = asked.solve(PROBLEMS)
    assert solutions[3].answer is None
    assert sum(solution.answer is not None for solution in solutions) > 3
    assert asked.notes[0].startswith(f"A pretrained model ({MODEL}) behind {proxy.url}")
    assert asked.notes[1].startswith("1 of 8 requests got no usable reply and count as no answer; most often: ")


def test_a_wrong_file_or_no_model_is_told(proxy):
    with pytest.raises(UserError, match=r"method\.prompted\.model"):
        PromptedSolver(TASK, options(proxy, model=None))


# --- going on -------------------------------------------------------------------------------------------


def test_a_server_that_dies_in_the_middle_loses_nothing(served, proxy, tmp_path):
    path = tmp_path / "answers.jsonl"

    def die(number, _):
        if number == 17:
            served.kill()
        return ""

    proxy.fault = die
    with pytest.raises(UserError) as error:
        solver(proxy, path, concurrency=2, attempts=0, **DRAWN).solve(PROBLEMS)
    served.start()
    saved = len(path.read_text().splitlines()) - 1
    assert 10 <= saved < 40
    assert f"{saved} answers are saved in {path}; the same command goes on" in error.value.cure
    proxy.fault = lambda *_: ""
    progress = []
    solutions = solver(proxy, path, timeout=60.0, **DRAWN).solve(PROBLEMS, on_progress=progress.append)
    assert len(path.read_text().splitlines()) == 1 + 40
    assert len(proxy.answered()) == len(set(proxy.answered())) == 40, "nothing that was answered is asked again"
    assert progress[-1] == 8
    proxy.asked.clear()
    again = solver(proxy, path, **DRAWN).solve(PROBLEMS)
    assert proxy.asked == []
    assert again == solutions


def test_answers_of_another_configuration_are_set_aside(proxy, tmp_path):
    path = tmp_path / "answers.jsonl"
    solver(proxy, path).solve(PROBLEMS[:2])
    solver(proxy, path, concurrency=1, attempts=3, parameters=5.0).solve(PROBLEMS[:2])
    assert len(proxy.asked) == 2, "how it is asked and priced decides no answer"
    solver(proxy, path, max_new_tokens=39).solve(PROBLEMS[:2])
    assert len(proxy.asked) == 4
    assert len(list(tmp_path.glob(".answers-*.jsonl"))) == 1
    told = []
    again = keep_answers(path, options(proxy, max_new_tokens=39), 0, "problems", False, told.append)
    assert "not used, as asked" in told[0]
    with again() as log:
        assert log.rows == {}


# --- the file -------------------------------------------------------------------------------------------

ROWS = [{"id": "a", "sample": 0, "text": "é\u2028\ud800"}, {"id": "a", "sample": 1, "text": "x"}]


def test_rows_come_back_and_a_half_written_one_is_dropped(tmp_path):
    path, told = tmp_path / "log.jsonl", []
    with SampleLog(path, {"k": 1}) as log:
        log.append(ROWS[:1])
        log.append(ROWS[1:])
    whole = path.read_bytes()
    for cut in range(1, len(json.dumps(ROWS[1])) + 1):
        path.write_bytes(whole[:-cut])
        with SampleLog(path, {"k": 1}, tell=told.append) as log:
            assert list(log.rows) == [("a", 0)]
            assert log.missing(["a", "b"], 2) == [(0, 1), (1, 0), (1, 1)]
            log.append(ROWS[1:])
        assert path.read_bytes() == whole
    assert len(told) == len(json.dumps(ROWS[1]))


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    with SampleLog(path, {"k": 1, "j": 2}) as log:
        log.append(ROWS[1:])
        with pytest.raises(UserError, match="another command"):
            SampleLog(path, {"k": 1, "j": 2})
    with pytest.raises(UserError, match=r"another configuration \(k 1, now 3\).*--fresh"):
        SampleLog(path, {"k": 3, "j": 2})
    path.write_text(path.read_text() + "garbage\n")
    with pytest.raises(UserError, match=r"log\.jsonl:3: not a line"):
        SampleLog(path, {"k": 1, "j": 2})


def test_a_file_without_rows_takes_any_configuration(tmp_path):
    for value in (1, 2):
        SampleLog(tmp_path / "log.jsonl", {"k": value}).close()
    assert json.loads((tmp_path / "log.jsonl").read_text())["configuration"] == {"k": 2}


def test_seeds_are_those_of_the_run(proxy):
    texts = [[s.text for s in solver(proxy, seed=seed, **DRAWN).solve(PROBLEMS[:3])] for seed in (0, 1)]
    seeds = {asked.body["seed"] for asked in proxy.asked}
    assert len(seeds) == 2 * 3 * 5
    assert texts[0] != texts[1]
