"""How often a model is right on each of some problems, and what to ask first because of it.

One way of counting serves the curriculum (training problems, charged to the run) and pass@k before and after
(problems held out, off the clock).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from benchmarks.compute import Cost, language_model_price
from benchmarks.evaluation import batched
from benchmarks.problem import Problem
from benchmarks.rewards import Guarded
from benchmarks.task import Task
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.transformers import TransformersGenerator
from cot_distill.language_model import render_prompt

BATCHES = 1000  # drawn in advance by weight; a longer run meets them again in the same order


def right_counts(
    generator: TransformersGenerator,
    task: Task,
    problems: Sequence[Problem],
    correct: Guarded,
    sampling: Sampling,
    look: Callable[[Problem, list[str]], None] | None = None,
) -> Iterator[tuple[list[int], Cost]]:
    """How many of ``sampling.samples`` completions of each problem are right, and what writing them cost, batch by
    batch, so that one may stop.

    Args:
        generator: writes as many completions at once as its ``batch_size`` says.
        correct: the verifier as a reward.
        look: gets each problem with its completions.
    """
    shape = language_model_price(generator.model.config)
    tokenizer = generator.tokenizer
    for number, part in enumerate(batched(problems, max(1, generator.batch_size // sampling.samples))):
        # The same prompts as in training, without the tokenizer's own start token.
        texts = [render_prompt(tokenizer, task, problem, "cot") for problem in part]
        prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
        written: dict[int, list[Completion]] = {}
        generator.generate(prompts, replace(sampling, seed=sampling.seed + number), written.__setitem__)

        counts = []
        for index, problem in enumerate(part):
            said = [completion.text for completion in written[index]]
            if look is not None:
                look(problem, said)
            rewards = correct(completions=said, id=[problem.id] * len(said))
            counts.append(round(sum(reward or 0.0 for reward in rewards)))

        # The batch is written until its longest completion ends, and all of that is paid for.
        prompt = max(map(len, prompts))
        longest = 0
        for completions in written.values():
            for completion in completions:
                longest = max(longest, completion.tokens or 0)
        rows = len(part) * sampling.samples
        yield (
            counts,
            Cost(flops=shape.generation(rows, prompt, longest), examples=rows, tokens=rows * (prompt + longest)),
        )


def arranged(counts: Sequence[int | None], samples: int, curriculum: str, groups: int, seed: int) -> list[int]:
    """The order in which problems are asked, as indices.

    Before anything is known about a problem its pass rate ``p`` may be anything between 0 and 1 (a uniform prior);
    after ``c`` right completions of ``n``, ``order`` asks by falling expected rate, ``E[p] = (c+1) / (n+2)``, equal
    ones at random. ``weight`` fills each batch with different problems, drawn in proportion to the expected variance of
    their reward, ``E[p(1-p)] = (c+1)(n-c+1) / ((n+2)(n+3))``: always or never right is rare, not absent.

    Args:
        counts: right ones of ``samples``, per problem; ``None``: not measured, ``c = n = 0``.
        groups: problems in a batch.
    """
    # Per problem c right of n: [problems] each.
    generator = torch.Generator().manual_seed(seed)
    right = torch.tensor([count or 0 for count in counts], dtype=torch.float64)
    known = torch.tensor([0 if count is None else samples for count in counts], dtype=torch.float64)
    if curriculum == "order":
        rates = ((right + 1) / (known + 2)).tolist()
        return sorted(torch.randperm(len(counts), generator=generator).tolist(), key=lambda i: -rates[i])

    weights = (right + 1) * (known - right + 1) / ((known + 2) * (known + 3))
    drawn = [torch.multinomial(weights, groups, generator=generator) for _ in range(BATCHES)]
    return torch.cat(drawn).tolist()


def hold_out(problems: Sequence[Problem], wanted: int, least: int, seed: int) -> tuple[list[Problem], list[Problem]]:
    """Those to train on, and those to measure pass rates on: ``wanted``, but at most a tenth and never so many that
    fewer than ``least`` are left. What a symmetry maps onto each other stays together."""
    size = min(wanted, len(problems) // 10, len(problems) - least)

    # Whole orbits are drawn, as long as they fit.
    orbits: dict[str, list[str]] = {}
    for problem in problems:
        orbits.setdefault(problem.orbit, []).append(problem.id)
    names = list(orbits)
    held_out: set[str] = set()
    for index in torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist():
        if len(held_out) >= size:
            break
        ids = orbits[names[index]]
        if len(held_out) + len(ids) <= size:
            held_out.update(ids)
    return [p for p in problems if p.id not in held_out], [p for p in problems if p.id in held_out]
