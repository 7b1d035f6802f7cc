"""The most popular items, over all and by category, kept up to date as sessions arrive.

An item's count grows only with its own arrival, and forward decay leaves the order of all others as it is: so an item
can enter only when it arrives, and the lists are exact at any time.
"""

from math import log2

from models.cooccurrence import TOTALS
from models.decay import EPOCH_HALF_LIVES

__all__ = ["Leaders"]


class Leaders:
    """The `most` items with the greatest decayed session counts, over all and for each category.

    Examples
    --------
    >>> leaders = Leaders(1)
    >>> leaders.count("tea", 2.0, 0, "drinks")
    >>> leaders.count("cup", 3.0, 0, None)
    >>> leaders.top(None), leaders.top("drinks")
    (['cup'], ['tea'])
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._boards: dict[str | None, _Board] = {}

    def count(self, item: str, sessions: float, epoch: int, category: str | None) -> None:
        """Take notice of an item's count after it has grown, as it stands in the item's row."""
        if sessions > 0 and item != TOTALS:
            level = log2(sessions) + EPOCH_HALF_LIVES * epoch
            self._count(None, item, level)
            if category is not None:
                self._count(category, item, level)

    def forget(self, item: str, category: str | None) -> None:
        """Take an item out; who would come in its place is known when it arrives."""
        for key in {None, category}:
            board = self._boards.get(key)
            if board is not None:
                board.forget(item)
                if not len(board):
                    del self._boards[key]

    def top(self, category: str | None) -> list[str]:
        """Return the leaders of a category, None for all items, most popular first; ties by item id."""
        board = self._boards.get(category)
        return board.top() if board else []

    def _count(self, category: str | None, item: str, level: float) -> None:
        board = self._boards.get(category)
        if board is None:
            board = self._boards[category] = _Board(self._most)
        board.count(item, level)


class _Board:
    """The items of the greatest levels; remembers the last of them, so that most arrivals are turned away at once."""

    __slots__ = ("_last", "_levels", "_most", "_top")

    def __init__(self, most: int) -> None:
        self._most = most
        self._levels: dict[str, float] = {}
        self._last: tuple[float, str] | None = None
        self._top: list[str] | None = None

    def count(self, item: str, level: float) -> None:
        levels, last = self._levels, self._last
        if len(levels) < self._most or item in levels:
            levels[item] = level
            self._top = None
            if last is not None and (item == last[1] or (-level, item) > last):
                self._last = None
            return
        if last is None:
            last = self._last = max((-known, other) for other, known in levels.items())
        if (-level, item) < last:
            del levels[last[1]]
            levels[item] = level
            self._last = self._top = None

    def forget(self, item: str) -> None:
        self._levels.pop(item, None)
        self._last = self._top = None

    def __len__(self) -> int:
        return len(self._levels)

    def top(self) -> list[str]:
        if self._top is None:
            self._top = sorted(self._levels, key=lambda item: (-self._levels[item], item))
        return self._top
