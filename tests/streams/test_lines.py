"""Published messages read well as lines, also those that are not ours."""

import msgspec
import pytest

from models.attribution import Outcome
from models.evidence import Evidence
from models.ladder import SuggestedItem
from models.suggesting import Suggestion
from streams.lines import message_line, outcome_line, suggestion_line

GRINDER = Evidence(
    source="pair", anchor="coffee-grinder", via=None, pair_count=17.2, support=0.02, confidence=0.4, lift=4.1
)
BEANS = SuggestedItem("coffee-beans-1kg", 1, 0.9, GRINDER)
PAPERS = SuggestedItem("filter-papers", 2, 0.7, Evidence("pair", "coffee-grinder", None, 11.6, 0.01, 0.3, None))
HONEY = SuggestedItem("honey", 3, 0.1, Evidence("pair", "teapot", None, 2.0, 0.01, 0.2, 1.26))
SCOOP = SuggestedItem("scoop", 1, 0.1, Evidence("neighbour", "coffee-grinder", "beans", 3.4, 0.01, 0.1, 1.5))
MUG = SuggestedItem("mug", 1, 0.0, Evidence("category", "coffee-grinder", None, 40.6, 0.05, 0.05, 1.0))
WOK = SuggestedItem("wok", 2, 0.0, Evidence("popular", None, None, 90.4, 0.1, 0.1, 1.0))


def suggestion(*items: SuggestedItem, reason: str | None = None, anchor: str | None = "coffee-grinder") -> Suggestion:
    return Suggestion("q1", "e1", "s1", 1_767_607_200_000, "cart", anchor, items, reason)


def outcome(value: float | None = 18.9, item: str = "coffee-beans-1kg") -> Outcome:
    return Outcome("o1", "q1", "s1", item, 1, "added", "cart", 1_767_607_203_200, 3.2, value, "EUR", True)


def test_suggestion_names_anchor_items_and_evidence() -> None:
    assert suggestion_line(suggestion(BEANS, PAPERS)).plain == (
        "cart   coffee-grinder → coffee-beans-1kg (seen together 17×, lift 4.1), filter-papers (12×)"
    )


def test_item_that_goes_with_another_item_than_the_anchor_says_with_which() -> None:
    assert suggestion_line(suggestion(HONEY)).plain == "cart   coffee-grinder → honey (with teapot 2×, lift 1.3)"


@pytest.mark.parametrize("anchor", ["coffee-grinder", "teapot"])
def test_item_that_another_one_leads_to_says_over_which(anchor: str) -> None:
    line = suggestion_line(suggestion(SCOOP, anchor=anchor)).plain
    assert line == f"cart   {anchor} → scoop (over beans 3×, lift 1.5)"


def test_popular_item_says_where_and_has_no_lift() -> None:
    assert suggestion_line(suggestion(MUG, WOK)).plain == (
        "cart   coffee-grinder → mug (popular in the category, 41×), wok (popular, 90×)"
    )


def test_empty_suggestion_says_why() -> None:
    assert suggestion_line(suggestion(reason="unknown-item")).plain == "cart   coffee-grinder → nothing: unknown-item"
    assert suggestion_line(suggestion(reason="no-item", anchor=None)).plain == "cart   (no item) → nothing: no-item"


def test_outcome_says_what_happened_when_and_its_value() -> None:
    assert outcome_line(outcome()).plain == (
        "added   coffee-beans-1kg  suggested 3.2 s before, at cart, as number 1  18.90 EUR"
    )
    assert outcome_line(outcome(value=None)).plain.endswith("as number 1")


def test_messages_are_read_from_their_json() -> None:
    assert message_line("suggestions", msgspec.json.encode(suggestion(BEANS))) == suggestion_line(suggestion(BEANS))
    assert message_line("acceptance", msgspec.json.encode(outcome())) == outcome_line(outcome())


def test_dead_letter_says_why_and_where() -> None:
    letter = {"reason": "missing-field", "detail": "item_id is missing", "topic": "browse", "partition": 2}
    value = msgspec.json.encode(letter | {"offset": 104, "key": None, "value": "e30="})
    assert message_line("dead-letters", value).plain == "missing-field  item_id is missing  (browse 2:104)"


def test_window_says_totals_and_rate() -> None:
    window = {"window_start": 1_767_607_200_000, "window_end": 1_767_607_260_000, "moment": "browse", "revision": 1}
    counts = {"suggestions": 40, "empty": 8, "viewed": 5, "added": 2, "ordered": 1, "accepted": 4}
    value = msgspec.json.encode(window | counts | {"acceptance_rate": 0.125, "revenue": {"EUR": 18.9}})
    assert message_line("acceptance-metrics", value).plain == (
        "browse 60 s from 1767607200000: 40 suggestions, 8 empty; viewed 5, added 2, ordered 1; "
        "accepted 12.5%, 18.90 EUR"
    )


@pytest.mark.parametrize("value", [b"", b"\xff", b"[1]", b"{}", b'{"reason": 5}'])
@pytest.mark.parametrize("row", ["suggestions", "acceptance", "acceptance-metrics", "dead-letters"])
def test_foreign_message_becomes_a_line_that_says_so(row: str, value: bytes) -> None:
    assert message_line(row, value).plain.startswith(f"{row}: not a message of Sidecart")


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in outcome_line(outcome(item="\x1b[31mred\n")).plain
    assert "\x1b" not in message_line("suggestions", b"\x1b[2J").plain
