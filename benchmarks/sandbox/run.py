"""Runs model-written code and judges it: the one place that families, rewards and the command line ask.

The code under test runs in one jail, the tests in another (:mod:`benchmarks.sandbox.tests_side`), and only plain data
passes between them; docs/sandbox.md says against what that holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.errors import UserError
from benchmarks.sandbox.jail import NoJail
from benchmarks.sandbox.pool import Limits, Pool


@dataclass(frozen=True)
class Tests:
    """Tests in Python, as a data set has them.

    Attributes:
        tests: each is run by itself and has failed if it raises.
        setup: is run before them, in their name space.
        remote: names of theirs that stand for names of the code under test.
    """

    __test__ = False  # for pytest: these are not its own

    tests: tuple[str, ...]
    setup: str = ""
    remote: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How many of the tests passed, and the first fault."""

    passed: int
    total: int
    fault: str

    @property
    def right(self) -> bool:
        return self.total > 0 and self.passed == self.total


_lock = threading.Lock()
_pools: dict[bool, Pool] = {}


def run_tests(code: str, tests: Tests, seed: int = 0, unsafe: bool = False, pool: Pool | None = None) -> Outcome:
    """Judge model-written code.

    Args:
        seed: of the random numbers that tests draw.
        unsafe: without a jail; see :class:`benchmarks.sandbox.pool.Pool`.
        pool: of processes; default: one that all callers share.

    Raises:
        UserError: if code cannot be isolated here and ``unsafe`` is not given.
    """
    job = {"code": code, "setup": tests.setup, "tests": list(tests.tests), "remote": dict(tests.remote), "seed": seed}
    total = len(tests.tests)
    try:
        verdict: Any = (pool or shared_pool(unsafe)).judge(job)
    except NoJail as error:
        raise refusal(error) from None
    # The fault may quote what the code under test raised: one line, and not a long one.
    fault = " ".join(str(verdict["fault"]).split())[:300]
    return Outcome(min(int(verdict["passed"]), total), total, "".join(filter(str.isprintable, fault)))


def shared_pool(unsafe: bool = False) -> Pool:
    """The pool of this process.

    Raises:
        UserError: as :func:`run_tests`.
    """
    with _lock:
        pool = _pools.get(unsafe)
        if pool is None or pool.owner != os.getpid() or pool.closed:
            try:
                pool = _pools[unsafe] = Pool(Limits(), unsafe)
            except NoJail as error:
                raise refusal(error) from None
        return pool


def require_isolation(unsafe: bool) -> None:
    """
    Raises:
        UserError: if code cannot be isolated here and ``unsafe`` is not given.
    """
    shared_pool(unsafe)


def isolation() -> str:
    """Why code cannot be isolated here, or nothing."""
    try:
        shared_pool()
    except UserError as error:
        return error.what
    return ""


def refusal(error: NoJail) -> UserError:
    return UserError(
        f"model-written code cannot be run in isolation here: {error}.",
        where="sandbox",
        cure="Install bubblewrap (apt-get install bubblewrap) on a Linux that lets it make name spaces, or accept that "
        "the code can do whatever you can: --unsafe-code, or for one task task.NAME.unsafe_code=true.",
    )
