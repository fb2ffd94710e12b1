"""What is kept of a token once it is emitted: keys and values in slots.

A slot holds one key and one value per token and layer. Who reads and writes which slot is the cache policy:

- ``committed``: one slot, written by the last pass of a token's last step (the proposal);
- ``per_depth``: one for each pass of each step, read by the same pass: what parallel training sees;
- ``first_depth``: one, written by the very first pass;
- ``last_of_role``: one for passes that update z and one for those that update y, each the last of its kind.

A token that is no longer refined never writes again. Of one that halted early, later passes read under ``per_depth``
what its last step left: its state would not have changed.

Bytes: slots x layers x 2 (key and value) x d x tokens x batch x bytes of a number (:func:`bytes_needed`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trm.autoregressive.attention import At, Heads, attend_to_memory
from trm.autoregressive.choices import Policy
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.recursion import role


def slots(config: AutoregressiveTRMConfig, policy: Policy) -> int:
    """Slots of a token."""
    if policy == "per_depth":
        return config.supervision_steps * config.passes
    return 2 if policy == "last_of_role" and config.streams == "dual" else 1


def bytes_needed(config: AutoregressiveTRMConfig, policy: Policy, tokens: int, batch: int = 1, number: int = 4) -> int:
    """Bytes of the cache for ``tokens`` tokens in each of ``batch`` rows; ``number`` bytes each."""
    per_token = slots(config, policy) * config.num_hidden_layers * 2 * config.hidden_size
    return per_token * tokens * batch * number


class SlotCache:
    """Keys and values of a batch of rows, each of which works on one token at a time.

    Attributes:
        keys, values: ``[slots, layers, b, capacity, h, e]``.
        columns: where each row's current token is written.
        steps: which supervision step it is in.
        writers: rows whose token is still refined.
        seen: which columns each row sees, of those before its own.
        held: columns that are done, where all rows have the same (generate).
    """

    keys: Float[Tensor, "slots layers b capacity h e"]
    values: Float[Tensor, "slots layers b capacity h e"]
    columns: list[int]
    steps: list[int]
    writers: list[int]
    seen: Bool[Tensor, "b k"]

    def __init__(self, config: AutoregressiveTRMConfig, policy: Policy, like: Tensor, rows: int, capacity: int) -> None:
        self.config, self.policy = config, policy
        size = config.hidden_size // config.num_attention_heads
        shape = (slots(config, policy), config.num_hidden_layers, rows, capacity, config.num_attention_heads, size)
        self.keys, self.values = (torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in range(2))
        self.held = 0

    @property
    def capacity(self) -> int:
        """Tokens that a row can hold."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def reserve(self, tokens: int) -> None:
        """Hold at least so many tokens; at least doubles, so that growing is cheap on the whole."""
        if tokens <= self.capacity:
            return

        more = max(tokens, 2 * self.capacity) - self.capacity
        empty = self.keys.new_zeros(*self.keys.shape[:3], more, *self.keys.shape[4:])
        self.keys, self.values = torch.cat((self.keys, empty), dim=3), torch.cat((self.values, empty), dim=3)

    def at_work(
        self, columns: Sequence[int], steps: Sequence[int], writers: Sequence[int], seen: Bool[Tensor, "b k"]
    ) -> None:
        """Set what the rows work on during the next supervision step.

        Args:
            seen: reaches as far as any row sees.
        """
        self.columns, self.steps, self.writers, self.seen = list(columns), list(steps), list(writers), seen
        same = len(set(steps)) == 1
        self._step: int | Tensor = steps[0] if same else self._tensor(steps)
        self._rows: Tensor = torch.arange(len(steps), device=seen.device)
        # Where to write, as tensors: rows, their columns, and for per_depth their steps.
        self._at = self._places(self.writers)
        self._first = self._places([row for row in self.writers if steps[row] == 0])

    def _places(self, rows: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        chosen = (rows, [self.columns[row] for row in rows], [self.steps[row] for row in rows])
        rows_, columns, steps = (self._tensor(each) for each in chosen)
        return rows_, columns, steps

    def _tensor(self, numbers: Sequence[int]) -> Int[Tensor, " n"]:
        return torch.tensor(numbers, dtype=torch.long, device=self.keys.device)

    def __call__(self, at: At, q: Heads, k: Heads, v: Heads) -> Heads:
        """Attend from one token per row, and write where the policy says so; ``at.step`` is replaced by the row's."""
        window = slice(0, self.seen.shape[1])
        keys, values = (self._read(each, at, window) for each in (self.keys, self.values))
        mixed = attend_to_memory(q, k, v, keys, values, self.seen[:, None])
        self._write(at, k[:, 0], v[:, 0])
        return mixed

    def fill(self, rows: slice, at: At, k: Heads, v: Heads) -> None:
        """Write what a pass over the first positions of ``rows`` made; passes come in order, the last of a kind
        stays."""
        slot = self._slot(at, at.step)
        if slot is not None:
            self.keys[slot, at.layer, rows, : k.shape[1]] = k.detach()
            self.values[slot, at.layer, rows, : v.shape[1]] = v.detach()

    def place(
        self, row: int, keys: Float[Tensor, "slots layers l h e"], values: Float[Tensor, "slots layers l h e"]
    ) -> None:
        """Take over the first columns of a row, which another cache of the same policy has filled."""
        self.keys[:, :, row, : keys.shape[2]] = keys
        self.values[:, :, row, : values.shape[2]] = values

    def commit(self, rows: Sequence[int], steps: Sequence[int]) -> None:
        """The current tokens of ``rows`` halt after so many steps: under ``per_depth`` later passes read the last."""
        if self.policy != "per_depth":
            return
        passes, most = self.config.passes, self.config.supervision_steps
        for count in set(steps) - {most}:
            same = [row for row, taken in zip(rows, steps, strict=True) if taken == count]
            at, columns = self._tensor(same), self._tensor([self.columns[row] for row in same])
            for kept in (self.keys, self.values):
                by_step = kept.view(most, passes, *kept.shape[1:])
                by_step[count:, :, :, at, columns] = by_step[count - 1, :, :, at, columns]

    def _read(self, kept: Tensor, at: At, window: slice) -> Float[Tensor, "b k h e"]:
        if self.policy != "per_depth":
            return kept[self._role(at), at.layer, :, window]
        slot = self._step * self.config.passes + at.index
        if isinstance(slot, int):
            return kept[slot, at.layer, :, window]
        return kept[:, at.layer, :, window][slot, self._rows]

    def _role(self, at: At) -> int:
        return role(self.config, at.index) if len(self.keys) == 2 else 0

    def _slot(self, at: At, step: int) -> int | None:
        """Where a pass of that step writes, if it does. What a later step overwrites is written all the same, since
        any step may be a token's last."""
        if self.policy == "per_depth":
            return step * self.config.passes + at.index
        if self.policy == "first_depth":
            return 0 if step == at.index == 0 else None
        if self.policy == "committed":
            return 0 if at.index == self.config.passes - 1 else None
        return self._role(at)

    def _write(self, at: At, k: Float[Tensor, "b h e"], v: Float[Tensor, "b h e"]) -> None:
        rows, columns, steps = self._at
        slot: int | Tensor | None = self._slot(at, 0)
        if self.policy == "per_depth":
            slot = steps * self.config.passes + at.index
        elif self.policy == "first_depth":
            rows, columns, _ = self._first
        if slot is not None and len(rows):
            # In mixed precision what is written has fewer digits than the weights, and the cache as many as they.
            self.keys[slot, at.layer, rows, columns] = k[rows].detach().to(self.keys.dtype)
            self.values[slot, at.layer, rows, columns] = v[rows].detach().to(self.values.dtype)
