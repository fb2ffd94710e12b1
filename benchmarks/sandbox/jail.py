"""How a process is started where it can do no harm: bubblewrap's command line, and what it may see.

Its root is read-only and holds the interpreter, its standard library and the shared libraries that these load: no
``/proc``, no ``/tmp``, an empty home, no place to write. It has no network, its own tree of processes, an
unprivileged user and the system calls of :mod:`benchmarks.sandbox.seccomp`; it dies with the process that started it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from itertools import chain
from pathlib import Path

from benchmarks.sandbox.seccomp import ARCHITECTURES, seccomp_filter

HERE = Path(__file__).parent
INSIDE = ("values.py", "candidate_side.py", "tests_side.py")
KIT, HOME = "/kit", "/home"
UIDS = range(61_000, 61_500)  # in turn, as processes are counted by user; only where the superuser starts it
# Extension modules that draw in half a system's libraries and that no function needs.
LEFT_OUT = ("_tkinter", "_curses", "_dbm", "_gdbm", "_ssl", "_sqlite3", "nis", "readline", "ossaudiodev", "spwd")
LEFT_OUT_FOLDERS = ("site-packages", "dist-packages", "test", "ensurepip")


class NoJail(Exception):
    """Why processes cannot be isolated here."""


def interpreter() -> str:
    """The real one: a virtual environment's is a link to it."""
    return os.path.realpath(sys.executable)


@lru_cache(maxsize=1)
def _visible() -> tuple[list[str], str]:
    """Options that bind what an interpreter reads, and the folders of its shared libraries."""
    library = Path(sysconfig.get_path("stdlib"))
    modules = [path for path in (library / "lib-dynload").glob("*.so") if not path.name.startswith(LEFT_OUT)]
    found = subprocess.run(["ldd", interpreter(), *map(str, modules)], capture_output=True, text=True, check=False)
    libraries = set()
    for line in found.stdout.splitlines():
        words = line.split()
        path = words[2] if len(words) > 2 and words[1] == "=>" else words[0] if line.startswith("\t/") else ""
        if path.startswith("/") and os.path.exists(path):
            libraries.add(path)
    if not libraries:
        raise NoJail(f"ldd does not say which libraries {interpreter()} loads")
    options = ["--ro-bind", interpreter(), interpreter(), "--ro-bind", str(library), str(library)]
    for folder in LEFT_OUT_FOLDERS:
        if (library / folder).is_dir():
            options += ["--tmpfs", str(library / folder), "--remount-ro", str(library / folder)]
    for path in sorted(libraries):
        options += ["--ro-bind", path, path]
    seen = [*map(Path, libraries), library, Path(interpreter()), Path("/dev/null"), Path(KIT, "file")]
    parents = set(chain.from_iterable(path.parents for path in seen)) - {Path("/")}

    # Folders that bubblewrap makes on its way to a file are for their owner alone. So these are made before.
    folders: list[str] = []
    for parent in sorted(map(str, parents)):
        folders += ["--perms", "0755", "--dir", parent]
    return folders + options, ":".join(sorted({os.path.dirname(path) for path in libraries}))


def available() -> None:
    """
    Raises:
        NoJail: if something that isolation needs is missing; whether it works shows when it is tried.
    """
    if sys.platform != "linux":
        raise NoJail(f"bubblewrap is there for Linux only, this is {sys.platform}")
    if shutil.which("bwrap") is None:
        raise NoJail("bubblewrap is not installed (apt-get install bubblewrap)")
    if platform.machine() not in ARCHITECTURES:
        raise NoJail(f"there is no table of system calls for {platform.machine()}")


def jailed(program: str, uid: int, limits: list[int], filter_descriptor: int) -> list[str]:
    """The command that runs one of the programs of ``INSIDE`` in a jail.

    Args:
        limits: memory in bytes, processor time in seconds, threads.
        filter_descriptor: from which bubblewrap reads the filter of system calls.
    """
    root = os.getuid() == 0
    options, folders = _visible()
    command = [shutil.which("bwrap") or "bwrap", "--die-with-parent", "--new-session", "--clearenv", "--unshare-pid"]
    command += ["--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox"]
    # The superuser's bubblewrap needs no user name space, and the program gives the superuser up; an ordinary user's
    # needs one, in which the program is nobody from the beginning.
    command += ["--cap-drop", "ALL"]
    command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user", "--uid", "65534"]
    command += [] if root else ["--gid", "65534"]
    command += [*options, "--dev-bind", "/dev/null", "/dev/null", "--perms", "0755", "--dir", HOME]
    for name in INSIDE:
        command += ["--ro-bind", str(HERE / name), f"{KIT}/{name}"]
    command += ["--remount-ro", "/", "--chdir", HOME, "--seccomp", str(filter_descriptor)]
    for name, value in (("HOME", HOME), ("LD_LIBRARY_PATH", folders), ("LC_ALL", "C.UTF-8"), ("PYTHONHASHSEED", "0")):
        command += ["--setenv", name, value]
    return [*command, "--", *python(f"{KIT}/{program}", uid if root else 0, limits)]


def bare(program: str, limits: list[int]) -> list[str]:
    """The same program without a jail: with its limits, and nothing else."""
    return python(str(HERE / program), 0, limits)


def python(script: str, uid: int, limits: list[int]) -> list[str]:
    return [interpreter(), "-S", "-s", "-P", "-B", "-X", "utf8", script, str(uid), *map(str, limits)]


def filter_file() -> int:
    """A descriptor at the beginning of the filter."""
    descriptor = os.memfd_create("seccomp", 0)
    os.write(descriptor, seccomp_filter())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
