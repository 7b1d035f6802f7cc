"""The arrays that hold the rows, and how they grow.

Bytes an item, beside its id: 36 a neighbour (a 4-byte index and four 8-byte numbers), for all `row_size` places of a
row whether taken or not, and 45 for the row itself: 2,349 with 64 neighbours. The system lends the memory of a new
array only as it is written.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_COMPARED", "Table", "doubled", "empty_table", "grown_table"]

#: In `Table.comparisons`: the pair was never compared. (Zero is a count that has decayed to nothing.)
NOT_COMPARED = -1.0


class Table(NamedTuple):
    """The rows, by the index of their item; what is not (yet) a row is zero throughout.

    `neighbours`, `weights`, `powered`, `pairs` and `comparisons` are items × row_size, of which the first `sizes` of
    a row hold; `powered` is each weight to the power of the compression, so that ranking need not raise it.
    """

    neighbours: NDArray[np.int32]
    weights: NDArray[np.float64]
    powered: NDArray[np.float64]
    pairs: NDArray[np.float64]
    comparisons: NDArray[np.float64]
    sizes: NDArray[np.int32]
    mass: NDArray[np.float64]
    events: NDArray[np.float64]
    recent: NDArray[np.float64]
    sessions: NDArray[np.float64]
    epochs: NDArray[np.int64]
    present: NDArray[np.bool_]


def empty_table(row_size: int) -> Table:
    """Return a table with room for one item."""
    return Table(
        neighbours=np.zeros((1, row_size), np.int32),
        weights=np.zeros((1, row_size)),
        powered=np.zeros((1, row_size)),
        pairs=np.zeros((1, row_size)),
        comparisons=np.zeros((1, row_size)),
        sizes=np.zeros(1, np.int32),
        mass=np.zeros(1),
        events=np.zeros(1),
        recent=np.zeros(1),
        sessions=np.zeros(1),
        epochs=np.zeros(1, np.int64),
        present=np.zeros(1, np.bool_),
    )


def grown_table(table: Table) -> Table:
    """Return a table with twice the room."""
    return Table(*(doubled(array) for array in table))


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
