"""Accuracy against compute per puzzle of one trained model: the table, and a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import chain
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.scaling import Point, Series
from benchmarks.statistics import Interval
from reasoning_kit.report import formatting as f
from reasoning_kit.report.figures import empty_figure, error_bars
from reasoning_kit.report.html import packaged, script_json
from reasoning_kit.report.styles import Style, latent_style, variant_style

ORACLE = "oracle (verifier-chosen)"


def scaling_table(series: Sequence[Series], unit: str) -> Table:
    """One row per marked point, ready for ``console.print``; ``unit``: what :attr:`Point.steps` are."""
    caption = "Oracle: verifier-chosen among all answers on the way, which is not an accuracy"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption)
    table.add_column("Thinking", no_wrap=True)
    for heading in ("FLOPs/\npuzzle", unit, "Accu-\nracy", "95 %\ninterval", "Oracle"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in series:
        table.add_row(Text(line.label, style="bold"))
        for point in _marked(line):
            table.add_row(*(Text(cell) for cell in (f"  {point.label}", *_cells(point))))
    return table


def scaling_page(found: dict[str, Any], series: Sequence[Series]) -> str:
    """The page: figure, table and settings, everything inlined."""
    styles = {}
    for number, line in enumerate(series):
        styles[line.key] = latent_style() if number == 0 else variant_style(number - 1)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(packaged("scaling.html.j2")).render(
        found=found,
        lines=[(line, styles[line.key], [(point, _cells(point)) for point in _marked(line)]) for line in series],
        figures={
            "accuracy": script_json(_figure(series, styles, oracle=False)),
            "oracle": script_json(_figure(series, styles, oracle=True)),
        },
        facts=_facts(found),
        css=Markup(packaged("report.css")),
        js=Markup(packaged("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _marked(line: Series) -> list[Point]:
    return [point for point in line.points if point.marked]


def _cells(point: Point) -> tuple[str, str, str, str, str]:
    return (
        f.si(point.flops),
        f.count(point.steps) if point.steps >= 0.5 else "0",
        f.percent(point.accuracy.value),
        f.ends(point.accuracy),
        f.percent(point.oracle.value),
    )


def _figure(series: Sequence[Series], styles: dict[str, Style], oracle: bool) -> go.Figure:
    """Every point on a line, those of the table with marker and interval; the oracle is dashed."""
    figure = empty_figure("Compute per puzzle (FLOPs, log scale)")

    # The axis begins below the lowest interval; the first marked point is where thinking has only begun.
    shown = chain.from_iterable(_marked(line)[1:] or line.points for line in series)
    lowest = min(point.accuracy.low for point in shown)
    figure.update_layout(yaxis={"range": [max(lowest - 0.05, -0.03), 1.03], "dtick": None})
    if oracle:
        figure.update_layout(yaxis={"title": {"text": "Share of problems"}})
    for line in series:
        style = styles[line.key]
        for points, mode in ((line.points, "lines"), (_marked(line), "markers")):
            values = [point.oracle if oracle else point.accuracy for point in points]
            figure.add_trace(_trace(line.label, style, points, values, mode, oracle))
    return figure


def _trace(
    label: str, style: Style, points: Sequence[Point], values: Sequence[Interval], mode: str, oracle: bool
) -> go.Scatter:
    marks = mode == "markers"
    return go.Scatter(
        x=[point.flops for point in points],
        y=[value.value for value in values],
        error_y=error_bars(values, style.light) if marks else None,
        name=escape(label),
        mode=mode,
        line={"color": style.light, "width": 2, "dash": "dash" if oracle else "solid"},
        marker={"symbol": style.symbol, "size": 8, "color": style.light, "line": {"width": 0.75, "color": "white"}},
        hoverinfo="all" if marks else "skip",
        customdata=[[escape(p.label), f.ends(value)] for p, value in zip(points, values, strict=True)],
        hovertemplate=f"%{{customdata[0]}}: %{{y:.1%}} (%{{customdata[1]}})<br>%{{x:.3s}} FLOPs"
        f"<extra>%{{fullData.name}}{', ' + ORACLE if oracle else ''}</extra>"
        if marks
        else None,
        meta={"method": style.key},
    )


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    flat = {"run": found["run"], "method": found["method"], "seed": found["seed"], "data": found["data"]}
    flat |= {"problems": found["problems"], "time": f.duration(found["seconds"])}
    for group in ("task", "settings", "hardware", "git", "versions"):
        flat |= {f"{group}: {key}": value for key, value in found[group].items() if value is not None}
    return [(key, str(value)) for key, value in flat.items()]
