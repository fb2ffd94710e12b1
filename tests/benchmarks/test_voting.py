from __future__ import annotations

import itertools
from random import Random

import pytest

from benchmarks.problem import Answer
from benchmarks.voting import Vote, rank_votes


def ranked(texts: str, confidence: list[float]) -> list[Vote]:
    return rank_votes([Answer(text) for text in texts], confidence)


def test_number_of_votes_comes_first_then_mean_confidence() -> None:
    votes = ranked("abacb", [0.1, 0.5, 0.3, 0.9, 0.2])
    assert [(vote.text, vote.count) for vote in votes] == [("b", 2), ("a", 2), ("c", 1)]
    assert [vote.confidence for vote in votes] == pytest.approx([0.35, 0.2, 0.9])
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


def test_the_ranking_is_that_of_a_slow_count() -> None:
    """Against pairwise comparison by the rule's own words, over many random polls with many ties."""
    for seed in range(300):
        random = Random(seed)
        count = random.randint(1, 12)
        texts = [random.choice("abcd") for _ in range(count)]
        confidence = [random.choice([0.0, 0.25, 0.5, 1.0]) for _ in range(count)]
        votes = ranked("".join(texts), confidence)
        assert sorted(vote.text for vote in votes) == sorted(set(texts))
        for vote in votes:
            given = [c for text, c in zip(texts, confidence, strict=True) if text == vote.text]
            assert (vote.count, vote.confidence) == (len(given), pytest.approx(sum(given) / len(given)))
        for better, worse in itertools.pairwise(votes):
            assert better.count >= worse.count
            if better.count == worse.count:
                assert better.confidence >= worse.confidence
                if better.confidence == worse.confidence:
                    assert texts.index(better.text) < texts.index(worse.text)
