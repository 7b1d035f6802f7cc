"""The RecSys 2015 (YooChoose) clicks as session-rec writes them: ``SessionId``, ``ItemId``, ``Time``, tabs, a header.

Every row is a view; the time is in epoch seconds with a fraction, the session id the shop's own, rows stand session
after session. Users, prices and carts are not recorded, categories and purchases not in this file.
"""

from collections.abc import Iterable, Iterator

from models.recordings.record import BadLine, InputEvent, Recorded, decimal_epoch_ms, is_whole_number

__all__ = ["read"]

_HEADER = ["SessionId", "ItemId", "Time"]


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield bad lines and events, session after session, so not in time order over the file.

    The event id is the line number. Without a header the first line is a bad line and the others are read all the
    same.

    Examples
    --------
    >>> for recorded in read(["SessionId\\tItemId\\tTime", "3\\t214716935\\t1396437466.94"]):
    ...     print(recorded.kind, recorded.event)
    browse {'event_id': '2', 'session_id': '3', 'item_id': '214716935', 'time': 1396437466940}
    """
    for number, line in enumerate(lines, 1):
        columns = line.rstrip("\r\n").split("\t")
        if number == 1:
            if columns != _HEADER:
                yield BadLine(number, "no-header")
            continue
        if len(columns) != len(_HEADER):
            yield BadLine(number, "wrong-columns" if line.strip() else "empty-line")
            continue
        session, item, seconds = columns
        time_ms = decimal_epoch_ms(seconds, 1000)
        if time_ms is None:
            yield BadLine(number, "bad-time")
        elif not is_whole_number(session) or not is_whole_number(item):
            yield BadLine(number, "bad-id")
        else:
            event: InputEvent = {"event_id": str(number), "session_id": session, "item_id": item, "time": time_ms}
            yield Recorded("browse", event, time_ms)
