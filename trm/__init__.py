"""Recursive models: a tiny network that thinks longer by running again (TRM, HRM), and direct prediction.

``TRMForPuzzles`` is the model, ``TRMConfig`` what fixes its function, ``convert_published`` takes over the weights of
the published code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trm.configuration import TRMConfig
    from trm.modeling import TRMForPuzzles
    from trm.published import convert_published, to_published

__all__ = ["TRMConfig", "TRMForPuzzles", "convert_published", "to_published"]

HOMES = {
    "TRMConfig": "trm.configuration",
    "TRMForPuzzles": "trm.modeling",
    "convert_published": "trm.published",
    "to_published": "trm.published",
}


def __getattr__(name: str) -> Any:
    """Load on first use: the options are read by every command, torch by few."""
    if name not in HOMES:
        raise AttributeError(f"module 'trm' has no attribute '{name}'")
    return getattr(import_module(HOMES[name]), name)
