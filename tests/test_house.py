"""What CONTRIBUTING asks of the sources, read from their syntax: sizes, loops, messages, no name of a method.

Each exemption stands in a list with its reason. A list of present exceptions may only shrink.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks")
SOURCES = sorted(str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_PARAMETERS = 7

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

# Where a number of parameters is not the kit's to choose.
FLAGS = "flags of a command: typer reads them from the signature"
KEYWORDS = "the front door: what a user may leave out, by keyword"
TRANSFORMERS = "transformers calls it with these"
MANY_PARAMETERS = {
    "reasoning_kit/api.py:train": KEYWORDS,
    "reasoning_kit/api.py:compare": KEYWORDS,
    "reasoning_kit/bench/commands.py:trm_solve": FLAGS,
    "reasoning_kit/studies/autoregressive/command.py:bench_refinement": FLAGS,
    "trm/autoregressive/modeling.py:forward": TRANSFORMERS,
}

# Places that may name a method.
NAMES_METHODS = {
    "reasoning_kit/registry.py": "the one list of the kit's own methods",
    "reasoning_kit/bench/": "a benchmark measures one method",
    "reasoning_kit/studies/": "a study is about certain methods",
    "reasoning_kit/__init__.py": "names of packages, not of methods",
}
METHODS = {"direct", "trm", "answer_only", "cot", "grpo", "prompted"}
OPTION_CLASSES = {"TRMOptions", "DirectOptions", "SFTOptions", "GRPOOptions", "PromptedOptions"}

# What is still to be mended, as file -> how many.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}
TOO_MANY_PARAMETERS = {"trm/solver.py": 1}
TWO_LOOPS: dict[str, int] = {}
ANY_OPTIONS: dict[str, int] = {}
IS_NO = {
    "benchmarks/verifiable/code/cruxeval.py": 2,
    "benchmarks/verifiable/expressions.py": 2,
    "benchmarks/verifiable/gym/labels.py": 3,
    "benchmarks/verifiable/gym/rules.py": 5,
    "cot_distill/generators/server.py": 1,
    "cot_distill/traces/arithmetic.py": 1,
    "cot_distill/traces/countdown.py": 3,
    "cot_distill/traces/graph_coloring.py": 1,
    "cot_distill/traces/gsm8k.py": 1,
    "cot_distill/traces/job_shop.py": 1,
    "cot_distill/traces/maze.py": 1,
    "cot_distill/traces/satisfiability.py": 1,
    "cot_distill/traces/sudoku.py": 2,
    "cot_distill/traces/sudoku_board.py": 1,
    "cot_distill/traces/sudoku_sweeps.py": 1,
    "cot_distill/traces/svamp.py": 1,
    "trm/parity.py": 1,
}


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"))


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of a kind, with its file."""
    for source in SOURCES:
        for node in ast.walk(parsed(source)):
            if isinstance(node, kind):
                yield source, node


def parameters(function: Function) -> list[str]:
    """Without ``self`` and ``cls``."""
    arguments = function.args
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    return [each.arg for each in found if each.arg not in ("self", "cls")]


def docstrings(source: str) -> set[int]:
    """The ids of all strings that stand alone: docstrings of modules, classes, functions and attributes."""
    alone = [node.value for node in ast.walk(parsed(source)) if isinstance(node, ast.Expr)]
    return {id(value) for value in alone if isinstance(value, ast.Constant)}


def strings() -> Iterator[tuple[str, ast.Constant]]:
    """Every string that is not prose for the reader of the source, with its file."""
    for source in SOURCES:
        prose = docstrings(source)
        for node in ast.walk(parsed(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield source, node


def only(found: list[tuple[str, int, str]], still: dict[str, int]) -> None:
    """No finding but those still to be mended.

    Args:
        found: file, line and what was found.
        still: file -> how many are known.
    """
    counts = Counter(source for source, _, _ in found)
    new = [f"{source}:{line}: {what}" for source, line, what in found if counts[source] > still.get(source, 0)]
    assert not new, "\n" + "\n".join(new)


def test_sources_are_found():
    assert len(SOURCES) > 200
    assert {source.split("/")[0] for source in SOURCES} == set(PACKAGES)


def test_no_file_is_long():
    found = []
    for source in SOURCES:
        lines = len((ROOT / source).read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            found.append((source, 1, f"{lines} lines"))
    only(found, LONG_FILES)


def test_no_function_is_long():
    found = []
    for source, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef)):
        lines = node.end_lineno - node.lineno + 1
        if lines > MOST_LINES_OF_A_FUNCTION:
            found.append((source, node.lineno, f"{node.name} has {lines} lines"))
    only(found, LONG_FUNCTIONS)


def test_no_function_has_many_parameters():
    found, exempt = [], set()
    for source, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef)):
        count = len(parameters(node))
        if count <= MOST_PARAMETERS:
            continue
        place = f"{source}:{node.name}"
        exempt.add(place)
        if place not in MANY_PARAMETERS:
            found.append((source, node.lineno, f"{node.name} has {count} parameters"))
    only(found, TOO_MANY_PARAMETERS)
    assert MANY_PARAMETERS.keys() <= exempt, "an exemption that nothing needs"


def test_a_comprehension_has_one_loop():
    found = []
    for source, node in nodes((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        if len(node.generators) > 1:
            found.append((source, node.lineno, ast.unparse(node)))
    only(found, TWO_LOOPS)


def test_options_have_a_type():
    found = []
    for source, node in nodes((ast.AnnAssign, ast.arg)):
        name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
        keywords = "**"  # options: Any after two stars are a mapping from names to values
        if name != "options" or node.annotation is None or ast.unparse(node.annotation) != "Any":
            continue
        line = (ROOT / source).read_text(encoding="utf-8").splitlines()[node.lineno - 1]
        if keywords + "options" not in line:
            found.append((source, node.lineno, "options: Any"))
    only(found, ANY_OPTIONS)


def test_a_message_says_what_must_be():
    """Not "'abc' is no choice" but "answers must be 'unique' or 'many'"; that there is no file is plain English."""
    form = re.compile(r"(?<!there )\b(is|are) no (?!longer|more|less)\w", re.IGNORECASE)
    found = [(source, node.lineno, node.value) for source, node in strings() if form.search(node.value)]
    only(found, IS_NO)


def face(source: str) -> bool:
    """Whether a file of the face must know no method by name."""
    return source.startswith("reasoning_kit/") and not source.startswith(tuple(NAMES_METHODS))


def test_the_face_names_no_method():
    found = [(source, node.lineno, node.value) for source, node in strings() if face(source) and node.value in METHODS]
    only(found, {})


def test_the_face_names_no_class_of_options():
    found = []
    for source, node in nodes((ast.Name, ast.Attribute, ast.alias)):
        name = next(getattr(node, key) for key in ("id", "attr", "name") if hasattr(node, key))
        if face(source) and name in OPTION_CLASSES:
            found.append((source, node.lineno, name))
    only(found, {})


@pytest.mark.parametrize("place", NAMES_METHODS)
def test_exempt_places_exist(place):
    assert (ROOT / place).exists()
