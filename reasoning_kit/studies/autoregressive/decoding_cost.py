"""``bench refinement``: what the autoregressive TRM's proposal claims of compute and memory, each claim measured.

- compute per refinement step is linear in the prefix (:func:`against_prefix`);
- compute per token is linear in refinement steps (:func:`against_steps`);
- memory is bounded by the cache of emitted tokens, whatever the steps (:func:`cache_memory`);
- and what makes it practical: a cache instead of recomputation (:func:`against_recomputation`), and tokens of different
  depth that do not wait for each other (:func:`against_lock_step`, for which a trained model is needed).

None but the last depends on what a model has learned, so they use random weights. Times are medians of repeats.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import Any, get_args

import numpy as np
import torch

from trm.autoregressive import AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM
from trm.autoregressive.cache import SlotCache, bytes_needed
from trm.autoregressive.choices import Policy
from trm.autoregressive.engine import Decoded, Decoding, Engine
from trm.autoregressive.pricing import RefinementPrice

PREFIXES = (64, 128, 256, 512, 1024, 2048, 4096)
STEPS = (1, 2, 4, 8, 16, 32, 64)
POLICIES: tuple[Policy, ...] = get_args(Policy)
PREFIX = 256  # while steps vary
NEW = 512  # tokens that are decoded with and without a cache
Tell = Callable[[str], None]


def build(settings: dict[str, Any]) -> AutoregressiveTRMForCausalLM:
    """A model of random weights."""
    torch.manual_seed(0)
    return AutoregressiveTRMForCausalLM(AutoregressiveTRMConfig(**settings)).eval()


def against_prefix(settings: dict[str, Any], policy: Policy, repeats: int, tell: Tell, rows: int = 8) -> dict[str, Any]:
    """Seconds and FLOPs of one supervision step of ``rows`` tokens, against the tokens before them."""
    model = build(settings)
    price = RefinementPrice(model.config)
    found = []
    for prefix in PREFIXES:
        tell(f"one refinement step after {prefix} tokens")
        one_step = _stepper(model, policy, prefix, rows)
        flops = rows * model.config.passes * price.one_pass(1, prefix)
        found.append({"prefix": prefix, "seconds": _median(one_step, repeats), "flops": flops})
    return {"policy": policy, "rows": found, **_linear([row["prefix"] for row in found], found)}


@torch.no_grad()
def against_steps(settings: dict[str, Any], policy: Policy, repeats: int, tell: Tell, rows: int = 8) -> dict[str, Any]:
    """Seconds and FLOPs of ``rows`` tokens behind a prefix, written as ``generate`` does, against the supervision steps
    that each takes."""
    found = []
    for steps in STEPS:
        tell(f"a token of {steps} refinement steps")
        model = build({**settings, "supervision_steps": steps})
        price = RefinementPrice(model.config)
        cache = _behind(model, policy, PREFIX, rows)
        mask = torch.ones(rows, PREFIX + 1, dtype=torch.long)
        token = partial(model, mask[:, :1], attention_mask=mask, past_key_values=cache, logits_to_keep=1)
        flops = rows * (steps * model.config.passes * price.one_pass(1, PREFIX) + price.head)
        found.append({"steps": steps, "seconds": _median(token, repeats), "flops": flops})
    return {"policy": policy, "prefix": PREFIX, "rows": found, **_linear([row["steps"] for row in found], found)}


def cache_memory(settings: dict[str, Any], tell: Tell) -> list[dict[str, Any]]:
    """Bytes that each policy allocates and the formula's, against supervision steps and against tokens."""
    found = []
    like = torch.zeros(0)
    for policy in POLICIES:
        for steps, tokens in [*((steps, PREFIX) for steps in STEPS), *((4, prefix) for prefix in PREFIXES)]:
            tell(f"cache of {policy}, {steps} steps, {tokens} tokens")
            config = AutoregressiveTRMConfig(**{**settings, "supervision_steps": steps})
            allocated = SlotCache(config, policy, like, 1, tokens).nbytes
            formula = bytes_needed(config, policy, tokens)
            found.append(
                {"policy": policy, "steps": steps, "tokens": tokens, "allocated": allocated, "formula": formula}
            )
    return found


def against_recomputation(settings: dict[str, Any], tell: Tell, rows: int, tokens: int = NEW) -> dict[str, Any]:
    """Seconds to write ``tokens`` tokens in each of ``rows`` rows with the exact cache, and by computing all sequences
    anew for each token.

    The tokens must agree. Recomputation is timed at 17 lengths and summed up by interpolation: it is smooth in length.
    """
    model = build({**settings, "depth": "fixed"})
    tell(f"{tokens} tokens with a cache")
    starts = [[1 + row % (model.config.vocab_size - 1)] for row in range(rows)]
    started = time.perf_counter()
    written = Engine(model, Decoding(tokens, "per_depth", batch_size=rows)).decode(starts)
    cached = time.perf_counter() - started
    ids = torch.tensor([start + result.ids for start, result in zip(starts, written, strict=True)])
    lengths = sorted({1, *(round(tokens * part / 16) for part in range(1, 17))})
    seconds = []
    with torch.no_grad():
        if not torch.equal(model(ids[:, :-1]).logits.argmax(-1), ids[:, 1:]):
            raise RuntimeError("decoding with the cache wrote other tokens than recomputation")
        for length in lengths:
            tell(f"recomputation of {length} tokens")
            seconds.append(_median(partial(model, ids[:, :length]), 3))
    recomputed = float(np.interp(np.arange(1, tokens + 1), lengths, seconds).sum())
    price = RefinementPrice(model.config)
    return {
        "rows": rows,
        "tokens": tokens,
        "cached_seconds": cached,
        "recomputed_seconds": recomputed,
        "ratio": recomputed / cached,
        "cached_flops": price.generation(rows, 1, tokens),
        "recomputed_flops": sum(price.forward(rows, length) for length in range(1, tokens + 1)),
    }


def against_lock_step(
    model: AutoregressiveTRMForCausalLM,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    decoding: dict[str, Any],
    repeats: int,
    tell: Tell,
) -> dict[str, Any]:
    """Tokens per second of a trained model with and without waiting, in turns; the tokens must agree.

    Returns:
        the ratios of neighbouring repeats, also without the time for prompts that are refined all at once; the steps of
        the batch (ticks) both ways, and the mean depth of a wave's deepest token in lock-step (tokens of prompts that
        are refined one by one included), which beside the mean steps of a token says what there is to gain; and in how
        many prompts rounding made the two differ, which float64 must not.
    """
    waited: dict[bool, list[tuple[float, float]]] = {}
    engines: dict[bool, Engine] = {}
    written: dict[bool, list[Decoded]] = {}
    for repeat in range(repeats):
        for lock_step in (False, True):
            tell(f"{len(prompts)} prompts {'in lock-step' if lock_step else 'depth-wise'}, repeat {repeat + 1}")
            engine = Engine(model, Decoding(**decoding, lock_step=lock_step))
            started = time.perf_counter()
            written[lock_step] = engine.decode(prompts, ends)
            seconds = time.perf_counter() - started
            waited.setdefault(lock_step, []).append((seconds, seconds - engine.prefill_seconds))
            engines[lock_step] = engine
    differing = _differing(written[False], written[True])
    if differing:  # a tie that rounding decides is no fault: other digits decide it alike
        tell("both ways in float64")
        exact = copy.deepcopy(model).double()
        both = [Engine(exact, Decoding(**decoding, lock_step=way)).decode(prompts, ends) for way in (False, True)]
        if _differing(*both):
            raise RuntimeError("depth-wise batching wrote other tokens than lock-step decoding")
    steps = list(chain.from_iterable(result.steps for result in written[False]))
    ratios, after_prompts = (
        [lock[part] / deep[part] for deep, lock in zip(waited[False], waited[True], strict=True)] for part in (0, 1)
    )
    speeds = {name: [len(steps) / seconds for seconds, _ in waited[name]] for name in (False, True)}
    return {
        "prompts": len(prompts),
        "rows": min(len(prompts), decoding["batch_size"]),
        "tokens": len(steps),
        "mean_steps": statistics.fmean(steps),
        "most_steps": model.config.supervision_steps,
        "deepest_of_wave": engines[True].ticks / engines[True].waves,
        "depthwise_tokens_per_second": speeds[False],
        "lock_step_tokens_per_second": speeds[True],
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "ratios_without_prompts": after_prompts,
        "ratio_without_prompts": statistics.median(after_prompts),
        "ticks": {"depth-wise": engines[False].ticks, "lock-step": engines[True].ticks},
        "tick_ratio": engines[True].ticks / engines[False].ticks,
        "rounding": differing,
        "same_tokens": not differing,
    }


def _differing(first: Sequence[Decoded], second: Sequence[Decoded]) -> int:
    return sum(a.ids != b.ids for a, b in zip(first, second, strict=True))


def _stepper(model: AutoregressiveTRMForCausalLM, policy: Policy, prefix: int, rows: int) -> Callable[[], None]:
    """One supervision step of a token in each of ``rows`` rows behind ``prefix`` tokens of random keys and values."""
    backbone = model.model
    cache = _behind(model, policy, prefix, rows)
    tokens = torch.ones(rows, 1, dtype=torch.long)
    x, angles = backbone.embed(tokens).detach(), backbone.angles(torch.full_like(tokens, prefix))
    state = backbone.recursion.start(x)
    seen = torch.ones(rows, prefix, dtype=torch.bool)
    cache.at_work([prefix] * rows, [0] * rows, list(range(rows)), seen)

    def step() -> None:
        with torch.no_grad():
            backbone.recursion(x, state, angles, cache, 0)

    return step


def _behind(model: AutoregressiveTRMForCausalLM, policy: Policy, prefix: int, rows: int) -> SlotCache:
    """Random keys and values of ``prefix`` tokens, and room for one more."""
    cache = SlotCache(model.config, policy, model.lm_head.weight, rows, prefix + 1)
    cache.keys.normal_()
    cache.values.normal_()
    return cache


def _median(work: Callable[[], Any], repeats: int) -> float:
    work()  # warm up
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _linear(x: Sequence[float], rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """How well seconds are a straight line in ``x`` (R squared), and the exponent of their growth at the far end."""
    y = [row["seconds"] for row in rows]
    line = np.polyfit(x, y, 1)
    rest = np.var(np.asarray(y) - np.polyval(line, x)) / np.var(y)
    exponent = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
    return {"r_squared": float(1 - rest), "exponent": float(exponent)}
