"""The stage ingest: accepts or refuses input records, and sorts the accepted ones by target partition."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from models.coverage import Chain, Packed
from models.errors import BadEventError
from models.parameters import Parameters
from models.partitioning import partition_of
from models.records import Kind, accept
from models.suggesting import EventEntry

__all__ = ["Admitted", "InputRecord", "Rejected", "admit_records"]


class InputRecord(NamedTuple):
    """One record of an input topic; `timestamp` in ms is the record's own."""

    kind: Kind
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Rejected(NamedTuple):
    """A record that cannot be accepted, and why."""

    record: InputRecord
    reason: str
    detail: str


class Admitted(msgspec.Struct):
    """The packed records by target partition, what was accepted of each kind, and what was refused."""

    packed: dict[int, Packed[EventEntry]]
    accepted: dict[Kind, int]
    rejected: list[Rejected]


def admit_records(
    records: Sequence[InputRecord], chains: dict[tuple[Kind, int], Chain], partitions: int, parameters: Parameters
) -> Admitted:
    """Validate a batch and pack the accepted events, in the batch's order, one record a target.

    Parameters
    ----------
    records : sequence of InputRecord
        In ascending offsets within each input partition.
    chains : dict of (kind, partition) to Chain
        What was sent so far of each input partition; moved on.
    partitions : int
        Partitions of `session-events`.
    """
    admitted = Admitted({}, {}, [])
    ends: dict[tuple[Kind, int], int] = {}
    indexes: dict[tuple[int, Kind, int], int] = {}
    origins: dict[int, list[tuple[Kind, int]]] = {}
    for record in records:
        origin = (record.kind, record.partition)
        ends[origin] = record.offset
        try:
            event = accept(record.kind, record.value, record.timestamp, parameters)
        except BadEventError as error:
            admitted.rejected.append(Rejected(record, error.reason, error.detail))
            continue
        target = partition_of(event.session_id, partitions)
        admitted.accepted[record.kind] = admitted.accepted.get(record.kind, 0) + 1
        packed = admitted.packed.get(target)
        if packed is None:
            packed = admitted.packed[target] = Packed([], [])
            origins[target] = []
        span = indexes.get((target, *origin))
        if span is None:
            span = indexes[target, *origin] = len(origins[target])
            origins[target].append(origin)
        packed.entries.append(EventEntry(span, record.offset, record.timestamp, event))
    for target, packed in admitted.packed.items():
        packed.spans = [chains[origin].extend(target, ends[origin]) for origin in origins[target]]
    return admitted
