"""Intervals cover what they promise, in simulations of seeds x problems x orbits, and agree with known formulas."""

import math
from collections import deque

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit
from scipy.stats import norm, t
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from benchmarks import statistics
from benchmarks.statistics import LEVEL, accuracy_interval, mcnemar_p, paired_difference, wilson


def singles(count: int) -> list[str]:
    return [f"orbit-{i}" for i in range(count)]


def simulate(generator, seeds: int, orbits: int, size: int, seed_spread: float, problem_spread: float):
    """Right answers ``[seeds, orbits * size]`` from a logistic model with a seed and an orbit effect."""
    effect = 1.0 + generator.normal(0, seed_spread, (seeds, 1))
    orbit = np.repeat(generator.normal(0, problem_spread, (1, orbits)), size, axis=1)
    return (generator.random((seeds, orbits * size)) < 1 / (1 + np.exp(-effect - orbit))).astype(float)


def expectation(seed_spread: float, problem_spread: float, shift: float = 0) -> float:
    spread = math.hypot(seed_spread, problem_spread)
    draws = np.random.default_rng(1).normal(1.0 + shift, spread, 400_000)
    return float((1 / (1 + np.exp(-draws))).mean())


def test_one_seed_without_orbits_is_wilson():
    correct = np.r_[np.ones(37), np.zeros(13)]
    interval = accuracy_interval([correct], singles(50))
    low, high = proportion_confint(37, 50, method="wilson")
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.74, low, high))
    assert interval.method == "Wilson"
    assert interval.to_metric()["interval"] == "Wilson"


@pytest.mark.parametrize(
    ("seeds", "orbits", "size", "seed_spread", "problem_spread"),
    [(1, 60, 4, 0.0, 1.5), (3, 150, 1, 0.5, 1.0), (5, 60, 3, 0.4, 1.5), (3, 400, 1, 0.7, 0.5)],
)
def test_accuracy_interval_covers_its_promise(seeds, orbits, size, seed_spread, problem_spread):
    truth = expectation(seed_spread, problem_spread)
    generator = np.random.default_rng(7)
    clusters = [str(i // size) for i in range(orbits * size)]
    hits = 0
    for _ in range(300):
        interval = accuracy_interval(
            list(simulate(generator, seeds, orbits, size, seed_spread, problem_spread)), clusters, resamples=600
        )
        hits += interval.low <= truth <= interval.high
    assert 0.89 <= hits / 300 <= 0.995


def test_forgetting_the_orbits_would_not_cover():
    """The reason for clusters: the same data with every problem its own cluster gives far too narrow intervals."""
    generator = np.random.default_rng(3)
    truth, hits = expectation(0.0, 1.5), 0
    for _ in range(200):
        interval = accuracy_interval(list(simulate(generator, 1, 30, 10, 0.0, 1.5)), singles(300))
        hits += interval.low <= truth <= interval.high
    assert hits / 200 < 0.88


def test_paired_difference_covers_and_is_narrower_than_unpaired():
    generator = np.random.default_rng(5)
    truth = expectation(0.3, 2.0, shift=0.5) - expectation(0.3, 2.0)
    hits, widths, unpaired = 0, [], []
    for _ in range(300):
        orbit = generator.normal(0, 2.0, (1, 200))
        a, b = (
            (generator.random((3, 200)) < 1 / (1 + np.exp(-1 - shift - generator.normal(0, 0.3, (3, 1)) - orbit)))
            for shift in (0.5, 0.0)
        )
        difference = paired_difference(list(a), list(b), singles(200), resamples=600)
        hits += difference.low <= truth <= difference.high
        widths.append(difference.high - difference.low)
        alone = [accuracy_interval(list(x), singles(200), resamples=600) for x in (a, b)]
        unpaired.append(math.hypot(*(i.high - i.low for i in alone)))
    assert 0.91 <= hits / 300 <= 0.995
    assert np.mean(widths) < np.mean(unpaired)


def test_two_ways_of_asking_the_same_networks_cover_and_are_narrower():
    """Seeds differ much, what a way of asking adds to each hardly does."""
    generator = np.random.default_rng(6)
    truth = expectation(2.0, 1.0, shift=0.2) - expectation(2.0, 1.0)
    hits, widths, apart = 0, [], []
    for _ in range(300):
        network = generator.normal(1.0, 2.0, (5, 1))
        difficulty = generator.normal(0, 1.0, (1, 200))
        luck = generator.random((5, 200))  # of an answer, which both ways mostly share
        a, b = (luck < 1 / (1 + np.exp(-shift - network - difficulty)) for shift in (0.2, 0.0))
        difference = paired_difference(list(a), list(b), singles(200), resamples=600, same_training=True)
        hits += difference.low <= truth <= difference.high
        widths.append(difference.high - difference.low)
        other = paired_difference(list(a), list(b), singles(200), resamples=600)
        apart.append(other.high - other.low)
    assert 0.91 <= hits / 300 <= 0.995
    assert np.mean(widths) < 0.2 * np.mean(apart)
    assert "paired by training" in difference.method


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("seeds", [1, 3])
def test_all_right_or_all_wrong_is_not_certain(value, seeds):
    clusters = [str(i // 2) for i in range(100)]
    interval = accuracy_interval([np.full(100, value)] * seeds, clusters)
    low, high = proportion_confint(value * 50, 50, method="wilson")  # the 50 orbits count, not 100 problems or seeds
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert "Wilson" in interval.method


def test_one_mistake_is_not_narrower_than_wilson():
    correct = np.ones((3, 200))
    correct[0, 0] = 0
    interval = accuracy_interval(list(correct), singles(200))
    low, high = proportion_confint(interval.value * 200, 200, method="wilson")
    assert interval.low <= low
    assert interval.high >= high - 1e-12


def test_equal_methods_have_a_width():
    ones = [np.ones(100)] * 3
    difference = paired_difference(ones, ones, singles(100))
    assert difference.value == 0
    assert difference.low < -0.01 < 0.01 < difference.high
    assert not difference.clear
    assert difference.p_value is None


def test_difference_of_one_seed_has_mcnemar():
    a = np.r_[np.ones(9), np.zeros(1), np.ones(40)]  # 9 problems only a, 1 only b
    b = np.r_[np.zeros(9), np.ones(1), np.ones(40)]
    difference = paired_difference([a], [b], singles(50))
    by_hand = 2 * (1 + 10) / 2**10  # two-sided: at most 1 success of 10 fair coins
    assert difference.p_value == pytest.approx(by_hand)
    assert difference.value == pytest.approx(8 / 50)
    assert difference.clear


def test_an_orbit_votes_once():
    a, b = np.tile([1.0, 1, 1, 1], 3), np.tile([0.0, 0, 0, 0], 3)
    difference = paired_difference([a], [b], [str(i // 4) for i in range(12)])
    assert difference.p_value == pytest.approx(2 * 0.5**3)
    assert mcnemar_p(0, 0) == 1.0


def test_different_numbers_of_seeds_and_determinism():
    generator = np.random.default_rng(0)
    a, b = (generator.random((3, 80)) < 0.7), (generator.random((2, 80)) < 0.6)
    first = paired_difference(list(a), list(b), singles(80))
    assert first == paired_difference(list(a), list(b), singles(80))
    assert paired_difference(list(b), list(a), singles(80)).value == pytest.approx(-first.value)


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.3)])
def test_the_best_of_many_equal_methods_is_seldom_ahead(seeds, spread):
    """Ten methods as good as an eleventh: the best of them looks better than it in more than the 2.5 % of cases that
    an interval's lower end allows, unless the choice is counted."""
    generator, ahead = np.random.default_rng(7), {1: 0, 10: 0}
    for _ in range(400):
        orbit = generator.normal(0, 1.0, (1, 1, 60))
        talent = spread * generator.normal(0, 1, (11, seeds, 1))
        rows = generator.random((11, seeds, 60)) < 1 / (1 + np.exp(-orbit - talent))
        best = max(rows[1:], key=np.mean)
        for choices in ahead:
            found = paired_difference(list(best), list(rows[0]), singles(60), resamples=400, choices=choices)
            ahead[choices] += found.low > 0
    assert ahead[1] / 400 > 0.05
    assert ahead[10] / 400 < 0.04


def test_a_choice_widens_the_interval_and_raises_the_p_value():
    a, b = np.r_[np.ones(12), np.zeros(28)], np.r_[np.zeros(12), np.ones(3), np.zeros(25)]
    alone, chosen = (paired_difference([a], [b], singles(40), choices=n) for n in (1, 20))
    assert chosen.value == alone.value
    assert chosen.low < alone.low < alone.high < chosen.high
    assert chosen.p_value == pytest.approx(20 * alone.p_value)
    assert chosen.method.endswith("one pair of 20")


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match="each of the 3 problems"):
        accuracy_interval([[1, 0]], singles(3))
    with pytest.raises(ValueError, match="no answers"):
        accuracy_interval([], [])


# --- our formulas beside those of libraries that take a second to import ----------------------------


def test_wilsons_interval_is_that_of_statsmodels_to_the_last_bit():
    for count in (1, 2, 7, 40, 120, 1000, 422_786):
        for right in {0, 1, count // 3, count // 2, count - 1, count}:
            for choices in (1, 6):
                theirs = proportion_confint(right / count * count, count, alpha=(1 - LEVEL) / choices, method="wilson")
                assert wilson(right / count, count, choices) == tuple(map(float, theirs))


def test_quantiles_are_those_of_scipys_distributions_to_the_last_bit():
    for level in (0.9, 0.975, 1 - 0.025 / 12):
        assert float(ndtri(level)) == float(norm.ppf(level))
        for freedom in (1.0, 1.7, 4.0, 33.3, 1e4):
            assert float(stdtrit(freedom, level)) == float(t.ppf(level, freedom))


def test_the_exact_test_is_that_of_statsmodels():
    for only_a in (0, 1, 3, 17, 250):
        for only_b in (0, 2, 5, 90, 1000):
            theirs = min(float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue), 1.0)
            assert mcnemar_p(only_a, only_b) == pytest.approx(theirs, rel=1e-9)


def test_draws_that_are_kept_are_those_that_would_be_drawn_again(monkeypatch):
    """Also with several seeds, which are drawn from the state that the problems' draws leave."""
    clusters = [f"p{i // 2}" for i in range(40)]
    answers = list(np.random.default_rng(1).integers(0, 2, (3, 40)))
    kept = [accuracy_interval(answers, clusters, seed=seed) for seed in (0, 0, 7, 0)]
    assert statistics._kept
    monkeypatch.setattr(statistics, "_kept", deque(maxlen=0))
    assert [accuracy_interval(answers, clusters, seed=seed) for seed in (0, 0, 7, 0)] == kept
    assert kept[0] == kept[1] == kept[3] != kept[2]


def test_clusters_of_one_size_are_resampled_as_any_others():
    """The short cut for equal sizes gives the mean that the long way gives."""
    generator = np.random.default_rng
    totals, sizes = generator(3).integers(0, 3, 50).astype(float), np.full(50, 2.0)
    chosen = generator(0).integers(0, 50, (100, 50))
    expected = totals[chosen].sum(1) / sizes[chosen].sum(1)
    assert (statistics._resampled_ratio(generator(0), totals, sizes, 100) == expected).all()
