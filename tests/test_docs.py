"""The documentation is true: short sentences, paths that exist, commands and options that are accepted, an example that
runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.errors import UserError
from benchmarks.splits import build_splits
from benchmarks.task import FAMILIES, load_task
from reasoning_kit.cli import app
from reasoning_kit.commands.flags import ComparisonFlags, new_console
from reasoning_kit.commands.new import write_example
from reasoning_kit.config.composition import compose
from reasoning_kit.config.plugins import load_plugins
from reasoning_kit.config.spec import check_config, check_methods_on_tasks

ROOT = Path(__file__).parents[1]
MOST_WORDS = 30
PLAIN = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
MAPS = ["CONTRIBUTING.md", "docs/design.md"]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    """The code blocks of a language; of none: those without one."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [code for name, code in fenced if name == language]


# --- sentences --------------------------------------------------------------------------------------


def sentences(text: str) -> list[str]:
    """The prose of a page, sentence by sentence: without code blocks, tables, headings and pictures."""
    text = re.sub(r"^```.*?^```$", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||#|!\[).*$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # the words of a link
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)  # an item is a paragraph

    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        joined = " ".join(paragraph.split())
        found += [part for part in re.split(r"(?<=[.!?])[)*\"]* (?=[\W\dA-Za-z])", joined) if part]
    return found


def words(sentence: str) -> int:
    return len([word for word in sentence.split() if re.search(r"\w", word)])


def test_sentences_are_split_where_they_end() -> None:
    text = "One `a b c` two. Three\nfour: [five six](seven.md).\n\n- Eight.\n- nine\n\n```\nten\n```\n| eleven |\n"
    assert sentences(text) == ["One code two.", "Three four: five six.", "Eight.", "nine"]
    assert [words(sentence) for sentence in sentences(text)] == [3, 4, 1, 1]


@pytest.mark.parametrize("page", PLAIN)
def test_no_sentence_is_longer_than_thirty_words(page: str) -> None:
    assert [sentence for sentence in sentences(read(page)) if words(sentence) > MOST_WORDS] == []


# --- paths ------------------------------------------------------------------------------------------


def named_paths(text: str) -> list[str]:
    """What stands in backticks and looks like a path of this repository."""
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [word for word in quoted if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|[\w-]+\.(py|md|toml|txt)", word)]


def mapped_paths(text: str) -> list[str]:
    """The files of the map: each name in its first block belongs to the folder above it that is indented less."""
    house = next(block for block in blocks(text) if block.startswith("reasoning_kit/"))
    found: list[str] = []
    open_folders: list[tuple[int, str]] = []  # indentation and path of the folders that a line lies in
    for line in house.splitlines():
        indentation = len(line) - len(line.lstrip())
        name = line.split()[0] if line.split() else ""
        if re.fullmatch(r"[\w./]+/", name):
            open_folders = [folder for folder in open_folders if folder[0] < indentation]
            open_folders.append((indentation, f"{open_folders[-1][1] if open_folders else ''}{name}"))
            found.append(open_folders[-1][1])
        inside = [path for depth, path in open_folders if depth < indentation or re.fullmatch(r"[\w./]+/", name)]
        found += [f"{inside[-1]}{file}" for file in re.findall(r"(?<![\w/.])[\w/]+\.py\b", line)]
    return found


def exists(path: str) -> bool:
    """In the repository, or in one of the two folders from whose files a page may leave the first name out."""
    return any((ROOT / folder / path).exists() for folder in (".", "reasoning_kit", "docs"))


@pytest.mark.parametrize("page", MAPS)
def test_every_path_that_is_named_exists(page: str) -> None:
    named = named_paths(read(page))
    assert len(named) > 8
    assert [path for path in named if not exists(path)] == []


def test_every_file_of_the_map_exists_and_every_module_is_on_it() -> None:
    mapped = mapped_paths(read("CONTRIBUTING.md"))
    assert [path for path in mapped if not (ROOT / path).exists()] == []

    # A folder whose files are not named one by one is on the map by itself.
    folders = {path for path in mapped if path.endswith("/")}
    whole = {folder for folder in folders if not any(path != folder and path.startswith(folder) for path in mapped)}
    missing = []
    for package in ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks"):
        for file in sorted((ROOT / package).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            shown = path in mapped or any(path.startswith(folder) for folder in whole)
            if not shown and not file.name.startswith("__"):
                missing.append(path)
    assert missing == [], f"not on the map: {missing}"


@pytest.mark.parametrize("page", [*PLAIN, "docs/results/README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(page))
    here = (ROOT / page).parent
    assert [link for link in links if "://" not in link and not (here / link).exists()] == []


# --- commands ---------------------------------------------------------------------------------------

SHELL = re.compile(r"^(?:\S*/)?reasoning-kit (.*)$")


def command_lines(page: str) -> list[list[str]]:
    """Every ``reasoning-kit ...`` of the page, as words, without the comment behind it."""
    text = "\n".join(blocks(read(page))).replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        if match := SHELL.match(line.strip()):
            found.append(shlex.split(match.group(1), comments=True))
    return found


def parsed(line: list[str]) -> tuple[str, dict[str, Any]]:
    """The command that the words name, and what its parser reads; the command itself is not run.

    Raises:
        KeyError: if there is no such command.
        UserError, click's UsageError: for a flag or a number of words that it does not take.
    """
    command: Any = typer.main.get_command(app)
    rest, names = list(line), []
    while hasattr(command, "commands"):
        names.append(rest.pop(0))
        command = command.commands[names[-1]]
    return " ".join(names), command.make_context(names[-1], rest).params


README_LINES = command_lines("README.md")
COMPOSED = {"compare", "train", "estimate", "bench time-to-accuracy"}


@pytest.fixture
def own_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``my_task.py`` as ``new task my-task`` writes it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REASONING_KIT_DATA", str(tmp_path))
    write_example("task", "my-task", tmp_path, new_console())
    yield
    FAMILIES.forget("my-task")


@pytest.mark.parametrize("line", README_LINES, ids=" ".join)
@pytest.mark.usefixtures("own_task")
def test_every_command_of_the_readme_is_one(line: list[str]) -> None:
    name, params = parsed(line)
    if name not in COMPOSED:
        return

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in params.items() if value}
    load_plugins(given.get("plugins", ()))
    flags = ComparisonFlags(**{each.name: given[each.name] for each in fields(ComparisonFlags) if each.name in given})
    overrides = [word for word in flags.over(given.get("overrides")) if not word.startswith(("data=", "model="))]
    config = check_config(compose(overrides))
    check_methods_on_tasks(config)
    assert config.tasks
    assert config.methods


def test_a_wrong_command_would_be_found() -> None:
    assert len(README_LINES) > 30
    with pytest.raises(KeyError, match="compere"):
        parsed(["compere", "task=sudoku-4x4"])
    with pytest.raises(UserError, match="no such flag"):
        parsed(["compare", "--sets", "3"])


def test_the_variant_of_a_task_that_the_pages_name_is_one() -> None:
    words = "task.big.family=sudoku task.big.size=9"
    assert words in read("docs/plugins.md")
    config = check_config(compose([*words.split(), "method=trm"]))
    assert config.tasks["big"].load().name == "sudoku-9x9"


# --- the examples -----------------------------------------------------------------------------------


def test_the_family_of_the_page_on_plug_ins_is_one(tmp_path: Path) -> None:
    (example,) = blocks(read("docs/plugins.md"), "python")
    assert len(example.splitlines()) <= 40
    file = tmp_path / "sort_digits.py"
    file.write_text(example)
    load_plugins([file])
    try:
        task = load_task("sort-digits", digits=4)
        problem, *_ = build_splits(task, train_size=8, test_size=4, seed=0).train
        assert task.is_right(problem, problem.answer)
        assert not task.is_right(problem, "no digits")
    finally:
        FAMILIES.forget("sort-digits")


@pytest.mark.slow
def test_the_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = blocks(read("README.md"), "python")
    small = re.sub(r'budget="[^"]+"', 'budget="2 steps"', example)
    for old, new in (('"trm", task,', '"trm", task, train_size=16, test_size=4, batch_size=8,'),
                     ("seeds=3", "seeds=1, train_size=64, test_size=4")):  # fmt: skip
        assert small.count(old) == 1
        small = small.replace(old, new)
    file = tmp_path / "example.py"
    file.write_text(small)

    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sudoku-4x4" in done.stdout
    assert (tmp_path / "runs" / "python").is_dir()
