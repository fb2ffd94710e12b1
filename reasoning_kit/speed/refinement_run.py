"""What decoding does with one trained autoregressive TRM: the price of each cache policy, halting, depth by difficulty.

Teacher-forced: the right answer's tokens are given one after the other and refined as when decoding, so that policies
are compared on the same prefixes (:func:`trm.autoregressive.generation.walk`). Whole answers right, teacher-forced, is
what greedy decoding gets right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.evaluation import batched
from benchmarks.problem import Problem
from benchmarks.statistics import Interval, accuracy_interval
from benchmarks.text_form import completion_text
from reasoning_kit.speed.refinement import POLICIES, Tell
from trm.autoregressive.cache import SlotCache, bytes_needed
from trm.autoregressive.configuration import Policy
from trm.autoregressive.generation import Rule, adaptive, fixed, oracle, walk
from trm.autoregressive.modeling import AutoregressiveTRMForCausalLM

ROWS = 64
IGNORE = -100


@dataclass(frozen=True)
class Scored:
    """Given answers, as one way of decoding refines them.

    Attributes:
        loss: nats per token of the answer.
        tokens: share of them that are most probable.
        whole: of whole answers, with interval.
        steps: mean supervision steps per token.
        memory: bytes of the cache for the longest problem.
        depths: of each problem, the steps of its answer's tokens; ``right`` likewise.
    """

    policy: Policy
    halting: str
    loss: float
    tokens: float
    whole: Interval
    steps: float
    memory: int
    depths: list[list[int]]
    right: list[list[bool]]

    def to_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "halting": self.halting,
            "loss": self.loss,
            "tokens": self.tokens,
            "whole": self.whole.to_metric(),
            "steps": self.steps,
            "memory_bytes": self.memory,
        }


@dataclass(frozen=True)
class Lesson:
    """A batch of prompts with their right answers, padded on the left.

    Attributes:
        targets: the next token at each position of the answer, -100 elsewhere.
    """

    ids: Int[Tensor, "b l"]
    mask: Bool[Tensor, "b l"]
    targets: Int[Tensor, "b l"]


def every_way(solver: Any, problems: Sequence[Problem], traces: Sequence[str | None], tell: Tell) -> list[Scored]:
    """All policies at full depth; then each with halting by the model's head, and by an oracle that knows the token.

    Args:
        solver: of a finished run (:class:`cot_distill.solver.CausalLMSolver`).
        traces: the thought before each answer; ``None``: without.
    """
    found = []
    for halting in ("fixed", "adaptive", "oracle"):
        if halting == "adaptive" and solver.model.model.halting_head is None:
            continue
        for policy in POLICIES:
            tell(f"policy {policy}, halting {halting}")
            found.append(score(solver, problems, traces, policy, halting))
    return found


@torch.no_grad()
def score(
    solver: Any, problems: Sequence[Problem], traces: Sequence[str | None], policy: Policy, halting: str
) -> Scored:
    """The right answers, refined in one way."""
    model: AutoregressiveTRMForCausalLM = solver.model
    losses: list[Tensor] = []
    depths: list[list[int]] = []
    right: list[list[bool]] = []
    longest = 0
    for numbers in batched(range(len(problems)), ROWS):
        batch = lesson(solver, [problems[i] for i in numbers], [traces[i] for i in numbers])
        cache = SlotCache(model.config, policy, model.lm_head.weight, *batch.ids.shape)
        answers, steps = walk(model.model, cache, batch.ids, batch.mask, 0, _rule(model, batch, halting))
        logits: Float[Tensor, "b l v"] = model.lm_head(answers)
        asked = batch.targets != IGNORE
        losses.append(F.cross_entropy(logits[asked].float(), batch.targets[asked], reduction="none"))
        hits = logits.argmax(-1) == batch.targets
        depths += [row[own].tolist() for row, own in zip(steps, asked, strict=True)]
        right += [row[own].tolist() for row, own in zip(hits, asked, strict=True)]
        longest = max(longest, batch.ids.shape[1])
    whole = torch.tensor([all(row) for row in right], dtype=torch.float64).numpy()
    return Scored(
        policy=policy,
        halting=halting,
        loss=float(torch.cat(losses).mean()),
        tokens=sum(map(sum, right)) / sum(map(len, right)),
        whole=accuracy_interval([whole], [problem.orbit for problem in problems]),
        steps=sum(map(sum, depths)) / sum(map(len, depths)),
        memory=bytes_needed(model.config, policy, longest),
        depths=depths,
        right=right,
    )


def lesson(solver: Any, problems: Sequence[Problem], traces: Sequence[str | None]) -> Lesson:
    """Prompts with what should follow, the end token included."""
    tokenizer, rows = solver.tokenizer, []
    for problem, trace, prompt in zip(problems, traces, solver.prompts(problems), strict=True):
        text = completion_text(solver.task, problem, trace)
        rows.append((prompt, [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]))
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids, mask = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.bool)
    targets = torch.full_like(ids, IGNORE)
    for index, (prompt, answer) in enumerate(rows):
        whole = [*prompt, *answer]
        ids[index, -len(whole) :], mask[index, -len(whole) :] = torch.tensor(whole), True
        targets[index, -len(answer) - 1 : -1] = torch.tensor(answer)
    return Lesson(ids, mask, targets)


def _rule(model: AutoregressiveTRMForCausalLM, batch: Lesson, halting: str) -> Rule:
    """Halting for the answer's tokens alone, as in decoding."""
    if halting == "fixed":
        return fixed()
    known = batch.targets != IGNORE
    rule = oracle(model, batch.targets) if halting == "oracle" else adaptive(model.model)
    return lambda answer, column: rule(answer, column) & known[:, column]


def by_difficulty(labels: Sequence[Sequence[str]], scored: Scored) -> dict[str, dict[str, float]]:
    """Mean steps and share of right tokens, for each kind of token.

    Args:
        labels: of each problem, the kind of each token of its answer; those beyond (the end token) are left out.
    """
    kinds: dict[str, list[tuple[int, bool]]] = {}
    for names, depths, right in zip(labels, scored.depths, scored.right, strict=True):
        for name, depth, hit in zip(names, depths, right, strict=False):
            kinds.setdefault(name, []).append((depth, hit))
    return {
        name: {
            "tokens": len(pairs),
            "steps": sum(depth for depth, _ in pairs) / len(pairs),
            "right": sum(hit for _, hit in pairs) / len(pairs),
        }
        for name, pairs in sorted(kinds.items())
    }
