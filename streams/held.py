"""Fetched records that wait for their stage, handed out in batches, those of several topics merged by timestamp.

A stage that reads several topics gets them in the order of their timestamps, as far as all of them are known: a topic
with few records does not run ahead of one with many. Where more of a partition is known to be on its way, nothing later
than its last record is handed out; if it does not come, for a second at most.

A record is looked at few times here: all that is there is merged at once, and batches are slices of that.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Fetched", "Place", "Record", "StageRecords"]

#: Topic and partition.
Place = tuple[str, int]

#: What a record counts at least: empty ones take time and room too.
_RECORD_BYTES_MIN = 64
#: Bytes held of one partition at which it is paused, and at which it goes on.
_PAUSE_BYTES = 2 * 1024 * 1024
_RESUME_BYTES = 512 * 1024
#: How long a merge by timestamp waits for a partition that is known to be behind.
_MERGE_WAIT_S = 1.0

#: More ms than any timestamp has: Kafka's are of this millennium.
_BEYOND_ANY_TIME = 1 << 44

_timestamp = attrgetter("timestamp")


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a log: what the stages need of it, at a third of the cost of aiokafka's `ConsumerRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Fetched(NamedTuple):
    """What one fetch has brought.

    Attributes
    ----------
    records : mapping of Place to sequence of Record
        In offset order, by partition.
    behind : collection of Place
        The partitions of which more is known to be there than was fetched so far.
    """

    records: Mapping[Place, Sequence[Record]]
    behind: Collection[Place]


class _Partition:
    """The records of one partition that are not merged yet."""

    __slots__ = ("bytes_held", "is_paused", "records", "sizes", "waiting_since")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.sizes: list[int] = []
        #: Bytes that are not handed out, merged or not.
        self.bytes_held = 0
        self.is_paused = False
        self.waiting_since: float | None = None

    def extend(self, records: Sequence[Record]) -> None:
        sizes = [max(len(record.key or b"") + len(record.value or b""), _RECORD_BYTES_MIN) for record in records]
        self.records += records
        self.sizes += sizes
        self.bytes_held += sum(sizes)
        self.waiting_since = None


class _Merged(NamedTuple):
    """Records in the order in which they are handed out."""

    records: list[Record]
    #: Where each comes from, as index of the partition; its bytes; the bytes of all up to its end.
    owners: NDArray[np.int64]
    sizes: NDArray[np.int64]
    totals: NDArray[np.int64]


_NO_NUMBERS = np.zeros(0, np.int64)
_NOTHING = _Merged([], _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS)


class StageRecords:
    """The records of one stage that are fetched and not handed out.

    Parameters
    ----------
    places : iterable of Place
        The partitions that the stage reads.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._partitions = {place: _Partition() for place in sorted(places)}
        self._has_topics = len({topic for topic, _ in self._partitions}) > 1
        self._behind: Collection[Place] = ()
        self._merged = _NOTHING
        self._at = 0
        #: Whether there is anything that is not merged.
        self._has_fresh = False

    @property
    def places(self) -> Iterable[Place]:
        """The partitions that the stage reads."""
        return self._partitions

    def hold(self, place: Place, records: Sequence[Record]) -> bool:
        """Take in what was fetched of a partition; return whether to pause it."""
        partition = self._partitions[place]
        partition.extend(records)
        self._has_fresh = True
        if partition.is_paused or partition.bytes_held <= _PAUSE_BYTES:
            return False
        partition.is_paused = True
        return True

    def note(self, behind: Collection[Place]) -> None:
        """Note of which partitions more is known to come."""
        self._behind = behind

    def take(self, bytes_max: int, now: float) -> list[Record]:
        """Take the next batch, which ends with the record that fills it.

        Parameters
        ----------
        now : float
            Seconds that only grow.
        """
        if self._at == len(self._merged.records):
            if not self._has_fresh:
                return []
            self._merged, self._at = self._merge(now), 0
        start, (records, owners, sizes, totals) = self._at, self._merged
        before = totals[start - 1] if start else 0
        end = min(int(np.searchsorted(totals, before + bytes_max)) + 1, len(records))
        self._at = end
        handed_out = np.bincount(owners[start:end], sizes[start:end]).tolist()
        for partition, size in zip(self._partitions.values(), handed_out, strict=False):
            partition.bytes_held -= int(size)
        return records[start:end]

    def resumed(self) -> list[Place]:
        """Return the partitions that were paused and go on, as most of them was handed out."""
        places = [
            place
            for place, partition in self._partitions.items()
            if partition.is_paused and partition.bytes_held < _RESUME_BYTES
        ]
        for place in places:
            self._partitions[place].is_paused = False
        return places

    def lags(self) -> Counter[str]:
        """Return how many records are held, by topic."""
        merged = np.bincount(self._merged.owners[self._at :], minlength=len(self._partitions)).tolist()
        lags: Counter[str] = Counter()
        for ((topic, _), partition), count in zip(self._partitions.items(), merged, strict=True):
            lags[topic] += len(partition.records) + count
        return lags

    def _merge(self, now: float) -> _Merged:
        """Merge all that none of the partitions can still precede."""
        partitions = self._partitions.items()
        # Of all of them, for their waiting to begin at the same time.
        awaited = [place for place, held in partitions if not held.records and self._is_awaited(place, held, now)]
        filled = [(index, place, held) for index, (place, held) in enumerate(partitions) if held.records]
        if awaited or not filled:
            return _NOTHING
        counts = [len(held.records) for _, _, held in filled]
        records = [record for _, _, held in filled for record in held.records]
        sources = np.repeat(np.arange(len(filled)), counts)
        # A partition keeps its order: a record counts as no earlier than those before it.
        beyond = sources * _BEYOND_ANY_TIME
        times = np.fromiter(map(_timestamp, records), np.int64, len(records)) + beyond
        times = np.maximum.accumulate(times) - beyond
        # Stable, with the partitions in order: at equal times their names decide, so that a replay merges the same.
        order = np.argsort(times, kind="stable")
        ends = accumulate(counts)
        last_known = [end - 1 for (_, place, _), end in zip(filled, ends, strict=True) if self._is_behind(place)]
        if last_known:
            order = order[: int(np.flatnonzero(np.isin(order, last_known))[0]) + 1]
        sources = sources[order]
        sizes = np.array([size for _, _, held in filled for size in held.sizes])[order]
        for (_, _, held), merged in zip(filled, np.bincount(sources, minlength=len(filled)).tolist(), strict=True):
            del held.records[:merged], held.sizes[:merged]
        self._has_fresh = len(order) < len(records)
        owners = np.array([index for index, _, _ in filled])[sources]
        return _Merged([records[at] for at in order.tolist()], owners, sizes, np.cumsum(sizes))

    def _is_behind(self, place: Place) -> bool:
        return self._has_topics and place in self._behind

    def _is_awaited(self, place: Place, partition: _Partition, now: float) -> bool:
        """Tell whether records of a partition are known to be on their way, and not for too long."""
        if not self._is_behind(place):
            partition.waiting_since = None
            return False
        if partition.waiting_since is None:
            partition.waiting_since = now
        return now - partition.waiting_since < _MERGE_WAIT_S
