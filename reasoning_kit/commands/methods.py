"""``methods ls``: the methods and the variants that have a file."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from reasoning_kit.config.composition import choices, compose, config_folder
from reasoning_kit.config.spec import check_config


def list_methods(console: Console) -> None:
    """Name, base and label of every file in ``configs/method``, the methods themselves first, each with the first line
    that says what it is."""
    table = Table(title="Methods (name them with method=NAME or method=[NAME,NAME])")
    for heading in ("name", "base", "label", "what it is"):
        table.add_column(heading, no_wrap=heading == "name")  # which one has to type
    names = ",".join(choices("method"))
    for name, entry in check_config(compose([f"method=[{names}]"])).methods.items():
        table.add_row(name, "" if entry.base == name else entry.base, entry.label, _description(name))
    console.print(table)
    console.print("A variant of your own, without a file: method.NAME.base=trm method.NAME.OPTION=VALUE", markup=False)


def _description(name: str) -> str:
    """The first comment of the method's YAML file that is no directive and no command line."""
    lines = (config_folder() / "method" / f"{name}.yaml").read_text().splitlines()
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    return next((line for line in comments if not line.startswith(("@package", "reasoning-kit"))), "")
