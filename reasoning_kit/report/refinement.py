"""What ``bench refinement`` found: tables, for the terminal too, and a page with figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from benchmarks.statistics import Interval
from reasoning_kit.report import formatting as f
from reasoning_kit.report.figures import empty_figure, error_bars
from reasoning_kit.report.html import packaged, script_json
from reasoning_kit.report.looks import LOOKS, Look, variant_look

Found = Mapping[str, Any]


@dataclass(frozen=True)
class PlainTable:
    """Cells as text, the first of each row is its name."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    title: str
    json: Markup
    caption: str


@dataclass(frozen=True)
class Block:
    title: str
    legend: list[tuple[str, Look]]
    figures: list[Figure]


def refinement_page(found: Found) -> str:
    """The page, everything inlined."""
    names = dict.fromkeys(["time", "FLOPs", *(row["policy"] for row in found.get("memory", found.get("ways", ())))])
    names |= dict.fromkeys(found.get("difficulty", ()))
    looks = {name: LOOKS["trm"] if i == 0 else variant_look(i - 1) for i, name in enumerate(names)}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(packaged("refinement.html.j2")).render(
        title=_title(found),
        lead=_lead(found),
        looks=list(looks.values()),
        blocks=[block for block in (_compute(found, looks), _memory(found, looks), _run(found, looks)) if block],
        tables=refinement_tables(found),
        css=Markup(packaged("report.css")),
        js=Markup(packaged("report.js")),
        plotly=Markup(get_plotlyjs()),
    )


def _title(found: Found) -> str:
    if "run" in found:
        return f"What decoding makes of an autoregressive TRM on {found['task']}"
    return "What refining a token costs"


def _lead(found: Found) -> str:
    if "run" in found:
        what = "the right answers are given token by token and refined as in decoding"
        return f"{found['problems']} unseen problems; {what}."
    width = found["settings"]["hidden_size"]
    return f"A model of width {width} with random weights: its cost does not depend on what it has learned."


# --- figures ------------------------------------------------------------------------------------


def _compute(found: Found, looks: Mapping[str, Look]) -> Block | None:
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
            figure.add_trace(_line(name, looks[name], [row[key] for row in rows], y))
        caption = f"A straight line explains {found[key]['r_squared']:.1%} of the time's variance."
        figures.append(
            Figure(f"{what}, against {'its prefix' if key == 'prefix' else 'its steps'}", script_json(figure), caption)
        )
    return Block("Compute", [(name, looks[name]) for name in ("time", "FLOPs")], figures)


def _memory(found: Found, looks: Mapping[str, Look]) -> Block | None:
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
            figure.add_trace(_line(policy, looks[policy], [x for x, _ in own], [y for _, y in own]))
        title = f"Cache of {tokens} tokens, against steps" if key == "steps" else "Cache at 4 steps, against tokens"
        figures.append(Figure(title, script_json(figure), "What is allocated; it equals the formula in every row."))
    return Block("Memory", [(policy, looks[policy]) for policy in policies], figures)


def _run(found: Found, looks: Mapping[str, Look]) -> Block | None:
    if "ways" not in found:
        return None
    figure = empty_figure("Cache of the longest problem (bytes, log scale)")
    for way in found["ways"]:
        if way["halting"] == "oracle":
            continue
        look, whole = looks[way["policy"]], way["whole"]
        interval = Interval(
            **{name: whole[name] for name in ("value", "low", "high")}, method="", problems=0, clusters=0
        )
        trace = _line(f"{way['policy']}, {way['halting']}", look, [way["memory_bytes"]], [way["whole"]["value"]])
        trace.update(error_y=error_bars([interval], look.light), marker={"symbol": look.symbol, "size": 10})
        figure.add_trace(trace)
    figures = [
        Figure(
            "Whole answers right, against memory",
            script_json(figure),
            "At full depth and with the model's halting, 95 % intervals.",
        )
    ]
    legend = [(policy, looks[policy]) for policy in dict.fromkeys(way["policy"] for way in found["ways"])]
    if found.get("difficulty"):
        bars = empty_figure("Kind of token")
        bars.update_layout(
            barmode="group",
            xaxis={"type": "category"},
            yaxis={"title": {"text": "Mean steps"}, "range": None, "tickformat": None, "dtick": None},
        )
        for halting, kinds in found["difficulty"].items():
            y = [row["steps"] for row in kinds.values()]
            look = looks[halting]
            colour = {"color": look.light}  # drawn anew by the page, as lines are
            bars.add_trace(go.Bar(x=list(kinds), y=y, name=halting, marker=colour, meta={"method": look.key}))
        legend += [(halting, looks[halting]) for halting in found["difficulty"]]
        figures.append(Figure("Steps by difficulty", script_json(bars), "Under the model's own cache policy."))
    return Block("Policies and halting", legend, figures)


def _line(name: str, look: Look, x: Sequence[float], y: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": look.light, "width": 2.2, "dash": look.dash},
        marker={"symbol": look.symbol, "size": 7},
        hovertemplate="%{x:.3s}: %{y:.3s}<extra>%{fullData.name}</extra>",
        meta={"method": look.key},
    )


# --- tables -------------------------------------------------------------------------------------


def refinement_tables(found: Found) -> list[PlainTable]:
    """Everything that was measured."""
    tables = [*_lines(found)]
    rows: list[tuple[str, ...]]
    if "memory" in found:
        rows = [
            (row["policy"], str(row["steps"]), str(row["tokens"]), f.memory(row["allocated"]), f.memory(row["formula"]))
            for row in found["memory"]
        ]
        tables.append(PlainTable(("Cache policy", "Steps", "Tokens", "Allocated", "Formula"), rows))
    if "recomputation" in found:
        line = found["recomputation"]
        rows = [
            ("with the cache", f.duration(line["cached_seconds"]), f.si(line["cached_flops"])),
            ("recomputed", f.duration(line["recomputed_seconds"]), f.si(line["recomputed_flops"])),
            ("ratio", f"{line['ratio']:.1f}", f"{line['recomputed_flops'] / line['cached_flops']:.1f}"),
        ]
        tables.append(PlainTable((f"{line['tokens']} tokens in {line['rows']} rows", "Time", "FLOPs"), rows))
    if "ways" in found:
        tables.append(_ways(found["ways"]))
    for halting, kinds in found.get("difficulty", {}).items():
        rows = [(k, str(row["tokens"]), f"{row['steps']:.2f}", f.percent(row["right"])) for k, row in kinds.items()]
        tables.append(PlainTable((f"Token ({halting} halting)", "Count", "Steps", "Right"), rows))
    if "lock_step" in found:
        tables.append(_batching(found["lock_step"]))
    return tables


def _lines(found: Found) -> Iterable[PlainTable]:
    for key, first in (("prefix", "Tokens before a step"), ("steps", "Steps of a token")):
        if key in found:
            line = found[key]
            rows = [(str(row[key]), f.duration(row["seconds"]), f.si(row["flops"])) for row in line["rows"]]
            caption = (
                f"Policy {line['policy']}. A straight line explains {line['r_squared']:.1%} of the time; between the "
                f"last two rows it grows with the power {line['exponent']:.2f}."
            )
            yield PlainTable((first, "Time", "FLOPs"), rows, caption)


def _ways(ways: Sequence[Mapping[str, Any]]) -> PlainTable:
    rows = []
    for way in ways:
        whole = way["whole"]
        interval = f"{f.percent(whole['value'])} ({100 * whole['low']:.1f} to {100 * whole['high']:.1f})"
        numbers = (f"{way['steps']:.2f}", f"{way['loss']:.3f}", f.percent(way["tokens"]), interval)
        rows.append((f"{way['policy']}, {way['halting']}", *numbers, f.memory(way["memory_bytes"])))
    return PlainTable(("Policy, halting", "Steps", "Loss", "Tokens", "Whole", "Cache"), rows)


def _batching(line: Mapping[str, Any]) -> PlainTable:
    rows = []
    for name, key in (("depth-wise", "depthwise"), ("lock-step", "lock_step")):
        per_second = statistics.median(line[f"{key}_tokens_per_second"])
        rows.append((name, f"{per_second:.3g}", str(line["ticks"][name])))
    rows.append(("ratio", f"{line['ratio']:.2f}", f"{line['tick_ratio']:.2f}"))
    caption = f"{line['rows']} rows, {line['mean_steps']:.2f} of {line['most_steps']} steps a token; the same tokens."
    return PlainTable(("Batching", "Tokens/s", "Steps of the batch"), rows, caption)
