"""What a recorded line becomes: an input event with its kind and time, or a bad line with its reason."""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple, NotRequired, TypedDict

from models.records import TIME_MAX_MS, Kind, is_event_time

__all__ = [
    "BadLine",
    "BadLines",
    "InputEvent",
    "InputLine",
    "Recorded",
    "decimal_epoch_ms",
    "epoch_ms",
    "in_time_order",
    "is_whole_number",
]

#: How many bad lines are kept with their numbers: enough to find the mistake, few enough to read.
_BAD_LINES_KEPT: Final = 5

#: Digits behind the decimal point that are looked at: nanoseconds, the finest that clocks write.
_FRACTION_DIGITS: Final = 9


class InputLine(TypedDict):
    """One line of an order."""

    item_id: str
    category: NotRequired[str]
    quantity: NotRequired[int]
    price: NotRequired[float]


class InputEvent(TypedDict, total=False):
    """An input message of Sidecart; a field that was not recorded is absent, never None.

    ``time`` is in epoch milliseconds. A recording of Sidecart's own events is passed on as it was written: there
    ``time`` may be RFC 3339 text, and further fields may stand beside these.
    """

    event_id: str
    session_id: str
    user_id: str
    item_id: str
    category: str
    time: int | str
    action: str
    quantity: int
    price: float
    currency: str
    moment: str
    suggestion_id: str
    order_id: str
    lines: list[InputLine]


class Recorded(NamedTuple):
    """One recorded event: the kind of its topic, the message, and its event time in epoch milliseconds."""

    kind: Kind
    event: InputEvent
    time_ms: int


class BadLine(NamedTuple):
    """A line, counted from 1, that is not what its format says, and why: a short slug.

    The slugs are ``empty-line``, ``no-header``, ``wrong-columns``, ``not-json``, ``wrong-shape`` (JSON with other
    fields), ``unknown-event``, ``bad-id``, ``bad-time``, ``bad-price``, and for our own recordings those of
    `models.records.REASONS`.
    """

    number: int
    reason: str


class BadLines:
    """The tally of the bad lines of one file.

    Examples
    --------
    >>> bad_lines = BadLines()
    >>> bad_lines.add(BadLine(7, "bad-time"))
    >>> bad_lines.total, dict(bad_lines.by_reason), bad_lines.first
    (1, {'bad-time': 1}, [BadLine(number=7, reason='bad-time')])
    """

    def __init__(self) -> None:
        self.total = 0
        self.by_reason: Counter[str] = Counter()
        self.first: list[BadLine] = []

    def add(self, line: BadLine) -> None:
        """Count one bad line; the first few are kept in `first`."""
        self.total += 1
        self.by_reason[line.reason] += 1
        if len(self.first) < _BAD_LINES_KEPT:
            self.first.append(line)


def is_whole_number(text: str) -> bool:
    """Tell whether a text is made of the digits 0 to 9 alone.

    Examples
    --------
    >>> is_whole_number("2268318"), is_whole_number("-1"), is_whole_number("1_0"), is_whole_number("")
    (True, False, False, False)
    """
    return text.isascii() and text.isdigit()


def epoch_ms(text: str, unit_ms: int) -> int | None:
    """Read an epoch time in units of `unit_ms` milliseconds; None when it is none or not of the years 2000 to 2099.

    Examples
    --------
    >>> epoch_ms("1511544070", 1000)
    1511544070000
    >>> epoch_ms("1511544070", 1) is None
    True
    """
    if len(text) > len(str(TIME_MAX_MS)) or not is_whole_number(text):
        return None
    time_ms = int(text) * unit_ms
    return time_ms if is_event_time(time_ms) else None


def decimal_epoch_ms(text: str, unit_ms: int) -> int | None:
    """Read what `epoch_ms` reads, or the same with a decimal fraction; parts of a millisecond are cut off.

    Examples
    --------
    >>> decimal_epoch_ms("1396437466.94", 1000), decimal_epoch_ms("1396437466", 1000)
    (1396437466940, 1396437466000)
    >>> decimal_epoch_ms("1396437466.", 1000) is None
    True
    """
    whole, point, fraction = text.partition(".")
    time_ms = epoch_ms(whole, unit_ms)
    if time_ms is None or not point:
        return time_ms
    if not is_whole_number(fraction):
        return None
    return time_ms + int(fraction[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, "0")) * unit_ms // 10**_FRACTION_DIGITS


def in_time_order(recorded: Iterable[Recorded]) -> list[Recorded]:
    """Sort by event time, in memory; events of the same millisecond stay in the order in which they came.

    Examples
    --------
    >>> late, early = Recorded("browse", {}, 2), Recorded("orders", {}, 1)
    >>> [event.time_ms for event in in_time_order([late, early])]
    [1, 2]
    """
    return sorted(recorded, key=attrgetter("time_ms"))
