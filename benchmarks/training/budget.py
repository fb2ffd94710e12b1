"""Budgets: how much training a method may use, and the meter that adds up what it has used. Needs no torch."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from benchmarks.compute import Cost
from benchmarks.errors import UserError

Unit = Literal["flops", "seconds", "examples", "tokens", "steps"]
UNITS: tuple[Unit, ...] = ("flops", "seconds", "examples", "tokens", "steps")

# How a person writes a unit: the unit of Budget, and how many of those one of it is.
_WRITTEN: dict[str, tuple[Unit, float]] = {
    "flop": ("flops", 1.0),
    "gflop": ("flops", 1e9),
    "tflop": ("flops", 1e12),
    "pflop": ("flops", 1e15),
    "eflop": ("flops", 1e18),
    "s": ("seconds", 1.0),
    "sec": ("seconds", 1.0),
    "second": ("seconds", 1.0),
    "min": ("seconds", 60.0),
    "minute": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
    "hour": ("seconds", 3600.0),
    "example": ("examples", 1.0),
    "token": ("tokens", 1.0),
    "step": ("steps", 1.0),
}
_AMOUNT = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """How much training a method may use, in one of the units of :class:`benchmarks.compute.Cost`.

    Attributes:
        unit: what is limited; ``seconds`` are of wall time.
        limit: how many of them.
    """

    unit: Unit
    limit: float

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UserError(
                f"unknown budget unit '{self.unit}'.", where="budget.unit", cure=f"Choose one of: {', '.join(UNITS)}."
            )
        if not self.limit > 0 or math.isinf(self.limit):
            raise UserError(
                f"a budget of {self.limit:g} {self.unit} trains nothing.",
                where="budget.limit",
                cure="Give a positive, finite number.",
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """A budget as a person writes it: ``2e12 flops``, ``3.5 TFLOP``, ``5 minutes``, ``2 h``, ``300 steps``.

        A number alone counts FLOPs. Units are in the singular or the plural, in any case.

        Raises:
            UserError: if the text is not a positive, finite number with a known unit.
        """
        found = _AMOUNT.fullmatch(text)
        written = found[2].lower() if found else ""
        known = _WRITTEN.get(written or "flop") or _WRITTEN.get(written.removesuffix("s"))
        if found is None or known is None:
            raise UserError(
                f"a budget must be a number and a unit, such as '2e12 flops' or '5 minutes', not '{text}'.",
                where="budget",
                cure="Units: flops (GFLOP, TFLOP, PFLOP), seconds, minutes, hours, examples, tokens, steps.",
            )
        unit, factor = known
        limit = float(found[1]) * factor
        if not 0 < limit < math.inf:
            raise UserError(f"a budget must be positive and finite, not '{text}'.", where="budget")
        return cls(unit, limit)

    def share(self, fraction: float) -> Budget:
        return Budget(self.unit, self.limit * fraction)


class Meter:
    """Adds up what a training run spends; the clock runs only inside :meth:`running` and not inside :meth:`paused`."""

    def __init__(self, budget: Budget, spent: Cost | None = None) -> None:
        self.budget = budget
        self._spent = spent or Cost()
        self._started: float | None = None

    def add(self, cost: Cost) -> None:
        self._spent = self._spent + cost

    def restore(self, spent: Cost) -> None:
        """Go on from what an earlier process had spent; what this one took until now does not count."""
        self._spent = spent
        if self._started is not None:
            self._started = time.perf_counter()

    @property
    def spent(self) -> Cost:
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._spent + Cost(seconds=running)

    @property
    def progress(self) -> float:
        """Share of the budget that is spent; may end slightly above 1."""
        return getattr(self.spent, self.budget.unit) / self.budget.limit

    @contextmanager
    def running(self) -> Iterator[None]:
        self._started = time.perf_counter()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For evaluation and checkpoints, which are no part of the price."""
        was_running = self._started is not None
        self._stop()
        try:
            yield
        finally:
            if was_running:
                self._started = time.perf_counter()

    def _stop(self) -> None:
        if self._started is not None:
            self._spent = self._spent + Cost(seconds=time.perf_counter() - self._started)
            self._started = None
