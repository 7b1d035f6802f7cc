"""Compiled: `models.evidence` and `models.substitutes`, whether there is enough evidence for an item, and which."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.confidence import lower_bound, share
from models.kernel.arrays import Table
from models.kernel.compiling import inlined, inner
from models.kernel.constants import Decay
from models.kernel.folding import place_of
from models.kernel.growth import grown_at
from models.parameters import Parameters

__all__ = [
    "CATEGORY",
    "NEIGHBOUR",
    "PAIR",
    "POPULAR",
    "Floors",
    "Reading",
    "floors_of",
    "is_above_chance",
    "is_popular",
    "is_rival",
    "pair_count",
    "reading_at",
    "sessions_of",
]

#: Sources of evidence, as `models.kernel.message` names them.
PAIR, NEIGHBOUR, CATEGORY, POPULAR = range(4)


class Floors(NamedTuple):
    """The parameters of `models.parameters` of these names."""

    confidence_z: float
    pair_count_floor: float
    popular_share_floor: float
    popular_sessions_floor: float
    rival_share: float


def floors_of(parameters: Parameters) -> Floors:
    """Return the floors that parameters ask for; of fixed types, for which the kernel is compiled."""
    return Floors(*(float(getattr(parameters, name)) for name in Floors._fields))


class Reading(NamedTuple):
    """The time in ms that counts are read at, how much those of one epoch have grown by then, and all sessions."""

    time_ms: int
    epoch: int
    grown: float
    total: float


@inner
def reading_at(table: Table, time_ms: int, decay: Decay) -> Reading:
    """Return the reading at a time; `models.cooccurrence.TOTALS` has the index 0."""
    epoch = table.items[0].epoch
    grown = grown_at(time_ms, epoch, decay, 1)
    return Reading(time_ms, epoch, grown, table.items[0].sessions / grown)


@inlined
def sessions_of(table: Table, item: int, reading: Reading, decay: Decay) -> float:
    """Return the sessions that met an item."""
    return float(table.items[item].sessions / _grown(table, item, reading, decay))


@inner
def pair_count(table: Table, anchor: int, other: int, reading: Reading, decay: Decay) -> tuple[float, float]:
    """Return in how many sessions two items met, and how often they were compared, by the row of `anchor`."""
    line = np.int64(table.items[anchor].line)
    place = place_of(table.neighbours, line, np.int64(table.items[anchor].size), other)
    if place < 0:
        return 0.0, 0.0
    grown = _grown(table, anchor, reading, decay)
    return table.pairs[line + place] / grown, max(0.0, table.comparisons[line + place]) / grown


@inner
def is_above_chance(
    table: Table, anchor: int, other: int, count: float, reading: Reading, decay: Decay, floors: Floors
) -> bool:
    """Tell whether so many sessions with a pair are enough."""
    if count < floors.pair_count_floor:
        return False
    proven = lower_bound(count, sessions_of(table, anchor, reading, decay), floors.confidence_z)
    return bool(proven > share(sessions_of(table, other, reading, decay), reading.total))


@inner
def is_popular(table: Table, item: int, is_of_category: bool, reading: Reading, decay: Decay, floors: Floors) -> bool:
    """Tell whether an item is popular enough to fill a place: in a category, or over all."""
    sessions = sessions_of(table, item, reading, decay)
    if sessions < floors.popular_sessions_floor:
        return False
    return is_of_category or bool(
        lower_bound(sessions, reading.total, floors.confidence_z) >= floors.popular_share_floor
    )


@inner
def is_rival(
    table: Table,
    item: int,
    held: NDArray[np.int64],
    count: int,
    reading: Reading,
    decay: Decay,
    floors: Floors,
) -> bool:
    """Tell whether an item is a rival of one of the `count` held ones."""
    category = table.items[item].category
    for k in range(count):
        other = held[k]
        held_category = table.items[other].category
        if category >= 0 and held_category >= 0:
            if category == held_category:
                return True
            continue
        met, compared = pair_count(table, other, item, reading, decay)
        if lower_bound(compared, met, floors.confidence_z) > floors.rival_share:
            return True
        met, compared = pair_count(table, item, other, reading, decay)
        if lower_bound(compared, met, floors.confidence_z) > floors.rival_share:
            return True
    return False


@inlined
def _grown(table: Table, item: int, reading: Reading, decay: Decay) -> float:
    epoch = table.items[item].epoch
    return reading.grown if epoch == reading.epoch else grown_at(reading.time_ms, epoch, decay, 1)
