"""All compiled code, in one file: numba's cache of a kernel notices changes in the file of that kernel alone.

Folding is `models.cooccurrence.fold`, to the last bit. A batch of increments comes as two arrays. For each increment
`tape` holds

    anchor, time in ms, events, sessions, number of others; then for each other: index, met, compared

and `amounts` the weights of all others one after the other.

Ranking is `models.ranking.rank` with its powers taken apart:

    (v / (m + 5))^0.6 = v^0.6 / (m + 5)^0.6

v^0.6 is kept beside v, and the other factor is the same for a whole row: no power is raised for a single neighbour.
"""

from contextlib import suppress
from functools import cache
from math import exp
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.kernel.arrays import NOT_COMPARED, Table
from models.kernel.constants import Decay, Weighing

__all__ = ["NOBODY", "enable_caches", "fold_tape", "grown_at", "mark_used", "place_of", "precedes", "rank_session"]

#: Instead of an index: no session item's row holds the candidate, or no second hop leads to it.
NOBODY = -1

#: The hops.
_FIRST, _SECOND = 0, 1

#: Instead of a total: the item is never to be suggested.
_EXCLUDED = -1.0


@cache
def enable_caches() -> None:
    """Have the kernels that are called from outside kept on disk; not at import, which must touch no file.

    Where numba finds no folder that it may write, they are compiled in each process.
    """
    with suppress(RuntimeError):
        for kernel in (fold_tape, mark_used, place_of, rank_session):
            kernel.enable_caching()


@njit
def fold_tape(
    table: Table,
    arena: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    tape: NDArray[np.int64],
    amounts: NDArray[np.float64],
    arrivals: NDArray[np.float64],
    decay: Decay,
    compression: float,
) -> None:
    """Fold increments in their order.

    Parameters
    ----------
    table : Table
        The rows; has room for every index on the tape, and a spare line for every new row.
    arrivals : ndarray, increments with events × 2
        Is filled with the row's sessions and epoch as each of these increments has left them.
    """
    read = amount = arrived = 0
    while read < len(tape):
        row, time_ms, events, sessions, others = (
            tape[read],
            tape[read + 1],
            tape[read + 2],
            tape[read + 3],
            tape[read + 4],
        )
        read += 5
        _open(table, row, time_ms // decay.epoch_ms, decay, compression)
        grown = grown_at(time_ms, table.epochs[row], decay, 1)
        table.events[row] += events * grown
        if events:
            table.recent[row] += events * grown_at(time_ms, table.epochs[row], decay, decay.trend_speed)
        table.sessions[row] += sessions * grown
        for _ in range(others):
            other, met, compared = tape[read], tape[read + 1], tape[read + 2]
            grown_weight = amounts[amount] * grown
            read += 3
            amount += 1
            line = table.lines[row]
            place = place_of(table.neighbours, line, table.sizes[row], other)
            if place < 0:
                place = _enter(table, row, other, arena, bounds)
            table.weights[line, place] += grown_weight
            table.powered[line, place] = table.weights[line, place] ** compression
            table.pairs[line, place] += met * grown
            if compared:
                table.comparisons[line, place] = max(0.0, table.comparisons[line, place]) + grown
            table.mass[row] += grown_weight
        if events:
            arrivals[arrived, 0] = table.sessions[row]
            arrivals[arrived, 1] = table.epochs[row]
            arrived += 1


@njit
def place_of(neighbours: NDArray[np.int32], line: int, size: int, other: int) -> int:
    """Return the place of a neighbour in a line of some size, -1 where it is none."""
    for place in range(size):
        if neighbours[line, place] == other:
            return place
    return -1


@njit
def mark_used(table: Table, used: NDArray[np.bool_]) -> None:
    """Set `used`, by index, for every item that has a row or is the neighbour of one that has."""
    for row in range(len(used)):
        if table.lines[row]:
            used[row] = True
            for place in range(table.sizes[row]):
                used[table.neighbours[table.lines[row], place]] = True


@njit
def _open(table: Table, row: int, epoch: int, decay: Decay, compression: float) -> None:
    """Make a missing row, or carry an older one into a later epoch."""
    line = table.lines[row]
    if not line:
        table.spares[0] -= 1
        table.lines[row] = table.spare[table.spares[0]]
        table.epochs[row] = epoch
    elif epoch > table.epochs[row]:
        half_lives = decay.epoch_half_lives * (epoch - table.epochs[row])
        factor = decay.base ** float(-half_lives)
        table.recent[row] *= decay.base ** float(-half_lives * decay.trend_speed)
        table.epochs[row] = epoch
        table.mass[row] *= factor
        table.events[row] *= factor
        table.sessions[row] *= factor
        for place in range(table.sizes[row]):
            table.weights[line, place] *= factor
            table.powered[line, place] = table.weights[line, place] ** compression
            table.pairs[line, place] *= factor
            if table.comparisons[line, place] != NOT_COMPARED:
                table.comparisons[line, place] *= factor


@njit
def _enter(table: Table, row: int, other: int, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> int:
    """Give a newcomer the last place of a row, with nothing counted; a full row drops its weakest neighbour."""
    size, line = table.sizes[row], table.lines[row]
    if size < table.neighbours.shape[1]:
        table.sizes[row] = size + 1
    else:
        size -= 1
        weakest = _weakest(table, row, arena, bounds)
        table.mass[row] -= table.weights[line, weakest]
        for place in range(weakest, size):
            table.neighbours[line, place] = table.neighbours[line, place + 1]
            table.weights[line, place] = table.weights[line, place + 1]
            table.powered[line, place] = table.powered[line, place + 1]
            table.pairs[line, place] = table.pairs[line, place + 1]
            table.comparisons[line, place] = table.comparisons[line, place + 1]
    table.neighbours[line, size] = other
    table.weights[line, size] = 0.0
    table.pairs[line, size] = 0.0
    table.comparisons[line, size] = NOT_COMPARED
    return int(size)


@njit
def _weakest(table: Table, row: int, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> int:
    """Return the place of the smallest weight; ties: the greatest item id."""
    neighbours, weights = table.neighbours[table.lines[row]], table.weights[table.lines[row]]
    weakest = 0
    for place in range(1, table.sizes[row]):
        if weights[place] < weights[weakest] or (
            weights[place] == weights[weakest] and precedes(neighbours[weakest], neighbours[place], arena, bounds)
        ):
            weakest = place
    return weakest


class _Tallies(NamedTuple):
    """What speaks for each item met, by its slot; slot 0 is nobody's.

    `bests` are the greatest parts of either hop and `vias` the rows that they come over, `NOBODY` for none: first hop,
    second hop. `nears` is how near the item is to the session, `nearests` the greatest part of that and `anchors` the
    session item that it is of.
    """

    items: NDArray[np.int32]
    totals: NDArray[np.float64]
    bests: NDArray[np.float64]
    vias: NDArray[np.int32]
    nears: NDArray[np.float64]
    nearests: NDArray[np.float64]
    anchors: NDArray[np.int32]


@njit
def rank_session(
    table: Table,
    arena: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    slots: NDArray[np.int32],
    anchors: NDArray[np.int64],
    times: NDArray[np.int64],
    excluded: NDArray[np.int64],
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
    scores: NDArray[np.float64],
    found: NDArray[np.int32],
) -> int:
    """Find the best candidates of a session, best first, and return how many there are.

    Parameters
    ----------
    slots : ndarray of int32, by item
        Zero, and left so.
    anchors, times : ndarray
        The distinct session items, newest first, -1 for one without an index; their times in ms.
    excluded : ndarray
        Indices of items never to be suggested, -1 for those without one.
    scores : ndarray, candidates at most
        Is filled with scores.
    found : ndarray of int32, 4 × candidates at most
        Is filled with the candidates, their anchors, and the anchors and vias of their best paths, or `NOBODY`.
    """
    room = 1 + (len(anchors) + weighing.hop_neighbours) * table.neighbours.shape[1]
    tallies = _Tallies(
        np.empty(room, np.int32),
        np.empty(room),
        np.empty((2, room)),
        np.empty((2, room), np.int32),
        np.empty(room),
        np.empty(room),
        np.empty(room, np.int32),
    )
    met = _first_hop(table, slots, tallies, anchors, times, time_ms, decay, weighing)
    nearness = np.empty(weighing.hop_neighbours)
    nearest = np.empty(weighing.hop_neighbours, np.int32)
    near = 0
    for slot in range(1, met + 1):
        if near < len(nearness) or tallies.nears[slot] >= nearness[-1]:
            near = _insert(nearness, nearest, near, tallies.nears[slot], tallies.items[slot], arena, bounds)
    met = _second_hop(table, slots, tallies, met, nearest[:near], weighing)
    for item in excluded:
        if item >= 0 and slots[item]:
            tallies.totals[slots[item]] = _EXCLUDED
    count: int = _choose(table, arena, bounds, tallies, met, time_ms, decay, weighing, scores, found[0])
    for place in range(count):
        slot = slots[found[0, place]]
        found[1, place] = tallies.vias[0, slot]
        via = tallies.vias[1, slot]
        found[2, place] = NOBODY if via == NOBODY else tallies.anchors[slots[via]]
        found[3, place] = via
    for slot in range(1, met + 1):
        slots[tallies.items[slot]] = 0
    return count


@njit
def _first_hop(
    table: Table,
    slots: NDArray[np.int32],
    tallies: _Tallies,
    anchors: NDArray[np.int64],
    times: NDArray[np.int64],
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
) -> int:
    """Tally the neighbours of the session's items, and how near they are; return how many were met."""
    compression = weighing.compression
    met = 0
    for place in range(len(anchors)):
        anchor = anchors[place]
        if anchor < 0 or not table.lines[anchor]:
            continue
        age = abs(time_ms - times[place]) / weighing.time_constant_ms
        recency = (place + 1.0) ** weighing.place_exponent * exp(-age)
        mass = table.mass[anchor] + weighing.mass_prior * grown_at(time_ms, table.epochs[anchor], decay, 1)
        met = _tally(table, slots, tallies, met, anchor, recency * mass**-compression, _FIRST)
        path_recency = recency ** (1 / compression)
        for k in range(table.sizes[anchor]):
            slot = slots[table.neighbours[table.lines[anchor], k]]
            part = path_recency * (table.weights[table.lines[anchor], k] / mass)
            tallies.nears[slot] += part
            if part > tallies.nearests[slot]:
                tallies.nearests[slot] = part
                tallies.anchors[slot] = anchor
    return met


@njit
def _second_hop(
    table: Table,
    slots: NDArray[np.int32],
    tallies: _Tallies,
    met: int,
    nearest: NDArray[np.int32],
    weighing: Weighing,
) -> int:
    """Tally the neighbours of the nearest, in the order of their nearness; return how many were met in all."""
    for via in nearest:
        if not table.lines[via] or table.mass[via] <= 0:
            continue
        path = weighing.hop_weight * tallies.nears[slots[via]] / table.mass[via]
        met = _tally(table, slots, tallies, met, via, path**weighing.compression, _SECOND)
    return met


@njit
def _tally(
    table: Table,
    slots: NDArray[np.int32],
    tallies: _Tallies,
    met: int,
    row: int,
    factor: float,
    hop: int,
) -> int:
    """Add the parts that come over one row to the tallies of its neighbours; return how many were met in all.

    All of it in one loop: a call would count references to each of the arrays, for each neighbour.
    """
    neighbours, powered = table.neighbours[table.lines[row]], table.powered[table.lines[row]]
    items, totals, bests, vias, nears, nearests, anchors = tallies
    for k in range(table.sizes[row]):
        item = neighbours[k]
        slot = slots[item]
        if slot == 0:
            met += 1
            slot = slots[item] = met
            items[slot] = item
            totals[slot] = bests[_FIRST, slot] = bests[_SECOND, slot] = nears[slot] = nearests[slot] = 0.0
            anchors[slot] = vias[_FIRST, slot] = vias[_SECOND, slot] = NOBODY
        part = factor * powered[k]
        totals[slot] += part
        if part > bests[hop, slot]:
            bests[hop, slot] = part
            vias[hop, slot] = row
    return met


@njit
def _choose(
    table: Table,
    arena: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    tallies: _Tallies,
    met: int,
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
    scores: NDArray[np.float64],
    chosen: NDArray[np.int32],
) -> int:
    """Score what was met and is not excluded, and keep the best; return how many."""
    # Most are turned away before any power is raised: with a negative exponent popularity weighs most where nobody
    # came, and a trend to an exponent from 0 to 1 is no more than the trend or one. A margin, lest rounding turn
    # somebody away.
    most = np.inf
    if weighing.popularity_exponent <= 0 and 0 <= weighing.trend_exponent <= 1:
        most = 1.000001 * weighing.popularity_prior**weighing.popularity_exponent
    epoch = table.epochs[0]
    grown, trend_grown = grown_at(time_ms, epoch, decay, 1), grown_at(time_ms, epoch, decay, decay.trend_speed)
    count = 0
    totals, items, epochs, all_events = tallies.totals, tallies.items, table.epochs, table.events
    for slot in range(1, met + 1):
        total = totals[slot]
        if total == _EXCLUDED:
            continue
        item = items[slot]
        if epochs[item] != epoch:
            epoch = epochs[item]
            grown = grown_at(time_ms, epoch, decay, 1)
            trend_grown = grown_at(time_ms, epoch, decay, decay.trend_speed)
        events = all_events[item] / grown
        trend = weighing.trend_floor
        if events > 0:
            trend += min(1.0, table.recent[item] / trend_grown / events)
        if count == len(scores) and total * most * max(1.0, trend) < scores[-1]:
            continue
        prior = (events + weighing.popularity_prior) ** weighing.popularity_exponent
        score = total * (prior * trend**weighing.trend_exponent)
        if count < len(scores) or score >= scores[-1]:
            count = _insert(scores, chosen, count, score, item, arena, bounds)
    return count


@njit
def _insert(
    scores: NDArray[np.float64],
    items: NDArray[np.int32],
    count: int,
    score: float,
    item: int,
    arena: NDArray[np.uint8],
    bounds: NDArray[np.int64],
) -> int:
    """Insert an item into a list that is sorted best first, ties by id; a full one drops its last; return the count."""
    place = count
    while place > 0 and (
        score > scores[place - 1] or (score == scores[place - 1] and precedes(item, items[place - 1], arena, bounds))
    ):
        place -= 1
        if place + 1 < len(scores):
            scores[place + 1] = scores[place]
            items[place + 1] = items[place]
    if place == len(scores):
        return count
    scores[place] = score
    items[place] = item
    return min(count + 1, len(scores))


@njit
def grown_at(time_ms: int, epoch: int, decay: Decay, speed: int) -> float:
    """Return `models.decay.growth`, to the last bit."""
    exponent = speed * (time_ms - epoch * decay.epoch_ms) / decay.half_life_ms
    return float(decay.base ** max(-decay.exponent_max, min(decay.exponent_max, exponent)))


@njit
def precedes(index: int, other: int, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> bool:
    """Tell whether the id of one index sorts before that of another: UTF-8 bytes sort as Python's `str` does."""
    start, other_start = bounds[index, 0], bounds[other, 0]
    length, other_length = bounds[index, 1] - start, bounds[other, 1] - other_start
    for place in range(min(length, other_length)):
        byte, other_byte = arena[start + place], arena[other_start + place]
        if byte != other_byte:
            return bool(byte < other_byte)
    return bool(length < other_length)
