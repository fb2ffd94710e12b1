"""The process that runs a data set's tests, in a sandbox of its own: the code that they test runs in another one.

A name that the tests call stands for the function over there: its arguments are sent as plain data, and plain data
comes back (:mod:`benchmarks.sandbox.values`). So the comparison, the expected values and the verdict are here, where no
line of model-written code runs. It serves one set of tests after the other.
"""

from __future__ import annotations

import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import values
from candidate_side import limit, lines, send, streams


class Raised(Exception):
    """What the code under test raised."""


class Gone(BaseException):
    """The code under test ended, or answered with what is no answer."""


class Channel:
    """To the code under test, through the process outside."""

    def __init__(self, requests: int, replies: int) -> None:
        self.lines = lines(requests)
        self.replies = replies

    def ask(self, **request) -> object:
        send(self.replies, values.write({"ask": values.write(request)}))
        try:
            reply = values.read(next(self.lines))
        except (ValueError, RecursionError, MemoryError, StopIteration) as error:
            raise Gone(f"its answer cannot be read ({type(error).__name__})") from None
        if type(reply) is not dict or len(reply) != 1:
            raise Gone("its answer is none")
        ((kind, content),) = reply.items()
        if kind == "ok":
            return received(content, self)
        if kind == "gone":
            raise Gone(content)
        raise Raised(str(content))


class Remote:
    """An object of the code under test. It can be called, gone through, and its attributes read and set, as tests do
    that build trees. It is equal to nothing, neither true nor false, and not comparable: asking raises, so a test
    that compares it fails."""

    __slots__ = ("_channel", "_target")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, target: object, channel: Channel) -> None:
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_channel", channel)

    def __call__(self, *args, **kwargs):
        return self._channel.ask(do="call", of=self._target, args=sent(list(args)), kwargs=sent(kwargs))

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._channel.ask(do="get", of=self._target, name=name)

    def __setattr__(self, name: str, value) -> None:
        self._channel.ask(do="set", of=self._target, name=name, value=sent(value))

    def __iter__(self):
        content = self._channel.ask(do="list", of=self._target)
        if type(content) is not list:
            raise TypeError("it cannot be gone through")
        return iter(content)

    def _no(self, *_):
        raise TypeError("only plain data can be compared")

    __eq__ = __ne__ = __bool__ = __lt__ = __le__ = __gt__ = __ge__ = _no


def received(value, channel: Channel):
    """What came, with remote objects in place of handles."""
    if type(value) is values.Handle:
        return Remote(value, channel)
    if type(value) in (list, tuple):
        return type(value)(received(item, channel) for item in value)
    if type(value) is dict:
        return {key: received(item, channel) for key, item in value.items()}
    return value


def sent(value):
    """What goes, with handles in place of remote objects."""
    if type(value) is Remote:
        target = object.__getattribute__(value, "_target")
        if not isinstance(target, values.Handle):
            raise TypeError("a function of the code under test cannot be an argument")
        return target
    if type(value) in (list, tuple):
        return type(value)(sent(item) for item in value)
    if type(value) is dict:
        return {key: sent(item) for key, item in value.items()}
    return value


def judge(job: dict, channel: Channel) -> dict:
    """``setup`` and then every test, in one name space; a test that raises has failed."""
    remote = {name: Remote(target, channel) for name, target in job["remote"].items()}
    names = {"__name__": "tests", "Raised": Raised, **remote}
    random.seed(job["seed"])
    passed, fault = 0, ""
    try:
        failure = attempt(lambda: channel.ask(do="run", code=job["code"])) or attempt(lambda: run(job["setup"], names))
        if failure:
            return {"passed": 0, "fault": failure}
        names |= remote  # the set-up may hold the same names, without what they do
        for test in job["tests"]:
            failure = attempt(lambda test=test: run(test, names))
            passed += not failure
            fault = fault or failure
    except Gone as error:
        fault = fault or str(error)
    return {"passed": passed, "fault": fault}


def run(code: str, names: dict) -> None:
    names |= {"__builtins__": __builtins__}
    exec(compile(code, "tests", "exec", dont_inherit=True), names)


def attempt(action) -> str:
    """What went wrong in words, or nothing."""
    try:
        action()
    except Gone:
        raise
    except Raised as error:
        return f"it raised {error}"
    except AssertionError as error:
        return "a test failed" + (f" ({str(error)[:100]})" if str(error) else "")
    except BaseException as error:
        return f"a test could not be run on its answer ({type(error).__name__}: {str(error)[:150]})"
    return ""


def main(uid: int, memory: int, cpu: int, processes: int) -> None:
    limit(uid, memory, cpu, processes)
    requests, replies = streams()
    channel = Channel(requests, replies)
    send(replies, "ready")
    for line in channel.lines:
        send(replies, values.write({"verdict": judge(values.read(line), channel)}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
