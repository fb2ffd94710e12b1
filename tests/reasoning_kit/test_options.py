"""Every option can be looked up: type, default, meaning and where that comes from."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

import pytest

from benchmarks.errors import UserError
from benchmarks.task import FAMILIES
from reasoning_kit.config.composition import choices
from reasoning_kit.config.options import (
    GROUPS,
    find_options,
    group_options,
    method_options,
    options_of,
    paths_that_end_with,
    plain_text,
    task_options,
)
from reasoning_kit.config.spec import load_config
from reasoning_kit.registry import METHODS


@dataclass(frozen=True)
class Inner:
    """A part.

    Attributes:
        rate: per step,
            in a second line; ``None``: none.
    """

    rate: float | None = 0.5


@dataclass(frozen=True)
class Base:
    """What both have.

    Attributes:
        size, depth: of :class:`reasoning_kit.Task`.
        kind: ``a``: the first.

    Another paragraph: that is no option.
    """

    size: int
    depth: int = 2
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Derived(Base):
    """The same, and more.

    Attributes:
        depth: otherwise.
    """

    inner: Inner = field(default_factory=Inner)
    names: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def test_options_come_from_fields_and_docstrings():
    found = {option.path: option for option in options_of(Derived, "x")}
    assert list(found) == ["x.size", "x.depth", "x.kind", "x.inner.rate", "x.names", "x.more"]
    assert found["x.size"].meaning == "of Task."
    assert found["x.size"].default is MISSING
    assert found["x.depth"].meaning == "otherwise."
    assert found["x.kind"].meaning == "a: the first."
    assert found["x.inner.rate"].meaning == "per step, in a second line; None: none."
    assert [option.type for option in found.values()] == [
        "int", "int", "one of a, b", "number or null", "list of text", "mapping",
    ]  # fmt: skip
    assert [option.default_text for option in found.values()] == ["must be given", "2", "a", "0.5", "[]", "{}"]
    assert found["x.inner.rate"].source == f"{__name__}.Inner"


def every_option():
    for group in ("", *GROUPS):
        if group not in ("task", "method"):
            yield from group_options(group)
    for name in METHODS:
        yield from method_options(name)
    for name in FAMILIES:
        yield from task_options(name)


def test_every_option_has_a_meaning():
    without = {f"{option.source}: {option.path}" for option in every_option() if not option.meaning}
    assert not without, "write it into the Attributes section of the class"


def test_every_variant_and_task_with_a_file_has_options():
    for name in choices("method"):
        assert next(method_options(name)).path.startswith(f"method.{name}.")
    for name in choices("task"):
        assert [option.path for option in task_options(name)][:2] == [f"task.{name}.family", f"task.{name}.train_size"]


def test_a_default_as_it_is_shown_is_taken():
    """What the list shows can be typed."""
    overrides = []
    for option in [*method_options("trm"), *method_options("grpo"), *group_options("evaluation")]:
        if option.default is not MISSING and option.default not in ([], {}):
            overrides.append(f"{option.path}={plain_text(option.default)}")
    usual, typed = load_config(["method=[trm,grpo]"]), load_config(["method=[trm,grpo]", *overrides])
    assert typed.methods["trm"].options == METHODS["trm"].options()
    assert typed.evaluation == usual.evaluation


def test_a_path_names_one_option_or_all_below_it():
    assert [option.path for option in find_options("budget.limit")] == ["budget.limit"]
    assert [option.path for option in find_options("seeds")] == ["seeds"]
    assert {option.path for option in find_options("task.sudoku-4x4")} >= {"task.sudoku-4x4.size"}
    assert {option.path for option in find_options("task.maze")} >= {"task.maze.size"}
    solver = [option.path for option in find_options("method.cot.solver")]
    assert solver == [f"method.cot.solver.{each.name}" for each in fields(METHODS["cot"].options().solver)]
    assert paths_that_end_with("learning_rate")[0] == "method.NAME.learning_rate"


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("method", "method.NAME"),
        ("task.", "task.NAME"),
        ("method.tmr", "trm"),
        ("method.trm.widht", "method.trm.width"),
        ("budget.limt", "budget.limit"),
        ("seed", "seeds"),
        ("task.sudoku-4x5", "sudoku-4x4"),
    ],
)
def test_an_unknown_path_gets_the_nearest_one(path, cure):
    with pytest.raises(UserError) as error:
        find_options(path)
    assert cure in str(error.value)


# --- as they are shown ------------------------------------------------------------------------------


def test_a_method_is_shown_with_its_values_and_who_set_them(said):
    shown = said("methods", "show", "ar_jacobi", columns=300)
    for part in ("label: Autoregressive TRM, committed cache", "base: answer_only", "thinking: latent", "what it is: "):
        assert part in shown
    row = next(line for line in shown.splitlines() if "method.ar_jacobi.model.architecture" in line)
    assert "autoregressive_trm" in row
    assert "configs/method/ar_jacobi.yaml" in row
    assert "batch_size" in shown
    assert "base: none" in said("methods", "show", "trm")
    assert "Did you mean" in said("methods", "show", "trmm", code=2)


def test_a_task_is_shown_with_its_options(said):
    shown = said("tasks", "show", "sudoku-4x4", "--options")
    for key in ("train_size", "test_file", "size", "givens"):
        assert f"task.sudoku-4x4.{key}" in shown


def test_options_are_listed(said):
    shown = said("options")
    for word in ("seeds", "jobs", "train_size", "checkpoint_minutes", "method.NAME", "budget", "teacher"):
        assert word in shown
    shown = said("options", "budget.limit")
    assert "number" in shown
    assert "must be given" in shown
    assert "Did you mean 'budget.limit'?" in said("options", "budget.limt", code=2)
