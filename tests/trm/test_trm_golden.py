"""Our own numbers, pinned: four training steps of every recursion from weights that a formula sets.

No random generator is involved, so the numbers depend on the computation alone. After a wanted change, write them anew:

    .venv/bin/python tests/trm/test_trm_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from trm.configuration import TRMConfig
from trm.cpu_matmul import as_recorded
from trm.modeling import TRMForPuzzles
from trm.optimizers import build_optimizer
from trm.options import TRMOptions
from trm.supervision import DeepSupervision

PINNED = Path(__file__).parent / "golden" / "pinned.json"
STEPS, BATCH = 4, 3
SIZES = {
    "vocabulary_size": 6, "positions": 8, "width": 16, "heads": 2, "inner_multiple": 16, "T": 2, "n": 3,
    "supervision_steps": 3, "exploration": 0.0, "prefix": 2, "puzzles": 4,
}  # fmt: skip
KINDS = {
    "trm_mlp": {},
    "trm_attention": {"mixer": "attention"},
    "two_networks": {"networks": 2},
    "hrm": {"networks": 2, "mixer": "attention", "gradient_evaluations": 2, "act": "halt_continue"},
    "single_z": {"recursion": "single_z"},
    "multi_scale": {"recursion": "multi_scale"},
    "fixed_point": {"recursion": "fixed_point"},
    "direct": {"recursion": "direct"},
    "experts": {"experts": 2},
    "tied_softmax": {"tied_head": True, "loss": "softmax"},
}


def set_by_formula(model):
    """Sines of incommensurable frequencies, as large as initial weights are; halved inside the networks, where rounding
    would grow otherwise."""
    for i, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        size = 0.7 * tensor.shape[-1] ** -0.5 if "networks" in name else 0.5
        phase = torch.arange(tensor.numel(), dtype=torch.float64).view(tensor.shape)
        tensor.copy_(size * torch.sin((2.3 + 0.37 * i) * phase + i))


def batch(step):
    numbers = torch.arange(BATCH * 8).view(BATCH, 8)
    grids, labels = (numbers * 7 + 3 * step) % 6, (numbers * 5 + 2 * step) % 6
    labels[:, -1] = -100
    return grids, labels, (torch.arange(BATCH) + step) % 4


def computed(kind):
    """Loss of each step, and its logits added up under weights that differ for each."""
    torch.set_num_threads(1)
    model = TRMForPuzzles(TRMConfig(**SIZES | KINDS[kind])).train()
    set_by_formula(model)
    optimizer = build_optimizer(model, TRMOptions(learning_rate=1e-3, optimizer="adam_atan2"))
    supervision = DeepSupervision(model)
    numbers = {"losses": [], "checksums": []}
    for step in range(STEPS):
        offered = batch(step)
        loss, output = supervision.step(model, offered, torch.zeros(BATCH, dtype=torch.long))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        weights = 1 + torch.arange(output.logits.numel(), dtype=torch.float64).cos()
        numbers["losses"].append(loss.total.item())
        numbers["checksums"].append((weights * output.logits.flatten().abs()).sum().item())
    return numbers


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_before(kind):
    pinned = json.loads(PINNED.read_text())[kind]
    with as_recorded():
        found = computed(kind)
    for name, numbers in found.items():
        assert numbers == pytest.approx(pinned[name], rel=1e-4), name


def test_every_kind_computes_something_else():
    pinned = json.loads(PINNED.read_text())
    assert pinned.keys() == KINDS.keys()
    assert len({entry["checksums"][-1] for entry in pinned.values()}) == len(KINDS)


if __name__ == "__main__":
    PINNED.parent.mkdir(exist_ok=True)
    PINNED.write_text(json.dumps({kind: computed(kind) for kind in KINDS}, indent=1) + "\n")
