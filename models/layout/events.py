"""The layout of a record of `session-events`; all numbers little-endian.

    record  spans; u32 entries; u32 lines of all entries; the entries
    entry   u16 span; u8 kind, u8 action (places in `KINDS` and `ACTIONS`); i64 offset; i64 timestamp in ms;
            i64 time in ms; texts: session id, event id, moment, order id, currency, suggestion id; u16 lines; the lines
    line    texts: item id, category; u32 quantity; f64 price, NaN for none

A text is empty for what an event does not have.
"""

import math
import struct
from typing import Final, NamedTuple

from models.coverage import Packed, Span
from models.layout.fields import Reader, spans_bytes, text_bytes
from models.records import ADD, CLEAR, REMOVE, Event, Kind, Line
from models.suggesting import EventEntry

__all__ = ["ACTIONS", "KINDS", "Head", "decode", "encode", "encode_entry", "entry_at", "head", "read_head"]

KINDS: Final[tuple[Kind, ...]] = ("browse", "add-to-cart", "orders")
ACTIONS: Final = (ADD, REMOVE, CLEAR)

#: Texts of an entry before its lines.
_TEXTS = 6
_COUNTS = struct.Struct("<II")
_ENTRY = struct.Struct("<HBBqqq")
_LINES = struct.Struct("<H")
_AMOUNTS = struct.Struct("<Id")


def encode(packed: Packed[EventEntry]) -> bytes:
    """Return the content of a record.

    Examples
    --------
    >>> event = Event("browse", "e1", "s1", 5, "browse", (Line("tea"),))
    >>> packed = Packed([], [EventEntry(0, 7, 9, event)])
    >>> encode(packed)[38:54]
    b'\\x02\\x00s1\\x02\\x00e1\\x06\\x00browse'
    """
    lines = sum(len(entry.event.lines) for entry in packed.entries)
    entries = b"".join(map(encode_entry, packed.entries))
    return head(spans_bytes(packed.spans), len(packed.entries), lines) + entries


def head(spans: bytes, entries: int, lines: int) -> bytes:
    """Return what stands before the entries of a record."""
    return spans + _COUNTS.pack(entries, lines)


def encode_entry(entry: EventEntry) -> bytes:
    """Return one entry of a record."""
    event = entry.event
    numbers = (KINDS.index(event.kind), ACTIONS.index(event.action), entry.offset, entry.timestamp, event.time)
    parts = [
        _ENTRY.pack(entry.span, *numbers),
        text_bytes(event.session_id),
        text_bytes(event.event_id),
        text_bytes(event.moment),
        text_bytes(event.order_id),
        text_bytes(event.currency),
        text_bytes(event.suggestion_id),
        _LINES.pack(len(event.lines)),
    ]
    for line in event.lines:
        price = math.nan if line.price is None else line.price
        parts += (text_bytes(line.item_id), text_bytes(line.category), _AMOUNTS.pack(line.quantity, price))
    return b"".join(parts)


def decode(content: bytes | memoryview) -> Packed[EventEntry]:
    """Read the content of a record.

    Raises
    ------
    ValueError
        For bytes that `encode` does not write.
    """
    reader = Reader(content)
    spans = reader.spans()
    count, lines = reader.numbers(_COUNTS)
    entries = [_entry(reader, len(spans)) for _ in range(count)]
    reader.finish()
    found = sum(len(entry.event.lines) for entry in entries)
    if found != lines:
        raise ValueError(f"it has {found} lines, and says {lines}")
    return Packed(spans, entries)


class Head(NamedTuple):
    """What stands before the entries of a record; `end` is where they begin."""

    spans: list[Span]
    entries: int
    lines: int
    end: int


def read_head(content: bytes) -> Head:
    """Read what stands before the entries of a record."""
    reader = Reader(content)
    spans = reader.spans()
    entries, lines = reader.numbers(_COUNTS)
    return Head(spans, entries, lines, reader.at)


def entry_at(content: bytes, at: int) -> EventEntry:
    """Read the entry that stands at a place of a record that is known to be whole."""
    span, kind, action, offset, timestamp, time = _ENTRY.unpack_from(content, at)
    at += _ENTRY.size
    texts = []
    for _ in range(_TEXTS):
        text, at = _text(content, at)
        texts.append(text)
    session_id, event_id, moment, order_id, currency, suggestion_id = texts
    (count,) = _LINES.unpack_from(content, at)
    at += _LINES.size
    lines = []
    for _ in range(count):
        item_id, at = _text(content, at)
        category, at = _text(content, at)
        quantity, price = _AMOUNTS.unpack_from(content, at)
        at += _AMOUNTS.size
        lines.append(Line(item_id, quantity, None if math.isnan(price) else price, category or None))
    event = Event(
        KINDS[kind],
        event_id,
        session_id,
        time,
        moment,
        tuple(lines),
        ACTIONS[action],
        order_id or None,
        currency or None,
        suggestion_id or None,
    )
    return EventEntry(span, offset, timestamp, event)


def _text(content: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + (content[at] | content[at + 1] << 8)
    return content[at + 2 : end].decode(), end


def _entry(reader: Reader, spans: int) -> EventEntry:
    span, kind, action, offset, timestamp, time = reader.numbers(_ENTRY)
    if span >= spans or kind >= len(KINDS) or action >= len(ACTIONS):
        raise ValueError(f"an entry has span {span} of {spans}, kind {kind} and action {action}")
    session_id, event_id, moment = reader.text(), reader.text(), reader.text()
    order_id, currency, suggestion_id = (reader.text() or None for _ in range(3))
    (count,) = reader.numbers(_LINES)
    lines = tuple([_line(reader) for _ in range(count)])
    event = Event(
        KINDS[kind], event_id, session_id, time, moment, lines, ACTIONS[action], order_id, currency, suggestion_id
    )
    return EventEntry(span, offset, timestamp, event)


def _line(reader: Reader) -> Line:
    item_id, category = reader.text(), reader.text() or None
    quantity, price = reader.numbers(_AMOUNTS)
    return Line(item_id, quantity, None if math.isnan(price) else price, category)
