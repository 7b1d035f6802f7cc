"""Compiled: input messages to records of `session-events`, in the layout of `models.layout.events`.

First every message of a batch becomes an entry, all one after the other; those that are not of the usual shape
(`models.kernel.messages`) or beyond a limit are left for `models.records.accept`. Then each target's entries are put
into a record, in the batch's order, behind its spans (`models.coverage.Chain`).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import allocating, allocating_inner, inner
from models.kernel.messages import (
    ACTION,
    CATEGORY,
    CURRENCY,
    EVENT_ID,
    ITEM_ID,
    MOMENT,
    NOTHING,
    ORDER_ID,
    OWN,
    QUANTITY,
    SESSION_ID,
    SUGGESTION_ID,
    TIME,
    Message,
    message_end,
)
from models.kernel.octets import copy, put_i64, put_u16, put_u32
from models.kernel.partitioning import murmur2_partition
from models.kernel.scanning import UNUSUAL, word_end

__all__ = ["COLUMNS", "END", "LEFT", "LINES", "START", "TARGET", "Limits", "Origins", "read_messages", "sort_entries"]

Buffer = NDArray[np.uint8]
Numbers = NDArray[np.int64]

#: The columns of a table of entries: where one begins and ends, its target partition and its lines.
START, END, TARGET, LINES = range(4)
COLUMNS = 4
#: As targets: the message is left for `accept`; the record has been read before.
LEFT: Final = -1
_READ: Final = -2

#: Places in `models.layout.events.KINDS` and `ACTIONS`.
_CART, _ORDER = 1, 2
_ADD, _REMOVE, _CLEAR = range(3)
_ADD_WORD, _REMOVE_WORD, _CLEAR_WORD = (np.frombuffer(word, np.uint8) for word in (b"add", b"remove", b"clear"))

#: No literal, for which numba would compile what is called with it anew.
_ZERO = np.int64(0)

#: Within an entry; its span is in front.
_KIND_PLACE, _ACTION_PLACE, _OFFSET_PLACE = 2, 3, 4

_IN_MOMENT = np.zeros(256, np.bool_)
_IN_MOMENT[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] = True
_CURRENCY_SIZE = 3
_A, _Z = ord("A"), ord("Z")
#: Without the bit in which a small letter differs from its capital.
_CAPITAL = 0xDF


class Limits(NamedTuple):
    """The limits of `models.records`; as arguments, since numba's cache would keep constants that have changed."""

    message_bytes: int
    id_bytes: int
    suggestion_id: int
    moment: int
    quantity: int
    value: float
    time_min_ms: int
    time_max_ms: int
    future_skew_ms: int


class Origins(NamedTuple):
    """The input partitions, each at a place: `kinds`; their names one after the other, and where each of these ends.

    `positions` are the offsets from which on they were not read yet; `sent` (origins, partitions) is the last end sent
    to each target.
    """

    kinds: Numbers
    names: Buffer
    name_ends: Numbers
    positions: Numbers
    sent: Numbers


@allocating
def read_messages(
    buffer: Buffer,
    ends: Numbers,
    places: Numbers,
    offsets: Numbers,
    timestamps: Numbers,
    origins: Origins,
    moments: Buffer,
    moment_ends: Numbers,
    limits: Limits,
    message: Message,
    entries: Buffer,
    table: Numbers,
) -> None:
    """Write an entry for each message that surely is accepted; moves `origins.positions` on.

    Parameters
    ----------
    buffer, ends : ndarray
        The messages, each followed by a zero byte, and where each ends.
    places, offsets, timestamps : ndarray
        Of each message its origin, and what its record says.
    moments, moment_ends : ndarray
        For each kind the moment of an event that names none, one after the other, and where each ends.
    message : Message
        Room for one.
    entries : ndarray of uint8
        Has at least twice the buffer's bytes, and 64 for each message. An entry's span is still open.
    table : ndarray, messages × `COLUMNS`
        Is filled; a message that is left has the target `LEFT` and no bytes, one read before only no bytes.
    """
    partitions = origins.sent.shape[1]
    texts = message.texts
    for record in range(len(ends)):
        start = ends[record - 1] + 1 if record else 0
        at = table[record - 1, END] if record else 0
        table[record, START] = table[record, END] = at
        table[record, TARGET] = _READ
        origin = places[record]
        if offsets[record] < origins.positions[origin]:
            continue
        origins.positions[origin] = offsets[record] + 1
        table[record, TARGET] = LEFT
        lines, end = message_end(buffer, start, message)
        if end != ends[record] or end - start > limits.message_bytes:
            continue
        kind = origins.kinds[origin]
        action = _action(buffer, texts[OWN, ACTION, 0], texts[OWN, ACTION, 1]) if kind == _CART else _ADD
        first, last = (1, lines) if kind == _ORDER else (0, -1 if action == _CLEAR else 0)
        if (
            action == UNUSUAL
            or (kind == _ORDER and lines == 0)
            or texts[OWN, TIME, 0] > timestamps[record] + limits.future_skew_ms
            or not _is_within(limits, buffer, kind, first, last, message)
        ):
            continue
        entries[at + _KIND_PLACE] = kind
        entries[at + _ACTION_PLACE] = action
        at = put_i64(entries, at + _OFFSET_PLACE, offsets[record])
        at = put_i64(entries, at, timestamps[record])
        at = put_i64(entries, at, texts[OWN, TIME, 0])
        at = _put_field(entries, at, buffer, texts, OWN, SESSION_ID)
        at = _put_field(entries, at, buffer, texts, OWN, EVENT_ID)
        if texts[OWN, MOMENT, 0] == NOTHING:
            at = _put_text(entries, at, moments, moment_ends[kind - 1] if kind else 0, moment_ends[kind])
        else:
            at = _put_field(entries, at, buffer, texts, OWN, MOMENT)
        if kind != _ORDER:
            texts[OWN, ORDER_ID] = NOTHING
        at = _put_field(entries, at, buffer, texts, OWN, ORDER_ID)
        at = _put_field(entries, at, buffer, texts, OWN, CURRENCY)
        for place in range(at - texts[OWN, CURRENCY, 1] + texts[OWN, CURRENCY, 0], at):
            entries[place] &= _CAPITAL
        at = _put_field(entries, at, buffer, texts, OWN, SUGGESTION_ID)
        at = put_u16(entries, at, last - first + 1)
        for row in range(first, last + 1):
            at = _put_field(entries, at, buffer, texts, row, ITEM_ID)
            at = _put_field(entries, at, buffer, texts, row, CATEGORY)
            at = put_u32(entries, at, texts[row, QUANTITY, 0])
            at = put_i64(entries, at, message.price_bits[row])
        table[record, END] = at
        table[record, LINES] = last - first + 1
        start, end = texts[OWN, SESSION_ID, 0], texts[OWN, SESSION_ID, 1]
        table[record, TARGET] = murmur2_partition(buffer, start, end, partitions)


@inner
def _action(buffer: Buffer, start: int, end: int) -> int:
    if start == NOTHING or word_end(buffer, start, _ADD_WORD) == end:
        return _ADD
    if word_end(buffer, start, _REMOVE_WORD) == end:
        return _REMOVE
    if word_end(buffer, start, _CLEAR_WORD) == end:
        return _CLEAR
    return UNUSUAL


@inner
def _is_within(limits: Limits, buffer: Buffer, kind: int, first: int, last: int, message: Message) -> bool:
    """Tell whether all that an event needs is there and within its limits; the quantity that a line lacks is 1."""
    texts = message.texts
    if not (
        limits.time_min_ms <= texts[OWN, TIME, 0] < limits.time_max_ms
        and _has_text(texts, OWN, SESSION_ID, limits.id_bytes)
        and _has_text(texts, OWN, EVENT_ID, limits.id_bytes)
        and (kind != _ORDER or _has_text(texts, OWN, ORDER_ID, limits.id_bytes))
    ):
        return False
    # As many bytes are at most as many characters.
    if texts[OWN, SUGGESTION_ID, 0] != NOTHING and not _has_text(texts, OWN, SUGGESTION_ID, limits.suggestion_id):
        return False
    if texts[OWN, MOMENT, 0] != NOTHING:
        if not _has_text(texts, OWN, MOMENT, limits.moment):
            return False
        for place in range(texts[OWN, MOMENT, 0], texts[OWN, MOMENT, 1]):
            if not _IN_MOMENT[buffer[place]]:
                return False
    if texts[OWN, CURRENCY, 0] != NOTHING:
        if texts[OWN, CURRENCY, 1] - texts[OWN, CURRENCY, 0] != _CURRENCY_SIZE:
            return False
        for place in range(texts[OWN, CURRENCY, 0], texts[OWN, CURRENCY, 1]):
            if not _A <= buffer[place] & _CAPITAL <= _Z:
                return False
    for row in range(first, last + 1):
        if texts[row, QUANTITY, 0] == NOTHING:
            texts[row, QUANTITY, 0] = 1
        quantity = texts[row, QUANTITY, 0]
        if not (
            1 <= quantity <= limits.quantity
            and not message.prices[row] * quantity > limits.value  # which NaN is not
            and _has_text(texts, row, ITEM_ID, limits.id_bytes)
            and texts[row, CATEGORY, 1] - texts[row, CATEGORY, 0] <= limits.id_bytes
        ):
            return False
    return True


@inner
def _has_text(texts: Numbers, row: int, field: int, most: int) -> bool:
    """Tell whether a field is there, and has one byte to so many."""
    return bool(0 < texts[row, field, 1] - texts[row, field, 0] <= most)


@inner
def _put_field(out: Buffer, at: int, buffer: Buffer, texts: Numbers, row: int, field: int) -> int:
    return int(_put_text(out, at, buffer, texts[row, field, 0], texts[row, field, 1]))


@inner
def _put_text(out: Buffer, at: int, buffer: Buffer, start: int, end: int) -> int:
    return copy(out, put_u16(out, at, end - start), buffer, start, end)


@allocating
def sort_entries(
    entries: Buffer,
    table: Numbers,
    places: Numbers,
    origins: Origins,
    records: Buffer,
    bounds: Numbers,
    accepted: Numbers,
) -> None:
    """Write each target's record, and move `origins.sent` on.

    Parameters
    ----------
    table : ndarray, messages × `COLUMNS`
        Spans cover messages without a target too.
    records : ndarray of uint8
        Has room for the entries, for a span of each, and for the numbers before them.
    bounds : ndarray, 1 + partitions
        Is filled: from one to the next is a target's record.
    accepted : ndarray
        Comes as zeros and is filled with the number of entries of each kind.
    """
    partitions = len(bounds) - 1
    order, firsts = _by_target(table, partitions)
    span_of = np.empty(len(origins.kinds), np.int64)
    spanned_up_to = np.zeros(len(origins.kinds), np.int64)
    bounds[0] = 0
    for target in range(partitions):
        at = bounds[target]
        first, behind = firsts[target], firsts[target + 1]
        if first < behind:
            spans_at, at = at, at + 2
            spans = lines = _ZERO
            for record in order[first:behind]:
                origin = places[record]
                if spanned_up_to[origin] <= target:
                    spanned_up_to[origin] = target + 1
                    span_of[origin] = spans
                    spans += 1
                    start = origins.name_ends[origin - 1] if origin else 0
                    at = _put_text(records, at, origins.names, start, origins.name_ends[origin])
                    at = put_i64(records, at, origins.sent[origin, target])
                    origins.sent[origin, target] = origins.positions[origin] - 1
                    at = put_i64(records, at, origins.sent[origin, target])
                put_u16(entries, table[record, START], span_of[origin])
                lines += table[record, LINES]
            put_u16(records, spans_at, spans)
            at = put_u32(records, at, behind - first)
            at = put_u32(records, at, lines)
            for record in order[first:behind]:
                start, end = table[record, START], table[record, END]
                accepted[entries[start + _KIND_PLACE]] += 1
                at = copy(records, at, entries, start, end)
        bounds[target + 1] = at


@allocating_inner
def _by_target(table: Numbers, partitions: int) -> tuple[Numbers, Numbers]:
    """Return the entries by target, each target's in their order, and for each where its own begin: the next's."""
    order = np.empty(len(table), np.int64)
    firsts = np.zeros(partitions + 2, np.int64)
    for record in range(len(table)):
        if table[record, TARGET] >= 0:
            firsts[table[record, TARGET] + 2] += 1
    for target in range(partitions):
        firsts[target + 2] += firsts[target + 1]
    for record in range(len(table)):
        target = table[record, TARGET]
        if target >= 0:
            order[firsts[target + 1]] = record
            firsts[target + 1] += 1
    return order, firsts
