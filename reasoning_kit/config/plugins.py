"""Plain files that bring families of problems and methods: ``--plugins my_task.py``.

A plug-in is a file of Python that defines a class with a name: a :class:`reasoning_kit.Task` with ``family``, or a
:class:`reasoning_kit.Method` with ``name``. It is code that you run, so only you name it: on the command line, in an
experiment's YAML, or in ``reasoning_kit.toml`` of the folder that you work in. A run's folder never does.

Runs in other processes see the same plug-ins: files by their paths, classes of a notebook as they are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.method import Method
from benchmarks.registry import Registry, source_of
from benchmarks.task import FAMILIES, Task
from reasoning_kit.registry import METHODS

FILE_VARIABLE = "REASONING_KIT_PLUGINS"  # files, for the processes of runs
CLASS_VARIABLE = "REASONING_KIT_CLASSES"  # a file of pickled classes that have none
SETTINGS = "reasoning_kit.toml"
SETTINGS_KEYS = ("plugins", "configs")

_files: dict[Path, ModuleType] = {}
_folders: list[Path] = []


# --- from Python ------------------------------------------------------------------------------------


def register_task(cls: type[Task], name: str | None = None) -> type[Task]:
    """Add a family of problems; also as a decorator.

    Args:
        name: its ``family`` if not given.

    Raises:
        UserError: if the name is taken, or the class lacks something.
    """
    FAMILIES.register(_name(cls, name, "family"), cls)
    return cls


def register_method(cls: type[Method[Any]], name: str | None = None) -> type[Method[Any]]:
    """Add a method; also as a decorator.

    Args:
        name: its ``name`` if not given.

    Raises:
        UserError: as :func:`register_task`.
    """
    METHODS.register(_name(cls, name, "name"), cls)
    return cls


def _name(cls: type, name: str | None, attribute: str) -> str:
    found = name or getattr(cls, attribute, None)
    if not isinstance(found, str) or not found:
        raise UserError(
            f"the class {cls.__name__} must say its {attribute}.",
            where=source_of(cls),
            cure=f'Write {attribute} = "my-{attribute}" in it.',
        )
    return found


# --- from files -------------------------------------------------------------------------------------


def load_plugins(paths: Sequence[str | Path], where: str = "--plugins") -> None:
    """Import each file and register what it defines. A file that is loaded already is left as it is.

    Args:
        where: it is named, for messages.

    Raises:
        UserError: if there is no such file, it cannot be imported, or a class in it lacks something.
    """
    for path in paths:
        file = Path(path).expanduser().absolute()
        if file in _files:
            continue
        if not file.is_file() or file.suffix != ".py":
            raise UserError(
                f"there is no Python file '{path}'.", where=where, cure="Give the path of one, such as my_task.py."
            )
        _files[file] = _import(file, where)
        try:
            _register_classes(_files[file], file)
        except UserError:
            del _files[file]
            raise


def _import(file: Path, where: str) -> ModuleType:
    """The file as a module, under a name that no package has."""
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    name = f"reasoning_kit_plugin_{file.stem}_{digest}".replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except SyntaxError as error:
        raise UserError(
            f"the plug-in is not valid Python ({error.msg}).",
            where=f"{error.filename or file}:{error.lineno or 1}",
            cure="Mend the line.",
        ) from None
    except BaseException as error:  # whatever the file does when it is imported, SystemExit included
        if isinstance(error, KeyboardInterrupt):
            raise
        raise UserError(
            f"the plug-in cannot be imported ({type(error).__name__}: {error}).",
            where=_line_in(error, file),
            cure="Mend the line.",
        ) from None
    return module


def _line_in(error: BaseException, file: Path) -> str:
    """The last line of the file that an error went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _register_classes(module: ModuleType, file: Path) -> None:
    """Every class that is defined in the file and has a name; one that was registered by the file itself stays."""
    found = 0
    for cls in list(vars(module).values()):
        if not inspect.isclass(cls) or cls.__module__ != module.__name__:
            continue
        for base, registry, attribute in ((Task, FAMILIES, "family"), (Method, METHODS, "name")):
            if issubclass(cls, base) and attribute in vars(cls):
                _register_once(registry, getattr(cls, attribute), cls)
                found += 1
    if not found and not _registered_from(module):
        raise UserError(
            "the plug-in must define a task or a method.",
            where=str(file),
            cure='Write a class that extends reasoning_kit.Task with family = "...", or reasoning_kit.Method with '
            'name = "..."; `reasoning-kit new task NAME` writes an example.',
        )


def _register_once(registry: Registry[Any], name: str, cls: type) -> None:
    if registry.registered().get(name) is not cls:
        registry.register(name, cls)


def _registered_from(module: ModuleType) -> bool:
    classes = [*FAMILIES.registered().values(), *METHODS.registered().values()]
    return any(cls.__module__ == module.__name__ for cls in classes)


# --- from the working folder ------------------------------------------------------------------------


def load_settings(folder: Path | None = None) -> None:
    """Plug-ins and folders of configurations that ``reasoning_kit.toml`` of the working folder names.

    Raises:
        UserError: if the file is not valid, or what it names is not there.
    """
    file = (folder or Path.cwd()) / SETTINGS
    if not file.is_file():
        return
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the file is not valid TOML ({error}).", where=str(file), cure="Mend it.") from None
    for key in settings:
        if key not in SETTINGS_KEYS:
            raise UserError(f"unknown key '{key}'.", where=str(file), cure=did_you_mean(key, SETTINGS_KEYS))
    load_plugins([file.parent / path for path in _paths(settings, "plugins", file)], where=str(file))
    for path in _paths(settings, "configs", file):
        add_config_folder(file.parent / path, where=str(file))


def _paths(settings: Mapping[str, Any], key: str, file: Path) -> list[str]:
    value = settings.get(key, [])
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise UserError(f"{key} must be a list of paths.", where=str(file), cure=f'Write {key} = ["my_file.py"].')
    return paths


def add_config_folder(folder: Path, where: str = "configs") -> None:
    """A folder with YAML files in ``task/``, ``method/``, ``model/``, ``budget/`` or ``experiment/``.

    Raises:
        UserError: if there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder '{folder}'.", where=where, cure="Give the path of one.")
    if folder.absolute() not in _folders:
        _folders.append(folder.absolute())


def config_folders() -> list[Path]:
    """Folders of configurations beside the kit's own: those added here, and those of installed packages."""
    found = list(_folders)
    for entry in entry_points(group="reasoning_kit.configs"):
        spec = importlib.util.find_spec(entry.value.partition(":")[0])
        places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
        found += [place for place in places if place.is_dir()]
    return found


# --- for the processes of runs ----------------------------------------------------------------------


def environment_for_workers() -> dict[str, str]:
    """Environment variables with which another process finds the same plug-ins."""
    found = {}
    if _files:
        found[FILE_VARIABLE] = os.pathsep.join(str(file) for file in _files)
    if classes := _without_file():
        import cloudpickle

        with tempfile.NamedTemporaryFile(prefix="reasoning_kit_classes_", delete=False) as file:
            cloudpickle.dump(classes, file)
        found[CLASS_VARIABLE] = file.name
    return found


def load_from_environment() -> None:
    """The other end of :func:`environment_for_workers`."""
    files = os.environ.get(FILE_VARIABLE, "")
    load_plugins([path for path in files.split(os.pathsep) if path], where=FILE_VARIABLE)
    if pickled := os.environ.get(CLASS_VARIABLE):
        import pickle

        with Path(pickled).open("rb") as file:
            classes = pickle.load(file)  # written by the program that started this process
        for kind, name, cls in classes:
            (FAMILIES if kind == "task" else METHODS).register(name, cls)


def _without_file() -> list[tuple[str, str, type]]:
    """Registered classes that no plug-in file defines: those of a notebook or a script."""
    modules = {module.__name__ for module in _files.values()}
    found = []
    for kind, registry in (("task", FAMILIES), ("method", METHODS)):
        for name, cls in registry.registered().items():
            if cls.__module__ not in modules:
                found.append((kind, name, cls))
    return found
