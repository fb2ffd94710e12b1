"""Who wins on a task, and by how much: which pairs of methods to look at, and one sentence for what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from benchmarks.statistics import Difference
from reasoning_kit.comparison.rows import MATCHED_WITHIN, Row
from reasoning_kit.registry import contrasts

THINKING = {"latent": "latent recursion", "token": "tokens"}
WINNERS = {
    "latent": "Latent recursion wins",
    "token": "Tokens win",
    "none": "No clear winner",
    "variants": "Variants against their base",
    "unknown": "No verdict",
}
NOT_COMPUTE = ("steps", "examples", "tokens")  # budgets under which methods may differ in compute


@dataclass(frozen=True)
class Paired:
    """Accuracy of method ``a`` minus accuracy of method ``b`` on the same problems.

    Attributes:
        choices: of how many pairs this one was chosen for its accuracies; its interval is as much wider.
    """

    a: str
    b: str
    difference: Difference
    choices: int = 1


def oriented(a: Row, b: Row) -> tuple[Row, Row]:
    """What to subtract from what: a base minus its variant; latent minus token; a method that thinks minus one that
    does not; else later minus earlier.

    Args:
        a: the row that stands above ``b``.
    """
    rank = {"latent": 0, "token": 1, "none": 2}
    return (a, b) if b.base == a.method or rank[a.thinking] < rank[b.thinking] else (b, a)


def thinking_contrasts(pairs: Sequence[Paired]) -> tuple[Paired, ...]:
    """The pairs that isolate what thinking adds, the method that thinks first."""
    by_methods = {(pair.a, pair.b): pair for pair in pairs}
    return tuple(by_methods[both] for both in contrasts() if both in by_methods)


def parts(rows: Sequence[Row], pairs: Sequence[Paired]) -> tuple[Paired, ...]:
    """Each base minus its variants: what the part is worth that the variant lacks or changes, the most first."""
    order = [row.method for row in rows]
    base = {row.method: row.base for row in rows}
    found = [p for p in pairs if base[p.b] == p.a]
    return tuple(sorted(found, key=lambda p: (order.index(p.a), -p.difference.value)))


def headline(rows: Sequence[Row], difference: Callable[[str, str, int], Difference]) -> Paired | None:
    """Best latent against best token method; one that was not trained here stands for its side only where no other
    does. The best of several is chosen on the test problems themselves, which the interval pays for.

    Args:
        difference: of two methods, chosen of so many pairs.
    """
    best, choices = {}, 1
    for thinking in THINKING:
        side = [row for row in rows if row.thinking == thinking]
        side = [row for row in side if row.trains] or side
        if not side:
            return None
        best[thinking] = max(side, key=lambda row: row.accuracy.value).method
        choices *= len(side)
    return Paired(best["latent"], best["token"], difference(best["latent"], best["token"], choices), choices)


def verdict(rows: Sequence[Row], pairs: Sequence[Paired], first: Paired | None, unit: str) -> tuple[str, str]:
    """The key of :data:`WINNERS` and one sentence for it, from the data alone.

    Args:
        first: the :func:`headline`.
        unit: of the budget.
    """
    by_name = {row.method: row for row in rows}
    if first is not None:
        winner, sentence = _race(by_name[first.a], by_name[first.b], first, unit)
        return winner, sentence + _not_thinking(by_name, pairs, first)
    if worth := parts(rows, pairs):
        return "variants", _ablation(by_name, worth, unit)
    ran = {row.thinking for row in rows}
    if len(ran) == 1 and all(row.base != row.method for row in rows):
        missing = " and ".join(dict.fromkeys(row.base for row in rows))
        return "unknown", f"{WINNERS['unknown']}: no run of {missing}, the base of these variants."
    missing = " and ".join(text for key, text in THINKING.items() if key not in ran)
    return "unknown", f"{WINNERS['unknown']}: no run of {missing} here."


def _race(latent: Row, token: Row, pair: Paired, unit: str) -> tuple[str, str]:
    gap = pair.difference
    winner = "none" if not gap.clear else "latent" if gap.value > 0 else "token"
    ahead, behind, sides, sign = latent, token, "latent minus tokens", 1
    if winner == "token":
        ahead, behind, sides, sign = token, latent, "tokens minus latent", -1
    low, value, high = sorted(100 * sign * x for x in (gap.low, gap.value, gap.high))
    chosen = f", widened for the choice among {pair.choices} pairs" if pair.choices > 1 else ""
    return winner, (
        f"{WINNERS[winner]}: {ahead.label} {100 * ahead.accuracy.value:.1f} % against "
        f"{100 * behind.accuracy.value:.1f} % of {behind.label} ({sides} {value:+.1f} points, "
        f"95 % interval {low:+.1f} to {high:+.1f}{chosen}).{_caution([latent, token], unit)}"
    )


def _not_thinking(rows: dict[str, Row], pairs: Sequence[Paired], race: Paired) -> str:
    """Where the best method that does not think is clearly ahead of both, a reader must not miss it."""
    ahead = max(race.a, race.b, key=lambda name: rows[name].accuracy.value)
    plain = [row for row in rows.values() if row.thinking == "none" and row.trains]
    if not plain:
        return ""
    best = max(plain, key=lambda row: row.accuracy.value)
    pair = next(p for p in pairs if {p.a, p.b} == {ahead, best.method})
    if not pair.difference.clear or best.accuracy.value < rows[ahead].accuracy.value:
        return ""
    return f" Without thinking, {best.label} does better than both: {100 * best.accuracy.value:.1f} %."


def _ablation(rows: dict[str, Row], worth: Sequence[Paired], unit: str) -> str:
    """Where each variant stands to its base, in points from the base."""
    sentences = []
    for base in dict.fromkeys(pair.a for pair in worth):
        found: dict[str, list[str]] = {"clearly below it": [], "clearly above it": [], "not distinguishable": []}
        for pair in worth:
            if pair.a == base:
                gap = pair.difference
                side = "not distinguishable" if not gap.clear else f"clearly {'below' if gap.value > 0 else 'above'} it"
                found[side].append(f"{rows[pair.b].label} ({0.0 - round(100 * gap.value, 1):+.1f})")
        sides = "; ".join(f"{side}: {', '.join(names)}" for side, names in found.items() if names)
        sentences.append(f"{rows[base].label} has {100 * rows[base].accuracy.value:.1f} %; {sides}.")
    involved = dict.fromkeys(chain.from_iterable((pair.a, pair.b) for pair in worth))
    caution = _caution([rows[name] for name in involved], unit)
    return f"{WINNERS['variants']}: {' '.join(sentences)} Differences in points; clear means at 95 %.{caution}"


def _caution(rows: Sequence[Row], unit: str) -> str:
    """:func:`caveats` as a sentence; empty where there are none."""
    found = caveats(rows, unit)
    return f" Caution: {'; '.join(found)}." if found else ""


def caveats(rows: Sequence[Row], unit: str) -> list[str]:
    """What keeps these rows from being a fair comparison.

    Args:
        unit: of the budget.
    """
    found = [f"{row.label} is {row.unmatched}" for row in rows if row.unmatched]
    if min(row.seeds for row in rows) == 1:
        found.append("with one seed the interval does not show how much another seed would change")
    spent = [row.training_flops for row in rows if row.training_flops]
    if unit in NOT_COMPUTE and spent and max(spent) > (1 + MATCHED_WITHIN) * min(spent):
        found.append(f"with equal {unit}, training compute differs up to {max(spent) / min(spent):.1f} times")
    return found
