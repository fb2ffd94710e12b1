"""The documentation is true: short sentences, paths that exist, commands and options that are accepted, an example that
runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from reasoning_kit.cli import app
from reasoning_kit.config.composition import compose
from reasoning_kit.config.spec import check_config

ROOT = Path(__file__).parents[1]
MOST_WORDS = 30
PLAIN = ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
MAPS = ["CONTRIBUTING.md", "docs/design.md"]
PACKAGES = ("reasoning_kit", "grpo", "cot_distill", "trm", "benchmarks", "configs", "docs", "tests")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    """The code blocks of a language; of none: those without one."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


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
