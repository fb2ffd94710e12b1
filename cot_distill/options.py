"""What a user can set for the language model and its supervised fine-tuning. Light: validated before torch loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import UserError

Schedule = Literal["constant", "cosine", "linear"]


@dataclass(frozen=True)
class ModelOptions:
    """Which language model the methods ``answer_only``, ``cot`` and ``grpo`` train.

    Attributes:
        path: folder or hub name of a pretrained model; ``None`` trains one of the shape below from scratch.
        architecture: model type of transformers for the one from scratch.
        width, layers, heads, key_value_heads, inner: its shape.
        context: its longest sequence, in tokens.
        lora_rank: rank of LoRA adapters on all linear layers (peft); 0 trains every weight.
    """

    path: str | None = None
    architecture: Literal["qwen2", "qwen3", "llama"] = "qwen3"
    width: int = 96
    layers: int = 2
    heads: int = 4
    key_value_heads: int = 4
    inner: int = 384
    context: int = 8192
    lora_rank: int = 0

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.key_value_heads, self.inner, self.context) < 1:
            raise UserError("a size below 1.", where="model", cure="Give positive sizes.")
        if self.width % self.heads or self.heads % self.key_value_heads:
            raise UserError(
                f"width {self.width}, heads {self.heads} and key_value_heads {self.key_value_heads} do not divide.",
                where="model",
                cure="width must be a multiple of heads, and heads of key_value_heads.",
            )


@dataclass(frozen=True)
class SFTOptions:
    """Options of ``method.cot`` and ``method.answer_only``.

    Attributes:
        schedule: of the learning rate over the budget.
        augment: show problems under random symmetries after the first pass.
        max_length: longest row, and longest completion of the solver, in tokens; longer rows are cut, and counted in
            a warning (the search traces of hard puzzles reach tens of thousands of tokens). ``None``: no cut.
        trainer: handed to TRL's ``SFTConfig``.
    """

    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    warmup_steps: int = 20
    schedule: Schedule = "cosine"
    augment: bool = True
    max_grad_norm: float = 1.0
    max_length: int | None = 3072
    trainer: dict[str, Any] = field(default_factory=dict)
