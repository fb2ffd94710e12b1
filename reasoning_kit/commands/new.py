"""``new task`` and ``new method``: a working example file with its test, to change into what one wants."""

from __future__ import annotations

import keyword
from pathlib import Path

from rich.console import Console

from benchmarks.errors import UserError
from benchmarks.task import FAMILIES
from reasoning_kit.config.methods import NAME
from reasoning_kit.registry import METHODS

TEMPLATES = Path(__file__).parent / "templates"


def write_example(kind: str, name: str, folder: Path, console: Console) -> list[Path]:
    """Write ``NAME.py`` and ``test_NAME.py``.

    Args:
        kind: ``task`` or ``method``.

    Raises:
        UserError: if the name cannot be one or is taken, or a file of that name is there.
    """
    registry = FAMILIES if kind == "task" else METHODS
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or not module.isidentifier() or keyword.iskeyword(module):
        raise UserError(
            f"the name of a {kind} must be a word of letters, digits, _ and -, not '{name}'.",
            where=f"new {kind}",
            cure=f"For example: reasoning-kit new {kind} my-{kind}.",
        )
    if name in registry:
        raise UserError(
            f"the name '{name}' must be new, but there is a {kind} of that name.",
            where=f"new {kind}",
            cure="Give yours another name.",
        )

    title = name.replace("-", " ").replace("_", " ")
    words = {
        "name": name,
        "module": module,
        "title": title[0].upper() + title[1:],
        "cls": "".join(part.capitalize() for part in module.split("_")),
    }
    files = {folder / f"{module}.py": f"{kind}.py.txt", folder / f"test_{module}.py": f"test_{kind}.py.txt"}
    for path in files:
        if path.exists():
            raise UserError("the file is there already.", where=str(path), cure="Give another name, or move it away.")

    folder.mkdir(parents=True, exist_ok=True)
    for path, template in files.items():
        path.write_text((TEMPLATES / template).read_text(encoding="utf-8").format(**words), encoding="utf-8")
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    first = next(iter(files))
    console.print(f"Its docstring says how to try it. Name it in commands with --plugins {first}.", soft_wrap=True)
    return list(files)
