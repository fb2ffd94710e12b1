"""The batch of the solver: rows think side by side, and whoever is done gives its place to the next in the queue.

With halting, some problems take one supervision step and some take all. So a batch is not kept until its last problem
is done: a row that wants to halt, or that reached the depth, leaves after the step, and a job that waits takes its
place before the next, as slots do in training (:mod:`trm.halting`). The batch stays full until the queue is empty.
A row's latents never meet another row's (but for the fixed point's shared mixing weights), so what a job says does not
depend on who is beside it, up to the last bits that matrix kernels round differently for other batch sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from trm.halting import halting_logit
from trm.modeling import TRMForPuzzles
from trm.recursion import Latents
from trm.trajectories import Noise


@dataclass(frozen=True)
class Rollout:
    """What one row said, step by step; an answer that repeats the one before is kept once.

    Attributes:
        halting_logits: [s], after each supervision step (:func:`trm.halting.halting_logit`). Above 0 the row wants to
            halt. NaN without halting head.
        changed: [k], the steps, from 1, at which the answer was new.
        tokens: [k, c], these answers.
    """

    halting_logits: NDArray[np.float32]
    changed: NDArray[np.int32]
    tokens: NDArray[np.integer]

    @property
    def steps(self) -> int:
        return len(self.halting_logits)

    def stopped(self, steps: int) -> Rollout:
        """The same, had it been stopped after so many steps."""
        kept = self.changed <= steps
        return Rollout(self.halting_logits[:steps], self.changed[kept], self.tokens[kept])

    @property
    def stayed(self) -> NDArray[np.int32]:
        """[s], for how many steps the answer has been the same, 0 where it is new."""
        lengths = np.diff(np.append(self.changed, self.steps + 1))
        return np.arange(1, self.steps + 1, dtype=np.int32) - np.repeat(self.changed, lengths)

    def first_halt(self, patience: int) -> int | None:
        """The first step at which the row wanted to halt and its answer had stayed for ``patience`` steps."""
        halts = np.flatnonzero((self.halting_logits > 0) & (self.stayed >= patience))
        return int(halts[0]) + 1 if len(halts) else None


def highest_halting_logit(rollouts: Sequence[Rollout]) -> int:
    """Which of them has the highest halting logit after its last step; the first of equals."""
    return int(np.argmax([rollout.halting_logits[-1] for rollout in rollouts]))


@dataclass(frozen=True)
class Jobs:
    """Rows that wait for a place, on the host.

    Attributes:
        seeds: [b], of each row's noise; 0 for none.
    """

    input_ids: Int[Tensor, "b c"]
    puzzle_ids: Int[Tensor, " b"]
    seeds: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, rows: slice) -> Jobs:
        return Jobs(self.input_ids[rows], self.puzzle_ids[rows], self.seeds[rows])

    def __add__(self, other: Jobs) -> Jobs:
        return Jobs(
            torch.cat((self.input_ids, other.input_ids)),
            torch.cat((self.puzzle_ids, other.puzzle_ids)),
            np.concatenate((self.seeds, other.seeds)),
        )


@dataclass(frozen=True)
class Slots:
    """The places of a batch, and who may have one for how long.

    Attributes:
        steps: supervision steps that a row takes at most.
        rows: batch size.
        halting: a row leaves when it wants to halt and its answer has stayed for ``patience`` steps.
        together: so many jobs in a row start together and leave together, when the first of them does.
        bfloat16: compute matrix products in it.
    """

    model: TRMForPuzzles
    steps: int
    rows: int
    halting: bool = False
    patience: int = 0
    together: int = 1
    noise: Noise | None = None
    bfloat16: bool = False

    @torch.inference_mode()
    def run(self, queue: Iterator[Jobs], on_done: Callable[[NDArray[np.int32]], None] | None = None) -> list[Rollout]:
        """One rollout per job, in the order of the queue.

        Args:
            queue: gives jobs in portions, asked for when places are free; each a multiple of ``together``.
            on_done: called with the numbers of the jobs that were finished by a step.
        """
        room = max(self.rows // self.together, 1) * self.together
        waiting, rows, log = _Waiting(queue), _Rows.none(self.model), _Log()
        while True:
            if len(rows) < room and (new := waiting.take(room - len(rows))) is not None:
                rows = rows.joined_by(new, waiting.taken, self.model)
            if not len(rows):
                return log.rollouts(waiting.taken)
            done = self._step(rows, log)
            if done.any():
                if on_done is not None:
                    on_done(rows.numbers[done])
                rows = rows.kept(~done)

    def _step(self, rows: _Rows, log: _Log) -> NDArray[np.bool_]:
        """One supervision step of all rows; which of them are done. Waits once for the device."""
        y, z = rows.latents
        if self.noise is not None:
            sizes = y[:1].numel(), z[:1].numel()
            to_y, to_z = self.noise(rows.seeds, rows.steps).to(y.dtype).split(sizes, dim=1)
            y, z = y + to_y.view(y.shape), z + to_z.view(z.shape)

        device = self.model.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
            output = self.model(rows.input_ids, (y, z), rows.puzzle_ids)
        assert output.logits is not None
        assert output.carry is not None

        # Tokens and halting logit side by side, [b, c + 1], so that the host waits once.
        said = torch.cat((output.logits.argmax(-1).float(), halting_logit(output)[:, None]), dim=1).cpu().numpy()
        rows.latents = output.carry
        rows.steps += 1
        tokens: NDArray[np.integer] = said[:, :-1].astype(
            np.uint8 if self.model.config.vocabulary_size <= 256 else np.int32
        )
        log.add(rows, tokens, said[:, -1])

        # Rows of one race leave together: [b] -> [b / together, together].
        done = rows.steps == self.steps
        if self.halting:
            done |= (said[:, -1] > 0) & (rows.stayed >= self.patience)
        return np.repeat(done.reshape(-1, self.together).any(1), self.together)


class _Waiting:
    """The queue, of which any number of jobs can be taken."""

    def __init__(self, portions: Iterator[Jobs]) -> None:
        self.portions, self.taken = portions, 0
        self.left: Jobs | None = None

    def take(self, count: int) -> Jobs | None:
        while self.left is None or len(self.left) < count:
            more = next(self.portions, None)
            if more is None:
                break
            self.left = more if self.left is None else self.left + more
        if self.left is None or not len(self.left):
            return None
        taken, self.left = self.left[:count], self.left[count:]
        self.taken += len(taken)
        return taken


@dataclass
class _Rows:
    """The batch; grids and latents on the device, the book-keeping on the host."""

    numbers: NDArray[np.int32]
    steps: NDArray[np.int32]
    seeds: NDArray[np.uint64]
    before: NDArray[np.int32]  # the answer of the step before
    stayed: NDArray[np.int32]  # for so many steps
    input_ids: Int[Tensor, "b c"]
    puzzle_ids: Int[Tensor, " b"]
    latents: Latents

    @classmethod
    def none(cls, model: TRMForPuzzles) -> _Rows:
        positions, ids = model.config.positions, torch.zeros(0, dtype=torch.long, device=model.device)
        empty = np.zeros(0, np.int32)
        before = np.zeros((0, positions), np.int32)
        return cls(
            empty,
            empty,
            np.zeros(0, np.uint64),
            before,
            empty,
            ids.new_zeros(0, positions),
            ids,
            model.initial_carry(0),
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def joined_by(self, new: Jobs, taken: int, model: TRMForPuzzles) -> _Rows:
        """With new rows behind, which are the last of all ``taken`` jobs."""
        count = len(new)
        fresh, device = model.initial_carry(count), model.device
        y, z = (torch.cat((old, start.to(old.dtype))) for old, start in zip(self.latents, fresh, strict=True))
        return _Rows(
            np.concatenate((self.numbers, np.arange(taken - count, taken, dtype=np.int32))),
            np.concatenate((self.steps, np.zeros(count, np.int32))),
            np.concatenate((self.seeds, new.seeds)),
            np.concatenate((self.before, np.full((count, self.before.shape[1]), -1, np.int32))),
            np.concatenate((self.stayed, np.zeros(count, np.int32))),
            torch.cat((self.input_ids, new.input_ids.to(device))),
            torch.cat((self.puzzle_ids, new.puzzle_ids.to(device))),
            (y, z),
        )

    def kept(self, rows: NDArray[np.bool_]) -> _Rows:
        """Without the others."""
        chosen = torch.from_numpy(np.flatnonzero(rows)).to(self.input_ids.device)
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in ("numbers", "steps", "seeds", "before", "stayed")},
            input_ids=self.input_ids[chosen],
            puzzle_ids=self.puzzle_ids[chosen],
            latents=(self.latents[0][chosen], self.latents[1][chosen]),
        )


@dataclass
class _Log:
    """Everything that was said, step by step, without any work per row until the end."""

    halting_logits: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = field(default_factory=list)
    answered: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.integer]]] = field(default_factory=list)

    def add(self, rows: _Rows, tokens: NDArray[np.integer], halting_logits: NDArray[np.float32]) -> None:
        new = (tokens != rows.before).any(1)
        rows.before = tokens.astype(np.int32)
        rows.stayed = np.where(new, 0, rows.stayed + 1).astype(np.int32)
        steps = rows.steps.copy()
        self.halting_logits.append((rows.numbers, steps, halting_logits.copy()))
        self.answered.append((rows.numbers[new], steps[new], tokens[new]))

    def rollouts(self, count: int) -> list[Rollout]:
        if not count:
            return []
        _, halting_logits, ends = _by_job(self.halting_logits, count)
        steps, tokens, changes = _by_job(self.answered, count)
        return [
            Rollout(halting_logits[a:b], steps[c:d], tokens[c:d])
            for a, b, c, d in zip(ends, ends[1:], changes, changes[1:], strict=False)
        ]


def _by_job(entries: list[tuple], count: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Steps and values of all entries in the order of jobs and steps, and where each job's begin and end."""
    numbers, steps, values = (np.concatenate(column) for column in zip(*entries, strict=True))
    order = np.lexsort((steps, numbers))
    ends = np.concatenate(([0], np.cumsum(np.bincount(numbers, minlength=count))))
    return steps[order], values[order], ends.tolist()
