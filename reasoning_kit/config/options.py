"""What can be set: every option with its type, its default and its meaning.

Nothing is written down twice: types and defaults are those of the dataclasses that check the values, and a meaning is
the entry of the field in the ``Attributes:`` section of its class.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from benchmarks.errors import UserError, did_you_mean
from reasoning_kit.config.checking import field_types

ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<meaning>.*)")  # `a, b: what they are`
SAME_AS = re.compile(r"as in :class:`(?P<name>\w+)`")
ROLE = re.compile(r":\w+:`~?(?P<target>[^`]+)`")  # :class:`benchmarks.compute.Cost`


@dataclass(frozen=True)
class Option:
    """One option that a user can set.

    Attributes:
        path: as it is typed before ``=``: ``method.trm.solver.samples``.
        type: in words: ``int or null``, ``one of adamw, muon``.
        default: a plain value; :data:`dataclasses.MISSING` where one must be given.
        meaning: what it does, from the class's docstring; empty where nothing is written there.
        source: the class that defines it.
    """

    path: str
    type: str
    default: Any
    meaning: str
    source: str

    @property
    def default_text(self) -> str:
        return "must be given" if self.default is MISSING else plain_text(self.default)


# --- from a dataclass to its options ----------------------------------------------------------------


def options_of(cls: type, path: str = "") -> Iterator[Option]:
    """Every option of a dataclass; those of nested dataclasses with their path.

    Args:
        path: what is typed before the name of a field.
    """
    hints = field_types(cls)
    meanings = meanings_of(cls)
    for each in fields(cls):
        hint = hints[each.name]
        whole = f"{path}.{each.name}" if path else each.name

        if is_dataclass(hint):
            assert isinstance(hint, type)
            yield from options_of(hint, whole)
            continue

        default = each.default if each.default_factory is MISSING else each.default_factory()
        source = f"{cls.__module__}.{cls.__qualname__}"
        yield Option(whole, type_text(hint), default, meanings.get(each.name, ""), source)


@cache
def meanings_of(cls: type) -> dict[str, str]:
    """The ``Attributes:`` entries of a class and of those that it inherits from, by the name of the field."""
    found: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        found |= _entries(ancestor.__doc__ or "")
    return {name: _resolved(name, meaning, cls) for name, meaning in found.items()}


def _entries(docstring: str) -> dict[str, str]:
    """The entries of an ``Attributes:`` section; lines that are further in go on with the entry above them."""
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    lines = section.splitlines()
    margin = next((len(line) - len(line.lstrip()) for line in lines if line.strip()), 0)

    entries: dict[str, str] = {}
    names: list[str] = []
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and (indent < margin or indent == 0):
            break  # the next section
        start = ENTRY.fullmatch(line.strip()) if indent == margin else None
        if start:
            names = start["names"].split(", ")
        for name in names:
            text = start["meaning"] if start else line.strip()
            entries[name] = f"{entries[name]} {text}".strip() if name in entries and not start else text
    return entries


def _resolved(name: str, meaning: str, cls: type) -> str:
    """A meaning without markup; where it only names another class, that class's meaning of the same field."""
    same = SAME_AS.match(meaning)
    other = getattr(sys.modules[cls.__module__], same["name"], None) if same else None
    if other is not None and other is not cls:
        return meanings_of(other).get(name, "")
    return ROLE.sub(lambda found: found["target"].rpartition(".")[2], meaning).replace("``", "")


def type_text(hint: Any) -> str:
    """A type in words: ``int or null``, ``one of adamw, muon``, ``list of int``."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is NoneType:
        return "null"
    if hint is Any:
        return "any value"
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (list, tuple):
        kinds = dict.fromkeys(type_text(each) for each in inner if each is not Ellipsis)
        return f"list of {' or '.join(kinds)}"
    if origin is dict or hint is dict:
        return "mapping"
    if inner:  # a union
        return " or ".join(type_text(each) for each in inner)
    return {"str": "text", "bool": "true or false", "float": "number"}.get(hint.__name__, hint.__name__)


def plain_text(value: Any) -> str:
    """A value as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(plain_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {plain_text(each)}' for key, each in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- all of them ------------------------------------------------------------------------------------

# Sizes of every task at once: read before the tasks are, so they are fields of no class.
SIZES = (
    Option("train_size", "int or null", None, "training problems of every task; null: as each task says", "compare"),
    Option("test_size", "int or null", None, "test problems of every task; null: as each task says", "compare"),
)
GROUPS = {
    "task": "the problems: family, sizes, files",
    "method": "how a method is built and trained",
    "model": "the language model that methods train",
    "budget": "what each training may spend",
    "evaluation": "how accuracy is measured",
    "teacher": "who writes traces (reasoning-kit teach)",
}


def method_options(name: str) -> Iterator[Option]:
    """The options of a method, or of the base of a variant that has a file, with the defaults of the base.

    Raises:
        UserError: if there is no such method.
    """
    from reasoning_kit.config.presets import base_of
    from reasoning_kit.registry import METHODS

    yield from options_of(METHODS[base_of(name)].options, f"method.{name}")


def task_options(name: str) -> Iterator[Option]:
    """The options of a task by its file's name, or of a family by its own: sizes and files, then the family's.

    Raises:
        UserError: if there is no such task.
    """
    from benchmarks.task import family_class
    from reasoning_kit.config.presets import family_of
    from reasoning_kit.config.tasks import TaskOptions

    for option in options_of(TaskOptions, f"task.{name}"):
        if not option.path.endswith(".options"):  # the family's own stand beside them, not below
            yield option
    yield from options_of(family_class(family_of(name)), f"task.{name}")


def group_options(group: str) -> Iterator[Option]:
    """The options of a group that has one class for all its files, or of the comparison itself (``""``)."""
    from benchmarks.language_models import ModelOptions
    from benchmarks.training.budget import Budget
    from cot_distill.server_options import TeacherOptions
    from reasoning_kit.config.spec import EvaluationOptions, ExperimentConfig

    if group:
        classes = {"model": ModelOptions, "budget": Budget, "evaluation": EvaluationOptions, "teacher": TeacherOptions}
        yield from options_of(classes[group], group)
        return

    # The groups have pages of their own, and so have the fields that hold them.
    meanings = meanings_of(ExperimentConfig)
    hints = get_type_hints(ExperimentConfig)
    for each in fields(ExperimentConfig):
        if each.name not in (*GROUPS, "tasks", "methods"):
            default = "comparison" if each.name == "name" else each.default
            source = f"{ExperimentConfig.__module__}.{ExperimentConfig.__qualname__}"
            yield Option(each.name, type_text(hints[each.name]), default, meanings.get(each.name, ""), source)
    yield from SIZES


def find_options(path: str) -> list[Option]:
    """The options at or below a path: ``method.trm``, ``model``, ``budget.limit``, ``seeds``, ``task.sudoku``.

    Raises:
        UserError: if nothing is called so.
    """
    group, _, rest = path.partition(".")
    if group not in GROUPS:
        return _below(path, list(group_options("")))
    if group not in ("task", "method"):
        return _below(path, list(group_options(group)))

    name = rest.partition(".")[0]
    if not name:
        raise UserError(
            f"each {group} has options of its own.",
            where=path,
            cure=f"Name one: {group}.NAME (`reasoning-kit {group}s ls` lists them).",
        )
    named: Callable[[str], Iterator[Option]] = task_options if group == "task" else method_options
    return _below(path, list(named(name)))


def _below(path: str, options: list[Option]) -> list[Option]:
    """Those that are called so, or lie below it."""
    group = path.partition(".")[0]
    found = [option for option in options if option.path == path or option.path.startswith(f"{path}.")]
    if not found:
        known = [option.path for option in options] + ([] if group in GROUPS else list(GROUPS))
        raise UserError(f"there is no option '{path}'.", where="options", cure=did_you_mean(path, known))
    return found


def paths_that_end_with(key: str) -> list[str]:
    """Where an option of this name lies, with ``NAME`` for the task or method: ``method.NAME.n`` for ``n``."""
    from benchmarks.task import FAMILIES
    from reasoning_kit.registry import METHODS

    options: list[Option] = []
    for group in ("", "model", "budget", "evaluation"):
        options += group_options(group)
    for method in METHODS:
        options += method_options(method)
    for family in FAMILIES:
        options += task_options(family)

    found: dict[str, None] = {}
    for option in options:
        group, *rest = option.path.split(".")
        path = ".".join([group, "NAME", *rest[1:]]) if group in ("task", "method") else option.path
        if path.rpartition(".")[2] == key:
            found[path] = None
    return sorted(found, key=lambda path: path.count("."))
