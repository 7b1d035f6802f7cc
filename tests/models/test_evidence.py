"""Evidence counts sessions, the floor cuts, and silence has a reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Row
from models.evidence import REASONS, Evidence, SuggestedItem, choose
from models.parameters import DEFAULTS
from models.ranking import Candidate

HALF_LIFE_MS = 1_000
PARAMETERS = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS)


def row(sessions: float, pairs: dict[str, float] | None = None, epoch: int = 0) -> Row:
    pairs = pairs or {}
    return Row(epoch, float(len(pairs)), sessions, sessions, dict.fromkeys(pairs, 1.0), pairs)


def shop(pair: float = 6.0, anchor: float = 8.0, item: float = 20.0, total: float = 200.0) -> dict[str, Row]:
    return {"tea": row(anchor, {"cup": pair}), "cup": row(item), TOTALS: row(total)}


CUP = Candidate("cup", 0.5, "tea")


def evidence(rows: dict[str, Row], time_ms: int = 0) -> Evidence:
    (item,), _ = choose(rows, [CUP], ["tea"], time_ms, PARAMETERS)
    return item.evidence


# -- support, confidence, lift


def test_support_confidence_and_lift_are_shares_of_sessions() -> None:
    # 6 of 200 sessions; 6 of the 8 with tea; 0.75 over the 20 of 200 with a cup
    assert evidence(shop()) == Evidence("tea", 6.0, 0.03, 0.75, 7.5)


def test_the_pair_count_is_read_as_of_the_query_and_the_shares_do_not_age() -> None:
    assert evidence(shop(), 2 * HALF_LIFE_MS) == Evidence("tea", 1.5, 0.03, 0.75, 7.5)


def test_rows_of_different_epochs_are_read_at_the_same_time() -> None:
    rows = shop()
    rows["tea"] = row(8.0 / 2**32, {"cup": 6.0 / 2**32}, epoch=1)
    assert evidence(rows) == Evidence("tea", 6.0, 0.03, 0.75, 7.5)


def test_a_pair_that_is_ahead_of_its_whole_counts_as_all_of_it() -> None:
    found = evidence(shop(pair=9.0, total=5.0))
    # 9 of 5, 9 of 8 and 20 of 5 sessions: each is one
    assert (found.support, found.confidence, found.lift) == (1.0, 1.0, 1.0)


def test_lift_is_unknown_while_the_item_or_all_sessions_are_uncounted() -> None:
    without_item = {key: value for key, value in shop().items() if key != "cup"}
    without_totals = {key: value for key, value in shop().items() if key != TOTALS}
    assert evidence(without_item).lift is None
    assert (evidence(without_totals).lift, evidence(without_totals).support) == (None, 0.0)
    assert evidence(shop(item=0.0)).lift is None


def test_confidence_of_an_uncounted_anchor_is_nothing() -> None:
    assert evidence(shop(anchor=0.0)).confidence == 0.0


@given(
    pair=st.floats(0.5, 1e9),
    anchor=st.floats(0, 1e9),
    item=st.floats(0, 1e9),
    total=st.floats(0, 1e9),
    time_ms=st.integers(-100_000, 0),
)
def test_shares_are_between_nothing_and_all(
    pair: float, anchor: float, item: float, total: float, time_ms: int
) -> None:
    found = evidence(shop(pair, anchor, item, total), time_ms)
    assert 0 <= found.support <= 1
    assert 0 <= found.confidence <= 1
    assert found.lift is None or found.lift >= 0
    assert found.pair_count >= PARAMETERS.pair_count_floor


# -- the choice


def test_the_best_four_are_chosen_and_ranked_from_one() -> None:
    pairs = {f"cup-{n}": 1.0 for n in range(6)}
    candidates = [Candidate(item, 1.0 - n / 10, "tea") for n, item in enumerate(pairs)]
    chosen, reason = choose({"tea": row(1.0, pairs)}, candidates, ["tea"], 0, PARAMETERS)
    assert [(item.item_id, item.rank, item.score) for item in chosen] == [
        ("cup-0", 1, 1.0),
        ("cup-1", 2, 0.9),
        ("cup-2", 3, 0.8),
        ("cup-3", 4, 0.7),
    ]
    assert reason is None


def test_a_weak_candidate_is_passed_over_and_takes_no_rank() -> None:
    rows = {"tea": row(1.0, {"a": 1.0, "b": 0.4, "c": 1.0})}
    candidates = [Candidate(item, 1.0, "tea") for item in "abc"]
    chosen, _ = choose(rows, candidates, ["tea"], 0, PARAMETERS)
    assert [(item.item_id, item.rank) for item in chosen] == [("a", 1), ("c", 2)]


def test_fewer_than_four_are_not_filled_up() -> None:
    chosen, reason = choose(shop(), [CUP], ["tea"], 0, PARAMETERS)
    assert [item.item_id for item in chosen] == ["cup"]
    assert reason is None


@pytest.mark.parametrize(("time_ms", "count"), [(0, 1), (HALF_LIFE_MS - 1, 1), (HALF_LIFE_MS, 1), (1_010, 0)])
def test_one_session_is_evidence_for_one_half_life(time_ms: int, count: int) -> None:
    # 2^-1.01 = 0.497
    assert len(choose(shop(pair=1.0), [CUP], ["tea"], time_ms, PARAMETERS)[0]) == count


def test_scores_are_rounded_for_the_message_alone() -> None:
    (item,), _ = choose(shop(), [Candidate("cup", 0.123_456_789, "tea")], ["tea"], 0, PARAMETERS)
    assert item == SuggestedItem("cup", 1, 0.123_457, item.evidence)


# -- silence


def test_no_item_in_the_session_is_a_reason() -> None:
    assert choose({}, [], [], 0, PARAMETERS) == ((), "no-item")


@pytest.mark.parametrize("rows", [{}, {"tea": row(1.0)}, {"cup": row(1.0, {"tea": 1.0})}])
def test_items_without_a_neighbour_are_unknown(rows: dict[str, Row]) -> None:
    assert choose(rows, [], ["tea"], 0, PARAMETERS) == ((), "unknown-item")


def test_neighbours_that_are_all_in_the_session_are_nothing_new() -> None:
    assert choose(shop(), [], ["unknown", "tea"], 0, PARAMETERS) == ((), "nothing-new")


def test_candidates_below_the_floor_are_weak_evidence() -> None:
    assert choose(shop(pair=0.4), [CUP], ["tea"], 0, PARAMETERS) == ((), "weak-evidence")


def test_the_reasons_are_these_four() -> None:
    assert set(REASONS) == {"no-item", "unknown-item", "nothing-new", "weak-evidence"}


# -- law


@given(
    counts=st.lists(st.integers(0, 200).map(lambda hundredths: hundredths / 100), max_size=8),
    most=st.integers(1, 5),
)
def test_the_chosen_are_the_first_candidates_above_the_floor(counts: list[float], most: int) -> None:
    pairs = {f"item-{n}": count for n, count in enumerate(counts)}
    candidates = [Candidate(item, 1.0, "tea") for item in pairs]
    parameters = replace(PARAMETERS, suggestions_max=most)
    chosen, reason = choose({"tea": row(2.0, pairs)}, candidates, ["tea"], 0, parameters)
    above = [item for item, count in pairs.items() if count >= 0.5]
    assert [item.item_id for item in chosen] == above[:most]
    assert [item.rank for item in chosen] == list(range(1, len(chosen) + 1))
    assert (reason is None) == bool(chosen)
