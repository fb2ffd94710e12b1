"""The rules of a job shop: who works where and for how long, what makes a schedule wrong, which shops are the same.

Operations are numbered job by job: operation ``job * machines + k`` is the ``k``-th of its job. Times are whole
numbers from 0 on; an operation occupies its machine from its start up to, and without, its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, permutations

MACHINES = "ABCD"  # names of machines; jobs are numbered from 1


@dataclass(frozen=True)
class Shop:
    """Every job visits every machine once, in an order of its own.

    Attributes:
        machines: how many there are.
        machine: the machine (from 0) of each operation.
        duration: how long each operation takes, 1 or more.
    """

    machines: int
    machine: tuple[int, ...]
    duration: tuple[int, ...]

    @cached_property
    def rivals(self) -> list[list[int]]:
        """For each operation, the operations of other jobs on its machine."""
        return [
            [other for other, theirs in enumerate(self.machine) if theirs == mine and other != operation]
            for operation, mine in enumerate(self.machine)
        ]

    @property
    def operations(self) -> range:
        return range(len(self.machine))

    @property
    def rows(self) -> list[tuple[tuple[int, int], ...]]:
        """Machine and duration of the operations of each job."""
        pairs = list(zip(self.machine, self.duration, strict=True))
        return [tuple(pairs[at : at + self.machines]) for at in range(0, len(pairs), self.machines)]

    @cached_property
    def before(self) -> list[int | None]:
        """For each operation, the one that the same job does just before."""
        return [operation - 1 if operation % self.machines else None for operation in self.operations]

    @cached_property
    def after(self) -> list[int | None]:
        """For each operation, the one that the same job does next."""
        return [operation + 1 if (operation + 1) % self.machines else None for operation in self.operations]

    def name_of(self, operation: int) -> str:
        return f"job {operation // self.machines + 1} on {MACHINES[self.machine[operation]]}"


def fault(shop: Shop, deadline: int, starts: Sequence[int]) -> str:
    """Why ``starts`` is no schedule that meets the deadline, in words; empty if it is one."""
    ends = [start + duration for start, duration in zip(starts, shop.duration, strict=True)]
    for operation in shop.operations:
        before = shop.before[operation]
        if before is not None and starts[operation] < ends[before]:
            return (
                f"{shop.name_of(operation)} starts at {starts[operation]}, its operation before ends at {ends[before]}"
            )
        for rival in shop.rivals[operation]:
            if starts[rival] <= starts[operation] < ends[rival]:
                return (
                    f"{shop.name_of(operation)} starts at {starts[operation]}, "
                    f"{shop.name_of(rival)} lasts from {starts[rival]} to {ends[rival]}"
                )
        if ends[operation] > deadline:
            return f"{shop.name_of(operation)} ends at {ends[operation]}, the deadline is {deadline}"
    return ""


def has_waits(shop: Shop, starts: Sequence[int]) -> bool:
    """Whether an operation starts later than its job could; if none does, no two jobs get in each other's way."""
    ready = [0 if (b := shop.before[o]) is None else starts[b] + shop.duration[b] for o in shop.operations]
    return any(start > time for start, time in zip(starts, ready, strict=True))


def canonical_form(shop: Shop) -> str:
    """Equal for two shops just if one becomes the other by permuting jobs, renaming machines and running time
    backwards: the smallest of all these images, machines numbered as they appear."""
    rows = shop.rows
    reverse = [row[::-1] for row in rows]
    images = chain(permutations(rows), permutations(reverse))
    return str(min(map(_renamed, images)))


def _renamed(rows: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    numbers: dict[int, int] = {}
    operations = chain.from_iterable(rows)
    return [(numbers.setdefault(machine, len(numbers)), duration) for machine, duration in operations]
