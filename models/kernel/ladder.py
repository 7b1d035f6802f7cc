"""Compiled: `models.ladder.answer`, what to show of what was tallied, each with its evidence."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.confidence import share
from models.kernel.arrays import Table
from models.kernel.compiling import inner, merged
from models.kernel.constants import Decay, Weighing
from models.kernel.evidence import (
    CATEGORY,
    NEIGHBOUR,
    PAIR,
    POPULAR,
    Floors,
    Reading,
    is_above_chance,
    is_popular,
    is_rival,
    pair_count,
    reading_at,
    sessions_of,
)
from models.kernel.interning import Ids
from models.kernel.leading import Boards
from models.kernel.ranking import NOBODY, Board, best_candidates, best_pair, best_path, exclude, is_excluded

__all__ = ["Shown", "answer", "no_shown"]

#: Candidates that are scored at first: hardly ever are more asked about.
_FEW = 12

#: Instead of a lift: not known.
_NO_LIFT = -1.0

#: No reason, then as `models.ladder.REASONS` has them.
_SOME, _NO_ITEM, _UNKNOWN_ITEM, _NOTHING_NEW, _WEAK_EVIDENCE, _ONLY_RIVALS = range(6)


class Shown(NamedTuple):
    """What is shown, best first.

    Attributes
    ----------
    items : ndarray of int64, items × 4
        Item, source of its evidence, anchor and via, `NOBODY` for none.
    numbers : ndarray of float64, items × 5
        Score, pair count, support, confidence, lift or -1.
    """

    items: NDArray[np.int64]
    numbers: NDArray[np.float64]


def no_shown(most: int) -> Shown:
    """Return room for so many items."""
    return Shown(np.zeros((most, 4), np.int64), np.zeros((most, 5)))


@merged
def answer(
    table: Table,
    ids: Ids,
    boards: Boards,
    board: Board,
    anchors: NDArray[np.int64],
    count: int,
    category: int,
    held: NDArray[np.int64],
    held_count: int,
    time_ms: int,
    now_ms: int,
    most: int,
    decay: Decay,
    weighing: Weighing,
    floors: Floors,
    shown: Shown,
) -> tuple[int, int]:
    """Choose what to show after `tally_session`, what is excluded being excluded.

    Parameters
    ----------
    anchors : ndarray of int64
        The `count` distinct session items, newest first.
    category : int
        The newest one's, -1 for none.
    held : ndarray of int64
        The `held_count` items in the cart or bought.

    Returns
    -------
    shown : int
        How many items are shown.
    reason : int
        Why none is, one more than the place in `models.ladder.REASONS`; 0 where one is.
    """
    if count == 0:
        return 0, _NO_ITEM
    reading = reading_at(table, now_ms, decay)
    places = len(board.scores)
    # Wide numbers from the start: numba would compile what is called once more for each constant.
    found = chosen = np.int64(0)
    nobody = np.int64(NOBODY)
    has_rival = False
    for limit in (min(_FEW, places), places):
        found = best_candidates(table, ids, board, limit, time_ms, decay, weighing)
        chosen = np.int64(0)
        for k in range(found):
            if chosen == most:
                break
            item = np.int64(board.found[k])
            if not _judge(table, board, item, reading, decay, weighing, floors, shown, chosen):
                continue
            if is_rival(table, item, held, held_count, reading, decay, floors):
                has_rival = True
                continue
            shown.items[chosen, 0] = item
            shown.numbers[chosen, 0] = board.scores[k]
            chosen += 1
        if chosen == most or found < limit:
            break
    for k in range(chosen):
        exclude(board, shown.items[k, 0])
    if chosen < most and category >= 0:
        chosen, is_rivalled = _fill(
            table, boards, board, category, anchors[0], held, held_count, reading, decay, floors, most, shown, chosen
        )
        has_rival |= is_rivalled
    if chosen < most:
        chosen, is_rivalled = _fill(
            table, boards, board, nobody, nobody, held, held_count, reading, decay, floors, most, shown, chosen
        )
        has_rival |= is_rivalled
    if chosen:
        return chosen, _SOME
    if has_rival:
        return 0, _ONLY_RIVALS
    if found:
        return 0, _WEAK_EVIDENCE
    for k in range(count):
        if anchors[k] >= 0 and table.items[anchors[k]].size:
            return 0, _NOTHING_NEW
    return 0, _UNKNOWN_ITEM


@merged
def _judge(
    table: Table,
    board: Board,
    item: int,
    reading: Reading,
    decay: Decay,
    weighing: Weighing,
    floors: Floors,
    shown: Shown,
    place: int,
) -> bool:
    """Note the evidence for a candidate at a place; return whether there is enough (`candidate_evidence`)."""
    anchor = best_pair(table, board, item)
    if anchor != NOBODY:
        count, _ = pair_count(table, anchor, item, reading, decay)
        if is_above_chance(table, anchor, item, count, reading, decay, floors):
            confidence = share(count, sessions_of(table, anchor, reading, decay))
            _note(
                table, item, np.int64(PAIR), anchor, np.int64(NOBODY), count, confidence, reading, decay, shown, place
            )
            return True
    via = best_path(table, board, item, weighing)
    if via != NOBODY:
        anchor = best_pair(table, board, via)
        first, _ = pair_count(table, anchor, via, reading, decay)
        if is_above_chance(table, anchor, via, first, reading, decay, floors):
            second, _ = pair_count(table, via, item, reading, decay)
            if is_above_chance(table, via, item, second, reading, decay, floors):
                confidence = share(first, sessions_of(table, anchor, reading, decay))
                confidence *= share(second, sessions_of(table, via, reading, decay))
                _note(table, item, np.int64(NEIGHBOUR), anchor, via, second, confidence, reading, decay, shown, place)
                return True
    if is_popular(table, item, False, reading, decay, floors):
        _note_popular(table, item, np.int64(NOBODY), reading, decay, shown, place)
        return True
    return False


@inner
def _fill(
    table: Table,
    boards: Boards,
    board: Board,
    category: int,
    anchor: int,
    held: NDArray[np.int64],
    held_count: int,
    reading: Reading,
    decay: Decay,
    floors: Floors,
    most: int,
    shown: Shown,
    chosen: int,
) -> tuple[int, bool]:
    """Fill the places left with what is popular in a category, or over all for -1; tell whether rivals were met."""
    has_rival = False
    # A category that no fold has met yet has no board.
    size = boards.sizes[category + 1] if category + 1 < len(boards.sizes) else 0
    for k in range(size):
        item = np.int64(boards.items[category + 1, k])
        if chosen == most or not is_popular(table, item, category >= 0, reading, decay, floors):
            break  # nor are those that follow, which fewer sessions met
        # An item may have changed its category since it was counted.
        if category >= 0 and table.items[item].category != category:
            continue
        if is_excluded(board, item):
            continue
        if is_rival(table, item, held, held_count, reading, decay, floors):
            has_rival = True
            continue
        exclude(board, item)
        _note_popular(table, item, anchor, reading, decay, shown, chosen)
        shown.items[chosen, 0] = item
        shown.numbers[chosen, 0] = 0.0
        chosen += 1
    return chosen, has_rival


@inner
def _note_popular(
    table: Table, item: int, anchor: int, reading: Reading, decay: Decay, shown: Shown, place: int
) -> None:
    sessions = sessions_of(table, item, reading, decay)
    source = np.int64(POPULAR if anchor == NOBODY else CATEGORY)
    nobody = np.int64(NOBODY)
    _note(table, item, source, anchor, nobody, sessions, share(sessions, reading.total), reading, decay, shown, place)


@inner
def _note(
    table: Table,
    item: int,
    source: int,
    anchor: int,
    via: int,
    count: float,
    confidence: float,
    reading: Reading,
    decay: Decay,
    shown: Shown,
    place: int,
) -> None:
    shown.items[place, 1] = source
    shown.items[place, 2] = anchor
    shown.items[place, 3] = via
    popularity = share(sessions_of(table, item, reading, decay), reading.total)
    numbers = shown.numbers[place]
    numbers[1] = count
    numbers[2] = share(count, reading.total)
    numbers[3] = confidence
    numbers[4] = confidence / popularity if popularity else _NO_LIFT
