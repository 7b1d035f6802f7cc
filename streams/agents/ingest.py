"""The door: input topics to `session-events`, bad input to `dead-letters`. Without state beside its offset commits."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from faust.types import TP

from models.coverage import Chain
from models.door import InputRecord, Rejected, admit_records
from models.errors import AccidentError
from models.records import Kind
from streams.admin import committed_offsets
from streams.batching import RecordBatch
from streams.context import Context
from streams.outbox import Message
from streams.topics import INPUTS
from streams.wire import PACKED_EVENTS, DoorMark, dead_letter, decode_door_mark, encode_door_mark

__all__ = ["Ingest"]

_Origin = tuple[Kind, int]

logger = logging.getLogger(__name__)


class Ingest:
    """The stage ingest. Its mark for each input partition travels in the metadata of the offset commit."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._kinds: dict[str, Kind] = {context.name(kind): kind for kind in INPUTS}
        self._chains: dict[_Origin, Chain] = {}
        self._positions: dict[_Origin, int] = {}
        self._flushed: dict[_Origin, int] = {}

    async def handle(self, batch: RecordBatch) -> None:
        """Admit one batch; admitting and queueing its outputs is one step without a pause."""
        await self.context.outbox.room()
        if batch.epoch == self.context.epoch():
            self._admit(batch)

    def _admit(self, batch: RecordBatch) -> None:
        context, positions = self.context, self._positions
        records = []
        for record in batch.records:
            kind = self._kinds[record.topic]
            if record.offset >= positions.get((kind, record.partition), 0):
                positions[kind, record.partition] = record.offset + 1
                records.append(
                    InputRecord(kind, record.partition, record.offset, record.timestamp, record.key, record.value)
                )
        admitted = admit_records(records, self._chains, context.partitions, context.parameters)
        for target, packed in admitted.packed.items():
            context.outbox.publish(
                context.name("session-events"), target, [Message(None, PACKED_EVENTS.encode(packed))]
            )
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
        self._chains.clear()
        self._positions.clear()
        self._flushed.clear()
        result: dict[TP, int | None] = {}
        for tp in assigned:
            kind = self._kinds.get(tp.topic)
            if kind is None:
                continue
            origin = (kind, tp.partition)
            offset, metadata = committed.get((tp.topic, tp.partition), (None, ""))
            mark = decode_door_mark(metadata)
            self._chains[origin] = Chain(f"{kind}-{tp.partition}", mark.chain if mark else None)
            result[tp] = offset
            if offset is not None:
                self._positions[origin] = self._flushed[origin] = offset
        await asyncio.gather(*(self._refuse_lost_records(tp, offset) for tp, offset in result.items() if offset))
        return result

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
        context = self.context
        offsets = {
            TP(context.name(kind), partition): (
                position,
                encode_door_mark(DoorMark(self._chains[kind, partition].as_dict())),
            )
            for (kind, partition), position in self._positions.items()
            if position != self._flushed.get((kind, partition))
        }
        if offsets:
            await context.outbox.settled()
            for tp, (position, _) in offsets.items():
                origin = (self._kinds[tp.topic], tp.partition)
                if origin in self._positions:
                    self._flushed[origin] = position
        return offsets
