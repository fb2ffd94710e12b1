"""Calls of a family's own methods, which may be a stranger's: what goes wrong there becomes one ``UserError``."""

from __future__ import annotations

import ctypes
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from traceback import extract_tb
from types import CodeType, TracebackType
from typing import Any, TypeVar

from benchmarks.errors import UserError
from benchmarks.registry import source_of

T = TypeVar("T")


class TooLong(BaseException):
    """Raised inside a draw that does not end. Not an ``Exception``, so that the draw's own handlers do not catch it."""


def call(owner: object, method: str, *arguments: Any) -> Any:
    """What a method returns.

    Raises:
        UserError: if the method raises anything.
    """
    return _guarded(owner, method, lambda: getattr(owner, method)(*arguments))


def attribute(owner: object, name: str) -> Any:
    """The value of an attribute, which may be a property.

    Raises:
        UserError: if it is missing, or raises anything.
    """
    if not hasattr(type(owner), name) and name not in vars(owner):
        raise broken(owner, name, "is missing")
    return _guarded(owner, name, lambda: getattr(owner, name))


def _guarded(owner: object, method: str, result: Callable[[], Any]) -> Any:
    try:
        return result()
    except UserError:
        raise
    except Exception as error:
        said = f"raised {type(error).__name__}: {error}" if str(error) else f"raised {type(error).__name__}"
        raise broken(owner, method, said, error.__traceback__) from error


def broken(owner: object, method: str, what: str, traceback: TracebackType | None = None) -> UserError:
    """The error that says what a method or attribute of a family did, and in which file and line."""
    family = getattr(owner, "family", type(owner).__name__)
    return UserError(
        f"'{method}' of the family '{family}' {what}.",
        where=_place(owner, method, traceback),
        cure="Correct the code of the family.",
    )


def _place(owner: object, method: str, traceback: TracebackType | None) -> str:
    """The last line of the family's own file that was running; without a traceback the line that defines the method."""
    code = _code_of(type(owner), method)
    frames = extract_tb(traceback)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    if frames:
        frame = (own or frames)[-1]
        return f"{frame.filename}, line {frame.lineno}"
    return source_of(type(owner)) if code is None else f"{code.co_filename}, line {code.co_firstlineno}"


def _code_of(cls: type, method: str) -> CodeType | None:
    """The code of the family's own method or property; ``None`` where it is derived, or no function."""
    defining = next((base for base in cls.__mro__ if method in vars(base)), None)
    if defining is None or defining.__module__ in ("benchmarks.drawn", "benchmarks.task", "benchmarks.grid_task"):
        return None
    function = vars(defining)[method]
    if isinstance(function, property):
        function = function.fget
    return getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None


class Watchdog:
    """Ends draws that take too long, wherever in Python they are: a sleeping thread raises :class:`TooLong` in them.

    A draw that waits in C code is ended when it returns to Python.

    Args:
        seconds: that one draw may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began: float | None = None  # when the draw in progress began
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watched = threading.get_ident()

    def __enter__(self) -> Watchdog:
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def each(self, drawn: Iterator[T]) -> Iterator[T]:
        """What is drawn, one after another.

        Raises:
            TooLong: if the next one does not come in time.
        """
        while True:
            with self._lock:
                self._began = time.monotonic()
            try:
                item = next(drawn)
            except StopIteration:
                return
            finally:
                with self._lock:
                    self._began = None
            yield item

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self.seconds / 4)):
            with self._lock:
                if self._began is None or time.monotonic() - self._began < self.seconds:
                    continue
                # Should the draw swallow the exception, the next one comes after as long again.
                self._began = time.monotonic()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), ctypes.py_object(TooLong))
