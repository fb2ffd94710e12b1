"""``options``: what can be written key=value, with type, default, meaning and the class that defines it."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasoning_kit.config.options import GROUPS, Option, find_options, group_options


def show_options(path: str | None, console: Console) -> None:
    """Print the options at or below a path; without one those of a comparison, and the groups of all others.

    Raises:
        UserError: if there is no such option.
    """
    if path is not None:
        console.print(options_table(find_options(path)))
        return

    console.print(options_table(list(group_options(""))))
    groups = Table(title="Groups of options", title_justify="left", box=box.SIMPLE_HEAD)
    groups.add_column("group", no_wrap=True)
    groups.add_column("what it is")
    for group, meaning in GROUPS.items():
        named = group in ("task", "method")
        groups.add_row(f"{group}.NAME" if named else group, meaning)
    console.print(groups)
    console.print("One group or option: reasoning-kit options method.trm, options budget.limit", markup=False)


def options_table(options: Sequence[Option]) -> Table:
    """One row an option; texts are plain, so that a meaning cannot be taken for markup."""
    sources = dict.fromkeys(option.source for option in options)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=f"From {', '.join(sources)}")
    table.add_column("option", overflow="fold")
    for heading in ("type", "default", "meaning"):
        table.add_column(heading)
    for option in options:
        cells = (option.path, option.type, option.default_text, option.meaning)
        table.add_row(*map(Text, cells))
    return table
