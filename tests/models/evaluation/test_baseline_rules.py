"""The baselines that learn event by event, against hand-worked counts and against counting whole sessions."""

from collections import Counter, defaultdict
from itertools import combinations
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.baselines.association_rules import AssociationRules
from models.evaluation.baselines.item_knn import ItemKnn
from models.evaluation.baselines.popularity import Popularity
from models.evaluation.baselines.sequential_rules import SequentialRules
from models.evaluation.recommender import Interaction, Recommender

#: (session, item) in order of arrival: sessions that run at the same time.
streams = st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("abcd")), max_size=30)


def feed(model: Recommender, arrivals: list[tuple[str, str]]) -> list[str]:
    """Let the model learn the arrivals; return the sessions' items."""
    sessions: defaultdict[str, list[Interaction]] = defaultdict(list)
    for session_id, item in arrivals:
        sessions[session_id].append(Interaction(session_id, item, 0))
        model.learn(sessions[session_id])
    return ["".join(event.item_id for event in session) for session in sessions.values()]


def feed_sessions(model: Recommender, *sessions: str) -> None:
    feed(model, [(str(number), item) for number, items in enumerate(sessions) for item in items])


def after(items: str) -> list[Interaction]:
    return [Interaction("now", item, 0) for item in items]


def test_popularity_counts_every_event() -> None:
    model = Popularity()
    feed_sessions(model, "abb", "cb", "ca")
    assert model.recommend(after("z"), 20, ()) == ["b", "a", "c"]


@given(streams)
def test_popularity_is_the_order_of_counts(arrivals: list[tuple[str, str]]) -> None:
    model = Popularity()
    counts = Counter("".join(feed(model, arrivals)))
    assert model.recommend(after("z"), 20, ()) == sorted(counts, key=lambda item: (-counts[item], item))


def test_association_rules_count_pairs_of_events_both_ways() -> None:
    model = AssociationRules()
    feed_sessions(model, "abcb", "ba")
    # a: with b twice in the first session and once in the second, with c once.
    assert model.scores(after("a")) == {"b": 3, "c": 1}
    # b: with itself once, which counts twice.
    assert model.scores(after("cb")) == {"a": 3, "c": 2, "b": 2}


def test_association_rules_ask_the_newest_item_alone() -> None:
    model = AssociationRules()
    feed_sessions(model, "ab", "cd")
    assert model.recommend(after("ac"), 20, ()) == ["d"]


@given(streams)
def test_association_rules_learn_as_from_whole_sessions(arrivals: list[tuple[str, str]]) -> None:
    model = AssociationRules()
    expected: Counter[tuple[str, str]] = Counter()
    for items in feed(model, arrivals):
        for one, other in combinations(items, 2):
            expected[one, other] += 1
            expected[other, one] += 1
    assert {(one, other): n for one in "abcd" for other, n in model.scores(after(one)).items()} == expected


def test_sequential_rules_weigh_by_the_square_of_the_distance() -> None:
    model = SequentialRules()
    feed_sessions(model, "abcb", "ab")
    # b comes 1 and 3 after a, then 1 after it; c comes 2 after it.
    assert model.scores(after("a")) == pytest.approx({"b": 1 + 1 / 9 + 1, "c": 1 / 4})
    # b comes 2 after itself; a never comes after b.
    assert model.scores(after("b")) == pytest.approx({"c": 1, "b": 1 / 4})


def test_sequential_rules_span_just_so_many_steps() -> None:
    model = SequentialRules(steps=2, weighting="div")
    feed_sessions(model, "abcd")
    assert model.scores(after("a")) == {"b": 1, "c": 1 / 2}


def test_sequential_rules_span_twenty_steps_by_default() -> None:
    model = SequentialRules()
    feed_sessions(model, "abcdefghijklmnopqrstuv")
    assert model.scores(after("a"))["u"] == pytest.approx(1 / 400)
    assert "v" not in model.scores(after("a"))


@given(streams, st.integers(1, 4))
def test_sequential_rules_learn_as_from_whole_sessions(arrivals: list[tuple[str, str]], steps: int) -> None:
    model = SequentialRules(steps=steps, weighting="div")
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for items in feed(model, arrivals):
        for (place, one), (later, other) in combinations(enumerate(items), 2):
            if later - place <= steps:
                expected[one, other] += 1 / (later - place)
    scores = {(one, other): score for one in "abcd" for other, score in model.scores(after(one)).items()}
    assert scores == pytest.approx(dict(expected))


def test_item_knn_is_the_regularised_cosine_of_session_counts() -> None:
    model = ItemKnn(regularisation=2, balance=0.5)
    feed_sessions(model, "abcb", "ab", "ad")
    # Sessions with a and b: 2; events of a: 3, of b: 3, of c: 1, of d: 1.
    expected = {"b": 2 / 5, "c": 1 / sqrt(5 * 3), "d": 1 / sqrt(5 * 3)}
    assert model.scores(after("a")) == pytest.approx(expected)
    assert model.recommend(after("a"), 20, ()) == ["b", "c", "d"]


def test_item_knn_balance_weighs_the_newest_items_count() -> None:
    model = ItemKnn(regularisation=0, balance=1)
    feed_sessions(model, "ab", "ac", "ac", "ba", "c")
    # Confidence: 2 of the 4 events of a.
    assert model.scores(after("a")) == {"b": 2 / 4, "c": 2 / 4}
    model = ItemKnn(regularisation=0, balance=0.25)
    feed_sessions(model, "ab", "a")
    assert model.scores(after("a")) == pytest.approx({"b": 1 / 2**0.25})
    assert model.scores(after("b")) == pytest.approx({"a": 1 / 2**0.75})


def test_item_knn_is_tuned_by_default() -> None:
    model = ItemKnn()
    feed_sessions(model, "ab")
    assert model.scores(after("a")) == pytest.approx({"b": 1 / 201})


@given(streams)
def test_item_knn_learns_as_from_whole_sessions(arrivals: list[tuple[str, str]]) -> None:
    model = ItemKnn(regularisation=1)
    sessions = feed(model, arrivals)
    events = Counter("".join(sessions))
    together = Counter(pair for items in sessions for pair in combinations(sorted(set(items)), 2))
    expected = {}
    for (one, other), count in together.items():
        expected[one, other] = expected[other, one] = count / sqrt((events[one] + 1) * (events[other] + 1))
    scores = {(one, other): score for one in "abcd" for other, score in model.scores(after(one)).items()}
    assert scores == pytest.approx(expected)
