"""Decoding in lock-step: all rows work on the same column and wait for the one that thinks longest.

This is what transformers' ``generate`` needs, and what scores given tokens as they would have been decoded
(:func:`walk`). Tokens of a prompt take all supervision steps, since the halting head has learned nothing about them.
:mod:`trm.autoregressive.engine` is the engine in which rows do not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trm.autoregressive.attention import FirstPass, SamePass
from trm.autoregressive.cache import SlotCache
from trm.autoregressive.choices import EXACT
from trm.autoregressive.outputs import INITIAL_CAPACITY, Backbone, LanguageModel, RefinedOutput
from trm.autoregressive.recursion import Hidden, positions_of
from trm.autoregressive.sequence import refine

# Which rows may halt, given their answers [b, 1, d] and the column that they work on.
Rule = Callable[[Hidden, int], Bool[Tensor, " b"]]


def fixed() -> Rule:
    """All supervision steps."""
    return lambda answer, column: torch.zeros(len(answer), dtype=torch.bool, device=answer.device)


def adaptive(backbone: Backbone, halting_threshold: float | None = None) -> Rule:
    """Until the halting probability is above ``halting_threshold``, or the model's own ``halting_probability``."""
    threshold = backbone.config.halting_probability if halting_threshold is None else halting_threshold
    return lambda answer, column: backbone.halting_logits(answer)[:, 0].sigmoid() > threshold


def oracle(model: LanguageModel, targets: Int[Tensor, "b l"]) -> Rule:
    """Until the most probable token is the right one: the fewest steps that any halting head could take.

    Args:
        targets: the token that follows each column; -100 where it is not known, which takes all steps.
    """
    return lambda answer, column: model.lm_head(answer[:, 0]).argmax(-1) == targets[:, column]


def walk(
    backbone: Backbone,
    cache: SlotCache,
    input_ids: Int[Tensor, "b l"],
    mask: Bool[Tensor, "b k"],
    first: int,
    halts: Rule,
) -> tuple[Hidden, Int[Tensor, "b l"]]:
    """Refine given tokens one column after the other, and commit each.

    Args:
        input_ids: of columns ``first`` and later.
        mask: which columns hold no padding, from column 0 on, those of ``input_ids`` included.
        halts: which rows are done with their token after a step.

    Returns:
        the answers, [b, l, d], and how many supervision steps each took, [b, l].
    """
    count = input_ids.shape[1]
    cache.reserve(first + count)
    positions = positions_of(mask)

    answers, steps = [], []
    for column in range(first, first + count):
        token = input_ids[:, column - first, None]
        answer, taken = _refine_column(backbone, cache, token, positions[:, column, None], mask, column, halts)
        answers.append(answer)
        steps.append(taken)
    return torch.cat(answers, dim=1), torch.stack(steps, dim=1)


def _refine_column(
    backbone: Backbone,
    cache: SlotCache,
    tokens: Int[Tensor, "b 1"],
    positions: Int[Tensor, "b 1"],
    mask: Bool[Tensor, "b k"],
    column: int,
    halts: Rule,
) -> tuple[Float[Tensor, "b 1 d"], Int[Tensor, " b"]]:
    """One token of every row, until all rows are done with theirs: answers [b, 1, d] and steps [b]."""
    most, batch = backbone.config.supervision_steps, len(tokens)
    x, angles = backbone.embed(tokens), backbone.angles(positions)
    y, z = backbone.recursion.start(x)
    running, steps = mask[:, column], torch.zeros_like(tokens[:, 0])

    for step in range(most):
        cache.at_work([column] * batch, [step] * batch, running.nonzero()[:, 0].tolist(), mask[:, :column])
        (new_y, new_z), _ = backbone.recursion(x, (y, z), angles, cache, step)

        # A row that has halted keeps its state: [b] -> [b, 1, 1].
        y = torch.where(running[:, None, None], new_y, y)
        z = torch.where(running[:, None, None], new_z, z)
        steps = steps + running
        running = running & ~halts(backbone.read_out(y), column)
        if step < most - 1 and not bool(running.any()):
            break

    rows = mask[:, column].nonzero()[:, 0]
    cache.commit(rows.tolist(), steps[rows].tolist())
    return backbone.read_out(y), steps


def prefill(
    backbone: Backbone,
    cache: SlotCache,
    input_ids: Int[Tensor, "b l"],
    mask: Bool[Tensor, "b l"] | None,
    rows: slice,
) -> Hidden:
    """Refine a prompt all at once and fill the cache; exact under the policies of ``EXACT`` alone.

    Args:
        mask: which tokens are no padding; ``None``: all.
        rows: of the cache.

    Returns:
        the last answers, [b, l, d].
    """
    cache.reserve(input_ids.shape[1])
    real = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask
    positions, keep = positions_of(real), partial(cache.fill, rows)
    attend = FirstPass(real, keep) if cache.policy == "first_depth" else SamePass(mask, keep)

    with torch.no_grad():
        x, steps = backbone.embed(input_ids), backbone.config.supervision_steps
        refined = refine(backbone.recursion, x, backbone.angles(positions), attend, False, steps)
    return backbone.read_out(refined.answers[-1])


@torch.no_grad()
def fill_only(
    backbone: Backbone, cache: SlotCache, input_ids: Int[Tensor, "b l"], mask: Bool[Tensor, "b l"] | None = None
) -> None:
    """:func:`prefill` where nobody asks for the prompt's own answers.

    ``first_depth`` keeps what its first pass makes, so that the other passes need not be.
    """
    if cache.policy != "first_depth":
        prefill(backbone, cache, input_ids, mask, slice(None))
        return

    cache.reserve(input_ids.shape[1])
    positions = positions_of(torch.ones_like(input_ids) if mask is None else mask)
    attend = SamePass(mask, partial(cache.fill, slice(None)))
    backbone.recursion.first_pass(backbone.embed(input_ids), backbone.angles(positions), attend)


@torch.no_grad()
def extend(
    backbone: Backbone,
    input_ids: Int[Tensor, "b l"],
    attention_mask: Int[Tensor, "b k"] | None,
    cache: SlotCache | None,
    last_only: bool = False,
) -> RefinedOutput:
    """What ``generate`` calls: first with the prompt, then with one token after the other.

    Args:
        input_ids: those that the cache does not hold yet.
        attention_mask: of all columns, [b, k]; padding is on the left.
        last_only: the answer of the last column is enough.

    Returns:
        the answers [b, l, d], or [b, 1, d] with ``last_only``, and the cache.
    """
    config, (batch, count) = backbone.config, input_ids.shape
    if attention_mask is None:
        held = 0 if cache is None else cache.held
        attention_mask = torch.ones(batch, held + count, dtype=torch.long, device=input_ids.device)
    mask = attention_mask.bool()
    first = mask.shape[1] - count

    answers = []
    if cache is None:
        capacity = max(INITIAL_CAPACITY, 2 * count)
        cache = SlotCache(config, config.policy, backbone.embedding.weight, batch, capacity)
        if count > 1:  # the last token of the prompt makes a prediction and may halt
            prompt, before = input_ids[:, :-1], mask[:, : first + count - 1]
            if config.policy in EXACT and last_only:
                fill_only(backbone, cache, prompt, before)
            elif config.policy in EXACT:
                answers.append(prefill(backbone, cache, prompt, before, slice(None)))
            else:
                answers.append(walk(backbone, cache, prompt, before, first, fixed())[0])
            input_ids, first = input_ids[:, -1:], first + count - 1

    # What is left is refined column by column, and may halt.
    halts = adaptive(backbone) if config.depth == "adaptive" else fixed()
    answers.append(walk(backbone, cache, input_ids, mask, first, halts)[0])
    cache.held = mask.shape[1]
    refined = answers[-1][:, -1:] if last_only else torch.cat(answers, dim=1)
    return RefinedOutput(last_hidden_state=refined, answers=(refined,), past_key_values=cache)
