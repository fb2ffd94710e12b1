"""The engine: a step that nobody waits for, a compiled recursion, and two processes that do what one does."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from training_runs import train_recursive as train

from benchmarks.errors import UserError
from benchmarks.task import load_task
from benchmarks.training.budget import Budget
from trm.compilation import compile_recursion
from trm.configuration import TRMConfig
from trm.cpu_matmul import TALL, as_recorded, product
from trm.dataset import Examples
from trm.ema import EMACallback
from trm.halting import minimum_steps
from trm.losses import supervision_loss
from trm.modeling import TRMForPuzzles
from trm.optimizers import build_optimizer
from trm.options import TRMOptions
from trm.random_numbers import Draws
from trm.supervision import DeepSupervision
from trm.trainer import build

# --- no waiting ---------------------------------------------------------------------------------


class MetaGenerator(torch.Generator):
    """A generator of the device that has shapes and no numbers: whoever asks for one gets an error."""

    @property
    def device(self):
        return torch.device("meta")


class MetaDraws(Draws):
    def at(self, step, what):
        return MetaGenerator()


@pytest.fixture(autouse=True)
def unchecked():
    """torch.compile cannot trace what checks types in tests; these tests are about what it makes of the code itself."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


FAMILIES = [
    ("sudoku", {"size": 4}),
    ("maze", {"size": 6, "measure": "valid"}),
    ("maze", {"size": 6, "measure": "exact"}),
    ("graph-coloring", {"nodes": 5}),
    ("satisfiability", {"variables": 4, "clauses": 12}),
    ("job-shop", {"jobs": 2, "machines": 2}),
    ("arithmetic", {"digits": [2, 2]}),
]


@pytest.mark.parametrize(("family", "size"), FAMILIES)
@pytest.mark.parametrize("act", ["halt", "halt_continue", "none"])
def test_nothing_in_a_step_asks_what_a_number_is(family, size, act, monkeypatch):
    """Symmetries, carry, forward, loss, halting, backward, clipping, optimiser and average, all without numbers. On a
    GPU each question for one would stop the host until the device has caught up."""
    task = load_task(family, **size)
    options = TRMOptions(width=16, heads=2, T=2, n=1, batch_size=3, act=act, optimizer="adam_atan2", prefix=1)
    examples = Examples(task, task.generate("train", 4, 0), options)
    model = TRMForPuzzles(build(task, options)).to("meta")
    examples.to("meta")
    supervision, ema, optimizer = DeepSupervision(model), EMACallback(), build_optimizer(model, options)
    ema.start(model)
    draws = MetaDraws(0, "meta")
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)  # a GPU's business
    for step in range(2):
        offer = examples.take(torch.tensor([0, 1, 2], device="meta"), draws, step)
        minimum = minimum_steps(3, model.config.supervision_steps, 0.1, draws.at(step, "exploration"))
        loss, _ = supervision.step(model, offer, minimum)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.update(model)
    assert supervision.left.device.type == supervision.entered.device.type == "meta"
    with pytest.raises(RuntimeError):  # the yardstick works
        supervision.entered.item()


def test_draws_are_a_function_of_seed_step_and_purpose():
    def drawn(draws, step, what="symmetries"):
        return torch.rand(8, generator=draws.at(step, what)).tolist()

    assert drawn(Draws(1), 5) == drawn(Draws(1), 5)
    different = [drawn(Draws(1), 5), drawn(Draws(2), 5), drawn(Draws(1), 6), drawn(Draws(1), 5, "exploration")]
    assert len({tuple(numbers) for numbers in different}) == 4
    rows = torch.arange(6)
    assert [Draws(0, process=p, processes=3).part(rows).tolist() for p in range(3)] == [[0, 1], [2, 3], [4, 5]]


# --- compiled -------------------------------------------------------------------------------------

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on a CPU")
SIZES = {"vocabulary_size": 5, "positions": 6, "width": 16, "heads": 2, "inner_multiple": 16}
SMALL = SIZES | {"layers": 1, "T": 2, "n": 1}


def three_steps(what, **settings):
    """Losses and the last gradients of three supervision steps."""
    torch.manual_seed(0)
    model = TRMForPuzzles(TRMConfig(**SMALL | settings))
    compile_recursion(model, what)
    ids, labels = torch.randint(5, (2, 4, 6))
    carry, losses = None, []
    for _ in range(3):
        output = model(ids, carry)
        loss = supervision_loss(output, labels, "stablemax").total
        model.zero_grad()
        loss.backward()
        carry = output.carry
        losses.append(loss.item())
    return losses, [p.grad for p in model.parameters()]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("recursion", {"mixer": "mlp"}),
        ("network", {"mixer": "attention", "gradient_evaluations": 2}),
        ("cuda_graphs", {"mixer": "mlp"}),  # a CPU leaves the graphs out and runs everything else
    ],
)
def test_a_compiled_recursion_is_the_eager_one(what, settings):
    torch._dynamo.reset()
    losses, gradients = three_steps("off", **settings)
    compiled_losses, compiled_gradients = three_steps(what, **settings)
    assert compiled_losses == pytest.approx(losses, rel=1e-4)
    for mine, theirs in zip(compiled_gradients, gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@needs_compiler
def test_training_can_be_compiled(task, problems, tiny, tmp_path):
    """Through the trainer, in mixed precision: another program, nearly the same numbers."""
    torch._dynamo.reset()
    small = {**tiny, "precision": "bfloat16", "layers": 1, "trainer": {"logging_steps": 1}}
    eager, compiled = (
        train(task, problems, TRMOptions(**small, compile=what), Budget("steps", 3), 0, tmp_path).losses
        for what in ("off", "network")
    )
    assert [e["loss"] for e in compiled] == pytest.approx([e["loss"] for e in eager], rel=0.02)
    assert [e["grad_norm"] for e in compiled] != [e["grad_norm"] for e in eager], "nothing was compiled"


@pytest.mark.slow
@needs_compiler
def test_a_solver_s_batches_are_not_compiled():
    """They shrink and grow, and every size would be compiled anew."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = TRMForPuzzles(TRMConfig(**SMALL))
    compile_recursion(model, "recursion")
    with torch.inference_mode():
        for rows in (1, 2, 3):
            model(torch.zeros(rows, 6, dtype=torch.long))
    assert not torch._dynamo.utils.counters["stats"]
    model(torch.zeros(2, 6, dtype=torch.long))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("variant", [{"experts": 2}, {"recursion": "fixed_point"}])
def test_what_cannot_be_compiled_is_refused(variant):
    with pytest.raises(UserError, match="compile"):
        TRMOptions(compile="recursion", **variant)


# --- products by oneDNN ---------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [6, 3000])  # in all 12 or 6,000: on either side of TALL
def test_products_and_their_gradients_are_torchs(rows):
    torch.manual_seed(0)
    h, weight = torch.randn(2, rows, 24), torch.randn(40, 24)
    weights = torch.randn(2, rows, 40)
    found = []
    for way in (nullcontext, as_recorded):
        mine, its = h.clone().requires_grad_(), weight.clone().requires_grad_()
        with way():
            result = product(mine.transpose(0, 1), its)  # strided, as columns are
        (result * weights.transpose(0, 1)).sum().backward()
        found.append((result.detach(), mine.grad, its.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert product(h, weight).requires_grad is False
    assert 2 * 6 <= TALL < 2 * 3000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN is asked for on x86 only")
def test_as_recorded_is_torchs_own_and_ends():
    """So that a comparison to the last bit really is one, and nothing else loses its speed to it."""
    h, weight = torch.randn(64, 512), torch.randn(512, 512)
    with as_recorded():
        assert torch.equal(product(h, weight), torch.nn.functional.linear(h, weight))
    with torch.profiler.profile() as profile:
        product(h, weight)
    seen = {event.key for event in profile.key_averages()}
    assert "mkldnn::_linear_pointwise" in seen


# --- two processes ------------------------------------------------------------------------------


def losses_of(processes, folder, batch_size):
    """The loss curve of a few steps with ``accelerate launch``, at a global batch of ``processes * batch_size``."""
    here = Path(__file__).parent
    command = [sys.executable, "-m", "accelerate.commands.launch", f"--num_processes={processes}", "--num_machines=1"]
    # --multi_gpu is its name for "through torchrun"; --cpu alone would want mpirun for two processes, and start one.
    command += ["--multi_gpu", "--main_process_port=0"] if processes > 1 else []
    command += ["--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"]
    command += [str(here / "distributed_run.py"), str(folder), str(batch_size)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{here.parents[1]}:{here}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "losses.json").read_text())


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    """At the same global batch: the same problems under the same symmetries in the same slots, the same exploration."""
    one, two = (losses_of(n, tmp_path / str(n), 16 // n) for n in (1, 2))
    assert len(one["losses"]) == 30
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-3)
    assert two["examples"] == one["examples"] > 16
    assert two["world"] == 2
