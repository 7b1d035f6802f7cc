"""Compiled: a message of `suggestions` as JSON, `models.suggesting.Suggestion` as msgspec writes it."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner
from models.kernel.entry import EVENT_ID, KIND, MOMENT, OFFSET, SESSION_ID, TIME
from models.kernel.interning import Ids
from models.kernel.ladder import Shown
from models.kernel.octets import copy, put_u8
from models.ladder import REASONS
from models.rounding import ROUNDED_MAX

__all__ = ["message_bytes_max", "put_decimal", "put_id", "put_message"]


def _constant(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


_SUGGESTION_ID = _constant('{"suggestion_id":"')
_EVENT_ID = _constant('","event_id":')
_SESSION_ID = _constant(',"session_id":')
_TIME = _constant(',"time":')
_MOMENT = _constant(',"moment":')
_ANCHOR = _constant(',"anchor":')
_ITEMS = _constant(',"items":[')
_ITEM_ID = _constant('{"item_id":')
_RANK = _constant(',"rank":')
_SCORE = _constant(',"score":')
_EVIDENCE = _constant(',"evidence":{"source":')
_VIA = _constant(',"via":')
_PAIR_COUNT = _constant(',"pair_count":')
_SUPPORT = _constant(',"support":')
_CONFIDENCE = _constant(',"confidence":')
_LIFT = _constant(',"lift":')
_END_OF_ITEM = _constant("}}")
_REASON = _constant('],"reason":')
_NULL = _constant("null")
#: By the numbers of `models.kernel.evidence`, and from 1 as `models.ladder.REASONS` has them; each in so many bytes.
_SOURCES = _constant('"pair"     "neighbour""category" "popular"  ')
_SOURCE_ENDS = np.array([6, 22, 32, 42])
_SOURCE_BYTES = 11
_REASON_BYTES = max(map(len, REASONS)) + 2
_REASONS = _constant("".join(f'"{reason}"'.ljust(_REASON_BYTES) for reason in REASONS))
_REASON_LENGTHS = np.array([len(reason) + 2 for reason in REASONS])

_QUOTE, _BACKSLASH, _SPACE, _COMMA, _ZERO, _POINT, _U = 34, 92, 32, 44, 48, 46, 117
_END = 125
_A = 97
#: Of control characters, the letter that stands after the backslash; 0 for those that are written as a number.
_LETTERS = np.zeros(32, np.uint8)
_LETTERS[[8, 9, 10, 12, 13]] = np.frombuffer(b"btnfr", np.uint8)

#: Digits after the point of score, pair count, support, confidence and lift.
_DIGITS = np.array([6, 3, 6, 4, 3])

#: As in `models.rounding`: numba's cache would keep a constant from beyond this folder when it has changed.
_ROUNDED_MAX = 1e9
assert _ROUNDED_MAX == ROUNDED_MAX

#: Bytes of a message and of each of its items beside texts, at most; what a byte of a text becomes, at most.
_MESSAGE_BYTES, _ITEM_BYTES, _ESCAPED_BYTES = 256, 320, 6


@inner
def message_bytes_max(texts: int, longest_id: int, items: int) -> int:
    """Return how long a message can get: with so many bytes of texts in its event, and so many items."""
    return _MESSAGE_BYTES + _ESCAPED_BYTES * (texts + longest_id) + items * (_ITEM_BYTES + 18 * longest_id)


@inner
def put_message(
    out: NDArray[np.uint8],
    at: int,
    buffer: NDArray[np.uint8],
    entry: NDArray[np.int64],
    origin: int,
    items: Ids,
    anchor: int,
    shown: Shown,
    count: int,
    reason: int,
) -> int:
    """Write the message for an event, and return the place after it.

    Parameters
    ----------
    origin : int
        Partition of the input topic that the event came in.
    anchor : int
        The newest session item, -1 for none.
    """
    at = copy(out, at, _SUGGESTION_ID, 0, len(_SUGGESTION_ID))
    at = put_id(out, at, entry[TIME], entry[KIND], origin, entry[OFFSET])
    at = copy(out, at, _EVENT_ID, 0, len(_EVENT_ID))
    at = _put_text(out, at, buffer, entry[EVENT_ID], entry[EVENT_ID + 1])
    at = copy(out, at, _SESSION_ID, 0, len(_SESSION_ID))
    at = _put_text(out, at, buffer, entry[SESSION_ID], entry[SESSION_ID + 1])
    at = copy(out, at, _TIME, 0, len(_TIME))
    at = _put_number(out, at, entry[TIME], 1)
    at = copy(out, at, _MOMENT, 0, len(_MOMENT))
    at = _put_text(out, at, buffer, entry[MOMENT], entry[MOMENT + 1])
    at = copy(out, at, _ANCHOR, 0, len(_ANCHOR))
    at = _put_item(out, at, items, anchor)
    at = copy(out, at, _ITEMS, 0, len(_ITEMS))
    for place in range(count):
        if place:
            at = put_u8(out, at, _COMMA)
        at = copy(out, at, _ITEM_ID, 0, len(_ITEM_ID))
        at = _put_item(out, at, items, shown.items[place, 0])
        at = copy(out, at, _RANK, 0, len(_RANK))
        at = _put_number(out, at, place + 1, 1)
        at = copy(out, at, _SCORE, 0, len(_SCORE))
        at = put_decimal(out, at, shown.numbers[place, 0], _DIGITS[0])
        at = copy(out, at, _EVIDENCE, 0, len(_EVIDENCE))
        source = shown.items[place, 1]
        at = copy(out, at, _SOURCES, _SOURCE_BYTES * source, _SOURCE_ENDS[source])
        at = copy(out, at, _ANCHOR, 0, len(_ANCHOR))
        at = _put_item(out, at, items, shown.items[place, 2])
        at = copy(out, at, _VIA, 0, len(_VIA))
        at = _put_item(out, at, items, shown.items[place, 3])
        at = copy(out, at, _PAIR_COUNT, 0, len(_PAIR_COUNT))
        at = put_decimal(out, at, shown.numbers[place, 1], _DIGITS[1])
        at = copy(out, at, _SUPPORT, 0, len(_SUPPORT))
        at = put_decimal(out, at, shown.numbers[place, 2], _DIGITS[2])
        at = copy(out, at, _CONFIDENCE, 0, len(_CONFIDENCE))
        at = put_decimal(out, at, shown.numbers[place, 3], _DIGITS[3])
        at = copy(out, at, _LIFT, 0, len(_LIFT))
        if shown.numbers[place, 4] < 0:
            at = copy(out, at, _NULL, 0, len(_NULL))
        else:
            at = put_decimal(out, at, shown.numbers[place, 4], _DIGITS[4])
        at = copy(out, at, _END_OF_ITEM, 0, len(_END_OF_ITEM))
    at = copy(out, at, _REASON, 0, len(_REASON))
    if reason:
        start = (reason - 1) * _REASON_BYTES
        at = copy(out, at, _REASONS, start, start + _REASON_LENGTHS[reason - 1])
    else:
        at = copy(out, at, _NULL, 0, len(_NULL))
    return put_u8(out, at, _END)


@inner
def put_id(out: NDArray[np.uint8], at: int, time_ms: int, kind: int, origin: int, offset: int) -> int:
    """Write `models.suggesting.suggestion_id`, and return the place after it."""
    at = _put_hex(out, at, time_ms, 12)
    at = _put_hex(out, at, kind, 1)
    at = _put_hex(out, at, origin, 5)
    return _put_hex(out, at, offset, 14)


@inner
def _put_hex(out: NDArray[np.uint8], at: int, value: int, digits: int) -> int:
    for place in range(at + digits - 1, at - 1, -1):
        digit = value & 15
        out[place] = _ZERO + digit if digit < 10 else _A + digit - 10
        value >>= 4
    return at + digits


@inner
def _put_item(out: NDArray[np.uint8], at: int, items: Ids, item: int) -> int:
    if item < 0:
        return copy(out, at, _NULL, 0, len(_NULL))
    return _put_text(out, at, items.arena, items.bounds[item, 0], items.bounds[item, 1])


@inner
def _put_text(out: NDArray[np.uint8], at: int, source: NDArray[np.uint8], start: int, end: int) -> int:
    """Write a text in quotes, with those characters escaped that JSON asks for."""
    out[at] = _QUOTE
    at += 1
    for place in range(start, end):
        byte = source[place]
        if byte >= _SPACE and byte != _QUOTE and byte != _BACKSLASH:
            out[at] = byte
            at += 1
            continue
        out[at] = _BACKSLASH
        letter = byte if byte >= _SPACE else _LETTERS[byte]
        if letter:
            out[at + 1] = letter
            at += 2
        else:
            out[at + 1] = _U
            at = _put_hex(out, at + 2, np.int64(byte), 4)
    out[at] = _QUOTE
    return at + 1


@inner
def _put_number(out: NDArray[np.uint8], at: int, value: int, digits: int) -> int:
    """Write a whole number of at least zero, with leading zeros up to so many digits."""
    length, left = 1, value // 10
    while left:
        length += 1
        left //= 10
    length = max(length, digits)
    for place in range(at + length - 1, at - 1, -1):
        out[place] = _ZERO + value % 10
        value //= 10
    return at + length


@inner
def put_decimal(out: NDArray[np.uint8], at: int, value: float, digits: int) -> int:
    """Write `models.rounding.rounded` of a value, with one digit after the point at least."""
    scale = 1
    for _ in range(digits):
        scale *= 10
    scaled = np.int64(np.floor(min(value, _ROUNDED_MAX) * scale + 0.5))
    at = _put_number(out, at, scaled // scale, 1)
    out[at] = _POINT
    at = _put_number(out, at + 1, scaled % scale, digits)
    while out[at - 1] == _ZERO and out[at - 2] != _POINT:
        at -= 1
    return at
