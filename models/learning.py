"""The stage learn: folds increments into the rows of one partition of anchors; the replica folds with the same."""

import msgspec

from models.cooccurrence import Increment, Row
from models.coverage import Packed, Verdict
from models.rows import Rows
from models.shard import Shard

__all__ = ["PairEntry", "RowShard", "learn"]

RowShard = Shard[Row]


class PairEntry(msgspec.Struct, frozen=True, array_like=True):
    """One increment: its span in the packed record, its origin offset, the event's own time and arrival in ms."""

    span: int
    offset: int
    time: int
    timestamp: int
    increment: Increment


def learn(shard: RowShard, rows: Rows, offset: int, packed: Packed[PairEntry]) -> list[Verdict]:
    """Fold one record of `pairs` into its partition's rows, in place; a record before the position changes nothing.

    Parameters
    ----------
    rows : Rows
        The rows of all partitions, which the shards share.

    Returns
    -------
    list of {"new", "repeat", "gap"}
        The verdict on each span.
    """
    if offset < shard.position:
        return ["repeat"] * len(packed.spans)
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
    return verdicts
