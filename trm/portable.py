"""Models that load where this kit is not installed: their source travels beside their weights.

transformers runs such source with ``trust_remote_code=True``. It wants all modules in one folder, importing each other
relatively, and an ``auto_map`` in ``config.json`` that says which class is which.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

PACKAGES = ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks")


class Portable:
    """Beside ``PreTrainedModel``: what is saved holds the code that it needs.

    Attributes:
        travels_as: Auto class -> ``module:class``.
    """

    travels_as: ClassVar[Mapping[str, str]]

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        """As in transformers, and the source beside the weights.

        A trainer's checkpoint stays as it is: the trainer always names ``state_dict``, be it ``None``.
        """
        # A copy that already travels is copied on by transformers itself.
        travels = __name__ == "trm.portable" and "state_dict" not in kwargs
        if not travels or not kwargs.get("is_main_process", True):
            return super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]

        config: Any = self.config  # type: ignore[attr-defined]
        before = vars(config).get("auto_map")
        config.auto_map = auto_map(self.travels_as)
        try:
            saved = super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        finally:
            if before is None:
                del config.auto_map
            else:
                config.auto_map = before
        write_sources([home.split(":")[0] for home in self.travels_as.values()], Path(save_directory))
        return saved


def auto_map(travels_as: Mapping[str, str]) -> dict[str, str]:
    """What ``config.json`` says: Auto class -> ``file.class``."""
    found = {}
    for auto_class, home in travels_as.items():
        module, name = home.split(":")
        found[auto_class] = f"{flat_name(module)}.{name}"
    return found


def flat_name(module: str) -> str:
    """The name of a module's copy: ``trm.autoregressive.cache`` becomes ``trm_autoregressive_cache``."""
    return module.replace(".", "_")


def write_sources(modules: list[str], folder: Path) -> list[Path]:
    """Write these modules, and all of ours that they import, into one folder.

    Returns:
        the files.

    Raises:
        ValueError: if one of them imports ours in a form that cannot be rewritten.
    """
    waiting, written = list(modules), {}
    while waiting:
        module = waiting.pop()
        if module not in written:
            text, needed = _relative(module)
            written[module] = folder / f"{flat_name(module)}.py"
            written[module].write_text(_provenance(module) + text, encoding="utf-8")
            waiting.extend(needed)
    return list(written.values())


def _relative(module: str) -> tuple[str, list[str]]:
    """A module's source with relative imports, and which of our modules it imports."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    text = Path(spec.origin).read_text(encoding="utf-8")

    lines, needed = text.splitlines(keepends=True), []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names):
            raise ValueError(f"{module}, line {node.lineno}: the import must have the form 'from a.b import c'.")
        if not isinstance(node, ast.ImportFrom) or not _is_ours(node.module or ""):
            continue
        source = node.module or ""
        if "." not in source:
            raise ValueError(f"{module}, line {node.lineno}: the import must name a module, not the package {source}.")
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line.replace(f"from {source} import", f"from .{flat_name(source)} import")
        needed.append(source)
    return "".join(lines), needed


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in PACKAGES


def _provenance(module: str) -> str:
    try:
        release = version("reasoning_kit")
    except PackageNotFoundError:
        release = "(not installed)"
    return (
        f"# Copied from {module} of reasoning_kit {release}, licence Apache-2.0; saved with the weights it computes.\n"
    )
