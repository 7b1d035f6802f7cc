"""The demo's totals, worked by hand."""

import pytest

from models.attribution import Outcome, Stage
from models.evidence import Evidence
from models.ladder import SuggestedItem
from models.suggesting import Suggestion
from streams.scoreboard import Scoreboard


def suggestion(number: int, *pairs: tuple[str, str]) -> Suggestion:
    """Make the suggestion for event e<number>, of pairs of anchor and item."""
    items = tuple(
        SuggestedItem(item, rank, 1.0, Evidence("pair", anchor, None, 1.0, 0.1, 0.1, 2.0))
        for rank, (anchor, item) in enumerate(pairs, start=1)
    )
    return Suggestion(f"q{number}", f"e{number}", "s", 0, "browse", "a", items, None if items else "unknown-item")


def outcome(number: int, stage: Stage, value: float | None, is_first: bool) -> Outcome:
    return Outcome(f"o{number}", "q1", "s", "b", 1, stage, "browse", 0, 1.0, value, "EUR", is_first)


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard({"a": frozenset({"b", "c"})}, chance_share=0.02)


def test_new_board_has_no_shares(board: Scoreboard) -> None:
    assert (board.planted_share, board.acceptance_rate, board.latency_ms(0.5)) == (None, None, None)


def test_planted_is_judged_by_the_anchor_of_the_evidence(board: Scoreboard) -> None:
    board.add_suggestion(suggestion(1, ("a", "b"), ("a", "x"), ("x", "b"), ("a", "c")), 0.0)
    board.add_suggestion(suggestion(2, ("a", "x"), ("a", "b")), 0.0)
    assert (board.planted, board.items, board.planted_share) == (3, 6, 0.5)
    assert board.planted_first_share == 0.5


def test_what_is_merely_popular_is_not_planted(board: Scoreboard) -> None:
    evidence = Evidence("popular", None, None, 20.0, 0.1, 0.1, 1.0)
    items = (SuggestedItem("b", 1, 0.0, evidence),)
    board.add_suggestion(Suggestion("q1", "e1", "s", 0, "browse", "a", items, None), 0.0)
    assert (board.planted, board.items) == (0, 1)


def test_empty_suggestions_are_counted_by_reason(board: Scoreboard) -> None:
    board.add_suggestion(suggestion(1), 0.0)
    board.add_suggestion(suggestion(2, ("a", "b")), 0.0)
    assert (board.suggestions, board.shown, dict(board.empty)) == (2, 1, {"unknown-item": 1})


def test_acceptance_is_first_outcomes_over_suggestions_with_items(board: Scoreboard) -> None:
    for number in range(4):
        board.add_suggestion(suggestion(number, ("a", "b")), 0.0)
    board.add_suggestion(suggestion(9), 0.0)
    board.add_outcome(outcome(1, "viewed", 5.0, is_first=True))
    board.add_outcome(outcome(2, "ordered", 5.0, is_first=False))
    assert board.acceptance_rate == 0.25
    assert dict(board.outcomes) == {"viewed": 1, "ordered": 1}


def test_revenue_is_the_value_of_ordered_items_only(board: Scoreboard) -> None:
    board.add_outcome(outcome(1, "added", 5.0, is_first=True))
    board.add_outcome(outcome(2, "ordered", 7.5, is_first=False))
    board.add_outcome(outcome(3, "ordered", None, is_first=False))
    board.add_outcome(outcome(4, "ordered", 2.5, is_first=False))
    assert board.revenue == {"EUR": 10.0}


def test_of_messages_with_one_id_the_first_counts(board: Scoreboard) -> None:
    board.add_suggestion(suggestion(1, ("a", "b")), 0.0)
    board.add_suggestion(suggestion(1), 0.0)
    board.add_outcome(outcome(1, "added", 5.0, is_first=True))
    board.add_outcome(outcome(1, "added", 5.0, is_first=True))
    assert (board.suggestions, board.shown, board.accepted) == (1, 1, 1)


def test_latency_runs_from_sent_event_to_its_first_suggestion(board: Scoreboard) -> None:
    for number in range(100):
        board.add_sent("browse", f"e{number}", 10.0)
    assert board.under_way == 100
    for number in range(100):
        board.add_suggestion(suggestion(number), 10.0 + (number + 1) / 1000)
    board.add_suggestion(suggestion(500), 99.0)
    assert board.under_way == 0
    assert board.latency_ms(0.5) == pytest.approx(51.0)
    assert board.latency_ms(0.99) == pytest.approx(100.0)
    assert board.latency_ms(1.0) == pytest.approx(100.0)
