"""Sidecart's own recordings: JSON lines, one event each, in time order.

    {"topic": "browse", "event": {"event_id": "e1", "session_id": "s1", "item_id": "tent", "time": 1511544070000}}

``topic`` is ``browse``, ``add-to-cart`` or ``orders``, whatever the topics are called in a deployment. ``event`` is the
input message as it was sent, with ``time`` in epoch milliseconds or as RFC 3339 text; it is passed on unchanged.
An event that Sidecart would not accept is a bad line.
"""

from collections.abc import Iterable, Iterator

import msgspec

from models.errors import BadEventError
from models.parameters import DEFAULTS
from models.recordings.record import BadLine, InputEvent, Recorded
from models.records import TIME_MAX_MS, Kind, accept

__all__ = ["read"]


class _Record(msgspec.Struct):
    topic: Kind
    event: msgspec.Raw


_RECORD = msgspec.json.Decoder(_Record)


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield bad lines and events as they come.

    Examples
    --------
    >>> event = '{"event_id": "1", "session_id": "s", "item_id": "tent", "time": "2017-11-24T17:21:10Z"}'
    >>> for recorded in read([f'{{"topic": "browse", "event": {event}}}']):
    ...     print(recorded.kind, recorded.time_ms, recorded.event["item_id"])
    browse 1511544070000 tent
    """
    for number, line in enumerate(lines, 1):
        try:
            record = _RECORD.decode(line)
            # The end of all times as the record's own: that an event is not in the future is judged when it is sent.
            accepted = accept(record.topic, bytes(record.event), TIME_MAX_MS, DEFAULTS)
            event: InputEvent = msgspec.json.decode(record.event)
        except BadEventError as error:
            yield BadLine(number, error.reason)
        except msgspec.ValidationError:
            yield BadLine(number, "wrong-shape")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            yield BadLine(number, "not-json" if line.strip() else "empty-line")
        else:
            yield Recorded(record.topic, event, accepted.time)
