"""A shopper's session: what was seen, the cart, what was bought, what was offered.

A session id lives through several sessions: an event later than the inactivity gap opens the next one. Events may
come late; one that is older than the session's start by more than the gap belongs to a session that has ended.
"""

from typing import Any, Literal, TypeVar

import msgspec

from models.hashing import hash64
from models.parameters import Parameters
from models.records import ADD, CLEAR, REMOVE, Event

__all__ = ["Fate", "Offer", "Session", "admit", "arrive", "change_cart", "is_forgotten", "own_items", "trim"]

KeyT = TypeVar("KeyT")

Fate = Literal["joined", "opened", "late", "duplicate"]


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """What a suggestion offered: its items in order of rank."""

    suggestion_id: str
    time: int
    moment: str
    items: tuple[str, ...]


class Session(msgspec.Struct, array_like=True):
    """The row of one session id. Lists are oldest first; times in epoch milliseconds of event time."""

    started: int
    last: int
    length: int = 0
    positions: list[tuple[str, int]] = msgspec.field(default_factory=list)
    seen: dict[str, None] = msgspec.field(default_factory=dict)
    cart: dict[str, int] = msgspec.field(default_factory=dict)
    bought: dict[str, None] = msgspec.field(default_factory=dict)
    offers: list[Offer] = msgspec.field(default_factory=list)
    #: Stages already judged, by item: bits of `models.attribution`.
    judged: dict[str, int] = msgspec.field(default_factory=dict)
    #: Ids that were met, by `models.hashing.hash64`.
    event_ids: dict[int, None] = msgspec.field(default_factory=dict)
    order_ids: dict[int, None] = msgspec.field(default_factory=dict)


def is_forgotten(session: Session, newest_ms: int, parameters: Parameters) -> bool:
    """Tell whether a row counts as absent, the newest event time of its log partition being `newest_ms`."""
    return newest_ms - session.last > parameters.session_retention_ms


def admit(session: Session | None, event: Event, parameters: Parameters) -> tuple[Session, Fate]:
    """Find the session that an event belongs to, and remember the event's ids.

    Returns
    -------
    session : Session
        The session that goes on, changed in place, or a new one; unchanged for a duplicate.
    fate : Fate
        ``joined`` or ``opened``; ``late`` for an event of a session that has ended, which changes nothing but the
        remembered ids; ``duplicate`` for a repeated event id or order id.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> event = Event("browse", "e1", "s", 1_000_000, "browse")
    >>> session, fate = admit(None, event, DEFAULTS)
    >>> fate, admit(session, event, DEFAULTS)[1]
    ('opened', 'duplicate')
    """
    event_id = hash64(event.event_id.encode())
    order_id = None if event.order_id is None else hash64(event.order_id.encode())
    if session is None:
        session = Session(event.time, event.time)
        fate: Fate = "opened"
    elif event_id in session.event_ids or order_id in session.order_ids:
        return session, "duplicate"
    elif event.time - session.last > parameters.session_gap_ms:
        # A shop's cart outlives the gap.
        session = Session(
            event.time, event.time, cart=session.cart, event_ids=session.event_ids, order_ids=session.order_ids
        )
        fate = "opened"
    elif session.started - event.time > parameters.session_gap_ms:
        fate = "late"
    else:
        session.started = min(session.started, event.time)
        session.last = max(session.last, event.time)
        fate = "joined"
    _remember(session.event_ids, event_id, parameters.event_ids_max)
    if order_id is not None:
        _remember(session.order_ids, order_id, parameters.order_ids_max)
    return session, fate


def arrive(session: Session, item: str, time_ms: int, parameters: Parameters) -> None:
    """Append one item arrival to the positions and to what was seen."""
    session.length += 1
    session.positions.append((item, time_ms))
    del session.positions[: -parameters.positions_max]
    _remember(session.seen, item, parameters.seen_max)


def change_cart(session: Session, event: Event, parameters: Parameters) -> None:
    """Apply what an event does to the cart and to what was bought.

    An order takes its items out of the cart. Removing more than the cart holds empties the line.
    """
    if event.kind == "orders":
        for line in event.lines:
            session.cart.pop(line.item_id, None)
            _remember(session.bought, line.item_id, parameters.seen_max)
    elif event.kind == "add-to-cart":
        if event.action == CLEAR:
            session.cart.clear()
        for line in event.lines:
            assert event.action in (ADD, REMOVE)
            change = line.quantity if event.action == ADD else -line.quantity
            held = session.cart.pop(line.item_id, 0) + change
            if held > 0:
                session.cart[line.item_id] = held
                trim(session.cart, parameters.seen_max)


def own_items(session: Session) -> set[str]:
    """Return what is never suggested: everything seen, in the cart or bought in this session."""
    return session.seen.keys() | session.cart.keys() | session.bought.keys()


def _remember(memory: dict[KeyT, None], key: KeyT, most: int) -> None:
    memory.pop(key, None)
    memory[key] = None
    trim(memory, most)


def trim(memory: dict[KeyT, Any], most: int) -> None:
    """Drop the oldest entries, so that at most so many stay."""
    while len(memory) > most:
        del memory[next(iter(memory))]
