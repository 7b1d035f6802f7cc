"""The arrays that hold the rows, and how they grow.

Bytes an item, beside its id and how that is found: 72 for its counts, 5 for its owner; where it has a row, a line more:
36 a neighbour (a 4-byte index and four 8-byte numbers), in steps of `STEP`, 2,304 with 64 neighbours. The system lends
the memory of a new array only as it is written.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FREE",
    "ITEM",
    "LINES",
    "NOBODYS",
    "NOT_COMPARED",
    "NO_ITEM",
    "NO_STEP",
    "ROWS",
    "STEP",
    "USED",
    "Owners",
    "Table",
    "doubled",
    "empty_table",
    "nobodys_items",
    "with_more_items",
    "with_more_owners",
    "with_more_places",
    "with_places",
]

#: In `Table.comparisons`: the pair was never compared. (Zero is a count that has decayed to nothing.)
NOT_COMPARED = -1.0

#: In `PRIOR`: no prior is known. No time is so long ago.
NO_STEP = -(2**62)

#: In `Owners.partitions`: the row is no partition's, or there is none.
NOBODYS = -1

#: Room for neighbours in a line is a multiple of this.
STEP = 8

#: In `Table.blocks`: rows, places given to lines so far, those of them that are free again; from `LINES` on the first
#: free line of each room, by steps, 0 for none.
ROWS, USED, FREE, LINES = range(4)

#: One item: less than a cache line. `line` is the place where the neighbours of its row begin, 0 for an item without a
#: row, whose counts are zero; there is `room` for some, of which `size` is taken. `category` is -1 for none.
ITEM = np.dtype(
    [
        ("line", np.int32),
        ("size", np.int32),
        ("room", np.int32),
        ("category", np.int32),
        ("epoch", np.int64),
        ("mass", np.float64),
        ("events", np.float64),
        ("recent", np.float64),
        ("sessions", np.float64),
    ],
    align=True,
)

#: An item without a row.
NO_ITEM = np.zeros(1, ITEM)[0]
NO_ITEM["category"] = -1

#: What ranking knows of an item by itself, for the step of time that `step` says; nothing for `NO_STEP`. Apart from the
#: counts, since it is looked up for each of many candidates.
PRIOR = np.dtype([("prior", np.float64), ("step", np.int64)])
_NO_PRIOR = np.array([(0.0, NO_STEP)], PRIOR)[0]


class Table(NamedTuple):
    """The rows: the neighbours by place, all else by the index of their item.

    `neighbours`, `weights`, `powered`, `pairs` and `comparisons` are by place, those of a row in a line, heaviest
    first, ties by item id; `powered` is each weight to the power of the compression, so that ranking need not raise it.
    `items` are of the type `ITEM`, `priors` of `PRIOR`. `blocks` says which places the lines have
    (`models.kernel.lines`).
    """

    neighbours: NDArray[np.int32]
    weights: NDArray[np.float64]
    powered: NDArray[np.float64]
    pairs: NDArray[np.float64]
    comparisons: NDArray[np.float64]
    items: NDArray[np.void]
    priors: NDArray[np.void]
    blocks: NDArray[np.int64]


class Owners(NamedTuple):
    """Whose the rows are, by item.

    Attributes
    ----------
    partitions : ndarray of int32
        The partition, or `NOBODYS`.
    is_dirty : ndarray of bool
        Whether the row has changed, or was dropped, since its partition was flushed.
    """

    partitions: NDArray[np.int32]
    is_dirty: NDArray[np.bool_]


def empty_table(row_size: int) -> Table:
    """Return a table with room for one item, and for no row."""
    return Table(
        **_places(STEP),
        items=np.full(1, NO_ITEM),
        priors=np.full(1, _NO_PRIOR),
        blocks=np.array([0, STEP, 0, *[0] * (2 + row_size // STEP)], np.int64),
    )


def with_places(table: Table, places: int) -> Table:
    """Return a table with so many places, which no line has."""
    return table._replace(**_places(places), blocks=np.zeros_like(table.blocks))


def with_more_places(table: Table, places: int) -> Table:
    """Return a table with so many places, of which the lines have those that they had."""
    used, grown = table.blocks[USED], _places(places)
    for name, array in grown.items():
        array[:used] = getattr(table, name)[:used]
    return table._replace(**grown)


def _places(count: int) -> dict[str, NDArray[Any]]:
    numbers = {name: np.zeros(count) for name in ("weights", "powered", "pairs", "comparisons")}
    return {"neighbours": np.zeros(count, np.int32), **numbers}


def with_more_items(table: Table) -> Table:
    """Return a table with room for twice as many items."""
    more = len(table.items)
    return table._replace(
        items=np.concatenate((table.items, np.full(more, NO_ITEM))),
        priors=np.concatenate((table.priors, np.full(more, _NO_PRIOR))),
    )


def nobodys_items() -> Owners:
    """Return the owners of one item, which is nobody's."""
    return Owners(np.full(1, NOBODYS, np.int32), np.zeros(1, np.bool_))


def with_more_owners(owners: Owners) -> Owners:
    """Return the owners of twice as many items; the new ones are nobody's."""
    partitions = np.concatenate((owners.partitions, np.full(len(owners.partitions), NOBODYS, np.int32)))
    return Owners(partitions, doubled(owners.is_dirty))


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
