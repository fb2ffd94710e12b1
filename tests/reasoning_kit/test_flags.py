"""The usual flags beside key=value, what is said of an unknown one, completion, and the version."""

import importlib.metadata
import re
import subprocess

import pytest
import typer
from command_line import call

from benchmarks.errors import UserError
from reasoning_kit.cli import app
from reasoning_kit.commands import compare as comparing
from reasoning_kit.commands import estimate as estimating
from reasoning_kit.commands.flags import ComparisonFlags
from reasoning_kit.config.spec import load_config


@pytest.fixture
def asked(monkeypatch, said):
    """The overrides that a command line becomes."""
    found: list[list[str]] = []

    def remember(overrides, *_):
        found.append(list(overrides))
        raise UserError("enough.")

    monkeypatch.setattr(comparing, "compare", remember)
    monkeypatch.setattr(comparing, "train_one", remember)
    monkeypatch.setattr(estimating, "estimate", remember)

    def of(*words: str) -> list[str]:
        said(*words, code=2)
        return found.pop()

    return of


@pytest.mark.parametrize("command", ["compare", "train", "estimate"])
def test_flags_say_the_same_as_overrides(asked, command):
    overrides = asked(
        command, "--task", "sudoku-4x4,maze-8x8", "--method", "trm", "--method", "cot,direct", "--budget", "2e12 flops",
        "--seeds", "3", "--jobs", "2", "--train-size", "128", "--test-size", "16", "--data", "my 'data'",
        "method.trm.n=4",
    )  # fmt: skip
    config = load_config(overrides)
    assert list(config.tasks) == ["sudoku-4x4", "maze-8x8"]
    assert set(config.methods) == {"trm", "cot", "direct"}
    assert (config.budget.unit, config.budget.limit) == ("flops", 2e12)
    assert (config.seeds, config.jobs) == (3, 2)
    assert {(task.train_size, task.test_size) for task in config.tasks.values()} == {(128, 16)}
    assert config.data is not None
    assert config.data.endswith("my 'data'")
    assert config.methods["trm"].options.n == 4


@pytest.mark.parametrize(
    ("text", "unit", "limit"),
    [
        ("2e12 flops", "flops", 2e12),
        ("5 minutes", "seconds", 300),
        ("90 seconds", "seconds", 90),
        ("100 steps", "steps", 100),
        ("minutes", "seconds", 120),
    ],
)
def test_a_budget_is_written_in_words_or_named(text, unit, limit):
    config = load_config(ComparisonFlags(budget=text).over(["method=trm"]))
    assert (config.budget.unit, config.budget.limit) == (unit, limit)


@pytest.mark.parametrize("text", ["much", "12", "5 parsecs", "-1 steps", "1.2.3 steps", "0 flops"])
def test_another_budget_is_refused(text):
    with pytest.raises(UserError, match="budget"):
        ComparisonFlags(budget=text).over([])


@pytest.mark.parametrize(
    ("flags", "override"),
    [
        (ComparisonFlags(seeds=3), "seeds=2"),
        (ComparisonFlags(method=["trm"]), "method=[cot]"),
        (ComparisonFlags(budget="5 minutes"), "budget.limit=7"),
        (ComparisonFlags(train_size=9), "train_size=8"),
    ],
)
def test_what_is_said_both_ways_is_refused(flags, override):
    with pytest.raises(UserError, match="must be given once"):
        flags.over([override])


@pytest.mark.parametrize(
    ("words", "hints"),
    [
        (("compare", "--seed", "3"), ("--seed: ", "Did you mean --seeds?", "seeds=3")),
        (("compare", "--size", "9"), ("--size: ", "task.NAME.size=9")),
        (("train", "--n=4"), ("--n: ", "method.NAME.n=4")),
        (("estimate", "--learning-rate", "1e-3"), ("method.NAME.learning_rate=1e-3",)),
        (("compare", "--frobnicate"), ("key=value", "reasoning-kit options")),
        (("eval", "runs/x", "--seed", "3"), ("seed=3",)),
        (("report", "runs/x", "--markdwn", "a.md"), ("Did you mean --markdown?",)),
        (("solve", "runs/x", "--frobnicate"), ("--file", "--latents")),
    ],
)
def test_an_unknown_flag_gets_a_hint(said, words, hints):
    message = said(*words, code=2)
    assert message.startswith("error: ")
    for hint in hints:
        assert hint in message


def test_help_names_what_is_asked_most(said):
    shown = said("compare", "--help")
    for word in (
        "--seeds",
        "--jobs",
        "--data",
        "--train-size",
        "--budget",
        "--task",
        "--method",
        "train_size",
        "seeds",
    ):
        assert word in shown


def test_the_version_is_that_of_the_package(said):
    assert said("--version").strip() == f"reasoning_kit {importlib.metadata.version('reasoning_kit')}"


def test_no_command_takes_a_flag_for_two_things():
    """Groups of flags are laid side by side; a name that is there twice would hide one of them."""
    commands = [typer.main.get_command(app)]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        names = [name for parameter in command.params for name in parameter.opts]
        assert len(names) == len(set(names)), command.name


# --- completion -------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch):
    """The installed command with other environment variables."""

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return call()

    return run


def completions(program, words: str, count: int) -> list[str]:
    bash = {"_REASONING_KIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    return program(**bash).stdout.split()


def test_bash_completes_commands_names_and_overrides(program):
    assert "compare" in completions(program, "reasoning-kit com", 1)
    assert "sudoku-4x4" in completions(program, "reasoning-kit compare --task sud", 3)
    assert "trm,cot" in completions(program, "reasoning-kit compare --method trm,co", 3)
    assert "experiment=" in completions(program, "reasoning-kit compare exp", 2)
    assert "quick" in completions(program, "reasoning-kit compare experiment = qu", 4)  # bash splits at the =


def test_other_shells_do_not_split_an_override(program):
    for words, name in (("experiment=qui", "experiment=quick"), ("model=ti", "model=tiny"), ("seeds=", None)):
        shell = {"_REASONING_KIT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"reasoning-kit compare {words}"}
        found = program(**shell).stdout
        assert name in found if name else "seeds" not in found


def test_completion_can_be_installed(said):
    assert re.search(r"--install-completion", said("--help"))
