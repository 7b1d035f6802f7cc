"""Taobao's UserBehavior: ``user,item,category,behaviour,unix seconds``, no header, grouped by user.

``pv`` and ``fav`` are views, ``cart`` a cart addition, ``buy`` an order; what a user buys in the same second is one
order. Sessions, prices and quantities are not recorded: sessions end at the inactivity gap of `visits`, each
bought row counts one piece. An empty category is none.
"""

from collections.abc import Iterable, Iterator

from models.recordings.record import BadLine, Recorded, epoch_ms, is_whole_number
from models.recordings.visits import Visits

__all__ = ["read"]


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield the bad lines as they come and, after the last line, the events in time order.

    The whole file is kept in memory, about 0.3 kB a row.

    Examples
    --------
    >>> for recorded in read(["1,2268318,2520377,pv,1511544070"]):
    ...     print(recorded.kind, recorded.event["session_id"], recorded.event["item_id"], recorded.event["category"])
    browse 1-1 2268318 2520377
    """
    visits = Visits()
    for number, line in enumerate(lines, 1):
        columns = line.strip().split(",")
        if len(columns) != 5:
            yield BadLine(number, "wrong-columns" if line.strip() else "empty-line")
            continue
        user, item, category, behaviour, seconds = columns
        time_ms = epoch_ms(seconds, 1000)
        if time_ms is None:
            yield BadLine(number, "bad-time")
        elif not is_whole_number(user) or not is_whole_number(item):
            yield BadLine(number, "bad-id")
        elif behaviour in ("pv", "fav"):
            visits.add(time_ms, number, user, "browse", item, category)
        elif behaviour == "cart":
            visits.add(time_ms, number, user, "add-to-cart", item, category)
        elif behaviour == "buy":
            visits.add_order_line(time_ms, number, user, seconds, item, category)
        else:
            yield BadLine(number, "unknown-event")
    yield from visits.recorded()
