"""The price list: what a training step and an answer cost in floating-point operations.

One multiply-add counts as two operations. Only matrix products are counted (embedding look-ups, norms,
activations and softmax are not: below 5 % at the widths used here), the backward pass costs twice the
forward, and attention is counted as the full square that dense kernels compute, also under a causal mask.
These are the conventions of ``torch.utils.flop_counter``, against which the formulas are tested on the
meta device (it counts nothing for scaled-dot-product attention on a CPU).

Known errors in training: TRL's fused head skips prompt positions on a GPU and computes the head once more in its
backward pass (nothing to speak of with a vocabulary of characters); LoRA is charged like full training, though
frozen weights need no gradient of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

BACKWARD = 2  # backward pass in units of the forward pass


@dataclass
class Cost:
    """What a training run or an answer has used so far. Adds up with ``+``.

    Attributes:
        flops: floating-point operations, by formula.
        seconds: wall time, evaluation during training left out.
        examples: problems seen (with repetition); for GRPO completions scored.
        tokens: positions computed by a language model or grid positions by a recursive one.
        steps: optimiser steps.
    """

    flops: float = 0.0
    seconds: float = 0.0
    examples: int = 0
    tokens: int = 0
    steps: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def to_dict(self) -> dict[str, float]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@runtime_checkable
class LanguageModelPrice(Protocol):
    """What a language model costs, in FLOPs."""

    def per_token(self) -> float: ...

    def forward(self, batch: int, length: int) -> float: ...

    def training_step(self, batch: int, length: int) -> float: ...

    def generation(self, batch: int, prompt: int, new: int) -> float: ...

    def with_head(self, outputs: int) -> LanguageModelPrice:
        """The same body under a head of so many outputs, such as a value model's one."""
        ...

    def of_last_state(self) -> LanguageModelPrice:
        """The same model where the loss is of its last state alone, as in TRL's trainers for reinforcement learning."""
        ...


def language_model_price(config: Any) -> LanguageModelPrice:
    """Prices the model of a transformers configuration; one of another form brings its own formulas (``price()``)."""
    own = getattr(config, "price", None)
    return CausalLMShape.of(config) if own is None else own()


@dataclass(frozen=True)
class CausalLMShape:
    """The numbers of a decoder-only transformer that its price depends on (Llama and Qwen families)."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    inner: int
    vocabulary: int

    @classmethod
    def of(cls, config: Any) -> CausalLMShape:
        """Read from a transformers configuration."""
        heads = config.num_attention_heads
        return cls(
            width=config.hidden_size,
            layers=config.num_hidden_layers,
            heads=heads,
            key_value_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
            inner=config.intermediate_size,
            vocabulary=config.vocab_size,
        )

    def parameters(self, architecture: str) -> int:
        """Weights of a model from scratch, whose head is not tied to its embedding.

        Args:
            architecture: ``qwen2`` (biases of q, k and v), ``qwen3`` (norms of queries and keys) or ``llama``.
        """
        extra = {
            "qwen2": self.head_size * (self.heads + 2 * self.key_value_heads),
            "qwen3": 2 * self.head_size,
            "llama": 0,
        }[architecture]
        attention = 2 * self.width * self.head_size * (self.heads + self.key_value_heads)
        layer = attention + 3 * self.width * self.inner + 2 * self.width + extra  # with the layer's two norms
        return self.layers * layer + self.width + 2 * self.vocabulary * self.width

    def per_token(self) -> float:
        """Matrix products with weights for one token: per layer q, k, v, o and the three SwiGLU matrices; the head."""
        attention = 2 * self.width * self.head_size * (self.heads + self.key_value_heads)
        feed_forward = 3 * self.width * self.inner
        return 2.0 * (self.layers * (attention + feed_forward) + self.width * self.vocabulary)

    def with_head(self, outputs: int) -> CausalLMShape:
        return replace(self, vocabulary=outputs)

    def of_last_state(self) -> CausalLMShape:
        return self

    def attention(self, queries: int, keys: int) -> float:
        """Scores and weighted sum of ``queries`` x ``keys`` over all layers and heads."""
        return 4.0 * self.layers * self.heads * self.head_size * queries * keys

    def forward(self, batch: int, length: int) -> float:
        """One dense pass over ``[batch, length]`` tokens, padding included (it is computed too)."""
        return batch * (length * self.per_token() + self.attention(length, length))

    def training_step(self, batch: int, length: int) -> float:
        return (1 + BACKWARD) * self.forward(batch, length)

    def generation(self, batch: int, prompt: int, new: int) -> float:
        """Prefill of the prompt, then ``new`` tokens one at a time against a key-value cache.

        The head runs on the last prompt position only; token i attends to ``prompt + i`` keys.
        """
        head = 2.0 * self.width * self.vocabulary
        prefill = prompt * (self.per_token() - head) + head + self.attention(prompt, prompt)
        decoded = max(new - 1, 0)  # the first new token comes from the prefill
        keys = decoded * prompt + decoded * (decoded + 1) / 2
        return batch * (prefill + decoded * self.per_token() + self.attention(1, 1) * keys)
