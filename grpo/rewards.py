"""What a completion is worth: the verifier, and beside it the shaping rewards that a run asks for by name.

The verifier comes first and always has weight 1; accuracy is read from it alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.errors import UserError, did_you_mean
from benchmarks.problem import Problem
from benchmarks.rewards import Guarded, Reward, format_reward, overlong_reward, score_reward, verifier_reward
from benchmarks.task import Task
from grpo.options import GRPOOptions

CORRECT = "correct"
FAILURES = "reward-failures.jsonl"


def own_rewards(options: GRPOOptions) -> dict[str, Reward]:
    """The functions of the user, by the text that names them.

    Raises:
        UserError: if one cannot be imported or called.
    """
    return {name: _imported(name) for name in options.rewards if ":" in name}


def build_rewards(
    task: Task,
    problems: Sequence[Problem],
    options: GRPOOptions,
    completion_limit: int,
    own: dict[str, Reward],
    output_dir: Path,
) -> tuple[list[Guarded], list[float]]:
    """The reward functions, the verifier first, and their weights.

    Args:
        completion_limit: tokens after which a completion is cut.
        own: what :func:`own_rewards` gave.
        output_dir: gets the file of failures.

    Raises:
        UserError: if two have one name.
    """
    known: dict[str, Reward] = {
        "format": format_reward(task, problems, "cot"),
        "length": overlong_reward(completion_limit),
        "score": score_reward(task, problems, "cot"),
        **own,
    }
    built = {CORRECT: Guarded(CORRECT, verifier_reward(task, problems, "cot"), output_dir / FAILURES)}
    for key in options.rewards:
        name = key.rpartition(":")[2]
        if name in built:
            raise UserError(
                f"a second reward called '{name}'.", where=f"method.grpo.rewards.{key}", cure="Rename the function."
            )
        built[name] = Guarded(name, known[key], output_dir / FAILURES)
    return list(built.values()), [1.0, *options.rewards.values()]


def _imported(name: str) -> Reward:
    where = f"method.grpo.rewards.{name}"
    place, _, function = name.rpartition(":")
    try:
        module = _module(place)
    except Exception as error:  # whatever the user's code raises
        raise UserError(
            f"'{place}' cannot be imported ({type(error).__name__}: {error}).",
            where=where,
            cure="Give path/to/file.py:function or module:function.",
        ) from None
    found: Any = getattr(module, function, None)
    if inspect.iscoroutinefunction(found):
        raise UserError(f"'{function}' is a coroutine.", where=where, cure="Define it without async.")
    if not callable(found):
        names = [n for n, value in vars(module).items() if inspect.isfunction(value)]
        cure = did_you_mean(function, names) if names else "Define it: def f(completions, **columns) -> list[float]."
        raise UserError(f"'{place}' has no function '{function}'.", where=where, cure=cure)
    return found


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, Path(place).expanduser())
    assert spec is not None, "its name ends with .py"
    assert spec.loader is not None, "its name ends with .py"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
