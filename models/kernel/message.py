"""Compiled: a message of `suggestions` as JSON, `models.suggesting.Suggestion` as msgspec writes it."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner, merged
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
_HEX = _constant("0123456789abcdef")
#: Of control characters, the letter that stands after the backslash; 0 for those that are written as a number.
_LETTERS = np.zeros(32, np.uint8)
_LETTERS[[8, 9, 10, 12, 13]] = np.frombuffer(b"btnfr", np.uint8)

#: Digits after the point of score, pair count, support, confidence and lift.
_DIGITS = np.array([6, 3, 6, 4, 3])

#: By digits after the point: what a number is multiplied by, and what is then left to make it millionths.
_SCALES = np.array([1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6])
_MILLIONTHS = np.array([1_000_000, 100_000, 10_000, 1000, 100, 10, 1])
#: All numbers of two digits, and the zeros that each ends with.
_PAIRS = _constant("".join(f"{number:02}" for number in range(100))).reshape(100, 2)
_ZEROS = np.array([2, *(int(number % 10 == 0) for number in range(1, 100))])
#: Numbers without a sign, which are faster to divide by.
_NONE, _ONE, _THREE, _FIVE, _TEN, _DIGIT_0 = (np.uint64(number) for number in (0, 1, 3, 5, 10, _ZERO))
_HUNDRED, _TEN_THOUSAND, _MILLION = (np.uint64(number) for number in (100, 10_000, 1_000_000))

#: As in `models.rounding`: numba's cache would keep a constant from beyond this folder when it has changed.
_ROUNDED_MAX = 1e9
assert _ROUNDED_MAX == ROUNDED_MAX

#: Bytes of a message and of each of its items beside texts, at most; what a byte of a text becomes, at most.
_MESSAGE_BYTES, _ITEM_BYTES, _ESCAPED_BYTES = 256, 320, 6


@inner
def message_bytes_max(texts: int, longest_id: int, items: int) -> int:
    """Return how long a message can get: with so many bytes of texts in its event, and so many items."""
    return _MESSAGE_BYTES + _ESCAPED_BYTES * (texts + longest_id) + items * (_ITEM_BYTES + 18 * longest_id)


@merged
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
    at = _put(out, at, _SUGGESTION_ID)
    at = put_id(out, at, entry[TIME], entry[KIND], origin, entry[OFFSET])
    at = _put(out, at, _EVENT_ID)
    at = _put_text(out, at, buffer, entry[EVENT_ID], entry[EVENT_ID + 1])
    at = _put(out, at, _SESSION_ID)
    at = _put_text(out, at, buffer, entry[SESSION_ID], entry[SESSION_ID + 1])
    at = _put(out, at, _TIME)
    at = _put_number(out, at, entry[TIME])
    at = _put(out, at, _MOMENT)
    at = _put_text(out, at, buffer, entry[MOMENT], entry[MOMENT + 1])
    at = _put(out, at, _ANCHOR)
    at = _put_item(out, at, items, anchor)
    at = _put(out, at, _ITEMS)
    for place in range(count):
        if place:
            at = put_u8(out, at, _COMMA)
        at = _put(out, at, _ITEM_ID)
        at = _put_item(out, at, items, shown.items[place, 0])
        at = _put(out, at, _RANK)
        at = _put_number(out, at, place + 1)
        at = _put(out, at, _SCORE)
        at = put_decimal(out, at, shown.numbers[place, 0], _DIGITS[0])
        at = _put(out, at, _EVIDENCE)
        source = shown.items[place, 1]
        at = copy(out, at, _SOURCES, _SOURCE_BYTES * source, _SOURCE_ENDS[source])
        at = _put(out, at, _ANCHOR)
        at = _put_item(out, at, items, shown.items[place, 2])
        at = _put(out, at, _VIA)
        at = _put_item(out, at, items, shown.items[place, 3])
        at = _put(out, at, _PAIR_COUNT)
        at = put_decimal(out, at, shown.numbers[place, 1], _DIGITS[1])
        at = _put(out, at, _SUPPORT)
        at = put_decimal(out, at, shown.numbers[place, 2], _DIGITS[2])
        at = _put(out, at, _CONFIDENCE)
        at = put_decimal(out, at, shown.numbers[place, 3], _DIGITS[3])
        at = _put(out, at, _LIFT)
        if shown.numbers[place, 4] < 0:
            at = _put(out, at, _NULL)
        else:
            at = put_decimal(out, at, shown.numbers[place, 4], _DIGITS[4])
        at = _put(out, at, _END_OF_ITEM)
    at = _put(out, at, _REASON)
    if reason:
        start = (reason - 1) * _REASON_BYTES
        at = copy(out, at, _REASONS, start, start + _REASON_LENGTHS[reason - 1])
    else:
        at = _put(out, at, _NULL)
    return put_u8(out, at, _END)


@inner
def put_id(out: NDArray[np.uint8], at: int, time_ms: int, kind: int, origin: int, offset: int) -> int:
    """Write `models.suggesting.suggestion_id`, and return the place after it."""
    at = _put_hex(out, at, time_ms, 12)
    at = _put_hex(out, at, kind, 1)
    at = _put_hex(out, at, origin, 5)
    return _put_hex(out, at, offset, 14)


@merged
def _put(out: NDArray[np.uint8], at: int, constant: NDArray[np.uint8]) -> int:
    """Write a constant, and return the place after it: a few moves of eight bytes."""
    to = np.uintp(at)
    for place in range(np.uintp(len(constant))):
        out[to + place] = constant[place]
    return at + len(constant)


@inner
def _put_hex(out: NDArray[np.uint8], at: int, value: int, digits: int) -> int:
    end = np.uintp(at + digits - 1)
    for place in range(np.uintp(digits)):
        out[end - place] = _HEX[value & 15]
        value >>= 4
    return at + digits


@merged
def _put_item(out: NDArray[np.uint8], at: int, items: Ids, item: int) -> int:
    if item < 0:
        return _put(out, at, _NULL)
    return _put_text(out, at, items.arena, items.bounds[item, 0], items.bounds[item, 1])


@inner
def _put_text(out: NDArray[np.uint8], at: int, source: NDArray[np.uint8], start: int, end: int) -> int:
    """Write a text in quotes, with those characters escaped that JSON asks for."""
    out[at] = _QUOTE
    at += 1
    to, origin, is_plain = np.uintp(at), np.uintp(start), True
    for place in range(np.uintp(max(0, end - start))):
        byte = source[origin + place]
        out[to + place] = byte
        is_plain &= (byte >= _SPACE) & (byte != _QUOTE) & (byte != _BACKSLASH)
    at = at + end - start if is_plain else _put_escaped(out, at, source, start, end)
    out[at] = _QUOTE
    return at + 1


@inner
def _put_escaped(out: NDArray[np.uint8], at: int, source: NDArray[np.uint8], start: int, end: int) -> int:
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
    return at


@inner
def _put_number(out: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a whole number of at least zero."""
    if value < 10:
        out[at] = _ZERO + value
        return at + 1
    left, length, bound = np.uint64(value), 1, _TEN
    while left >= bound:
        length += 1
        bound *= _TEN
    last = np.uintp(at + length - 1)
    for place in range(np.uintp(length)):
        quotient = left // _TEN
        out[last - place] = _DIGIT_0 + (left - quotient * _TEN)
        left = quotient
    return at + length


@merged
def _put_pair(out: NDArray[np.uint8], at: int, value: int) -> None:
    """Write a number of two digits; both are without a sign."""
    out[at] = _PAIRS[value, 0]
    out[at + _ONE] = _PAIRS[value, 1]


@inner
def put_decimal(out: NDArray[np.uint8], at: int, value: float, digits: int) -> int:
    """Write `models.rounding.rounded` of a value to six digits at most, with one after the point at least."""
    scaled = np.int64(np.floor(min(value, _ROUNDED_MAX) * _SCALES[digits] + 0.5))
    # Always six digits, so that everything is divided by constants only.
    millionths = np.uint64(scaled * _MILLIONTHS[digits])
    whole = millionths // _MILLION
    decimals = millionths - whole * _MILLION
    first = decimals // _TEN_THOUSAND
    rest = decimals - first * _TEN_THOUSAND
    second = rest // _HUNDRED
    third = rest - second * _HUNDRED
    at = _put_number(out, at, np.int64(whole))
    to = np.uintp(at)
    out[to] = _POINT
    _put_pair(out, to + _ONE, first)
    _put_pair(out, to + _THREE, second)
    _put_pair(out, to + _FIVE, third)
    zeros = _ZEROS[third]
    if third == _NONE:
        zeros += _ZEROS[second]
        if second == _NONE:
            zeros += _ZEROS[first]
    return at + 7 - min(zeros, 5)
