"""Compiled: ranking, `models.ranking.rank` with its powers taken apart:

    (v / (m + 5))^0.6 = v^0.6 / (m + 5)^0.6

v^0.6 is kept beside v, and the other factor is the same for a whole row: no power is raised for a single neighbour.
Which of an item's paths was the best is looked up afterwards, for the few that are asked about.
"""

from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import Table, doubled
from models.kernel.compiling import inlined, inner, kernel, merged
from models.kernel.constants import Decay, Weighing
from models.kernel.growth import grown_at
from models.kernel.interning import Ids
from models.kernel.order import precedes
from models.kernel.prefetching import prefetch
from models.parameters import Parameters

__all__ = [
    "NOBODY",
    "Board",
    "best_candidates",
    "best_pair",
    "best_path",
    "board_of",
    "exclude",
    "find_candidates",
    "is_excluded",
    "tally_session",
    "with_more_cells",
]

#: Instead of an index: no session item's row holds the candidate, or no second hop leads to it.
NOBODY = -1

#: What is noted of an item: the sum of what speaks for it, negative once it is excluded; it holds while `query` is the
#: number of the query.
_CELL = np.dtype([("total", np.float64), ("query", np.int64)])

_EXCLUDED = -1.0

#: A step without a sign, of which an index would have to be freed.
_ONE = np.uintp(1)

#: Powers that a cache line holds.
_POWERS = np.uintp(8)

#: More neighbours than any row has.
_ALL = 2**31

#: Places in `Board.counts`: number of the query, items met in it, anchors, vias.
_QUERY, _MET, _ANCHORS, _VIAS = range(4)


class Board(NamedTuple):
    """What ranking notes down, kept from query to query.

    Attributes
    ----------
    cells : ndarray of _CELL, by item
        What is noted of each item.
    met : ndarray of int32
        The items that were met.
    values : ndarray of float64
        What each of them is compared by.
    anchors, vias : ndarray of int32
        The rows that the hops went over.
    anchor_factors, via_factors : ndarray of float64
        What each of their neighbours' powered weight was multiplied by.
    reaches : ndarray of float64
        How near each via is to the session.
    scores, found : ndarray
        The best candidates, best first.
    counts : ndarray of int64
        Number of the query; items met; anchors; vias.
    """

    cells: NDArray[np.void]
    met: NDArray[np.int32]
    values: NDArray[np.float64]
    anchors: NDArray[np.int32]
    vias: NDArray[np.int32]
    anchor_factors: NDArray[np.float64]
    via_factors: NDArray[np.float64]
    reaches: NDArray[np.float64]
    scores: NDArray[np.float64]
    found: NDArray[np.int32]
    counts: NDArray[np.int64]


def board_of(parameters: Parameters, weighing: Weighing) -> Board:
    """Return a board with room for one item."""
    hops, query_items, candidates_max = weighing.hop_neighbours, parameters.query_items, parameters.candidates_max
    met_max = (query_items + hops) * parameters.row_size
    return Board(
        cells=np.zeros(1, _CELL),
        met=np.zeros(met_max, np.int32),
        values=np.zeros(met_max),
        anchors=np.zeros(query_items, np.int32),
        vias=np.zeros(hops, np.int32),
        anchor_factors=np.zeros(query_items),
        via_factors=np.zeros(hops),
        reaches=np.zeros(hops),
        scores=np.zeros(candidates_max),
        found=np.zeros(candidates_max, np.int32),
        counts=np.zeros(4, np.int64),
    )


def with_more_cells(board: Board) -> Board:
    """Return a board with room for twice as many items."""
    return board._replace(cells=doubled(board.cells))


@kernel
def find_candidates(
    table: Table,
    ids: Ids,
    board: Board,
    anchors: NDArray[np.int64],
    times: NDArray[np.int64],
    excluded: NDArray[np.int64],
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
    paths: NDArray[np.int64],
) -> int:
    """Find the best candidates of a session, and return how many there are.

    Parameters
    ----------
    excluded : ndarray of int64
        Items never to be suggested, -1 for those without an index.
    paths : ndarray of int64, candidates at most × 3
        Is filled with the anchor of each, and with the anchor and via of its best path, or `NOBODY`.
    """
    tally_session(table, ids, board, anchors, times, len(anchors), time_ms, decay, weighing)
    for item in excluded:
        if item >= 0:
            exclude(board, item)
    count = best_candidates(table, ids, board, len(board.scores), time_ms, decay, weighing)
    for place in range(count):
        item = np.int64(board.found[place])
        via = best_path(table, board, item, weighing)
        paths[place, 0] = best_pair(table, board, item)
        paths[place, 1] = NOBODY if via == NOBODY else best_pair(table, board, via)
        paths[place, 2] = via
    return count


@merged
def tally_session(
    table: Table,
    ids: Ids,
    board: Board,
    anchors: NDArray[np.int64],
    times: NDArray[np.int64],
    count: int,
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
) -> None:
    """Sum what speaks for each item that the two hops meet.

    Parameters
    ----------
    anchors, times : ndarray of int64
        The `count` distinct session items, newest first, -1 for one without an index; their times in ms.
    """
    counts, items = board.counts, table.items
    counts[_QUERY] += 1
    counts[_MET] = counts[_ANCHORS] = counts[_VIAS] = 0
    compression = weighing.compression
    for place in range(count):
        anchor = anchors[place]
        if anchor < 0 or not items[anchor].line:
            continue
        age = abs(time_ms - times[place]) / weighing.time_constant_ms
        recency = (place + 1.0) ** weighing.place_exponent * exp(-age)
        mass = items[anchor].mass + weighing.mass_prior * grown_at(time_ms, items[anchor].epoch, decay, 1)
        factor = recency * mass**-compression
        board.anchors[counts[_ANCHORS]] = anchor
        board.anchor_factors[counts[_ANCHORS]] = factor
        counts[_ANCHORS] += 1
        _tally(table, board, anchor, factor, np.int64(items[anchor].size))
    near = _nearest(board, ids.arena, ids.bounds)
    counts[_VIAS] = near
    _ask_for_rows(table, board, near)
    for k in range(near):
        via = np.int64(board.vias[k])
        board.via_factors[k] = 0.0
        if items[via].line and items[via].mass > 0:
            board.via_factors[k] = board.reaches[k] * (weighing.hop_weight / items[via].mass) ** compression
            _tally(table, board, via, board.via_factors[k], weighing.hop_row_size)


@merged
def _ask_for_rows(table: Table, board: Board, count: int) -> None:
    """Have the rows of the vias on their way: one after the other, each would be waited for."""
    for k in range(count):
        prefetch(table.items, np.uintp(board.vias[k]))
    for k in range(count):
        line = np.uintp(table.items[board.vias[k]].line)
        # A cache line holds sixteen neighbours or eight powers; what comes after these, the processor asks for itself.
        prefetch(table.neighbours, line)
        prefetch(table.powered, line)
        prefetch(table.powered, line + _POWERS)


@merged
def _nearest(board: Board, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> int:
    """Find those met that are nearest to the session, nearest first, ties by id; return how many."""
    cells, met, values, reaches, vias = board.cells, board.met, board.values, board.reaches, board.vias
    count = np.uintp(board.counts[_MET])
    for k in range(count):
        values[k] = cells[np.uint32(met[k])].total
    near, most, least = np.int64(0), len(reaches), -np.inf
    for k in range(count):
        if values[k] < least:
            continue
        near, least = _keep(values[k], np.int64(met[k]), reaches, vias, near, most, arena, bounds)
    return near


@merged
def _keep(
    value: float,
    item: int,
    values: NDArray[np.float64],
    items: NDArray[np.int32],
    count: int,
    most: int,
    arena: NDArray[np.uint8],
    bounds: NDArray[np.int64],
) -> tuple[int, float]:
    """Put an item among the `count` best, greatest value first, ties by id, unless there are `most` that are better.

    Return how many there are then, and the least value that is still to be put among them.
    """
    place = np.uintp(count)
    end = np.uintp(most)
    while place > 0 and (
        value > values[place - _ONE]
        or (value == values[place - _ONE] and precedes(item, np.int64(items[place - _ONE]), arena, bounds))
    ):
        if place < end:
            values[place] = values[place - _ONE]
            items[place] = items[place - _ONE]
        place -= _ONE
    if place < end:
        values[place] = value
        items[place] = item
        count += count < most
    return count, values[end - _ONE] if count == most else -np.inf


@merged
def _tally(table: Table, board: Board, row: int, factor: float, most: int) -> None:
    """Add what comes over the heaviest of one row to their totals."""
    neighbours, powered, cells, met = table.neighbours, table.powered, board.cells, board.met
    # All without a sign, of which an index would have to be freed.
    place, count = np.uintp(table.items[row].line), np.uintp(board.counts[_MET])
    query = board.counts[_QUERY]
    for _ in range(np.uintp(min(most, table.items[row].size))):
        item = np.uint32(neighbours[place])
        # Nothing is decided here: whether an item was met before is a guess that fails half the time.
        is_met = cells[item].query == query
        cells[item].total = is_met * cells[item].total + factor * powered[place]
        cells[item].query = query
        met[count] = item
        count += np.uintp(not is_met)
        place += _ONE
    board.counts[_MET] = count


@inlined
def exclude(board: Board, item: int) -> None:
    """Have an item not be suggested in this query, whether it was met or not."""
    board.cells[item].query = board.counts[_QUERY]
    board.cells[item].total = _EXCLUDED


@inlined
def is_excluded(board: Board, item: int) -> bool:
    """Tell whether an item is not to be suggested in this query."""
    return bool(board.cells[item].query == board.counts[_QUERY] and board.cells[item].total < 0)


@merged
def best_candidates(
    table: Table,
    ids: Ids,
    board: Board,
    most: int,
    time_ms: int,
    decay: Decay,
    weighing: Weighing,
) -> int:
    """Score what was met and is not excluded, and keep the best, in `board.found`; return how many."""
    cells, met, values, priors, scores, found = (
        board.cells,
        board.met,
        board.values,
        table.priors,
        board.scores,
        board.found,
    )
    arena, bounds = ids.arena, ids.bounds
    step = time_ms // weighing.prior_step_ms
    met_count = np.uintp(board.counts[_MET])
    # The greatest that each score can be, in a loop that decides nothing: its reads do not wait for each other.
    for k in range(met_count):
        item = np.uint32(met[k])
        prior = priors[item].prior if priors[item].step == step else weighing.prior_max
        values[k] = cells[item].total * prior if cells[item].total >= 0 else _EXCLUDED
    count, least = np.int64(0), 0.0
    for k in range(met_count):
        if values[k] < least:
            continue
        item = np.uint32(met[k])
        if priors[item].step != step:
            priors[item].prior = _prior(table, np.int64(item), step * weighing.prior_step_ms, decay, weighing)
            priors[item].step = step
        score = cells[item].total * priors[item].prior
        count, least = _keep(score, np.int64(item), scores, found, count, most, arena, bounds)
        least = max(0.0, least)
    return count


@inner
def _prior(table: Table, item: int, time_ms: int, decay: Decay, weighing: Weighing) -> float:
    """Return `models.ranking.prior`."""
    own = table.items[item]
    events = own.events / grown_at(time_ms, own.epoch, decay, 1)
    trend = weighing.trend_floor
    if events > 0:
        trend += min(1.0, own.recent / grown_at(time_ms, own.epoch, decay, decay.trend_speed) / events)
    popularity = (events + weighing.popularity_prior) ** weighing.popularity_exponent
    return float(popularity * trend**weighing.trend_exponent)


@inner
def best_pair(table: Table, board: Board, item: int) -> int:
    """Return the session item in whose row an item weighs most, `NOBODY` if it is in none."""
    return _best_row(table, board.anchors, board.anchor_factors, board.counts[_ANCHORS], item, _ALL)


@inner
def best_path(table: Table, board: Board, item: int, weighing: Weighing) -> int:
    """Return the neighbour of the session that leads to an item best, `NOBODY` if none does."""
    return _best_row(table, board.vias, board.via_factors, board.counts[_VIAS], item, weighing.hop_row_size)


@merged
def _best_row(
    table: Table, rows: NDArray[np.int32], factors: NDArray[np.float64], count: int, item: int, most: int
) -> int:
    best, greatest = np.int64(NOBODY), 0.0
    neighbours, powered = table.neighbours, table.powered
    for k in range(np.uintp(count)):
        row = np.uint32(rows[k])
        # Without a sign, of which an index would have to be freed.
        place = np.uintp(table.items[row].line)
        for _ in range(np.uintp(min(most, table.items[row].size))):
            # Weights fall from place to place: what is not greater here is not further on.
            part = factors[k] * powered[place]
            if part <= greatest:
                break
            if np.uint32(neighbours[place]) == np.uint32(item):
                greatest, best = part, np.int64(row)
                break
            place += _ONE
    return best
