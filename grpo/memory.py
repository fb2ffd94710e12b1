"""What an algorithm holds in memory to train: weights, gradients and the optimiser's state of each of its models.

Counted from the tensors themselves; activations, caches and the libraries come on top, and are in the process's peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Memory = dict[str, dict[str, int | None]]


def held(trainer: Any) -> Memory:
    """Bytes by model (``policy``, ``reference``, ``value``) and kind (``weights, gradients, optimizer``), of this
    process; ``optimizer`` is ``None`` where it was never made, because a resumed run had nothing left to train.

    Args:
        trainer: one of this package's, after training.
    """
    state = None if trainer.optimizer is None else trainer.optimizer.state
    found = {"policy": _trained(trainer.model, state)}
    if trainer.ref_model is not None:
        found["reference"] = {"weights": _weights(trainer.ref_model), "gradients": 0, "optimizer": 0}
    if hasattr(trainer, "value_model"):
        found["value"] = _trained(trainer.value_model, state)
    return found


def _trained(model: nn.Module, state: Mapping[Any, Any] | None) -> dict[str, int | None]:
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kept = None
    if state is not None:
        tensors: list[Tensor] = []
        for parameter in learning:
            tensors += [value for value in state.get(parameter, {}).values() if isinstance(value, Tensor)]
        kept = _bytes(tensors)
    return {"weights": _weights(model), "gradients": _bytes(learning), "optimizer": kept}


def _weights(model: nn.Module) -> int:
    return _bytes([*model.parameters(), *model.buffers()])


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
