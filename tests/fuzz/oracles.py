"""What must hold of every input at the door, whatever it is."""

import json
import math
import re

import numpy as np
from mutator import Input

from models.coverage import Chain, Packed, Span
from models.door import InputRecord, Rejected, admit_records
from models.errors import BadEventError
from models.kernel.door import Door
from models.parameters import DEFAULTS
from models.records import REASONS, Event, accept
from models.suggesting import EventEntry
from streams.wire import PACKED_EVENTS, dead_letter

__all__ = ["check_event", "check_input", "check_letter"]

_MOMENT = re.compile("[A-Za-z0-9._-]{1,32}")


def check_input(given: Input) -> str | None:
    """Accept an input and check what comes out; return the reason why it is refused, None for an event.

    Raises
    ------
    AssertionError
        Something that must hold does not; any other exception is a failure too.
    """
    record = InputRecord(given.kind, 0, 0, given.timestamp, given.key, given.value)
    door = Door({(given.kind, 0): Chain("0")}, [0], 1, DEFAULTS)
    plain = admit_records([record], {(given.kind, 0): Chain("0")}, 1, DEFAULTS)
    assert door.admit([record], np.zeros(1, np.int64)) == plain, "the compiled door judges otherwise than accept"
    try:
        event = accept(given.kind, given.value, given.timestamp, DEFAULTS)
    except BadEventError as error:
        assert error.reason in REASONS, f"the reason {error.reason!r} is not of the fixed set"
        assert 0 < len(error.detail) < 400, f"the detail has {len(error.detail)} characters"
        letter = json.loads(dead_letter("browse", Rejected(record, error.reason, error.detail)))
        check_letter(letter)
        return error.reason
    check_event(event, given.timestamp)
    packed = Packed([Span("browse-0", -1, 0)], [EventEntry(0, 0, given.timestamp, event)])
    assert PACKED_EVENTS.decode(PACKED_EVENTS.encode(packed)) == packed, "an event is not read back as it was written"
    return None


def check_event(event: Event, timestamp_ms: int) -> None:
    """Check that an accepted event is within every stated limit."""
    ids = [event.event_id, event.session_id, *([event.order_id] if event.kind == "orders" else [])]
    ids += [line.item_id for line in event.lines]
    assert all(text is not None and 0 < len(text.encode()) <= 256 for text in ids), "an id is beyond its limit"
    assert 946_684_800_000 <= event.time < 4_102_444_800_000, "a time is out of range"
    assert event.time <= timestamp_ms + 600_000, "a time is too far ahead"
    assert event.action in ("add", "remove", "clear") and (event.kind == "add-to-cart" or event.action == "add")
    count = len(event.lines)
    assert 1 <= count <= 100 if event.kind == "orders" else count == (event.action != "clear"), f"{count} lines"
    for line in event.lines:
        assert type(line.quantity) is int and 1 <= line.quantity <= 1_000_000, "a quantity is out of range"
        if line.price is not None:
            assert math.isfinite(line.price) and 0 <= line.price * line.quantity <= 1e9, "a price is out of range"
        assert line.category is None or 0 < len(line.category.encode()) <= 256, "a category is beyond its limit"
    assert _MOMENT.fullmatch(event.moment), "a moment is beyond its limit"
    assert event.currency is None or re.fullmatch("[A-Z]{3}", event.currency), "a currency is beyond its limit"
    assert event.suggestion_id is None or 0 < len(event.suggestion_id) <= 64, "a suggestion id is beyond its limit"


def check_letter(letter: dict[str, object]) -> None:
    """Check that a dead letter has the fields that the README states."""
    assert letter.keys() == {"reason", "detail", "topic", "partition", "offset", "timestamp", "key", "value"}
    assert letter["reason"] in REASONS and letter["detail"]
