"""Exact search for schedules that meet a deadline: windows of start times, narrowed sweep by sweep, and guesses of
which of two operations goes first.

Its steps are what the programmatic teacher writes down. It is meant for shops of up to four jobs and four machines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, NamedTuple

from benchmarks.puzzles.job_shop.rules import Shop

Pair = tuple[int, int]  # two operations on one machine; the first of them goes first


class Step(NamedTuple):
    """One step of :func:`search`.

    Attributes:
        kind: ``windows``: what the starts are narrowed to; ``guess``: the first operation of ``pair`` goes first;
            ``stuck``: nothing is left to the start of ``operation`` (those before it are narrowed already);
            ``retract``: the newest standing guess, ``pair``, is undone with all that followed, and the second of its
            operations goes first; ``solved``: every order is settled, all starts as in ``early`` are a schedule.
        early: earliest start of each operation.
        late: latest starts.
    """

    kind: Literal["windows", "guess", "stuck", "retract", "solved"]
    early: tuple[int, ...]
    late: tuple[int, ...]
    operation: int = -1
    pair: Pair = (-1, -1)


def search(shop: Shop, deadline: int, job_order: Sequence[int] | None = None) -> Iterator[Step]:
    """The steps of a search that goes on until it has found every way to meet the deadline.

    It sweeps over the operations until no window changes; then it takes the first two operations, in reading order,
    that still can go either way round, and guesses that the job that is named first goes first.

    Args:
        job_order: the jobs as they are to be read; as they are numbered by default.
    """
    jobs = range(len(shop.machine) // shop.machines) if job_order is None else job_order
    reading: list[int] = []
    for job in jobs:
        reading += range(job * shop.machines, (job + 1) * shop.machines)
    pairs = [(u, v) for u, v in combinations(reading, 2) if shop.machine[u] == shop.machine[v]]
    early, late = alone(shop, deadline)
    barred: set[Pair] = set()  # orders ruled out by guesses; what windows rule out is not noted
    guesses: list[tuple[Pair, list[int], list[int], set[Pair]]] = []
    yield Step("windows", tuple(early), tuple(late))
    while True:
        stuck = None
        while stuck is None:
            was = tuple(early), tuple(late)
            stuck = _sweep(shop, early, late, barred)
            if (tuple(early), tuple(late)) == was:
                break
            if stuck is None:
                yield Step("windows", tuple(early), tuple(late))
        now = tuple(early), tuple(late)
        if stuck is None:
            pair = next((pair for pair in pairs if _open(shop, pair, early, late, barred)), None)
            if pair is not None:
                yield Step("guess", *now, pair=pair)
                guesses.append((pair, early.copy(), late.copy(), barred.copy()))
                barred.add(pair[::-1])
                continue
            yield Step("solved", *now)
        else:
            yield Step("stuck", *now, operation=stuck)
        if not guesses:
            return
        pair, early, late, barred = guesses.pop()
        yield Step("retract", tuple(early), tuple(late), pair=pair)
        barred.add(pair)


def alone(shop: Shop, deadline: int) -> tuple[list[int], list[int]]:
    """Earliest and latest starts if every job were alone in the shop."""
    early, late = [0] * len(shop.machine), [0] * len(shop.machine)
    for operation in shop.operations:
        before = shop.before[operation]
        early[operation] = 0 if before is None else early[before] + shop.duration[before]
    for operation in reversed(shop.operations):
        after = shop.after[operation]
        late[operation] = (deadline if after is None else late[after]) - shop.duration[operation]
    return early, late


def _open(shop: Shop, pair: Pair, early: list[int], late: list[int], barred: set[Pair]) -> bool:
    """Whether the two operations can still go either way round."""
    return all((a, b) not in barred and early[a] + shop.duration[a] <= late[b] for a, b in (pair, pair[::-1]))


def _sweep(shop: Shop, early: list[int], late: list[int], barred: set[Pair]) -> int | None:
    """Narrow each operation's window in turn, in place, to the first and last start that every other operation, on
    its own, can live with; returns the first operation that has none left."""
    for operation, duration in enumerate(shop.duration):
        before, after = shop.before[operation], shop.after[operation]
        first, last = early[operation], late[operation]
        if before is not None:
            first = max(first, early[before] + shop.duration[before])
        if after is not None:
            last = min(last, late[after] - duration)
        moved = True
        while moved and first <= last:  # a start that moved on for one rival may run into another
            moved = False
            for rival in shop.rivals[operation]:
                end, latest = early[rival] + shop.duration[rival], late[rival]
                follows, leads = (rival, operation) not in barred, (operation, rival) not in barred
                if first < end and not (leads and first + duration <= latest):
                    first, moved = end if follows else last + 1, True
                if last + duration > latest and not (follows and end <= last):
                    last, moved = latest - duration if leads else first - 1, True
        if first > last:
            return operation
        early[operation], late[operation] = first, last
    return None


def first_schedule(shop: Shop, deadline: int) -> tuple[int, ...] | None:
    """The labelled schedule (see :class:`benchmarks.puzzles.job_shop.task.JobShop`), or ``None`` if there is none."""
    return next((step.early for step in search(shop, deadline) if step.kind == "solved"), None)


def has_one_schedule(shop: Shop, deadline: int) -> bool:
    """Whether exactly one tuple of starts meets the deadline: one way to order, and no operation has room to move."""
    found = (step.early == step.late for step in search(shop, deadline) if step.kind == "solved")
    return next(found, False) and next(found, None) is None


def shortest(shop: Shop, most: int) -> tuple[int, tuple[int, ...]] | None:
    """The smallest deadline that can be met, and its labelled schedule; ``None`` if it is later than ``most``."""
    for deadline in range(_bound(shop), most + 1):
        if (starts := first_schedule(shop, deadline)) is not None:
            return deadline, starts
    return None


def _bound(shop: Shop) -> int:
    """No deadline is met before the longest job ends, nor before a machine can have done all its operations: it waits
    for the first to arrive, and after the last that job goes on."""
    early, late = alone(shop, 0)
    bounds = [max(early[row] - late[row] for row in shop.operations)]
    for machine in range(shop.machines):
        mine = [operation for operation in shop.operations if shop.machine[operation] == machine]
        arrival = min(early[operation] for operation in mine)
        rest = min(-late[operation] - shop.duration[operation] for operation in mine)
        bounds.append(arrival + sum(shop.duration[operation] for operation in mine) + rest)
    return max(bounds)


def filled(shop: Shop, deadline: int, starts: Sequence[int]) -> Shop:
    """The shop with each operation lengthened until its job or its machine goes on, or to the deadline.

    ``starts``, a schedule that meets the shortest deadline, stays one. A schedule of the longer operations is also one
    of the shorter, so the shortest deadline stays, and no schedule is added; those are lost in which an operation
    starts later than in ``starts`` without another order anywhere.
    """
    duration = []
    for operation in shop.operations:
        nexts = [deadline, *(starts[rival] for rival in shop.rivals[operation])]
        if (after := shop.after[operation]) is not None:
            nexts.append(starts[after])
        duration.append(min(start for start in nexts if start > starts[operation]) - starts[operation])
    return replace(shop, duration=tuple(duration))
