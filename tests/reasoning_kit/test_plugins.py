"""Tasks and methods of other people: from a plain file, an installed package, or the program itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import reasoning_kit as rk
from benchmarks.errors import UserError
from benchmarks.task import FAMILIES
from reasoning_kit.config.plugins import add_config_folder, load_plugins, load_settings
from reasoning_kit.config.spec import load_config
from reasoning_kit.registry import METHODS

ROOT = Path(rk.__file__).parents[1]

# One task and one method, as a stranger would write them: at most 60 lines together.
STRANGERS = '''
import json
import random
from dataclasses import dataclass
from typing import ClassVar

import reasoning_kit as rk


@dataclass(frozen=True)
class Mirror(rk.GridTask):
    """Write the word backwards."""

    family: ClassVar[str] = "mirror"
    symbols: ClassVar[str] = "abcd"
    length: int = 5

    def draw(self, rng: random.Random) -> tuple[str, str]:
        word = "".join(rng.choices(self.symbols, k=self.length))
        return word, word[::-1]

    def is_right(self, problem: rk.Problem, answer: str) -> bool:
        return answer == problem.question[::-1]

    def solve(self, question: str) -> str:
        return question[::-1]


@dataclass(frozen=True)
class Options:
    """Options of ``method.parrot``.

    Attributes:
        backwards: say it backwards.
    """

    backwards: bool = False


class Solver:
    def __init__(self, step: int) -> None:
        self.step = step

    def solve(self, problems, batch_size=128, on_progress=None):
        said = [problem.question[:: self.step] for problem in problems]
        return [rk.Solution(rk.Answer(answer), flops=1.0, seconds=0.0, steps=1) for answer in said]


class Parrot(rk.Method[Options]):
    name, label, thinking, options = "parrot", "Parrot", "latent", Options

    def train(self, run):
        step = -1 if run.options.backwards else 1
        save = lambda folder: folder.mkdir() or (folder / "step.json").write_text(json.dumps(step))
        return rk.Trained(Solver(step), save, 0, rk.Cost(flops=run.budget.limit), [])

    def load(self, setting, folder):
        return Solver(json.loads((folder / "model" / "step.json").read_text()))

    def price(self, setting):
        return rk.Price(1, 1.0, 1.0, 1.0)

    def longer(self, setting, folder, effort):
        def measure(problems, on_progress):
            right = rk.accuracy_interval([[1.0] * len(problems)], [problem.orbit for problem in problems])
            line = rk.Series("once", "said once", [rk.Point("1 step", 1.0, 1.0, right, right)])
            return rk.Scaled([line], [{"id": problems[0].id}], {}, "Steps", "said once.", "Nothing was varied.")

        return measure
'''.lstrip()

WORDS = ("task=mirror", "task.mirror.length=3", "method=[direct,parrot,shouting]", "train_size=30", "test_size=8")
WORDS += ("method.shouting.base=parrot", "method.shouting.backwards=true", "method.direct.batch_size=16")
WORDS += ("method.direct.width=16", "method.direct.heads=2", "budget.limit=2e6")


def program(*words: object, cwd: Path, python: str = sys.executable, **environment: str):
    """The command line in a process of its own, with none of this process's plug-ins."""
    return subprocess.run(
        [python, "-P", "-m", "reasoning_kit", *map(str, words)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def everything(cwd: Path, *more: str, **environment: str) -> None:
    """compare, eval, solve, estimate, scale and report, on the strangers' task and method."""

    def run(*words: object) -> str:
        done = program(*words, *more, cwd=cwd, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("compare", *WORDS, "--out", "out")
    accuracies = {}
    for method in ("direct", "parrot", "shouting"):
        record = json.loads((cwd / "out" / "mirror" / method / "seed-0" / "record.json").read_text())
        accuracies[method] = record["metrics"]["accuracy"]["value"]
    assert accuracies["shouting"] == 1.0 > accuracies["parrot"]

    parrot = cwd / "out" / "mirror" / "shouting" / "seed-0"
    assert "accuracy  100.0%" in run("eval", parrot)
    assert "right" in run("solve", parrot, "abd")
    assert "parrot" in run("estimate", *WORDS, "--no-probe")
    assert "Page:" in run("scale", parrot)
    assert "mirror" in run("report", "out")
    assert "mirror" in run("tasks", "ls")
    assert "mirror" in run("tasks", "show", "mirror")
    assert "parrot" in run("methods", "ls")


def test_the_strangers_are_short():
    assert len([line for line in STRANGERS.splitlines() if line.strip()]) <= 60


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_commands_run_on_a_plain_file(tmp_path):
    (tmp_path / "strangers.py").write_text(STRANGERS)
    everything(tmp_path, "--plugins", "strangers.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_commands_run_on_an_installed_package(tmp_path):
    """Built and installed as any package; its entry points are all that the kit sees of it."""
    package = tmp_path / "strangers"
    package.mkdir()
    (package / "strangers.py").write_text(STRANGERS)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "strangers"\nversion = "1"\n'
        '[project.entry-points."reasoning_kit.tasks"]\nmirror = "strangers:Mirror"\n'
        '[project.entry-points."reasoning_kit.methods"]\nparrot = "strangers:Parrot"\n'
    )
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(site), str(package)], check=True, capture_output=True)
    work = tmp_path / "work"
    work.mkdir()
    everything(work, PYTHONPATH=f"{ROOT}{os.pathsep}{site}")


def test_settings_of_the_working_folder_name_files_and_configurations(tmp_path, forget):
    (tmp_path / "strangers.py").write_text(STRANGERS)
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine" / "task" / "mirror-2.yaml").write_text(
        "# @package task\nmirror-2:\n  family: mirror\n  length: 2\n"
    )
    (tmp_path / "reasoning_kit.toml").write_text('plugins = ["strangers.py"]\nconfigs = ["mine"]\n')
    load_settings(tmp_path)
    config = load_config(["task=[mirror,mirror-2]", "method=[parrot]", "train_size=10", "test_size=2"])
    assert {name: task.options for name, task in config.tasks.items()} == {"mirror": {}, "mirror-2": {"length": 2}}
    assert rk.load_task("mirror-2").length == 2


@pytest.mark.slow
def test_classes_of_the_program_itself_reach_the_runs_in_other_processes(tmp_path):
    script = STRANGERS + (
        "\n\nrk.register_task(Mirror)\nrk.register_method(Parrot)\n"
        "results = rk.compare([Mirror(length=3)], {'parrot': {'backwards': True}}, rk.Budget('flops', 1e6),\n"
        "                     train_size=30, test_size=8, out='out')\n"
        "print('accuracy', results.table()['accuracy'][0])\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "accuracy 1.0" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def forget():
    """Take out again what a test registers."""
    before = [(registry, set(registry.registered())) for registry in (FAMILIES, METHODS)]
    yield
    for registry, names in before:
        for name in set(registry.registered()) - names:
            registry.forget(name)


TASK = "import reasoning_kit as rk\nfrom dataclasses import dataclass\n"
BAD = {
    "no such file": (None, "there is no Python file", ""),
    "syntax": ("x = 1\ndef f(:\n", "not valid Python", ":2"),
    "raises": ("x = 1\n\n1 / 0\n", "ZeroDivisionError", ":3"),
    "exits": ("import sys\nsys.exit(0)\n", "SystemExit", ":2"),
    "missing package": ("import no_such_package_here\n", "No module named 'no_such_package_here'", ":1"),
    "nothing in it": ("x = 1\n", "must define a task or a method", ""),
    "name taken": (
        TASK + "@dataclass(frozen=True)\nclass A(rk.Task):\n    family = 'sudoku'\n    def draw(self, rng): ...\n",
        "the name 'sudoku' must be new",
        ":3",
    ),
    "missing draw": (TASK + "@dataclass(frozen=True)\nclass A(rk.Task):\n    family = 'mine'\n", "draw", ":3"),
    "missing member": ("import reasoning_kit as rk\n\nclass A(rk.Method):\n    name = 'mine'\n", "load, train", ":3"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_told_with_file_and_line(kind, tmp_path, forget):
    content, said, line = BAD[kind]
    file = tmp_path / "bad.py"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError) as refused:
        load_plugins([file])
    assert said in str(refused.value)
    assert f"bad.py{line}" in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def draw(self, rng): return 1 / 0", "ZeroDivisionError"),
        ("def draw(self, rng): return 'a', 'b'\n    def is_right(self, problem, answer): return 1 / 0", "ZeroDivision"),
        ("draw_seconds = 0.2\n    def draw(self, rng):\n        while True: pass", "did not end"),
        ("patience = 50\n    def draw(self, rng): return 'a', 'b'", "different"),
        ("def draw(self, rng): return 'abc'", "must return (question, answer)"),
    ],
    ids=["draw raises", "is_right raises", "draw never ends", "draw repeats itself", "draw returns text"],
)
def test_bad_families_end_in_one_message(body, said, tmp_path):
    (tmp_path / "bad.py").write_text(
        f"{TASK}@dataclass(frozen=True)\nclass A(rk.Task):\n    family = 'mine'\n    {body}\n"
    )
    done = program(
        "compare",
        "task=mine",
        "method=[answer_only]",
        "--plugins",
        "bad.py",
        "train_size=20",
        "test_size=5",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("plugins = 3", "must be a list of paths"),
        ("plugin = ['a.py']", "unknown key 'plugin'"),
        ("plugins = [", "not valid TOML"),
        ("plugins = ['no.py']", "there is no Python file"),
        ("configs = ['no']", "there is no folder"),
    ],
)
def test_bad_settings_are_told(content, said, tmp_path):
    (tmp_path / "reasoning_kit.toml").write_text(content)
    with pytest.raises(UserError, match=r"reasoning_kit\.toml") as refused:
        load_settings(tmp_path)
    assert said in str(refused.value)


def test_a_run_of_a_plug_in_that_is_not_there_says_how_to_bring_it(tmp_path):
    (tmp_path / "strangers.py").write_text(STRANGERS)
    words = ("task=mirror", "method=[parrot]", "train_size=30", "test_size=8", "--out", "out")
    assert program("train", *words, "--plugins", "strangers.py", cwd=tmp_path).returncode == 0
    done = program("eval", "out/mirror/parrot/seed-0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--plugins FILE.py" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["task", "method"])
def test_new_writes_an_example_that_works(kind, tmp_path):
    done = program("new", kind, "my-own", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_own.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    again = program("new", kind, "my-own", cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_new_refuses_names_that_cannot_be(tmp_path):
    for name in ("sudoku", "a/b", "class", "9lives"):
        assert program("new", "task", name, cwd=tmp_path).returncode == 2


def test_a_folder_of_configurations_must_be_there(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        add_config_folder(tmp_path / "none")
