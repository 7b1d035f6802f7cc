"""What holds for every baseline alike."""

from collections.abc import Callable

import pytest

from models.evaluation.baselines.association_rules import AssociationRules
from models.evaluation.baselines.item_knn import ItemKnn
from models.evaluation.baselines.popularity import Popularity
from models.evaluation.baselines.sequential_rules import SequentialRules
from models.evaluation.baselines.vsknn import VSknn
from models.evaluation.baselines.vstan import VStan
from models.evaluation.recommender import Interaction, Recommender

FROM_SESSION: list[Callable[[], Recommender]] = [AssociationRules, SequentialRules, ItemKnn, VSknn, VStan]
ALL: list[Callable[[], Recommender]] = [Popularity, *FROM_SESSION]


def session(items: str, session_id: str = "s") -> list[Interaction]:
    """Return a session of one item a letter, a second apart."""
    return [Interaction(session_id, item, 1000 * place) for place, item in enumerate(items)]


def learnt(make: Callable[[], Recommender], *sessions: str) -> Recommender:
    model = make()
    for number, items in enumerate(sessions):
        events = session(items, str(number))
        for end in range(1, len(events) + 1):
            model.learn(events[:end])
        model.learn_session(events)
    return model


@pytest.mark.parametrize("make", ALL)
def test_an_empty_model_recommends_nothing(make: Callable[[], Recommender]) -> None:
    assert make().recommend(session("ab"), 20, ()) == []


@pytest.mark.parametrize("make", FROM_SESSION)
def test_a_cold_item_leads_nowhere(make: Callable[[], Recommender]) -> None:
    assert learnt(make, "abc").recommend(session("z"), 20, ()) == []


@pytest.mark.parametrize("make", FROM_SESSION)
def test_a_question_teaches_nothing(make: Callable[[], Recommender]) -> None:
    model = learnt(make, "abc")
    model.recommend(session("zb"), 20, ())
    assert model.recommend(session("z"), 20, ()) == []


@pytest.mark.parametrize("make", [VSknn, VStan])
def test_a_cold_item_beside_a_known_one_changes_no_order(make: Callable[[], Recommender]) -> None:
    model = learnt(make, "ab", "ac", "ac", "d")
    assert model.recommend(session("az"), 20, {"a"}) == ["c", "b"]


@pytest.mark.parametrize("make", ALL)
def test_no_excluded_item_takes_a_place(make: Callable[[], Recommender]) -> None:
    model = learnt(make, "abcde")
    assert sorted(model.recommend(session("a"), 2, ["a", "b", "c"])) == ["d", "e"]
    assert model.recommend(session("a"), 20, set("abcde")) == []


@pytest.mark.parametrize("make", ALL)
def test_at_most_n_items_come_back(make: Callable[[], Recommender]) -> None:
    model = learnt(make, "abcde")
    best = model.recommend(session("a"), 20, {"a"})
    assert len(best) == 4
    assert [model.recommend(session("a"), n, {"a"}) for n in range(6)] == [best[:n] for n in range(6)]


@pytest.mark.parametrize("make", ALL)
def test_equal_scores_go_by_item_id(make: Callable[[], Recommender]) -> None:
    model = learnt(make, "ad", "ac", "ab")
    assert model.recommend(session("a"), 20, {"a"}) == ["b", "c", "d"]
    assert model.recommend(session("a"), 2, {"a"}) == ["b", "c"]


@pytest.mark.parametrize("make", ALL)
def test_kinds_and_categories_make_no_difference(make: Callable[[], Recommender]) -> None:
    model = make()
    events = [Interaction("s", "a", 0, "orders", "x"), Interaction("s", "b", 1, "add-to-cart", "y")]
    model.learn(events[:1])
    model.learn(events)
    model.learn_session(events)
    assert model.recommend(session("a"), 20, {"a"}) == ["b"]


@pytest.mark.parametrize("make", [Popularity, AssociationRules, SequentialRules, ItemKnn])
def test_an_ended_session_adds_nothing_to_what_its_events_taught(make: Callable[[], Recommender]) -> None:
    model = make()
    model.learn_session(session("ab"))
    assert model.recommend(session("a"), 20, ()) == []


@pytest.mark.parametrize("make", [VSknn, VStan])
def test_a_running_session_is_not_learnt_before_it_ends(make: Callable[[], Recommender]) -> None:
    model = make()
    model.learn(session("ab"))
    assert model.recommend(session("a"), 20, ()) == []


@pytest.mark.parametrize(("make", "k"), [(VSknn, 500), (VStan, 700)])
def test_the_tuned_number_of_sessions_votes(make: Callable[[], Recommender], k: int) -> None:
    assert "y" in learnt(make, "xy", *("xz" for _ in range(k - 1))).recommend(session("x"), 20, ())
    assert "y" not in learnt(make, "xy", *("xz" for _ in range(k))).recommend(session("x"), 20, ())


@pytest.mark.parametrize("make", [VSknn, VStan])
def test_the_five_thousand_latest_sessions_are_compared(make: Callable[[], Recommender]) -> None:
    assert "y" in learnt(make, "xwy", *("xz" for _ in range(4999))).recommend(session("xw"), 20, ())
    assert "y" not in learnt(make, "xwy", *("xz" for _ in range(5000))).recommend(session("xw"), 20, ())
