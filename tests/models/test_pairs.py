"""An arrival pairs with the session's last positions, forward and backward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment
from models.pairs import increments, session_opened
from models.parameters import DEFAULTS

items = st.sampled_from(["a", "b", "c", "d", "e"])
positions_of = st.lists(st.tuples(items, st.integers(0, 3_600_000)), max_size=20)


def weights_into(result: list[Increment], item: str) -> dict[str, float]:
    """The weight that each other row gains for `item`."""
    return {i.anchor: i.others[0][1] for i in result if i.anchor != item}


def test_the_first_arrival_counts_itself_and_pairs_with_nothing() -> None:
    assert increments("tea", 0, [], 1, True, DEFAULTS) == [Increment("tea", 1, 1, ())]


def test_the_weight_falls_with_age_and_length_and_is_half_backward() -> None:
    result = increments("cup", 600_000, [("tea", 0)], 2, True, DEFAULTS)
    # 1^-1.5 · e^-1 · 2^-0.25 = 0.367879 · 0.840896
    weight = 0.309_348_2
    assert [i.anchor for i in result] == ["tea", "cup"]
    assert result[0] == Increment("tea", 0, 0, (("cup", pytest.approx(weight, rel=1e-6), 1),))
    assert result[1] == Increment("cup", 1, 1, (("tea", pytest.approx(weight / 2, rel=1e-6), 1),))


def test_the_second_last_position_counts_2_to_the_minus_one_and_a_half() -> None:
    result = increments("cup", 0, [("pot", 0), ("tea", 0)], 1, True, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": 1.0, "pot": pytest.approx(0.353_553_4, rel=1e-6)}


def test_length_sixteen_halves_the_weight() -> None:
    # 16^-0.25 = 0.5
    assert weights_into(increments("cup", 0, [("tea", 0)], 16, True, DEFAULTS), "cup") == {"tea": 0.5}


def test_the_eighth_last_position_counts_and_the_ninth_does_not() -> None:
    positions = [(f"item-{n}", 0) for n in range(9, 0, -1)]
    weights = weights_into(increments("cup", 0, positions, 1, True, DEFAULTS), "cup")
    assert weights.keys() == {f"item-{n}" for n in range(1, 9)}
    # 8^-1.5 = 1 / 22.627
    assert weights["item-8"] == pytest.approx(0.044_194_2, rel=1e-6)


def test_an_item_seen_twice_counts_once_at_its_nearest_position() -> None:
    result = increments("cup", 0, [("tea", 0), ("pot", 0), ("tea", 0)], 1, True, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": 1.0, "pot": pytest.approx(2**-1.5)}
    assert [other for other, _, _ in result[-1].others] == ["tea", "pot"]


def test_the_item_itself_pairs_with_nothing_but_keeps_its_place() -> None:
    result = increments("cup", 0, [("tea", 0), ("cup", 0)], 1, False, DEFAULTS)
    assert weights_into(result, "cup") == {"tea": pytest.approx(2**-1.5)}
    assert result[-1].anchor == "cup"


def test_a_returning_item_is_an_event_and_neither_a_session_nor_a_meeting() -> None:
    result = increments("cup", 0, [("cup", 0), ("tea", 0)], 3, False, DEFAULTS)
    assert [(i.events, i.sessions, [met for _, _, met in i.others]) for i in result] == [(0, 0, [0]), (1, 0, [0])]


def test_out_of_order_times_weigh_by_their_distance() -> None:
    before = increments("cup", 0, [("tea", 600_000)], 2, True, DEFAULTS)
    assert before == increments("cup", 600_000, [("tea", 0)], 2, True, DEFAULTS)


def test_an_opened_session_adds_one_to_the_totals() -> None:
    assert session_opened() == Increment(TOTALS, 0, 1, ())


@given(item=items, time_ms=st.integers(0, 3_600_000), positions=positions_of, is_new=st.booleans())
def test_every_pair_is_added_to_both_rows_with_half_the_weight_backward(
    item: str, time_ms: int, positions: list[tuple[str, int]], is_new: bool
) -> None:
    result = increments(item, time_ms, positions, len(positions) + 1, is_new, DEFAULTS)
    *forward, own = result
    assert (own.anchor, own.events, own.sessions) == (item, 1, int(is_new))
    assert {i.anchor for i in forward} == {other for other, _ in positions[-8:]} - {item}
    assert [i.anchor for i in forward] == [other for other, _, _ in own.others]
    for increment, (other, weight, met) in zip(forward, own.others, strict=True):
        assert increment == Increment(other, 0, 0, ((item, pytest.approx(2 * weight), met),))
        assert met == int(is_new)
        assert 0 < weight <= 0.5
