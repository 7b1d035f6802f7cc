"""REES46's multi-category store: nine columns with a header, in time order, with the shop's own session ids.

``event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session``, where the time looks
like ``2019-10-01 00:00:00 UTC``. Purchases of one session in the same second are one order. The publisher states no
currency, so none is set; quantities are not recorded, each bought row counts one piece. The category is
``category_id``: every row has one, while ``category_code`` is empty in a third of them and lumps several ids together.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from models.recordings.record import BadLine, InputEvent, InputLine, Recorded, is_whole_number
from models.records import VALUE_MAX

__all__ = ["read"]

_HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
_TIME_FORMAT_LENGTH = len("2019-10-01 00:00:00 UTC")


def read(lines: Iterable[str]) -> Iterator[Recorded | BadLine]:
    """Yield bad lines and events as they come; the events of one second are held back until the second is over.

    Without a header the first line is a bad line and the others are read all the same.

    Examples
    --------
    >>> row = "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde"
    >>> for recorded in read([_HEADER, row]):
    ...     print(recorded.kind, recorded.time_ms, recorded.event["item_id"], recorded.event["price"])
    browse 1569888000000 44600062 35.79
    """
    second, time_ms = "", None
    of_this_second: list[Recorded] = []
    orders: dict[str, list[InputLine]] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if number == 1:
            if text != _HEADER:
                yield BadLine(number, "no-header")
            continue
        columns = text.split(",")
        if len(columns) != 9:
            yield BadLine(number, "wrong-columns" if text else "empty-line")
            continue
        event_time, event_type, item, category, _code, _brand, price_text, user, session = columns
        if event_time != second:
            yield from of_this_second
            of_this_second, orders = [], {}
            second, time_ms = event_time, _time_ms(event_time)
        price = _price(price_text)
        if time_ms is None:
            yield BadLine(number, "bad-time")
        elif not is_whole_number(item) or not is_whole_number(user) or not session:
            yield BadLine(number, "bad-id")
        elif price_text and price is None:
            yield BadLine(number, "bad-price")
        elif event_type in ("view", "cart"):
            event: InputEvent = {
                "event_id": str(number),
                "session_id": session,
                "user_id": user,
                "item_id": item,
                "time": time_ms,
            }
            if category:
                event["category"] = category
            if price is not None:
                event["price"] = price
            if event_type == "cart":
                event["action"] = "add"
            of_this_second.append(Recorded("browse" if event_type == "view" else "add-to-cart", event, time_ms))
        elif event_type == "purchase":
            bought: InputLine = {"item_id": item, "quantity": 1}
            if category:
                bought["category"] = category
            if price is not None:
                bought["price"] = price
            if session in orders:
                orders[session].append(bought)
                continue
            orders[session] = [bought]
            order: InputEvent = {
                "event_id": str(number),
                "session_id": session,
                "user_id": user,
                "order_id": f"{session}-{number}",
                "time": time_ms,
                "lines": orders[session],
            }
            of_this_second.append(Recorded("orders", order, time_ms))
        else:
            yield BadLine(number, "unknown-event")
    yield from of_this_second


def _time_ms(text: str) -> int | None:
    if len(text) != _TIME_FORMAT_LENGTH or not text.endswith(" UTC"):
        return None
    try:
        return int(datetime.fromisoformat(text[:-4]).replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


def _price(text: str) -> float | None:
    try:
        price = float(text)
    except ValueError:
        return None
    return price if 0 <= price <= VALUE_MAX else None
