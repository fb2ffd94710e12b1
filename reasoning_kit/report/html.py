"""One self-contained page: everything inlined, nothing fetched, works from a file and in a mail attachment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmarks.records import RunRecord, write_atomically
from benchmarks.statistics import Difference, Interval
from reasoning_kit.comparison import (
    WINNERS,
    Comparison,
    Judged,
    JudgedClaim,
    Paired,
    Run,
    TaskComparison,
    load_comparison,
)
from reasoning_kit.report import formatting
from reasoning_kit.report.figures import MANY, scaling_figure, training_figure
from reasoning_kit.report.player import stage
from reasoning_kit.report.styles import OTHER, Style, own_styles, styles_of

REPORT = "report.html"
TALLY = {
    "latent": "latent recursion wins",
    "token": "tokens win",
    "none": "no clear winner",
    "variants": "only variants were compared",
}
ATTACHED = ("config", "data", "budget", "training", "diagnostics", "versions", "hardware", "git")


def write_report(directory: Path, comparison: Comparison | None = None) -> Path:
    """Write ``report.html`` beside the runs below ``directory``.

    Args:
        comparison: of these runs, where it is loaded already.

    Raises:
        UserError: as :func:`reasoning_kit.comparison.load_comparison`.
    """
    path = directory / REPORT
    write_atomically(path, render_report(comparison or load_comparison(directory)))
    path.chmod(0o644)
    return path


def render_report(comparison: Comparison) -> str:
    """The page. Everything that comes from data is escaped by the template."""
    styles = styles_of(comparison)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "si": formatting.si,
        "duration": formatting.duration,
        "memory": formatting.memory,
        "count": formatting.count,
        "percent": formatting.percent,
        "ends": formatting.ends,
        "points": formatting.points,
        "times": formatting.times,
        "tight": lambda text: text.replace(" %", "\u00a0%"),
    }
    environment.globals |= {
        "style": styles,
        "palette": {style.key: style for style in (*own_styles().values(), OTHER, *styles.values())},
        "interval_svg": interval_svg,
        "difference_svg": difference_svg,
        "winners": WINNERS,
        "budget_text": formatting.budget_text,
    }
    return environment.from_string(packaged("template.html.j2")).render(
        tasks=[_task(task, number, styles) for number, task in enumerate(comparison.tasks, 1)],
        tally=_tally(comparison),
        claims=_claims(comparison),
        extent=_extent(comparison),
        ablation=all(task.winner == "variants" for task in comparison.tasks),
        css=Markup(packaged("report.css")),
        js=Markup(packaged("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def packaged(name: str) -> str:
    """A file of this package, as text."""
    return (files("reasoning_kit.report") / name).read_text(encoding="utf-8")


def _claims(comparison: Comparison) -> dict[str, Any] | None:
    """What the template shows of the claims; ``None`` where the methods of none ran."""
    if not (claims := comparison.claims):
        return None
    ran = {judged.task for judged in chain.from_iterable(claim.tasks for claim in claims)}
    tasks = [task.name for task in comparison.tasks if task.name in ran]
    return {
        "title": comparison.claims_title,
        "how": formatting.HOW_CLAIMS,
        "claims": claims,
        "tasks": tasks,
        "matrix": [(claim.claim.text, [_on(claim, name) for name in tasks]) for claim in claims],
        "cautions": formatting.cautions(claims),
    }


def _on(claim: JudgedClaim, task: str) -> Judged | None:
    return next((judged for judged in claim.tasks if judged.task == task), None)


def _task(task: TaskComparison, number: int, styles: Mapping[str, Style]) -> dict[str, Any]:
    """What the template shows of one task."""
    notes: list[str] = []
    marks: dict[str, list[int]] = {}
    for row in task.rows:
        for note in row.notes:
            if note not in notes:
                notes.append(note)
        marks[row.method] = [notes.index(note) + 1 for note in row.notes]
    return {
        "number": number,
        "data": task,
        "labels": {row.method: row.label for row in task.rows},
        "best": max(row.accuracy.value for row in task.rows),
        "notes": notes,
        "marks": marks,
        "many": len(task.rows) > MANY,
        "figures": {
            "training": script_json(training_figure(task, styles)),
            "scaling": script_json(scaling_figure(task, styles)),
        },
        "thinking": _thinking(task),
        "stage": stage(task),
        "shared": _shared([run.record for run in task.runs]),
        "runs": [_run(run) for run in task.runs],
    }


def _thinking(task: TaskComparison) -> list[Paired]:
    """The headline, and what thinking adds to one kind of network."""
    first = [] if task.headline is None or task.headline in task.thinking_contrasts else [task.headline]
    return [*first, *task.thinking_contrasts]


def script_json(figure: go.Figure) -> Markup:
    """JSON that may stand inside ``<script>``: no character in it can end the element."""
    text = figure.to_json() or "{}"
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _tally(comparison: Comparison) -> str:
    """The answer over all tasks in one sentence."""
    wins = Counter(task.winner for task in comparison.tasks)
    total = len(comparison.tasks)
    if wins["variants"] == total:
        pairs = chain.from_iterable(task.parts for task in comparison.tasks)
        gaps = [pair.difference for pair in pairs]
        below, above = sum(gap.low > 0 for gap in gaps), sum(gap.high < 0 for gap in gaps)
        where = f" over {total} tasks" if total > 1 else ""
        return f"Of {len(gaps)} variants{where}, {below} are clearly below their base and {above} clearly above it."

    tasks = "tasks" if total > 1 else "task"
    parts = [f"{text} on {wins[key]} of {total} {tasks}" for key, text in TALLY.items() if wins[key]]
    sentence = "; ".join(parts) or "one side of the question was not run"
    return sentence[0].upper() + sentence[1:] + "."


def _extent(comparison: Comparison) -> dict[str, Any]:
    runs = chain.from_iterable(task.runs for task in comparison.tasks)
    records = [run.record for run in runs]
    started = sorted(r.started for r in records if r.started)
    return {
        "methods": len({r.method for r in records}),
        "runs": len(records),
        "tasks": len(comparison.tasks),
        "seeds": max(task.seeds for task in comparison.tasks),
        "started": " to ".join(dict.fromkeys(s[:10] for s in (started[0], started[-1]))) if started else "",
        "budgets": sorted({formatting.budget_text(t.budget["unit"], t.budget["limit"]) for t in comparison.tasks}),
    }


def _shared(records: list[RunRecord]) -> list[tuple[str, str]]:
    """Facts about the runs; where runs differ, all values."""
    facts: list[tuple[str, str]] = []
    for name in ("data", "budget", "hardware", "git", "versions"):
        groups = [getattr(record, name) for record in records]
        for key in dict.fromkeys(chain.from_iterable(groups)):
            values = dict.fromkeys(_plain(group[key]) for group in groups if key in group)
            facts.append((f"{name}: {key}", " / ".join(values)))
    return facts


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _run(run: Run) -> dict[str, Any]:
    record = run.record
    attached = {name: getattr(record, name) for name in ATTACHED}
    return {
        "title": f"{record.method}, seed {record.seed}",
        "fingerprint": record.fingerprint,
        "started": record.started,
        "json": json.dumps(attached, indent=2, ensure_ascii=False),
    }


def interval_svg(interval: Interval, key: str) -> Markup:
    """A 0 to 100 % rule with the interval as a bar and the value as a tick; the numbers stand beside it.

    Args:
        key: of the style whose colour it has.
    """
    low, high, value = (100 * x for x in (interval.low, interval.high, interval.value))
    colour = f"var(--m-{key})"
    return Markup(
        '<svg class="rule" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4" width="100" height="2"/>'
        '<rect x="{:.2f}" y="2" width="{:.2f}" height="6" fill="{}" opacity=".38"/>'
        '<rect x="{:.2f}" y="0" width="1.6" height="10" fill="{}"/></svg>'
    ).format(low, max(high - low, 0.8), colour, min(value, 98.4), colour)


def difference_svg(difference: Difference) -> Markup:
    """A -100 to +100 points rule with zero in the middle."""
    low, high, value = (50 + 50 * x for x in (difference.low, difference.high, difference.value))
    return Markup(
        '<svg class="rule wide {}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="4.4" width="100" height="1.2"/>'
        '<rect class="zero" x="49.8" width=".4" height="10"/>'
        '<rect class="bar" x="{:.2f}" y="2" width="{:.2f}" height="6"/>'
        '<rect class="tick" x="{:.2f}" y="0" width=".9" height="10"/></svg>'
    ).format("clear" if difference.clear else "unclear", low, max(high - low, 0.4), min(value, 99.1))
