"""Rows fold increments, stay bounded, and read the same whatever their epoch."""

import copy
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment, Other, Row, fold
from models.decay import EPOCH_HALF_LIVES, growth
from models.pairs import session_opened
from models.parameters import DEFAULTS, Parameters

HALF_LIFE_MS = 1_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
SMALL = Parameters(half_life_ms=HALF_LIFE_MS, row_size=3, trend_speed=2)
WIDE = Parameters(half_life_ms=HALF_LIFE_MS, row_size=1_000, trend_speed=2)

items = st.sampled_from([f"item-{n}" for n in range(8)])
flags = st.integers(0, 1)
others = st.lists(
    st.tuples(items, st.sampled_from([0.25, 0.5, 1.0, 3.0]), flags, flags), max_size=6, unique_by=lambda o: o[0]
).map(tuple)
categories = st.none() | st.sampled_from(["drinks", "dishes"])
arrivals = st.tuples(
    st.builds(Increment, st.just("anchor"), flags, flags, others, categories),
    st.integers(0, 3 * EPOCH_MS),
)
histories = st.lists(arrivals, min_size=1, max_size=25)


def row_of(weights: dict[str, float], parameters: Parameters = SMALL) -> Row:
    increment = Increment("anchor", others=tuple((item, weight, 1, 0) for item, weight in weights.items()))
    return fold(None, increment, 0, parameters)


def add(row: Row, item: str, weight: float) -> Row:
    return fold(row, Increment("anchor", others=((item, weight, 1, 0),)), 0, SMALL)


def folded(history: list[tuple[Increment, int]], parameters: Parameters) -> Row:
    row = None
    for increment, time_ms in history:
        row = fold(row, increment, time_ms, parameters)
    assert row is not None
    return row


# -- by hand


def test_an_increment_makes_a_missing_row() -> None:
    row = fold(None, Increment("tea", 1, 1, (("cup", 0.5, 1, 0), ("pot", 0.25, 0, 0))), 0, SMALL)
    assert row == Row(0, 0.75, 1.0, 1.0, {"cup": 0.5, "pot": 0.25}, {"cup": 1.0, "pot": 0.0}, recent=1.0)


def test_an_increment_without_neighbours_counts_the_arrival_alone() -> None:
    assert fold(None, Increment("tea", 1, 0), 0, SMALL) == Row(0, 0.0, 1.0, 0.0, {}, {}, recent=1.0)


def test_what_comes_a_half_life_later_weighs_double() -> None:
    increment = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
    row = fold(fold(None, increment, 0, SMALL), increment, HALF_LIFE_MS, SMALL)
    # 0.5 + 2 · 0.5 of weight, and 1 + 2 of everything that is counted, but 1 + 4 of what is recent
    assert row == Row(0, 1.5, 3.0, 3.0, {"cup": 1.5}, {"cup": 3.0}, recent=5.0)


def test_what_comes_a_half_life_late_weighs_half() -> None:
    increment = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
    row = fold(fold(None, increment, HALF_LIFE_MS, SMALL), increment, 0, SMALL)
    assert row == Row(0, 1.5, 3.0, 3.0, {"cup": 1.5}, {"cup": 3.0}, recent=5.0)


def test_a_pair_that_met_before_in_the_session_gains_weight_and_no_count() -> None:
    row = fold(row_of({"cup": 0.5}), Increment("anchor", others=(("cup", 0.25, 0, 0),)), 0, SMALL)
    assert (row.weights, row.pairs) == ({"cup": 0.75}, {"cup": 1.0})


def test_the_totals_row_counts_sessions() -> None:
    row = fold(fold(None, session_opened(), 0, SMALL), session_opened(), 0, SMALL)
    assert session_opened().anchor == TOTALS
    assert (row.sessions, row.events, row.weights) == (2.0, 0.0, {})


def test_the_default_row_holds_64_neighbours() -> None:
    row = row_of({f"item-{n:02}": 1.0 + n for n in range(64)}, DEFAULTS)
    assert len(row.weights) == 64
    fold(row, Increment("anchor", others=(("newcomer", 0.5, 1, 0),)), 0, DEFAULTS)
    assert len(row.weights) == 64
    assert "item-00" not in row.weights


# -- eviction


def test_a_row_that_is_just_full_has_dropped_nothing() -> None:
    assert add(row_of({"a": 3.0, "b": 2.0}), "c", 1.0).weights == {"a": 3.0, "b": 2.0, "c": 1.0}


def test_a_full_row_drops_its_smallest_weight_and_the_count_of_that_pair() -> None:
    row = add(row_of({"a": 3.0, "b": 1.0, "c": 2.0}), "d", 5.0)
    assert row.weights == {"a": 3.0, "c": 2.0, "d": 5.0}
    assert row.pairs == {"a": 1.0, "c": 1.0, "d": 1.0}
    assert row.mass == 10.0


def test_of_equal_weights_the_greatest_item_id_is_dropped() -> None:
    assert add(row_of({"c": 1.0, "b": 2.0, "a": 1.0}), "d", 1.0).weights == {"a": 1.0, "b": 2.0, "d": 1.0}
    assert add(row_of({"item-10": 1.0, "item-9": 1.0, "item-1": 1.0}), "z", 1.0).weights.keys() == {
        "item-1",
        "item-10",
        "z",
    }


def test_a_newcomer_enters_at_its_own_weight_even_if_it_is_the_weakest() -> None:
    assert add(row_of({"a": 3.0, "b": 1.0, "c": 2.0}), "d", 0.1).weights == {"a": 3.0, "c": 2.0, "d": 0.1}


def test_a_neighbour_that_the_full_row_holds_displaces_nobody() -> None:
    assert add(row_of({"a": 3.0, "b": 1.0, "c": 2.0}), "b", 0.5).weights == {"a": 3.0, "b": 1.5, "c": 2.0}


def test_an_item_that_was_dropped_starts_anew() -> None:
    row = add(row_of({"a": 3.0, "b": 1.0, "c": 2.0}), "d", 4.0)
    add(row, "b", 0.5)
    # c was the smallest of 3, 2, 4
    assert row.weights == {"a": 3.0, "d": 4.0, "b": 0.5}
    assert row.pairs["b"] == 1.0


def test_newcomers_of_one_increment_can_displace_each_other() -> None:
    row = row_of({"a": 3.0, "b": 1.0, "c": 2.0})
    fold(row, Increment("anchor", others=(("d", 0.5, 1, 0), ("e", 0.25, 1, 0))), 0, SMALL)
    # d takes b's place and, now the smallest, gives it to e
    assert row.weights == {"a": 3.0, "c": 2.0, "e": 0.25}


# -- comparisons


def test_a_pair_that_is_compared_is_counted_so_and_another_has_no_entry() -> None:
    row = fold(None, Increment("tea", 1, 1, (("cup", 0.5, 1, 1), ("pot", 0.5, 1, 0))), 0, SMALL)
    assert row.comparisons == {"cup": 1.0}


def test_a_return_is_a_comparison_and_no_meeting() -> None:
    row = fold(row_of({"cup": 0.5}), Increment("anchor", others=(("cup", 0.5, 0, 1),)), 0, SMALL)
    assert (row.pairs, row.comparisons) == ({"cup": 1.0}, {"cup": 1.0})


def test_a_comparison_that_comes_a_half_life_later_counts_double() -> None:
    increment = Increment("tea", others=(("cup", 0.5, 1, 1),))
    row = fold(fold(None, increment, 0, SMALL), increment, HALF_LIFE_MS, SMALL)
    assert row.comparisons == {"cup": 3.0}


def test_the_first_increment_of_a_later_epoch_rescales_the_comparisons() -> None:
    increment = Increment("tea", others=(("cup", 0.5, 1, 1),))
    row = fold(fold(None, increment, 0, SMALL), increment, EPOCH_MS, SMALL)
    assert row.comparisons == {"cup": 1 + 2.0**-16}


def test_a_neighbour_that_is_dropped_takes_its_comparisons_along() -> None:
    row = fold(row_of({"a": 3.0, "c": 2.0}), Increment("anchor", others=(("b", 1.0, 1, 1),)), 0, SMALL)
    assert row.comparisons == {"b": 1.0}
    assert add(row, "d", 5.0).comparisons == {}


# -- recent arrivals


def test_recent_arrivals_decay_thirty_times_as_fast_by_default() -> None:
    row = fold(fold(None, Increment("tea", 1), 0, DEFAULTS), Increment("tea", 1), DEFAULTS.half_life_ms // 30, DEFAULTS)
    assert row.recent == 1 + 2.0
    assert row.events == pytest.approx(1 + 2 ** (1 / 30))


def test_a_return_within_a_session_is_recent_too() -> None:
    assert fold(fold(None, Increment("tea", 1, 1), 0, SMALL), Increment("tea", 1, 0), 0, SMALL).recent == 2.0


def test_the_arrival_of_another_item_leaves_the_recent_arrivals_as_they_are() -> None:
    row = fold(None, Increment("tea", 1, 1), 0, SMALL)
    assert fold(row, Increment("tea", others=(("cup", 0.5, 1, 0),)), HALF_LIFE_MS, SMALL).recent == 1.0


def test_a_session_that_is_counted_is_no_recent_arrival() -> None:
    assert fold(None, session_opened(), 0, SMALL).recent == 0.0


# -- category


def test_the_category_is_the_last_one_that_was_named() -> None:
    row = None
    found = []
    for category in (None, "drinks", None, "dishes", None):
        row = fold(row, Increment("tea", 1, category=category), 0, SMALL)
        found.append(row.category)
    assert found == [None, "drinks", "drinks", "dishes", "dishes"]


def test_a_late_increment_names_the_category_all_the_same() -> None:
    # The last in the log, which is the same on every replay; not the last in time.
    row = fold(None, Increment("tea", 1, category="drinks"), EPOCH_MS, SMALL)
    assert fold(row, Increment("tea", 1, category="dishes"), 0, SMALL).category == "dishes"


# -- epochs


def test_the_first_increment_of_a_later_epoch_rescales_the_row() -> None:
    increment = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
    row = fold(fold(None, increment, 0, SMALL), increment, EPOCH_MS, SMALL)
    share = 2.0**-16
    assert row.epoch == 1
    weight, count = 0.5 + 0.5 * share, 1 + share
    assert row == Row(1, weight, count, count, {"cup": weight}, {"cup": count}, recent=1 + share * share)


def test_the_last_millisecond_of_an_epoch_rescales_nothing() -> None:
    row = fold(row_of({"cup": 1.0}), Increment("anchor"), EPOCH_MS - 1, SMALL)
    assert (row.epoch, row.weights) == (0, {"cup": 1.0})


def test_a_late_increment_of_an_earlier_epoch_leaves_the_epoch_as_it_is() -> None:
    row = fold(None, Increment("tea", 1), EPOCH_MS, SMALL)
    fold(row, Increment("tea", 1), EPOCH_MS - HALF_LIFE_MS, SMALL)
    assert (row.epoch, row.events) == (1, 1.5)


def test_a_row_that_rests_for_a_hundred_years_weighs_nothing_and_breaks_nothing() -> None:
    row = fold(
        fold(None, Increment("anchor", 1), 0, DEFAULTS), Increment("anchor", others=(("cup", 1.0, 1, 0),)), 0, DEFAULTS
    )
    fold(row, Increment("anchor", 1), 4_102_444_800_000, DEFAULTS)
    # 47482 days are 1582.7 half-lives: epoch 98, of which 14.7 have passed; 14.7 · 30 = 442
    assert row.weights["cup"] == pytest.approx(0.0, abs=1e-300)
    assert row.events == pytest.approx(2.0 ** (1_582 + 22 / 30 - 98 * 16))
    assert row.recent == 2.0**442


# -- laws


@given(histories)
def test_every_total_is_the_sum_of_its_decayed_parts_whatever_the_epochs(history: list[tuple[Increment, int]]) -> None:
    row = folded(history, WIDE)
    now = 3 * EPOCH_MS
    grown = growth(now, row.epoch, HALF_LIFE_MS)
    events = recent = sessions = mass = 0.0
    weights: dict[str, float] = {}
    pairs: dict[str, float] = {}
    comparisons: dict[str, float] = {}
    for increment, time_ms in history:
        decay = 0.5 ** ((now - time_ms) / HALF_LIFE_MS)
        events += increment.events * decay
        recent += increment.events * decay**2
        sessions += increment.sessions * decay
        for other, weight, met, compared in increment.others:
            weights[other] = weights.get(other, 0.0) + weight * decay
            pairs[other] = pairs.get(other, 0.0) + met * decay
            if compared:
                comparisons[other] = comparisons.get(other, 0.0) + decay
            mass += weight * decay
    assert row.events / grown == pytest.approx(events, rel=1e-9)
    assert row.recent / growth(now, row.epoch, HALF_LIFE_MS, 2) == pytest.approx(recent, rel=1e-9)
    assert row.sessions / grown == pytest.approx(sessions, rel=1e-9)
    assert row.mass / grown == pytest.approx(mass, rel=1e-9)
    assert {item: value / grown for item, value in row.weights.items()} == pytest.approx(weights, rel=1e-9)
    assert {item: value / grown for item, value in row.pairs.items()} == pytest.approx(pairs, rel=1e-9)
    assert {item: value / grown for item, value in row.comparisons.items()} == pytest.approx(comparisons, rel=1e-9)


@given(histories)
def test_a_row_never_outgrows_its_size_and_its_mass_is_the_sum_of_its_weights(
    history: list[tuple[Increment, int]],
) -> None:
    row = None
    for increment, time_ms in history:
        row = fold(row, increment, time_ms, SMALL)
        assert len(row.weights) <= SMALL.row_size
        assert row.pairs.keys() == row.weights.keys()
        assert row.comparisons.keys() <= row.weights.keys()
        assert row.mass == pytest.approx(sum(row.weights.values()), rel=1e-9)


@given(histories)
def test_a_row_stands_in_the_newest_epoch_it_has_seen(history: list[tuple[Increment, int]]) -> None:
    assert folded(history, SMALL).epoch == max(time_ms for _, time_ms in history) // EPOCH_MS


@given(st.lists(others, min_size=1, max_size=25))
def test_a_row_keeps_what_a_sorted_list_would_keep(history: list[tuple[Other, ...]]) -> None:
    row = None
    kept: list[tuple[float, str]] = []
    for neighbours in history:
        row = fold(row, Increment("anchor", others=neighbours), 0, SMALL)
        for item, weight, _, _ in neighbours:
            known = [entry for entry in kept if entry[1] == item]
            if known:
                kept.remove(known[0])
                kept.append((known[0][0] + weight, item))
            else:
                by_id_descending = sorted(kept, key=lambda entry: entry[1], reverse=True)
                kept = sorted(by_id_descending, key=lambda entry: entry[0])[-2:] if len(kept) == 3 else kept
                kept.append((weight, item))
    assert row is not None
    assert row.weights == {item: weight for weight, item in kept}


@given(history=histories, order=st.randoms(use_true_random=False))
def test_without_eviction_the_order_of_increments_does_not_matter(
    history: list[tuple[Increment, int]], order: Random
) -> None:
    shuffled = list(history)
    order.shuffle(shuffled)
    row, other = folded(history, WIDE), folded(shuffled, WIDE)
    assert (row.epoch, row.weights.keys()) == (other.epoch, other.weights.keys())
    assert (row.mass, row.recent) == pytest.approx((other.mass, other.recent), rel=1e-9)
    assert row.weights == pytest.approx(other.weights, rel=1e-9)
    assert row.pairs == pytest.approx(other.pairs, rel=1e-9)
    assert row.comparisons == pytest.approx(other.comparisons, rel=1e-9)


@given(history=histories, epochs=st.integers(1, 5))
def test_rescaling_preserves_the_ratio_of_all_weights_exactly(
    history: list[tuple[Increment, int]], epochs: int
) -> None:
    row = folded(history, SMALL)
    before = copy.deepcopy(row)
    fold(row, Increment("anchor"), (before.epoch + epochs) * EPOCH_MS, SMALL)
    factor = 2.0 ** (16 * epochs)
    assert {item: weight * factor for item, weight in row.weights.items()} == before.weights
    assert {item: count * factor for item, count in row.pairs.items()} == before.pairs
    assert {item: count * factor for item, count in row.comparisons.items()} == before.comparisons
    assert (row.mass * factor, row.events * factor) == (before.mass, before.events)
    assert row.recent * factor**2 == before.recent
