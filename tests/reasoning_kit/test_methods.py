"""Variants: an entry with a base is a row of its own, from a file or from the command line."""

import hashlib
import json
import random
import re
import shutil
from dataclasses import asdict, replace

import pytest

from benchmarks.errors import UserError
from benchmarks.records import RunRecord
from reasoning_kit.config import composition
from reasoning_kit.config.methods import check_methods
from reasoning_kit.config.spec import fingerprint, load_config, spec_from_dict
from reasoning_kit.registry import METHODS
from trm.options import TRMOptions


def published(_: str) -> dict:
    return {}


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_config(overrides)
    assert error.value.where, "no place named"
    assert error.value.cure or "must be" in error.value.what, "no cure named"
    assert "\n" not in str(error.value)
    return str(error.value)


# --- entries ----------------------------------------------------------------------------------------


def test_the_five_are_their_own_base_and_keep_their_labels():
    entries = check_methods({name: {} for name in METHODS}, published)
    assert [entry.base for entry in entries.values()] == list(METHODS)
    assert [entry.label for entry in entries.values()] == [method.label for method in METHODS.values()]
    assert check_methods({"trm": {"label": "Mine", "base": "trm"}}, published)["trm"].label == "Mine"


CHANGES = {
    "trm": {"n": range(1, 20), "ema": (0.0, 0.9, 0.99), "width": (32, 128), "loss": ("softmax", "stablemax")},
    "direct": {"width": (32, 128), "layers": range(1, 5), "learning_rate": (1e-3, 1e-4)},
    "cot": {"learning_rate": (1e-3, 1e-4), "batch_size": range(1, 64), "augment": (True, False)},
    "grpo": {"beta": (0.0, 0.1), "temperature": (0.5, 1.0)},
}


@pytest.mark.parametrize("seed", range(40))
def test_a_variant_is_its_base_with_its_own_options_changed(seed):
    """Whether or not the base takes part, wherever it stands, and whatever of the base is set."""
    draw = random.Random(seed)
    base = draw.choice(list(CHANGES))

    def some() -> dict:
        keys = draw.sample(list(CHANGES[base]), draw.randint(0, len(CHANGES[base])))
        return {key: draw.choice(list(CHANGES[base][key])) for key in keys}

    own, of_base, takes_part = some(), some(), draw.random() < 0.5
    pairs = [("mine", {"base": base, **own}), ("other", {"base": base})]
    pairs += [(base, of_base)] if takes_part else []
    draw.shuffle(pairs)
    entries = check_methods(dict(pairs), lambda name: {base: of_base}[name])
    plain = replace(METHODS[base].options(), **of_base)
    assert entries["mine"].options == replace(plain, **own)
    assert entries["other"].options == plain
    assert type(entries["mine"].options) is METHODS[base].options
    assert (entries["mine"].base, entries["mine"].label) == (base, "mine")
    assert not takes_part or (next(iter(entries)) == base and entries[base].options == plain)


def test_nested_options_are_changed_key_by_key():
    raw = {"grpo": {"distillation": {"warmup_steps": 3}}, "g": {"base": "grpo", "distillation": {"batch_size": 5}}}
    entries = check_methods(raw, published)
    assert (entries["g"].options.distillation.warmup_steps, entries["g"].options.distillation.batch_size) == (3, 5)
    assert entries["grpo"].options.distillation.batch_size != 5


# --- the command line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("method=[trm,deep]", "method.deep.base=trm", "method.deep.n=12"),
        ("method=[trm]", "method.deep.n=12", "method.deep.base=trm"),
        ("method=[deep,trm]", "method.deep={base: trm, n: 12}"),
        ("method=trm", "++method.deep={base:trm,n:12}"),
    ],
)
def test_a_variant_needs_no_file(words):
    config = load_config([*words, "method.trm.width=96"])
    assert list(config.methods) == ["trm", "deep"]
    assert config.methods["deep"].options == TRMOptions(n=12, width=96)
    assert config.methods["trm"].options == TRMOptions(width=96)
    assert [run.folder.parts[1] for run in config.runs()] == ["trm", "deep"]


def test_a_variant_needs_neither_its_base_nor_a_file():
    config = load_config(["method=[deep]", "method.deep.base=trm", "method.deep.label=24 evaluations"])
    assert list(config.methods) == ["deep"]
    assert config.methods["deep"].label == "24 evaluations"


@pytest.mark.parametrize(
    ("words", "place", "cure"),
    [
        (["method=[trm,deep]"], "method=[trm,deep]", "method.deep.base=trm"),
        (["method.deep.n=12"], "method.deep.n=12", "method.deep.base=trm"),
        (["method.deep={n: 12}"], "method.deep", "method.deep.base=trm"),
        (["method.deep.base=tmr"], "method.deep.base", "Did you mean 'trm'?"),
        (["method.deep.base=trm", "method.deep.widht=3"], "method.deep", "Did you mean 'width'?"),
        (["method.deep.base=trm", "method.deep.n=four"], "method.deep.n", "a whole number"),
        (["method.deep.base=cot", "method.deep.n=4"], "method.deep", "Choose one of"),
        (["method.cot.base=trm"], "method.cot.base", "another name"),
        (["method.deep.base=trm", "method.deep.label=TRM"], "method.deep.label", "another one"),
        (["method.deep.base=trm", "method.deep.label=[x]"], "method.deep.label", "text"),
        (["method.deep.base=trm", "method.wide.n=4"], "method.wide.n=4", "method.wide.base=trm"),
        (["method=[cot]", "method.deep.base=trm", "method.trm.n=4"], "method.trm.n=4", "method=[cot,deep,trm]"),
        (["method.deep=3"], "method.deep", "KEY=VALUE"),
        (["method._x.base=trm"], "method._x", "letters"),
        (["method.deep.base=trm", "method.deep.batch_size=900", "train_size=500"], "method.deep.batch_size", "500"),
    ],
)
def test_a_mistake_about_a_variant_is_named_with_its_place_and_cure(words, place, cure):
    message = refused(*words)
    assert message.startswith(f"{place}: "), message
    assert cure in message


# --- files ------------------------------------------------------------------------------------------


@pytest.fixture
def more_files(tmp_path, monkeypatch):
    """The configuration with a wider ``trm`` and one variant of it."""
    folder = tmp_path / "configs"
    shutil.copytree(composition.config_folder(), folder)
    monkeypatch.setattr(composition, "config_folder", lambda: folder)
    head = "# @package method\n# reasoning-kit compare method=[trm,no_average]\n"
    (folder / "method" / "trm.yaml").write_text(f"{head}# Wider.\ntrm: {{width: 96}}\n")
    (folder / "method" / "no_average.yaml").write_text(
        f"{head}# The last weights, not their average.\n# More.\nno_average: {{base: trm, label: No average, ema: 0}}\n"
    )


def test_a_variant_of_a_file_follows_its_base(more_files):
    def options(*words: str) -> TRMOptions:
        return load_config(words).methods["no_average"].options

    assert options("method=no_average") == TRMOptions(ema=0, width=96), "the file of its base"
    assert options("method=[no_average,trm]", "method.trm.width=32").width == 32, "the base as it takes part"
    assert options("method=no_average", "method.no_average.ema=0.5").ema == 0.5
    assert "method=[cot,no_average]" in refused("method=cot", "method.no_average.ema=0.5")
    assert "no_average" in refused("method=[no_avrage]")


def test_methods_are_listed_with_base_label_and_what_they_are(more_files, said):
    lines = said("methods", "ls").splitlines()
    row = next(line for line in lines if "no_average" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "no_average", "trm", "No average", "The last weights, not their average.",
    ]  # fmt: skip
    for name, method in METHODS.items():
        assert any(f" {name} " in line and method.label in line for line in lines)


# --- records and fingerprints -----------------------------------------------------------------------


def test_the_five_have_the_fingerprints_that_they_had_before_there_were_variants():
    for spec in load_config().runs():
        before = {key: value for key, value in asdict(spec).items() if key not in ("base", "label")}
        digest = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()[:16]
        assert fingerprint(spec) == digest
        assert spec_from_dict(json.loads(json.dumps(before))) == spec, "records without base and label"


def test_a_label_decides_no_result_and_a_base_does():
    def of(*words: str) -> str:
        return fingerprint(load_config(["method=[x]", *words]).runs()[0])

    assert of("method.x.base=cot") == of("method.x.base=cot", "method.x.label=Other")
    assert of("method.x.base=cot") != of("method.x.base=answer_only"), "the same options, another base"


def test_a_variant_survives_its_way_through_json():
    for spec in load_config(["method=[trm]", "method.x.base=trm", "method.x.n=2", "method.x.label=Two"]).runs():
        assert spec_from_dict(json.loads(json.dumps(asdict(spec)))) == spec


# --- for real ---------------------------------------------------------------------------------------


def test_estimate_prices_a_variant_and_shows_what_differs(said):
    shown = said("estimate", "--no-probe", "method=[trm]", "method.deep.base=trm", "method.deep.n=12")
    lines = shown.splitlines()
    assert next(line for line in lines if line.startswith("method.deep:")) == "method.deep: base=trm n=12"
    rows = [next(line for line in lines if f" {name} " in line) for name in ("trm", "deep")]
    costs = [float(re.findall(r"\d\.\d\de\+\d\d", row)[0]) for row in rows]
    assert 1.5 < costs[1] / costs[0] < 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_variant_is_trained_compared_and_evaluated(said, tmp_path):
    tiny = (
        "task=sudoku-4x4", "train_size=16", "test_size=4", "budget=smoke", "budget.limit=2", "jobs=1",
        "evaluation.curve_problems=0", "method.deep.base=trm", "method.deep.n=8", "method.deep.batch_size=8",
        "method.deep.label=Deeper", "--out", "out",
    )  # fmt: skip
    said("train", "method=deep", *tiny)
    folder = tmp_path / "out" / "sudoku-4x4" / "deep" / "seed-0"
    record = RunRecord.load(folder)
    assert (record.method, record.config["base"], record.config["label"]) == ("deep", "trm", "Deeper")
    assert record.config["options"]["n"] == 8
    assert record.training["steps"] == 2
    shown = said("compare", "method=[trm,deep]", "method.trm.batch_size=8", *tiny)
    assert shown.count("finished before, skipped") == 1, "train and compare mean the same run"
    assert "trm minus deep: " in shown
    assert "Deeper" in (tmp_path / "out" / "report.html").read_text()
    assert "accuracy" in said("eval", folder)
