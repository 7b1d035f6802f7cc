"""The stage suggest: folds session events into sessions; emits increments, suggestions, outcomes and tallies.

Increments depend on the log alone. Suggestions depend on the replica's moment too, so the first published message of
an id counts: what was found published is kept, and is what outcomes judge.
"""

import re
from collections.abc import Mapping

import msgspec

from models.attribution import Outcome, judge
from models.cooccurrence import Increment
from models.coverage import Packed, Verdict
from models.errors import InvariantError
from models.kpi import Tally, summed, tallies
from models.ladder import Query, SuggestedItem, answer
from models.pairs import increments, session_opened
from models.parameters import SUGGESTIONS_LIMIT, Parameters
from models.ranking import distinct
from models.records import ADD, ID_BYTES_MAX, KINDS, Event
from models.rows import Rows
from models.session import Offer, Session, admit, arrive, change_cart, is_forgotten, own_items
from models.shard import Shard

__all__ = [
    "Effects",
    "EventEntry",
    "SessionShard",
    "Suggestion",
    "advance",
    "is_publishable",
    "origin_partition",
    "query",
    "suggest",
    "suggestion_id",
]

SessionShard = Shard[Session]

#: The greatest partition that five hex digits hold.
_PARTITION_MAX = 0xFFFFF
_PARTITION_DIGITS_MAX = len(str(_PARTITION_MAX))

_SUGGESTION_ID = re.compile("[0-9a-f]{32}")


class EventEntry(msgspec.Struct, frozen=True, array_like=True):
    """One event: its span in the packed record, its offset in the input topic, its arrival in Kafka in ms."""

    span: int
    offset: int
    timestamp: int
    event: Event


class Suggestion(msgspec.Struct, frozen=True):
    """One message of the topic `suggestions`: at most four items, or none and the reason."""

    suggestion_id: str
    event_id: str
    session_id: str
    time: int
    moment: str
    anchor: str | None
    items: tuple[SuggestedItem, ...]
    reason: str | None


class Effects(msgspec.Struct):
    """What one record of `session-events` brings about.

    `suggestions` holds for each accepted event the message, the event's arrival in ms, and whether it had been
    published before; the other lists hold what belongs to the whole record.
    """

    verdicts: list[Verdict] = msgspec.field(default_factory=list)
    increments: list[tuple[int, int, Increment]] = msgspec.field(default_factory=list)
    suggestions: list[tuple[Suggestion, int, bool]] = msgspec.field(default_factory=list)
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    tallies: list[Tally] = msgspec.field(default_factory=list)
    duplicates: list[str] = msgspec.field(default_factory=list)


def suggestion_id(event: Event, origin: str, offset: int) -> str:
    """Return the id of an event's suggestion: the input record that it came in, as 32 hex digits.

    These are its time in ms (12 digits), its kind (1), and its partition (5) and offset (14) in the input topic. A
    client's retry that comes when its session is forgotten is an event of its own, and has an id of its own.

    Examples
    --------
    >>> suggestion_id(Event("orders", "e1", "s", 1_767_607_200_000, "order"), "orders-3", 255)
    '019b8d996900200003000000000000ff'
    """
    return f"{event.time:012x}{KINDS.index(event.kind):x}{origin_partition(origin):05x}{offset:014x}"


def origin_partition(origin: str) -> int:
    """Return the partition of the input topic that the door names an origin after, as in ``browse-3``.

    Raises
    ------
    InvariantError
        The origin is named after no partition, or after one that is too great for a suggestion's id.
    """
    number = origin.rpartition("-")[2]
    partition = int(number) if number.isdecimal() and len(number) <= _PARTITION_DIGITS_MAX else -1
    # Nor by leading zeros may two origins have the same.
    if str(partition) != number or partition > _PARTITION_MAX:
        raise InvariantError(
            f"a record of session-events comes from {origin!r}, which is no partition of an input: somebody else has"
            " written it"
        )
    return partition


def is_publishable(suggestion: Suggestion) -> bool:
    """Tell whether a suggestion that was read back can be one of Sidecart's, which a session has room for."""
    return bool(
        _SUGGESTION_ID.fullmatch(suggestion.suggestion_id)
        and len(suggestion.items) <= SUGGESTIONS_LIMIT
        and all(0 < len(item.item_id.encode()) <= ID_BYTES_MAX for item in suggestion.items)
    )


def suggest(
    shard: SessionShard,
    offset: int,
    packed: Packed[EventEntry],
    rows: Rows,
    published: Mapping[str, Suggestion],
    parameters: Parameters,
) -> Effects:
    """Fold one record of `session-events` into its partition's sessions, in place.

    Parameters
    ----------
    rows : Rows
        The replica, to rank against.
    published : mapping of suggestion id to Suggestion
        What a former owner of the partition published for events that the state does not cover yet.
    """
    effects = Effects()
    if offset < shard.position:
        effects.verdicts = ["repeat"] * len(packed.spans)
        return effects
    shard.position = offset + 1
    after, effects.verdicts = shard.watermarks.admit(packed.spans)
    for entry in packed.entries:
        start = after[entry.span]
        if start is not None and entry.offset > start:
            key = suggestion_id(entry.event, packed.spans[entry.span].origin, entry.offset)
            _serve(shard, entry, key, rows, published, parameters, effects)
    effects.tallies = summed(effects.tallies)
    _forget(shard, parameters)
    return effects


def _serve(
    shard: SessionShard,
    entry: EventEntry,
    key: str,
    rows: Rows,
    published: Mapping[str, Suggestion],
    parameters: Parameters,
    effects: Effects,
) -> None:
    event = entry.event
    shard.newest = max(shard.newest, event.time)
    known = shard.rows.get(event.session_id)
    if known is not None and is_forgotten(known, shard.newest, parameters):
        known = None
    session, fate = admit(known, event, parameters)
    if fate == "duplicate":
        effects.duplicates.append(event.kind)
        return
    shard.rows.pop(event.session_id, None)
    shard.put(event.session_id, session)  # the latest touched stand last
    # An event of a session that has ended is served and counted by itself.
    context = session if fate != "late" else Session(event.time, event.time)
    outcomes = judge(context, event, parameters)
    if fate == "opened":
        effects.increments.append((event.time, entry.timestamp, session_opened()))
    added = advance(context, event, parameters, is_counted=fate != "late")
    effects.increments.extend((event.time, entry.timestamp, increment) for increment in added)
    suggestion = published.get(key)
    is_published = suggestion is not None
    if suggestion is None:
        suggestion = _suggest(key, context, session, event, rows, shard.newest, parameters)
    if suggestion.items:
        items = tuple(item.item_id for item in suggestion.items)
        context.offers.append(Offer(suggestion.suggestion_id, event.time, event.moment, items))
        del context.offers[: -parameters.offers_max]
    effects.suggestions.append((suggestion, entry.timestamp, is_published))
    effects.outcomes.extend(outcomes)
    effects.tallies.extend(tallies(event.time, event.moment, not suggestion.items, outcomes, parameters))


def advance(session: Session, event: Event, parameters: Parameters, *, is_counted: bool = True) -> list[Increment]:
    """Let an event happen in its session: arrivals, cart, purchases; return what it adds to the rows.

    Parameters
    ----------
    is_counted : bool
        False for an event whose own session has ended: then no pair is counted as met.
    """
    added: list[Increment] = []
    if event.action == ADD:
        ordered = {line.item_id for line in event.lines} if event.kind == "orders" else set()
        bought = ordered | session.bought.keys()
        for line in event.lines:
            item = line.item_id
            added += increments(
                item,
                event.time,
                session.positions,
                session.length + 1,
                is_counted and item not in session.seen,
                parameters,
                kind=event.kind,
                category=line.category,
                bought=bought,
                carted=session.cart,
            )
            arrive(session, item, event.time, parameters)
    change_cart(session, event, parameters)
    return added


def query(session: Session, event: Event, rows: Rows, now_ms: int, parameters: Parameters) -> Query:
    """Return what a session asks after one of its events; what it excludes is its own items."""
    newest_first = distinct(session.positions[::-1])[: parameters.query_items]
    category = None
    if newest_first:
        newest = newest_first[0][0]
        named = (line.category for line in event.lines if line.item_id == newest and line.category)
        category = next(named, None) or rows.category(newest)
    held = () if event.kind == "browse" else session.cart.keys() | session.bought.keys()
    return Query(newest_first, category, held, own_items(session), event.time, now_ms)


def _suggest(
    key: str, context: Session, session: Session, event: Event, rows: Rows, now_ms: int, parameters: Parameters
) -> Suggestion:
    asked = query(context, event, rows, now_ms, parameters)
    asked.excluded.update(own_items(session))
    items, reason = answer(rows, asked, parameters.suggestions_max, parameters)
    return Suggestion(
        suggestion_id=key,
        event_id=event.event_id,
        session_id=event.session_id,
        time=event.time,
        moment=event.moment,
        anchor=asked.positions[0][0] if asked.positions else None,
        items=items,
        reason=reason,
    )


def _forget(shard: SessionShard, parameters: Parameters) -> None:
    # `is_forgotten` decides at each look-up; this only frees the room. Rows stand in order of their last touch, after a
    # load in order of their keys.
    while shard.rows:
        session_id = next(iter(shard.rows))
        if not is_forgotten(shard.rows[session_id], shard.newest, parameters):
            return
        shard.drop(session_id)
