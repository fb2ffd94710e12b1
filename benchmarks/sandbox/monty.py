"""Runs a small function in pydantic-monty, a subset of Python without files, network and processes, on any system.

No CPython: a few methods and statements are missing, so code that fails here may be right. It is for expressions and
small functions where bubblewrap is not to be had.
"""

from __future__ import annotations

import atexit
import os
import threading
from importlib.util import find_spec
from typing import Any

from benchmarks.errors import UserError
from benchmarks.sandbox.values import TYPES

SECONDS, MEMORY, DEPTH = 2.0, 64 << 20, 500


class MontyFailure(Exception):
    """What the code raised, or that Monty cannot run it."""


_lock = threading.Lock()
_pool: tuple[int, Any] | None = None


def monty_available() -> bool:
    return find_spec("pydantic_monty") is not None


def call_in_monty(code: str, function: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    """What a function returns: plain data.

    Raises:
        MontyFailure: if it raises, takes too long or too much memory, returns something else, or cannot be run.
        UserError: if pydantic-monty is not installed.
    """
    limits = {"max_feed_duration_secs": SECONDS, "max_memory": MEMORY, "max_recursion_depth": DEPTH}
    monty = _monty()
    import pydantic_monty

    try:
        with monty.checkout(limits=limits, assert_message_annotations=False) as session:
            session.feed_run(code, print_callback=_silence)
            inputs = {"given_arguments": arguments, "given_names": named}
            call = f"{function}(*given_arguments, **given_names)"
            value = session.feed_run(call, inputs=inputs, print_callback=_silence)
    except pydantic_monty.MontyError as error:
        raise MontyFailure(str(error)[:200]) from None
    if not _plain(value):
        raise MontyFailure("it must return plain data")
    return value


def _plain(value: Any) -> bool:
    if type(value) is dict:
        return all(_plain(key) and _plain(item) for key, item in value.items())
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_plain, value))
    return value is None or type(value) in TYPES.values()


def _silence(stream: str, text: str) -> None:
    """What is printed is thrown away."""


def _monty() -> Any:
    """The workers of this process."""
    global _pool
    with _lock:
        if _pool is None or _pool[0] != os.getpid():
            if not monty_available():
                raise UserError(
                    "pydantic-monty is not installed.", where="sandbox", cure="pip install 'reasoning_kit[code]'"
                )
            import pydantic_monty

            monty = pydantic_monty.Monty(request_timeout=4 * SECONDS)
            monty.__enter__()
            atexit.register(monty.__exit__, None, None, None)
            _pool = (os.getpid(), monty)
        return _pool[1]
