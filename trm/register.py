"""Makes transformers' Auto classes know the recursive models, at no cost until someone asks them for a model.

After :func:`register_lazily` (``import reasoning_kit`` calls it) ``AutoModelForCausalLM.from_pretrained(folder)`` loads
an autoregressive TRM and ``AutoModel.from_pretrained(folder)`` a TRM or a variant of it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

AUTO_CONFIG = "transformers.models.auto.configuration_auto"  # every Auto class asks AutoConfig there first


def register_models() -> None:
    """Register all configurations and models now, which loads torch."""
    # Each modelling module registers what it holds.
    import trm.autoregressive.modeling
    import trm.modeling  # noqa: F401


def register_lazily() -> None:
    """Register all configurations and models when ``AutoConfig.from_pretrained`` is first called.

    Neither torch nor transformers is loaded for it. It may be called any number of times.
    """
    loaded = sys.modules.get(AUTO_CONFIG)
    if hasattr(loaded, "AutoConfig"):
        _register_on_use(loaded.AutoConfig)  # type: ignore[union-attr]  # it has it
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def _register_on_use(auto_config: Any) -> None:
    """Let ``from_pretrained`` register our models before it looks for one."""
    original = auto_config.__dict__["from_pretrained"].__func__
    if getattr(original, "registers_recursive_models", False):
        return

    def from_pretrained(cls: Any, *args: Any, **kwargs: Any) -> Any:
        register_models()
        return original(cls, *args, **kwargs)

    from_pretrained.__doc__ = original.__doc__
    from_pretrained.registers_recursive_models = True  # type: ignore[attr-defined]
    auto_config.from_pretrained = classmethod(from_pretrained)


class _AfterImport(MetaPathFinder):
    """Waits for transformers' AutoConfig to be loaded, then steps out of the way."""

    def find_spec(
        self, fullname: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, whose loader goes on to :func:`_register_on_use`."""
        if fullname != AUTO_CONFIG:
            return None

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            _register_on_use(module.AutoConfig)

        spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
