"""Any shop's sessions as CSV or TSV text: ``session_id,item_id,time``, and where known ``kind`` and ``category``.

    session_id,item_id,time,kind,category
    s1,tent,2026-01-05T10:00:00Z,browse,shelter
    s1,stove,1767607260,order,

The header names the columns, in any order and case; comma, tab or semicolon separates, whichever the header has most
of. A column of another name is refused: a misspelt ``kind`` would else silently make every order a view. Spaces
around a value do not count, nor do empty lines; a quoted value ends on its own line. ``time`` is in epoch seconds
or milliseconds, told apart by the size of each number (seconds are below 1e11), either with or without a fraction, or
RFC 3339 with Z or an offset. What may stand in ``kind`` is in `KINDS`; without one it is a view. An empty ``category``
is none. One wrong line refuses the whole file: what is left of it would be another shop.
"""

import csv
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from models.errors import RecordingError
from models.evaluation.recommender import Interaction
from models.recordings.record import decimal_epoch_ms
from models.records import ID_BYTES_MAX, Kind, is_event_time, rfc_3339_ms

__all__ = ["KINDS", "read"]

#: What may stand in the column `kind`, in any case.
KINDS: Final[dict[str, Kind]] = {
    "browse": "browse",
    "view": "browse",
    "click": "browse",
    "pv": "browse",
    "add-to-cart": "add-to-cart",
    "addtocart": "add-to-cart",
    "cart": "add-to-cart",
    "orders": "orders",
    "order": "orders",
    "purchase": "orders",
    "buy": "orders",
    "transaction": "orders",
}

_REQUIRED: Final = ("session_id", "item_id", "time")
_OPTIONAL: Final = ("kind", "category")
_DELIMITERS: Final = ",\t;"

#: What stands in a text in place of bytes that are not UTF-8, whichever way it was decoded.
_NOT_UTF_8 = re.compile("[\ufffd\ud800-\udfff]")

#: Characters of a wrong value that a sentence shows.
_SHOWN_MAX: Final = 60


class _Layout(NamedTuple):
    """How the lines are split, how many fields each has, and at which place each column is."""

    delimiter: str
    fields: int
    places: dict[str, int]


def read(lines: Iterable[str], source: str) -> list[Interaction]:
    r"""Return a file's interactions in time order; those of the same millisecond in the order of their lines.

    Parameters
    ----------
    lines : iterable of str
        The lines of the file, with or without their line ends; a byte-order mark in front is left out.
    source : str
        What the sentences of the errors call the file.

    Raises
    ------
    RecordingError
        At the first wrong line, with its number, the wrong value and what is allowed; or when there is no line.

    Examples
    --------
    >>> read(["time\titem_id\tsession_id\tkind", "1767607260.5\tstove\ts1\tBuy"], "shop.tsv")
    [Interaction(session_id='s1', item_id='stove', time_ms=1767607260500, kind='orders', category=None)]
    """
    layout: _Layout | None = None
    interactions = []
    for number, line in enumerate(lines, 1):
        where = f"{source}, line {number}"
        text = line.removeprefix("\ufeff") if number == 1 else line
        if not text.strip():
            continue
        if damaged := _NOT_UTF_8.search(text):
            raise RecordingError(
                f"{where}: character {damaged.start() + 1} is damaged or not UTF-8; save the file as UTF-8"
            )
        if layout is None:
            layout = _layout(text, where)
        else:
            interactions.append(_interaction(text, layout, where))
    if layout is None:
        raise RecordingError(f"{source} is empty; its first line must name the columns {', '.join(_REQUIRED)}")
    if not interactions:
        raise RecordingError(f"{source} has a header and no line after it; at least one interaction is needed")
    return sorted(interactions, key=attrgetter("time_ms"))


def _layout(header: str, where: str) -> _Layout:
    delimiter = max(_DELIMITERS, key=header.count)
    names = [field.lower() for field in _fields(header, delimiter, where)]
    known = f"the columns are {', '.join(_REQUIRED)} and, optional, {', '.join(_OPTIONAL)}"
    for name in _REQUIRED:
        if name not in names:
            raise RecordingError(f"{where}: the header {_shown(header.strip())} has no column {name}; {known}")
    for name in names:
        if name not in (*_REQUIRED, *_OPTIONAL):
            raise RecordingError(f"{where}: the header has an unknown column {_shown(name)}; {known}")
        if names.count(name) > 1:
            raise RecordingError(
                f"{where}: the header names the column {name} {names.count(name)} times; once is allowed"
            )
    return _Layout(delimiter, len(names), {name: place for place, name in enumerate(names)})


def _interaction(line: str, layout: _Layout, where: str) -> Interaction:
    fields = _fields(line, layout.delimiter, where)
    if len(fields) != layout.fields:
        raise RecordingError(
            f"{where}: {_shown(line.strip())} has {len(fields)} fields; the header has {layout.fields} columns"
        )
    values = {name: fields[place] for name, place in layout.places.items()}
    for name in ("session_id", "item_id"):
        size = len(values[name].encode())
        if not 0 < size <= ID_BYTES_MAX:
            raise RecordingError(
                f"{where}: {name}={_shown(values[name])} has {size} bytes; 1 to {ID_BYTES_MAX} are allowed"
            )
    time_ms = _time_ms(values["time"])
    if time_ms is None:
        raise RecordingError(
            f"{where}: time={_shown(values['time'])} is no time of the years 2000 to 2099 in epoch seconds, "
            "epoch milliseconds or RFC 3339 with Z or an offset"
        )
    kind_text = values.get("kind", "")
    kind = KINDS.get(kind_text.lower()) if kind_text else "browse"
    if kind is None:
        raise RecordingError(f"{where}: kind={_shown(kind_text)} is none of {', '.join(KINDS)}")
    return Interaction(values["session_id"], values["item_id"], time_ms, kind, values.get("category") or None)


def _fields(line: str, delimiter: str, where: str) -> list[str]:
    try:
        [fields] = csv.reader([line], delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise RecordingError(
            f"{where}: {_shown(line.strip())} cannot be split into fields ({error}); "
            "a quoted value ends on its own line, a quote in it is doubled"
        ) from error
    return [field.strip() for field in fields]


def _time_ms(text: str) -> int | None:
    # No number is both a second and a millisecond of these years, so the order of the two does not matter.
    time_ms = decimal_epoch_ms(text, 1000) or decimal_epoch_ms(text, 1) or rfc_3339_ms(text)
    return time_ms if time_ms is not None and is_event_time(time_ms) else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")
