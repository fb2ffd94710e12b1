"""TRL's GRPO trainer under a budget: every pass is paid for, silent groups can be drawn anew, and each step tells more.

All of it is a mixin, because TRL's RLOO trainer (:mod:`grpo.rloo`) has the same hooks.

TRL itself drops nothing: a group whose rewards are all equal has no advantage and teaches nothing. Here such groups are
counted, and with ``resample`` other prompts take their place (dynamic sampling, DAPO, arXiv 2503.14476, section 3.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from trl import GRPOTrainer

from benchmarks.compute import Cost, LanguageModelPrice, language_model_price
from benchmarks.rewards import Guarded
from benchmarks.training.checkpoints import step_of
from benchmarks.training.trainer import BudgetedTrainerMixin
from grpo.step_times import StepTimesMixin

Rows = list[dict[str, Any]]  # of the training set, as TRL hands them over


@dataclass
class Group:
    """The completions of one prompt.

    Attributes:
        rows: the prompt's row, once per completion.
        rewards: ``[completions, reward functions]``, as the functions gave them.
        signal: they are not all worth the same.
    """

    rows: Rows
    completion_ids: list[list[int]]
    logprobs: list[list[float]] | None
    rewards: torch.Tensor
    signal: bool


@dataclass
class Rollout:
    """A batch that is written and judged already."""

    rows: Rows
    completion_ids: list[list[int]]
    logprobs: list[list[float]] | None
    rewards: torch.Tensor


class PolicyTrainerMixin(StepTimesMixin, BudgetedTrainerMixin):
    """For ``class MyTrainer(PolicyTrainerMixin, GRPOTrainer)``: a budget that also pays for generation and for the
    reference model.

    Attributes:
        gives_logprobs: whether TRL's trainer hands over the writer's log-probabilities beside the completions.
        resample: at most so often groups without a signal are replaced, in each batch.
        guards: the reward functions, the verifier first.
    """

    model: PreTrainedModel
    num_generations: int
    beta: float
    args: Any
    accelerator: Any
    processing_class: Any
    reward_weights: torch.Tensor
    num_iterations: int
    train_dataset: Any
    shuffle_dataset: bool | None
    _step: int
    gives_logprobs = True
    resample: int = 0
    guards: Sequence[Guarded] = ()
    _ready: Rollout | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tally: Counter[str] = Counter()

    # --- the price ------------------------------------------------------------------------------

    def price(self, inputs: Any) -> Cost:
        """Everything is priced where it is computed: generation in :meth:`charge_generation`, updates in the loss."""
        return Cost()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        batch, prompt = inputs["prompt_ids"].shape
        length = prompt + inputs["completion_ids"].shape[1]
        flops = self.shape.training_step(batch, length)
        flops += self.scoring(inputs) * self.shape.forward(batch, length) / self.num_iterations
        self.meter.add(Cost(flops=flops, tokens=batch * length))
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]

    def scoring(self, inputs: Any) -> int:
        """Passes over a batch, once written, that take no gradient: log-probabilities under the reference model, and
        under the policy that wrote it where that is kept."""
        return (self.beta != 0.0) + ("old_per_token_logps" in inputs or "old_logps" in inputs)

    @property
    def shape(self) -> LanguageModelPrice:
        return language_model_price(self.model.config).of_last_state()

    def charge_generation(self, prompt: int, completions: Sequence[Sequence[int]]) -> None:
        """A batch is generated until its longest completion ends, and all of that is computed."""
        longest = max(len(ids) for ids in completions)
        flops = self.shape.generation(len(completions), prompt, longest)
        self.meter.add(Cost(flops=flops, examples=len(completions), tokens=len(completions) * (prompt + longest)))

    # --- TRL's hooks ----------------------------------------------------------------------------

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """As in training and in the solver: a start token, where there is one, comes from the chat template."""
        tokenizer: Any = self.processing_class
        return tokenizer(prompts, add_special_tokens=False)["input_ids"], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        """The completions, and where :attr:`gives_logprobs` what TRL knows of their log-probabilities."""
        if self._ready is not None:
            ready = self._ready
            return (ready.completion_ids, ready.logprobs) if self.gives_logprobs else ready.completion_ids
        written = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        self.charge_generation(max(map(len, prompt_ids)), written[0] if self.gives_logprobs else written)
        return written

    def _calculate_rewards(
        self, inputs: Rows, prompts: list[str], completions: list[str], completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        if self._ready is not None:
            return self._ready.rewards
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._count(rewards, completion_ids_list)
        return rewards

    def _generate_and_score_completions(self, inputs: Rows) -> dict[str, Any]:
        if self.model.training and self.resample:
            self._ready = self._with_signal(inputs)
            inputs = self._ready.rows
        try:
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        finally:
            self._ready = None

    def load_own_state(self, folder: Path) -> None:
        """Completions that were still to be learned from are written anew, where they were in the order of batches."""
        super().load_own_state(folder)
        self._step = step_of(folder) * self.args.gradient_accumulation_steps

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        logs.update(self._told())
        super().log(logs, start_time)

    # --- groups with a signal -------------------------------------------------------------------

    def _with_signal(self, inputs: Rows) -> Rollout:
        """The batch, with other prompts in the place of those whose completions are all worth the same; where they do
        not suffice, the batch is filled with groups that teach nothing."""
        wanted = len(inputs) // self.num_generations
        kept: list[Group] = []
        spare: list[Group] = []
        asked: set[str] = set()
        rows = inputs
        for attempt in range(self.resample + 1):
            asked |= {row["id"] for row in rows}
            for group in self._roll_out(rows):
                (kept if group.signal else spare).append(group)
            if len(kept) == wanted or attempt == self.resample:
                break
            rows = self._other_rows(wanted - len(kept), asked, attempt, inputs[-1]["place"])
            if not rows:
                break
            self._tally["resamplings"] += 1
        self._tally["skipped"] += len(kept) + len(spare) - wanted
        groups = (kept + spare)[:wanted]
        logprobs = [each for group in groups for each in group.logprobs or []]
        return Rollout(
            [row for group in groups for row in group.rows],
            [ids for group in groups for ids in group.completion_ids],
            logprobs or None,
            torch.cat([group.rewards for group in groups]),
        )

    def _roll_out(self, rows: Rows) -> list[Group]:
        tokenizer: Any = self.processing_class
        prompts = [row["prompt"] for row in rows]
        prompt_ids, images, fields = self._tokenize_prompts(prompts)
        if self.gives_logprobs:
            ids, logprobs = self._generate_single_turn(prompt_ids, images, fields, self.num_generations)
        else:
            ids, logprobs = self._generate_single_turn(prompt_ids, images, fields), None
        with self.timed("text"):
            completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
        rewards = self._calculate_rewards(rows, prompts, completions, ids)
        silent = self.without_signal(rewards)
        size = self.num_generations
        return [
            Group(
                rows[at : at + size],
                ids[at : at + size],
                None if logprobs is None else logprobs[at : at + size],
                rewards[at : at + size],
                not silent[at // size],
            )
            for at in range(0, len(rows), size)
        ]

    def _other_rows(self, count: int, asked: set[str], attempt: int, last: int) -> Rows:
        """Prompts that this batch has not asked: at random, or in a curriculum those that come next."""
        data: Any = self.train_dataset
        if self.shuffle_dataset:
            generator = torch.Generator().manual_seed(hash((self.args.seed, self._step, attempt)) % 2**63)
            order = torch.randperm(len(data), generator=generator).tolist()
        else:
            order = [(last + 1 + offset) % len(data) for offset in range(len(data))]
        chosen: Rows = []
        for place in order:
            if len(chosen) == count:
                break
            row = data[place]
            if row["id"] not in asked:
                asked.add(row["id"])
                chosen.append(row)
        return [row for row in chosen for _ in range(self.num_generations)]

    def without_signal(self, rewards: torch.Tensor) -> list[bool]:
        """Per group, whether its rewards teach nothing: all its completions are worth the same."""
        total = self.total(rewards).view(-1, self.num_generations)
        return torch.isclose(total.std(1), torch.zeros(len(total), device=total.device)).tolist()

    def total(self, rewards: torch.Tensor) -> torch.Tensor:
        """What each completion is worth, ``[completions]``, of what each function gave, as TRL adds it up."""
        return (rewards * self.reward_weights.to(rewards.device)).nansum(1)

    # --- what a step tells ----------------------------------------------------------------------

    def _count(self, rewards: torch.Tensor, completion_ids: list[list[int]]) -> None:
        """Everything that is written counts, also what is skipped afterwards. Rewards are those of all processes."""
        tokens = torch.tensor([len(ids) for ids in completion_ids], device=self.accelerator.device)
        lengths = self.accelerator.gather(tokens)
        right = rewards[:, 0] > 0
        grouped = right.view(-1, self.num_generations)
        failures = torch.tensor([guard.take() for guard in self.guards], device=self.accelerator.device)
        failures = self.accelerator.reduce(failures, "sum")
        self._tally.update(
            {
                "completions": len(right),
                "right": int(right.sum()),
                "tokens_right": int(lengths[right].sum()),
                "tokens": int(lengths.sum()),
                "groups": len(grouped),
                "no_signal": sum(self.without_signal(rewards)),
                "all_right": int(grouped.all(1).sum()),
                "all_wrong": int((~grouped).all(1).sum()),
                **{
                    f"failures/{guard.__name__}": int(count)
                    for guard, count in zip(self.guards, failures, strict=True)
                    if count
                },
            }
        )

    def _told(self) -> dict[str, float]:
        """What was counted since the last log: shares, mean lengths and numbers of groups."""
        count, self._tally = self._tally, Counter()
        if not count["completions"]:
            return {}
        told: dict[str, float] = {
            "accuracy": count["right"] / count["completions"],
            "groups/drawn": count["groups"],
            "groups/no_signal": count["no_signal"],
            "groups/all_right": count["all_right"],
            "groups/all_wrong": count["all_wrong"],
            "groups/skipped": count["skipped"],
        }
        wrong = count["completions"] - count["right"]
        if count["right"]:
            told["length/right"] = count["tokens_right"] / count["right"]
        if wrong:
            told["length/wrong"] = (count["tokens"] - count["tokens_right"]) / wrong
        told |= {key: number for key, number in count.items() if key.startswith("failures/")}
        return told


class PricedGRPOTrainer(PolicyTrainerMixin, GRPOTrainer):  # type: ignore[misc]  # the mixin prices in floats
    """TRL's GRPO trainer under a budget."""


class OwnAdvantages(PricedGRPOTrainer):
    """TRL's GRPO trainer with advantages of a subclass's in the place of the group's."""

    _rewards: torch.Tensor

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        self._rewards = super()._calculate_rewards(*args)
        return self._rewards

    def _generate_and_score_completions(self, inputs: Rows) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        rewards = self.total(self._rewards)
        first = self.accelerator.process_index * len(inputs)
        batch |= self.judged(batch, rewards[first : first + len(inputs)])
        advantages, mask = batch["advantages"], batch["completion_mask"]
        if advantages.dim() == 2:
            advantages = (advantages * mask).sum(1) / mask.sum(1).clamp(min=1)
        logged: Any = self._logs["advantages"]  # of TRL's table of completions, which has the group's by now
        logged.clear()
        logged.extend(self.accelerator.gather(advantages).tolist())
        return batch

    def judged(self, batch: dict[str, Any], rewards: torch.Tensor) -> dict[str, torch.Tensor]:
        """What replaces and joins TRL's batch: ``advantages``, of shape ``[completions]`` or ``[completions, tokens]``.

        Args:
            batch: not yet shuffled.
            rewards: ``[completions]``.
        """
        raise NotImplementedError


class ReinforceTrainer(OwnAdvantages):
    """REINFORCE (Williams, 1992): the reward itself is the advantage, so what is right is made likelier and what is
    worth nothing teaches nothing."""

    def judged(self, batch: dict[str, Any], rewards: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"advantages": rewards}

    def without_signal(self, rewards: torch.Tensor) -> list[bool]:
        return (self.total(rewards).view(-1, self.num_generations) == 0).all(1).tolist()
