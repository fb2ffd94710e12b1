"""The two figures of a task: accuracy against training compute, and against compute per answer.

A trace's ``meta["method"]`` is the key of its style, by which the page recolours it for a dark background and picks out
one method of many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain

import plotly.graph_objects as go

from benchmarks.statistics import Interval
from reasoning_kit.comparison import Row, TaskComparison
from reasoning_kit.report import formatting as f
from reasoning_kit.report.styles import Style

MANY = 6  # methods; with more, error bars and single seeds would hide each other, and the table has them


def training_figure(task: TaskComparison, styles: Mapping[str, Style]) -> go.Figure:
    """Accuracy while training, against training FLOPs; the large mark is the result on all test problems."""
    figure = empty_figure("Training compute (FLOPs, log scale)")
    many = len(task.rows) > MANY
    for row in task.rows:
        style = styles[row.method]
        curve = task.learning.get(row.method)
        if curve is not None:
            for seed in curve.seeds if len(curve.seeds) > 1 and not many else ():
                figure.add_trace(_line(row, style, seed, faint=True))
            figure.add_trace(_line(row, style, curve.points))
        if row.training_flops:
            figure.add_trace(_final(row, style, row.training_flops, "training FLOPs", bars=not many))

    # Equal compute without curves would leave an axis without width.
    drawn = list(chain.from_iterable(trace.x for trace in figure.data))
    if drawn and max(drawn) < 2 * min(drawn):
        figure.update_xaxes(range=[math.log10(min(drawn) / 3), math.log10(3 * max(drawn))])
    if task.budget["unit"] == "flops":
        figure.add_vline(x=task.budget["limit"], line={"width": 1, "dash": "dot", "color": "#888"})
    return figure


def scaling_figure(task: TaskComparison, styles: Mapping[str, Style]) -> go.Figure:
    """Accuracy when thinking stops early, against FLOPs per answer; one point for a method that answers only once."""
    figure = empty_figure("Compute per answer (FLOPs, log scale)")
    many = len(task.rows) > MANY
    for row in task.rows:
        style = styles[row.method]
        curve = task.scaling.get(row.method)
        if curve is not None and len(curve.points) > 1:
            figure.add_trace(_line(row, style, curve.points, labels=curve.labels))
        if row.flops_per_answer:
            figure.add_trace(_final(row, style, row.flops_per_answer, "FLOPs per answer", bars=not many))
    return figure


def empty_figure(x_title: str) -> go.Figure:
    """Accuracy against a logarithmic axis, without data."""
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
    row: Row, style: Style, points: tuple[tuple[float, float], ...], faint: bool = False, labels: tuple[str, ...] = ()
) -> go.Scatter:
    kept = [(x, y, label) for (x, y), label in zip(points, labels or ("",) * len(points), strict=True) if x > 0]
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
        meta={"method": style.key},
    )


def _final(row: Row, style: Style, x: float, unit: str, bars: bool) -> go.Scatter:
    interval = row.accuracy
    return go.Scatter(
        x=[x],
        y=[interval.value],
        error_y=error_bars([interval], style.light) if bars else None,
        name=escape(row.label),
        mode="markers",
        marker={
            "symbol": style.symbol,
            "size": 12,
            "color": style.light,
            "line": {"width": 1.5 if bars else 0.75, "color": "white"},
        },
        hovertemplate=f"{f.percent(interval.value)} ({f.ends(interval)})<br>{f.si(x)} {unit}"
        "<extra>%{fullData.name}</extra>",
        meta={"method": style.key},
    )


def error_bars(intervals: Sequence[Interval], colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(interval.high - interval.value, 0) for interval in intervals],
        "arrayminus": [max(interval.value - interval.low, 0) for interval in intervals],
        "thickness": 1.6,
        "width": 5,
        "color": colour,
    }
