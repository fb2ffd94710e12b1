"""The one option that an answer to a multiple-choice question chooses: ``C``, ``(C)``, ``C) 24 km``, ``24 km``.

Strict: a letter with the text of another option, two letters, or a text that is no option choose none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.verifiable.numbers import parse_number

LONGEST = 300  # characters
LETTER = re.compile(
    r"(?:(?:the\s)?(?:correct\s)?(?:option|choice|answer|letter)\s{0,2}:?\s{0,2})?[\[({]?\s?(?P<letter>[A-Za-z])\s?"
    r"(?P<rest>(?![A-Za-z0-9]).*)?",
    flags=re.DOTALL | re.IGNORECASE,
)


def parse_choice(text: str, options: Sequence[str]) -> str | None:
    """The letter of the chosen option, or ``None``.

    Args:
        options: their texts, the first that of ``A``.
    """
    text = _plain(text)
    if not text or len(text) > LONGEST:
        return None
    match = LETTER.fullmatch(text)
    if match:
        letter, rest = match["letter"].upper(), match["rest"] or ""
        place = ord(letter) - ord("A")
        if place < len(options) and (not rest.strip(" )]}.:,;") or _says(rest, options[place])):
            return letter
    chosen = [at for at, option in enumerate(options) if _key(option) == _key(text)]
    if not chosen and match is None and (value := parse_number(text)) is not None:
        chosen = [at for at, option in enumerate(options) if parse_number(option) == value]
    alike = len({_key(options[at]) for at in chosen}) == 1  # AQuA has options that are there twice
    return chr(ord("A") + chosen[0]) if alike else None


def _says(rest: str, option: str) -> bool:
    """Whether what follows a letter is its option's text, or the beginning of it."""
    rest = re.sub(r"^\s*[)\]}]?\s*(?:[.:,;=]|-(?=\s))?\s*", "", rest).strip()
    forms = [rest]
    if rest.startswith("(") and rest.endswith(")"):
        forms.append(rest[1:-1])
    value = parse_number(option)
    return any(
        _key(form) == _key(option)
        or (len(_key(form)) >= 4 and _key(option).startswith(_key(form)) and not any(map(str.isdigit, option)))
        or (value is not None and parse_number(form) == value)
        for form in forms
    )


def _plain(text: str) -> str:
    text = re.sub(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf)\s?\{([^{}]*)\}", r"\1", text.strip())
    text = re.sub(r"\*\*|__|`|\\[()\[\]]", "", text).strip().strip("\"'").strip()
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == "$" else text


def _key(text: str) -> str:
    return re.sub(r"[\s$\\{},]|\.$", "", text.casefold())
