"""The autoregressive TRM: refine each token against a key-value cache before it is emitted.

Importing :mod:`trm.autoregressive.modeling` registers the model type ``autoregressive_trm`` with transformers' Auto
classes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trm.autoregressive.configuration import AutoregressiveTRMConfig
    from trm.autoregressive.modeling import AutoregressiveTRMForCausalLM

__all__ = ["AutoregressiveTRMConfig", "AutoregressiveTRMForCausalLM"]


def __getattr__(name: str) -> Any:
    """Load on first use: the ladder's settings are read by every command, torch by few."""
    if name not in __all__:
        raise AttributeError(f"module 'trm.autoregressive' has no attribute '{name}'")
    return getattr(import_module("trm.autoregressive.modeling"), name)
