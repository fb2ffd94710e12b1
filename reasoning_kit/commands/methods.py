"""``methods ls`` and ``methods show``: the methods, the variants that have a file, and what each of them sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasoning_kit.config.composition import choices
from reasoning_kit.config.methods import label_of, thinking_of
from reasoning_kit.config.options import method_options, plain_text
from reasoning_kit.config.presets import base_of, preset
from reasoning_kit.registry import METHODS


def list_methods(console: Console) -> None:
    """Name, base and label of every file in ``configs/method``, the methods themselves first, each with the first line
    that says what it is."""
    table = Table(title="Methods (name them with method=NAME or method=[NAME,NAME])")
    for heading in ("name", "base", "label", "what it is"):
        table.add_column(heading, no_wrap=heading == "name")  # which one has to type

    names = sorted(choices("method"), key=lambda name: name not in METHODS)
    for name in names:
        base = base_of(name)
        table.add_row(name, "" if base == name else base, _label(name), "".join(preset("method", name).comments[:1]))
    console.print(table)
    console.print("All options of one: reasoning-kit methods show NAME", markup=False)
    console.print("A variant of your own, without a file: method.NAME.base=trm method.NAME.OPTION=VALUE", markup=False)


def _label(name: str) -> str:
    return preset("method", name).values.get("label") or label_of(name)


def show_method(name: str, console: Console) -> None:
    """What a method is, and every option with its value, type, default, meaning and who set it.

    Raises:
        UserError: if no file in ``configs/method`` is called so.
    """
    chosen, base = preset("method", name), base_of(name)
    values = _own_values(name)
    thinking = thinking_of(base, values["model"] if isinstance(values.get("model"), Mapping) else {})
    for heading, text in (
        ("method", name),
        ("label", _label(name)),
        ("base", base if base != name else "none: it is a method itself"),
        ("thinking", thinking),
        ("what it is", " ".join(chosen.comments)),
    ):
        console.print(Text.assemble((f"{heading}: ", "bold"), text))

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("option", overflow="fold")
    for heading in ("value", "type", "default", "meaning", "source"):
        table.add_column(heading, overflow="fold" if heading == "source" else "ellipsis")
    for option in method_options(name):
        inside = option.path.split(".")[2:]
        value, source = _value(name, base, inside)
        shown = option.default_text if source is None else plain_text(value)
        cells = (option.path, shown, option.type, option.default_text, option.meaning, source or option.source)
        table.add_row(*map(Text, cells), style="bold" if source else "")
    console.print(table)
    console.print("Options with their meaning alone: reasoning-kit options method." + name, markup=False)


def _own_values(name: str) -> dict[str, Any]:
    """What the file of a method sets, without what names it."""
    return {key: value for key, value in preset("method", name).values.items() if key not in ("base", "label")}


def _value(name: str, base: str, keys: list[str]) -> tuple[Any, str | None]:
    """The value of an option and the file that sets it, the method's own or its base's; ``None`` if none does."""
    for each in dict.fromkeys((name, base)):
        found: Any = _own_values(each)
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                break
            found = found[key]
        else:
            return found, preset("method", each).source
    return None, None
