"""The state of one stage for one log partition: its rows, and how far the log is folded."""

from collections.abc import Mapping, MutableMapping
from typing import Generic, TypeVar

from models.coverage import Watermarks

__all__ = ["LogState", "Shard"]

RowT = TypeVar("RowT")


class LogState:
    """How far the log of one partition is folded.

    Attributes
    ----------
    position : int
        Offset of the next record of the log to fold.
    watermarks : Watermarks
        What has been applied of each origin.
    newest : int
        The greatest event time folded so far, in ms.
    """

    __slots__ = ("newest", "partition", "position", "watermarks")

    def __init__(
        self, partition: int, position: int = 0, watermarks: Mapping[str, int] | None = None, newest: int = 0
    ) -> None:
        self.partition = partition
        self.position = position
        self.watermarks = Watermarks(watermarks)
        self.newest = newest


class Shard(LogState, Generic[RowT]):
    """Rows by key with the position in the log that they are the fold of.

    Attributes
    ----------
    rows : mutable mapping
        Rows by key. Shards of one stage may share it; `keys` are this shard's own.
    """

    __slots__ = ("_dirty", "keys", "rows")

    def __init__(
        self,
        partition: int,
        rows: MutableMapping[str, RowT] | None = None,
        position: int = 0,
        watermarks: Mapping[str, int] | None = None,
        newest: int = 0,
    ) -> None:
        super().__init__(partition, position, watermarks, newest)
        self.rows: MutableMapping[str, RowT] = {} if rows is None else rows
        self.keys: set[str] = set()
        self._dirty: set[str] = set()

    def __len__(self) -> int:
        return len(self.keys)

    def load(self, key: str, row: RowT) -> None:
        """Put a row that is already durable."""
        self.rows[key] = row
        self.keys.add(key)

    def put(self, key: str, row: RowT) -> None:
        """Put a new or changed row."""
        self.rows[key] = row
        self.touch(key)

    def touch(self, key: str) -> None:
        """Take notice of a row that was changed in place."""
        self.keys.add(key)
        self._dirty.add(key)

    def drop(self, key: str) -> None:
        """Forget a row."""
        del self.rows[key]
        self.keys.discard(key)
        self._dirty.add(key)

    def clear(self) -> None:
        """Take this shard's rows out of a dict that it shares."""
        for key in self.keys:
            del self.rows[key]
        self.keys.clear()
        self._dirty.clear()

    def take_dirty(self) -> dict[str, RowT | None]:
        """Return the rows changed since the last call, None for those dropped, and start anew."""
        dirty = {key: self.rows.get(key) for key in self._dirty}
        self._dirty = set()
        return dirty
