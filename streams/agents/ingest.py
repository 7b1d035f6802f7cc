"""The door: input topics to `session-events`, bad input to `dead-letters`. Without state beside its offset commits."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from faust.types import TP

from models.coverage import Chain
from models.door import Origin, Rejected
from models.errors import AccidentError
from models.kernel.door import Door
from models.records import Kind
from streams.admin import committed_offsets
from streams.batching import LINES_MAX, RecordBatch, cut
from streams.context import Context
from streams.held import Record
from streams.produce_batch import Message
from streams.topics import INPUTS
from streams.wire import DoorMark, checked, dead_letter, decode_door_mark, encode_door_mark

__all__ = ["Ingest"]

logger = logging.getLogger(__name__)


class Ingest:
    """The stage ingest. Its mark for each input partition travels in the metadata of the offset commit."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._kinds: dict[str, Kind] = {context.name(kind): kind for kind in INPUTS}
        #: By topic and partition, in the order of the door's places.
        self._places: dict[TP, int] = {}
        self._door = Door({}, [], context.partitions, context.parameters)
        self._flushed: list[int] = []

    async def handle(self, batch: RecordBatch) -> None:
        """Admit one batch; admitting and queueing its outputs is one step without a pause."""
        await self.context.outbox.room()
        if batch.epoch == self.context.epoch():
            for records in _parts(batch.records):
                self._admit(records)

    def _admit(self, records: Sequence[Record]) -> None:
        context, places = self.context, self._places
        found = [places[record.topic, record.partition] for record in records]
        admitted = self._door.admit(records, np.array(found, np.int64))
        for target, content in admitted.packed.items():
            context.outbox.publish(context.name("session-events"), target, [Message(None, checked(content))])
        for kind, count in admitted.accepted.items():
            context.metrics.events.labels(kind).inc(count)
        for rejected in admitted.rejected:
            self._refuse(rejected)

    def _refuse(self, rejected: Rejected) -> None:
        context, record = self.context, rejected.record
        context.metrics.rejected.labels(rejected.reason).inc()
        letter = dead_letter(context.name(record.kind), rejected)
        partition = record.partition % context.partitions
        context.outbox.publish(context.name("dead-letters"), partition, [Message(record.key, letter)])

    async def resume(self, assigned: Iterable[TP]) -> Mapping[TP, int | None]:
        """Take up the committed positions and marks; None where nothing was committed.

        What retention has deleted before it was read is counted, and said in the log.

        Raises
        ------
        AccidentError
            When an input log ends before its commit: what is new in it would be skipped.
        """
        committed = await asyncio.to_thread(committed_offsets, self.context.settings)
        chains: dict[Origin, Chain] = {}
        result: dict[TP, int | None] = {}
        for tp in assigned:
            kind = self._kinds.get(tp.topic)
            if kind is None:
                continue
            offset, metadata = committed.get((tp.topic, tp.partition), (None, ""))
            mark = decode_door_mark(metadata)
            chains[kind, tp.partition] = Chain(f"{kind}-{tp.partition}", mark.chain if mark else None)
            result[tp] = offset
        self._take_up(chains, result)
        await asyncio.gather(*(self._refuse_lost_records(tp, offset) for tp, offset in result.items() if offset))
        return result

    def _take_up(self, chains: dict[Origin, Chain], positions: Mapping[TP, int | None]) -> None:
        self._places = {tp: place for place, tp in enumerate(positions)}
        self._flushed = [offset or 0 for offset in positions.values()]
        self._door = Door(chains, self._flushed, self.context.partitions, self.context.parameters)

    async def _refuse_lost_records(self, tp: TP, committed: int) -> None:
        beginning, end = await self.context.reader.bounds(tp.topic, tp.partition)
        if committed > end:
            raise AccidentError(
                f"{tp.topic}/{tp.partition} ends at offset {end}, but was read up to {committed}: the broker has lost"
                " records; set the group's offset of this partition back to the end"
            )
        if committed < beginning:
            lost = beginning - committed
            self.context.metrics.lost_inputs.labels(self._kinds[tp.topic]).inc(lost)
            logger.error(
                "%s/%d begins at offset %d, but was read only up to %d: its retention has deleted %d events before any"
                " worker read them; they count nowhere",
                tp.topic,
                tp.partition,
                beginning,
                committed,
                lost,
            )

    async def flush(self) -> Mapping[TP, tuple[int, str]]:
        """Wait until the outputs are acknowledged; return what may be committed, each with its mark."""
        door = self._door
        positions = door.positions()
        offsets = {
            tp: (positions[place], encode_door_mark(DoorMark(door.sent(place))))
            for tp, place in self._places.items()
            if positions[place] != self._flushed[place]
        }
        if offsets:
            await self.context.outbox.settled()
            if door is self._door:
                self._flushed = positions
        return offsets


def _parts(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """Cut records where their events might have too many lines; each line is an object in its message."""
    values = [record.value or b"" for record in records]
    if b"".join(values).count(b"{") <= LINES_MAX:
        return [records]
    return cut(records, (value.count(b"{") for value in values))
