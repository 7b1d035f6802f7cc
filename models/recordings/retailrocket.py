"""RetailRocket's events.csv: ``timestamp,visitorid,event,itemid,transactionid``, with a header, in no order.

``view`` is a view, ``addtocart`` a cart addition; the ``transaction`` rows of a visitor with one transaction id are
one order (copies that went through pandas write the id as ``8693.0``). More columns may follow. Sessions, prices and
quantities are not recorded: sessions end at the inactivity gap of `visits`, each bought row counts one piece.
"""

from collections.abc import Iterable, Iterator

from models.recordings.record import BadLine, Recorded, epoch_ms, is_whole_number
from models.recordings.visits import Visits

__all__ = ["read"]

_HEADER = ["timestamp", "visitorid", "event", "itemid", "transactionid"]


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield the bad lines as they come and, after the last line, the events in time order.

    The whole file is kept in memory, about 0.3 kB a row. Without a header the first line is a bad line and the
    others are read all the same.

    Examples
    --------
    >>> rows = ["timestamp,visitorid,event,itemid,transactionid", "1433193132535,7,transaction,396045,12"]
    >>> for recorded in read(rows):
    ...     print(recorded.event["order_id"], recorded.event["lines"])
    7-12 [{'item_id': '396045', 'quantity': 1}]
    """
    visits = Visits()
    for number, line in enumerate(lines, 1):
        columns = line.strip().split(",")
        if number == 1:
            if columns[: len(_HEADER)] != _HEADER:
                yield BadLine(number, "no-header")
            continue
        if len(columns) < len(_HEADER):
            yield BadLine(number, "wrong-columns" if line.strip() else "empty-line")
            continue
        timestamp, visitor, event, item, transaction = columns[: len(_HEADER)]
        transaction = transaction.removesuffix(".0")
        time_ms = epoch_ms(timestamp, 1)
        if time_ms is None:
            yield BadLine(number, "bad-time")
        elif not is_whole_number(visitor) or not is_whole_number(item):
            yield BadLine(number, "bad-id")
        elif event == "view":
            visits.add(time_ms, number, visitor, "browse", item)
        elif event == "addtocart":
            visits.add(time_ms, number, visitor, "add-to-cart", item)
        elif event != "transaction":
            yield BadLine(number, "unknown-event")
        elif not is_whole_number(transaction):
            yield BadLine(number, "bad-id")
        else:
            visits.add_order_line(time_ms, number, visitor, transaction, item)
    yield from visits.recorded()
