"""Bounded co-occurrence rows: one a item, at most 64 neighbours, folded from increments.

A full row with 16-byte ids takes 2.7 kB on disk.
"""

import msgspec

from models.decay import epoch_of, growth, rescale
from models.parameters import Parameters

__all__ = ["TOTALS", "Increment", "Other", "Row", "fold"]

#: The anchor of the row that counts all sessions; no item id is empty.
TOTALS = ""

#: A neighbour, what it adds to its weight, and 1 (else 0) when the pair is counted as met, and as compared.
Other = tuple[str, float, int, int]


class Increment(msgspec.Struct, frozen=True, array_like=True):
    """What one event adds to the row of `anchor`.

    `events` and `sessions` are 1 when the event is an arrival of the anchor itself (its first in the session), whose
    `category` it may name.
    """

    anchor: str
    events: int = 0
    sessions: int = 0
    others: tuple[Other, ...] = ()
    category: str | None = None


class Row(msgspec.Struct, array_like=True):
    """The row of one item; all floats are grown from the start of `epoch` (`models.decay`).

    `mass` is the sum of `weights`; `events` and `sessions` count the item's own arrivals, `recent` too, decayed
    `trend_speed` times as fast; `pairs` holds, for each
    neighbour, the sessions in which the two met; `comparisons`, for some, how often the two were compared
    (`models.pairs`). `category` is the last one that an arrival named.
    """

    epoch: int
    mass: float = 0.0
    events: float = 0.0
    sessions: float = 0.0
    weights: dict[str, float] = msgspec.field(default_factory=dict)
    pairs: dict[str, float] = msgspec.field(default_factory=dict)
    comparisons: dict[str, float] = msgspec.field(default_factory=dict)
    category: str | None = None
    recent: float = 0.0


def fold(row: Row | None, increment: Increment, time_ms: int, parameters: Parameters) -> Row:
    """Add one increment to a row, in place; a missing row is made.

    A full row drops its smallest weight (ties: the greatest item id) and the newcomer starts at its own weight.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> row = fold(None, Increment("tea", 1, 1, (("cup", 0.5, 1, 0),)), 0, DEFAULTS)
    >>> row.mass, row.sessions, row.weights, row.pairs
    (0.5, 1.0, {'cup': 0.5}, {'cup': 1.0})
    """
    half_life = parameters.half_life_ms
    epoch = epoch_of(time_ms, half_life)
    if row is None:
        row = Row(epoch)
    elif epoch > row.epoch:
        _rescale(row, epoch, parameters.trend_speed)
    grown = growth(time_ms, row.epoch, half_life)
    row.events += increment.events * grown
    if increment.events:
        row.recent += increment.events * growth(time_ms, row.epoch, half_life, parameters.trend_speed)
    row.sessions += increment.sessions * grown
    if increment.category is not None:
        row.category = increment.category
    weights, pairs, comparisons = row.weights, row.pairs, row.comparisons
    for other, weight, met, compared in increment.others:
        grown_weight = weight * grown
        if other not in weights and len(weights) >= parameters.row_size:
            weakest = min(weights, key=lambda item: (weights[item], _Descending(item)))
            row.mass -= weights.pop(weakest)
            del pairs[weakest]
            comparisons.pop(weakest, None)
        weights[other] = weights.get(other, 0.0) + grown_weight
        pairs[other] = pairs.get(other, 0.0) + met * grown
        if compared:
            comparisons[other] = comparisons.get(other, 0.0) + grown
        row.mass += grown_weight
    return row


def _rescale(row: Row, epoch: int, trend_speed: int) -> None:
    factor = rescale(epoch - row.epoch)
    row.recent *= rescale(epoch - row.epoch, trend_speed)
    row.epoch = epoch
    row.mass *= factor
    row.events *= factor
    row.sessions *= factor
    for item in row.weights:
        row.weights[item] *= factor
        row.pairs[item] *= factor
    for item in row.comparisons:
        row.comparisons[item] *= factor


class _Descending(str):
    """A text that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)
