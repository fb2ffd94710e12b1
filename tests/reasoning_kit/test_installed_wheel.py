"""The package as others install it: a wheel in an environment of its own, run from a folder that is no checkout.

The environment borrows the dependencies of this one through a ``.pth`` file (downloading torch again would take minutes
and a network). ``.pth`` files of a borrowed folder are not followed, so the editable checkout is out of reach.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory) -> Path:
    """The folder of programs of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    programs = folder / "bin"
    install = ["-m", "pip", "--python", str(programs / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, *install, "--ignore-installed", str(wheel)], check=True)
    return programs


@pytest.fixture
def run(programs, tmp_path):
    def call(*words: str) -> str:
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "REASONING_KIT_DATA")}
        settings = kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
        program, *rest = words
        done = subprocess.run(
            [programs / program, *rest], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def test_the_wheel_holds_code_configuration_and_the_report_but_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for file in (ROOT / "configs").rglob("*.yaml"):
        assert f"reasoning_kit/configs/{file.relative_to(ROOT / 'configs')}" in names
    for package in ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks"):
        assert f"{package}/py.typed" in names
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert str(file.relative_to(ROOT)) in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks",
    }  # fmt: skip


def test_the_package_comes_from_the_wheel(run, programs):
    places = run("python", "-c", "import reasoning_kit.cli as c, trm as t; print(c.__file__); print(t.__file__)")
    for place in places.split():
        assert Path(place).is_relative_to(programs.parent)
    assert str(ROOT) not in run("python", "-c", "import sys; print([p for p in sys.path if 'site-packages' not in p])")


def test_doctor_runs(run, programs):
    shown = run("reasoning-kit", "doctor")
    assert str(programs.parent) in shown.replace("\n", ""), "it must find the configuration of the wheel"
    assert "Next: reasoning-kit compare" in shown


def test_compare_runs_with_workers_from_the_wheel(run, tmp_path):
    shown = run(
        "reasoning-kit", "compare", "method=[trm]", "method.trm.batch_size=8", "train_size=16", "test_size=4",
        "budget=smoke", "budget.limit=2", "evaluation.curve_problems=0", "--out", "results",
    )  # fmt: skip
    assert "report.html" in shown
    assert (tmp_path / "results" / "report.html").stat().st_size > 10_000
    record = json.loads((tmp_path / "results" / "sudoku-4x4" / "trm" / "seed-0" / "record.json").read_text())
    assert record["git"] == {}, "a worker that runs from the checkout would know its commit"
    assert record["versions"]["reasoning_kit"] != "missing"
