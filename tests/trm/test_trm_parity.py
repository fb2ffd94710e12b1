"""Our TRM does what the published code does: its recorded runs, and an independent transcription of other sizes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from published_reference import record, settings

from benchmarks.errors import UserError
from trm.parity import RECORDED, TOLERANCE, Deviation, judged, replay, rounds_alike

FOLDER = Path(os.environ.get("REASONING_KIT_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


@pytest.fixture(params=["published_trm_mlp", "published_trm_attention"])
def recording(request):
    path = FOLDER / f"{request.param}.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there; REASONING_KIT_GOLDEN names the folder with the published code's runs")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A recording that is always there."""
    path = tmp_path_factory.mktemp("recording") / "small.npz"
    record(path, settings(attention=True, prefix=1, layers=2, n=2, T=2), steps=3)
    return path


def changed(path, tmp_path, **arrays):
    with np.load(path) as stored:
        contents = dict(stored) | arrays
    np.savez(tmp_path / "changed.npz", **contents)
    return tmp_path / "changed.npz"


def wrong(path, options=RECORDED):
    return {deviation.quantity for deviation in replay(path, options) if not deviation.agrees}


def test_the_published_runs_are_repeated(recording):
    deviations = {deviation.quantity: deviation for deviation in replay(recording)}
    assert [d for d in judged(list(deviations.values())) if not d.agrees] == []
    with np.load(recording) as stored:
        asked = {name for name in stored if not name.startswith("state/") and "/batch/" not in name} - {"config"}
    assert deviations.keys() == asked, "everything that was recorded is compared"
    assert sum(name.endswith("/logits") for name in asked) == 7  # six steps of training, and evaluation


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("prefix", [1, 16])
@pytest.mark.parametrize("attention", [False, True], ids=["mlp", "attention"])
def test_a_transcription_of_other_sizes_is_repeated(tmp_path, attention, prefix, layers):
    """Written from the description, without any code of trm/: rounding differs, nothing else. It grows with every step
    (token mixing over few positions amplifies it most), so later gradients get ten times the tolerance."""
    path = tmp_path / "run.npz"
    record(path, settings(attention, prefix, layers, n=4, T=2), steps=3, seed=layers)
    deviations = replay(path)
    assert len(deviations) == 3 * (7 + 4 + 4 * layers) + 7 + 4 * layers
    for deviation in deviations:
        first = deviation.quantity.startswith("train/0/")
        assert deviation.relative <= TOLERANCE * (1 if first else 10), deviation
    with np.load(path) as stored:
        taught = [set(stored[f"train/{i}/batch/puzzle_identifiers"].tolist()) for i in range(3)]
        steps = np.stack([stored[f"train/{i}/steps_after"] for i in range(3)])
    assert any(len(ids) < 4 for ids in taught)
    assert steps.max() == 2
    assert steps[1:].min() == 1, "slots went on, and others took new problems"


def test_a_perturbed_weight_is_found(recording, tmp_path):
    with np.load(recording) as stored:
        name = "state/inner.L_level.layers.1.mlp.down_proj.weight"
        weight = stored[name].copy()
    weight[0, 0] += 1e-2
    assert {"train/0/logits", "train/5/logits", "eval/logits"} <= wrong(changed(recording, tmp_path, **{name: weight}))


def test_exploration_is_found(recording, tmp_path):
    with np.load(recording) as stored:
        config = json.loads(str(stored["config"])) | {"halt_exploration_prob": 1.0}
    found = wrong(changed(recording, tmp_path, config=np.array(json.dumps(config))))
    assert any(name.endswith("halted_after") for name in found)


@pytest.mark.parametrize(
    ("other", "touched"),
    [
        ({"learning_rate": 1.1e-3}, "lm_head.weight"),
        ({"weight_decay": 0.2}, "lm_head.weight"),
        ({"puzzle_learning_rate": 2e-2}, "puzzle_emb.weights"),
        ({"puzzle_weight_decay": 0.9}, "puzzle_emb.weights"),
        ({"optimizer": "adamw"}, "q_head.bias"),
    ],
)
def test_another_optimisation_is_found(small, other, touched):
    assert f"state_after/inner.{touched}" in wrong(small, replace(RECORDED, **other))
    assert "train/0/logits" not in wrong(small, replace(RECORDED, **other))


@pytest.mark.parametrize(
    "name",
    [
        "train/2/logits",
        "train/0/q_halt_logits",
        "train/1/loss_sum",
        "train/1/lm_loss_sum",
        "train/2/q_halt_loss_sum",
        "train/2/halted_after",
        "train/1/steps_after",
        "train/1/grad/inner.embed_tokens.embedding_weight",
        "state_after/inner.puzzle_emb.weights",
        "state_after/inner.H_init",
    ],
)
def test_one_changed_number_is_found_and_named(small, tmp_path, name):
    with np.load(small) as stored:
        array = stored[name].copy()
    at = np.unravel_index(np.abs(array).argmax(), array.shape)
    array[at] = not array[at] if array.dtype == bool else array[at] * (1 + 1e-3) + (array.dtype.kind == "i")
    assert wrong(small) == set()
    assert wrong(changed(small, tmp_path, **{name: array})) == {name}


def test_a_number_that_is_none_does_not_agree(small, tmp_path):
    with np.load(small) as stored:
        array = np.full_like(stored["train/1/logits"], np.nan)
    assert wrong(changed(small, tmp_path, **{"train/1/logits": array})) == {"train/1/logits"}


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    for name, words in [("nowhere.npz", "cannot be read"), ("text.npz", "cannot be read"), ("other.npz", "at least")]:
        with pytest.raises(UserError, match=words) as caught:
            replay(tmp_path / name)
        assert name in caught.value.where


def test_on_a_processor_that_rounds_otherwise_the_first_step_is_judged_alone():
    names = ("train/0/logits", "train/0/grad/x", "train/1/logits")
    alike = [Deviation(name, 1e-7) for name in names]
    assert rounds_alike(alike)
    assert judged([*alike, Deviation("eval/logits", 1e-3)])[-1].agrees is False, "everything counts"

    otherwise = [Deviation("train/0/logits", 2e-5), Deviation("train/0/grad/x", 4e-5), Deviation("train/1/logits", 0.4)]
    assert [deviation.quantity for deviation in judged(otherwise)] == ["train/0/logits", "train/0/grad/x"]
    assert all(deviation.agrees for deviation in judged(otherwise))
    assert not all(d.agrees for d in judged([Deviation("train/0/logits", 2e-3)])), "a first step that is wrong is told"
