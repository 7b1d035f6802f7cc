"""All sessions of a worker in arrays, found, changed, loaded and written by compiled code."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.kernel.interning import Interner
from models.kernel.packing import Marks, empty_marks, with_more_marks
from models.kernel.rows import DenseRows
from models.kernel.session import Layout, layout_of
from models.kernel.session_arena import (
    ABSENT,
    empty_sessions,
    has_room,
    mark_items,
    release_partition,
    settle,
    take_dirty,
    with_more_slots,
    with_more_words,
)
from models.kernel.session_bytes import put_sessions, read_sessions
from models.layout.sessions import decode
from models.parameters import Parameters
from models.parts import TableRows
from models.records import ID_BYTES_MAX
from models.session import Session

__all__ = ["SESSION_KERNELS", "DenseSessions"]

#: The kernels that are called from here.
SESSION_KERNELS = (mark_items, put_sessions, read_sessions, release_partition, settle, take_dirty)

#: Bytes of rows written in one go, more than one row can take.
_CHUNK_BYTES = 4 * 1024 * 1024
#: Items that one row may name, beyond what any layout keeps.
_ITEMS_MAX = 1 << 16


class DenseSessions:
    """The sessions of some partitions; their items are those of some rows.

    Attributes
    ----------
    arrays : Sessions
        What compiled code works on; other arrays after each method that makes room.
    layout : Layout
        How a session is laid out while its events happen.
    marks : Marks
        Numbers of items and categories in the record that is being written.
    """

    def __init__(self, rows: DenseRows, partitions: int, parameters: Parameters) -> None:
        self.rows = rows
        self.layout: Layout = layout_of(parameters)
        self._ids = Interner()
        self.arrays = empty_sessions(self._ids.arrays, partitions)
        self.marks: Marks = empty_marks()
        self._session: NDArray[np.int64] = np.zeros(self.layout.size, np.int64)
        self._numbers: NDArray[np.int64] = np.zeros(_ITEMS_MAX, np.int64)
        rows.mark_held = self.mark_items

    def make_room(self, sessions: int, size: int) -> None:
        """Have room for so many new sessions with ids of so many bytes in all, and for the marks of all items."""
        self._ids.make_room(sessions, size)
        self.arrays = self.arrays._replace(ids=self._ids.arrays)
        while len(self.arrays.slots) < len(self._ids.arrays.bounds):
            self.arrays = with_more_slots(self.arrays)
        self.marks = with_more_marks(
            self.marks, len(self.rows.ids.arrays.bounds), len(self.rows.categories.arrays.bounds)
        )

    def make_words(self) -> None:
        """Have room for more words of sessions."""
        self.arrays = with_more_words(self.arrays)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, whether sessions or room for more."""
        arrays = self.arrays
        return self._ids.nbytes + sum(array.nbytes for array in arrays[1:])

    def count(self, partition: int) -> int:
        """Return how many sessions a partition has."""
        return self.arrays.counts.item(partition)

    def ids(self, partition: int) -> Iterator[str]:
        """Iterate over the session ids of a partition, from the one that was touched longest ago."""
        slot = self.arrays.ring.item(partition, 0)
        while slot >= 0:
            yield self._ids.text(slot)
            slot = int(self.arrays.slots[slot]["after"])

    def get(self, session_id: str) -> Session | None:
        """Return a copy of a session, None where there is none."""
        slot = self._ids.find(session_id)
        if slot < 0 or self.arrays.slots[slot]["place"] == ABSENT:
            return None
        return decode(self._written(np.array([slot], np.int32), b"").values[0] or b"")

    def take_dirty(self, partition: int, letter: bytes = b"") -> TableRows:
        """Return the rows of the sessions that have changed since the last call, None for those forgotten.

        Parameters
        ----------
        letter : bytes
            Stands before each id.
        """
        slots = np.zeros(len(self.arrays.dirty), np.int32)
        slots = slots[: take_dirty(self.arrays, partition, slots)]
        rows = self._written(slots, letter)
        settle(self.arrays, slots)
        return rows

    def load(self, partition: int, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Put rows that are already durable, each with its id."""
        parts: list[bytes] = []
        for key, row in rows:
            parts += (key, row)
        if not parts:
            return
        buffer = np.frombuffer(b"".join(parts), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64))
        bounds = np.empty((len(parts) // 2, 3), np.int64)
        bounds[:, 1], bounds[:, 2] = ends[::2], ends[1::2]
        bounds[0, 0], bounds[1:, 0] = 0, ends[1:-1:2]
        self.make_room(len(bounds), len(buffer))
        done = 0
        while done < len(bounds):
            # As much as one row needs, and then some; the rows stop where there is no room.
            if not has_room(self.arrays):
                self.make_words()
            self.rows.make_room(_ITEMS_MAX // 16, _CHUNK_BYTES, 0)
            done = read_sessions(
                self.arrays,
                self.layout,
                partition,
                buffer,
                bounds,
                done,
                self._session,
                self.rows.ids.arrays,
                self._numbers,
            )

    def release(self, partition: int) -> None:
        """Forget all sessions of a partition; its next owner has them."""
        release_partition(self.arrays, partition, np.zeros(len(self.arrays.dirty), np.int32))

    def mark_items(self, used: NDArray[np.bool_]) -> None:
        """Set `used`, by index, for every item that a session holds."""
        mark_items(self.arrays, self.layout, self._session, used)

    def _written(self, slots: NDArray[np.int32], letter: bytes) -> TableRows:
        self.make_room(0, 0)  # items may have been named since
        written: list[NDArray[np.uint8]] = []
        bounds = np.zeros((len(slots), 3), np.int64)
        done = end = 0
        while done < len(slots):
            first, out = done, np.empty(_CHUNK_BYTES, np.uint8)
            done = put_sessions(
                self.arrays,
                self.layout,
                slots,
                self._session,
                self.rows.ids.arrays,
                self.marks,
                ID_BYTES_MAX,
                np.frombuffer(letter, np.uint8),
                out,
                bounds,
                first,
            )
            written.append(out[: bounds[done - 1, 2]])
            bounds[first:done] += end
            end += len(written[-1])
        return TableRows.written(np.concatenate(written or [np.empty(0, np.uint8)]), bounds)
