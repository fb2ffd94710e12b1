"""Teacher for job shops: windows of start times, narrowed sweep by sweep; where that ends, a guess of who goes first.

Steps follow each other, each with ``;`` at its end:

- ``A05B36/B03A36`` the windows: for each operation, in the order of the question, its machine and its earliest and
  latest start (with as many digits as the horizon has). The first step is what each job allows if it were alone. Every
  further one is a sweep: operation by operation, a window shrinks to the first and the last start that the operations
  next to it in its job and all others on its machine, each on its own, can live with; what is narrowed counts at once;
- ``A05B!`` a sweep that stopped, because nothing is left to the operation on B;
- ``?B21`` a guess, where a sweep would change nothing: on machine B, job 2 goes before job 1;
- ``!B21`` the newest standing guess led to an operation without a start: it and all since are undone, and on machine
  B job 1 goes before job 2. The next sweep narrows the windows that stood before the guess.

``clean`` makes the right guesses at once, so that nothing is retracted.

It ends when windows and guesses settle who goes first wherever two operations share a machine. Then all operations
start as early as the last windows say.
"""

from __future__ import annotations

import re
from itertools import combinations, permutations

from benchmarks.problem import Problem
from benchmarks.puzzles.job_shop.rules import MACHINES, Shop
from benchmarks.puzzles.job_shop.search import Step, search
from benchmarks.puzzles.job_shop.task import NUMBERS, JobShop

STEP = "[^;]+;?"
STYLES = {
    "search": "windows of start times, narrowed sweep by sweep, guesses and their retractions shown",
    "clean": "search with right guesses only",
}


def trace(task: JobShop, problem: Problem, style: str = "search") -> str:
    """The steps from the question to the labelled answer.

    Ties are decided in favour of the job that comes first; for a problem under a symmetry
    (:func:`benchmarks.splits.augment`) the jobs are taken in the order of which the label is the image.

    Raises:
        ValueError: if no order of the jobs leads to the labelled answer.
    """
    shop, deadline = task.read_question(problem.question)
    label = tuple(map(NUMBERS.index, problem.answer))
    for order in permutations(range(task.jobs)):
        steps = []
        for step in search(shop, deadline, order):
            if step.kind == "solved":
                break
            steps.append(step)
        if step.early == label:
            return ";".join(_write(task, shop, step) for step in (_clean(steps) if style == "clean" else steps))
    raise ValueError("the label is not the schedule that the search finds for one of the orders of the jobs")


def _clean(steps: list[Step]) -> list[Step]:
    """Without what was retracted: the opposite guess stands in its place."""
    standing: list[Step] = []
    for step in steps:
        if step.kind == "retract":
            while standing.pop().pair != step.pair:
                pass
            step = step._replace(kind="guess", pair=step.pair[::-1])
        standing.append(step)
    return standing


def _write(task: JobShop, shop: Shop, step: Step) -> str:
    if step.kind in ("guess", "retract"):
        first, second = (operation // task.machines + 1 for operation in step.pair)
        return f"{'?' if step.kind == 'guess' else '!'}{MACHINES[shop.machine[step.pair[0]]]}{first}{second}"
    text = ""
    for operation, (early, late) in enumerate(zip(step.early, step.late, strict=True)):
        text += "/" if operation and operation % task.machines == 0 else ""
        text += MACHINES[shop.machine[operation]]
        if step.kind == "stuck" and operation == step.operation:
            return text + "!"
        text += f"{early:0{task.width}d}{late:0{task.width}d}"
    return text


def check(task: JobShop, problem: Problem, trace: str, style: str = "search") -> None:
    """Replay a trace and justify every step by trying all starts of all operations; any open pair may be guessed.

    Raises:
        ValueError: naming the first step that does not follow, or where the end is not the labelled answer.
    """
    shop, deadline = task.read_question(problem.question)
    first, *steps = trace.split(";")
    state = _State(shop, _alone(shop, deadline))
    _expect(first, _show(task, shop, state.windows))
    guesses: list[tuple[str, _State]] = []
    stuck = False
    for text in steps:
        if stuck and not text.startswith("!"):
            raise ValueError(f"'{text}' leaves a contradiction standing")
        if match := re.fullmatch(r"([?!])([A-Z])([1-9])([1-9])", text):
            pair = _pair(shop, *match.groups()[1:])
            if match[1] == "?":
                if state.swept() != state.windows:
                    raise ValueError(f"'{text}' guesses before the sweeps have ended")
                if not state.is_open(*pair):
                    raise ValueError(f"'{text}' guesses what is settled")
                guesses.append((text[1:], state))
                state = _State(shop, state.windows, state.barred | {pair[::-1]})
            elif style == "clean":
                raise ValueError("a clean trace retracts nothing")
            else:
                if not stuck:
                    raise ValueError(f"'{text}' retracts without a contradiction")
                if not guesses or guesses[-1][0] != text[1:]:
                    raise ValueError(f"'{text}' is not the newest standing guess")
                _, state = guesses.pop()
                state = _State(shop, state.windows, state.barred | {pair})
                stuck = False
            continue
        swept = state.swept()
        if swept == state.windows:
            raise ValueError(f"'{text}' is no step: nothing is left to narrow")
        _expect(text, _show(task, shop, swept))
        stuck = not swept[-1]
        state = _State(shop, swept, state.barred)
    if stuck or state.swept() != state.windows or any(state.is_open(u, v) for u, v in combinations(shop.operations, 2)):
        raise ValueError("the trace ends before every order is settled")
    end = "".join(NUMBERS[window[0]] for window in state.windows)
    if end != problem.answer:
        raise ValueError(f"the trace ends with {end}, the label is {problem.answer}")


class _State:
    """Possible starts of each operation, and the pairs of which the first may not go first."""

    def __init__(self, shop: Shop, windows: list[range], barred: frozenset[tuple[int, int]] = frozenset()) -> None:
        self.shop, self.windows, self.barred = shop, windows, barred

    def swept(self) -> list[range]:
        """The windows after one sweep; up to the first empty one, if there is one."""
        windows = self.windows.copy()
        for operation in self.shop.operations:
            starts = windows[operation]
            first = next((t for t in starts if self._has_partners(operation, t, windows)), None)
            if first is None:
                return [*windows[:operation], range(0)]
            last = next(t for t in reversed(starts) if self._has_partners(operation, t, windows))
            windows[operation] = range(first, last + 1)
        return windows

    def _has_partners(self, operation: int, start: int, windows: list[range]) -> bool:
        others = [*self.shop.rivals[operation], self.shop.before[operation], self.shop.after[operation]]
        return all(
            any(self._agree(operation, start, other, theirs) for theirs in windows[other])
            for other in others
            if other is not None
        )

    def _agree(self, one: int, start: int, other: int, theirs: int) -> bool:
        """Whether two operations that concern each other can start then."""
        same_job = self.shop.machine[one] != self.shop.machine[other]
        return any(
            end <= begin and (first, second) not in self.barred and not (same_job and first > second)
            for first, end, second, begin in (
                (one, start + self.shop.duration[one], other, theirs),
                (other, theirs + self.shop.duration[other], one, start),
            )
        )

    def is_open(self, one: int, other: int) -> bool:
        """Whether windows and guesses still allow both orders of two operations of one machine."""
        return self.shop.machine[one] == self.shop.machine[other] and all(
            (a, b) not in self.barred and self.windows[a][0] + self.shop.duration[a] <= self.windows[b][-1]
            for a, b in ((one, other), (other, one))
        )


def _alone(shop: Shop, deadline: int) -> list[range]:
    """Starts that leave room for what the same job does before and after."""
    windows = []
    for row in shop.rows:
        durations = [duration for _, duration in row]
        windows += [range(sum(durations[:k]), deadline - sum(durations[k:]) + 1) for k in range(len(row))]
    return windows


def _show(task: JobShop, shop: Shop, windows: list[range]) -> str:
    """Windows as they are written; the last one may be empty."""
    shown = [
        MACHINES[machine] + (f"{window[0]:0{task.width}d}{window[-1]:0{task.width}d}" if window else "!")
        for machine, window in zip(shop.machine, windows, strict=False)
    ]
    return "/".join("".join(shown[at : at + shop.machines]) for at in range(0, len(shown), shop.machines))


def _pair(shop: Shop, machine: str, first: str, second: str) -> tuple[int, int]:
    """The two operations that ``B21`` names."""
    at = {(MACHINES[shop.machine[u]], u // shop.machines + 1): u for u in shop.operations}
    keys = (machine, int(first)), (machine, int(second))
    if first == second or not all(key in at for key in keys):
        raise ValueError(f"'{machine}{first}{second}' names no two operations")
    return at[keys[0]], at[keys[1]]


def _expect(text: str, right: str) -> None:
    if text != right:
        raise ValueError(f"'{text}' does not follow: the windows are '{right}'")
