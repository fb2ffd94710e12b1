"""What this machine can run, and what is missing, with the cure beside it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reasoning_kit.config.composition import DATA_VARIABLE, config_folder
from reasoning_kit.runs.environment import free_cores, processor, versions

REQUIRED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "hydra", "pyarrow", "plotly")


def examine(console: Console) -> int:
    """Print the findings; 0 if the head-to-head can run here, else 1."""
    import psutil

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    broken = False

    def row(name: str, good: bool | None, text: str, needed: bool = False) -> None:
        nonlocal broken
        broken |= needed and not good
        mark = {True: "[green]yes[/green]", False: "[red]no[/red]" if needed else "[yellow]no[/yellow]", None: ""}[good]
        table.add_row(name, mark, text)

    row("Python 3.11 or newer", sys.version_info >= (3, 11), sys.version.split()[0], needed=True)
    missing = [name for name in REQUIRED if find_spec(name) is None]
    row("packages", not missing, "all there" if not missing else f"pip install {' '.join(missing)}", needed=True)
    if missing:
        console.print(table)
        return 1
    for name, text in versions().items():
        row(f"  {name}", None, text)
    row("configuration files", config_folder().is_dir(), str(config_folder()), needed=True)
    row("processor", None, f"{processor()}, {os.cpu_count()} cores, {free_cores()} free now")
    row("memory", None, f"{psutil.virtual_memory().total / 2**30:.0f} GiB")
    row("GPU", *_gpu())
    _optional(row)
    _data(row)
    row("writes here", _writable(Path.cwd()), str(Path.cwd()), needed=True)
    console.print(table)
    console.print("\nNext: reasoning-kit compare experiment=quick" if not broken else "\nMend what says no in red.")
    return int(broken)


def _gpu() -> tuple[bool, str]:
    """Whether torch can compute on a GPU here, and which; read from files, because loading torch takes seconds."""
    found, built_for = _driver_gpus(), _torch_built_for()
    if found and "cuda" in built_for:
        return True, f"{', '.join(found)}; torch is built for CUDA {built_for['cuda']}"
    if found:
        return False, f"{', '.join(found)}, which torch cannot use: it is built without CUDA"
    if Path("/dev/kfd").exists() and "hip" in built_for:
        return True, f"AMD GPU; torch is built for ROCm {built_for['hip']}"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return True, "Apple GPU"
    return False, "none: everything runs on the CPU"


def _driver_gpus() -> list[str]:
    """Names of the GPUs that NVIDIA's driver knows."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+)$", path.read_text(), re.MULTILINE)
        names.append(model[1].strip() if model else "NVIDIA GPU")
    return names


def _torch_built_for() -> dict[str, str]:
    """The versions of ``cuda`` or ``hip`` (ROCm) that torch is built for."""
    spec = find_spec("torch")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        version = Path(folder) / "version.py"
        if version.exists():
            return dict(re.findall(r"^(cuda|hip)\b.*= '(.+)'$", version.read_text(), re.MULTILINE))
    return {}


def _optional(row) -> None:
    from benchmarks.sandbox.run import isolation

    row("energy of the GPU", find_spec("pynvml") is not None, "pip install 'reasoning_kit\\[gpu]' where there is a GPU")
    row("vLLM", find_spec("vllm") is not None, "not needed: transformers generates")
    unsafe = isolation()
    row("isolation of model-written code", not unsafe, unsafe or "bubblewrap: humaneval, mbpp, exercism, cruxeval")
    monty = find_spec("pydantic_monty") is not None
    row("pydantic-monty", monty, "only for cruxeval's inputs where bubblewrap is missing")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    row("Chromium", chromium is not None, "only for the browser test of the report")


def _data(row) -> None:
    folder = os.environ.get(DATA_VARIABLE)
    if folder is None:
        cure = f"give data=FOLDER, set {DATA_VARIABLE}, or take a task of the hub; generated problems need none"
        row("published data", False, cure)
        return
    for task in ("sudoku_extreme", "maze_30x30_hard"):
        path = Path(folder) / task / "train.csv.gz"
        row(f"published data: {task}", path.exists(), str(path))


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
