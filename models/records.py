"""Shop events as the shop writes them, and as they stand in `session-events`.

The door: `accept` turns the JSON bytes of an input topic into one `Event`, or raises `BadEventError`.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from models.errors import BadEventError
from models.parameters import Parameters

__all__ = [
    "ADD",
    "CLEAR",
    "KINDS",
    "MOMENTS",
    "REASONS",
    "REMOVE",
    "Event",
    "Kind",
    "Line",
    "accept",
    "is_event_time",
    "moment_label",
    "rfc_3339_ms",
]

Kind = Literal["browse", "add-to-cart", "orders"]

#: The kinds by the number that stands for each in packed records and ids.
KINDS: Final[tuple[Kind, ...]] = ("browse", "add-to-cart", "orders")

ADD: Final = "add"
REMOVE: Final = "remove"
CLEAR: Final = "clear"

#: The moment of an event that names none.
MOMENTS: Final[dict[Kind, str]] = {"browse": "browse", "add-to-cart": "cart", "orders": "order"}

#: Why an event can be refused: the labels of the rejection counter.
REASONS: Final = (
    "empty-message", "too-large", "too-deep", "invalid-json", "missing-field", "invalid-field", "invalid-time",
    "future-time",
)  # fmt: skip

#: Bytes of an input message, at most: an order of a hundred lines needs about 40 kB.
MESSAGE_BYTES_MAX: Final = 256 * 1024
#: Objects and lists within each other: what is accepted must not depend on how much stack the reader has left.
DEPTH_MAX: Final = 128
#: Of an id or a category, in UTF-8.
ID_BYTES_MAX: Final = 256
#: Characters of the id of a suggestion: Sidecart's own have 32.
SUGGESTION_ID_MAX: Final = 64
#: A name that developers choose; the rows of the KPI windows hold it.
MOMENT_MAX: Final = 32
LINES_MAX: Final = 100
QUANTITY_MAX: Final = 1_000_000
#: Price times quantity of a line: sums of these stay exact.
VALUE_MAX: Final = 1e9
#: 2000-01-01 in epoch milliseconds: an earlier time is most likely given in seconds.
TIME_MIN_MS: Final = 946_684_800_000
TIME_MAX_MS: Final = 4_102_444_800_000


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One item of an event; `quantity` in pieces, `price` for one piece in the event's currency."""

    item_id: str
    quantity: int = 1
    price: float | None = None
    category: str | None = None


class Event(msgspec.Struct, frozen=True, array_like=True):
    """An accepted event: `time` in epoch milliseconds; a cart that is cleared has no line."""

    kind: Kind
    event_id: str
    session_id: str
    time: int
    moment: str
    lines: tuple[Line, ...] = ()
    action: str = ADD
    order_id: str | None = None
    currency: str | None = None
    suggestion_id: str | None = None


class _Line(msgspec.Struct):
    item_id: str | None = None
    quantity: int | None = None
    price: float | None = None
    category: str | None = None


class _Message(msgspec.Struct):
    event_id: str | None = None
    session_id: str | None = None
    item_id: str | None = None
    time: int | float | str | None = None
    quantity: int | None = None
    price: float | None = None
    category: str | None = None
    currency: str | None = None
    moment: str | None = None
    suggestion_id: str | None = None
    action: str | None = None
    order_id: str | None = None
    lines: list[_Line] | None = None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_MOMENT = re.compile(rf"[A-Za-z0-9._-]{{1,{MOMENT_MAX}}}")
#: As in ISO 4217: sums are kept by currency, so there cannot be any number of them.
_CURRENCY = re.compile(r"[A-Za-z]{3}")
#: A text, or a bracket outside of texts; in one pass, whatever comes.
_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
#: Characters of a bad value that an error shows.
_SHOWN: Final = 80

_decoder = msgspec.json.Decoder(_Message)


def accept(kind: Kind, value: bytes | None, timestamp_ms: int, parameters: Parameters) -> Event:
    """Validate and translate one input message.

    Parameters
    ----------
    kind : Kind
        Which input topic it stands in.
    value : bytes or None
        The record's value.
    timestamp_ms : int
        The record's own timestamp: the only "now" that is the same on every replay.

    Raises
    ------
    BadEventError
        With one of `REASONS`.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> message = b'{"event_id": "e1", "session_id": "s1", "item_id": "tea", "time": "2026-01-05T10:00:00Z"}'
    >>> accept("browse", message, 1_767_607_200_000, DEFAULTS).lines
    (Line(item_id='tea', quantity=1, price=None, category=None),)
    """
    if not value:
        raise BadEventError("empty-message", "the message has no value")
    if len(value) > MESSAGE_BYTES_MAX:
        raise BadEventError("too-large", f"the message has {len(value)} bytes; at most {MESSAGE_BYTES_MAX} are allowed")
    if value.count(b"[") + value.count(b"{") > DEPTH_MAX and _is_too_deep(value):
        raise BadEventError("too-deep", f"objects and lists stand more than {DEPTH_MAX} deep in each other")
    try:
        message = _decoder.decode(value)
    except msgspec.ValidationError as error:
        raise BadEventError("invalid-field", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEventError("invalid-json", str(error)) from error
    time = _time(message.time)
    if time > timestamp_ms + parameters.future_skew_ms:
        raise BadEventError(
            "future-time",
            f"time={_shown(message.time)} is {(time - timestamp_ms) / 1000:.0f} s after the record's own timestamp; at"
            f" most {parameters.future_skew_ms / 1000:.0f} s are allowed",
        )
    action, order_id = ADD, None
    lines: tuple[Line, ...] = ()
    if kind == "orders":
        order_id = _id("order_id", message.order_id)
        lines = _order_lines(message.lines)
    elif kind == "add-to-cart" and message.action not in (None, ADD):
        if message.action not in (REMOVE, CLEAR):
            raise BadEventError("invalid-field", f"action={_shown(message.action)} is none of add, remove, clear")
        action = message.action
    if kind != "orders" and action != CLEAR:
        lines = (_line(_Line(message.item_id, message.quantity, message.price, message.category)),)
    return Event(
        kind=kind,
        event_id=_id("event_id", message.event_id),
        session_id=_id("session_id", message.session_id),
        time=time,
        moment=_moment(message.moment, kind),
        lines=lines,
        action=action,
        order_id=order_id,
        currency=_currency(message.currency),
        suggestion_id=_suggestion_id(message.suggestion_id),
    )


def moment_label(moment: str) -> str:
    """Return the moment as a bounded label: one of `MOMENTS`, or ``other``."""
    return moment if moment in MOMENTS.values() else "other"


def rfc_3339_ms(text: str) -> int | None:
    """Read RFC 3339 text with Z or an offset as epoch milliseconds, the rest cut off; None when it is none.

    Examples
    --------
    >>> rfc_3339_ms("2026-01-05T11:00:00.0009+01:00")
    1767607200000
    >>> rfc_3339_ms("2026-01-05T10:00:00") is None
    True
    """
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def is_event_time(time_ms: int) -> bool:
    """Tell whether epoch milliseconds are of the years 2000 to 2099.

    Examples
    --------
    >>> is_event_time(1_767_607_200_000), is_event_time(1_767_607_200)
    (True, False)
    """
    return TIME_MIN_MS <= time_ms < TIME_MAX_MS


def _id(field: str, text: str | None) -> str:
    if text is None:
        raise BadEventError("missing-field", f"{field} is missing")
    size = len(text.encode())
    if not 0 < size <= ID_BYTES_MAX:
        raise BadEventError("invalid-field", f"{field} has {size} bytes; 1 to {ID_BYTES_MAX} are allowed")
    return text


def _suggestion_id(text: str | None) -> str | None:
    if text is not None and not 0 < len(text) <= SUGGESTION_ID_MAX:
        raise BadEventError(
            "invalid-field", f"suggestion_id has {len(text)} characters; 1 to {SUGGESTION_ID_MAX} are allowed"
        )
    return text


def _moment(text: str | None, kind: Kind) -> str:
    if text is None:
        return MOMENTS[kind]
    if not _MOMENT.fullmatch(text):
        raise BadEventError(
            "invalid-field", f"moment={_shown(text)} is not 1 to {MOMENT_MAX} of the characters A-Z a-z 0-9 . _ -"
        )
    return text


def _currency(text: str | None) -> str | None:
    if text is None:
        return None
    if not _CURRENCY.fullmatch(text):
        raise BadEventError("invalid-field", f"currency={_shown(text)} is not three letters, as in ISO 4217")
    return text.upper()


def _is_too_deep(value: bytes) -> bool:
    depth = 0
    for bracket in _BRACKET.finditer(value):
        match value[bracket.start()]:
            case 0x5B | 0x7B:
                depth += 1
                if depth > DEPTH_MAX:
                    return True
            case 0x5D | 0x7D:
                depth -= 1
    return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _line(line: _Line) -> Line:
    quantity = 1 if line.quantity is None else line.quantity
    if not 1 <= quantity <= QUANTITY_MAX:
        raise BadEventError("invalid-field", f"quantity={_shown(quantity)} is out of range: 1 to {QUANTITY_MAX}")
    if line.price is not None and not 0 <= line.price * quantity <= VALUE_MAX:
        raise BadEventError("invalid-field", f"price={line.price} times {quantity} is out of range: 0 to {VALUE_MAX:g}")
    # An empty category is what an export writes for an item that has none.
    category = _id("category", line.category) if line.category else None
    return Line(_id("item_id", line.item_id), quantity, line.price, category)


def _order_lines(lines: list[_Line] | None) -> tuple[Line, ...]:
    if lines is None:
        raise BadEventError("missing-field", "lines is missing")
    if not 1 <= len(lines) <= LINES_MAX:
        raise BadEventError("invalid-field", f"lines has {len(lines)} entries; 1 to {LINES_MAX} are allowed")
    return tuple(_line(line) for line in lines)


def _time(time: int | float | str | None) -> int:
    if time is None:
        raise BadEventError("missing-field", "time is missing")
    time_ms = rfc_3339_ms(time) if isinstance(time, str) else math.floor(time)
    if time_ms is None:
        raise BadEventError("invalid-time", f"time={_shown(time)} is neither RFC 3339 with Z or an offset nor epoch ms")
    if not is_event_time(time_ms):
        raise BadEventError(
            "invalid-time", f"time={_shown(time)} is not between 2000 and 2100 in epoch ms; is it in seconds?"
        )
    return time_ms
