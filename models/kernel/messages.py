"""Compiled: one input message, as far as it is of the usual shape, as the places of its values in the buffer.

    message  { fields } with nothing but space around it; each known field at most once
    field    "name" : value, with commas between them; space may stand around every sign
    value    null for any field; else, by the field:
             time      a whole number, or "YYYY-MM-DDThh:mm:ss" with up to nine decimals, and Z or an offset
             quantity  a whole number
             price     a number without exponent
             lines     [ { fields }, … ], at most as many as there is room for
             other known fields: a text without escapes; unknown fields: any value of the scanner's

The parts are those of `models.kernel.scanning`. What is of this shape and within its limits `models.records.accept`
takes, and to the same effect; what is not may be anything, and is for `accept` to judge.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner
from models.kernel.scanning import UNUSUAL, decimal_end, number_end, space_end, text_end, value_end, word_end

__all__ = [
    "ACTION", "CATEGORY", "CURRENCY", "EVENT_ID", "ITEM_ID", "MOMENT", "NOTHING", "ORDER_ID", "OWN", "QUANTITY",
    "SESSION_ID", "SUGGESTION_ID", "TIME", "Message", "empty_message", "message_end",
]  # fmt: skip

Buffer = NDArray[np.uint8]

#: The fields; those of a line come first. They and the row are no literals: numba would compile what is called with
#: one anew for each.
ITEM_ID, CATEGORY, QUANTITY, _PRICE, EVENT_ID, SESSION_ID, MOMENT, ORDER_ID, CURRENCY, SUGGESTION_ID, ACTION, TIME, \
    _LINES = map(np.int64, range(13))  # fmt: skip
#: The row of a message's own fields.
OWN = np.int64(0)
_UNKNOWN = -1
_NAMES = (
    b"item_id", b"category", b"quantity", b"price",
    b"event_id", b"session_id", b"moment", b"order_id", b"currency", b"suggestion_id", b"action", b"time", b"lines",
)  # fmt: skip

#: For a field that is not there, or null.
NOTHING: Final = -1

_SLOTS = 32
_NAME_MAX = max(map(len, _NAMES))


def _hashed(first: int, second: int, size: int) -> int:
    """Return the slot of a name; no two names share one."""
    return (2 * first + 4 * second + size) % _SLOTS


#: By slot: the field, the bytes of its name and their number.
_FIELDS = np.full(_SLOTS, _UNKNOWN, np.int64)
_SPELLINGS = np.zeros((_SLOTS, _NAME_MAX), np.uint8)
_SIZES = np.zeros(_SLOTS, np.int64)
for _field, _name in enumerate(_NAMES):
    _slot = _hashed(_name[0], _name[1], len(_name))
    _FIELDS[_slot] = _field
    _SPELLINGS[_slot, : len(_name)] = list(_name)
    _SIZES[_slot] = len(_name)

_hashed = inner(_hashed)

_QUOTE, _POINT, _COMMA, _COLON, _DASH, _PLUS = (ord(sign) for sign in '".,:-+')
_OPENING, _CLOSING, _LIST_OPENING, _LIST_CLOSING = (ord(sign) for sign in "{}[]")
_ZERO, _NINE, _T, _Z = (ord(sign) for sign in "09TZ")
_NULL = np.frombuffer(b"null", np.uint8)

#: Days of a common year before each month, which is counted from 1.
_DAYS_BEFORE = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])
_DAY_MS = 86_400_000


class Message(NamedTuple):
    """One message: in row 0 its own fields, in the rows from 1 on those of its lines.

    `texts` holds for each field (row, field, 2) where its text begins and ends in the buffer; for `TIME` and `QUANTITY`
    the number itself comes first; what is not there begins and ends at `NOTHING`. `prices` (row) holds NaN for none,
    `price_bits` is the same as whole numbers.
    """

    texts: NDArray[np.int64]
    prices: NDArray[np.float64]
    price_bits: NDArray[np.int64]


def empty_message(lines: int) -> Message:
    """Return room for a message of so many lines."""
    prices = np.full(1 + lines, np.nan)
    return Message(np.full((1 + lines, len(_NAMES), 2), NOTHING, np.int64), prices, prices.view(np.int64))


@inner
def message_end(buffer: Buffer, at: int, message: Message) -> tuple[int, int]:
    """Read a message into its room; return its lines and its end with the space behind it."""
    message.texts[OWN] = NOTHING
    message.prices[OWN] = np.nan
    lines = 0
    at = space_end(buffer, at)
    if buffer[at] != _OPENING:
        return 0, UNUSUAL
    while True:
        field, at = _field_at(buffer, at + 1)
        if at == UNUSUAL:
            return 0, UNUSUAL
        if field != _LINES:
            at = _known_end(buffer, at, field, OWN, message) if field != _UNKNOWN else value_end(buffer, at)
        elif lines > 0:
            return 0, UNUSUAL
        else:
            lines, at = _lines_end(buffer, at, message)
        if at == UNUSUAL:
            return 0, UNUSUAL
        at = space_end(buffer, at)
        if buffer[at] == _CLOSING:
            return lines, space_end(buffer, at + 1)
        if buffer[at] != _COMMA:
            return 0, UNUSUAL


@inner
def _lines_end(buffer: Buffer, at: int, message: Message) -> tuple[int, int]:
    if buffer[at] != _LIST_OPENING:
        return 0, UNUSUAL
    lines = 0
    while True:
        lines += 1
        if lines == len(message.prices):
            return 0, UNUSUAL
        at = _line_end(buffer, space_end(buffer, at + 1), lines, message)
        if at == UNUSUAL:
            return 0, UNUSUAL
        at = space_end(buffer, at)
        if buffer[at] == _LIST_CLOSING:
            return lines, at + 1
        if buffer[at] != _COMMA:
            return 0, UNUSUAL


@inner
def _line_end(buffer: Buffer, at: int, row: int, message: Message) -> int:
    message.texts[row, : _PRICE + 1] = NOTHING
    message.prices[row] = np.nan
    if buffer[at] != _OPENING:
        return UNUSUAL
    while True:
        field, at = _field_at(buffer, at + 1)
        if at == UNUSUAL:
            return UNUSUAL
        is_known = field != _UNKNOWN and field <= _PRICE
        at = _known_end(buffer, at, field, row, message) if is_known else value_end(buffer, at)
        if at == UNUSUAL:
            return UNUSUAL
        at = space_end(buffer, at)
        if buffer[at] == _CLOSING:
            return at + 1
        if buffer[at] != _COMMA:
            return UNUSUAL


@inner
def _field_at(buffer: Buffer, at: int) -> tuple[int, int]:
    """Read a name and its colon; return the field and where its value begins."""
    at = space_end(buffer, at)
    if buffer[at] != _QUOTE:
        return _UNKNOWN, UNUSUAL
    start = at + 1
    end, has_escapes = text_end(buffer, start)
    if end == UNUSUAL or has_escapes:
        return _UNKNOWN, UNUSUAL
    at = space_end(buffer, end + 1)
    if buffer[at] != _COLON:
        return _UNKNOWN, UNUSUAL
    return _named(buffer, start, end), space_end(buffer, at + 1)


@inner
def _named(buffer: Buffer, start: int, end: int) -> int:
    slot = _hashed(buffer[start], buffer[start + 1], end - start)
    if end - start != _SIZES[slot]:
        return _UNKNOWN
    for place in range(end - start):
        if buffer[start + place] != _SPELLINGS[slot, place]:
            return _UNKNOWN
    return int(_FIELDS[slot])


@inner
def _known_end(buffer: Buffer, at: int, field: int, row: int, message: Message) -> int:
    """Read the value of a known field, but for lines."""
    texts = message.texts
    if texts[row, field, 0] != NOTHING:
        return UNUSUAL
    if buffer[at] == _NULL[0]:
        return int(word_end(buffer, at, _NULL))
    if field == _PRICE:
        texts[row, field, 0] = at
        message.prices[row], at = decimal_end(buffer, at)
        return at
    if field == QUANTITY or (field == TIME and buffer[at] != _QUOTE):
        texts[row, field, 0], at = number_end(buffer, at)
        return at
    if buffer[at] != _QUOTE:
        return UNUSUAL
    start = at + 1
    end, has_escapes = text_end(buffer, start)
    if end == UNUSUAL or has_escapes:
        return UNUSUAL
    if field == TIME:
        texts[row, field, 0] = _rfc_3339_ms(buffer, start, end)
    else:
        texts[row, field, 0] = start
        texts[row, field, 1] = end
    return int(end + 1)


@inner
def _rfc_3339_ms(buffer: Buffer, start: int, end: int) -> int:
    """Read the time of a text as epoch milliseconds: of the years 2000 to 2099, where every fourth is a leap year."""
    if end - start < 20 or buffer[start + 4] != _DASH or buffer[start + 7] != _DASH or buffer[start + 10] != _T:
        return UNUSUAL
    century, year, month = _pair(buffer, start), _pair(buffer, start + 2), _pair(buffer, start + 5)
    day = _pair(buffer, start + 8)
    minutes, seconds = _clock(buffer, start + 11), _pair(buffer, start + 17)
    if century != 20 or year < 0 or not 1 <= month <= 12 or minutes < 0 or not 0 <= seconds < 60:
        return UNUSUAL
    is_leap = year % 4 == 0
    days = _DAYS_BEFORE[month + 1] - _DAYS_BEFORE[month] + (is_leap and month == 2)
    if buffer[start + 16] != _COLON or not 1 <= day <= days:
        return UNUSUAL
    at = start + 19
    milliseconds = 0
    if buffer[at] == _POINT:
        scale = 100
        at += 1
        while _ZERO <= buffer[at] <= _NINE:
            milliseconds += (buffer[at] - _ZERO) * scale
            scale //= 10
            at += 1
        if not 1 <= at - start - 20 <= 9:
            return UNUSUAL
    if buffer[at] == _Z:
        at += 1
    elif end - at == 6 and (buffer[at] == _PLUS or buffer[at] == _DASH):
        offset = _clock(buffer, at + 1)
        if offset < 0:
            return UNUSUAL
        minutes -= offset if buffer[at] == _PLUS else -offset
        at += 6
    else:
        return UNUSUAL
    if at != end:
        return UNUSUAL
    # 10957 days from 1970 to 2000.
    days = 10_957 + 365 * year + (year + 3) // 4 + _DAYS_BEFORE[month] + (is_leap and month > 2) + day - 1
    return int(days * _DAY_MS + minutes * 60_000 + seconds * 1000 + milliseconds)


@inner
def _clock(buffer: Buffer, at: int) -> int:
    """Read hh:mm as minutes."""
    hours, minutes = _pair(buffer, at), _pair(buffer, at + 3)
    if not 0 <= hours < 24 or buffer[at + 2] != _COLON or not 0 <= minutes < 60:
        return UNUSUAL
    return int(hours * 60 + minutes)


@inner
def _pair(buffer: Buffer, at: int) -> int:
    """Read two digits."""
    tens, ones = buffer[at], buffer[at + 1]
    if not (_ZERO <= tens <= _NINE and _ZERO <= ones <= _NINE):
        return UNUSUAL
    return int(10 * (tens - _ZERO) + ones - _ZERO)
