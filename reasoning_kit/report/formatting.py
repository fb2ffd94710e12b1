"""Numbers as people read them. A number that nobody measured is a dash."""

from __future__ import annotations

from benchmarks.statistics import Difference, Interval

MISSING = "–"  # noqa: RUF001  # a dash is meant
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


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
    text = f"{100 * difference.value:+.1f} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    return text if difference.p_value is None else f"{text}, p = {difference.p_value:.2g}"


def budget_text(unit: str, limit: float) -> str:
    """A budget of training in any of :data:`benchmarks.budget.UNITS`."""
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
