"""AutoregressiveTRMForCausalLM: a language model that refines each token before it emits it.

The outer loop emits tokens; for each, the inner loop is TRM's (arXiv 2510.04871): a state (y, z) is improved over
supervision steps while its queries attend to the prefix's keys and values. What of those is kept once a token is
emitted is the cache policy. A halting head says after each step whether the token's prediction can be trusted.

It is an ordinary causal language model of transformers: AutoModelForCausalLM loads it, ``generate`` decodes with it,
TRL trains it. Its loss with deep supervision is :func:`trm.autoregressive.losses.deep_supervision_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel, initialization

from trm.autoregressive.attention import angles
from trm.autoregressive.cache import SlotCache
from trm.autoregressive.configuration import AutoregressiveTRMConfig
from trm.autoregressive.engine import Decoding, Engine
from trm.autoregressive.lockstep import extend
from trm.autoregressive.losses import deep_supervision_loss
from trm.autoregressive.outputs import AutoregressiveTRMOutput, RefinedOutput
from trm.autoregressive.recursion import ACT_BIAS, Hidden, Recursion, positions_of
from trm.autoregressive.sequence import Refined, sweep
from trm.layers import HALTING_BIAS, Linear, Rotary, rms_norm, truncated_normal_
from trm.portable import Portable


class AutoregressiveTRMPreTrainedModel(Portable, PreTrainedModel):
    """What the backbone and the language model share: configuration, initial weights, how they travel."""

    travels_as: ClassVar = {
        "AutoConfig": "trm.autoregressive.configuration:AutoregressiveTRMConfig",
        "AutoModel": "trm.autoregressive.modeling:AutoregressiveTRMModel",
        "AutoModelForCausalLM": "trm.autoregressive.modeling:AutoregressiveTRMForCausalLM",
    }
    config: AutoregressiveTRMConfig
    config_class = AutoregressiveTRMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            truncated_normal_(module.weight, 1 / math.sqrt(self.config.hidden_size))
        elif isinstance(module, Linear):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):  # the halting heads
            initialization.zeros_(module.weight)
            initialization.constant_(module.bias, ACT_BIAS if self.config.halting == "act" else HALTING_BIAS)
        elif isinstance(module, Recursion):
            truncated_normal_(module.y_init, 1.0)
            truncated_normal_(module.z_init, 1.0)


class AutoregressiveTRMModel(AutoregressiveTRMPreTrainedModel):
    """The backbone: tokens to refined answers y."""

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__(config)
        config.check()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.recursion = Recursion(config)
        self.halting_head = nn.Linear(config.hidden_size, 1) if config.halting == "correct" else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embedding = value  # type: ignore[assignment]  # transformers hands over an embedding

    def embed(self, input_ids: Int[Tensor, "b l"]) -> Hidden:
        """x: sqrt(d) times the token's vector."""
        return math.sqrt(self.config.hidden_size) * self.embedding(input_ids)

    def angles(self, positions: Int[Tensor, "b l"]) -> Rotary:
        config = self.config
        return angles(positions, config.hidden_size // config.num_attention_heads, config.rope_theta)

    def halting_logits(self, answer: Hidden) -> Float[Tensor, "b l"]:
        """The halting logit: above 0 where the prediction is taken for right."""
        assert self.halting_head is not None, "the configuration has halting=correct"
        return self.halting_head(answer).float()[..., 0]

    def read_out(self, y: Hidden) -> Hidden:
        """What the head sees of an answer: a stream whose norms are in front of its blocks is normalised last."""
        return rms_norm(y) if self.config.norm == "pre" else y

    def forward(
        self,
        input_ids: Int[Tensor, "b l"],
        attention_mask: Int[Tensor, "b k"] | None = None,
        position_ids: Int[Tensor, "b l"] | None = None,
        past_key_values: SlotCache | None = None,
        use_cache: bool | None = None,
        supervision_steps: int | None = None,
        sweeps: int | None = None,
        last_only: bool = False,
        **_: Any,
    ) -> RefinedOutput:
        """Refine all positions, in the configuration's training mode; or, with a cache, those that it does not hold
        yet (:mod:`trm.autoregressive.lockstep`).

        Args:
            last_only: with a cache, give the answer of the last position alone.
        """
        if use_cache or past_key_values is not None:
            return extend(self, input_ids, attention_mask, past_key_values, last_only)

        # Without padding there is no mask, which lets attention take its fast path.
        mask = None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()
        if position_ids is None:
            position_ids = positions_of(torch.ones_like(input_ids) if mask is None else mask)
        refined = self.refined(input_ids, position_ids, mask, supervision_steps, sweeps)
        answers = tuple(self.read_out(answer) for answer in refined.answers)
        return RefinedOutput(last_hidden_state=answers[-1], answers=answers, ponder=refined.ponder)

    def refined(
        self,
        input_ids: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        steps: int | None = None,
        sweeps: int | None = None,
    ) -> Refined:
        return sweep(self.recursion, self.embed(input_ids), self.angles(positions), mask, steps, sweeps)


class AutoregressiveTRMForCausalLM(AutoregressiveTRMPreTrainedModel, GenerationMixin):
    """The backbone with a head over the vocabulary."""

    has_own_loss = True  # a trainer that learns from logits alone would miss the steps before the last, and halting

    def __init__(self, config: AutoregressiveTRMConfig) -> None:
        super().__init__(config)
        self.model = AutoregressiveTRMModel(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embedding

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.lm_head = new_embeddings

    def forward(
        self,
        input_ids: Int[Tensor, "b l"],
        attention_mask: Int[Tensor, "b k"] | None = None,
        position_ids: Int[Tensor, "b l"] | None = None,
        past_key_values: SlotCache | None = None,
        labels: Int[Tensor, "b l"] | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: Any = None,
        supervision_steps: int | None = None,
        sweeps: int | None = None,
        **_: Any,
    ) -> AutoregressiveTRMOutput:
        """Logits of the next token at each position; with ``labels`` (not shifted, -100: not learned) also the loss.

        Args:
            logits_to_keep: only of so many last positions; 0: all.
            num_items_in_batch: labels in the whole batch, where it comes in parts.
            supervision_steps, sweeps: of a batch without a cache, instead of the configuration's.
        """
        refined = self.model(
            input_ids, attention_mask, position_ids, past_key_values, use_cache, supervision_steps, sweeps,
            last_only=logits_to_keep == 1,
        )  # fmt: skip

        kept = slice(-logits_to_keep, None) if logits_to_keep else slice(None)
        # Steps that are not learned from carry no gradient.
        learned = refined.answers if self.config.deep_supervision else refined.answers[-1:]
        step_logits = tuple(self.lm_head(answer[:, kept]) for answer in learned)
        halting = tuple(self.model.halting_logits(a[:, kept]) for a in learned) if self.model.halting_head else None
        output = AutoregressiveTRMOutput(
            logits=step_logits[-1],
            step_logits=step_logits,
            halting_logits=halting,
            ponder=None if refined.ponder is None else refined.ponder[:, kept],
            past_key_values=refined.past_key_values,
        )
        if labels is not None:
            output.loss = deep_supervision_loss(output, labels, num_items_in_batch, self.config.ponder_cost)
        return output

    def training_depth(self, progress: float) -> dict[str, int]:
        """How deep the next training batch goes, as arguments of :meth:`forward`: ``supervision_steps``, ``sweeps``.

        Args:
            progress: share of the budget that is spent.
        """
        config = self.config
        steps, sweeps = config.supervision_steps, config.sweeps
        if config.training_depth == "random":
            steps = int(torch.randint(1, steps + 1, ()))
        elif config.training_depth == "growing":
            steps = min(steps, 1 + int(steps * progress))
        if config.training_sweeps == "random":
            sweeps = int(torch.randint(2, sweeps + 1, ()))
        return {"supervision_steps": steps, "sweeps": sweeps}

    def prepare_inputs_for_generation(  # type: ignore[override]  # of its arguments only these matter here
        self,
        input_ids: Tensor,
        past_key_values: SlotCache | None = None,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        if past_key_values is not None:
            input_ids = input_ids[:, -1:]
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "past_key_values": past_key_values,
            "use_cache": True,
            "logits_to_keep": 1,
        }

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        ends: Collection[int],
        rows: int,
        on_result: Callable[[int, list[int], list[int]], None],
        **options: Any,
    ) -> None:
        """Continue every prompt with the decoding engine, which need not wait for the deepest token of a batch.

        Args:
            ends: tokens that end a row.
            rows: of a batch.
            on_result: gets each prompt's index, its new tokens and how many supervision steps each took.
            options: of :class:`trm.autoregressive.engine.Decoding`.
        """
        engine = Engine(self, Decoding(batch_size=rows, **options))
        engine.decode(prompts, ends, on_result=lambda index, result: on_result(index, result.ids, result.steps))

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """The cache is :class:`SlotCache`, which the first call makes."""
        return False


if __name__ == "trm.autoregressive.modeling":  # a copy beside saved weights is found by their auto_map instead
    AutoConfig.register(AutoregressiveTRMConfig.model_type, AutoregressiveTRMConfig, exist_ok=True)
    AutoModel.register(AutoregressiveTRMConfig, AutoregressiveTRMModel, exist_ok=True)
    AutoModelForCausalLM.register(AutoregressiveTRMConfig, AutoregressiveTRMForCausalLM, exist_ok=True)
