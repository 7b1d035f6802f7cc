"""The stage ingest: accepts or refuses input records, and sorts the accepted ones by target partition.

What stands here is plain; the worker runs `models.kernel.door`, which is equal.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from models.coverage import Chain, Packed
from models.errors import BadEventError
from models.layout import events
from models.parameters import Parameters
from models.partitioning import partition_of
from models.records import Kind, accept
from models.suggesting import EventEntry

__all__ = ["Admitted", "InputRecord", "Origin", "Rejected", "admit_records"]

#: An input partition: the kind of its topic, and its number.
Origin = tuple[Kind, int]


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
    """What became of a batch.

    Attributes
    ----------
    packed : dict of int to bytes
        By target partition the content of its record (`models.layout.events`).
    accepted : dict of Kind to int
        How many events of each kind were accepted, of those with any.
    rejected : list of Rejected
        What was refused, in the batch's order.
    """

    packed: dict[int, bytes]
    accepted: dict[Kind, int]
    rejected: list[Rejected]


def admit_records(
    records: Sequence[InputRecord], chains: dict[Origin, Chain], partitions: int, parameters: Parameters
) -> Admitted:
    """Validate a batch and pack the accepted events, in the batch's order, one record a target.

    Parameters
    ----------
    records : sequence of InputRecord
        In ascending offsets within each input partition.
    chains : dict of Origin to Chain
        What was sent so far of each input partition; moved on.
    partitions : int
        Partitions of `session-events`.
    """
    admitted = Admitted({}, {}, [])
    ends: dict[Origin, int] = {}
    origins: dict[int, dict[Origin, int]] = {}
    entries: dict[int, list[EventEntry]] = {}
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
        spans = origins.setdefault(target, {})
        span = spans.setdefault(origin, len(spans))
        entries.setdefault(target, []).append(EventEntry(span, record.offset, record.timestamp, event))
    for target, spans in origins.items():
        covered = [chains[origin].extend(target, ends[origin]) for origin in spans]
        admitted.packed[target] = events.encode(Packed(covered, entries[target]))
    return admitted
