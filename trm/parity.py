"""Checks our TRM against a recorded training run of the published code, quantity by quantity.

A recording is an ``.npz`` file: ``config`` (JSON), ``state/...`` (weights at the start, published names),
``train/i/batch/...`` and what the published code computed from it (``logits, q_halt_logits, loss_sum, lm_loss_sum,
q_halt_loss_sum, halted_after, steps_after``), ``train/0/grad/...``, ``state_after/...`` and ``eval/...``. The replay
goes through the same model, carry, losses and optimisers as training does.

A float32 recursion of 40 layers with AdamATan2, whose step does not shrink with the gradient, amplifies a difference in
the last digit a thousandfold per step. So runs agree only where every operation is the same, in the same order, on one
thread, and the processor's matrix products round as those of the recording. Where they do not (a Xeon with AMX is one
such processor), the first step is judged alone: its logits, losses and gradients, before anything is amplified.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import UserError
from trm.cpu_matmul import as_recorded
from trm.halting import minimum_steps
from trm.losses import HALTING_WEIGHT
from trm.modeling import TRMForPuzzles
from trm.optimizers import build_optimizer
from trm.options import TRMOptions
from trm.published import convert_published, published_names, to_published
from trm.supervision import DeepSupervision

TOLERANCE = 1e-5  # of every quantity, where the processor rounds as the recording's did
FIRST_STEP_TOLERANCE = 1e-3  # of the first step, where it does not: rounding, amplified by 40 layers there and back
SAME_ROUNDING = 1e-6  # of the first logits: below it the processor rounds as the recording's did
# How the recorded runs were optimised.
RECORDED = TRMOptions(
    optimizer="adam_atan2", learning_rate=1e-3, weight_decay=0.1, puzzle_learning_rate=1e-2, puzzle_weight_decay=0.1
)


@dataclass(frozen=True)
class Deviation:
    """How far a quantity is from the recorded one: largest difference over largest recorded value."""

    quantity: str
    relative: float
    limit: float = TOLERANCE

    @property
    def agrees(self) -> bool:
        return self.relative <= self.limit


def rounds_alike(deviations: Sequence[Deviation]) -> bool:
    """Whether this processor rounds as the recording's: nothing but the first logits can tell, as all that follows
    depends on the weights that were learned before."""
    first = next(deviation for deviation in deviations if deviation.quantity == "train/0/logits")
    return first.relative <= SAME_ROUNDING


def judged(deviations: Sequence[Deviation]) -> list[Deviation]:
    """What can be held against us: everything, or the first step where this processor rounds otherwise."""
    if rounds_alike(deviations):
        return list(deviations)
    first_step = [deviation for deviation in deviations if deviation.quantity.startswith("train/0/")]
    return [replace(deviation, limit=FIRST_STEP_TOLERANCE) for deviation in first_step]


def replay(path: Path, options: TRMOptions = RECORDED) -> list[Deviation]:
    """Repeat a recorded run in float32 and compare everything that it holds.

    Raises:
        UserError: if the file is no recording.
    """
    record = _load(path)
    model = convert_published(_below(record, "state/"), json.loads(str(record["config"])))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with as_recorded():
            return _replay(record, model.train(), options)
    finally:
        torch.set_num_threads(threads)


def _replay(record: Mapping[str, np.ndarray], model: TRMForPuzzles, options: TRMOptions) -> list[Deviation]:
    found = _Comparison(record)
    optimizer = build_optimizer(model, options)
    supervision = DeepSupervision(model)
    step = 0
    while f"train/{step}/logits" in record:
        _train_step(record, step, model, supervision, optimizer, found)
        step += 1
    ours, _ = to_published(model)
    for name, tensor in ours.items():
        found.add(f"state_after/{name}", tensor)
    _evaluate(record, model.eval(), found)
    return found.deviations


def _train_step(
    record: Mapping[str, np.ndarray],
    step: int,
    model: TRMForPuzzles,
    supervision: DeepSupervision,
    optimizer: torch.optim.Optimizer,
    found: _Comparison,
) -> None:
    prefix = f"train/{step}"
    offer = _batch(record, f"{prefix}/batch")
    config = model.config
    minimum = minimum_steps(len(offer[0]), config.supervision_steps, config.exploration, torch.Generator())
    loss, output = supervision.step(model, offer, minimum)
    optimizer.zero_grad()
    loss.total.backward()
    found.add(f"{prefix}/logits", output.logits)
    found.add(f"{prefix}/q_halt_logits", output.halting_logit)
    found.add(f"{prefix}/lm_loss_sum", loss.answer)
    found.add(f"{prefix}/q_halt_loss_sum", loss.halting)
    found.add(f"{prefix}/loss_sum", loss.answer + HALTING_WEIGHT * loss.halting)
    carry = supervision.carry
    assert carry is not None
    found.add(f"{prefix}/halted_after", carry.halted)
    found.add(f"{prefix}/steps_after", carry.steps)
    parameters = dict(model.named_parameters())
    for theirs, ours in published_names(model.config).items():
        if ours in parameters:
            found.add(f"{prefix}/grad/inner.{theirs}", parameters[ours].grad)
    optimizer.step()


@torch.no_grad()
def _evaluate(record: Mapping[str, np.ndarray], model: TRMForPuzzles, found: _Comparison) -> None:
    if "eval/logits" not in record:
        return
    input_ids, _, puzzle_ids = _batch(record, "eval/batch")
    output = model(input_ids, None, puzzle_ids)
    for _ in range(model.config.supervision_steps - 1):
        output = model(input_ids, output.carry, puzzle_ids)
    found.add("eval/logits", output.logits)
    found.add("eval/q_halt_logits", output.halting_logit)


class _Comparison:
    """Collects deviations from whatever the record holds."""

    def __init__(self, record: Mapping[str, np.ndarray]) -> None:
        self.record = record
        self.deviations: list[Deviation] = []

    def add(self, quantity: str, ours: Tensor | None) -> None:
        if quantity not in self.record or ours is None:
            return
        expected = np.asarray(self.record[quantity], dtype=np.float64)
        actual = ours.detach().double().numpy()
        largest = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
        self.deviations.append(Deviation(quantity, float(np.abs(actual - expected).max()) / largest))


def _batch(record: Mapping[str, np.ndarray], name: str) -> tuple[Tensor, Tensor, Tensor]:
    inputs, labels, puzzles = (
        torch.from_numpy(record[f"{name}/{key}"]).long() for key in ("inputs", "labels", "puzzle_identifiers")
    )
    return inputs, labels, puzzles


def _below(record: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in record.items() if name.startswith(prefix)}


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            record = dict(stored)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot be read ({error}).", where=str(path), cure="Name a recorded run (.npz) of the published code."
        ) from None
    if "config" not in record or "train/0/logits" not in record:
        raise UserError(
            "is no recorded run: it needs at least config, state/... and train/0/....",
            where=str(path),
            cure="See trm/parity.py for what a recording holds.",
        )
    return record
