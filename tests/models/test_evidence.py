"""Evidence counts sessions and says where an item comes from; the floors ask whether that is enough."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Row
from models.evidence import Evidence, candidate_evidence, is_popular, pair_evidence, popular_evidence
from models.parameters import DEFAULTS, Parameters
from models.ranking import Candidate
from models.rows import PlainRows

HALF_LIFE_MS = 1_000
PARAMETERS = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS)
#: With a quantile of one, n of n prove n / (n + 1): one of one proves exactly a half.
ONE_SIGMA = replace(PARAMETERS, confidence_z=1.0)

CUP = Candidate("cup", 0.5, "tea")
SAUCER = Candidate("saucer", 0.5, None, ("tea", "cup"))

counts = st.floats(0, 1e9)


def row(sessions: float, pairs: dict[str, float] | None = None, epoch: int = 0) -> Row:
    pairs = pairs or {}
    return Row(epoch, float(len(pairs)), sessions, sessions, dict.fromkeys(pairs, 1.0), pairs)


def plain(rows: dict[str, Row]) -> PlainRows:
    result = PlainRows(PARAMETERS)
    result.update(rows)
    return result


def shop(pair: float = 6.0, anchor: float = 8.0, item: float = 20.0, total: float = 200.0) -> PlainRows:
    return plain({"tea": row(anchor, {"cup": pair}), "cup": row(item), TOTALS: row(total)})


def two_steps(first: float = 6.0, second: float = 5.0, item: float = 25.0) -> PlainRows:
    """Of 200 sessions 8 have tea and 20 a cup."""
    return plain(
        {
            "tea": row(8.0, {"cup": first}),
            "cup": row(20.0, {"saucer": second}),
            "saucer": row(item),
            TOTALS: row(200.0),
        }
    )


def source(
    rows: PlainRows, candidate: Candidate = CUP, parameters: Parameters = PARAMETERS, time_ms: int = 0
) -> str | None:
    """Where the evidence for a candidate comes from, None when there is none."""
    found = candidate_evidence(rows, candidate, time_ms, parameters)
    return found.source if found else None


# -- support, confidence, lift of a pair


def test_support_confidence_and_lift_are_shares_of_sessions() -> None:
    # 6 of 200 sessions; 6 of the 8 with tea; 0.75 over the 20 of 200 with a cup
    assert pair_evidence(shop(), "tea", "cup", 0) == Evidence("pair", "tea", None, 6.0, 0.03, 0.75, 7.5)


def test_what_stands_in_the_message_is_rounded_halves_upwards() -> None:
    # 1/16 of a session; of 8 sessions 1/128; of 2 with tea 1/32, over the 4 of 8 with a cup 1/16:
    # 0.0625, 0.0078125, 0.03125 and 0.0625
    found = pair_evidence(shop(0.0625, 2.0, 4.0, 8.0), "tea", "cup", 0)
    assert found == Evidence("pair", "tea", None, 0.063, 0.007_813, 0.0313, 0.063)


def test_the_lift_of_an_item_that_has_decayed_to_next_to_nothing_is_a_billion() -> None:
    found = pair_evidence(shop(1.0, 1.0, 1e-313, 1.0), "tea", "cup", 0)
    assert (found.confidence, found.lift) == (1.0, 1e9)


def test_the_pair_count_is_read_as_of_the_query_and_the_shares_do_not_age() -> None:
    found = pair_evidence(shop(), "tea", "cup", 2 * HALF_LIFE_MS)
    assert found == Evidence("pair", "tea", None, 1.5, 0.03, 0.75, 7.5)


def test_rows_of_different_epochs_are_read_at_the_same_time() -> None:
    rows = shop()
    rows["tea"] = row(8.0 / 2**16, {"cup": 6.0 / 2**16}, epoch=1)
    assert pair_evidence(rows, "tea", "cup", 0) == Evidence("pair", "tea", None, 6.0, 0.03, 0.75, 7.5)


def test_a_pair_that_is_ahead_of_its_whole_counts_as_all_of_it() -> None:
    found = pair_evidence(shop(pair=9.0, total=5.0), "tea", "cup", 0)
    # 9 of 5, 9 of 8 and 20 of 5 sessions: each is one
    assert (found.support, found.confidence, found.lift) == (1.0, 1.0, 1.0)


def test_lift_is_unknown_while_the_item_or_all_sessions_are_uncounted() -> None:
    without_item, without_totals = shop(), shop()
    del without_item["cup"], without_totals[TOTALS]
    assert pair_evidence(without_item, "tea", "cup", 0).lift is None
    found = pair_evidence(without_totals, "tea", "cup", 0)
    assert (found.lift, found.support) == (None, 0.0)
    assert pair_evidence(shop(item=0.0), "tea", "cup", 0).lift is None


def test_confidence_of_an_uncounted_anchor_is_nothing() -> None:
    assert pair_evidence(shop(anchor=0.0), "tea", "cup", 0).confidence == 0.0


def test_of_a_pair_that_never_met_all_is_nothing() -> None:
    assert pair_evidence(shop(), "cup", "tea", 0) == Evidence("pair", "cup", None, 0.0, 0.0, 0.0, 0.0)


# -- of a candidate


def test_the_evidence_of_a_candidate_met_with_its_anchor_is_that_of_the_pair() -> None:
    assert candidate_evidence(shop(), CUP, 5, PARAMETERS) == pair_evidence(shop(), "tea", "cup", 5)


def test_of_two_steps_confidence_is_the_product_and_the_rest_is_of_the_second() -> None:
    # 5 of 200; 6/8 of tea's sessions have a cup, and 5/20 of the cup's a saucer; over the 25 of 200 with a saucer
    found = candidate_evidence(two_steps(), SAUCER, 0, PARAMETERS)
    assert found == Evidence("neighbour", "tea", "cup", 5.0, 0.025, 0.1875, 1.5)


def test_of_two_steps_the_count_ages_and_the_shares_do_not() -> None:
    # 2.5 of 10 prove 0.096, against 6 of 100
    found = candidate_evidence(two_steps(item=12.0), SAUCER, HALF_LIFE_MS, PARAMETERS)
    assert found == Evidence("neighbour", "tea", "cup", 2.5, 0.025, 0.1875, 3.125)


#: Met with tea, and over the cup.
BOTH = Candidate("saucer", 0.5, "tea", ("tea", "cup"))


def both_ways(pair: float, second: float = 5.0, item: float = 15.0) -> PlainRows:
    """Of 200 sessions 8 have tea and 20 a cup; 6 have both."""
    rows = two_steps(second=second, item=item)
    rows["tea"] = row(8.0, {"cup": 6.0, "saucer": pair})
    return rows


def test_a_pair_is_named_before_the_two_steps_that_lead_to_the_item_too() -> None:
    rows = both_ways(pair=4.0)
    assert candidate_evidence(rows, BOTH, 0, PARAMETERS) == pair_evidence(rows, "tea", "saucer", 0)


def test_two_steps_are_named_where_the_pair_is_below_its_floor() -> None:
    # 1 of 8 proves 0.03, against 15 of 200
    rows = both_ways(pair=1.0)
    assert candidate_evidence(rows, BOTH, 0, PARAMETERS) == candidate_evidence(rows, SAUCER, 0, PARAMETERS)
    assert source(rows, BOTH) == "neighbour"


def test_the_two_steps_may_start_from_another_item_than_the_pair() -> None:
    rows = both_ways(pair=0.0)
    rows["pot"] = row(8.0, {"saucer": 1.0})
    found = candidate_evidence(rows, Candidate("saucer", 0.5, "pot", ("tea", "cup")), 0, PARAMETERS)
    assert found is not None
    assert (found.source, found.anchor, found.via) == ("neighbour", "tea", "cup")


def test_an_item_that_everybody_meets_is_popular_where_neither_way_is_above_chance() -> None:
    rows = both_ways(pair=1.0, second=2.0, item=40.0)
    assert candidate_evidence(rows, BOTH, 0, PARAMETERS) == popular_evidence(rows, "saucer", None, 0)


@pytest.mark.parametrize("candidate", [CUP, Candidate("cup", 0.5, None, ("mug", "tea"))])
@pytest.mark.parametrize(("item", "expected"), [(20.0, "popular"), (19.9, None)])
def test_below_all_floors_a_candidate_has_no_evidence(candidate: Candidate, item: float, expected: str | None) -> None:
    # 1 of 100 with tea proves nothing against a tenth of all
    assert source(shop(1.0, 100.0, item, 200.0), candidate) == expected


def test_a_candidate_is_popular_over_all_or_not_at_all() -> None:
    # 20 of 1400 sessions prove less than a hundredth, which would do in a category.
    assert source(shop(1.0, 1_000.0, 20.0, 1_400.0)) is None


# -- of popular items


def test_what_is_popular_over_all_has_no_anchor_and_its_own_sessions_as_evidence() -> None:
    assert popular_evidence(shop(), "cup", None, 0) == Evidence("popular", None, None, 20.0, 0.1, 0.1, 1.0)


def test_what_is_popular_in_a_category_names_the_item_whose_category_it_is() -> None:
    assert popular_evidence(shop(), "cup", "tea", 0) == Evidence("category", "tea", None, 20.0, 0.1, 0.1, 1.0)


def test_the_sessions_of_a_popular_item_are_read_as_of_the_query() -> None:
    assert popular_evidence(shop(), "cup", None, HALF_LIFE_MS) == Evidence("popular", None, None, 10.0, 0.1, 0.1, 1.0)


# -- the floor of pairs


@pytest.mark.parametrize(("item", "expected"), [(9.0, "pair"), (10.0, None), (11.0, None)])
def test_what_a_pair_proves_must_be_more_than_the_item_s_share_of_all_sessions(
    item: float, expected: str | None
) -> None:
    # 1 of 1 proves a half; the item is in 9, 10 or 11 of 20 sessions
    assert source(shop(1.0, 1.0, item, 20.0), parameters=ONE_SIGMA) == expected


@pytest.mark.parametrize(("item", "expected"), [(2.6, "pair"), (2.7, None)])
def test_one_session_of_one_is_enough_for_an_item_in_a_quarter_of_all(item: float, expected: str | None) -> None:
    # With 95 % confidence 1 of 1 proves 1 / 3.706 = 0.2698.
    assert source(shop(1.0, 1.0, item, 10.0)) == expected


def test_the_same_share_of_more_sessions_is_enough_for_a_more_popular_item() -> None:
    assert source(shop(1.0, 2.0, 3.0, 10.0)) is None
    assert source(shop(50.0, 100.0, 3.0, 10.0)) == "pair"


def test_an_item_in_every_session_is_never_met_more_often_than_by_chance() -> None:
    assert source(shop(1e6, 1e6, 1e6, 1e6)) == "popular"


@pytest.mark.parametrize(("pair", "expected"), [(0.0312, None), (0.03125, "pair"), (0.0313, "pair")])
def test_a_pair_below_a_thirty_second_of_a_session_is_no_evidence(pair: float, expected: str | None) -> None:
    # of a session in eight, and of an item that no session counts
    assert source(shop(pair, 0.03125, 0.0, 100.0)) == expected


def test_one_session_is_evidence_for_five_half_lives() -> None:
    rows = shop(1.0, 1.0, 1.0, 100.0)
    assert source(rows, time_ms=5 * HALF_LIFE_MS) == "pair"
    assert source(rows, time_ms=5 * HALF_LIFE_MS + 1) is None


def test_a_pair_that_never_met_is_no_evidence_even_for_an_unknown_item() -> None:
    assert source(shop(pair=0.0, item=0.0)) is None
    assert source(shop(pair=0.0, anchor=0.0, item=0.0, total=0.0)) is None


def test_evidence_wears_off_with_time() -> None:
    # 1 of 1 proves 0.27, a quarter of a session 0.085; of all sessions 0.2 have the item, at any time
    rows = shop(1.0, 1.0, 2.0, 10.0)
    assert source(rows) == "pair"
    assert source(rows, time_ms=2 * HALF_LIFE_MS) is None


# 6 of 8 prove 0.46 against the cup's share of 0.1; 5 of 20 prove 0.13 against the saucer's.
@pytest.mark.parametrize(
    ("first", "second", "item", "expected"),
    [(6.0, 5.0, 19.0, "neighbour"), (6.0, 2.0, 19.0, None), (1.0, 5.0, 19.0, None), (6.0, 5.0, 40.0, "popular")],
)
def test_of_two_steps_each_must_be_above_its_floor(
    first: float, second: float, item: float, expected: str | None
) -> None:
    # 2 of 20 prove 0.03, and 1 of 8 proves 0.03; 40 of 200 have the saucer: 0.2
    assert source(two_steps(first, second, item), SAUCER) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0.03125, 0.03125, "neighbour"), (0.0312, 0.03125, None), (0.03125, 0.0312, None)]
)
def test_of_two_steps_neither_may_be_below_a_thirty_second_of_a_session(
    first: float, second: float, expected: str | None
) -> None:
    rows = plain({"tea": row(0.03125, {"cup": first}), "cup": row(0.03125, {"saucer": second}), TOTALS: row(100.0)})
    assert source(rows, SAUCER) == expected


# -- the floors of popular items


def popular(sessions: float, total: float, anchor: str | None = None, parameters: Parameters = PARAMETERS) -> bool:
    return is_popular(plain({"cup": row(sessions), TOTALS: row(total)}), "cup", anchor, 0, parameters)


@pytest.mark.parametrize("anchor", [None, "tea"])
@pytest.mark.parametrize(("sessions", "expected"), [(19.9, False), (20.0, True), (20.1, True)])
def test_a_popular_item_was_met_by_twenty_sessions(anchor: str | None, sessions: float, expected: bool) -> None:
    assert popular(sessions, 100.0, anchor) == expected


@pytest.mark.parametrize(("total", "expected"), [(1_380.0, True), (1_400.0, False)])
def test_over_all_a_popular_item_is_met_by_a_hundredth_of_all_sessions_with_confidence(
    total: float, expected: bool
) -> None:
    # 20 of 1380: 0.0145 proves 0.2899 / 28.78 = 0.01007; 20 of 1400: 0.0143 proves 0.2857 / 28.78 = 0.00993
    assert popular(20.0, total) == expected


@pytest.mark.parametrize(("floor", "expected"), [(0.499, True), (0.5, True), (0.501, False)])
def test_the_share_that_is_proven_may_be_just_the_floor(floor: float, expected: bool) -> None:
    parameters = replace(ONE_SIGMA, popular_sessions_floor=1.0, popular_share_floor=floor)
    assert popular(1.0, 1.0, parameters=parameters) == expected


def test_in_a_category_the_share_of_all_sessions_does_not_matter() -> None:
    assert popular(20.0, 1e6, "tea")
    assert not popular(20.0, 1e6)


def test_popularity_is_judged_as_of_the_query() -> None:
    rows = plain({"cup": row(40.0), TOTALS: row(100.0)})
    assert is_popular(rows, "cup", None, HALF_LIFE_MS, PARAMETERS)
    assert not is_popular(rows, "cup", None, HALF_LIFE_MS + 1, PARAMETERS)


def test_an_unknown_item_is_not_popular() -> None:
    assert not is_popular(shop(), "mug", "tea", 0, PARAMETERS)


# -- laws


@given(pair=counts, anchor=counts, item=counts, total=counts, time_ms=st.integers(-100_000, 100_000))
def test_shares_are_between_nothing_and_all(
    pair: float, anchor: float, item: float, total: float, time_ms: int
) -> None:
    rows = shop(pair, anchor, item, total)
    for found in (pair_evidence(rows, "tea", "cup", time_ms), popular_evidence(rows, "cup", None, time_ms)):
        assert 0 <= found.support <= 1
        assert 0 <= found.confidence <= 1
        assert found.lift is None or found.lift >= 0
        assert found.pair_count >= 0


@given(pair=counts, anchor=counts, item=counts, total=counts)
def test_a_pair_that_is_evidence_is_met_more_often_beside_its_anchor_than_anywhere(
    pair: float, anchor: float, item: float, total: float
) -> None:
    if source(shop(pair, anchor, item, total)) == "pair":
        assert pair >= 0.03125
        assert min(1.0, pair / anchor) > (min(1.0, item / total) if total else 0.0)


@given(pair=counts, anchor=counts, item=counts, total=counts, time_ms=st.integers(-100_000, 100_000))
def test_a_candidate_without_a_better_reason_is_popular_or_nothing(
    pair: float, anchor: float, item: float, total: float, time_ms: int
) -> None:
    rows = shop(pair, anchor, item, total)
    if source(rows, time_ms=time_ms) != "pair":
        is_fashion = is_popular(rows, "cup", None, time_ms, PARAMETERS)
        assert source(rows, time_ms=time_ms) == ("popular" if is_fashion else None)
