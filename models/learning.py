"""The stage learn: folds increments into the rows of one partition of anchors; the replica folds with the same.

The catalogue is bounded. Each record of `pairs` says how many rows its partition may hold, so that all who fold the
log drop the same rows at the same offset, also when the bound has been changed. A partition that holds more after a
record drops the rows of the fewest recent arrivals (decayed in days), a sixteenth beyond the bound.
"""

from typing import NamedTuple

import msgspec

from models.cooccurrence import TOTALS, Increment, Row
from models.coverage import Packed, Verdict
from models.rows import Rows
from models.shard import Shard

__all__ = ["Learned", "PackedPairs", "PairEntry", "RowShard", "excess", "learn"]

RowShard = Shard[Row]

#: The part of the bound that is free after rows were dropped.
_SPARE = 1 / 16


class PairEntry(msgspec.Struct, frozen=True, array_like=True):
    """One increment: its span in the packed record, its origin offset, the event's own time and arrival in ms."""

    span: int
    offset: int
    time: int
    timestamp: int
    increment: Increment


class PackedPairs(Packed[PairEntry]):
    """A record of `pairs`; `rows_max` is how many rows its partition may hold, None for any number."""

    rows_max: int | None = None


class Learned(NamedTuple):
    """The verdict on each span of a record, and how many rows were dropped for the bound."""

    verdicts: list[Verdict]
    dropped: int = 0


def learn(shard: RowShard, rows: Rows, offset: int, packed: PackedPairs) -> Learned:
    """Fold one record of `pairs` into its partition's rows, in place; a record before the position changes nothing.

    Parameters
    ----------
    rows : Rows
        The rows of all partitions, which the shards share.
    """
    if offset < shard.position:
        return Learned(["repeat"] * len(packed.spans))
    shard.position = offset + 1
    after, verdicts = shard.watermarks.admit(packed.spans)
    new = []
    for entry in packed.entries:
        start = after[entry.span]
        if start is not None and entry.offset > start:
            new.append((entry.increment, entry.time))
            shard.newest = max(shard.newest, entry.time)
    rows.fold_all(new)
    for increment, _ in new:
        shard.touch(increment.anchor)
    return Learned(verdicts, _bound(shard, rows, packed.rows_max))


def excess(rows: int, rows_max: int | None) -> int:
    """Return how many rows a partition of so many drops for its bound.

    Examples
    --------
    >>> excess(32, 32), excess(33, 32), excess(33, None)
    (0, 3, 0)
    """
    if rows_max is None or rows <= rows_max:
        return 0
    return rows - (rows_max - int(rows_max * _SPARE))


def _bound(shard: RowShard, rows: Rows, rows_max: int | None) -> int:
    dropped = excess(len(shard.keys) - (TOTALS in shard.keys), rows_max)
    if dropped:
        for item in rows.least_met(shard.keys - {TOTALS}, dropped):
            shard.drop(item)
        rows.tidy()
    return dropped
