"""An arrival pairs with the session's last positions, forward and backward."""

from collections import Counter
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment
from models.pairs import increments, session_opened
from models.parameters import DEFAULTS
from models.records import Kind

KINDS: list[Kind] = ["browse", "add-to-cart", "orders"]
items = st.sampled_from(["a", "b", "c", "d", "e"])
positions_of = st.lists(st.tuples(items, st.integers(0, 3_600_000)), max_size=20)


def weights_into(result: list[Increment], item: str) -> dict[str, float]:
    """The weight that each other row gains for `item`."""
    return {i.anchor: i.others[0][1] for i in result if i.anchor != item}


def test_the_first_arrival_counts_itself_and_pairs_with_nothing() -> None:
    assert increments("tea", 0, [], 1, True, DEFAULTS) == [Increment("tea", 1, 1, ())]


def test_the_weight_falls_with_age_and_length_and_is_half_backward() -> None:
    result = increments("cup", 600_000, [("tea", 0)], 2, True, DEFAULTS)
    # 1^-2 · e^-1 · 2^-0.25 = 0.367879 · 0.840896
    weight = 0.309_348_2
    assert [i.anchor for i in result] == ["tea", "cup"]
    assert result[0] == Increment("tea", 0, 0, (("cup", pytest.approx(weight, rel=1e-6), 1, 0),))
    assert result[1] == Increment("cup", 1, 1, (("tea", pytest.approx(weight / 2, rel=1e-6), 1, 0),))


def test_the_second_last_position_counts_a_quarter_and_the_third_last_a_ninth() -> None:
    result = increments("cup", 0, [("mug", 0), ("pot", 0), ("tea", 0)], 1, True, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": 1.0, "pot": 0.25, "mug": pytest.approx(1 / 9)}


def test_length_sixteen_halves_the_weight() -> None:
    # 16^-0.25 = 0.5
    assert weights_into(increments("cup", 0, [("tea", 0)], 16, True, DEFAULTS), "cup") == {"tea": 0.5}


def test_the_eighth_last_position_counts_and_the_ninth_does_not() -> None:
    positions = [(f"item-{n}", 0) for n in range(9, 0, -1)]
    weights = weights_into(increments("cup", 0, positions, 1, True, DEFAULTS), "cup")
    assert weights.keys() == {f"item-{n}" for n in range(1, 9)}
    # 8^-2 = 1 / 64
    assert weights["item-8"] == 0.015_625


def test_an_item_seen_twice_counts_once_at_its_nearest_position() -> None:
    result = increments("cup", 0, [("tea", 0), ("pot", 0), ("tea", 0)], 1, True, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": 1.0, "pot": 0.25}
    assert [other for other, *_ in result[-1].others] == ["tea", "pot"]


def test_the_item_itself_pairs_with_nothing_but_keeps_its_place() -> None:
    result = increments("cup", 0, [("tea", 0), ("cup", 0)], 1, False, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": 0.25}
    assert result[-1].anchor == "cup"


def test_a_returning_item_is_an_event_and_neither_a_session_nor_a_meeting() -> None:
    result = increments("cup", 0, [("cup", 0), ("tea", 0)], 3, False, DEFAULTS)
    assert [(i.events, i.sessions, [met for _, _, met, _ in i.others]) for i in result] == [(0, 0, [0]), (1, 0, [0])]


def test_out_of_order_times_weigh_by_their_distance() -> None:
    before = increments("cup", 0, [("tea", 600_000)], 2, True, DEFAULTS)
    assert before == increments("cup", 600_000, [("tea", 0)], 2, True, DEFAULTS)


def test_an_opened_session_adds_one_to_the_totals() -> None:
    assert session_opened() == Increment(TOTALS, 0, 1, ())


# -- what the event was


def test_a_view_counts_one_an_item_put_into_the_cart_or_ordered_two() -> None:
    arrivals = [increments("cup", 0, [("tea", 0)], 1, True, DEFAULTS, kind=kind) for kind in KINDS]
    assert [weights_into(result, "cup") for result in arrivals] == [{"tea": 1.0}, {"tea": 2.0}, {"tea": 2.0}]


def test_two_items_both_ordered_count_six() -> None:
    positions = [("tea", 0), ("pot", 0)]
    result = increments("cup", 0, positions, 1, True, DEFAULTS, kind="orders", bought={"cup", "tea"})
    # tea stands second: 6 / 4; pot was not ordered
    assert weights_into(result, "cup") == {"pot": 2.0, "tea": 1.5}


def test_the_weight_of_the_event_is_halved_backward_too() -> None:
    result = increments("cup", 0, [("tea", 0)], 1, True, DEFAULTS, kind="orders", bought={"cup", "tea"})
    assert result[-1].others == (("tea", 3.0, 1, 0),)


@pytest.mark.parametrize(("kind", "weight"), [("browse", 1.0), ("add-to-cart", 2.0)])
def test_what_was_ordered_before_counts_as_usual_beside_a_view_or_the_cart(kind: Kind, weight: float) -> None:
    result = increments("cup", 0, [("tea", 0)], 1, True, DEFAULTS, kind=kind, bought={"tea"})
    assert weights_into(result, "cup") == {"tea": weight}


def test_the_arriving_item_s_increment_alone_names_its_category() -> None:
    result = increments("cup", 0, [("tea", 0)], 1, True, DEFAULTS, category="dishes")
    assert [(i.anchor, i.category) for i in result] == [("tea", None), ("cup", "dishes")]


# -- comparisons


def compared(
    positions: list[tuple[str, int]],
    time_ms: int = 0,
    is_new: bool = True,
    kind: Kind = "browse",
    item: str = "cup",
    bought: Collection[str] = (),
    carted: Collection[str] = (),
) -> dict[str, int]:
    """Which session items the arrival of `item` is compared with, the same in both rows."""
    *forward, own = increments(
        item, time_ms, positions, len(positions) + 1, is_new, DEFAULTS, kind=kind, bought=bought, carted=carted
    )
    result = {other: compared for other, _, _, compared in own.others}
    assert result == {i.anchor: i.others[0][3] for i in forward}
    return result


@pytest.mark.parametrize(("gap_ms", "expected"), [(0, 1), (14_999, 1), (15_000, 1), (15_001, 0)])
def test_items_viewed_one_after_the_other_within_15_s_are_compared(gap_ms: int, expected: int) -> None:
    assert compared([("tea", 0)], gap_ms) == {"tea": expected}


@pytest.mark.parametrize(("gap_ms", "expected"), [(15_000, 1), (15_001, 0)])
def test_events_out_of_order_are_compared_by_their_distance(gap_ms: int, expected: int) -> None:
    assert compared([("tea", gap_ms)], 0) == {"tea": expected}


def test_only_the_item_just_before_is_compared() -> None:
    assert compared([("pot", 0), ("tea", 0)]) == {"tea": 1, "pot": 0}


def test_a_view_that_returns_from_another_item_is_a_comparison_however_long_it_took() -> None:
    assert compared([("cup", 0), ("tea", 60_000)], 600_000, is_new=False) == {"tea": 1}


@pytest.mark.parametrize(("gap_ms", "expected"), [(0, 0), (14_999, 0), (15_000, 0), (15_001, 1)])
def test_a_return_to_an_item_that_was_left_within_15_s_is_not_a_second_comparison(gap_ms: int, expected: int) -> None:
    assert compared([("cup", 0), ("tea", gap_ms)], gap_ms + 1, is_new=False) == {"tea": expected}


@pytest.mark.parametrize(("gap_ms", "expected"), [(15_000, 0), (15_001, 1)])
def test_how_long_ago_an_item_was_left_is_a_distance_too(gap_ms: int, expected: int) -> None:
    assert compared([("cup", gap_ms), ("tea", 0)], 60_000, is_new=False) == {"tea": expected}


def test_a_second_return_to_the_same_item_is_none() -> None:
    there_and_back = [("cup", 0), ("tea", 60_000), ("cup", 120_000), ("tea", 180_000)]
    assert compared(there_and_back, 240_000, is_new=False) == {"tea": 0}


def test_a_return_the_other_way_is_none_once_there_was_one() -> None:
    assert compared([("tea", 0), ("cup", 60_000), ("tea", 120_000)], 180_000, is_new=False) == {"tea": 0}


def test_a_return_by_way_of_two_other_items_is_none() -> None:
    assert compared([("cup", 0), ("pot", 0), ("tea", 0)], is_new=False) == {"tea": 0, "pot": 0}


def test_an_item_that_was_seen_before_is_not_compared_by_time_alone() -> None:
    assert compared([("cup", 0), ("tea", 0), ("tea", 0)], is_new=False) == {"tea": 0}


def test_an_item_viewed_twice_running_is_compared_with_nothing() -> None:
    assert compared([("tea", 0), ("cup", 0)], is_new=False) == {"tea": 0}


@pytest.mark.parametrize("kind", ["add-to-cart", "orders"])
def test_putting_into_the_cart_and_ordering_compare_nothing(kind: Kind) -> None:
    assert compared([("tea", 0)], kind=kind) == {"tea": 0}
    assert compared([("cup", 0), ("tea", 60_000)], 120_000, is_new=False, kind=kind) == {"tea": 0}


def test_what_is_in_the_cart_is_not_compared_with_what_is_viewed_next() -> None:
    assert compared([("tea", 0)], carted=["tea"]) == {"tea": 0}
    assert compared([("tea", 0)], carted=["pot"]) == {"tea": 1}


def test_what_was_bought_is_not_compared_with_what_is_viewed_next() -> None:
    assert compared([("tea", 0)], bought=["tea"]) == {"tea": 0}
    assert compared([("tea", 0)], bought=["pot"]) == {"tea": 1}


def test_a_return_from_what_is_in_the_cart_or_was_bought_is_no_comparison() -> None:
    there = [("cup", 0), ("tea", 60_000)]
    assert compared(there, 120_000, is_new=False, carted=["tea"]) == {"tea": 0}
    assert compared(there, 120_000, is_new=False, bought=["tea"]) == {"tea": 0}
    assert compared(there, 120_000, is_new=False, carted=["pot"], bought=["mug"]) == {"tea": 1}


def test_what_is_in_the_cart_or_was_bought_is_not_compared_when_it_is_viewed() -> None:
    # The cart outlives the session in which it was filled, so that this may be the first view in this one.
    assert compared([("tea", 0)], carted=["cup"]) == {"tea": 0}
    assert compared([("tea", 0)], bought=["cup"]) == {"tea": 0}
    assert compared([("cup", 0), ("tea", 60_000)], 120_000, is_new=False, carted=["cup"]) == {"tea": 0}


# -- laws


@given(
    views=st.lists(
        st.tuples(items, st.sampled_from([0, 1, 15_000, 15_001, 60_000, -20_000]), st.sampled_from(KINDS)), max_size=30
    )
)
def test_two_items_are_compared_at_most_once_a_session(views: list[tuple[str, int, Kind]]) -> None:
    positions: list[tuple[str, int]] = []
    counts: Counter[tuple[str, str]] = Counter()
    time_ms = 0
    for item, step_ms, kind in views:
        time_ms += step_ms
        is_new = item not in dict(positions)
        for increment in increments(item, time_ms, positions, len(positions) + 1, is_new, DEFAULTS, kind=kind):
            counts.update({(increment.anchor, other): compared for other, _, _, compared in increment.others})
        positions.append((item, time_ms))
    assert max(counts.values(), default=0) <= 1
    assert all(counts[other, anchor] == count for (anchor, other), count in counts.items())


@given(
    item=items,
    time_ms=st.integers(0, 3_600_000),
    positions=positions_of,
    is_new=st.booleans(),
    kind=st.sampled_from(KINDS),
    bought=st.sets(items),
    carted=st.sets(items),
)
def test_every_pair_is_added_to_both_rows_with_half_the_weight_backward(
    item: str,
    time_ms: int,
    positions: list[tuple[str, int]],
    is_new: bool,
    kind: Kind,
    bought: set[str],
    carted: set[str],
) -> None:
    result = increments(
        item, time_ms, positions, len(positions) + 1, is_new, DEFAULTS, kind=kind, bought=bought, carted=carted
    )
    *forward, own = result
    assert (own.anchor, own.events, own.sessions) == (item, 1, int(is_new))
    assert {i.anchor for i in forward} == {other for other, _ in positions[-8:]} - {item}
    assert [i.anchor for i in forward] == [other for other, *_ in own.others]
    for increment, (other, weight, met, compared) in zip(forward, own.others, strict=True):
        assert increment == Increment(other, 0, 0, ((item, pytest.approx(2 * weight), met, compared),))
        assert met == int(is_new)
        assert 0 < weight <= 0.5 * {"browse": 1, "add-to-cart": 2, "orders": 6 if other in bought else 2}[kind]
        assert not compared or (
            kind == "browse" and other == positions[-1][0] and not {item, other} & (bought | carted)
        )
