"""Processes that run model-written code and processes that judge it, started ahead so that a verdict need not wait.

For each verdict there is a fresh process for the code under test; the one that judges it serves many, as it runs
only the data set's own tests. Lines pass between the two through here, unread.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

from benchmarks.sandbox import values
from benchmarks.sandbox.jail import UIDS, NoJail, available, bare, filter_file, jailed

CANDIDATE, TESTS = "candidate_side.py", "tests_side.py"
SECONDS_TO_START, SECONDS_TO_END = 60.0, 5.0
SECONDS_TO_TELL = 5.0  # for those who judge, after the code under test has used up its time
FOREVER = 10**8  # seconds of processor time of a process that judges; a verdict has its own limit


@dataclass(frozen=True)
class Limits:
    """What one verdict may cost.

    Attributes:
        seconds: of wall clock, over all tests of a problem.
        cpu: seconds of processor time of the code under test, over all its threads.
        memory: bytes of address space of the code under test.
        threads: of the code under test; it cannot start processes.
        line: bytes of one returned value, written down.
    """

    seconds: float = 12.0
    cpu: int = 3
    memory: int = 512 << 20
    threads: int = 8
    line: int = 4 << 20


class Stopped(Exception):
    """A process ended, was too slow, or wrote too much."""


class Worker:
    """One process inside, and its two pipes."""

    def __init__(self, program: str, limits: Limits, uid: int, unsafe: bool, stderr: int = subprocess.DEVNULL) -> None:
        cpu = limits.cpu if program == CANDIDATE else FOREVER
        numbers = [limits.memory, cpu, limits.threads]
        self.line = limits.line
        self.rest = b""
        self.ready = False
        self.descriptor = -1 if unsafe else filter_file()
        try:
            command = bare(program, numbers) if unsafe else jailed(program, uid, numbers, self.descriptor)
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={"PYTHONHASHSEED": "0"},
                cwd="/",
                pass_fds=() if unsafe else (self.descriptor,),
                start_new_session=True,
            )
        finally:
            if not unsafe:
                os.close(self.descriptor)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)

    def wait_until_ready(self) -> None:
        """
        Raises:
            Stopped: if it does not start.
        """
        if not self.ready and self.receive(time.monotonic() + SECONDS_TO_START) != b"ready":
            raise Stopped("it does not start")
        self.ready = True

    def exchange(self, line: bytes, deadline: float) -> bytes:
        """The line that replies to a line.

        Raises:
            Stopped: if there is none in time.
        """
        self.send(line, deadline)
        return self.receive(deadline)

    def send(self, line: bytes, deadline: float) -> None:
        left = memoryview(line + b"\n")
        while left:
            self._wait(self.input, select.POLLOUT, deadline)
            try:
                left = left[os.write(self.input, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise Stopped("the process ended") from None

    def receive(self, deadline: float) -> bytes:
        """The next line; at most ``line`` bytes of it are kept in memory."""
        parts = [self.rest]
        size = len(self.rest)
        while b"\n" not in parts[-1]:
            if size > self.line:
                raise Stopped(f"a value of more than {self.line >> 20} MiB was returned")
            self._wait(self.output, select.POLLIN, deadline)
            try:
                parts.append(os.read(self.output, 1 << 16))
            except BlockingIOError:
                continue
            size += len(parts[-1])
            if not parts[-1]:
                raise Stopped("the process ended (processor time, memory, or by itself)")
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return line

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        waiting = select.poll()
        waiting.register(descriptor, event)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Stopped("it took too long")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Kill it with everything in it, and wait until no process holds its pipe any more."""
        self.kill()
        self.process.wait()
        deadline = time.monotonic() + SECONDS_TO_END
        with contextlib.suppress(Stopped, BlockingIOError):
            while True:
                self._wait(self.output, select.POLLIN, deadline)
                if not os.read(self.output, 1 << 16):
                    break
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Pool:
    """Warm processes with the same limits. Its methods may be called from several threads.

    Args:
        unsafe: no jail: limits alone. Model-written code can then read and write whatever the user can.
        ahead: how many processes for code under test are started ahead; default: the number of processors and one.
    """

    def __init__(self, limits: Limits | None = None, unsafe: bool = False, ahead: int | None = None) -> None:
        self.limits = limits or Limits()
        self.unsafe = unsafe
        self.owner = os.getpid()
        self.lock = threading.Lock()
        self.numbers = count()
        self.closed = False
        self.workers: set[Worker] = set()
        self.idle: list[Worker] = []
        # bubblewrap's processes die with the thread that started them, so one thread, which stays, starts them all.
        self.starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox")
        self.reaper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-end")
        self.warm: deque[Future[Worker]] = deque()
        if not unsafe:
            available()
            self._probe()
        for _ in range(_cores() + 1 if ahead is None else ahead):
            self.warm.append(self._start(CANDIDATE))
        atexit.register(self.close)

    # --- verdicts -------------------------------------------------------------------------------

    def judge(self, job: dict[str, Any]) -> dict[str, Any]:
        """What :func:`benchmarks.sandbox.tests_side.judge` says of a job: ``passed`` and ``fault``.

        Code that takes too long, too much memory, or ends its process passes nothing more; never an exception.

        Raises:
            NoJail: if processes can no longer be started.
        """
        candidate, judge = self._take(CANDIDATE), self._take(TESTS)
        deadline = time.monotonic() + self.limits.seconds
        sound = False
        try:
            line = values.write(job).encode()
            while True:
                # The code under test has the time limit; those who judge it may tell of it for a moment longer.
                message = values.read(judge.exchange(line, deadline + SECONDS_TO_TELL))
                if "verdict" in message:
                    sound = True
                    return message["verdict"]
                try:
                    line = candidate.exchange(message["ask"].encode(), deadline)
                except Stopped as stopped:
                    line = values.write({"gone": str(stopped)}).encode()
        except (Stopped, ValueError) as error:
            return {"passed": 0, "fault": f"its answers could not be judged: {error}"}
        finally:
            self._discard(candidate)
            if sound:
                with self.lock:
                    self.idle.append(judge)
            else:
                self._discard(judge)

    # --- processes ------------------------------------------------------------------------------

    def _start(self, program: str) -> Future[Worker]:
        uid = UIDS[next(self.numbers) % len(UIDS)]

        def start() -> Worker:
            worker = Worker(program, self.limits, uid, self.unsafe)
            with self.lock:
                if not self.closed:
                    self.workers.add(worker)
                    return worker
            worker.stop()
            raise NoJail("the sandbox was closed")

        return self.starter.submit(start)

    def _take(self, program: str) -> Worker:
        """One that is ready; one that died while it waited is replaced, once."""
        for again in (True, False):
            with self.lock:
                worker = self.idle.pop() if program == TESTS and self.idle else None
            if worker is None and program == CANDIDATE:
                self.warm.append(self._start(CANDIDATE))
                worker = self.warm.popleft().result()
            elif worker is None:
                worker = self._start(program).result()
            try:
                worker.wait_until_ready()
                if worker.process.poll() is None:
                    return worker
                raise Stopped("it ended while it waited")
            except Stopped as stopped:
                self._discard(worker)
                if not again:
                    raise NoJail(f"a sandboxed process does not run: {stopped}") from None
        raise AssertionError

    def _discard(self, worker: Worker) -> None:
        """Kill it now and see it off later: the kernel takes its time to take a name space down."""
        worker.kill()
        with self.lock:
            if worker in self.workers and not self.closed:
                self.workers.discard(worker)
                self.reaper.submit(worker.stop)

    def _probe(self) -> None:
        """Try to break out in the simplest ways.

        Raises:
            NoJail: if no process starts, or one starts and is not isolated.
        """
        worker = self.starter.submit(
            Worker, CANDIDATE, self.limits, UIDS[next(self.numbers) % len(UIDS)], False, subprocess.PIPE
        ).result()
        try:
            worker.wait_until_ready()
            deadline = time.monotonic() + SECONDS_TO_START
            worker.exchange(values.write({"do": "run", "code": PROBE}).encode(), deadline)
            reply = values.read(worker.exchange(values.write({"do": "eval", "code": "probe()"}).encode(), deadline))
        except (Stopped, ValueError) as error:
            os.set_blocking(worker.process.stderr.fileno(), False)  # type: ignore[union-attr]
            said = (worker.process.stderr.read() or b"").decode(errors="replace").strip()  # type: ignore[union-attr]
            raise NoJail(f"bubblewrap starts nothing: {said.splitlines()[-1] if said else error}") from None
        finally:
            worker.stop()
        if reply != {"ok": []}:
            raise NoJail(f"bubblewrap does not isolate: {reply}")

    def close(self) -> None:
        """Kill every process. It can be called twice."""
        if self.owner != os.getpid():
            return
        with self.lock:
            self.closed = True
            workers, self.workers = list(self.workers), set()
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.stop()
        self.reaper.shutdown(wait=True)
        self.starter.shutdown(wait=True)
        atexit.unregister(self.close)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# What must fail or be absent inside; what does not is named. It changes nothing where there is no jail around it.
PROBE = """
def probe():
    import ctypes, os
    found = []
    if os.getuid() == 0 or os.getgid() == 0:
        found.append("superuser")
    for path in ("/etc", "/proc", "/sys", "/tmp", "/bin/sh", "/dev/tty", "/dev/shm"):
        if os.path.exists(path):
            found.append(path)
    for folder in ("/", "/home", "/dev", "/kit"):
        if os.access(folder, os.W_OK):
            found.append("write " + folder)
    libc = ctypes.CDLL(None, use_errno=True)
    calls = {"fork": (), "socket": (2, 1, 0), "unshare": (0x10000000,), "memfd_create": (b"x", 0)}
    for name, arguments in calls.items():
        result = getattr(libc, name)(*arguments)
        if result == 0 and name == "fork":
            os._exit(0)
        if result != -1:
            found.append(name)
    if libc.prctl(39, 0, 0, 0, 0) != 1:
        found.append("new privileges")
    return found
"""
