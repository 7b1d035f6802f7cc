"""OTTO's train.jsonl: one session a line, ``{"session": n, "events": [{"aid": n, "ts": ms, "type": "clicks"}, …]}``.

``clicks`` are views, ``carts`` cart additions; ``orders`` of a session with the same ``ts`` are one order. A session of
OTTO is a user's four weeks; Sidecart itself ends a session at the inactivity gap. Prices and quantities are not
recorded, each bought item counts one piece.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from models.recordings.record import BadLine, InputEvent, InputLine, Recorded
from models.records import TIME_MAX_MS, TIME_MIN_MS

__all__ = ["read"]


class _Event(msgspec.Struct):
    aid: Annotated[int, msgspec.Meta(ge=0)]
    ts: Annotated[int, msgspec.Meta(ge=TIME_MIN_MS, lt=TIME_MAX_MS)]
    type: Literal["clicks", "carts", "orders"]


class _Session(msgspec.Struct):
    session: Annotated[int, msgspec.Meta(ge=0)]
    events: list[_Event]


_DECODER = msgspec.json.Decoder(_Session)


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield bad lines and events, session after session, so not in time order over the file.

    The event id is the line number and the event's position in the line, both from 1. One wrong event makes its
    whole line a bad one.

    Examples
    --------
    >>> for recorded in read(['{"session":0,"events":[{"aid":1517085,"ts":1659304800025,"type":"clicks"}]}']):
    ...     print(recorded.kind, recorded.event)
    browse {'event_id': '1-1', 'session_id': '0', 'item_id': '1517085', 'time': 1659304800025}
    """
    for number, line in enumerate(lines, 1):
        try:
            session = _DECODER.decode(line)
        except msgspec.ValidationError:
            yield BadLine(number, "wrong-shape")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            yield BadLine(number, "not-json" if line.strip() else "empty-line")
        else:
            yield from _events(number, session)


def _events(number: int, session: _Session) -> Iterator[Recorded]:
    session_id = str(session.session)
    orders: dict[int, list[InputLine]] = {}
    for each in session.events:
        if each.type == "orders":
            orders.setdefault(each.ts, []).append({"item_id": str(each.aid), "quantity": 1})
    for position, each in enumerate(session.events, 1):
        event: InputEvent = {"event_id": f"{number}-{position}", "session_id": session_id}
        if each.type == "clicks":
            event["item_id"] = str(each.aid)
            event["time"] = each.ts
            yield Recorded("browse", event, each.ts)
        elif each.type == "carts":
            event["item_id"] = str(each.aid)
            event["time"] = each.ts
            event["action"] = "add"
            yield Recorded("add-to-cart", event, each.ts)
        elif each.ts in orders:
            event["order_id"] = f"{session_id}-{each.ts}"
            event["time"] = each.ts
            event["lines"] = orders.pop(each.ts)
            yield Recorded("orders", event, each.ts)
