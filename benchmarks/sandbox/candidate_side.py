"""The process that runs model-written code: defines it, then calls what it is asked to call. Nothing here is trusted.

Started inside the sandbox with the standard library alone. It is told inputs and gives back outputs, as one line
each; what is expected of an output never comes here, so no code that runs here can pass by any other way than by
returning the right values. Whatever is written to the streams goes to the null device.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import values


def limit(uid: int, memory: int, cpu: int, processes: int) -> None:
    """Give up the superuser if that is who starts it, then set limits that cannot be raised again."""
    if os.getuid() == 0 and uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(what, (most, most))


def streams() -> tuple[int, int]:
    """The two pipes, moved away from where ``print`` and ``input`` would meet them."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    return requests, replies


def lines(descriptor: int):
    """Lines of a pipe."""
    rest = b""
    while chunk := os.read(descriptor, 1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def send(descriptor: int, text: str) -> None:
    data = memoryview(text.encode() + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]


class Objects:
    """What was defined, and what was returned and is no plain data."""

    def __init__(self) -> None:
        self.names: dict = {"__name__": "answer", "__builtins__": __builtins__}
        self.kept: list = []

    def keep(self, value) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def real(self, value):
        """A value with the objects that its handles stand for."""
        if isinstance(value, values.Handle):
            return self.kept[value.key]
        if isinstance(value, (list, tuple)):
            return type(value)(self.real(item) for item in value)
        if isinstance(value, dict):
            return {self.real(key): self.real(item) for key, item in value.items()}
        return value

    def do(self, request: dict):
        what = request["do"]
        if what == "run":
            exec(compile(request["code"], "answer", "exec", dont_inherit=True), self.names)
            return None
        if what == "eval":
            return eval(compile(request["code"], "answer", "eval", dont_inherit=True), self.names)
        target = request["of"]
        thing = self.names[target] if isinstance(target, str) else self.real(target)
        if what == "call":
            return thing(*self.real(request["args"]), **self.real(request["kwargs"]))
        if what == "get":
            return getattr(thing, request["name"])
        if what == "set":
            return setattr(thing, request["name"], self.real(request["value"]))
        if what == "list":
            return list(thing)
        raise ValueError(what)


def main(uid: int, memory: int, cpu: int, processes: int) -> None:
    limit(uid, memory, cpu, processes)
    requests, replies = streams()
    objects = Objects()
    send(replies, "ready")
    for line in lines(requests):
        try:
            reply = values.write({"ok": objects.do(values.read(line))}, objects.keep)
        except BaseException as error:  # also the end of the program that the code asks for
            text = type(error).__name__
            with contextlib.suppress(BaseException):
                text = f"{text}: {str(error)[:300]}"
            reply = values.write({"error": text})
        send(replies, reply)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
