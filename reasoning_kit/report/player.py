"""One problem played step by step: the frames of each method, with the cells that differ from the right answer.

A step that carries a judged answer shows it whole; a step without a judgement is a piece of a written trace and is
added to the pieces before it. So a recursive model's grid changes in place, and a language model's text grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from reasoning_kit.comparison import TaskComparison


@dataclass(frozen=True)
class Frame:
    """One step: its text as HTML, whether it is a whole answer, and the line below it."""

    index: int
    html: Markup
    is_answer: bool
    correct: bool
    status: str
    halting: float | None
    columns: int


@dataclass(frozen=True)
class Player:
    method: str
    label: str
    correct: bool
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Stage:
    """The shared question and answer, and the players."""

    id: str
    question: str
    answer: str
    columns: int
    rows: int
    players: tuple[Player, ...]
    missing: tuple[str, ...]


def stage(task: TaskComparison) -> Stage | None:
    """``None`` where no run has a demo."""
    if not task.demos:
        return None
    first = next(iter(task.demos.values()))
    labels = {row.method: row.label for row in task.rows}
    players = tuple(_player(method, labels[method], demo) for method, demo in task.demos.items())
    return Stage(
        id=str(first["id"]),
        question=first["question"],
        answer=first["answer"],
        columns=_columns(first["answer"]),
        rows=max(_rows(demo) for demo in task.demos.values()),
        players=players,
        missing=tuple(row.label for row in task.rows if row.method not in task.demos),
    )


def _player(method: str, label: str, demo: Mapping[str, Any]) -> Player:
    frames = tuple(_frame(step, demo, i, len(demo["steps"])) for i, step in enumerate(demo["steps"]))
    return Player(method, label, bool(demo["correct"]), frames)


def _frame(step: Mapping[str, Any], demo: Mapping[str, Any], index: int, total: int) -> Frame:
    correct, halting = step.get("correct"), step.get("halting_probability")
    status = [str(step.get("label") or f"step {index + 1}")]
    if correct is None:
        return Frame(index, escape(step["text"]), False, False, " · ".join(status), halting, 0)
    wrong = wrong_cells(step["text"], demo["answer"])
    if correct:
        status.append("right")
    else:
        status.append("wrong" if not wrong else f"{wrong} wrong cell{'s' if wrong > 1 else ''}")
    html = marked(step["text"], demo["question"], demo["answer"])
    return Frame(index, html, True, bool(correct), " · ".join(status), halting, _columns(step["text"]))


def _columns(text: str) -> int:
    return max((len(line) for line in text.splitlines()), default=1)


def _rows(demo: Mapping[str, Any]) -> int:
    """Lines that a player needs: its whole trace and the tallest answer below it."""
    texts = [(step.get("correct") is None, len(step["text"].splitlines())) for step in demo["steps"]]
    return sum(n for piece, n in texts if piece) + max((n for piece, n in texts if not piece), default=0)


def _same_shape(a: str, b: str) -> bool:
    return [len(line) for line in a.split("\n")] == [len(line) for line in b.split("\n")]


def wrong_cells(text: str, answer: str) -> int:
    """Characters that differ from the right answer; 0 where the two cannot be laid over each other."""
    return sum(a != b for a, b in zip(text, answer, strict=True)) if _same_shape(text, answer) else 0


def marked(text: str, question: str, answer: str) -> Markup:
    """The text as HTML: what was given in the question, what was filled in rightly, and what differs from the answer.

    Texts of another shape than the answer are shown plainly.
    """
    if not _same_shape(text, answer):
        return escape(text)
    given = question if _same_shape(question, answer) else "\0" * len(answer)

    def kind(position: int) -> str:
        if text[position] != answer[position]:
            return "wrong"
        if text[position].isspace() or given[position] == answer[position]:
            return ""
        return "filled"

    parts = []
    for name, group in groupby(range(len(text)), key=kind):
        piece = escape("".join(text[i] for i in group))
        if name == "wrong":
            parts.append(Markup('<mark class="wrong">{}</mark>').format(piece))
        elif name == "filled":
            parts.append(Markup("<b>{}</b>").format(piece))
        else:
            parts.append(piece)
    return Markup("").join(parts)
