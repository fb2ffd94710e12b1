"""What decoding does with one trained language model: the price of cache policies, halting, depth by difficulty, bytes.

Teacher-forced: the right answer's tokens are given one after the other and refined as when decoding, so that policies
are compared on the same prefixes (:func:`trm.autoregressive.lockstep.walk`). Whole answers right, teacher-forced, is
what greedy decoding gets right; where other answers count too, or a thought comes first, greedy decoding is asked.
An ordinary causal language model, as a baseline, has one policy: a key and a value of each token for each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from benchmarks.compute import CausalLMShape
from benchmarks.evaluation import batched
from benchmarks.problem import Problem
from benchmarks.text_form import completion_text, read_completion
from reasoning_kit.studies.autoregressive.decoding_cost import POLICIES, Tell
from trm.autoregressive.cache import SlotCache, bytes_needed
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.engine import Decoding, Engine
from trm.autoregressive.lockstep import Rule, adaptive, fixed, oracle, walk
from trm.autoregressive.modeling import AutoregressiveTRMForCausalLM
from trm.autoregressive.recursion import positions_of

ROWS = 64
IGNORE = -100
KEY_VALUES = "key_values"  # the policy of an ordinary causal language model
SWEEPS = "training sweeps"  # no policy, and nothing to decode with: what a model trained in jacobi computes in training
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Scored:
    """Given answers, as one way of decoding refines them.

    Attributes:
        policy: of the cache, or ``SWEEPS``.
        halting: ``fixed``, ``adaptive`` or ``oracle``.
        loss: nats per token of the answer.
        depths: of each problem, the steps of its answer's tokens; ``right`` likewise, whether they are most probable.
    """

    policy: str
    halting: str
    loss: float
    depths: list[list[int]]
    right: list[list[bool]]

    @property
    def tokens(self) -> float:
        """Share of the answers' tokens that are most probable."""
        return sum(map(sum, self.right)) / sum(map(len, self.right))

    @property
    def whole(self) -> list[bool]:
        """Of each problem, whether all are."""
        return [all(row) for row in self.right]

    @property
    def steps(self) -> float:
        """Supervision steps per token."""
        return sum(map(sum, self.depths)) / sum(map(len, self.depths))

    def to_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "halting": self.halting,
            "loss": self.loss,
            "tokens": self.tokens,
            "whole": self.whole,
            "steps": self.steps,
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


def policies_of(config: Any) -> tuple[str, ...]:
    """The cache policies that make sense for a model, its own among them. Where a single stream is passed once, its
    passes are its layers, each of which has keys and values of its own."""
    if not isinstance(config, AutoregressiveTRMConfig):
        return (KEY_VALUES,)
    if config.streams == "single" and config.supervision_steps == 1:
        return tuple(policy for policy in POLICIES if policy in ("per_depth", config.policy))
    return POLICIES


def every_way(
    solver: Any, problems: Sequence[Problem], traces: Sequence[str | None], tell: Tell, sure: float | None = None
) -> list[Scored]:
    """All policies at full depth, and what training computes where that is no policy's (``SWEEPS``); then each policy
    with halting by the model's head, and by an oracle that knows the token.

    Args:
        solver: of a finished run (:class:`cot_distill.solver.CausalLMSolver`).
        traces: the thought before each answer; ``None``: without.
        sure: halting probability above which a token halts; ``None``: each model's own.
    """
    config, found = solver.model.config, []
    for halting in ("fixed", "adaptive", "oracle"):
        if halting == "adaptive" and getattr(config, "halting", "none") != "correct":
            continue
        if halting == "oracle" and getattr(config, "supervision_steps", 1) == 1:
            continue  # it would have nothing to choose
        swept = halting == "fixed" and getattr(config, "training_mode", "parallel") == "jacobi"
        for policy in (*policies_of(config), *([SWEEPS] if swept else [])):
            tell(f"policy {policy}, halting {halting}")
            found.append(score(solver, problems, traces, policy, halting, sure))
    return found


@torch.no_grad()
def score(
    solver: Any,
    problems: Sequence[Problem],
    traces: Sequence[str | None],
    policy: str,
    halting: str,
    sure: float | None = None,
) -> Scored:
    """The right answers, refined in one way."""
    model, losses = solver.model.eval(), []
    depths: list[list[int]] = []
    right: list[list[bool]] = []
    for numbers in batched(range(len(problems)), ROWS):
        batch = lesson(solver, [problems[i] for i in numbers], [traces[i] for i in numbers])
        logits, steps = _read(model, batch, policy, halting, sure)
        asked = batch.targets != IGNORE
        losses.append(F.cross_entropy(logits[asked].float(), batch.targets[asked], reduction="none"))
        hits = logits.argmax(-1) == batch.targets
        depths += [row[own].tolist() for row, own in zip(steps, asked, strict=True)]
        right += [row[own].tolist() for row, own in zip(hits, asked, strict=True)]
    return Scored(policy, halting, float(torch.cat(losses).mean()), depths, right)


def _read(
    model: Any, batch: Lesson, policy: str, halting: str, sure: float | None
) -> tuple[Float[Tensor, "b l v"], Int[Tensor, "b l"]]:
    """Scores of the next token and the steps that they took."""
    if policy in (KEY_VALUES, SWEEPS):
        output = model(batch.ids, attention_mask=batch.mask.long(), position_ids=positions_of(batch.mask))
        return output.logits, torch.full_like(batch.ids, getattr(model.config, "supervision_steps", 1))
    cache = SlotCache(model.config, policy, model.lm_head.weight, *batch.ids.shape)  # type: ignore[arg-type]
    answers, steps = walk(model.model, cache, batch.ids, batch.mask, 0, _rule(model, batch, halting, sure))
    return model.lm_head(answers), steps


def answered(
    solver: Any, problems: Sequence[Problem], traces: Sequence[str | None], policy: str, whole: Sequence[bool]
) -> list[bool]:
    """Which problems greedy decoding at full depth solves, judged by the task.

    Args:
        whole: whose whole answers are most probable: those are solved. The others need decoding only where another
            answer, or one behind another thought, can be right as well.
    """
    task, found = solver.task, list(whole)
    if all(whole) or (task.measure == "exact" and all(trace is None for trace in traces)):
        return found
    rest = [i for i, hit in enumerate(whole) if not hit]
    asked = [problems[i] for i in rest]
    if policy == KEY_VALUES:
        answers = [solution.answer for solution in solver.solve(asked)]
    else:
        options = Decoding(solver.max_new_tokens, policy, "fixed", batch_size=ROWS)  # type: ignore[arg-type]
        written = Engine(solver.model, options).decode(solver.prompts(asked), [solver.tokenizer.eos_token_id])
        texts = (str(solver.tokenizer.decode(result.ids, skip_special_tokens=True)) for result in written)
        answers = [read_completion(task, each, text, solver.style) for each, text in zip(asked, texts, strict=True)]
    for i, problem, answer in zip(rest, asked, answers, strict=True):
        found[i] = task.verify(problem, answer).correct
    return found


def weight_bytes(model: Any) -> int:
    """Of all weights and fixed vectors as they are loaded, shared ones once."""
    return sum({each.data_ptr(): each.nbytes for each in model.state_dict().values()}.values())


def cache_bytes(config: Any, policy: str, tokens: int) -> int:
    """Of one row's cache in float32; of an ordinary model 2 x layers x key-value heads x size of a head a token."""
    if policy != KEY_VALUES:
        return bytes_needed(config, policy, tokens, number=FLOAT32)  # type: ignore[arg-type]
    shape = CausalLMShape.of(config)
    return 2 * shape.layers * shape.key_value_heads * shape.head_size * FLOAT32 * tokens


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


def _rule(model: AutoregressiveTRMForCausalLM, batch: Lesson, halting: str, sure: float | None) -> Rule:
    """Halting for the answer's tokens alone, as in decoding."""
    if halting == "fixed":
        return fixed()
    known = batch.targets != IGNORE
    rule = oracle(model, batch.targets) if halting == "oracle" else adaptive(model.model, sure)
    return lambda answer, column: rule(answer, column) & known[:, column]
