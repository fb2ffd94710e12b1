"""The decoding engine: tokens of different depth in one batch do not wait for each other.

Depth-wise continuous batching: every tick, each row does one supervision step of its own current token. A row whose
token has halted emits it and starts the next one at the next tick, while others still refine; a row that has finished
takes the next prompt, longest prompts first, so that few rows are idle in the end. In lock-step a row that has halted
waits until all have, so that a batch pays for its deepest token. What a row computes does not depend on the others, so
both give the same tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.errors import UserError
from trm.autoregressive.cache import SlotCache
from trm.autoregressive.choices import EXACT, Policy
from trm.autoregressive.lockstep import adaptive, fill_only
from trm.autoregressive.options import Decoding
from trm.autoregressive.outputs import LanguageModel
from trm.autoregressive.recursion import Hidden

PREFILLED = 1024  # positions of prompts that are refined together, ahead of the rows that take them


@dataclass
class Decoded:
    """What became of a prompt.

    Attributes:
        ids: the new tokens, the end token included.
        steps: supervision steps that each took.
        finished: it ended with the end token.
    """

    ids: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    finished: bool = False


@dataclass
class Row:
    """A row of the batch.

    Attributes:
        prompt: index of the one that it continues; ``None``: idle.
        ids: its tokens so far, of which the first ``given`` are the prompt's.
        column: of the token that is refined now, ``step`` supervision steps so far.
        logits: of a token that has halted and, in lock-step, waits for the other rows; ``best`` is the most probable.
    """

    prompt: int | None = None
    ids: list[int] = field(default_factory=lambda: [0])
    given: int = 1
    column: int = 0
    step: int = 0
    logits: Float[Tensor, " v"] | None = None
    best: int = 0

    @property
    def active(self) -> bool:
        return self.prompt is not None and self.logits is None

    @property
    def predicts(self) -> bool:
        """The tokens before the prompt's last one are followed by a given one; they take all steps."""
        return self.column >= self.given - 1


class Engine:
    """Decodes any number of prompts with a fixed number of rows.

    Attributes:
        ticks: supervision steps that the batch has computed.
        used: those of them, times rows, that refined a token.
        waves: how often rows moved on to their next tokens; in lock-step all together.
        prefill_seconds: of wall time, for prompts that were refined all at once.
        cache: keys and values of all rows.
    """

    def __init__(self, model: LanguageModel, options: Decoding) -> None:
        self.model, self.backbone, self.options = model.eval(), model.model, options
        self.policy: Policy = options.policy or model.config.policy
        self.adaptive = (options.depth or model.config.depth) == "adaptive"
        if self.adaptive and model.config.halting != "correct":
            raise UserError("nothing says when to halt.", where="depth", cure="Decode a model without a head at fixed.")
        self.ticks, self.used, self.waves, self.prefill_seconds = 0, 0, 0, 0.0

    @torch.no_grad()
    def decode(
        self,
        prompts: Sequence[Sequence[int]],
        ends: Collection[int] = (),
        targets: Sequence[Sequence[int]] | None = None,
        on_result: Callable[[int, Decoded], None] = lambda index, result: None,
    ) -> list[Decoded]:
        """Continue every prompt.

        Args:
            prompts: token ids, at least one each.
            ends: tokens after which a row stops.
            targets: what should be written, for oracle halting: a token halts as soon as it is the right one.
            on_result: gets each prompt's index and result as soon as it is done.

        Returns:
            in the order of the prompts.

        Raises:
            UserError: for a prompt without a token.
        """
        if not all(prompts):
            raise UserError("a prompt holds no token.", where="prompts", cure="Give each at least one to continue.")
        if not prompts:
            return []
        self._prompts, self._ends, self._targets, self._on_result = prompts, ends, targets, on_result
        self._results = [Decoded() for _ in prompts]
        self._queue = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), -index))  # last one first
        self._ready: dict[int, tuple[Tensor, Tensor]] = {}  # keys and values of prompts that wait for a row
        seeds = [hash((self.options.seed, index)) % 2**63 for index in range(len(prompts))]
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        count = min(self.options.batch_size, len(prompts))
        room = max(len(prompt) + self._most(prompt) for prompt in prompts)
        self.cache = SlotCache(self.model.config, self.policy, self.model.lm_head.weight, count, room)
        self._rows = [Row() for _ in range(count)]
        start = self.backbone.recursion.start(self.backbone.embed(self._tensor([[0]] * count)))
        self._state = start[0].clone(), start[1].clone()
        for index in range(count):
            self._take(index)
        while any(row.active for row in self._rows):
            self._tick()
        return self._results

    def _most(self, prompt: Sequence[int]) -> int:
        """New tokens at most."""
        return max(1, min(self.options.max_new_tokens, self.model.config.max_position_embeddings - len(prompt)))

    def _tensor(self, numbers: Sequence[object]) -> Tensor:
        return torch.tensor(numbers, device=self.model.lm_head.weight.device)

    def _take(self, index: int) -> None:
        """Give a row the next prompt, if there is one."""
        if not self._queue:
            self._rows[index] = Row()
            return
        prompt = self._queue.pop()
        ids = list(self._prompts[prompt])
        self._rows[index] = row = Row(prompt, ids, len(ids))
        if len(ids) > 1 and (self.policy in EXACT or self.options.parallel_prefill):
            started = time.perf_counter()
            if prompt not in self._ready:
                more = max(1, PREFILLED // len(ids)) - 1  # none of the prompts that follow is longer
                self._prefill([prompt, *self._queue[::-1][:more]])
            self.cache.place(index, *self._ready.pop(prompt))
            self.prefill_seconds += time.perf_counter() - started
            row.column = len(ids) - 1

    def _prefill(self, chosen: Sequence[int]) -> None:
        """Keys and values of these prompts but for their last tokens, all positions of all at once. Shorter ones are
        padded behind, where no position of theirs looks."""
        before = [list(self._prompts[prompt][:-1]) for prompt in chosen]
        longest = max(map(len, before))
        cache = SlotCache(self.model.config, self.policy, self.model.lm_head.weight, len(chosen), longest)
        ids = self._tensor([each + [0] * (longest - len(each)) for each in before])
        fill_only(self.backbone, cache, ids)
        for number, (prompt, each) in enumerate(zip(chosen, before, strict=True)):
            here = (slice(None), slice(None), number, slice(len(each)))
            self._ready[prompt] = cache.keys[here], cache.values[here]

    def _tick(self) -> None:
        """One supervision step of every row that does not wait."""
        rows = self._rows
        active = [index for index, row in enumerate(rows) if row.active]

        # The token that each row refines now: [b, 1] ids -> x [b, 1, d].
        columns = self._tensor([[row.column] for row in rows])
        tokens = self._tensor([[row.ids[row.column]] for row in rows])
        x = self.backbone.embed(tokens)

        # A row at step 0 starts from the initial state, the others go on from theirs: [b, 1, d] each.
        is_first_step = self._tensor([[[row.step == 0]] for row in rows])
        start_y, start_z = self.backbone.recursion.start(x)
        old_y = torch.where(is_first_step, start_y, self._state[0])
        old_z = torch.where(is_first_step, start_z, self._state[1])

        # Each row sees the columns before its own.
        seen = torch.arange(max(row.column for row in rows), device=columns.device) < columns
        self.cache.at_work([row.column for row in rows], [row.step for row in rows], active, seen)
        angles = self.backbone.angles(columns)
        (y, z), _ = self.backbone.recursion(x, (old_y, old_z), angles, self.cache, 0)

        # Rows that wait keep their state.
        is_working = self._tensor([[[row.active]] for row in rows])
        self._state = torch.where(is_working, y, old_y), torch.where(is_working, z, old_z)
        for index in active:
            rows[index].step += 1
        self.ticks += 1
        self.used += len(active)
        self._emit(active)

    def _emit(self, active: Sequence[int]) -> None:
        """Move on the rows whose token has halted, in lock-step once all have."""
        answer = self.backbone.read_out(self._state[0])
        logits = self.model.lm_head(answer[:, 0]).float()
        best = logits.argmax(-1).tolist()
        may_halt = self._may_halt(answer, best)
        most = self.model.config.supervision_steps
        halted = [i for i in active if self._rows[i].step >= most or (self._rows[i].predicts and may_halt[i])]
        self.cache.commit(halted, [self._rows[i].step for i in halted])
        for index in halted:
            self._rows[index].logits, self._rows[index].best = logits[index], best[index]
        if self.options.lock_step and any(row.active for row in self._rows):
            return
        self.waves += bool(halted)
        for index, row in enumerate(self._rows):
            if row.logits is not None:
                self._move_on(index, row, row.logits)

    def _may_halt(self, answer: Hidden, best: Sequence[int]) -> list[bool]:
        if self._targets is not None:
            return [token == self._target(row) for token, row in zip(best, self._rows, strict=True)]
        if self.adaptive:
            return adaptive(self.backbone, self.options.halting_threshold)(answer, 0).tolist()
        return [False] * len(self._rows)

    def _target(self, row: Row) -> int | None:
        """The right token behind the row's current one, where it is known."""
        known = [] if row.prompt is None or self._targets is None else self._targets[row.prompt]
        offset = row.column + 1 - row.given
        return known[offset] if 0 <= offset < len(known) else None

    def _move_on(self, index: int, row: Row, logits: Float[Tensor, " v"]) -> None:
        assert row.prompt is not None, "only busy rows halt"
        if row.predicts:
            result = self._results[row.prompt]
            token = row.best if self.options.temperature == 0 else self._draw(logits, row.prompt)
            result.ids.append(token)
            result.steps.append(row.step)
            result.finished = token in self._ends
            if result.finished or len(result.ids) == self._most(self._prompts[row.prompt]):
                self._on_result(row.prompt, result)
                self._take(index)
                return
            row.ids.append(token)
        row.column, row.step, row.logits = row.column + 1, 0, None

    def _draw(self, logits: Float[Tensor, " v"], prompt: int) -> int:
        probabilities, order = (logits / self.options.temperature).softmax(-1).cpu().sort(descending=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < self.options.top_p)
        return int(order[torch.multinomial(probabilities, 1, generator=self._generators[prompt])])
