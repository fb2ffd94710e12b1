"""What a user can set for a recursive model and its training. Light: validated before torch loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import UserError

# Whole numbers that a model is made of, with the least that makes sense.
SIZES = {"width": 1, "layers": 1, "heads": 1, "inner_multiple": 1, "T": 1, "n": 0, "supervision_steps": 1}


def check_counts(owner: Any, least: Mapping[str, int]) -> None:
    """Raise unless the named attributes are whole numbers of at least ``least``.

    Raises:
        UserError: naming the first that is not.
    """
    for name, smallest in least.items():
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise UserError(f"{name} is {value!r}.", where=name, cure=f"Give a whole number of at least {smallest}.")


@dataclass(frozen=True)
class TRMOptions:
    """Everything a user can set under ``method.trm`` or ``method.direct``.

    Attributes:
        inner_multiple: inner sizes are rounded up to a multiple of it. The published code has 256, with which token
            mixing over 16 positions would be padded sixfold; at the published sizes 64 hardly differs.
        mixer: ``auto`` takes the MLP up to 128 positions and attention beyond.
        schedule: learning rate over the budget: constant, cosine or linear.
        ema: decay of the averaged weights; 0 switches them off.
        ema_warmup: let the average look back over a tenth of the run while the run is short.
        augment: a random symmetry of the family for every problem that enters a slot.
        precision: of the matrix products in training (weights stay float32); ``auto`` takes bfloat16 where the
            processor or GPU has it, which is 1.8 to 2.7 times as fast as float32 on a CPU with AVX-512 BF16.
        halting: at evaluation, stop a problem when the halting head says so.
        evaluation_steps: supervision steps at evaluation; as in training by default.
        trainer: further arguments of ``transformers.TrainingArguments``.
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    inner_multiple: int = 64
    mixer: Literal["auto", "mlp", "attention"] = "auto"
    T: int = 3
    n: int = 6
    supervision_steps: int = 16
    exploration: float = 0.1
    loss: Literal["stablemax", "softmax"] = "stablemax"
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup_steps: int = 20
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    ema: float = 0.999
    ema_warmup: bool = True
    augment: bool = True
    max_grad_norm: float = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    halting: bool = False
    evaluation_steps: int | None = None
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_counts(self, SIZES | {"batch_size": 1, "warmup_steps": 0})
        if self.evaluation_steps is not None:
            check_counts(self, {"evaluation_steps": 1})
        if not self.learning_rate > 0:
            raise UserError(
                f"learning_rate is {self.learning_rate!r}.", where="learning_rate", cure="Give a positive number."
            )
        if not 0 <= self.ema < 1:
            raise UserError(
                f"ema is {self.ema!r}.", where="ema", cure="Give a decay from 0 (no average) to below 1, such as 0.999."
            )
