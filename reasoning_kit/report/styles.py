"""The style of each method, the same everywhere in a report: colours, marker, dash, and its style in a terminal.

Colours are told apart by colour-blind readers as far as so many can be, and markers without any colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain

from reasoning_kit.comparison import Comparison
from reasoning_kit.registry import METHODS


@dataclass(frozen=True)
class Style:
    """
    Attributes:
        key: the name of its colour on the page is ``--m-<key>``.
        light, dark: colour on white and on black.
        symbol: plotly's name of the marker.
        path: the marker as an SVG path in a 16 x 16 box.
        terminal: rich's style of its name.
    """

    key: str
    light: str
    dark: str
    symbol: str
    dash: str
    path: str
    terminal: str


# By the names that methods say (benchmarks.method.Method.colour). Cool colours are for recursive networks, warm ones
# for language models; methods that do not think are dashed.
PALETTE = {
    style.key: style
    for style in (
        Style("slate", "#5b6b80", "#9fb0c6", "square", "dash", "M3.5 3.5h9v9h-9z", ""),
        Style("blue", "#0067ab", "#5cb8f2", "circle", "solid", "M8 2.8a5.2 5.2 0 1 0 .01 0z", "blue"),
        Style("ochre", "#9a7000", "#e3b94f", "diamond", "dash", "M8 1.8 14.2 8 8 14.2 1.8 8z", "yellow"),
        Style("orange", "#cc5200", "#ff9257", "triangle-up", "solid", "M8 2.2 14 13H2z", "red"),
        Style("purple", "#9b3a8c", "#e294d3", "cross", "solid", "M6 2h4v4h4v4h-4v4H6v-4H2V6h4z", "magenta"),
        Style("pink", "#e0007a", "#ff5ca8", "hexagon", "dot", "M8 1.6l5.6 3.2v6.4L8 14.4l-5.6-3.2V4.8z", "deep_pink3"),
    )
}
OTHER = Style(
    "other", "#3f3f46", "#d4d4d8", "x", "dot", "M3 3l10 10M13 3 3 13", ""
)  # of text that belongs to no method

# On white, on black, in a terminal. Chosen one after another, each as far as possible (OKLab) from those above it, to
# normal eyes and to eyes without red or green receptors (Machado et al. 2009), with a contrast of 3 at least.
COLOURS = (
    ("#8a7ff4", "#8690f0", "cyan"),
    ("#2ca083", "#8bed83", "green"),
    ("#62127e", "#9069f5", "bright_magenta"),
    ("#85420c", "#d4f73e", "dark_orange3"),
    ("#2631b2", "#5f82b0", "bright_blue"),
    ("#628fb9", "#baf8b4", "medium_purple"),
    ("#5d5ee5", "#9fcefa", "dark_cyan"),
    ("#7c111c", "#ab6d6a", "indian_red"),
    ("#21654c", "#34982f", "chartreuse4"),
    ("#e85f60", "#e74d13", "bright_red"),
    ("#70366c", "#d25aca", "medium_violet_red"),
    ("#c31a57", "#d67f71", "hot_pink3"),
    ("#3b7ccc", "#a1cd9d", "steel_blue"),
    ("#1651cc", "#4fa1a1", "dodger_blue2"),
)
MARKERS = (
    ("triangle-down", "M8 13.8 2 3h12z"),
    ("star", "M8 1.5 9.9 6l4.9.4-3.7 3.2 1.1 4.8L8 11.8l-4.2 2.6 1.1-4.8L1.2 6.4 6.1 6z"),
    ("pentagon", "M8 2l6 4.4-2.3 7.1H4.3L2 6.4z"),
    ("hourglass", "M2.5 2.5h11L8 8l5.5 5.5h-11L8 8z"),
    ("triangle-right", "M13.8 8 3 14V2z"),
    ("bowtie", "M2.5 2.5 8 8l5.5-5.5v11L8 8l-5.5 5.5z"),
    ("triangle-left", "M2.2 8 13 14V2z"),
)
DASHES = ("solid", "dot", "dashdot")


def own_styles() -> dict[str, Style]:
    """The styles of the methods that name a colour, in the order in which methods are listed."""
    named = {name: cls.colour for name, cls in METHODS.items() if cls.colour in PALETTE}
    return {name: replace(PALETTE[colour], key=name) for name, colour in named.items()}


def latent_style() -> Style:
    """Of latent recursion, which also draws the first line of a page that has no methods beside each other."""
    return next(style for name, style in own_styles().items() if METHODS[name].thinking == "latent")


def styles_of(comparison: Comparison) -> dict[str, Style]:
    """The style of every method of a comparison.

    Variants, and methods that name no colour (those of plug-ins), take theirs in the order of the rows.
    """
    rows = {row.method: row for row in chain.from_iterable(task.rows for task in comparison.tasks)}
    own = own_styles()
    styles = {name: own[name] for name in rows if name in own}

    others = [row for row in rows.values() if row.method not in own]
    for number, row in enumerate(others):
        style = variant_style(number)
        styles[row.method] = style if row.thinking != "none" else replace(style, dash="dash")
    return styles


def variant_style(number: int) -> Style:
    """The style of the variant with this number, counted from 0; colour and marker together come again after 98."""
    light, dark, terminal = COLOURS[number % len(COLOURS)]
    symbol, path = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
    dash = DASHES[number // len(MARKERS) % len(DASHES)]
    return Style(f"variant-{number + 1}", light, dark, symbol, dash, path, terminal)
