from __future__ import annotations

import itertools

import pytest

from benchmarks.problem import Answer
from benchmarks.voting import Vote, rank_votes


def ranked(texts: str, confidence: list[float]) -> list[Vote]:
    return rank_votes([Answer(text) for text in texts], confidence)


def test_number_of_votes_comes_first_then_mean_confidence() -> None:
    assert ranked("abacb", [0.1, 0.5, 0.3, 0.9, 0.2]) == [
        Vote("b", 2, pytest.approx(0.35)),
        Vote("a", 2, pytest.approx(0.2)),
        Vote("c", 1, 0.9),
    ]
    # the mean decides, not the sum or the best: 0.5 against 0.4 with a 0.8 in it
    assert [vote.text for vote in ranked("aabb", [0.8, 0.0, 0.5, 0.5])] == ["b", "a"]
    assert [vote.text for vote in ranked("abb", [100.0, -5.0, -5.0])] == ["b", "a"], "confidence only breaks ties"


def test_the_order_of_the_answers_does_not_matter() -> None:
    given = list(zip("aabbc", [0.1, 0.4, 0.2, 0.2, 0.9], strict=True))
    results = {
        tuple(v.text for v in rank_votes([Answer(t) for t, _ in order], [c for _, c in order]))
        for order in itertools.permutations(given)
    }
    assert results == {("a", "b", "c")}


def test_full_ties_go_to_the_first_and_nothing_gives_nothing() -> None:
    assert [vote.answer for vote in ranked("ba", [0.5, 0.5])] == [Answer("b"), Answer("a")]
    assert rank_votes([], []) == []
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        ranked("ab", [0.5])
