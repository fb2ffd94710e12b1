"""How sure a number is: 95 % intervals of an accuracy, and of the difference between two methods.

Two things vary: another seed gives another network, and other problems would have been easier or harder. Both are
drawn again (a two-level bootstrap over seeds x problems). Problems that a symmetry maps onto each other share an
orbit key, are as good as one problem, and are resampled together.

Two known faults of the plain bootstrap are mended:

* *Few seeds.* Three seeds have ten different resampled means, with a spread that is sqrt(2/3) too small: a plain
  bootstrap of them promises 95 % and covers 75 %. So the seed level is smooth: normal draws with the standard error
  of the seeds' mean; and the whole deviation is widened by t/z with the effective degrees of freedom of
  Satterthwaite (1946), which tend to infinity (no widening) where the problems dominate. The luck of one answer is
  then counted in both levels. In simulations (tests) 91 to 99 % of such intervals hold the truth.
* *Near 0 or 1.* Where nearly all answers are right (or wrong) there is nothing to resample, and the bootstrap
  gives a width of zero. There the interval is widened to Wilson's with n = number of clusters: the seeds are not
  counted as further problems, because they answered the same ones.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 4000
BLOCK = 2_000_000  # numbers drawn at a time
FEW = 5  # fewer clusters than this that differ from the commonest value: nothing to resample

# State of the generator before, shape, what was drawn, state after: of the last few draws.
_kept: deque[tuple[Any, tuple[int, int], NDArray[np.int64], Any]] = deque(maxlen=2)


@dataclass(frozen=True)
class Interval:
    """A share of right answers with its 95 % interval.

    Attributes:
        value: mean over seeds and problems.
        low: lower end, in [0, 1].
        high: upper end, in [0, 1].
        method: how the interval was made, in words.
        problems: number of test problems.
        clusters: number of orbits among them.
    """

    value: float
    low: float
    high: float
    method: str
    problems: int
    clusters: int

    def to_metric(self) -> dict[str, Any]:
        """The form that :attr:`benchmarks.records.RunRecord.metrics` holds."""
        raw = asdict(self)
        raw["interval"] = raw.pop("method")
        return raw


@dataclass(frozen=True)
class Difference:
    """Accuracy of one method minus accuracy of another on the same problems.

    Attributes:
        p_value: exact McNemar test, for one seed each; ``None`` for several seeds.
    """

    value: float
    low: float
    high: float
    p_value: float | None
    method: str
    problems: int
    clusters: int

    @property
    def clear(self) -> bool:
        """The interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def accuracy_interval(
    correct: Sequence[ArrayLike], clusters: Sequence[str], resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The accuracy over seeds and problems, with its interval.

    One seed and no two problems of one orbit: Wilson's interval. Else the bootstrap of the module's docstring.

    Args:
        correct: one array of 0/1 per seed, all over the same problems in the same order.
        clusters: the orbit key of every problem.
    """
    scores = _matrix(correct, clusters)
    right, sizes = _per_cluster(scores, clusters)
    value, count = float(scores.mean()), len(sizes)
    if len(scores) == 1 and count == len(clusters):
        low, high = wilson(value, count)
        return Interval(value, low, high, "Wilson", count, count)
    deviations = _deviations([right], sizes, [1.0], resamples, seed)
    low, high = _ends(value, deviations)
    method = "bootstrap over problems" if len(scores) == 1 else "two-level bootstrap over seeds and problems"
    if _nearly_constant(right.mean(0) / sizes):
        least, most = wilson(value, count)
        low, high = min(low, least), max(high, most)
        method += ", at least Wilson's"
    return Interval(value, max(low, 0.0), min(high, 1.0), method, len(clusters), count)


def paired_difference(
    a: Sequence[ArrayLike],
    b: Sequence[ArrayLike],
    clusters: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    choices: int = 1,
    same_training: bool = False,
) -> Difference:
    """Accuracy of ``a`` minus accuracy of ``b``: problems are paired, seeds are not (seed 1 of one method has
    nothing to do with seed 1 of another), so each method's seeds are drawn on their own.

    With one seed each, the exact McNemar test is added; each orbit votes once, for the method that solved more of
    it, which is the classical test where every orbit is one problem.

    Args:
        choices: of how many pairs this one was chosen for what these same answers show. The interval is then as wide
            as all of them would need to hold together at 95 % (Bonferroni), and the p-value as much greater.
        same_training: seed by seed, both come out of one training and are asked in two ways: seeds are paired too.
    """
    first, second = _matrix(a, clusters), _matrix(b, clusters)
    right_a, sizes = _per_cluster(first, clusters)
    right_b, _ = _per_cluster(second, clusters)
    value = float(first.mean() - second.mean())
    groups, signs = ([right_a - right_b], [1.0]) if same_training else ([right_a, right_b], [1.0, -1.0])
    low, high = _ends(value, _deviations(groups, sizes, signs, resamples, seed, choices))
    single = len(first) == len(second) == 1
    method = "paired bootstrap over problems" if single else "paired two-level bootstrap over seeds and problems"
    if same_training:
        method += ", paired by training"
    gaps = (right_a.mean(0) - right_b.mean(0)) / sizes
    if _nearly_constant(gaps):
        ahead = wilson(float(np.average(np.maximum(gaps, 0), weights=sizes)), len(sizes), choices)
        behind = wilson(float(np.average(np.maximum(-gaps, 0), weights=sizes)), len(sizes), choices)
        low, high = min(low, ahead[0] - behind[1]), max(high, ahead[1] - behind[0])
        method += ", at least Wilson's"
    if choices > 1:
        method += f", one pair of {choices}"
    p_value = min(choices * mcnemar_p(int((gaps > 0).sum()), int((gaps < 0).sum())), 1.0) if single else None
    return Difference(value, max(low, -1.0), min(high, 1.0), p_value, method, len(clusters), len(sizes))


def wilson(share: float, count: int, choices: int = 1) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share of ``count``, one of ``choices``.

    With z the normal quantile: (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).
    """
    from scipy.special import ndtri  # scipy.stats and statsmodels take over a second to import

    z = -float(ndtri((1 - LEVEL) / choices / 2.0))
    p = share * count / count
    stretch = 1 + z**2 / count
    middle = (p + z**2 / (2 * count)) / stretch
    reach = z * math.sqrt(p * (1.0 - p) / count + z**2 / (4.0 * count**2)) / stretch
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Chance that one of ``k`` samples is right: 1 - C(n-c, k) / C(n, k), without bias for c right ones of n (Chen et
    al., arXiv 2107.03374)."""
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar test from the numbers of problems that only one of the methods solved."""
    from scipy.special import bdtr

    differing = only_a + only_b  # each of them is won by a fair coin if neither method is better
    return min(2.0 * float(bdtr(min(only_a, only_b), differing, 0.5)), 1.0)


def _matrix(correct: Sequence[ArrayLike], clusters: Sequence[str]) -> Array:
    """``[seeds, problems]``."""
    if not len(correct) or not len(clusters):
        raise ValueError("no answers: at least one seed and one problem are needed")
    rows = [np.asarray(row, dtype=np.float64) for row in correct]
    if any(row.shape != (len(clusters),) for row in rows):
        raise ValueError(f"every seed needs one answer for each of the {len(clusters)} problems")
    return np.stack(rows)


def _per_cluster(scores: Array, clusters: Sequence[str]) -> tuple[Array, Array]:
    """Right answers ``[seeds, clusters]`` and problems ``[clusters]`` of each orbit."""
    _, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    return np.stack([np.bincount(index, weights=row) for row in scores]), sizes


def _deviations(
    groups: list[Array], sizes: Array, signs: list[float], resamples: int, seed: int, choices: int = 1
) -> Array:
    """Bootstrap deviations of ``sum sign * accuracy`` from its value: orbits resampled together for all groups,
    seeds drawn within each group, widened for few seeds as the module's docstring says, and for ``choices`` by what
    a normal or t distribution needs (its far quantiles would take very many resamples)."""
    from scipy.special import ndtri, stdtrit

    generator = np.random.default_rng(seed)
    total = np.sum([sign * right.mean(0) for sign, right in zip(signs, groups, strict=True)], axis=0)
    deviations = _resampled_ratio(generator, total, sizes, resamples) - total.sum() / sizes.sum()
    variances, freedoms = [float(deviations.var())], [max(len(sizes) - 1, 1)]
    for right in groups:
        seeds = len(right)
        if seeds > 1:
            variance = float((right.sum(1) / sizes.sum()).var(ddof=1)) / seeds
            deviations = deviations + np.sqrt(variance) * generator.standard_normal(resamples)
            variances.append(variance)
            freedoms.append(seeds - 1)
    usual, wanted = (1 + LEVEL) / 2, 1 - (1 - LEVEL) / 2 / choices
    if len(variances) == 1 or sum(variances) == 0:
        return deviations * float(ndtri(wanted) / ndtri(usual))
    freedom = sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return deviations * float(stdtrit(freedom, wanted) / ndtri(usual))


def _resampled_ratio(generator: np.random.Generator, totals: Array, sizes: Array, resamples: int) -> Array:
    """Mean per problem in each of ``resamples`` draws of whole clusters, in blocks that fit in memory."""
    count = len(sizes)
    alike = bool((sizes == sizes[0]).all())
    block = max(1, BLOCK // count)
    parts = []
    for start in range(0, resamples, block):
        chosen = _draws(generator, min(block, resamples - start), count)
        drawn = sizes[0] * count if alike else sizes.take(chosen).sum(1)  # whole numbers: exact either way
        parts.append(totals.take(chosen).sum(1) / drawn)
    return np.concatenate(parts)


def _draws(generator: np.random.Generator, rows: int, count: int) -> NDArray[np.int64]:
    """``[rows, count]`` whole numbers below ``count``.

    All intervals of a comparison begin with the same seed, and mostly have equally many clusters. So the last draws are
    kept, with the state that the generator is left in.
    """
    before = generator.bit_generator.state
    for start, shape, chosen, after in _kept:
        if start == before and shape == (rows, count):
            generator.bit_generator.state = after
            return chosen

    chosen = generator.integers(0, count, (rows, count))
    _kept.append((before, (rows, count), chosen, generator.bit_generator.state))
    return chosen


def _ends(value: float, deviations: Array) -> tuple[float, float]:
    """Percentile interval."""
    low, high = np.quantile(deviations, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return value + float(low), value + float(high)


def _nearly_constant(values: Array) -> bool:
    """Fewer than :data:`FEW` clusters differ from the commonest value."""
    _, counts = np.unique(np.round(values, 9), return_counts=True)
    return bool(len(values) - counts.max() < FEW)
