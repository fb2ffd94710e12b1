"""Numbers as people read them. A number that nobody measured is a dash."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.statistics import Difference, Interval
from reasoning_kit.comparison import JudgedClaim
from reasoning_kit.comparison.claims import CEILING, MARGIN

MISSING = "–"  # noqa: RUF001  # a dash is meant
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

HOW_CLAIMS = (
    "Differences are the first method minus the second, paired by problem (two ways to ask one trained model also by "
    "seed), tasks weighed equally; the interval is about these tasks, not about others. A claim holds where the whole "
    "95 % interval is above 0; one that something is enough, free or does as well, where it is above "
    f"-{100 * MARGIN:g} points. A task does not test a claim, and is left out of its mean, where neither method solves "
    f"more than {100 * MARGIN:g} %, where both reach {100 * CEILING:g} % of what can be had, or, for a claim of the "
    "latter kind, where the second solves nothing that could be lost. Each claim stands for itself: of twenty pairs "
    "that are truly equal, one is expected to look different."
)


def si(value: float | None) -> str:
    """``1.23e9`` as ``1.23 G``."""
    if value is None:
        return MISSING
    for size, prefix in PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{_three(value / size)} {prefix}"
    return _three(value)


def duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{_three(seconds * 1000)} ms"
    if seconds < 120:
        return f"{_three(seconds)} s"
    if seconds < 7200:
        return f"{_three(seconds / 60)} min"
    return f"{_three(seconds / 3600)} h"


def memory(size: float | None) -> str:
    return MISSING if size is None else f"{si(size)}B"


def count(value: float | None) -> str:
    """Steps and tokens: a mean over problems, so not always whole; none at all is a dash."""
    if not value:
        return MISSING
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def points(difference: Difference) -> str:
    """A difference in percentage points with its interval, and McNemar's p where one seed ran."""
    value, low, high = (round(100 * x, 1) + 0.0 for x in (difference.value, difference.low, difference.high))  # no -0.0
    text = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
    return text if difference.p_value is None else f"{text}, p = {difference.p_value:.2g}"


def times(ratio: float | None) -> str:
    """``8.04`` as ``x 8.0``."""
    return MISSING if ratio is None else f"x {ratio:.2g}" if ratio < 1 else f"x {_three(ratio)}"


def cautions(claims: Sequence[JudgedClaim]) -> list[str]:
    """What keeps the methods of claims from being a fair comparison, each once with the tasks where it is so."""
    found: dict[str, dict[str, None]] = {}
    for judged in claims:
        for on in judged.tasks:
            for caveat in on.caveats:
                found.setdefault(caveat, {})[on.task] = None
    return [f"{', '.join(tasks)}: {caveat}." for caveat, tasks in found.items()]


def budget_text(unit: str, limit: float) -> str:
    """A budget of training in any of :data:`benchmarks.training.budget.UNITS`."""
    if unit == "seconds":
        return f"{duration(limit)} of training"
    if unit == "flops":
        return f"{si(limit)} FLOPs"
    number = f"{limit:,.0f}" if limit == int(limit) and limit < 1e6 else si(limit)
    return f"{number} {unit[:-1] if limit == 1 else unit}"


def _three(value: float) -> str:
    """Three significant digits, never in powers of ten; a whole small number stays whole."""
    if value == int(value) and abs(value) < 1e4:
        return f"{value:.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"
