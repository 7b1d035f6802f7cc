"""V-SKNN by hand. The past: a b, then b c, then a c d; the running session: a b.

With the weight 1/2 of a (place 1 of 2) and 1 of b ("div"), the overlaps are 3/2, 1 and 1/2; the newest shared item is
b, b, and a, which lies two events back.
"""

from math import log, sqrt

import pytest

from models.evaluation.baselines.vsknn import VSknn
from models.evaluation.recommender import Interaction


def session(items: str) -> list[Interaction]:
    return [Interaction("s", item, 0) for item in items]


def learnt(model: VSknn, *sessions: str) -> VSknn:
    for items in sessions:
        model.learn_session(session(items))
    return model


PAST = ("ab", "bc", "acd")


def test_a_vector_similarity_votes_with_its_decay() -> None:
    model = VSknn(similarity="vector", weighting="div", weighting_score="div", idf_weighting=0)
    # Similarities 3/4, 1/2 and 1/4; the last decays by 1/2.
    expected = {"a": 3 / 4 + 1 / 8, "b": 3 / 4 + 1 / 2, "c": 1 / 2 + 1 / 8, "d": 1 / 8}
    assert learnt(model, *PAST).scores(session("ab")) == pytest.approx(expected)


def test_a_cosine_similarity_divides_by_both_lengths() -> None:
    model = VSknn(similarity="cosine", weighting="div", weighting_score="quadratic", idf_weighting=0)
    # The running session has length √(1/4 + 1), the past ones √2, √2 and √3; the last decays by 1/4.
    first, second, third = 1.5 / sqrt(1.25 * 2), 1 / sqrt(1.25 * 2), 0.5 / sqrt(1.25 * 3) / 4
    expected = {"a": first + third, "b": first + second, "c": second + third, "d": third}
    assert learnt(model, *PAST).scores(session("ab")) == pytest.approx(expected)


def test_the_tuned_weights() -> None:
    tuned = VSknn(similarity="cosine", weighting="div", weighting_score="quadratic", idf_weighting=1)
    assert learnt(VSknn(), *PAST).scores(session("ab")) == learnt(tuned, *PAST).scores(session("ab"))


def test_rare_items_are_lifted_by_their_events() -> None:
    model = VSknn(similarity="vector", weighting="div", weighting_score="div", idf_weighting=5)
    # 3 sessions; a and c have 2 events, d 3.
    scores = learnt(model, "ab", "bc", "acddd").scores(session("ab"))
    assert scores["c"] == pytest.approx((1 / 2 + 1 / 8) * (1 + 5 * log(3 / 2)))
    assert scores["d"] == pytest.approx(1 / 8)


def test_a_repeated_item_counts_once_at_its_last_place() -> None:
    model = VSknn(similarity="vector", weighting="div", weighting_score="div", idf_weighting=0)
    # Two different items in three events: a weighs 3/3, b 2/3.
    scores = learnt(model, "aac", "bd").scores(session("aba"))
    assert scores == pytest.approx({"a": 1 / 2, "c": 1 / 2, "b": 1 / 3 / 2, "d": 1 / 3 / 2})


def test_a_cold_item_counts_in_the_length() -> None:
    model = VSknn(similarity="vector", weighting="div", weighting_score="div", idf_weighting=0)
    assert learnt(model, "ab").scores(session("az")) == pytest.approx({"a": 1 / 8, "b": 1 / 8})


def test_only_the_nearest_sessions_vote() -> None:
    assert set(learnt(VSknn(k=1), *PAST).scores(session("ab"))) == {"a", "b"}
    assert set(learnt(VSknn(k=2), *PAST).scores(session("ab"))) == {"a", "b", "c"}


def test_of_equally_near_sessions_the_latest_vote() -> None:
    assert set(learnt(VSknn(k=2), "xa", "xb", "xc").scores(session("x"))) == {"x", "b", "c"}


def test_only_the_latest_sessions_with_any_item_are_compared() -> None:
    assert set(learnt(VSknn(sample_size=1), *PAST, "e").scores(session("ab"))) == {"a", "c", "d"}
    assert set(learnt(VSknn(sample_size=2), *PAST, "e").scores(session("ab"))) == {"a", "b", "c", "d"}
    assert set(learnt(VSknn(sample_size=2), "be", "bc", "ad", "e").scores(session("ab"))) == {"a", "b", "c", "d"}


def test_a_session_learnt_later_changes_the_scores() -> None:
    model = learnt(VSknn(idf_weighting=0), "ab")
    assert model.recommend(session("a"), 20, {"a"}) == ["b"]
    learnt(model, "ac", "ac")
    assert model.recommend(session("a"), 20, {"a"}) == ["c", "b"]
