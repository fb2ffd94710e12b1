"""Code that attacks: none gets out, none passes, none hangs, and nothing is left behind. All limits are set low."""

# ruff: noqa: E501  (programs in one line)
from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.sandbox import values
from benchmarks.sandbox.jail import UIDS
from benchmarks.sandbox.pool import CANDIDATE, Limits, Pool, Worker
from benchmarks.sandbox.run import Tests, isolation, run_tests

pytestmark = pytest.mark.skipif(bool(isolation()), reason=f"no isolation here: {isolation()}")
# A number of bytes that no other process has among its arguments.
SMALL = Limits(seconds=4.0, cpu=1, memory=(256 << 20) + 4096 * secrets.randbelow(1000), threads=4, line=1 << 20)
DOUBLE = Tests(("assert f(2) == 4", "assert f(5) == 10"), remote={"f": "f"})
RIGHT = "def f(x): return 2 * x"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(SMALL, ahead=2)
    yield pool
    pool.close()
    assert _with_argument(SMALL.memory) == []


def ask(code: str, expression: str) -> Any:
    """What an expression is inside; ``{"error": ...}`` where it raises."""
    worker = _started()
    try:
        deadline = time.monotonic() + SMALL.seconds
        worker.exchange(values.write({"do": "run", "code": code}).encode(), deadline)
        return values.read(worker.exchange(values.write({"do": "eval", "code": expression}).encode(), deadline))
    finally:
        worker.stop()


def _started() -> Worker:
    worker = Worker(CANDIDATE, SMALL, UIDS[-1], unsafe=False)
    worker.wait_until_ready()
    return worker


def refused(code: str, pool: Pool) -> str:
    """The fault of code that must not pass, and must not take longer than its limits."""
    start = time.monotonic()
    outcome = run_tests(code, DOUBLE, pool=pool)
    assert outcome.passed == 0
    assert time.monotonic() - start < SMALL.seconds + 8
    assert run_tests(RIGHT, DOUBLE, pool=pool).right, "the next verdict is as if nothing had been"
    return outcome.fault


# --- processes -------------------------------------------------------------------------------------

FORK_BOMBS = {
    "fork": "import os\nwhile True:\n    os.fork()",
    "fork, whatever it raises": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    "subprocess": "import subprocess, sys\nwhile True:\n    subprocess.Popen([sys.executable, '-c', 'input()'])",
    "multiprocessing": "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    "system calls": "import ctypes\nlibc = ctypes.CDLL(None)\nassert libc.syscall(57) >= 0 or libc.syscall(58) >= 0",
    "clone3": "import ctypes\nassert ctypes.CDLL(None).syscall(435, 0, 0) >= 0",
    "threads": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()",
}


@pytest.mark.parametrize("code", FORK_BOMBS.values(), ids=FORK_BOMBS)
def test_fork_bombs(code: str, pool: Pool) -> None:
    refused(code, pool)


def test_no_process_can_be_started_and_few_threads() -> None:
    code = (
        "import os, threading, time\n"
        "def threads():\n"
        "    started = 0\n"
        "    try:\n"
        "        for _ in range(100):\n"
        "            threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "            started += 1\n"
        "    except RuntimeError:\n"
        "        pass\n"
        "    return started\n"
    )
    assert "error" in ask(code, "os.fork()")
    assert ask(code, "threads()") == {"ok": SMALL.threads - 1}


# --- memory, time, output --------------------------------------------------------------------------

BOMBS = {
    "one block": "def f(x): return len(bytearray(1 << 40)) and 2 * x",
    "many blocks": "kept = []\ndef f(x):\n    while True:\n        kept.append(bytearray(1 << 20))",
    "mappings": "import mmap\nkept = []\nwhile True:\n    kept.append(mmap.mmap(-1, 1 << 24))\n    kept[-1].write(b'x' * (1 << 24))",
    "shared memory": "from multiprocessing.shared_memory import SharedMemory\nSharedMemory(create=True, size=1 << 30)",
    "System V": "import ctypes\nassert ctypes.CDLL(None).shmget(0, 1 << 30, 0o1600) >= 0",
    "memory files": "import os\nd = os.memfd_create('x')\nos.ftruncate(d, 1 << 30)",
    "numbers": "def f(x): return 10 ** 10 ** 9",
}
LOOPS = {
    "loop": "while True: pass",
    "loop when called": "def f(x):\n    while True: pass",
    "loop that catches": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "sleep": "import time\ntime.sleep(1000)",
    "regular expression": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "deep": "def f(x): return f(x)",
    "deeper": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x)",
    "signals ignored": "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass",
}
OUTPUT = {
    "print": "while True: print('x' * 10000)",
    "every descriptor": "import os\nwhile True:\n    for d in range(32):\n        try: os.write(d, b'x' * 65536)\n"
    "        except OSError: pass",
    "an endless value": "def f(x): return 'x' * (1 << 26)",
    "a deep value": "def f(x):\n    v = []\n    for _ in range(10 ** 5): v = [v]\n    return v",
    "a value in itself": "def f(x):\n    v = []\n    v.append(v)\n    return v",
    "an endless generator": "import itertools\ndef f(x): return itertools.count()",
    "lines": "import os\nwhile True:\n    for d in range(3, 32):\n        try: os.write(d, b'{}\\n' * 9999)\n"
    "        except OSError: pass",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS)
def test_memory_bombs(code: str, pool: Pool) -> None:
    refused(code, pool)


@pytest.mark.parametrize("code", LOOPS.values(), ids=LOOPS)
def test_endless_loops(code: str, pool: Pool) -> None:
    refused(code, pool)


@pytest.mark.parametrize("code", OUTPUT.values(), ids=OUTPUT)
def test_endless_output(code: str, pool: Pool) -> None:
    refused(code, pool)


# --- the host --------------------------------------------------------------------------------------


def test_files_and_environment_of_the_host_cannot_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    monkeypatch.setenv("SECRET", "secret")
    code = "import os, sys, glob"
    assert "No such file" in ask(code, f"open({str(secret)!r}).read()")["error"]
    for path in ("/etc/passwd", "/proc/self/environ", "/proc/1/mem", "/sys/kernel", "/dev/sda", str(Path.home() / "x")):
        assert "No such file" in ask(code, f"open({path!r}).read()")["error"]
    assert "SECRET" not in ask(code, "dict(os.environ)")["ok"]
    assert ask(code, "os.listdir(os.environ['HOME'])") == {"ok": []}
    assert not {"etc", "proc", "sys", "tmp", "var", "work", "home2"} & set(ask(code, "os.listdir('/')")["ok"])
    assert ask(code, "os.listdir('/dev')") == {"ok": ["null"]}
    assert "ok" not in ask(code, "__import__('pytest')")


def test_no_socket_can_be_opened() -> None:
    code = "import socket, asyncio, urllib.request"
    for call in ("socket.socket()", "socket.socket(socket.AF_UNIX)", "socket.socket(socket.AF_NETLINK, 3)",
                 "socket.create_connection(('127.0.0.1', 22), 1)", "socket.socketpair()",
                 "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"):  # fmt: skip
        assert "PermissionError" in ask(code, call)["error"], call


def test_nothing_can_be_written(tmp_path: Path, pool: Pool) -> None:
    code = (
        "import os, glob\n"
        "def write(path):\n"
        "    with open(path, 'w') as file: return file.write('x')\n"
        "def fill():\n"
        "    written = []\n"
        "    for folder, _, _ in os.walk('/'):\n"
        "        try:\n"
        "            with open(folder + '/filled', 'wb') as file:\n"
        "                while True: file.write(b'x' * (1 << 20))\n"
        "        except OSError: pass\n"
        "        if os.path.exists(folder + '/filled'): written.append(folder)\n"
        "    return written\n"
    )
    for path in (str(tmp_path / "x"), "/x", "/home/x", "/tmp/x", "/dev/x", "/kit/x", "/kit/tests_side.py"):
        assert "error" in ask(code, f"write({path!r})")
    assert ask(code, "fill()") == {"ok": []}
    assert "error" in ask(code, "os.chmod('/kit/tests_side.py', 0o777)")
    assert "error" in ask(code, "os.remove('/kit/tests_side.py')")
    assert list(tmp_path.iterdir()) == []


KILLERS = {
    "parent": "import os\nos.kill(os.getppid(), 9)",
    "first": "import os\nos.kill(1, 9)",
    "all": "import os\nos.kill(-1, 9)",
    "group": "import os\nos.killpg(0, 9)",
    "guessed": f"import os\nfor pid in range(2, {os.getpid() + 50}):\n    if pid != os.getpid():\n"
    "        try: os.kill(pid, 9)\n        except OSError: pass",
    "itself": "import os\nos.abort()",
    "crash": "import ctypes\nctypes.string_at(1)",
}


@pytest.mark.parametrize("code", KILLERS.values(), ids=KILLERS)
def test_killing_the_parent(code: str, pool: Pool) -> None:
    refused(code, pool)


def test_privileges_as_the_host_sees_them() -> None:
    worker = _started()
    try:
        family = psutil.Process(worker.process.pid).children(recursive=True)
        status = dict(
            line.split(":\t")
            for line in Path(f"/proc/{family[-1].pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert "0" not in status["Uid"].split()
        assert status["Groups"].split() in ([], ["65534"])
        for kind in ("CapEff", "CapPrm", "CapAmb"):
            assert int(status[kind], 16) == 0, kind
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        for space in ("net", "pid", "ipc", "uts", "mnt"):
            assert os.readlink(f"/proc/{family[-1].pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}")
    finally:
        worker.stop()


# --- forging ---------------------------------------------------------------------------------------

EVERY_DESCRIPTOR = (
    "import os, json\n"
    "for line in ({lines}):\n"
    "    for d in range(32):\n"
    "        try: os.write(d, line + b'\\n')\n"
    "        except OSError: pass\n"
)
VERDICTS = 'b\'{"d":[["verdict",{"d":[["passed",2],["fault",""]]}]]}\', b"passed", b\'{"verdict": {"passed": 2}}\''
FORGERIES = {
    "printing": "print('OK'); print('2 passed')\ndef f(x): print('passed'); return 0",
    "verdicts on every descriptor": EVERY_DESCRIPTOR.format(lines=VERDICTS) + "def f(x): return 0",
    "verdicts when called": "def f(x):\n"
    + "".join(f"    {line}\n" for line in EVERY_DESCRIPTOR.format(lines=VERDICTS).splitlines()),
    "answers in advance": EVERY_DESCRIPTOR.format(lines='b\'{"d":[["ok",null]]}\',') * 9 + "def f(x): return 0",
    "leaving early": "import os\nos._exit(0)",
    "leaving early in words": "import sys\nsys.exit(0)",
    "leaving when called": "import os\ndef f(x): os._exit(0)",
    "at exit": "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x): raise SystemExit(0)",
    "assertion errors": "import builtins\nclass Never(Exception):\n    def __init__(self, *a): raise SystemExit(0)\n"
    "builtins.AssertionError = Never\ndef f(x): return 0",
    "builtins": "import builtins\nfor n in ('isinstance', 'len', 'exec', 'compile', 'all', 'map', 'type', 'abs'):\n"
    "    setattr(builtins, n, lambda *a, **k: True)\ndef f(x): return 0",
    "equal to all": "class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
    "    def __bool__(self): return True\n    __hash__ = None\ndef f(x): return E()",
    "a number equal to all": "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n"
    "def f(x): return E(0)",
    "a list equal to all": "class E(list):\n    def __eq__(self, o): return True\ndef f(x): return E()",
    "the protocol": "import sys\nv = sys.modules['values']\n"
    'v.write = lambda *a, **k: \'{"d":[["verdict",{"d":[["passed",2],["fault",""]]}]]}\'\ndef f(x): return 0',
    "the loop that serves": "import sys\nm = sys.modules['__main__']\nm.Objects.do = lambda self, r: True\ndef f(x): return 0",
    "names of the tests": "def f(x): return 0\ncheck = same = Tests = run_tests = judge = lambda *a, **k: True\n"
    "import sys\nfor m in list(sys.modules.values()):\n    for n in ('judge', 'run', 'attempt', 'same', 'check'):\n"
    "        try: setattr(m, n, lambda *a, **k: '')\n        except Exception: pass",
    "a thread that answers": "import threading, os, time\ndef spam():\n    while True:\n        for d in range(3, 32):\n"
    '            try: os.write(d, b\'{"d":[["verdict",1]]}\\n\')\n            except OSError: pass\n        time.sleep(.01)\n'
    "threading.Thread(target=spam, daemon=True).start()\ndef f(x): return 0",
    "a module of its own": "import sys, types\nsys.modules['tests_side'] = types.ModuleType('tests_side')\n"
    "sys.modules['random'] = None\ndef f(x): return 0",
    "not a number": "def f(x): return float('nan')",
    "true": "def f(x): return True",
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_forged_verdicts(code: str, pool: Pool) -> None:
    refused(code, pool)


SEARCH = """
import ctypes, gc, os, sys
def everything():
    yield from gc.get_objects()
    frame = sys._getframe()
    while frame:
        yield from frame.f_locals.values()
        yield from frame.f_globals.values()
        frame = frame.f_back
    for module in list(sys.modules.values()):
        yield from vars(module).values()
def look(value, depth=0):
    if isinstance(value, str) and value.startswith('expected-') and len(value) > 20:
        return value
    if depth < 4 and isinstance(value, (list, tuple, set, frozenset)):
        for item in list(value)[:500]:
            found = look(item, depth + 1)
            if found: return found
    if depth < 4 and isinstance(value, dict):
        for item in list(value.values())[:500]:
            found = look(item, depth + 1)
            if found: return found
    if isinstance(value, bytes) and b'expected-' in value:
        return value.decode()
def memory():
    for path in ('/proc/self/mem', '/proc/%d/mem' % os.getppid(), '/proc/1/mem'):
        try: return open(path, 'rb').read(1 << 20)
        except OSError: pass
def descriptors():
    for d in range(32):
        try:
            os.set_blocking(d, False)
            text = os.read(d, 1 << 16)
            if b'expected-' in text: return text
        except OSError: pass
def f(x):
    for value in everything():
        found = look(value)
        if found: return found
    return memory() or descriptors() or ctypes.CDLL(None).syscall(101, 16, os.getppid(), 0, 0)
"""


def test_the_expected_value_is_nowhere_to_be_found(pool: Pool) -> None:
    expected = f"expected-{secrets.token_hex(16)}"
    tests = Tests((f"assert f(1) == {expected!r}",), setup=f"known = {expected!r}", remote={"f": "f"})
    outcome = run_tests(SEARCH, tests, pool=pool)
    assert outcome.passed == 0
    assert "failed" in outcome.fault
    # The search does find what is there.
    assert run_tests(f"here = {expected!r}\n{SEARCH}", tests, pool=pool).right


def test_one_answer_leaves_nothing_for_the_next(pool: Pool) -> None:
    spoil = "import builtins, sys\nbuiltins.spoilt = True\nsys.modules['spoilt'] = sys\ndef f(x): return 2 * x"
    assert run_tests(spoil, DOUBLE, pool=pool).right
    look = (
        "import builtins, sys\ndef f(x): return x if hasattr(builtins, 'spoilt') or 'spoilt' in sys.modules else 2 * x"
    )
    assert run_tests(look, DOUBLE, pool=pool).right


# --- all together ----------------------------------------------------------------------------------


def test_several_at_once_while_right_answers_pass(pool: Pool) -> None:
    attacks = [FORK_BOMBS["subprocess"], FORK_BOMBS["threads"], BOMBS["many blocks"], LOOPS["loop when called"],
               OUTPUT["every descriptor"], KILLERS["all"], FORGERIES["a thread that answers"]]  # fmt: skip
    combined = "import threading\n" + "".join(
        f"threading.Thread(target=exec, args=({attack!r}, {{}})).start()\n" for attack in attacks[1:4]
    )
    with ThreadPoolExecutor(3) as workers:
        bad = [workers.submit(run_tests, code, DOUBLE, pool=pool) for code in [*attacks, combined]]
        start, right = time.monotonic(), 0
        while not all(future.done() for future in bad):
            assert run_tests(RIGHT, DOUBLE, pool=pool).right
            right += 1
        slowest = (time.monotonic() - start) / max(right, 1)
    assert all(future.result().passed == 0 for future in bad)
    assert slowest < 2.0, f"a right answer took {slowest:.1f} s meanwhile"


def test_nothing_is_left_when_a_pool_closes() -> None:
    memory = (256 << 20) + 4096 * (1000 + secrets.randbelow(1000))
    descriptors, files = psutil.Process().num_fds(), {*Path("/tmp").iterdir(), *Path("/dev/shm").iterdir()}
    pool = Pool(Limits(seconds=4.0, cpu=1, memory=memory), ahead=2)
    assert not run_tests(LOOPS["loop"], DOUBLE, pool=pool).right
    assert _with_argument(memory)
    pool.close()
    assert _with_argument(memory) == []
    assert psutil.Process().num_fds() <= descriptors
    made = {*Path("/tmp").iterdir(), *Path("/dev/shm").iterdir()} - files
    assert not [path for path in made if path.exists() and path.stat().st_uid in UIDS]


DOOMED = """
import sys
from benchmarks.sandbox.run import Tests, run_tests
from benchmarks.sandbox.pool import Limits, Pool
pool = Pool(Limits(seconds=60, cpu=60, memory=%d), ahead=1)
print("started", flush=True)
run_tests("import time\\ntime.sleep(50)", Tests(("assert f()",), remote={"f": "f"}), pool=pool)
"""


def test_nothing_is_left_when_the_host_is_killed() -> None:
    memory = (256 << 20) + 4096 * (2000 + secrets.randbelow(1000))
    host = subprocess.Popen(
        [sys.executable, "-c", DOOMED % memory], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert host.stdout is not None
    assert host.stdout.readline() == b"started\n"
    deadline = time.monotonic() + 20
    while not _with_argument(memory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _with_argument(memory)
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    while _with_argument(memory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _with_argument(memory) == []


def _with_argument(memory: int) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if str(memory) in (p.info["cmdline"] or [])]
