"""The two figures of a task: accuracy against training compute, and against compute per answer.

Each method keeps one colour, marker and dash everywhere; the colours are told apart by colour-blind readers and the
markers without any colour. A trace's ``meta["method"]`` lets the page recolour it for a dark background.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from benchmarks.statistics import Interval
from reasoning_kit.comparison import Row, TaskComparison
from reasoning_kit.report import formatting as f


@dataclass(frozen=True)
class Look:
    """Colour on white, colour on black, plotly marker, dash, and the marker as an SVG path in a 16 x 16 box."""

    light: str
    dark: str
    symbol: str
    dash: str
    path: str


# Cool colours for recursive networks, warm ones for language models; methods that do not think are dashed.
LOOKS = {
    "direct": Look("#5b6b80", "#9fb0c6", "square", "dash", "M3.5 3.5h9v9h-9z"),
    "trm": Look("#0067ab", "#5cb8f2", "circle", "solid", "M8 2.8a5.2 5.2 0 1 0 .01 0z"),
    "answer_only": Look("#9a7000", "#e3b94f", "diamond", "dash", "M8 1.8 14.2 8 8 14.2 1.8 8z"),
    "cot": Look("#cc5200", "#ff9257", "triangle-up", "solid", "M8 2.2 14 13H2z"),
    "grpo": Look("#9b3a8c", "#e294d3", "cross", "solid", "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z"),
}
OTHER = Look("#3f3f46", "#d4d4d8", "x", "dot", "M3 3l10 10M13 3 3 13")


def look(method: str) -> Look:
    return LOOKS.get(method, OTHER)


def colour_key(method: str) -> str:
    """The name of the method's colour on the page: ``--m-<key>``."""
    return method if method in LOOKS else "other"


def training_figure(task: TaskComparison) -> go.Figure:
    """Accuracy while training, against training FLOPs; the large mark is the result on all test problems."""
    figure = _empty("Training compute (FLOPs, log scale)")
    for row in task.rows:
        curve = task.learning.get(row.method)
        if curve is not None:
            for seed in curve.seeds if len(curve.seeds) > 1 else ():
                figure.add_trace(_line(row, seed, faint=True))
            figure.add_trace(_line(row, curve.points))
        if row.training_flops:
            figure.add_trace(_final(row, row.training_flops, "training FLOPs"))
    if task.budget["unit"] == "flops":
        figure.add_vline(x=task.budget["limit"], line={"width": 1, "dash": "dot", "color": "#888"})
    return figure


def scaling_figure(task: TaskComparison) -> go.Figure:
    """Accuracy when thinking stops early, against FLOPs per answer; one point for a method that answers only once."""
    figure = _empty("Compute per answer (FLOPs, log scale)")
    for row in task.rows:
        curve = task.scaling.get(row.method)
        if curve is not None and len(curve.points) > 1:
            figure.add_trace(_line(row, curve.points, labels=curve.labels))
        if row.flops_per_answer:
            figure.add_trace(_final(row, row.flops_per_answer, "FLOPs per answer"))
    return figure


def _empty(x_title: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        xaxis={"title": {"text": x_title}, "type": "log", "exponentformat": "power", "minor": {"ticks": "outside"}},
        yaxis={"title": {"text": "Accuracy"}, "range": [-0.03, 1.03], "tickformat": ".0%", "dtick": 0.25},
        margin={"l": 56, "r": 16, "t": 10, "b": 48},
        showlegend=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def _line(
    row: Row, points: tuple[tuple[float, float], ...], faint: bool = False, labels: tuple[str, ...] = ()
) -> go.Scatter:
    kept = [(x, y, label) for (x, y), label in zip(points, labels or ("",) * len(points), strict=True) if x > 0]
    style = look(row.method)
    return go.Scatter(
        x=[x for x, _, _ in kept],
        y=[y for _, y, _ in kept],
        name=escape(row.label),
        mode="lines+markers" if labels else "lines",
        line={"color": style.light, "width": 1 if faint else 2.4, "dash": "solid" if faint else style.dash},
        marker={"symbol": style.symbol, "size": 5.5},
        opacity=0.22 if faint else 1,
        hoverinfo="skip" if faint else "all",
        customdata=[escape(label) for _, _, label in kept],
        hovertemplate=None if faint else "%{x:.3s} FLOPs: %{y:.1%} %{customdata}<extra>%{fullData.name}</extra>",
        meta={"method": colour_key(row.method)},
    )


def _final(row: Row, x: float, unit: str) -> go.Scatter:
    style, interval = look(row.method), row.accuracy
    return go.Scatter(
        x=[x],
        y=[interval.value],
        error_y=_bars(interval, style.light),
        name=escape(row.label),
        mode="markers",
        marker={"symbol": style.symbol, "size": 12, "color": style.light, "line": {"width": 1.5, "color": "white"}},
        hovertemplate=f"{f.percent(interval.value)} ({f.ends(interval)})<br>{f.si(x)} {unit}"
        "<extra>%{fullData.name}</extra>",
        meta={"method": colour_key(row.method)},
    )


def _bars(interval: Interval, colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(interval.high - interval.value, 0)],
        "arrayminus": [max(interval.value - interval.low, 0)],
        "thickness": 1.6,
        "width": 5,
        "color": colour,
    }
