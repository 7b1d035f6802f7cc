"""Tallies add up to windows, money to the last digit."""

from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution import Outcome, Stage
from models.kpi import Tally, Window, add, metrics_message, summed, tallies, window_start
from models.parameters import Parameters

PARAMETERS = Parameters(kpi_window_ms=1_000)


def outcome(
    stage: Stage = "viewed",
    value: float | None = None,
    currency: str | None = None,
    is_first: bool = True,
    moment: str = "browse",
) -> Outcome:
    return Outcome("o", "x", "s", "cup", 1, stage, moment, 0, 0.0, value, currency, is_first)


def totals(*parts: Tally) -> Window:
    window = Window()
    for part in parts:
        add(window, part)
    return window


# -- windows


@pytest.mark.parametrize(("time_ms", "start"), [(0, 0), (999, 0), (1_000, 1_000), (1_001, 1_000), (1_999, 1_000)])
def test_a_window_holds_its_first_millisecond_and_not_its_last(time_ms: int, start: int) -> None:
    assert window_start(time_ms, PARAMETERS) == start


def test_the_default_window_is_a_minute() -> None:
    assert window_start(1_767_607_259_999, Parameters()) == 1_767_607_200_000


# -- what an event adds


def test_a_suggestion_adds_one_to_the_window_of_its_event() -> None:
    assert tallies(1_999, "cart", False, [], PARAMETERS) == [Tally(1_000, "cart", suggestions=1)]


def test_an_empty_suggestion_adds_one_to_the_empty_ones_too() -> None:
    assert tallies(0, "cart", True, [], PARAMETERS) == [Tally(0, "cart", suggestions=1, empty=1)]


def test_an_outcome_counts_in_the_window_where_it_happens_under_the_moment_of_its_suggestion() -> None:
    _, tally = tallies(5_500, "order", False, [outcome("added", moment="browse")], PARAMETERS)
    assert tally == Tally(5_000, "browse", added=1, accepted=1)


@pytest.mark.parametrize("stage", ["viewed", "added", "ordered"])
def test_each_stage_has_its_own_count(stage: Stage) -> None:
    tally = tallies(0, "browse", False, [outcome(stage)], PARAMETERS)[1]
    counts = {"viewed": tally.viewed, "added": tally.added, "ordered": tally.ordered}
    assert counts == {"viewed": 0, "added": 0, "ordered": 0} | {stage: 1}


def test_an_item_is_accepted_with_its_first_stage_only() -> None:
    result = tallies(0, "browse", False, [outcome("viewed"), outcome("ordered", is_first=False)], PARAMETERS)
    assert totals(*result) == Window(suggestions=1, viewed=1, ordered=1, accepted=1)


@pytest.mark.parametrize("stage", ["viewed", "added"])
def test_only_an_order_is_revenue(stage: Stage) -> None:
    assert tallies(0, "browse", False, [outcome(stage, 9.5, "EUR")], PARAMETERS)[1].revenue == ()


def test_an_order_without_a_price_is_no_revenue() -> None:
    assert tallies(0, "browse", False, [outcome("ordered")], PARAMETERS)[1].revenue == ()


def test_revenue_is_kept_in_ten_thousandths_by_currency() -> None:
    assert tallies(0, "browse", False, [outcome("ordered", 7.49, "EUR")], PARAMETERS)[1].revenue == (("EUR", 74_900),)
    assert tallies(0, "browse", False, [outcome("ordered", 7.49)], PARAMETERS)[1].revenue == (("", 74_900),)


# -- the tallies of a record


def test_tallies_of_one_window_and_moment_are_one() -> None:
    parts = [Tally(0, "m", 1, 2, 3, 4, 5, 6, (("EUR", 7),)), Tally(0, "m", 10, 20, 30, 40, 50, 60, (("EUR", 70),))]
    assert summed(parts) == [Tally(0, "m", 11, 22, 33, 44, 55, 66, (("EUR", 77),))]


def test_another_window_and_another_moment_have_tallies_of_their_own_in_ascending_order() -> None:
    one = {"suggestions": 1}
    parts = [Tally(9, "cart", **one), Tally(0, "cart", **one), Tally(9, "browse", **one), Tally(0, "cart", **one)]
    assert summed(parts) == [Tally(0, "cart", 2), Tally(9, "browse", 1), Tally(9, "cart", 1)]


def test_money_is_summed_by_currency_in_the_order_in_which_they_come() -> None:
    parts = [Tally(0, "m", revenue=(("USD", 1),)), Tally(0, "m", revenue=(("EUR", 2), ("USD", 4)))]
    assert summed(parts) == [Tally(0, "m", revenue=(("USD", 5), ("EUR", 2)))]


def test_a_sum_of_money_in_a_tally_stays_within_what_a_row_can_hold() -> None:
    great = Tally(0, "m", revenue=(("EUR", 2**63 - 2),))
    [one] = summed([great, great])
    assert one.revenue == (("EUR", 2**63 - 1),)
    assert totals(one) == totals(great, great)


def test_of_nothing_nothing_is_summed_and_a_single_tally_stays_as_it_is() -> None:
    assert summed([]) == []
    alone = Tally(60_000, "cart", 1, 0, 2, 0, 1, 1, (("EUR", 5), ("USD", 6)))
    assert summed([alone]) == [alone]


_currencies = st.dictionaries(st.sampled_from(["EUR", "USD", ""]), st.integers(0, 10**12), max_size=3)
_counts = st.integers(0, 9)
tallies_of = st.lists(
    st.builds(
        Tally,
        st.sampled_from([0, 1_000, 2_000]),
        st.sampled_from(["browse", "cart"]),
        _counts,
        _counts,
        _counts,
        _counts,
        _counts,
        _counts,
        _currencies.map(lambda each: tuple(each.items())),
    ),
    max_size=20,
)


@given(parts=tallies_of, cut=st.integers(0, 20))
def test_summing_changes_no_window_however_the_tallies_are_cut_into_records(parts: list[Tally], cut: int) -> None:
    keys = sorted({(part.start, part.moment) for part in parts})
    together = summed(parts)
    assert [(each.start, each.moment) for each in together] == keys
    for (start, moment), each in zip(keys, together, strict=True):
        assert totals(each) == totals(*(part for part in parts if (part.start, part.moment) == (start, moment)))
    assert summed(summed(parts[:cut]) + summed(parts[cut:])) == together


# -- totals


def test_a_window_adds_every_field() -> None:
    part = Tally(0, "m", 1, 2, 3, 4, 5, 6, (("EUR", 7), ("USD", 8)))
    assert totals(part, part) == Window(2, 4, 6, 8, 10, 12, {"EUR": 14, "USD": 16})


def test_ten_cents_and_twenty_cents_are_thirty_cents() -> None:
    parts = [tallies(0, "m", False, [outcome("ordered", value, "EUR")], PARAMETERS)[1] for value in (0.1, 0.2)]
    assert metrics_message((0, "m"), totals(*parts), 1, PARAMETERS)["revenue"] == {"EUR": 0.3}


@given(st.lists(st.integers(0, 10**9), max_size=30), st.randoms(use_true_random=False))
def test_sums_of_money_are_exact_in_any_order(hundredths: list[int], order: Random) -> None:
    amounts = [outcome("ordered", amount / 100, "EUR") for amount in hundredths]
    order.shuffle(amounts)
    window = totals(*tallies(0, "m", False, amounts, PARAMETERS))
    assert window.revenue.get("EUR", 0) == 100 * sum(hundredths)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.booleans()), max_size=30))
def test_windows_split_all_events_among_them(events: list[tuple[int, bool]]) -> None:
    windows: dict[int, Window] = {}
    for time_ms, is_empty in events:
        for tally in tallies(time_ms, "m", is_empty, [], PARAMETERS):
            add(windows.setdefault(tally.start, Window()), tally)
    assert sum(window.suggestions for window in windows.values()) == len(events)
    assert sum(window.empty for window in windows.values()) == sum(is_empty for _, is_empty in events)
    assert all(later - earlier >= 1_000 for earlier, later in pairwise(sorted(windows)))


# -- the message


def test_the_message_holds_the_window_its_totals_and_the_revision() -> None:
    window = Window(
        suggestions=10, empty=2, viewed=3, added=2, ordered=1, accepted=4, revenue={"USD": 5, "EUR": 99_900}
    )
    assert metrics_message((3_000, "cart"), window, 17, PARAMETERS) == {
        "window_start": 3_000,
        "window_end": 4_000,
        "moment": "cart",
        "suggestions": 10,
        "empty": 2,
        "viewed": 3,
        "added": 2,
        "ordered": 1,
        "accepted": 4,
        "acceptance_rate": 0.5,
        "revenue": {"EUR": 9.99, "USD": 0.0005},
        "revision": 17,
    }


def test_currencies_stand_in_alphabetical_order() -> None:
    window = Window(revenue={"USD": 1, "CHF": 1, "EUR": 1})
    revenue = metrics_message((0, "m"), window, 1, PARAMETERS)["revenue"]
    assert isinstance(revenue, dict)
    assert list(revenue) == ["CHF", "EUR", "USD"]


@pytest.mark.parametrize("window", [Window(), Window(suggestions=2, empty=2, accepted=1)])
def test_the_rate_is_unknown_while_nothing_was_shown(window: Window) -> None:
    assert metrics_message((0, "m"), window, 1, PARAMETERS)["acceptance_rate"] is None


def test_the_rate_is_rounded_to_a_millionth() -> None:
    window = Window(suggestions=3, accepted=1)
    assert metrics_message((0, "m"), window, 1, PARAMETERS)["acceptance_rate"] == 0.333_333


def test_a_sum_of_money_stays_within_what_a_row_can_hold() -> None:
    window = Window(revenue={"EUR": 2**63 - 2})
    for expected in (2**63 - 1, 2**63 - 1):
        add(window, Tally(0, "cart", revenue=(("EUR", 1),)))
        assert window.revenue == {"EUR": expected}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(window), type=Window) == window
