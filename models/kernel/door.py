"""The door of the stage ingest, compiled: equal to `models.door.admit_records`, without an object for each event.

Compiled code reads the messages of the usual shape; all others go through `models.records.accept`, which alone refuses.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.coverage import NOTHING_SENT, Chain
from models.door import Admitted, InputRecord, Origin, Rejected
from models.errors import BadEventError
from models.kernel.caching import enable_cache
from models.kernel.entries import (
    COLUMNS,
    END,
    LEFT,
    TARGET,
    Limits,
    Origins,
    read_messages,
    sort_entries,
)
from models.kernel.messages import empty_message
from models.layout.events import KINDS, encode_entry
from models.parameters import Parameters
from models.partitioning import partition_of
from models.records import (
    ID_BYTES_MAX,
    LINES_MAX,
    MESSAGE_BYTES_MAX,
    MOMENT_MAX,
    MOMENTS,
    QUANTITY_MAX,
    SUGGESTION_ID_MAX,
    TIME_MAX_MS,
    TIME_MIN_MS,
    VALUE_MAX,
    accept,
)
from models.suggesting import EventEntry

__all__ = ["Door", "SourceRecord", "compile_door"]

#: At most so many bytes has an entry beyond twice its message; has a span beside its origin; stand around the spans.
_ENTRY_BYTES = 64
_SPAN_BYTES = 18
_HEAD_BYTES = 10


class SourceRecord(Protocol):
    """A record of an input topic, as a consumer has it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Door:
    """Admits the records of some input partitions: each has a place, in the order of the chains given.

    Parameters
    ----------
    chains : mapping of Origin to Chain
        What was sent so far of each input partition.
    positions : sequence of int
        From which offset on they were not read yet.
    partitions : int
        Partitions of `session-events`.

    Attributes
    ----------
    left : int
        Messages so far that were left for `accept`, which takes several times as long.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> door = Door({("browse", 0): Chain("browse-0")}, [7], 4, DEFAULTS)
    >>> value = b'{"event_id": "e1", "session_id": "s1", "item_id": "tea", "time": 1767607200000}'
    >>> record = InputRecord("browse", 0, 7, 1_767_607_200_000, None, value)
    >>> door.admit([record, record._replace(offset=8, value=b"{")], np.zeros(2, np.int64)).accepted
    {'browse': 1}
    >>> door.positions(), door.sent(0), door.left
    ([9], {1: 8}, 1)
    """

    def __init__(
        self, chains: Mapping[Origin, Chain], positions: Sequence[int], partitions: int, parameters: Parameters
    ) -> None:
        _enable_cache()
        self._origins = list(chains)
        self._partitions = partitions
        self._parameters = parameters
        names, name_ends = _joined(chain.origin for chain in chains.values())
        self._name_max = max((len(chain.origin.encode()) for chain in chains.values()), default=0)
        self._state = Origins(
            np.array([KINDS.index(kind) for kind, _ in chains], np.int64),
            names,
            name_ends,
            np.array(positions, np.int64),
            np.full((len(chains), partitions), NOTHING_SENT, np.int64),
        )
        for place, chain in enumerate(chains.values()):
            for target, end in chain.as_dict().items():
                if target < partitions:  # a mark may be of a log that had more
                    self._state.sent[place, target] = end
        self._moments, self._moment_ends = _joined(MOMENTS[kind] for kind in KINDS)
        self._message = empty_message(LINES_MAX)
        self.left = 0
        self._limits = Limits(
            message_bytes=MESSAGE_BYTES_MAX,
            id_bytes=ID_BYTES_MAX,
            suggestion_id=SUGGESTION_ID_MAX,
            moment=MOMENT_MAX,
            quantity=QUANTITY_MAX,
            value=VALUE_MAX,
            time_min_ms=TIME_MIN_MS,
            time_max_ms=TIME_MAX_MS,
            future_skew_ms=parameters.future_skew_ms,
        )

    def positions(self) -> list[int]:
        """Return from which offset on each input partition was not read yet, by place."""
        return list(map(int, self._state.positions))

    def sent(self, place: int) -> dict[int, int]:
        """Return the last end that was sent of an input partition, by target."""
        return {target: end for target, end in enumerate(self._state.sent[place].tolist()) if end != NOTHING_SENT}

    def admit(self, records: Sequence[SourceRecord], places: NDArray[np.int64]) -> Admitted:
        """Validate a batch and pack the accepted events, in the batch's order, one record a target.

        Parameters
        ----------
        records : sequence of SourceRecord
            Those below the position of their input partition are skipped.
        places : ndarray of int64
            Of each record its input partition.
        """
        count = len(records)
        values = [record.value or b"" for record in records]
        buffer = np.frombuffer(b"\0".join((*values, b"\0")), np.uint8)
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, count) + 1) - 1
        offsets = np.array([record.offset for record in records], np.int64)
        timestamps = np.array([record.timestamp for record in records], np.int64)
        entries = np.empty(2 * len(buffer) + _ENTRY_BYTES * count, np.uint8)
        table = np.empty((count, COLUMNS), np.int64)
        read_messages(
            buffer,
            ends,
            places,
            offsets,
            timestamps,
            self._state,
            self._moments,
            self._moment_ends,
            self._limits,
            self._message,
            entries,
            table,
        )
        left = np.flatnonzero(table[:, TARGET] == LEFT).tolist()
        self.left += len(left)
        entries, rejected = self._accept(records, places, left, entries, table)
        packed = np.empty(len(entries) + count * (self._name_max + _SPAN_BYTES + _HEAD_BYTES), np.uint8)
        bounds = np.empty(self._partitions + 1, np.int64)
        accepted = np.zeros(len(KINDS), np.int64)
        sort_entries(entries, table, places, self._state, packed, bounds, accepted)
        return Admitted(
            {
                target: packed[start:end].tobytes()
                for target, (start, end) in enumerate(pairwise(bounds.tolist()))
                if start < end
            },
            {kind: number for kind, number in zip(KINDS, accepted.tolist(), strict=True) if number},
            rejected,
        )

    def _accept(
        self,
        records: Sequence[SourceRecord],
        places: NDArray[np.int64],
        left: list[int],
        entries: NDArray[np.uint8],
        table: NDArray[np.int64],
    ) -> tuple[NDArray[np.uint8], list[Rejected]]:
        """Judge what was left; return all entries, and the refused records."""
        used = int(table[-1, END]) if len(table) else 0
        rejected: list[Rejected] = []
        added: list[bytes] = []
        end = used
        for index in left:
            record = records[index]
            kind, partition = self._origins[places[index]]
            try:
                event = accept(kind, record.value, record.timestamp, self._parameters)
            except BadEventError as error:
                refused = InputRecord(kind, partition, record.offset, record.timestamp, record.key, record.value)
                rejected.append(Rejected(refused, error.reason, error.detail))
                continue
            entry = encode_entry(EventEntry(0, record.offset, record.timestamp, event))
            added.append(entry)
            start, end = end, end + len(entry)
            table[index] = start, end, partition_of(event.session_id, self._partitions), len(event.lines)
        if not added:
            return entries[:used], rejected
        return np.concatenate((entries[:used], np.frombuffer(b"".join(added), np.uint8))), rejected


def _joined(texts: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the UTF-8 of texts, one after the other, and where each ends."""
    contents = [text.encode() for text in texts]
    ends = np.array(list(accumulate(map(len, contents))), np.int64)
    return np.frombuffer(b"".join(contents), np.uint8), ends


@cache
def _enable_cache() -> None:
    enable_cache((read_messages, sort_entries))


def compile_door(parameters: Parameters) -> None:
    """Use each kernel once, so that a worker compiles them at its start; see `models.kernel.rows.compile_kernels`."""
    door = Door({("browse", 0): Chain("browse-0")}, [0], 1, parameters)
    door.admit([InputRecord("browse", 0, 0, 0, None, b"{")], np.zeros(1, np.int64))
