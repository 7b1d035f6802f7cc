"""V-STAN by hand, one term at a time: the others are switched off by an infinite decay."""

from math import exp, inf, log, sqrt

import pytest

from models.evaluation.baselines.past_sessions import Similarity
from models.evaluation.baselines.vstan import VStan
from models.evaluation.recommender import Interaction

DAY_MS = 24 * 60 * 60 * 1000


def plain(
    *,
    k: int = 100,
    sample_size: int = 100,
    similarity: Similarity = "vector",
    place_decay: float = inf,
    session_days: float = inf,
    item_decay: float = inf,
    match_decay: float = inf,
    idf_weighting: float = 0,
) -> VStan:
    return VStan(
        k=k,
        sample_size=sample_size,
        similarity=similarity,
        place_decay=place_decay,
        session_days=session_days,
        item_decay=item_decay,
        match_decay=match_decay,
        idf_weighting=idf_weighting,
    )


def session(items: str, time_ms: int = 0) -> list[Interaction]:
    return [Interaction("s", item, time_ms) for item in items]


def learnt(model: VStan, *sessions: str) -> VStan:
    for items in sessions:
        model.learn_session(session(items))
    return model


def test_with_all_terms_off_it_is_the_share_of_items() -> None:
    scores = learnt(plain(), "ab", "bc").scores(session("ab"))
    assert scores == pytest.approx({"a": 1, "b": 1.5, "c": 0.5})


def test_the_tuned_weights() -> None:
    tuned = plain(place_decay=2, session_days=5, item_decay=8, match_decay=2, idf_weighting=5)
    models = VStan(), tuned
    for model in models:
        for day, items in enumerate(("abd", "bc", "acd")):
            model.learn_session(session(items, day * DAY_MS))
    default, expected = (model.scores(session("ab")) for model in models)
    assert default == expected


def test_the_cosine_divides_by_both_lengths() -> None:
    scores = learnt(plain(similarity="cosine", place_decay=1), "abd", "bc").scores(session("ab"))
    length = sqrt(exp(-1) ** 2 + 1)
    first, second = (exp(-1) + 1) / length / sqrt(3), 1 / length / sqrt(2)
    assert scores == pytest.approx({"a": first, "b": first + second, "c": second, "d": first})


def test_older_places_weigh_less() -> None:
    scores = learnt(plain(place_decay=2), "ax", "by").scores(session("abcd"))
    assert scores == pytest.approx({each: exp(-3 / 2) / 4 for each in "ax"} | {each: exp(-1) / 4 for each in "by"})


def test_older_sessions_weigh_less() -> None:
    model = plain(session_days=2)
    model.learn_session(session("ax", 5 * DAY_MS))
    model.learn_session(session("ay", 6 * DAY_MS))
    model.learn_session(session("z", 9 * DAY_MS))
    # Ages are from the latest session with an item of the running one.
    scores = model.scores(session("a", 10 * DAY_MS))
    assert scores == pytest.approx({"a": exp(-1 / 2) + 1, "x": exp(-1 / 2), "y": 1})


def test_a_session_ends_with_its_last_event() -> None:
    model = plain(session_days=1)
    model.learn_session([Interaction("s", "a", 0), Interaction("s", "x", DAY_MS)])
    model.learn_session(session("ay", 3 * DAY_MS))
    assert model.scores(session("a"))["x"] == pytest.approx(exp(-2))


def test_items_far_from_the_last_shared_one_weigh_less() -> None:
    scores = learnt(plain(item_decay=2), "xaayyz").scores(session("a"))
    # a last at place 3, x at 1, y at 5, z at 6.
    assert scores == pytest.approx({"a": 1, "x": exp(-1), "y": exp(-1), "z": exp(-3 / 2)})


def test_the_last_shared_place_is_of_any_shared_item() -> None:
    scores = learnt(plain(item_decay=1), "abx").scores(session("ba"))
    assert scores == pytest.approx({"a": exp(-1), "b": 1, "x": exp(-1)})


def test_sessions_that_share_only_older_items_weigh_less() -> None:
    scores = learnt(plain(match_decay=2), "ax", "aby").scores(session("abc"))
    assert scores["x"] == pytest.approx(1 / 3 * exp(-1))
    assert scores["y"] == pytest.approx(2 / 3 * exp(-1 / 2))


def test_rare_items_are_lifted_by_their_events() -> None:
    scores = learnt(plain(idf_weighting=2), "axx", "ay", "b").scores(session("a"))
    assert scores["x"] == pytest.approx(1 + 2 * log(3 / 2))
    assert scores["y"] == pytest.approx(1 + 2 * log(3))


def test_only_the_nearest_sessions_vote_and_of_equals_the_latest() -> None:
    assert set(learnt(plain(k=2), "xa", "xb", "xc").scores(session("x"))) == {"x", "b", "c"}
    assert set(learnt(plain(k=1), "xya", "xb", "xc").scores(session("xy"))) == {"x", "y", "a"}


def test_the_nearest_sessions_are_those_after_ageing() -> None:
    model = plain(k=1, session_days=1)
    model.learn_session(session("xya", 0))
    model.learn_session(session("xb", DAY_MS))
    assert set(model.scores(session("xy"))) == {"x", "b"}


def test_only_the_latest_sessions_with_any_item_are_compared() -> None:
    assert set(learnt(plain(sample_size=2), "ax", "ay", "bz", "q").scores(session("ab"))) == {"a", "b", "y", "z"}
