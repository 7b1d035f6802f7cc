"""Rows fold like `models.cooccurrence`, rank like `models.ranking`, and answer as of the time they are asked for."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment, Row, fold
from models.decay import EPOCH_HALF_LIVES
from models.kernel.rows import DenseRows
from models.pairs import session_opened
from models.parameters import Parameters
from models.ranking import rank
from models.rows import PlainRows, Rows

HALF_LIFE_MS = 1_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
PARAMETERS = Parameters(half_life_ms=HALF_LIFE_MS, row_size=3, leaders_max=2, trend_speed=2)

items = st.sampled_from("abcde")
flags = st.integers(0, 1)
increments = st.builds(
    # A session counts an item at an arrival of its own.
    lambda item, arrival, others, category: Increment(item, *arrival, others, category),
    items,
    st.sampled_from([(0, 0), (1, 0), (1, 1)]),
    st.lists(st.tuples(items, st.sampled_from([0.5, 1.0]), flags, flags), max_size=4, unique_by=lambda o: o[0]).map(
        tuple
    ),
    st.none() | st.sampled_from("xy"),
)
histories = st.lists(st.tuples(increments, st.integers(0, 2 * EPOCH_MS)), max_size=20)


@pytest.fixture
def rows() -> PlainRows:
    """Tea and cup, met together in two of tea's four sessions and once compared; of five sessions in all."""
    rows = PlainRows(PARAMETERS)
    rows["tea"] = Row(0, 1.5, 6.0, 4.0, {"cup": 1.5}, {"cup": 2.0}, {"cup": 1.0}, "drinks")
    rows["cup"] = Row(0, events=3.0, sessions=3.0)
    rows[TOTALS] = Row(0, sessions=5.0)
    return rows


# -- counts


def test_sessions_are_decayed_to_the_time_asked_for(rows: PlainRows) -> None:
    assert [rows.sessions("tea", time_ms) for time_ms in (-HALF_LIFE_MS, 0, HALF_LIFE_MS)] == [8.0, 4.0, 2.0]


def test_the_total_is_decayed_to_the_time_asked_for(rows: PlainRows) -> None:
    assert (rows.total(0), rows.total(HALF_LIFE_MS)) == (5.0, 2.5)


def test_a_pair_is_read_from_the_anchor_s_row(rows: PlainRows) -> None:
    assert (rows.pair("tea", "cup", 0), rows.pair("cup", "tea", 0)) == ((2.0, 1.0), (0.0, 0.0))


def test_meetings_and_comparisons_are_decayed_to_the_time_asked_for(rows: PlainRows) -> None:
    assert rows.pair("tea", "cup", 2 * HALF_LIFE_MS) == (0.5, 0.25)


def test_a_pair_that_was_never_compared_has_no_comparisons(rows: PlainRows) -> None:
    rows["pot"] = Row(0, weights={"cup": 1.0}, pairs={"cup": 1.0})
    assert rows.pair("pot", "cup", 0) == (1.0, 0.0)


def test_rows_of_different_epochs_are_read_at_the_same_time(rows: PlainRows) -> None:
    rows["mug"] = Row(1, sessions=4.0, weights={"cup": 1.0}, pairs={"cup": 2.0}, comparisons={"cup": 1.0})
    assert rows.sessions("mug", EPOCH_MS) == rows.sessions("tea", 0)
    assert rows.pair("mug", "cup", EPOCH_MS) == rows.pair("tea", "cup", 0)


def test_nothing_is_counted_of_an_item_that_has_no_row(rows: PlainRows) -> None:
    assert (rows.sessions("mug", 0), rows.pair("mug", "cup", 0), rows.pair("tea", "mug", 0)) == (0, (0, 0), (0, 0))
    assert (rows.category("mug"), rows.has_neighbours("mug")) == (None, False)
    assert PlainRows(PARAMETERS).total(0) == 0.0


def test_the_category_of_an_item_is_its_row_s(rows: PlainRows) -> None:
    assert (rows.category("tea"), rows.category("cup")) == ("drinks", None)


def test_an_item_has_neighbours_when_its_row_has(rows: PlainRows) -> None:
    assert (rows.has_neighbours("tea"), rows.has_neighbours("cup")) == (True, False)


# -- folding


def test_increments_are_folded_into_the_rows_of_their_anchors() -> None:
    rows = PlainRows(PARAMETERS)
    tea = Increment("tea", 1, 1, (("cup", 0.5, 1, 1),), "drinks")
    rows.fold_all([(session_opened(), 0), (tea, 0), (tea, HALF_LIFE_MS)])
    assert dict(rows) == {
        TOTALS: Row(0, sessions=1.0),
        "tea": Row(0, 1.5, 3.0, 3.0, {"cup": 1.5}, {"cup": 3.0}, {"cup": 3.0}, "drinks", recent=5.0),
    }


def test_folding_nothing_changes_nothing(rows: PlainRows) -> None:
    before = copy.deepcopy(dict(rows))
    rows.fold_all([])
    assert dict(rows) == before


def test_increments_are_folded_in_their_order() -> None:
    # Of a row of three, what came last displaces the weakest.
    rows = PlainRows(PARAMETERS)
    weights = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.5}
    rows.fold_all((Increment("tea", others=((item, weight, 1, 0),)), 0) for item, weight in weights.items())
    assert rows["tea"].weights == {"b": 2.0, "c": 3.0, "d": 0.5}


# -- leaders


def test_items_that_are_folded_lead_by_their_sessions() -> None:
    rows = PlainRows(PARAMETERS)
    arrivals = [("a", "x"), ("b", "x"), ("b", "x"), ("c", "y"), ("c", "y"), ("c", "y")]
    rows.fold_all((Increment(item, 1, 1, (), category), 0) for item, category in arrivals)
    assert (rows.leaders(None), rows.leaders("x"), rows.leaders("y")) == (["c", "b"], ["b", "a"], ["c"])


def test_later_sessions_weigh_more_among_the_leaders() -> None:
    rows = PlainRows(PARAMETERS)
    rows.fold_all([(Increment("a", 1, 1), 0)] * 3 + [(Increment("b", 1, 1), 2 * HALF_LIFE_MS)])
    # 3 against 1 · 2^2
    assert rows.leaders(None) == ["b", "a"]


def test_a_return_within_a_session_makes_no_leader() -> None:
    rows = PlainRows(PARAMETERS)
    rows.fold_all([(Increment("a", 1, 0), 0)])
    assert rows.leaders(None) == []


def test_a_category_that_is_named_on_a_return_is_led_at_once() -> None:
    rows = PlainRows(PARAMETERS)
    rows.fold_all([(Increment("a", 1, 1), 0), (Increment("a", 1, 0, (), "x"), 0)])
    assert (rows.leaders(None), rows.leaders("x")) == (["a"], ["a"])


def test_rows_that_are_assigned_lead_by_their_sessions(rows: PlainRows) -> None:
    assert (rows.leaders(None), rows.leaders("drinks")) == (["tea", "cup"], ["tea"])


def test_the_sum_of_all_sessions_does_not_lead(rows: PlainRows) -> None:
    rows.fold_all([(session_opened(), 0)])
    assert TOTALS not in rows.leaders(None)


def test_a_row_that_is_deleted_is_gone_and_leads_no_more(rows: PlainRows) -> None:
    del rows["tea"]
    assert (rows.keys(), rows.leaders(None), rows.leaders("drinks")) == ({"cup", TOTALS}, ["cup"], [])
    with pytest.raises(KeyError):
        del rows["tea"]


# -- laws


@given(histories)
def test_the_rows_are_what_folding_one_by_one_makes(history: list[tuple[Increment, int]]) -> None:
    rows = PlainRows(PARAMETERS)
    rows.fold_all(history)
    expected: dict[str, Row] = {}
    for increment, time_ms in history:
        expected[increment.anchor] = fold(expected.get(increment.anchor), increment, time_ms, PARAMETERS)
    assert dict(rows) == expected


@given(history=histories, cut=st.integers(0, 20))
def test_rows_that_were_read_back_fold_on_the_same(history: list[tuple[Increment, int]], cut: int) -> None:
    rows, read_back = PlainRows(PARAMETERS), PlainRows(PARAMETERS)
    rows.fold_all(history[:cut])
    read_back.update(copy.deepcopy(dict(rows)))
    rows.fold_all(history[cut:])
    read_back.fold_all(history[cut:])
    assert dict(rows) == dict(read_back)
    assert rows.leaders(None) == read_back.leaders(None)


@given(history=histories, positions=st.lists(st.tuples(items, st.just(EPOCH_MS)), max_size=4), excluded=st.sets(items))
def test_rows_rank_as_the_plain_function_does(
    history: list[tuple[Increment, int]], positions: list[tuple[str, int]], excluded: set[str]
) -> None:
    rows = PlainRows(PARAMETERS)
    rows.fold_all(history)
    expected = rank(dict(rows), positions, excluded, EPOCH_MS, PARAMETERS)
    assert rows.rank(positions, excluded, EPOCH_MS) == expected


# -- the least met of late


@pytest.mark.parametrize("make", [PlainRows, DenseRows])
@given(
    rows_of=st.dictionaries(
        items, st.tuples(st.sampled_from([0.0, 1.0, 1.5, 2.0**32, 2.0**40]), st.integers(0, 2)), min_size=1
    ),
    count=st.integers(1, 5),
)
def test_the_least_met_are_those_of_the_fewest_recent_arrivals_and_of_equal_ones_the_greatest_ids(
    make: Callable[[Parameters], Rows], rows_of: dict[str, tuple[float, int]], count: int
) -> None:
    rows = make(PARAMETERS)
    for item, (recent, epoch) in rows_of.items():
        rows[item] = Row(epoch, recent=recent)
    ascending = sorted(rows_of, reverse=True)
    speed = EPOCH_HALF_LIVES * PARAMETERS.trend_speed
    ascending.sort(key=lambda item: rows_of[item][0] * 2.0 ** (speed * rows_of[item][1]))
    count = min(count, len(rows_of))
    assert set(rows.least_met(rows_of, count)) == set(ascending[:count])
