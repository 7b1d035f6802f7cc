"""An endless stream of new sessions and new items: each item is met a few times, then never again."""

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from models.records import Kind

__all__ = ["endless_shop"]

#: Visits of an item, on average, and items that are in the shop at the same time.
_VISITS = 6
_ASSORTMENT = 600
_SESSION_EVENTS = 8
_SHOPPERS = 200
_CATEGORIES = 40


def endless_shop(start_ms: int, step_ms: float, seed: int = 1) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield events for ever, `step_ms` of event time apart; every eighth event of a session is an order."""
    random = Random(seed)
    items = deque(range(_ASSORTMENT))
    sessions = [[number, 0] for number in range(_SHOPPERS)]
    newest_session, newest_item, at = _SHOPPERS, _ASSORTMENT, 0
    while True:
        session = random.choice(sessions)
        number, events = session
        item = items[random.randrange(_ASSORTMENT)]
        event = {
            "event_id": f"{number}-{events}",
            "session_id": f"session-{number}",
            "time": start_ms + round(at * step_ms),
        }
        line = {"item_id": f"item-{item}", "category": f"category-{item % _CATEGORIES}", "price": 9.5, "quantity": 1}
        session[1] += 1
        if session[1] == _SESSION_EVENTS:
            session[:] = newest_session, 0
            newest_session += 1
            yield "orders", event | {"order_id": f"order-{number}", "currency": "EUR", "lines": [line]}
        elif events % 3 == 2:
            yield "add-to-cart", event | line | {"currency": "EUR"}
        else:
            yield "browse", event | {"item_id": line["item_id"], "category": line["category"]}
        at += 1
        if at % _VISITS == 0:
            items.popleft()
            items.append(newest_item)
            newest_item += 1
