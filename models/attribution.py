"""Outcomes: which earlier suggestion a later event of the session accepts.

An item that was suggested and is then viewed, added or ordered within the attribution window gives one outcome a
stage. It goes to the suggestion that the event names, else to the latest one that offered the item.
"""

from hashlib import blake2b
from typing import Final, Literal

import msgspec

from models.parameters import Parameters
from models.records import ADD, Event, Kind
from models.session import Offer, Session, trim

__all__ = ["STAGES", "Outcome", "judge", "line_values", "outcome_of"]

Stage = Literal["viewed", "added", "ordered"]

_STAGE_OF: Final[dict[Kind, Stage]] = {"browse": "viewed", "add-to-cart": "added", "orders": "ordered"}
STAGES: Final[dict[Stage, int]] = {"viewed": 1, "added": 2, "ordered": 4}


class Outcome(msgspec.Struct, frozen=True):
    """One message of the topic `acceptance`; `value` is price times quantity where the event gave a price."""

    outcome_id: str
    suggestion_id: str
    session_id: str
    item_id: str
    rank: int
    stage: Stage
    moment: str
    time: int
    seconds_since: float
    value: float | None
    currency: str | None
    is_first: bool


def judge(session: Session, event: Event, parameters: Parameters) -> list[Outcome]:
    """Return the outcomes of an event and mark their stages as judged, in place.

    Call it before the event's own suggestion is offered. Taking out of the cart is no outcome.
    """
    if event.action != ADD:
        return []
    stage = _STAGE_OF[event.kind]
    outcomes = []
    for item, value in line_values(event).items():
        bits = session.judged.get(item, 0)
        offer = _offer(session, event, item, parameters)
        if offer is None or bits & STAGES[stage]:
            continue
        session.judged.pop(item, None)
        session.judged[item] = bits | STAGES[stage]
        trim(session.judged, parameters.seen_max)
        rank = offer.items.index(item) + 1
        key = (offer.suggestion_id, offer.time, offer.moment)
        outcomes.append(outcome_of(event, item, value, key, rank, stage, is_first=not bits))
    return outcomes


def line_values(event: Event) -> dict[str, float | None]:
    """Return price times quantity of each item of an event, None where the event gives no price."""
    values: dict[str, float | None] = {}
    for line in event.lines:
        value = values.get(line.item_id)
        if line.price is not None:
            value = round((value or 0.0) + line.price * line.quantity, 4)
        values[line.item_id] = value
    return values


def _offer(session: Session, event: Event, item: str, parameters: Parameters) -> Offer | None:
    latest = None
    for offer in reversed(session.offers):
        if item in offer.items and 0 <= event.time - offer.time <= parameters.attribution_window_ms:
            if event.suggestion_id in (None, offer.suggestion_id):
                return offer
            latest = latest or offer
    return latest


def outcome_of(
    event: Event,
    item: str,
    value: float | None,
    offered: tuple[str, int, str],
    rank: int,
    stage: Stage,
    is_first: bool,
) -> Outcome:
    """Return the outcome of an event for an item; `offered` is id, time in ms and moment of the suggestion."""
    suggestion_id, offered_ms, moment = offered
    identity = "\0".join((suggestion_id, item, stage))
    return Outcome(
        outcome_id=blake2b(identity.encode(), digest_size=16).hexdigest(),
        suggestion_id=suggestion_id,
        session_id=event.session_id,
        item_id=item,
        rank=rank,
        stage=stage,
        moment=moment,
        time=event.time,
        seconds_since=(event.time - offered_ms) / 1000,
        value=value,
        currency=event.currency,
        is_first=is_first,
    )
