"""Matrix products with a weight, in float32 on a CPU by oneDNN.

torch gives them to MKL, which leaves half of an AMD processor unused (docs/results/speed.md). oneDNN adds up in another
order; :func:`as_recorded` keeps torch's own, for comparisons to the last bit.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TALL = 4096  # rows from which oneDNN's transposition for a weight's gradient costs more than its product gains

_available = platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()
_recorded = False


@contextmanager
def as_recorded() -> Iterator[None]:
    """Inside, products are torch's own, as they were in the recorded runs (:mod:`trm.parity`)."""
    global _recorded
    before, _recorded = _recorded, True
    try:
        yield
    finally:
        _recorded = before


def product(h: Float[Tensor, "*b i"], weight: Float[Tensor, "o i"]) -> Float[Tensor, "*b o"]:
    """h W^T."""
    ours = _available and h.device.type == "cpu" and h.dtype == torch.float32 and len(h) > 0
    if _recorded or not ours or mixed_precision(h) or torch.compiler.is_compiling():
        return F.linear(h, weight)
    return _Product.apply(h, weight)


def mixed_precision(h: Tensor) -> bool:
    """Whether products with h run in lower precision than h has."""
    device = h.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(h, weight)
        return _onednn(h, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        h, weight = ctx.saved_tensors
        for_h = _onednn(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return for_h, None
        rows, columns = gradient.flatten(0, -2), h.flatten(0, -2)
        for_weight = rows.t() @ columns if len(rows) > TALL else _onednn(rows.t(), columns.t())
        return for_h, for_weight


def _onednn(h: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(h, weight, None, "none", [], "")
