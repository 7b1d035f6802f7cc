"""Compiled: the most popular items, over all and by category; `models.leaders.Leaders` to the last place.

Board 0 is that of all items, board c + 1 that of the category of index c.
"""

from math import log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import doubled
from models.kernel.compiling import inner, kernel
from models.kernel.interning import Ids
from models.kernel.order import precedes

__all__ = ["Boards", "count_leader", "empty_boards", "forget_leader", "with_more_boards"]


class Boards(NamedTuple):
    """The leaders by board, always sorted best first, ties by item id.

    Attributes
    ----------
    items : ndarray of int32, boards × leaders at most
    levels : ndarray of float64, boards × leaders at most
        The binary logarithm of each leader's sessions, as they were when it arrived last, its epoch's part added.
    sizes : ndarray of int32
        Leaders on each board.
    """

    items: NDArray[np.int32]
    levels: NDArray[np.float64]
    sizes: NDArray[np.int32]


def empty_boards(most: int) -> Boards:
    """Return the board of all items, with room for `most` leaders."""
    return Boards(np.zeros((1, most), np.int32), np.zeros((1, most)), np.zeros(1, np.int32))


def with_more_boards(boards: Boards) -> Boards:
    """Return twice as many boards, the new ones empty."""
    return Boards(*(doubled(array) for array in boards))


@kernel
def count_leader(
    boards: Boards, ids: Ids, item: int, sessions: float, epoch: int, category: int, epoch_half_lives: int
) -> None:
    """Take notice of an item's sessions after they have grown, as they stand in the item's row."""
    if sessions > 0 and item != 0:
        level = log2(sessions) + epoch_half_lives * epoch
        _count(boards, ids, 0, item, level)
        if category >= 0:
            _count(boards, ids, category + 1, item, level)


@inner
def forget_leader(boards: Boards, item: int, category: int) -> None:
    """Take an item off the board of all items, and off that of its category."""
    _forget(boards, 0, item)
    if category >= 0:
        _forget(boards, category + 1, item)


@inner
def _count(boards: Boards, ids: Ids, board: int, item: int, level: float) -> None:
    items, levels, size = boards.items[board], boards.levels[board], boards.sizes[board]
    place = _place_of(items, size, item)
    if place == size:
        if size == len(items):
            last = size - 1
            if not (
                level > levels[last] or (level == levels[last] and precedes(item, items[last], ids.arena, ids.bounds))
            ):
                return
            place = last
        else:
            boards.sizes[board] = size = size + 1
    while place > 0 and (
        level > levels[place - 1]
        or (level == levels[place - 1] and precedes(item, items[place - 1], ids.arena, ids.bounds))
    ):
        items[place], levels[place] = items[place - 1], levels[place - 1]
        place -= 1
    # A row that was replaced may have fewer sessions than before.
    while place + 1 < size and (
        level < levels[place + 1]
        or (level == levels[place + 1] and precedes(items[place + 1], item, ids.arena, ids.bounds))
    ):
        items[place], levels[place] = items[place + 1], levels[place + 1]
        place += 1
    items[place], levels[place] = item, level


@inner
def _forget(boards: Boards, board: int, item: int) -> None:
    items, levels, size = boards.items[board], boards.levels[board], boards.sizes[board]
    place = _place_of(items, size, item)
    if place < size:
        for at in range(place, size - 1):
            items[at], levels[at] = items[at + 1], levels[at + 1]
        boards.sizes[board] = size - 1


@inner
def _place_of(items: NDArray[np.int32], size: int, item: int) -> int:
    place = 0
    while place < size and items[place] != item:
        place += 1
    return place
