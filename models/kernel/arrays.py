"""The arrays that hold the rows, and how they grow.

Bytes an item, beside its id: 48 for its counts; where it has a row, a line more: 36 a neighbour (a 4-byte index and
four 8-byte numbers), for all `row_size` places whether taken or not, 2,304 with 64 neighbours. The system lends the
memory of a new array only as it is written.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_COMPARED", "Table", "doubled", "empty_table", "with_more_items", "with_more_lines"]

#: In `Table.comparisons`: the pair was never compared. (Zero is a count that has decayed to nothing.)
NOT_COMPARED = -1.0


class Table(NamedTuple):
    """The rows: the neighbours by line, all else by the index of their item.

    `neighbours`, `weights`, `powered`, `pairs` and `comparisons` are lines × row_size, of which the first `sizes` of
    an item's line hold; `powered` is each weight to the power of the compression, so that ranking need not raise it.
    `lines` is the line of an item's row, 0 for an item without a row, whose counts are zero. The first ``spares[0]`` of
    `spare` are the lines that nobody has.
    """

    neighbours: NDArray[np.int32]
    weights: NDArray[np.float64]
    powered: NDArray[np.float64]
    pairs: NDArray[np.float64]
    comparisons: NDArray[np.float64]
    lines: NDArray[np.int32]
    sizes: NDArray[np.int32]
    mass: NDArray[np.float64]
    events: NDArray[np.float64]
    recent: NDArray[np.float64]
    sessions: NDArray[np.float64]
    epochs: NDArray[np.int64]
    spare: NDArray[np.int32]
    spares: NDArray[np.int64]

    @property
    def by_item(self) -> tuple[NDArray[Any], ...]:
        """The arrays by item."""
        return tuple(getattr(self, name) for name in _BY_ITEM)


_BY_LINE = ("neighbours", "weights", "powered", "pairs", "comparisons")
_BY_ITEM = ("lines", "sizes", "mass", "events", "recent", "sessions", "epochs")


def empty_table(row_size: int) -> Table:
    """Return a table with room for one item, and for no row."""
    return Table(
        neighbours=np.zeros((1, row_size), np.int32),
        weights=np.zeros((1, row_size)),
        powered=np.zeros((1, row_size)),
        pairs=np.zeros((1, row_size)),
        comparisons=np.zeros((1, row_size)),
        lines=np.zeros(1, np.int32),
        sizes=np.zeros(1, np.int32),
        mass=np.zeros(1),
        events=np.zeros(1),
        recent=np.zeros(1),
        sessions=np.zeros(1),
        epochs=np.zeros(1, np.int64),
        spare=np.zeros(1, np.int32),
        spares=np.zeros(1, np.int64),
    )


def with_more_items(table: Table) -> Table:
    """Return a table with room for twice as many items."""
    return table._replace(**{name: doubled(getattr(table, name)) for name in _BY_ITEM})


def with_more_lines(table: Table) -> Table:
    """Return a table with twice as many lines; the new ones are spare."""
    count, spares = len(table.neighbours), table.spares.item(0)
    spare = doubled(table.spare)
    spare[spares : spares + count] = np.arange(count, 2 * count)
    return table._replace(
        **{name: doubled(getattr(table, name)) for name in _BY_LINE},
        spare=spare,
        spares=np.array([spares + count], np.int64),
    )


def doubled(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of twice the length, the new half zero.

    Examples
    --------
    >>> doubled(np.array([1, 2], np.int32))
    array([1, 2, 0, 0], dtype=int32)
    """
    result = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result
