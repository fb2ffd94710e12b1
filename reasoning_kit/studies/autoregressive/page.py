"""What ``bench refinement`` found, as a page with figures; its tables are in :mod:`.refinement_tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmarks.statistics import Interval
from reasoning_kit.report.figures import empty_figure, error_bars
from reasoning_kit.report.html import packaged, script_json
from reasoning_kit.report.styles import Style, latent_style, variant_style
from reasoning_kit.studies.autoregressive.tables import Found, PlainTable, claim_tables, least_words, section_tables

HALTING = {"adaptive": "halting by the head", "oracle": "an oracle's halting"}
SIDE_BY_SIDE = {"scattermode": "group", "scattergap": 0.8}  # methods in a category


@dataclass(frozen=True)
class Figure:
    title: str
    json: Markup
    caption: str


@dataclass(frozen=True)
class Block:
    title: str
    legend: list[tuple[str, Style]]
    figures: list[Figure]


@dataclass(frozen=True)
class Section:
    """What was measured on one task; of random weights, all.

    Attributes:
        words: what it comes to.
    """

    words: list[str]
    blocks: list[Block]
    tables: list[PlainTable]


def refinement_page(found: Found) -> str:
    """The page, everything inlined."""
    styles = _styles(found)
    if "sections" in found:
        sections = [_task(section, styles) for section in found["sections"]]
    else:
        blocks = [block for block in (_compute(found, styles), _memory(found, styles)) if block]
        sections = [Section([], blocks, claim_tables(found))]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(packaged("refinement.html.j2")).render(
        title=_title(found),
        lead=_lead(found),
        styles=list({style.key: style for style in styles.values()}.values()),
        sections=sections,
        css=Markup(packaged("report.css")),
        js=Markup(packaged("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _styles(found: Found) -> dict[str, Style]:
    """Of time and FLOPs and policies; or of methods, and of policies for tasks with one method alone."""
    if "sections" not in found:
        names = ["time", "FLOPs", *(row["policy"] for row in found.get("memory", ()))]
    else:
        rows = list(chain.from_iterable(section["served"] for section in found["sections"]))
        names = [*(row["method"] for row in rows), *(row["policy"] for row in rows)]

    styles = {}
    for number, name in enumerate(dict.fromkeys(names)):
        styles[name] = latent_style() if number == 0 else variant_style(number - 1)
    return styles


def _title(found: Found) -> str:
    if "sections" in found:
        tasks = ", ".join(section["task"] for section in found["sections"])
        return f"What decoding makes of autoregressive TRMs on {tasks}"
    return "What refining a token costs"


def _lead(found: Found) -> str:
    if "sections" in found:
        runs, skipped = len(found["runs"]), len(found["skipped"])
        others = f" {skipped} runs of no language model were left out." if skipped else ""
        what = "the right answers are given token by token and refined as in decoding"
        return f"{runs} {'run' if runs == 1 else 'runs'}; of unseen problems {what}.{others}"
    width = found["settings"]["hidden_size"]
    return f"A model of width {width} with random weights: its cost does not depend on what it has learned."


# --- the claims, on random weights --------------------------------------------------------------


def _compute(found: Found, styles: Mapping[str, Style]) -> Block | None:
    if "prefix" not in found:
        return None
    figures = []
    for key, what, x_title in (
        ("prefix", "One refinement step", "Tokens before it (log scale)"),
        ("steps", "One token", "Refinement steps (log scale)"),
    ):
        rows = found[key]["rows"]
        figure = empty_figure(x_title)
        figure.update_layout(
            yaxis={
                "title": {"text": "Times the first"},
                "type": "log",
                "range": None,
                "tickformat": None,
                "dtick": None,
            }
        )
        for name, field in (("time", "seconds"), ("FLOPs", "flops")):
            y = [row[field] / rows[0][field] for row in rows]
            figure.add_trace(_line(name, styles[name], [row[key] for row in rows], y))
        caption = f"A straight line explains {found[key]['r_squared']:.1%} of the time's variance."
        figures.append(
            Figure(f"{what}, against {'its prefix' if key == 'prefix' else 'its steps'}", script_json(figure), caption)
        )
    return Block("Compute", [(name, styles[name]) for name in ("time", "FLOPs")], figures)


def _memory(found: Found, styles: Mapping[str, Style]) -> Block | None:
    if "memory" not in found:
        return None
    rows = found["memory"]
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    tokens = next(row["tokens"] for row in rows)
    figures = []
    for key, kept, x_title in (
        ("steps", lambda row: row["tokens"] == tokens, "Refinement steps (log scale)"),
        ("tokens", lambda row: row["steps"] == 4, "Tokens (log scale)"),
    ):
        figure = empty_figure(x_title)
        figure.update_layout(
            yaxis={
                "title": {"text": "Bytes (log scale)"},
                "type": "log",
                "range": None,
                "tickformat": None,
                "dtick": None,
            }
        )
        for policy in policies:
            own = sorted({(row[key], row["allocated"]) for row in rows if row["policy"] == policy and kept(row)})
            figure.add_trace(_line(policy, styles[policy], [x for x, _ in own], [y for _, y in own]))
        title = f"Cache of {tokens} tokens, against steps" if key == "steps" else "Cache at 4 steps, against tokens"
        figures.append(Figure(title, script_json(figure), "What is allocated; it equals the formula in every row."))
    return Block("Memory", [(policy, styles[policy]) for policy in policies], figures)


# --- trained runs -------------------------------------------------------------------------------


def _task(section: Found, styles: Mapping[str, Style]) -> Section:
    methods = list(dict.fromkeys(row["method"] for row in section["served"]))
    names = methods if len(methods) > 1 else list(dict.fromkeys(row["policy"] for row in section["served"]))
    legend = [(name, styles[name]) for name in names]
    figures = [_bytes(section, styles, "method" if len(methods) > 1 else "policy"), _price(section, styles)]
    blocks = [Block(section["task"], legend, figures)]
    figures = _depths(section, styles)
    if figures:
        own = [(name, styles[name]) for name in section["difficulty"]]
        blocks.append(Block(f"{section['task']}: depth against difficulty", own, figures))
    return Section(least_words(section), blocks, section_tables(section))


def _bytes(section: Found, styles: Mapping[str, Style], by: str) -> Figure:
    figure = empty_figure("Weights and cache of the longest problem (bytes, log scale)")
    figure.update_layout(xaxis={"tickformat": "~s"})
    for name in dict.fromkeys(row[by] for row in section["served"]):
        style, rows = styles[name], [row for row in section["served"] if row[by] == name]
        trace = _dots(name, style, [row["bytes"]["longest"] for row in rows], [row["accuracy"] for row in rows])
        trace.update(
            customdata=[f"{row['method']}, {row['policy']}" for row in rows],
            hovertemplate="%{customdata}<br>%{x:.3s}B: %{y:.1%}<extra></extra>",
        )
        figure.add_trace(trace)
    return Figure(
        "Problems solved, against bytes to serve",
        script_json(figure),
        "A point for each method and cache policy, at full depth; 95 % intervals.",
    )


def _price(section: Found, styles: Mapping[str, Style]) -> Figure:
    figure = empty_figure("Cache policy (a ring: the model's own)")
    figure.update_layout(xaxis={"type": "category"}, **SIDE_BY_SIDE)
    rows = [
        row
        for row in section["gap"]
        if row["halting"] == "fixed" and row["policy"] != "key_values"  # an ordinary model has no other
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        trace = _dots(name, styles[name], [row["policy"] for row in own], [row["whole"] for row in own])
        trace.marker.symbol = [styles[name].symbol + ("-open" if row["own"] else "") for row in own]
        trace.update(hovertemplate="%{x}: %{y:.1%}<extra>%{fullData.name}</extra>")
        figure.add_trace(trace)
    return Figure(
        "Whole answers right, by cache policy", script_json(figure), "Teacher-forced at full depth; 95 % intervals."
    )


def _depths(section: Found, styles: Mapping[str, Style]) -> list[Figure]:
    """One figure for each way to group tokens and to halt."""
    found: dict[tuple[str, str], go.Figure] = {}
    for method, groupings in section["difficulty"].items():
        for grouping, ways in groupings.items():
            for halting in (name for name in HALTING if name in ways):
                if (grouping, halting) not in found:
                    figure = found[grouping, halting] = empty_figure("Kind of token, easy ones first")
                    plain = {"title": {"text": "Mean steps"}, "range": None, "tickformat": None, "dtick": None}
                    figure.update_layout(xaxis={"type": "category"}, yaxis=plain, **SIDE_BY_SIDE)
                kinds = ways[halting]
                trace = _dots(method, styles[method], list(kinds), [row["steps"] for row in kinds.values()])
                trace.update(mode="lines+markers", line={"color": styles[method].light, "dash": styles[method].dash})
                trace.update(hovertemplate="%{x}: %{y:.2f} steps<extra>%{fullData.name}</extra>")
                found[grouping, halting].add_trace(trace)
    caption = "Mean over seeds, under the model's own cache policy; 95 % intervals, problems as clusters, "
    caption += "Wilson's where hardly any token differs."
    return [
        Figure(f"Steps by {grouping}, {HALTING[halting]}", script_json(figure), caption)
        for (grouping, halting), figure in found.items()
    ]


def _dots(name: str, style: Style, x: Sequence[Any], metrics: Sequence[Mapping[str, Any]]) -> go.Scatter:
    """Points with the intervals of their metrics."""
    intervals = [Interval(row["value"], row["low"], row["high"], method="", problems=0, clusters=0) for row in metrics]
    return go.Scatter(
        x=x,
        y=[interval.value for interval in intervals],
        error_y=error_bars(intervals, style.light),
        name=name,
        mode="markers",
        marker={"symbol": style.symbol, "size": 10, "color": style.light},
        meta={"method": style.key},
    )


def _line(name: str, style: Style, x: Sequence[float], y: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": style.light, "width": 2.2, "dash": style.dash},
        marker={"symbol": style.symbol, "size": 7},
        hovertemplate="%{x:.3s}: %{y:.3s}<extra>%{fullData.name}</extra>",
        meta={"method": style.key},
    )
