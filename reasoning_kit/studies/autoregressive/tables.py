"""What ``bench refinement`` found, as tables for the terminal and the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from reasoning_kit.report import formatting as f

Found = Mapping[str, Any]
TITLES = {"fixed": "At full depth", "adaptive": "Halting by the head", "oracle": "An oracle's halting"}


@dataclass(frozen=True)
class PlainTable:
    """Cells as text, the first of each row is its name."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""
    title: str = ""


def refinement_tables(found: Found) -> list[PlainTable]:
    """Everything that was measured."""
    if "sections" not in found:
        return claim_tables(found)
    tables = list(chain.from_iterable(section_tables(section) for section in found["sections"]))
    if found["skipped"]:
        rows = [(run,) for run in found["skipped"]]
        tables.append(PlainTable(("Left out",), rows, "No language model was trained in these runs."))
    return tables


# --- the claims, on random weights --------------------------------------------------------------


def claim_tables(found: Found) -> list[PlainTable]:
    rows: list[tuple[str, ...]] = [
        (row["policy"], str(row["steps"]), str(row["tokens"]), f.memory(row["allocated"]), f.memory(row["formula"]))
        for row in found["memory"]
    ]
    line = found["recomputation"]
    recomputed = [
        ("with the cache", f.duration(line["cached_seconds"]), f.si(line["cached_flops"])),
        ("recomputed", f.duration(line["recomputed_seconds"]), f.si(line["recomputed_flops"])),
        ("ratio", f"{line['ratio']:.1f}", f"{line['recomputed_flops'] / line['cached_flops']:.1f}"),
    ]
    return [
        *_lines(found),
        PlainTable(("Cache policy", "Steps", "Tokens", "Allocated", "Formula"), rows),
        PlainTable((f"{line['tokens']} tokens in {line['rows']} rows", "Time", "FLOPs"), recomputed),
    ]


def _lines(found: Found) -> Iterable[PlainTable]:
    for key, first in (("prefix", "Tokens before a step"), ("steps", "Steps of a token")):
        line = found[key]
        rows = [(str(row[key]), f.duration(row["seconds"]), f.si(row["flops"])) for row in line["rows"]]
        caption = (
            f"Policy {line['policy']}. A straight line explains {line['r_squared']:.1%} of the time; between the "
            f"last two rows it grows with the power {line['exponent']:.2f}."
        )
        yield PlainTable((first, "Time", "FLOPs"), rows, caption)


# --- trained runs -------------------------------------------------------------------------------


def section_tables(section: Found) -> list[PlainTable]:
    """Of one task."""
    tables = [_gap(section, halting) for halting in TITLES]
    tables.append(_served(section))
    for method, groupings in section["difficulty"].items():
        for grouping, ways in groupings.items():
            tables.append(_difficulty(f"{section['task']}, {method}: {grouping}", ways))
    tables.append(_batching(section))
    return [each for each in tables if each.rows]


def _gap(section: Found, halting: str) -> PlainTable:
    rows = []
    for row in section["gap"]:
        if row["halting"] == halting:
            policy = f"{row['policy']} *" if row["own"] else row["policy"]
            numbers = (_spread(row["steps"], 2), _spread(row["loss"], 3), _percents(row["tokens"]))
            rows.append((row["method"], row["training"], policy, *numbers, _metric(row["whole"])))
    caption = (
        f"{section['problems']} problems{_seeds(section['gap'])}, the right answers given token by token. * the "
        "model's own policy. Loss: nats a token. Means over seeds with the least and the greatest; whole answers right "
        "with a 95 % interval; with a chain of thought they include it."
    )
    title = TITLES[halting].lower()
    title += f" above {_sure(section)}" if halting == "adaptive" else ""
    headings = ("Method", "Trained", "Policy", "Steps", "Loss", "Tokens right", "Whole right")
    return PlainTable(headings, rows, caption, f"{section['task']}: {title}")


def _seeds(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = sorted({row["seeds"] for row in rows})
    return "" if counts == [1] else f", {' or '.join(map(str, counts))} seeds of a method"


def _served(section: Found) -> PlainTable:
    rows = []
    for row in section["served"]:
        gap = row["behind"]
        ends = [round(100 * gap[end], 1) + 0.0 for end in ("value", "low", "high")] if gap else []
        beside = "the best" if gap is None else f"{ends[0]:+.1f} ({ends[1]:+.1f} to {ends[2]:+.1f})"
        sizes = [f.memory(row["caches"]["longest"]), *(f.memory(size) for size in row["bytes"].values())]
        policy = f"{row['policy']} *" if row["own"] else row["policy"]
        rows.append((row["method"], policy, str(row["longest"]), f.memory(row["weights"]), *sizes,
                     _metric(row["accuracy"]), beside))  # fmt: skip
    caption = (
        "float32, one row, weights and cache alone, no activations; at 1,024 and 4,096 tokens by formula. Solved: "
        "greedy decoding at full depth. " + " ".join(least_words(section))
    )
    longer = [f"at {int(tokens):,}" for tokens in section["fewest"] if tokens != "longest"]
    headings = ("Method", "Policy", "Longest", "Weights", "Its cache", "Together", *longer, "Solved", "To the best")
    return PlainTable(headings, rows, caption, f"{section['task']}: bytes to serve")


def least_words(section: Found) -> list[str]:
    """What is said of the fewest bytes, once for all lengths where it is the same."""
    lengths: dict[str, list[str]] = {}
    for tokens, said in section["fewest"].items():
        lengths.setdefault(said, []).append("the longest problem" if tokens == "longest" else f"{int(tokens):,} tokens")
    return [f"At {', '.join(at)}: {said}" for said, at in lengths.items()]


def _difficulty(title: str, ways: Mapping[str, Any]) -> PlainTable:
    kinds = ways["fixed"]
    halting = [name for name in ways if name != "fixed"]
    headings: list[str] = []
    for name in halting:
        headings += [f"Steps, {name}", "right"]

    # A row for each kind of token, with two cells for each way of halting.
    rows = []
    for kind, row in kinds.items():
        cells = [kind, str(row["tokens"]), f.percent(row["right"]["value"])]
        for name in halting:
            cells += _steps_and_right(ways[name][kind])
        rows.append(tuple(cells))
    caption = (
        "Count: of one seed. Right: at full depth, then after the steps of each way of halting, which have 95 % "
        "intervals over seeds, problems as clusters."
    )
    return PlainTable(("Token", "Count", "Right", *headings), rows, caption, title)


def _steps_and_right(row: Mapping[str, Any]) -> tuple[str, str]:
    return _ends(row["steps"]), f.percent(row["right"]["value"])


def _batching(section: Found) -> PlainTable:
    rows = []
    for line in section["lock_step"]:
        speeds = (statistics.median(line[f"{key}_tokens_per_second"]) for key in ("depthwise", "lock_step"))
        rows.append(
            (
                f"{line['method']}, seed {line['seed']}",
                f"{line['mean_steps']:.2f}",
                f"{line['deepest_of_wave']:.2f}",
                *(f"{speed:.3g}" for speed in speeds),
                _ratio(line["ratios"]),
                _ratio(line["ratios_without_prompts"]),
                f"{line['ticks']['lock-step']} / {line['ticks']['depth-wise']} = {line['tick_ratio']:.2f}",
                str(line["rounding"]),
            )
        )
    most = max((line["most_steps"] for line in section["lock_step"]), default=0)
    of_rows = max((line["rows"] for line in section["lock_step"]), default=0)
    caption = (
        f"{of_rows} rows, halting above {_sure(section)}, at most {most} steps, the model's own cache "
        "policy. Speed-up: median of neighbouring repeats with the least and the greatest; decoding alone leaves out "
        "prompts that are refined all at once. Rounding: prompts in which it made the two write other tokens; none in "
        "float64."
    )
    headings = ("Run", "Steps a token", "Deepest of a wave", "Tokens/s depth-wise", "in lock-step", "Speed-up",
                "decoding alone", "Steps of the batch", "Rounding")  # fmt: skip
    return PlainTable(headings, rows, caption, f"{section['task']}: depth-wise batching against lock-step")


def _ratio(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _spread(row: Mapping[str, float], digits: int) -> str:
    text = f"{row['value']:.{digits}f}"
    if row["low"] == row["high"]:
        return text
    return f"{text} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


def _percents(row: Mapping[str, float]) -> str:
    text = f.percent(row["value"])
    return text if row["low"] == row["high"] else f"{text} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _metric(row: Mapping[str, Any]) -> str:
    return f"{f.percent(row['value'])} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _ends(row: Mapping[str, float]) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _sure(section: Mapping[str, Any]) -> str:
    """The halting probability above which tokens halted."""
    return "each model's own probability" if section["halts_above"] is None else f"{section['halts_above']:g}"
