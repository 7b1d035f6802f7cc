"""The stage suggest: folds session events into sessions; emits increments, suggestions, outcomes and tallies.

Increments depend on the log alone. Suggestions depend on the replica's moment too, so the first published message of
an id counts: what was found published is kept, and is what outcomes judge.
"""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from models.attribution import Outcome, judge
from models.cooccurrence import Increment, Row
from models.coverage import Packed, Verdict
from models.evidence import SuggestedItem, choose
from models.kpi import Tally, tallies
from models.pairs import increments, session_opened
from models.parameters import Parameters
from models.ranking import distinct, rank
from models.records import ADD, Event
from models.session import Offer, Session, admit, arrive, change_cart, is_forgotten, own_items
from models.shard import Shard

__all__ = ["Effects", "EventEntry", "SessionShard", "Suggestion", "suggest", "suggestion_id"]

SessionShard = Shard[Session]


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


def suggestion_id(event: Event) -> str:
    """Return the id of an event's suggestion: 32 hex digits, a function of its session and event id."""
    identity = f"{len(event.session_id)}:{event.session_id}{event.event_id}"
    return blake2b(identity.encode(), digest_size=16).hexdigest()


def suggest(
    shard: SessionShard,
    offset: int,
    packed: Packed[EventEntry],
    rows: Mapping[str, Row],
    published: Mapping[str, Suggestion],
    parameters: Parameters,
) -> Effects:
    """Fold one record of `session-events` into its partition's sessions, in place.

    Parameters
    ----------
    rows : mapping of item to Row
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
            _serve(shard, entry, rows, published, parameters, effects)
    _forget(shard, parameters)
    return effects


def _serve(
    shard: SessionShard,
    entry: EventEntry,
    rows: Mapping[str, Row],
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
    if event.action == ADD:
        for line in event.lines:
            is_new = fate != "late" and line.item_id not in context.seen
            added = increments(line.item_id, event.time, context.positions, context.length + 1, is_new, parameters)
            effects.increments.extend((event.time, entry.timestamp, increment) for increment in added)
            arrive(context, line.item_id, event.time, parameters)
    change_cart(context, event, parameters)
    suggestion = published.get(suggestion_id(event))
    is_published = suggestion is not None
    if suggestion is None:
        suggestion = _suggest(context, event, rows, own_items(session) | own_items(context), shard.newest, parameters)
    if suggestion.items:
        items = tuple(item.item_id for item in suggestion.items)
        context.offers.append(Offer(suggestion.suggestion_id, event.time, event.moment, items))
        del context.offers[: -parameters.offers_max]
    effects.suggestions.append((suggestion, entry.timestamp, is_published))
    effects.outcomes.extend(outcomes)
    effects.tallies.extend(tallies(event.time, event.moment, not suggestion.items, outcomes, parameters))


def _suggest(
    session: Session, event: Event, rows: Mapping[str, Row], excluded: set[str], now_ms: int, parameters: Parameters
) -> Suggestion:
    newest_first = distinct(session.positions[::-1])[: parameters.query_items]
    candidates = rank(rows, newest_first, excluded, event.time, parameters)
    items, reason = choose(rows, candidates, [item for item, _ in newest_first], now_ms, parameters)
    return Suggestion(
        suggestion_id=suggestion_id(event),
        event_id=event.event_id,
        session_id=event.session_id,
        time=event.time,
        moment=event.moment,
        anchor=newest_first[0][0] if newest_first else None,
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
