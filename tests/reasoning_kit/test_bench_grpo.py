"""``bench grpo-step`` and the times in every run's history: parts sum to the step, and each is what it says it is."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from dataclasses import replace

import pytest
import torch
from command_line import call

from benchmarks.training.budget import Budget
from grpo.step_shares import PARTS, WORK, shares
from grpo.trainer import PricedGRPOTrainer
from reasoning_kit.config.spec import load_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WORDS = (
    "task=[addition-4x4]", "train_size=64", "test_size=8", "threads=1", "budget.unit=steps", "budget.limit=30",
    "model.width=32", "model.heads=2", "model.key_value_heads=2", "model.inner=64", "method.grpo.start_share=0.1",
    "method.grpo.batch_size=32", "method.grpo.distillation.batch_size=8", "method.grpo.max_new_tokens=40",
)  # fmt: skip


def test_the_command_tells_where_a_step_goes(tmp_path):
    out = tmp_path / "step.json"
    variant = ("method=[grpo,penalised]", "method.penalised.base=grpo", "method.penalised.beta=0.04")
    done = call("bench", "grpo-step", *WORDS, *variant, "--steps", "4", "--out", out)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in (*PARTS.values(), "work", "addition-4x4", "penalised"))
    found = json.loads(out.read_text())
    assert found["command"].startswith("reasoning-kit bench")
    assert found["versions"]["torch"] == torch.__version__
    assert found["threads"] == 1
    assert [row["method"] for row in found["rows"]] == ["grpo", "penalised"]
    for row in found["rows"]:
        assert len(row["steps"]) == 4
        assert row["batch_size"] == 32
        assert 0 < row["tokens"] <= 40
        assert set(row["shares"]) == set(PARTS)
        assert math.fsum(row["shares"].values()) == pytest.approx(1)
        assert min(row["shares"].values()) >= 0
        assert row["work"] == pytest.approx(math.fsum(row["shares"][part] for part in WORK))
        assert row["seconds"] == pytest.approx(sum(step["time/step"] for step in row["steps"]) / 4)
    plain, penalised = (row["shares"]["log_probabilities"] for row in found["rows"])
    assert plain == 0 < penalised, "no reference model without a penalty"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("method=[grpo,trm]",), "every method must be grpo or a variant of it, and 'trm' is not"),
        (("--steps", "0"), "--steps"),
        (("budget.limit=4", "method.grpo.start_share=0.5"), "none was measured"),
    ],
)
def test_mistakes_are_one_message(said, words, message):
    assert message in said("bench", "grpo-step", *WORDS, *words, code=2)


def test_each_part_is_the_time_of_what_it_is_called_by(tmp_path, monkeypatch):
    """Against clocks of its own around transformers' generate, the model's passes and the optimiser; with groups that
    are drawn anew, a reference model, and a reward and a callback of known length."""
    from training_runs import train_policy as train
    from transformers import TrainerCallback

    torch.set_num_threads(1)
    reward = tmp_path / "slow.py"
    reward.write_text(
        "import time\ndef slow(completions, **_):\n    time.sleep(0.05)\n    return [0.0] * len(completions)"
    )
    clock: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def timed(name, function):
        def call(*args, **kwargs):
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                clock[name] += time.perf_counter() - started
                calls[name] += 1

        return call

    class Waiting(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            time.sleep(0.02)

    begun = PricedGRPOTrainer.train

    def train_timed(self, *args, **kwargs):
        self.add_callback(Waiting())
        monkeypatch.setattr(self.model, "generate", timed("generation", self.model.generate))
        monkeypatch.setattr(self.accelerator, "backward", timed("backward", self.accelerator.backward))
        monkeypatch.setattr(self, "_compute_loss", timed("loss", self._compute_loss))
        monkeypatch.setattr(self.ref_model, "forward", timed("reference", self.ref_model.forward))
        return begun(self, *args, **kwargs)

    monkeypatch.setattr(PricedGRPOTrainer, "train", train_timed)
    [spec] = load_config(["method=[grpo]", *WORDS]).runs()
    task, splits = spec.task.load(), spec.splits()
    options = replace(spec.options, start="model", beta=0.04, resample=1, held_out=0, rewards={f"{reward}:slow": 0.5})
    history = train(task, splits.train, options, spec.model, Budget("steps", 8), 0, tmp_path).steps
    found = shares(history)
    took = {part: share * found.seconds * len(history) for part, share in found.of.items()}
    assert took["generation"] == pytest.approx(clock["generation"], rel=0.1)
    assert clock["backward"] + clock["loss"] < took["passes"]
    assert took["passes"] == pytest.approx(clock["backward"] + clock["loss"], rel=0.1)
    assert clock["reference"] < took["log_probabilities"] < 1.5 * clock["reference"]
    assert took["rest"] > 8 * 0.02
    assert calls["generation"] == 16, "every group had zero variance and was drawn again"
    assert took["rewards"] > 16 * 0.05
    assert math.fsum(found.of.values()) == pytest.approx(1)


def test_a_sentence_names_the_greatest_first():
    entry = {"time/step": 2.0, "time/generation": 0.5, "time/passes": 1.5, "time/rest": 0.001}
    found = shares([entry, {"loss": 1.0}])
    assert found.text == "A step took 2 s: forward and backward 75 %, generation 25 %."
    assert found.work == 1
    assert shares([{"loss": 1.0}]) is None
