"""Folding records of `pairs` as they came: `models.learning.learn` on dense rows, without an object an increment."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.coverage import Verdict
from models.kernel.rows import DenseRows, PairsRecord
from models.learning import excess
from models.parts import TableRows
from models.shard import LogState

__all__ = ["DenseShard", "LearnedPacked", "learn_packed"]


#: The index of the row that counts all sessions.
_TOTALS = 0


class LearnedPacked(NamedTuple):
    """The verdict on each span of a record, how many rows were dropped for the bound, and when its events arrived.

    `timestamps` are in ms, and none is twice in a row.
    """

    verdicts: list[Verdict]
    dropped: int
    timestamps: NDArray[np.int64]


class DenseShard(LogState):
    """The rows of one partition among those of all, with the position in the log that they are the fold of.

    Attributes
    ----------
    rows : DenseRows
        The rows of all partitions; no two shards of one partition share it.
    is_loaded : bool
        Whether all durable rows are read: before that there is no position that the rows are the fold up to.
    """

    __slots__ = ("_count", "_dirty", "is_loaded", "rows")

    def __init__(
        self,
        partition: int,
        rows: DenseRows,
        position: int = 0,
        watermarks: Mapping[str, int] | None = None,
        newest: int = 0,
    ) -> None:
        super().__init__(partition, position, watermarks, newest)
        self.rows = rows
        self.is_loaded = False
        self._count = 0
        self._dirty: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return self._count

    def indices(self) -> NDArray[np.int64]:
        """Return the items whose rows are this shard's."""
        return np.flatnonzero(self.rows.owners.partitions == self.partition)

    @property
    def keys(self) -> set[str]:
        """The ids of the items whose rows are this shard's."""
        return {self.rows.ids.text(index) for index in self.indices().tolist()}

    def read(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        """Put durable rows from their ids and values (`DenseRows.read`); an empty value takes one out.

        `loaded` is to follow when all are read.
        """
        self._count += self.rows.read(rows, self.partition)

    def loaded(self) -> None:
        """Take notice that all durable rows are read."""
        self.is_loaded = True
        self.rows.count_leaders(self.partition)

    def write_dirty(self, letter: bytes = b"") -> TableRows:
        """Return the rows that have changed since the last call, None for those dropped (`DenseRows.write`)."""
        return self.rows.write(self.take_dirty(), letter)

    def fold(self, record: PairsRecord) -> LearnedPacked:
        """Fold the record that is next."""
        after, verdicts = self.watermarks.admit(record.head.spans)
        folded = self.rows.fold(record, after, self.partition)
        self._count += folded.owned
        self._dirty.append(folded.changed)
        self.newest = max(self.newest, folded.newest)
        return LearnedPacked(verdicts, self._bound(record.head.rows_max), folded.timestamps)

    def drop(self, indices: NDArray[np.int64]) -> None:
        """Forget rows."""
        self.rows.drop(indices)
        self._count -= len(indices)
        is_dirty = self.rows.owners.is_dirty
        self._dirty.append(indices[~is_dirty[indices]])
        is_dirty[indices] = True

    def clear(self) -> None:
        """Take this shard's rows out of those of all."""
        self.rows.drop(self.indices())
        self.take_dirty()
        self._count = 0

    def take_dirty(self) -> NDArray[np.int64]:
        """Return the items whose rows were changed or dropped since the last call, and start anew.

        The indices hold until rows are tidied up.
        """
        dirty = np.concatenate(self._dirty) if self._dirty else np.empty(0, np.int64)
        self.rows.owners.is_dirty[dirty] = False
        self._dirty = []
        return dirty

    def _bound(self, rows_max: int | None) -> int:
        has_totals = bool(self.rows.owners.partitions[_TOTALS] == self.partition)
        dropped = excess(self._count - has_totals, rows_max)
        if dropped:
            indices = self.indices()
            self.drop(self.rows.least_met_of(indices[indices != _TOTALS], dropped))
            self.rows.tidy()
        return dropped


def learn_packed(shard: DenseShard, offset: int, content: bytes | memoryview) -> LearnedPacked:
    """Fold the content of a record of `pairs` into its partition's rows; one before the position changes nothing.

    Raises
    ------
    ValueError
        For bytes that `models.layout.pairs.encode` does not write; nothing was folded.
    """
    record = PairsRecord(content)
    if offset < shard.position:
        return LearnedPacked(["repeat"] * len(record.head.spans), 0, np.empty(0, np.int64))
    shard.position = offset + 1
    return shard.fold(record)
