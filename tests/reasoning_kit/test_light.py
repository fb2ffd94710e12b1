"""What needs no model answers at once: no heavy library is imported, and little processor time is used."""

import json
import resource
import subprocess
import sys

import pytest
from command_line import environment

HEAVY = ("torch", "transformers", "datasets", "trl", "peft", "accelerate", "plotly", "scipy", "statsmodels", "hydra")
COMPOSES = ("hydra",)  # what reads overrides
STATISTICS = ("plotly", "scipy", "statsmodels")  # what compares runs
SECONDS = 1.0
SLACK = 2.0  # for a crowded or slower machine

PROGRAM = """
import json, sys
from reasoning_kit.cli import main
sys.argv = ["reasoning-kit", *sys.argv[1:]]
try:
    main()
except SystemExit as ending:
    code = ending.code
print(json.dumps([code or 0, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported(tmp_path, *words: str) -> tuple[int, set[str], float]:
    """The exit code of a command, the top-level modules in its process at the end, and its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *map(str, words)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, names = json.loads(done.stderr.splitlines()[-1])
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return code, set(names), spent


@pytest.mark.parametrize(
    ("words", "code", "allowed"),
    [
        (("--help",), 0, ()),
        (("--version",), 0, ()),
        (("compare", "--help"), 0, ()),
        (("tasks", "ls"), 0, ()),
        (("methods", "ls"), 0, ()),
        (("methods", "show", "ar_jacobi"), 0, ()),
        (("options",), 0, ()),
        (("options", "method.trm"), 0, ()),
        (("options", "model"), 0, ()),
        (("tasks", "show", "sudoku-4x4", "--options"), 0, ()),
        (("doctor",), 0, ()),
        (("compare", "--seed", "3"), 2, ()),
        (("compare", "method.trm.nn=4"), 2, COMPOSES),
        (("compare", "task.sudoku-4x4.sise=6"), 2, COMPOSES),
        (("compare", "budget.limit=0"), 2, COMPOSES),
        (("compare", "--model", "/nonexistent"), 2, COMPOSES),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value and isinstance(value[0], str) else None,
)
def test_a_light_command_imports_nothing_heavy(tmp_path, words, code, allowed):
    ended, modules, seconds = imported(tmp_path, *words)
    assert ended == code
    assert not modules & (set(HEAVY) - set(allowed))
    assert seconds < SLACK * SECONDS


TRAINERS = ("datasets", "peft", "trl", "accelerate", "plotly", "statsmodels")  # what only training and reports need


@pytest.mark.parametrize(
    ("methods", "more"),
    [
        ("direct,trm", ("torch", "transformers")),  # for the configuration
        ("answer_only,cot,grpo", ()),
        ("ar_jacobi", ("torch", "transformers")),
    ],
)
def test_an_estimate_by_formula_loads_no_trainer(tmp_path, methods, more):
    ended, modules, seconds = imported(tmp_path, "estimate", "--no-probe", f"method=[{methods}]", "task=[sudoku-4x4]")
    assert ended == 0
    assert not modules & {*TRAINERS, *({"torch", "transformers"} - set(more))}
    assert seconds < 3 * SLACK * SECONDS


def test_a_report_needs_statistics_and_no_models(tmp_path, comparison_folder):
    ended, modules, seconds = imported(tmp_path, "report", comparison_folder)
    assert ended == 0
    assert not modules & (set(HEAVY) - set(STATISTICS))
    assert seconds < 2 * SLACK * SECONDS  # with the intervals of 30 runs


def test_examples_of_a_task_take_three_seconds(tmp_path):
    ended, _, seconds = imported(tmp_path, "tasks", "show", "sudoku-4x4")
    assert ended == 0
    assert seconds < 3 * SLACK * SECONDS
