"""The defaults fit together."""

from dataclasses import FrozenInstanceError

import pytest

from models.parameters import DEFAULTS


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


def test_one_session_is_evidence_for_one_half_life() -> None:
    assert DEFAULTS.pair_count_floor == 2.0**-1
