"""The layout of a record of `pairs`; all numbers little-endian.

    record     i64 rows the partition may hold, -1 for any number; spans; u32 texts, u32 sections; u32 increments,
               u32 others of all sections; the texts: items and categories that it names, each once; the sections
    section    the entries of one span and origin offset: u16 span; i64 offset; u32 arrivals; the arrivals
    arrival    those of one event time and arrival: i64 time in ms; i64 timestamp in ms; u16 increments; the increments
    increment  u32 anchor; u8 events; u8 sessions; u32 category, 0xFFFFFFFF for none; u16 others; the others
    other      u32 item; f64 weight; u8 flags: 1 met, 2 compared

Anchor, category and item are places among the texts.
"""

import struct
from collections.abc import Iterable
from itertools import groupby
from typing import Final, NamedTuple

from models.cooccurrence import Increment, Other
from models.coverage import Span
from models.layout.fields import Reader, spans_bytes, text_bytes
from models.learning import PackedPairs, PairEntry

__all__ = ["COMPARED", "INCREMENTS_MAX", "MET", "NO_TEXT", "Head", "decode", "encode", "head_bytes", "read_head"]

_NO_ROWS_MAX: Final = -1

#: Instead of a place among the texts.
NO_TEXT: Final = 0xFFFFFFFF

#: The flags of an other.
MET: Final = 1
COMPARED: Final = 2

#: Increments of an arrival, at most; more of one time begin another.
INCREMENTS_MAX: Final = 0xFFFF

_ROWS_MAX = struct.Struct("<q")
_COUNTS = struct.Struct("<IIII")
_SECTION = struct.Struct("<HqI")
_ARRIVAL = struct.Struct("<qqH")
_INCREMENT = struct.Struct("<IBBIH")
_OTHER = struct.Struct("<IdB")


class Head(NamedTuple):
    """What stands before the texts of a record; `end` is where they begin."""

    rows_max: int | None
    spans: list[Span]
    texts: int
    sections: int
    increments: int
    others: int
    end: int


def encode(packed: PackedPairs) -> bytes:
    """Return the content of a record; entries that follow each other and have the same origin share a section.

    Examples
    --------
    >>> increment = Increment("tea", 1, 1, (("cup", 0.5, 1, 0),))
    >>> encode(PackedPairs([], [PairEntry(0, 7, 5, 9, increment)]))[26:36]
    b'\\x03\\x00tea\\x03\\x00cup'
    """
    places: dict[str, int] = {}
    sections: list[bytes] = []
    count = others = 0
    for (span, offset), own in groupby(packed.entries, lambda entry: (entry.span, entry.offset)):
        arrivals = [part for _, same in groupby(own, _times) for part in _parts(list(same))]
        sections.append(_SECTION.pack(span, offset, len(arrivals)))
        for entries in arrivals:
            sections.append(_ARRIVAL.pack(*_times(entries[0]), len(entries)))
            sections += [_increment_bytes(entry.increment, places) for entry in entries]
            others += sum(len(entry.increment.others) for entry in entries)
        count += 1
    head = head_bytes(packed.rows_max, packed.spans)
    counts = _COUNTS.pack(len(places), count, len(packed.entries), others)
    return b"".join((head, counts, *map(text_bytes, places), *sections))


def head_bytes(rows_max: int | None, spans: Iterable[Span]) -> bytes:
    """Return what stands before the counts of a record."""
    return _ROWS_MAX.pack(_NO_ROWS_MAX if rows_max is None else rows_max) + spans_bytes(spans)


def _times(entry: PairEntry) -> tuple[int, int]:
    return entry.time, entry.timestamp


def _parts(entries: list[PairEntry]) -> list[list[PairEntry]]:
    return [entries[start : start + INCREMENTS_MAX] for start in range(0, len(entries), INCREMENTS_MAX)]


def _increment_bytes(increment: Increment, places: dict[str, int]) -> bytes:
    """Return an increment; texts that are named for the first time get a place."""
    anchor = places.setdefault(increment.anchor, len(places))
    category = NO_TEXT if increment.category is None else places.setdefault(increment.category, len(places))
    parts = [_INCREMENT.pack(anchor, increment.events, increment.sessions, category, len(increment.others))]
    for item, weight, met, compared in increment.others:
        place = places.setdefault(item, len(places))
        parts.append(_OTHER.pack(place, weight, MET * bool(met) | COMPARED * bool(compared)))
    return b"".join(parts)


def read_head(reader: Reader) -> Head:
    """Read what stands before the texts; raises ValueError."""
    (rows_max,) = reader.numbers(_ROWS_MAX)
    if rows_max < _NO_ROWS_MAX:
        raise ValueError(f"it bounds a partition to {rows_max} rows")
    spans = reader.spans()
    texts, sections, increments, others = reader.numbers(_COUNTS)
    return Head(None if rows_max == _NO_ROWS_MAX else rows_max, spans, texts, sections, increments, others, reader.at)


def decode(content: bytes | memoryview) -> PackedPairs:
    """Read the content of a record.

    Raises
    ------
    ValueError
        For bytes that `encode` does not write.
    """
    reader = Reader(content)
    head = read_head(reader)
    texts = [reader.text() for _ in range(head.texts)]
    entries = [entry for _ in range(head.sections) for entry in _section(reader, len(head.spans), texts)]
    reader.finish()
    others = sum(len(entry.increment.others) for entry in entries)
    if (len(entries), others) != (head.increments, head.others):
        raise ValueError(
            f"it has {len(entries)} increments with {others} others, and says {head.increments} with {head.others}"
        )
    return PackedPairs(head.spans, entries, head.rows_max)


def _section(reader: Reader, spans: int, texts: list[str]) -> list[PairEntry]:
    span, offset, arrivals = reader.numbers(_SECTION)
    if span >= spans:
        raise ValueError(f"a section has span {span} of {spans}")
    entries = []
    for _ in range(arrivals):
        time, timestamp, increments = reader.numbers(_ARRIVAL)
        entries += [PairEntry(span, offset, time, timestamp, _increment(reader, texts)) for _ in range(increments)]
    return entries


def _increment(reader: Reader, texts: list[str]) -> Increment:
    anchor, events, sessions, category, others = reader.numbers(_INCREMENT)
    return Increment(
        _text(texts, anchor),
        events,
        sessions,
        tuple([_other(reader, texts) for _ in range(others)]),
        None if category == NO_TEXT else _text(texts, category),
    )


def _other(reader: Reader, texts: list[str]) -> Other:
    item, weight, flags = reader.numbers(_OTHER)
    if flags > (MET | COMPARED):
        raise ValueError(f"an other has the flags {flags}")
    return _text(texts, item), weight, flags & MET, flags // COMPARED


def _text(texts: list[str], place: int) -> str:
    if place >= len(texts):
        raise ValueError(f"it names text {place} of {len(texts)}")
    return texts[place]
