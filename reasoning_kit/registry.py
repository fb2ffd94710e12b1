"""The methods and families of problems that can be named: the kit's own and those of plug-ins."""

from __future__ import annotations

from typing import Any

from benchmarks.method import Method
from benchmarks.registry import Registry

METHODS: Registry[Method[Any]] = Registry(
    kind="method",
    base="benchmarks.method:Method",
    group="reasoning_kit.methods",
    own={
        "direct": "trm.method:Direct",
        "trm": "trm.method:TRM",
        "answer_only": "cot_distill.method:AnswerOnly",
        "cot": "cot_distill.method:COT",
        "grpo": "grpo.method:GRPO",
        "prompted": "cot_distill.method:Prompted",
    },
)


def method(name: str) -> Method[Any]:
    """The method of that name.

    Raises:
        UserError: if there is none.
    """
    return METHODS[name]()


def trained_methods() -> list[str]:
    """The methods that spend a budget, the kit's own first; variants are not among them."""
    return [name for name, cls in METHODS.items() if cls.trains]


def own_trained_methods() -> list[str]:
    """Those of :func:`trained_methods` that the kit itself brings."""
    return [name for name in trained_methods() if METHODS.is_own(name)]


def contrasts() -> list[tuple[str, str]]:
    """What thinking adds to the same kind of network: each method with the one that it is measured against."""
    return [(name, cls.contrast) for name, cls in METHODS.items() if cls.contrast is not None]
