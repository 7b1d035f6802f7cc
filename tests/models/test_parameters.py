"""The defaults fit together."""

from dataclasses import FrozenInstanceError
from statistics import NormalDist

import pytest

from models.decay import EPOCH_HALF_LIVES, growth
from models.parameters import DEFAULTS

_DAY_MS = 24 * 3600 * 1000


def test_parameters_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULTS.row_size = 1  # type: ignore[misc]


def test_every_position_of_a_session_is_still_among_what_was_seen() -> None:
    # or an item that a query starts from could be suggested
    assert max(DEFAULTS.query_items, DEFAULTS.pair_positions) <= DEFAULTS.positions_max <= DEFAULTS.seen_max


def test_a_session_is_remembered_for_late_events_and_retries() -> None:
    assert DEFAULTS.session_retention_ms == 4 * DEFAULTS.session_gap_ms


def test_an_offer_can_be_accepted_for_as_long_as_its_session_can_go_on_without_an_event() -> None:
    assert DEFAULTS.attribution_window_ms <= DEFAULTS.session_gap_ms


def test_there_can_be_enough_candidates_and_leaders_to_fill_a_suggestion() -> None:
    assert DEFAULTS.suggestions_max <= DEFAULTS.leaders_max
    assert DEFAULTS.suggestions_max <= DEFAULTS.candidates_max


def test_a_row_can_be_passed_through_in_the_second_hop() -> None:
    assert DEFAULTS.hop_neighbours <= DEFAULTS.row_size


def test_two_items_bought_together_say_more_than_one_bought_and_that_more_than_a_view() -> None:
    assert 1.0 < DEFAULTS.cart_weight <= DEFAULTS.order_weight < DEFAULTS.ordered_together_weight


def test_the_half_life_is_a_month() -> None:
    assert DEFAULTS.half_life_ms == 30 * _DAY_MS


def test_what_is_in_fashion_has_a_half_life_of_a_day() -> None:
    assert DEFAULTS.half_life_ms / DEFAULTS.trend_speed == _DAY_MS


def test_within_a_step_of_the_prior_nothing_changes_by_three_percent() -> None:
    # An hour; what is in fashion halves in 24 of them: 2^(-1/24) = 0.9715.
    assert DEFAULTS.prior_step_ms == 3_600_000
    assert 1 / growth(DEFAULTS.prior_step_ms, 0, DEFAULTS.half_life_ms, DEFAULTS.trend_speed) > 0.97


def test_what_decays_fastest_meets_no_bound_before_its_epoch_ends() -> None:
    # 16 · 30 = 480 doublings, all of them exact
    last_ms = EPOCH_HALF_LIVES * DEFAULTS.half_life_ms - _DAY_MS
    assert growth(last_ms, 0, DEFAULTS.half_life_ms, DEFAULTS.trend_speed) == 2.0**479


def test_one_session_is_evidence_of_a_pair_for_five_half_lives() -> None:
    assert DEFAULTS.pair_count_floor == 0.5**5


def test_the_floors_hold_with_95_percent_confidence() -> None:
    assert NormalDist().cdf(DEFAULTS.confidence_z) == pytest.approx(0.95, abs=1e-4)
