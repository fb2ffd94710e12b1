"""``reasoning-kit teach`` as it is typed."""

from __future__ import annotations

import json
import re

import pytest
from serving import MODEL

TASK = ("task=addition-4x4", "task.addition-4x4.digits=[1,1]", "train_size=12", "test_size=4")


@pytest.mark.slow
def test_a_server_teaches_and_the_same_command_goes_on(said, proxy, tmp_path):
    words = ("teach", *TASK, f"teacher.base_url={proxy.url}", f"teacher.model={MODEL}", "teacher.samples=4")
    words += ("teacher.max_new_tokens=40", "--out", "traces")
    out = said(*words)
    assert "48 of 48 traces of 12 problems: " in out
    assert "pass@k: 1: " in out
    assert f"method.cot.traces={'traces'}" in out
    summary = json.loads((tmp_path / "traces" / "teacher.json").read_text())
    assert 0 < summary["accepted"] < 48
    assert summary["configuration"]["samples"] == 4
    assert len(proxy.asked) == 48
    timed = r"FLOPs, .*"  # looking through what is there takes a moment too
    assert re.sub(timed, "", said(*words)) == re.sub(timed, "", out)
    assert len(proxy.asked) == 48
    refused = said(*words, "teacher.samples=5", code=2)
    assert "samples 4, now 5" in refused
    assert "now in traces/.traces-" in said(*words, "teacher.samples=1", "--fresh")


def test_a_local_model_teaches(said, adder, tmp_path):
    out = said("teach", *TASK, f"teacher.model={adder}", "teacher.samples=2", "teacher.max_new_tokens=40")
    assert "24 of 24 traces" in out
    assert (tmp_path / "runs" / "teacher-addition-4x4" / "traces.jsonl").exists()


def test_a_failing_reply_is_shown(said, proxy):
    proxy.fault = lambda number, _: {"choices": []} if number < 2 else ""
    out = said("teach", *TASK, f"teacher.base_url={proxy.url}", f"teacher.model={MODEL}", "teacher.samples=1",
               "teacher.max_new_tokens=40", "teacher.attempts=0", "teacher.concurrency=1")  # fmt: skip
    assert "10 of 12 traces" in out
    assert "no usable reply, 2: no completion in the reply: no choices" in out
    assert "The same command asks again" in out


@pytest.mark.parametrize(("words", "told"), [
    ((), "no task is named"),
    (("teacher.model=m",), "no task is named"),
    (TASK, "teacher.model: which model shall teach?"),
    (("task=[addition-4x4,sudoku-4x4]", "teacher.model=m"), "2 tasks are named"),
    ((*TASK, "teacher.model=m", "teacher.sample=3"), "Did you mean 'samples'?"),
    ((*TASK, "teacher.model=m", "teacher.samples=many"), "teacher.samples: the value must be a whole number"),
    ((*TASK, "teacher.model=m", "teacher.temperature=0"), "greedy samples are all the same"),
    ((*TASK, "teacher.model=m", "teacher.base_url=localhost"), "must be the address of a server, not 'localhost'"),
    ((*TASK, "teacher.model=m", "teacher.samples"), "key=value"),
    ((*TASK, "teacher.model=m", "method=[trm]"), "'method' says nothing to a teacher"),
    ((*TASK, "teacher.model=m", "taks=x"), "Did you mean 'task'?"),
    (("task=adition-4x4", "teacher.model=m"), "Did you mean 'addition-4x4'?"),
    ((*TASK, "teacher.model=m", "teacher.base_url=http://127.0.0.1:9/v1", "teacher.attempts=0"), "no connection"),
])  # fmt: skip
def test_mistakes_are_one_message(said, words, told):
    assert told in said("teach", *words, code=2)
