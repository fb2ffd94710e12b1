"""Where a run happens: versions, git revision, hardware, cores that are free, memory and energy used."""

from __future__ import annotations

import os
import platform
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "reasoning_kit", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "hydra-core", "numpy",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of Python and the packages that a result depends on; a missing one is named so."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def git_revision() -> dict[str, Any]:
    """Commit of the checkout that the code runs from and whether it was changed; empty for an installed package, and
    where there is no git to ask."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists() or which("git") is None:
        return {}

    def git(*words: str) -> str:
        done = subprocess.run(("git", *words), cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--untracked-files=no"))}


def surroundings() -> dict[str, Any]:
    """What a result says beside its numbers: the command, when it ended, versions, hardware and git revision."""
    import torch

    return {
        "command": shlex.join(["reasoning-kit", *sys.argv[1:]]),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions() | {"cuda": torch.version.cuda},
        "hardware": hardware(),
        "git": git_revision(),
    }


def compute_device(use_cpu: bool = False) -> torch.device:
    """The accelerator where there is one, unless the CPU is asked for."""
    import torch

    found = None if use_cpu else torch.accelerator.current_accelerator()
    return found or torch.device("cpu")


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and accelerators."""
    import psutil
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def free_cores() -> int:
    """Cores that this process may use, less those that are busy during half a second; at least 1.

    Not the load average: it still holds the set-up that has just ended.
    """
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    idle = sum(100 - busy for busy in psutil.cpu_percent(interval=0.5, percpu=True)) / 100
    return max(1, min(allowed, round(idle)))


def use_free_cores() -> None:
    """As many threads as cores are free: more than that wait for each other, and small models crawl."""
    import torch

    torch.set_num_threads(free_cores())


def has_gpu() -> bool:
    """Whether torch would compute on a GPU of NVIDIA or AMD. torch is loaded only where a driver for one is there."""
    drivers = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")  # CUDA; ROCm; both on WSL
    without = platform.system() == "Linux" and not any(map(os.path.exists, drivers))
    if without and "torch" not in sys.modules:
        return False

    import torch

    return torch.cuda.is_available()


def process_settings(threads: int) -> dict[str, str]:
    """Environment variables for a process that computes on so many threads of a shared machine."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # a thread that spins takes the core from the other runs
        # glibc gives blocks above 32 MB back at once, and each step pays for getting fresh pages: 3 to 6 % of it.
        "MALLOC_MMAP_THRESHOLD_": str(2**32),
        "MALLOC_TRIM_THRESHOLD_": str(2**33),
    }


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far, or of the GPU's allocations where they are larger."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return max(host, device)


@contextmanager
def measured_energy() -> Iterator[dict[str, float | None]]:
    """Joules used by the GPUs inside the block under ``joules``; ``None`` where NVML does not answer."""
    used: dict[str, float | None] = {"joules": None}
    before = _gpu_millijoules()
    yield used
    after = _gpu_millijoules()
    if before is not None and after is not None:
        used["joules"] = (after - before) / 1000


def _gpu_millijoules() -> float | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        return float(
            sum(
                pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(i))
                for i in range(pynvml.nvmlDeviceGetCount())
            )
        )
    except Exception:  # NVML raises its own errors where there is no driver, no GPU or no counter
        return None
