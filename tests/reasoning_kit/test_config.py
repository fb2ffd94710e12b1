"""Words on the command line become checked types; a mistake names its key, its place and the nearest right one."""

import json
import re
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from grpo.options import GRPOOptions
from reasoning_kit.config.composition import GROUPS, choices, compose, config_folder
from reasoning_kit.config.spec import check_config, fingerprint, load_config, spec_from_dict
from reasoning_kit.registry import METHODS, trained_methods

FILES = sorted(config_folder().rglob("*.yaml"))


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("REASONING_KIT_DATA", raising=False)


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as error:
        load_config(overrides)
    assert error.value.where, "no place named"
    assert error.value.cure or "must be" in error.value.what, "no cure named"
    return str(error.value)


# --- what is right ---------------------------------------------------------------------------------


def test_without_words_all_methods_that_train_run_on_one_task():
    config = load_config()
    assert set(config.methods) == set(trained_methods())
    assert list(config.tasks) == ["sudoku-4x4"]
    assert len(config.runs()) == 5


def test_groups_choose_and_overrides_set():
    config = load_config(
        ["task=[sudoku-4x4,maze-8x8]", "method=[trm,cot]", "method.trm.n=4", "model=small", "budget=minutes", "seeds=2"]
    )
    assert list(config.tasks) == ["sudoku-4x4", "maze-8x8"]
    assert list(config.methods) == ["trm", "cot"]
    assert config.methods["trm"].options.n == 4
    assert (config.model.width, config.budget.unit) == (256, "seconds")
    assert len(config.runs()) == 8
    assert len({run.folder for run in config.runs()}) == 8
    assert [run.seed for run in config.runs()] == [0] * 4 + [1] * 4, "whole seeds come first"


def test_one_choice_needs_no_brackets_and_nested_options_are_reached():
    config = load_config(["task=maze-8x8", "method=grpo", "method.grpo.distillation.warmup_steps=3", "budget.limit=7"])
    assert list(config.methods) == ["grpo"]
    assert config.methods["grpo"].options.distillation == replace(GRPOOptions().distillation, warmup_steps=3)
    assert config.budget.limit == 7


def test_sizes_hold_for_every_task():
    config = load_config(["task=[sudoku-4x4,maze-8x8]", "train_size=70", "test_size=9"])
    assert {(task.train_size, task.test_size) for task in config.tasks.values()} == {(70, 9)}


def test_options_of_a_family_reach_the_task():
    assert load_config(["task.sudoku-4x4.givens=6"]).tasks["sudoku-4x4"].load().givens == 6


def test_the_data_folder_comes_from_the_command_line_or_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REASONING_KIT_DATA", "elsewhere")
    spec = load_config(["task=sudoku-extreme"]).runs()[0]
    assert spec.data == str(tmp_path / "elsewhere"), "a run must be understood from other folders"
    assert load_config(["task=sudoku-extreme", "data=mine"]).runs()[0].data == str(tmp_path / "mine")


def test_a_file_that_lies_here_is_kept_with_its_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("")
    config = load_config(["task=sudoku-extreme", "task.sudoku-extreme.train_file=mine.csv", "data=x"])
    assert config.tasks["sudoku-extreme"].train_file == str(tmp_path / "mine.csv")


def of_sudoku(*values: str):
    """The options of Sudoku-Extreme with these changes."""
    config = load_config(["task=sudoku-extreme", "method=[trm]", *(f"task.sudoku-extreme.{v}" for v in values)])
    return config.tasks["sudoku-extreme"], config.runs()[0]


def test_several_training_files_keep_their_order_and_are_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("")
    (tmp_path / "folder").mkdir()
    task, spec = of_sudoku("train_file=[mine.csv,b/c.csv,hub:x/y:train]", "test_file=folder")
    assert task.train_file == [str(tmp_path / "mine.csv"), "b/c.csv", "hub:x/y:train"]
    assert task.files("/data") == ([tmp_path / "mine.csv", Path("/data/b/c.csv"), "hub:x/y:train"], tmp_path / "folder")
    again = spec_from_dict(json.loads(json.dumps(asdict(spec))))
    assert again == spec
    assert fingerprint(again) == fingerprint(spec)
    assert fingerprint(spec) != fingerprint(of_sudoku("train_file=[b/c.csv]", "test_file=folder")[1])


def test_data_sets_of_the_hub_need_no_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    names = ("train_file=hub:x/y:train", "test_file=hub:set:test")
    task, _ = of_sudoku(*names)
    assert task.files(None) == (["hub:x/y:train"], f"hub:{tmp_path}/set:test"), "a folder must be found from elsewhere"
    monkeypatch.setenv("REASONING_KIT_DATA", "/somewhere")
    assert of_sudoku(*names)[1].data is None
    assert of_sudoku(names[0])[1].data == "/somewhere"


def test_null_takes_all_rows_of_the_files():
    task, _ = of_sudoku("train_size=null", "test_size=null")
    assert (task.train_size, task.test_size) == (None, None)
    given = load_config(["task=sudoku-extreme", "task.sudoku-extreme.train_size=null", "train_size=90"])
    assert given.tasks["sudoku-extreme"].train_size == 90


def test_the_options_of_a_task_are_recorded_as_ever():
    """They are part of the fingerprint: another form would repeat every finished run."""
    assert json.dumps(asdict(of_sudoku()[0]), sort_keys=True) == (
        '{"family": "sudoku", "options": {"size": 9}, "seed": 0, "test_file": "sudoku_extreme/test.csv.gz", '
        '"test_size": 100, "train_file": "sudoku_extreme/train.csv.gz", "train_size": 1000}'
    )


# --- the YAML files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_yaml_file_opens_with_its_command_and_composes(file):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
    first = list(takewhile(lambda line: line.startswith("#"), lines))
    assert first, "no comment at its head"
    assert "reasoning-kit compare" in " ".join(first)
    group = file.parent.name
    if group in GROUPS:
        more = ["model.path=folder"] if file.stem == "pretrained" else []
        more += [word for word in " ".join(first).split() if word.startswith("method=[") and group == "task"]
        assert check_config(compose([f"{group}={file.stem}", *more])).runs()
        assert re.search(rf"{group}=(\[[\w,-]*\b)?{re.escape(file.stem)}\b", " ".join(first)), "its command names it"


def test_there_is_a_file_for_every_method_and_other_files_are_variants():
    names = choices("method")
    assert set(METHODS) <= set(names)
    entries = check_config(compose([f"method=[{','.join(names)}]"])).methods
    assert {entries[name].base for name in names} <= set(METHODS)
    assert all(entries[name].base == name for name in METHODS)


# --- what is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "place", "nearest"),
    [
        ("method.trm.widht=3", "method.trm", "'width'"),
        ("method.cot.batch_sise=3", "method.cot", "'batch_size'"),
        ("method.grpo.distillation.shedule=linear", "method.grpo.distillation", "'schedule'"),
        ("method.tm.n=4", "method.tm.n=4", "'trm'"),
        ("method=[trm,cott]", "method=[trm,cott]", "'cot'"),
        ("task=sudko-4x4", "task=sudko-4x4", "'sudoku-4x4'"),
        ("task.sudoku-4x4.given=6", "task.sudoku-4x4", "'givens'"),
        ("task.sudoku-4x4.family=sudoko", "", "'sudoku'"),
        ("budget.limt=3", "budget", "'limit'"),
        ("budget=quik", "budget=quik", "'quick'"),
        ("model.widht=3", "model", "'width'"),
        ("evaluation.curve=3", "evaluation", "'curve_problems'"),
        ("experiment=quik", "experiment=quik", "'quick'"),
        ("sedes=3", "configuration", "'seeds'"),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_the_nearest_right_one(override, place, nearest):
    with pytest.raises(UserError) as error:
        load_config([override])
    assert place in str(error.value)
    assert f"Did you mean {nearest}?" in str(error.value)


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("method.trm.n=four", "method.trm.n"),
        ("method.trm.n=4.5", "method.trm.n"),
        ("method.trm.n=true", "method.trm.n"),
        ("method.trm.loss=hinge", "method.trm.loss"),
        ("method.trm.n=-1", "method.trm.n"),
        ("method.trm=3", "method.trm"),
        ("method.grpo.num_generations=1", "method.grpo.num_generations"),
        ("method.grpo.distillation=x", "method.grpo.distillation"),
        ("budget.limit=abc", "budget.limit"),
        ("budget.limit=0", "budget.limit"),
        ("budget.limit=-1", "budget.limit"),
        ("budget.limit=inf", "budget.limit"),
        ("budget.limit=nan", "budget.limit"),
        ("budget.unit=parsecs", "budget.unit"),
        ("seeds=0", "seeds"),
        ("seeds=-1", "seeds"),
        ("seeds=true", "seeds"),
        ("jobs=0", "jobs"),
        ("threads=two", "threads"),
        ("task.sudoku-4x4=3", "task.sudoku-4x4"),
        ("task.sudoku-4x4.size=5", "task.sudoku-4x4.size"),
        ("task.sudoku-4x4.seed=-1", "task.sudoku-4x4.seed"),
        ("task.sudoku-4x4.train_size=0", "task.sudoku-4x4.train_size"),
        ("task.sudoku-4x4.train_size=null", "task.sudoku-4x4.train_size"),
        ("task.sudoku-4x4.test_size=null", "task.sudoku-4x4.test_size"),
        ("task.sudoku-4x4.train_file=[]", "task.sudoku-4x4.train_file"),
        ("task.sudoku-4x4.train_file=5", "task.sudoku-4x4.train_file"),
        ("task.sudoku-4x4.train_file=[a.csv,5]", "task.sudoku-4x4.train_file"),
        ("task.sudoku-4x4.test_file=[a.csv]", "task.sudoku-4x4.test_file"),
        ("task.sudoku-4x4.test_file=hub:a/b", "hub:a/b"),
        ("train_size=40", "method.direct.batch_size"),
        ("test_size=-3", "task.sudoku-4x4.test_size"),
        ("evaluation.batch_size=0", "evaluation.batch_size"),
        ("evaluation.curve_problems=-1", "evaluation.curve_problems"),
        ("evaluation.milestones=[1.5]", "evaluation.milestones"),
        ("model=pretrained", "model.path"),
        ("model.heads=5", "model"),
        ("method=[]", "method"),
        ("task=[]", "task"),
        ("method.trm.n", "method.trm.n"),
        ("method=[trm", "method=[trm"),
        ("=3", "=3"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(override, place):
    message = refused(override)
    assert message.startswith(place), message
    assert "\n" not in message


def test_an_option_of_a_method_that_takes_no_part_is_refused():
    """Hydra alone would add the method to the comparison, with that one option."""
    assert "method=[cot,trm]" in refused("method=[cot]", "method.trm.n=4")
    assert "task=[maze-8x8,sudoku-4x4]" in refused("task=maze-8x8", "task.sudoku-4x4.givens=6")


# --- the fingerprint --------------------------------------------------------------------------------


def test_the_fingerprint_is_stable_and_changes_with_everything_that_decides_a_result():
    def of(*overrides: str) -> str:
        return fingerprint(load_config(["method=[grpo]", *overrides]).runs()[0])

    same = [of(), of(), of("jobs=2", "threads=2", "out=x", "seeds=3", "name=other")]
    assert len(set(same)) == 1, "what decides no result must not change it"
    different = [
        of("method.grpo.learning_rate=1e-5"),
        of("method.grpo.distillation.warmup_steps=1"),
        of("budget.limit=1"),
        of("model.width=64"),
        of("train_size=71"),
        of("task.sudoku-4x4.seed=1"),
        of("task.sudoku-4x4.givens=6"),
        of("evaluation.curve_problems=1"),
    ]
    assert len({*same, *different}) == 1 + len(different)
    runs = load_config(["seeds=2"]).runs()
    assert len({fingerprint(run) for run in runs}) == len(runs)


def test_a_data_folder_leaves_generated_problems_as_they_are(monkeypatch):
    before = fingerprint(load_config().runs()[0])
    monkeypatch.setenv("REASONING_KIT_DATA", "/somewhere")
    assert fingerprint(load_config().runs()[0]) == before


def test_a_specification_survives_its_way_through_json():
    overrides = ["task=[sudoku-4x4,maze-8x8,multiplication-2x2,sudoku-extreme]", "method.trm.trainer.seed=3", "data=x"]
    for spec in load_config(overrides).runs():
        again = spec_from_dict(json.loads(json.dumps(asdict(spec))))
        assert again == spec
        assert fingerprint(again) == fingerprint(spec)
