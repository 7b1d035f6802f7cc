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
from models.kernel.compiling import inlined, inner, kernel
from models.kernel.constants import Decay, Weighing
from models.kernel.growth import grown_at
from models.kernel.interning import Ids
from models.kernel.order import precedes
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
    return Board(
        cells=np.zeros(1, _CELL),
        met=np.zeros((query_items + hops) * parameters.row_size, np.int32),
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


@inner
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
    for k in range(near):
        via = np.int64(board.vias[k])
        board.via_factors[k] = 0.0
        if items[via].line and items[via].mass > 0:
            board.via_factors[k] = board.reaches[k] * (weighing.hop_weight / items[via].mass) ** compression
            _tally(table, board, via, board.via_factors[k], weighing.hop_row_size)


@inner
def _nearest(board: Board, arena: NDArray[np.uint8], bounds: NDArray[np.int64]) -> int:
    """Find those met that are nearest to the session, nearest first, ties by id; return how many."""
    cells, met, reaches, vias = board.cells, board.met, board.reaches, board.vias
    near, most = 0, len(reaches)
    for k in range(board.counts[_MET]):
        item = np.int64(met[k])
        total = cells[item].total
        if near == most and total < reaches[most - 1]:
            continue
        # Written out here and below: a call would count references to each of the arrays, for each item.
        place = near
        while place > 0 and (
            total > reaches[place - 1]
            or (total == reaches[place - 1] and precedes(item, np.int64(vias[place - 1]), arena, bounds))
        ):
            place -= 1
            if place + 1 < most:
                reaches[place + 1] = reaches[place]
                vias[place + 1] = vias[place]
        if place < most:
            reaches[place] = total
            vias[place] = item
            near = min(near + 1, most)
    return near


@inner
def _tally(table: Table, board: Board, row: int, factor: float, most: int) -> None:
    """Add what comes over the heaviest of one row to their totals.

    All of it in one loop: a call would count references to each of the arrays, for each neighbour.
    """
    line = np.int64(table.items[row].line)
    neighbours, powered, cells, met = table.neighbours, table.powered, board.cells, board.met
    query, count = board.counts[_QUERY], board.counts[_MET]
    for k in range(min(most, table.items[row].size)):
        # Without a sign, of which an index would have to be freed.
        item = np.uint32(neighbours[line + k])
        # Nothing is decided here: whether an item was met before is a guess that fails half the time.
        is_met = cells[item].query == query
        cells[item].total = is_met * cells[item].total + factor * powered[line + k]
        cells[item].query = query
        met[count] = item
        count += not is_met
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


@inner
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
    cells, met, priors, scores, found = board.cells, board.met, table.priors, board.scores, board.found
    arena, bounds = ids.arena, ids.bounds
    step = time_ms // weighing.prior_step_ms
    count = np.int64(0)
    for k in range(board.counts[_MET]):
        item = np.int64(met[k])
        total = cells[item].total
        # Excluded, or too low whatever its prior is.
        if total < 0 or (count == most and total * weighing.prior_max < scores[most - 1]):
            continue
        if priors[item].step != step:
            priors[item].prior = _prior(table, item, step * weighing.prior_step_ms, decay, weighing)
            priors[item].step = step
        score = total * priors[item].prior
        place = count
        while place > 0 and (
            score > scores[place - 1]
            or (score == scores[place - 1] and precedes(item, np.int64(found[place - 1]), arena, bounds))
        ):
            place -= 1
            if place + 1 < most:
                scores[place + 1] = scores[place]
                found[place + 1] = found[place]
        if place < most:
            scores[place] = score
            found[place] = item
            count += count < most
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


@inner
def _best_row(
    table: Table, rows: NDArray[np.int32], factors: NDArray[np.float64], count: int, item: int, most: int
) -> int:
    best, greatest = np.int64(NOBODY), 0.0
    for k in range(count):
        row = np.int64(rows[k])
        line = np.int64(table.items[row].line)
        for place in range(min(most, table.items[row].size)):
            # Weights fall from place to place: what is not greater here is not further on.
            part = factors[k] * table.powered[line + place]
            if part <= greatest:
                break
            if table.neighbours[line + place] == item:
                greatest, best = part, row
                break
    return best
