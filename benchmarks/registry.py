"""Finds families of problems and methods by name: the kit's own, those of installed packages, files and notebooks.

Three ways lead in, and all three end in :meth:`Registry.register`:

- an installed package names an entry point of the group ``reasoning_kit.tasks`` or ``reasoning_kit.methods``;
- a plain file (``--plugins my_task.py``) defines a class, and is imported by :mod:`reasoning_kit.plugins`;
- a program calls :func:`reasoning_kit.register_task` or :func:`reasoning_kit.register_method`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from benchmarks.errors import UserError, did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, type[T]]):
    """Names of classes, which are imported when they are asked for.

    Args:
        kind: what is registered, in words for messages: ``task family``.
        base: module and name of the class that all of them extend.
        group: the entry points in which packages name theirs.
        own: the kit's own classes as ``module:name``, in the order in which they are listed.
    """

    def __init__(self, kind: str, base: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group = kind, group
        self._base = base
        self._own = dict(own)
        self._registered: dict[str, type[T]] = {}
        self._packages: dict[str, EntryPoint] | None = None

    def __iter__(self) -> Iterator[str]:
        """Every name, the kit's own first."""
        return iter(dict.fromkeys([*self._own, *self._from_packages(), *self._registered]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._registered or name in self._from_packages()

    def is_own(self, name: str) -> bool:
        """Whether the kit itself brings it."""
        return name in self._own

    def __getitem__(self, name: str) -> type[T]:
        """The class of that name.

        Raises:
            UserError: if there is none of that name, or a package's cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._own:
            return self._load(self._own[name])
        if name in self._from_packages():
            entry = self._from_packages()[name]
            try:
                found = entry.load()
            except Exception as error:
                raise UserError(
                    f"the package's {self.kind} '{name}' cannot be imported ({type(error).__name__}: {error}).",
                    where=f"{entry.group}: {entry.value}",
                    cure="Mend or uninstall the package that brings it.",
                ) from None
            self.check(name, found, f"{entry.group}: {entry.value}")
            return found
        raise UserError(f"unknown {self.kind} '{name}'.", cure=did_you_mean(name, self))

    def register(self, name: str, cls: type[T], where: str | None = None) -> None:
        """Add a class under a name.

        Args:
            where: it comes from, for messages.

        Raises:
            UserError: if the name is taken by another class, or the class lacks something.
        """
        where = where or source_of(cls)
        known = self._registered.get(name)
        again = known is not None and source_of(known) == source_of(cls) and known.__qualname__ == cls.__qualname__
        if name in self and not again:
            raise UserError(
                f"the name '{name}' must be new, but there is a {self.kind} of that name.",
                where=where,
                cure="Give yours another name.",
            )
        self.check(name, cls, where)
        self._registered[name] = cls

    def forget(self, name: str) -> None:
        """Take out a registered class; the kit's own and those of packages stay."""
        self._registered.pop(name, None)

    def registered(self) -> dict[str, type[T]]:
        """What files and programs added, by name."""
        return dict(self._registered)

    def check(self, name: str, cls: Any, where: str) -> None:
        """
        Raises:
            UserError: if it is not a class that extends the base, or leaves something undefined.
        """
        module, base_name = self._base.split(":")
        base = getattr(import_module(module), base_name)
        if not inspect.isclass(cls) or not issubclass(cls, base):
            raise UserError(
                f"'{name}' must be a class that extends {base_name}.",
                where=where,
                cure=f"Write class ...(reasoning_kit.{base_name}).",
            )
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
            raise UserError(
                f"the class {cls.__name__} must also define: {missing}.",
                where=where,
                cure=f"reasoning_kit.{base_name} says in its docstring what each of them does.",
            )
        faults = cls.faults() if hasattr(cls, "faults") else []
        if faults:
            raise UserError(f"the class {cls.__name__} must {faults[0]}.", where=where)

    def _load(self, path: str) -> type[T]:
        module, name = path.split(":")
        return getattr(import_module(module), name)

    def _from_packages(self) -> dict[str, EntryPoint]:
        """Entry points of installed packages; a name that the kit has itself is the kit's."""
        if self._packages is None:
            found = {entry.name: entry for entry in entry_points(group=self.group)}
            self._packages = {name: entry for name, entry in found.items() if name not in self._own}
        return self._packages


def source_of(cls: object) -> str:
    """File and line of a class, for messages; its module where there is no file (a notebook)."""
    try:
        file, line = inspect.getsourcefile(cls), inspect.getsourcelines(cls)[1]  # type: ignore[arg-type]
    except (OSError, TypeError):
        return getattr(cls, "__module__", "?")
    return f"{file}:{line}"
