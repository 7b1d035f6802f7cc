"""Recorded events become interactions; a split by time lets nothing of the test's time into the training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConfigurationError
from models.evaluation.datasets import interactions, split_by_time, validation_split
from models.evaluation.recommender import Interaction
from models.recordings.record import Recorded

START = 1_767_607_200_000


def met(**sessions: tuple[int, ...]) -> list[Interaction]:
    """Interactions in time order: one for each time of each session, the item named after both."""
    found = [Interaction(session, f"{session}{time}", time) for session, times in sessions.items() for time in times]
    return sorted(found, key=lambda each: each.time_ms)


def items(found: list[Interaction]) -> str:
    return " ".join(each.item_id for each in found)


# -- events to interactions


def test_a_view_is_one_interaction_with_its_category() -> None:
    events = [
        Recorded("browse", {"session_id": "s1", "item_id": "tent", "category": "shelter"}, START),
        Recorded("browse", {"session_id": "s2", "item_id": "rope"}, START + 1),
    ]
    assert interactions(events) == [
        Interaction("s1", "tent", START, "browse", "shelter"),
        Interaction("s2", "rope", START + 1, "browse", None),
    ]


def test_the_time_is_the_recorded_one_whatever_the_message_says() -> None:
    event = Recorded("browse", {"session_id": "s1", "item_id": "tent", "time": "2026-01-05T10:00:00Z"}, START)
    assert [each.time_ms for each in interactions([event])] == [START]


def test_an_empty_category_is_none() -> None:
    events = [
        Recorded("browse", {"session_id": "s1", "item_id": "tent", "category": ""}, START),
        Recorded("orders", {"session_id": "s1", "lines": [{"item_id": "tent", "category": ""}]}, START),
    ]
    assert [each.category for each in interactions(events)] == [None, None]


def test_an_order_is_one_interaction_for_each_line() -> None:
    lines = [{"item_id": "tent", "category": "shelter"}, {"item_id": "rope"}, {"item_id": "tent"}]
    event = Recorded("orders", {"session_id": "s1", "order_id": "o1", "lines": lines}, START)  # type: ignore[typeddict-item]
    assert interactions([event]) == [
        Interaction("s1", "tent", START, "orders", "shelter"),
        Interaction("s1", "rope", START, "orders", None),
        Interaction("s1", "tent", START, "orders", None),
    ]


def test_only_additions_to_a_cart_count() -> None:
    events = [
        Recorded("add-to-cart", {"session_id": "s1", "item_id": "tent", "action": "add", "category": "shelter"}, START),
        Recorded("add-to-cart", {"session_id": "s1", "item_id": "rope"}, START + 1),
        Recorded("add-to-cart", {"session_id": "s1", "item_id": "stove", "action": None}, START + 2),  # type: ignore[typeddict-item]
        Recorded("add-to-cart", {"session_id": "s1", "item_id": "tent", "action": "remove"}, START + 3),
        Recorded("add-to-cart", {"session_id": "s1", "action": "clear"}, START + 4),
    ]
    assert interactions(events) == [
        Interaction("s1", "tent", START, "add-to-cart", "shelter"),
        Interaction("s1", "rope", START + 1, "add-to-cart", None),
        Interaction("s1", "stove", START + 2, "add-to-cart", None),
    ]


def test_an_action_of_a_view_has_no_meaning() -> None:
    event = Recorded("browse", {"session_id": "s1", "item_id": "tent", "action": "remove"}, START)
    assert len(interactions([event])) == 1


# -- the split


def test_the_last_sessions_to_start_are_the_test() -> None:
    train, test = split_by_time(met(a=(1, 2), b=(3, 4), c=(5, 6), d=(7, 8), e=(9, 10)))
    assert items(train) == "a1 a2 b3 b4 c5 c6 d7 d8"
    assert items(test) == "e9 e10"


def test_a_session_counts_by_its_start_and_not_by_its_end() -> None:
    train, test = split_by_time(met(a=(1, 50), b=(2, 3)), test_share=0.5)
    assert items(train) == "a1"
    assert items(test) == "b2 b3"


def test_what_still_runs_when_the_test_starts_is_in_neither() -> None:
    train, test = split_by_time(met(a=(1, 9, 10, 11, 20), b=(2, 3), c=(10, 12)), test_share=1 / 3)
    assert items(train) == "a1 b2 b3 a9"
    assert items(test) == "c10 c12"


@pytest.mark.parametrize(("share", "tested"), [(0.01, 1), (0.2, 2), (0.24, 2), (0.26, 3), (0.9, 9)])
def test_the_share_is_rounded_to_whole_sessions_and_at_least_one(share: float, tested: int) -> None:
    train, test = split_by_time(met(**{f"s{number}": (number,) for number in range(10)}), share)
    assert (len(train), len(test)) == (10 - tested, tested)


def test_sessions_that_start_together_stay_together() -> None:
    train, test = split_by_time(met(a=(1,), b=(5,), c=(5, 7), d=(5,)), test_share=0.25)
    assert items(train) == "a1"
    assert items(test) == "b5 c5 d5 c7"


def test_the_earliest_sessions_are_training_even_if_the_share_would_take_them() -> None:
    train, test = split_by_time(met(a=(1,), b=(1,), c=(1,), d=(2,)), test_share=0.9)
    assert items(train) == "a1 b1 c1"
    assert items(test) == "d2"


@pytest.mark.parametrize("sessions", [{}, {"a": (1, 2, 3)}, {"a": (1, 2), "b": (1, 3)}])
def test_without_a_moment_between_the_sessions_all_are_training(sessions: dict[str, tuple[int, ...]]) -> None:
    assert split_by_time(met(**sessions)) == (met(**sessions), [])


def test_interactions_in_any_order_are_split_alike_and_stay_in_their_order() -> None:
    shuffled = list(reversed(met(a=(1, 9), b=(2, 3), c=(8, 12))))
    train, test = split_by_time(shuffled, test_share=1 / 3)
    assert items(train) == "b3 b2 a1"
    assert items(test) == "c12 c8"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="is out of range: above 0 and below 1"):
        split_by_time(met(a=(1,), b=(2,)), share)


def test_the_validation_is_the_same_split_within_the_training() -> None:
    train = met(a=(1, 2), b=(3, 9), c=(5, 6), d=(6, 6), e=(8, 10))
    assert (
        validation_split(train) == split_by_time(train) == (met(a=(1, 2), b=(3,), c=(5, 6), d=(6, 6)), met(e=(8, 10)))
    )
    assert validation_split(train, 0.4) == split_by_time(train, 0.4)


@given(
    st.lists(st.builds(Interaction, st.sampled_from("abcdef"), st.sampled_from("xyz"), st.integers(0, 20))),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
)
def test_laws_of_the_split(found: list[Interaction], share: float) -> None:
    train, test = split_by_time(found, share)
    assert bool(train) == bool(found)
    tested = {each.session_id for each in test}
    assert tested.isdisjoint(each.session_id for each in train)
    assert test == [each for each in found if each.session_id in tested]
    if test:
        test_start_ms = min(each.time_ms for each in test)
        assert train == [each for each in found if each.time_ms < test_start_ms]
        assert {each.session_id for each in found} == tested | {each.session_id for each in train}
    else:
        assert train == found
