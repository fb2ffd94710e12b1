"""The other end of :mod:`benchmarks.verifiable.gym.server`: starts it once, asks it, and stops it when it hangs."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from benchmarks.errors import UserError

MODULE = "benchmarks.verifiable.gym.server"


class GymError(Exception):
    """What reasoning-gym raised, or that it took too long."""


def require_reasoning_gym() -> None:
    """
    Raises:
        UserError: if it is not installed.
    """
    if find_spec("reasoning_gym") is None:
        raise UserError(
            "the family 'gym' needs the package reasoning-gym, which is not installed.",
            cure="Install it with: pip install 'reasoning_kit[gym]' (in a checkout: pip install -e '.[gym]').",
        )


class _Server:
    def __init__(self) -> None:
        root = Path(__file__).parents[3]
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": path},
        )
        self.owner = os.getpid()
        self.replies: Queue[str] = Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.replies.put(line)
        self.replies.put("")

    def stop(self) -> None:
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            self.listener.join()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()


_lock = threading.Lock()
_server: _Server | None = None


def ask(request: dict[str, Any], patience: float) -> Any:
    """The reply to a request; a process that was killed from outside is started once more.

    Raises:
        GymError: if reasoning-gym raised something, or did not reply within ``patience`` seconds.
    """
    with _lock:
        line = _exchange(json.dumps(request), patience) or _exchange(json.dumps(request), patience)
    if not line:
        raise GymError("its process ended")
    reply = json.loads(line)
    if "error" in reply:
        raise GymError(reply["error"])
    return reply["ok"]


def _exchange(request: str, patience: float) -> str:
    """The line that replies to a line; empty if the process ended."""
    global _server
    if _server is None or _server.owner != os.getpid() or _server.process.poll() is not None:
        _server = _Server()
        atexit.register(_server.stop)
    assert _server.process.stdin is not None
    try:
        _server.process.stdin.write(f"{request}\n")
        _server.process.stdin.flush()
        line = _server.replies.get(timeout=patience)
    except Empty:
        _close()
        raise GymError(f"no reply within {patience:g} seconds") from None
    except BrokenPipeError:
        line = ""
    if not line:
        _close()
    return line


def _close() -> None:
    global _server
    if _server is not None:
        _server.stop()
        atexit.unregister(_server.stop)
        _server = None
