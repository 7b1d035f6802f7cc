"""The leaders are the most popular items at any time, whatever was counted in between."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment, Row, fold
from models.decay import EPOCH_HALF_LIVES
from models.leaders import Leaders
from models.parameters import Parameters

HALF_LIFE_MS = 1_000
PARAMETERS = Parameters(half_life_ms=HALF_LIFE_MS)
CATEGORIES = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": None, "g": "x"}

arrivals = st.lists(st.tuples(st.sampled_from(sorted(CATEGORIES)), st.integers(-20_000, 80_000)), max_size=40)


def counted(most: int, *rows: tuple[str, Row]) -> Leaders:
    leaders = Leaders(most)
    for item, row in rows:
        count(leaders, item, row)
    return leaders


def count(leaders: Leaders, item: str, row: Row) -> None:
    leaders.count(item, row.sessions, row.epoch, row.category)


def met(sessions: float, category: str | None = None, epoch: int = 0) -> Row:
    return Row(epoch, sessions=sessions, category=category)


# -- by hand


def test_before_anything_is_counted_nobody_leads() -> None:
    assert (Leaders(3).top(None), Leaders(3).top("x")) == ([], [])


def test_the_most_popular_item_comes_first() -> None:
    assert counted(3, ("a", met(1.0)), ("b", met(3.0)), ("c", met(2.0))).top(None) == ["b", "c", "a"]


def test_just_as_many_as_asked_for_are_kept() -> None:
    rows = [("a", met(1.0)), ("b", met(3.0)), ("c", met(2.0))]
    assert [counted(most, *rows).top(None) for most in (1, 2, 3)] == [["b"], ["b", "c"], ["b", "c", "a"]]


def test_an_item_that_is_counted_again_stands_once_at_its_new_place() -> None:
    assert counted(3, ("a", met(1.0)), ("b", met(2.0)), ("a", met(3.0))).top(None) == ["a", "b"]


def test_an_item_that_fell_out_comes_back_with_all_its_sessions() -> None:
    # b displaces a, whose own arrival then makes it 3
    assert counted(1, ("a", met(1.0)), ("b", met(2.0)), ("a", met(3.0))).top(None) == ["a"]


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_of_equally_popular_items_the_smaller_ids_lead(order: str) -> None:
    assert counted(2, *((item, met(1.0)) for item in order)).top(None) == ["a", "b"]


def test_a_count_of_a_later_epoch_is_the_greater_one() -> None:
    # half a session of epoch 1 weighs as much as 2^15 of epoch 0
    rows = [("a", met(2.0**14)), ("b", met(0.5, epoch=1)), ("c", met(2.0**16))]
    assert counted(3, *rows).top(None) == ["c", "b", "a"]


def test_what_was_asked_before_stays_as_it_was() -> None:
    leaders = counted(2, ("a", met(1.0)))
    before = leaders.top(None)
    count(leaders, "b", met(2.0))
    assert (before, leaders.top(None)) == (["a"], ["b", "a"])


def test_a_category_has_leaders_of_its_own() -> None:
    leaders = counted(1, ("a", met(1.0, "x")), ("b", met(3.0, "y")), ("c", met(2.0, "x")), ("d", met(9.0)))
    assert (leaders.top(None), leaders.top("x"), leaders.top("y"), leaders.top("z")) == (["d"], ["c"], ["b"], [])


def test_all_sessions_together_are_no_item() -> None:
    assert counted(2, (TOTALS, met(9.0)), ("a", met(1.0))).top(None) == ["a"]


def test_an_item_that_no_session_met_does_not_lead() -> None:
    assert counted(2, ("a", met(0.0, "x"))).top("x") == []


def test_a_forgotten_item_leads_nowhere() -> None:
    leaders = counted(2, ("a", met(1.0, "x")), ("b", met(2.0, "x")))
    assert (leaders.top(None), leaders.top("x")) == (["b", "a"], ["b", "a"])
    leaders.forget("b", "x")
    assert (leaders.top(None), leaders.top("x")) == (["a"], ["a"])


def test_forgetting_an_item_that_does_not_lead_changes_nothing() -> None:
    leaders = counted(1, ("a", met(1.0, "x")), ("b", met(2.0, "x")))
    for item, category in (("a", "x"), ("unknown", None), ("unknown", "z")):
        leaders.forget(item, category)
    assert (leaders.top(None), leaders.top("x"), leaders.top("z")) == (["b"], ["b"], [])


# -- law


@given(history=arrivals, most=st.integers(1, 5))
def test_at_any_time_the_leaders_are_those_that_sorting_everything_would_find(
    history: list[tuple[str, int]], most: int
) -> None:
    leaders = Leaders(most)
    rows: dict[str, Row] = {}
    sessions: dict[str, float] = {}
    for item, time_ms in history:
        rows[item] = fold(rows.get(item), Increment(item, 1, 1, (), CATEGORIES[item]), time_ms, PARAMETERS)
        count(leaders, item, rows[item])
        # as of time zero, however far ahead that is or behind
        sessions[item] = sessions.get(item, 0.0) + 2.0 ** (time_ms / HALF_LIFE_MS)
        for category in (None, "x", "y"):
            counts = {i: count for i, count in sessions.items() if category in (None, CATEGORIES[i])}
            top = leaders.top(category)
            # Items whose counts differ by rounding alone may stand in either order.
            found = [log2(counts[i]) for i in top]
            assert found == pytest.approx(sorted(map(log2, counts.values()), reverse=True)[:most], abs=1e-9)
            assert len(set(top)) == len(top)


@given(st.lists(st.tuples(st.sampled_from(sorted(CATEGORIES)), st.integers(0, 3)), max_size=30), st.integers(1, 5))
def test_equal_counts_lead_in_the_order_of_their_ids_however_they_came_about(
    history: list[tuple[str, int]], most: int
) -> None:
    leaders = Leaders(most)
    rows: dict[str, Row] = {}
    for item, half_lives in history:
        # sums of powers of two are exact
        rows[item] = fold(rows.get(item), Increment(item, 1, 1), half_lives * HALF_LIFE_MS, PARAMETERS)
        count(leaders, item, rows[item])
    assert leaders.top(None) == sorted(rows, key=lambda i: (-rows[i].sessions, i))[:most]
    assert all(row.epoch == 0 for row in rows.values()) and EPOCH_HALF_LIVES > 3


def test_a_category_without_items_is_forgotten() -> None:
    leaders = Leaders(2)
    leaders.count("tea", 1.0, 0, "drinks")
    leaders.forget("tea", "drinks")
    assert leaders._boards == {}
