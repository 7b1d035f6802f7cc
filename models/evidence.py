"""Why an item is suggested: where it comes from; support, confidence and lift; and whether that is enough.

The floor of a pair: one session that is not too old, and with 95 % confidence the item is met more often beside its
anchor than in all sessions, that is, its lift is above one. An item that two steps lead to needs that of both.
"""

from typing import Final, Literal

import msgspec

from models.confidence import lower_bound, share
from models.parameters import Parameters
from models.ranking import Candidate
from models.rounding import rounded
from models.rows import Rows

__all__ = ["Evidence", "Source", "candidate_evidence", "is_popular", "pair_evidence", "popular_evidence"]

Source = Literal["pair", "neighbour", "category", "popular"]

_PAIR: Final = "pair"
_NEIGHBOUR: Final = "neighbour"


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for an item, in decayed counts of sessions.

    `source`: ``pair``, the item was met with `anchor`; ``neighbour``, with `via`, which was met with `anchor`;
    ``category`` or ``popular``, it is popular in the category of `anchor` or over all (`anchor` null).
    `pair_count`: sessions with both, for ``neighbour`` of via and item, for a popular item all its sessions;
    `support`: their share of all sessions; `confidence`: their share of the sessions with the anchor, for
    ``neighbour`` the product over both steps, for a popular item its support; `lift`: confidence over the share of
    sessions with the item (null while unknown).
    """

    source: Source
    anchor: str | None
    via: str | None
    pair_count: float
    support: float
    confidence: float
    lift: float | None


def pair_evidence(rows: Rows, anchor: str, other: str, time_ms: int) -> Evidence:
    """Return the evidence for showing an item beside `anchor`.

    Examples
    --------
    >>> from models.cooccurrence import TOTALS, Row
    >>> from models.parameters import DEFAULTS
    >>> from models.rows import PlainRows
    >>> rows = PlainRows(DEFAULTS)
    >>> rows.update({"tea": Row(0, sessions=4.0, weights={"cup": 1.0}, pairs={"cup": 3.0})})
    >>> rows.update({"cup": Row(0, sessions=5.0), TOTALS: Row(0, sessions=10.0)})
    >>> evidence = pair_evidence(rows, "tea", "cup", 0)
    >>> evidence.pair_count, evidence.support, evidence.confidence, evidence.lift
    (3.0, 0.3, 0.75, 1.5)
    """
    pair_count, _ = rows.pair(anchor, other, time_ms)
    confidence = share(pair_count, rows.sessions(anchor, time_ms))
    return _evidence(rows, _PAIR, anchor, None, other, pair_count, confidence, time_ms)


def candidate_evidence(rows: Rows, candidate: Candidate, time_ms: int, parameters: Parameters) -> Evidence | None:
    """Return the evidence for a ranked candidate: the first that is above its floor, of these, or None.

    Its pair with the session item in whose row it weighs most; the two steps that lead to it best; that it is popular
    over all: what everybody meets is hardly ever met above chance.
    """
    item = candidate.item_id
    if candidate.anchor is not None and _is_above_chance(rows, candidate.anchor, item, time_ms, parameters):
        return pair_evidence(rows, candidate.anchor, item, time_ms)
    if candidate.path is not None:
        anchor, via = candidate.path
        if all(_is_above_chance(rows, *step, time_ms, parameters) for step in ((anchor, via), (via, item))):
            return _path_evidence(rows, anchor, via, item, time_ms)
    return popular_evidence(rows, item, None, time_ms) if is_popular(rows, item, None, time_ms, parameters) else None


def popular_evidence(rows: Rows, item: str, anchor: str | None, time_ms: int) -> Evidence:
    """Return the evidence for a popular item: in the category of `anchor`, or over all when that is None."""
    sessions = rows.sessions(item, time_ms)
    source: Source = "popular" if anchor is None else "category"
    return _evidence(rows, source, anchor, None, item, sessions, share(sessions, rows.total(time_ms)), time_ms)


def is_popular(rows: Rows, item: str, anchor: str | None, time_ms: int, parameters: Parameters) -> bool:
    """Tell whether an item is popular enough to fill a place: in the category of `anchor`, or over all for None.

    Both ask for some sessions, of which fewer would be an accident; over all also for a share of all sessions, with
    95 % confidence.
    """
    sessions = rows.sessions(item, time_ms)
    if sessions < parameters.popular_sessions_floor:
        return False
    if anchor is not None:
        return True
    proven = lower_bound(sessions, rows.total(time_ms), parameters.confidence_z)
    return bool(proven >= parameters.popular_share_floor)


def _path_evidence(rows: Rows, anchor: str, via: str, item: str, time_ms: int) -> Evidence:
    first, _ = rows.pair(anchor, via, time_ms)
    second, _ = rows.pair(via, item, time_ms)
    confidence = share(first, rows.sessions(anchor, time_ms)) * share(second, rows.sessions(via, time_ms))
    return _evidence(rows, _NEIGHBOUR, anchor, via, item, second, confidence, time_ms)


def _is_above_chance(rows: Rows, anchor: str, other: str, time_ms: int, parameters: Parameters) -> bool:
    pair_count, _ = rows.pair(anchor, other, time_ms)
    if pair_count < parameters.pair_count_floor:
        return False
    proven = lower_bound(pair_count, rows.sessions(anchor, time_ms), parameters.confidence_z)
    return bool(proven > share(rows.sessions(other, time_ms), rows.total(time_ms)))


def _evidence(
    rows: Rows,
    source: Source,
    anchor: str | None,
    via: str | None,
    item: str,
    count: float,
    confidence: float,
    time: int,
) -> Evidence:
    total = rows.total(time)
    popularity = share(rows.sessions(item, time), total)
    return Evidence(
        source=source,
        anchor=anchor,
        via=via,
        pair_count=rounded(count, 3),
        support=rounded(share(count, total), 6),
        confidence=rounded(confidence, 4),
        lift=rounded(confidence / popularity, 3) if popularity else None,
    )
