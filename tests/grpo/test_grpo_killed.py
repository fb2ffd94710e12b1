"""Killed with SIGKILL while it writes completions and started again by the same words, GRPO ends as if undisturbed."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from benchmarks.records import RunRecord
from grpo.step_shares import shares
from reasoning_kit.commands.diagnose import diagnose_run

pytestmark = pytest.mark.slow

STEPS = 8
WORDS = (
    "task=[addition-4x4]", "task.addition-4x4.digits=[1,1]", "train_size=60", "test_size=8", "method=[grpo]",
    "method.grpo.num_generations=4", "method.grpo.batch_size=8", "method.grpo.learning_rate=1e-3",
    "method.grpo.max_new_tokens=14", "method.grpo.held_out=0", "budget.unit=steps", f"budget.limit={STEPS}",
    "evaluation.curve_problems=0", "evaluation.milestones=[]",
)  # fmt: skip
SAVING = "method.grpo.trainer={save_strategy: steps, save_steps: %d%s}"
WAYS = {  # words, the newest checkpoint, and the step in which it is killed while it writes
    "plain": ([SAVING % (2, "")], 4, 5),
    "resample": ([SAVING % (2, ""), "method.grpo.resample=3"], 4, 5),
    # The checkpoint lies between the two uses of a batch, which is written anew.
    "each batch twice": ([SAVING % (3, ", num_iterations: 2")], 3, 4),
}


def attempt(folder: Path, words: list[str], pipe=None, kill_at: int = STEPS) -> None:
    """One attempt in a process of its own, which notes what it asks; with a pipe it stops in the middle of writing in
    the step after ``kill_at``, and says so.
    """
    torch.set_num_threads(1)
    from benchmarks.training.saving import Checkpoints
    from grpo.trainer import PolicyTrainerMixin
    from reasoning_kit.config.spec import load_config
    from reasoning_kit.runs.run import run

    write = PolicyTrainerMixin._generate_single_turn

    def noted(self, prompt_ids, *args, **kwargs):
        if self._ready is None:
            with (folder / "asked.jsonl").open("a") as file:
                file.write(json.dumps([self.state.global_step, prompt_ids]) + "\n")
            if pipe is not None and self.state.global_step == kill_at:
                self.model.register_forward_pre_hook(stop_at_third_token)
        return write(self, prompt_ids, *args, **kwargs)

    passes = []

    def stop_at_third_token(*_):
        passes.append(1)
        if len(passes) == 3:
            pipe.send("writing")
            time.sleep(600)

    PolicyTrainerMixin._generate_single_turn = noted
    [spec] = load_config(words).runs()
    run(spec, folder, lambda *_: None, Checkpoints(minutes=1, resume=True))


@pytest.fixture(scope="module")
def processes():
    """Real processes, without the seconds of imports: the server that starts them has them done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["grpo.train", "reasoning_kit.runs.run", "benchmarks.verifiable.arithmetic"])
    return context


def undisturbed(processes, folder: Path, words: list[str]) -> list:
    """What it asked: ``[step, prompts]`` of each time that completions were written."""
    folder.mkdir(exist_ok=True)
    (folder / "asked.jsonl").unlink(missing_ok=True)
    process = processes.Process(target=attempt, args=(folder, words))
    process.start()
    process.join()
    assert process.exitcode == 0
    return asked(folder)


def killed(processes, folder: Path, words: list[str], kill_at: int) -> list:
    folder.mkdir()
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=attempt, args=(folder, words, there, kill_at))
    process.start()
    there.close()
    assert here.recv() == "writing"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return asked(folder)


def asked(folder: Path) -> list:
    return [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("way", WAYS)
def test_killed_while_it_writes_and_resumed_it_asks_the_same(processes, half_taught, tmp_path, way):
    own, saved, kill_at = WAYS[way]
    words = [*WORDS, f"method.grpo.start='{half_taught}'", *own]
    whole = undisturbed(processes, tmp_path / "whole", words)
    before = killed(processes, tmp_path / "broken", words, kill_at)
    assert not (tmp_path / "broken" / "record.json").exists()
    assert before == [each for each in whole if each[0] <= kill_at][: len(before)]
    assert before[-1][0] == kill_at
    after = undisturbed(processes, tmp_path / "broken", words)
    if way == "each batch twice":
        assert [step for step, _ in whole] == [0, 2, 4, 6]
        assert after == [[saved, whole[1][1]], *whole[2:]]
    else:
        assert after == [each for each in whole if each[0] >= saved]
    assert (way == "resample") == (len(whole) > STEPS)
    one, other = (RunRecord.load(tmp_path / name) for name in ("whole", "broken"))
    resumed = f"Resumed at step {saved} ({saved / STEPS:.0%} of the budget)."
    assert [note for note in other.notes if "esumed" in note] == [resumed]
    assert not any("esumed" in note for note in one.notes)
    for record in (one, other):
        assert [entry["step"] for entry in record.diagnostics["history"]] == list(range(1, STEPS + 1))
        assert record.training["steps"] == STEPS
        assert shares(record.diagnostics["history"]).work > 0.5
    console = Console(file=io.StringIO(), width=200)
    diagnose_run(tmp_path / "broken", console)
    assert shares(other.diagnostics["history"]).text in console.file.getvalue()
    if way != "each batch twice":  # to the last bit
        assert one.training["flops"] == other.training["flops"]
        first, second = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "broken"))
        assert first.keys() == second.keys()
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
