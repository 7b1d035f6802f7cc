"""Faust's consumer, handing an agent one message a poll and stage: the records of all the stage's partitions.

Group membership, assignment, flow control, the commit interval and the agents stay Faust's. What differs:

- `getmany` drains everything that was fetched, keeps it by stage and partition, and yields one `RecordBatch` for each
  stage that is not busy. No agent waits for a later stage: input is held back here, and a partition with too much
  held is paused at the broker.
- A stage that reads several topics gets them merged by record timestamp, as far as all of them are known: a topic with
  few records does not run ahead of one with many.
- `force_commit` asks the stages for a checkpoint (outputs acknowledged, rows and mark durable) and commits that.
- After a rebalance partitions are sought to the stages' own positions; what was fetched before is superseded: batches
  carry the epoch they were fetched in.

Pinned to faust-streaming 0.15; `tests/streams/test_batching_contract.py` fails when what is overridden here moves.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol

import faust
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from models.errors import InvariantError

__all__ = ["BatchConsumer", "BatchSchema", "BatchTransport", "Checkpoints", "RecordBatch"]

#: Bytes of keys and values in a batch: some hundred events, short enough to keep the event loop responsive.
_BATCH_BYTES = 64 * 1024
#: What a record counts at least: empty ones take time and room too.
_RECORD_BYTES_MIN = 64
#: Batches of one stage that are handed out and not yet acknowledged.
_IN_FLIGHT = 2
#: Bytes held of one partition at which it is paused, and at which it goes on.
_PAUSE_BYTES = 2 * 1024 * 1024
_RESUME_BYTES = 512 * 1024
#: How long a merge by timestamp waits for a partition that is known to be behind.
_MERGE_WAIT_S = 1.0
#: Seconds until it is looked again whether there is anything to fetch.
_NOTHING_ASSIGNED_S = 0.1
#: Seconds that the hand-over of partitions may spend on a last flush and commit.
_REVOKE_S = 8.0


class RecordBatch:
    """The records of one stage from one poll: in offset order within each partition."""

    __slots__ = ("epoch", "records", "stage")

    def __init__(self, stage: str, epoch: int, records: list[ConsumerRecord]) -> None:
        self.stage = stage
        self.epoch = epoch
        self.records = records


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Hands a `RecordBatch` through as it is."""

    def loads_key(self, *args: Any, **kwargs: Any) -> None:
        """Return no key: a batch has none."""

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> RecordBatch:
        """Return the batch itself."""
        batch: RecordBatch = message.value
        return batch


class Checkpoints(Protocol):
    """What the consumer needs to know of the stages."""

    def stage_of(self, topic: str) -> str | None:
        """Return the name of the stage that reads a topic, None for a changelog."""

    async def positions(self, assigned: Iterable[TP]) -> Mapping[TP, int | None]:
        """Return where each partition is to be read from, None for its beginning."""

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        """Make all effects so far durable; return the offset and metadata to commit for each partition."""


class _Held:
    """Fetched records of one partition that wait for their stage."""

    __slots__ = ("paused", "records", "size", "waiting_since")

    def __init__(self) -> None:
        self.records: deque[ConsumerRecord] = deque()
        self.size = 0
        self.paused = False
        self.waiting_since: float | None = None

    def extend(self, records: list[ConsumerRecord]) -> None:
        self.records.extend(records)
        self.waiting_since = None
        self.size += sum(_size(record) for record in records)

    def pop(self) -> ConsumerRecord:
        record = self.records.popleft()
        self.size -= _size(record)
        return record


def _size(record: ConsumerRecord) -> int:
    return max(len(record.key or b"") + len(record.value or b""), _RECORD_BYTES_MIN)


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """The consumer; see the module."""

    checkpoints: Checkpoints
    tick_s: float = 0.01
    fetch_max_wait_ms: int = 500

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self._held: dict[str, dict[TP, _Held]] = {}
        self._in_flight: dict[str, int] = {}
        self._fetching: asyncio.Future[Any] | None = None
        #: Held while the thread fetches or seeks: what a fetch across a seek brings would be lost.
        self._positioned = asyncio.Lock()
        #: Set while the positions are those of the stages: not from a revocation to the next seek.
        self._sought = asyncio.Event()
        self._wake = asyncio.Event()
        self._polled_at = 0.0

    @property
    def is_positioned(self) -> bool:
        """Whether the partitions are those of the stages: not from a revocation to the next seek."""
        return self._sought.is_set()

    def _new_consumer_thread(self) -> "_BatchConsumerThread":
        return _BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- fetching

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield one message for each stage that has records and is not busy."""
        await self._poll(timeout)
        epoch = self.epoch
        for stage in list(self._held):
            while self.flow_active and epoch == self.epoch and self._in_flight.get(stage, 0) < _IN_FLIGHT:
                records = self._take(stage)
                if not records:
                    break
                last = records[-1]
                tp = TP(last.topic, last.partition)
                self._in_flight[stage] = self._in_flight.get(stage, 0) + 1
                yield tp, self._batch_message(tp, last, RecordBatch(stage, epoch, records))

    async def _poll(self, timeout: float) -> None:
        if self._fetching is None:
            pause = self._polled_at + self.tick_s - monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            self._polled_at = monotonic()
            self._fetching = asyncio.ensure_future(self._fetch(timeout))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({self._fetching, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
        self._wake.clear()
        if self._fetching.done():
            fetching, self._fetching = self._fetching, None
            epoch, records = fetching.result()
            if epoch == self.epoch and self.flow_active:
                for tp, fetched in records.items():
                    stage = self.checkpoints.stage_of(tp.topic)
                    if stage is not None and fetched:
                        self._hold(stage, TP(tp.topic, tp.partition), fetched)

    async def _fetch(self, timeout: float) -> tuple[int, Mapping[Any, list[ConsumerRecord]]]:
        await self._sought.wait()
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        async with self._positioned:
            epoch, active = self.epoch, self._get_active_partitions()
            if self._sought.is_set() and active:
                return epoch, await self._thread.getmany(active, timeout) or {}
        await asyncio.sleep(_NOTHING_ASSIGNED_S)
        return epoch, {}

    def _hold(self, stage: str, tp: TP, records: list[ConsumerRecord]) -> None:
        held = self._held.setdefault(stage, {}).setdefault(tp, _Held())
        held.extend(records)
        if held.size > _PAUSE_BYTES and not held.paused:
            held.paused = True
            self._thread.pause([tp])

    def _take(self, stage: str) -> list[ConsumerRecord]:
        """Take the next batch of a stage, by timestamp; of several topics only what none of them can still precede."""
        partitions = self._held[stage]
        is_merged = len({tp.topic for tp in partitions}) > 1
        heads = [(held.records[0].timestamp, tp) for tp, held in partitions.items() if held.records]
        empty = [(tp, held) for tp, held in partitions.items() if not held.records]
        # Of all of them, for their waiting to begin at the same time.
        awaited = [tp for tp, held in empty if is_merged and self._is_awaited(tp, held)]
        if awaited or not heads:
            return []
        heapq.heapify(heads)
        records: list[ConsumerRecord] = []
        size = 0
        while heads and size < _BATCH_BYTES:
            _, tp = heads[0]
            held = partitions[tp]
            record = held.pop()
            records.append(record)
            size += _size(record)
            if held.paused and held.size < _RESUME_BYTES:
                held.paused = False
                self._thread.resume([tp])
            if held.records:
                heapq.heapreplace(heads, (held.records[0].timestamp, tp))
            else:
                heapq.heappop(heads)
                if is_merged and self._is_awaited(tp, held):
                    break
        return records

    def _is_awaited(self, tp: TP, held: _Held) -> bool:
        """Tell whether records of a partition are known to be on their way, and not for too long."""
        highwater = self.highwater(tp)
        if highwater is None or self._thread.consumed_to(tp) >= highwater:
            held.waiting_since = None
            return False
        now = monotonic()
        if held.waiting_since is None:
            held.waiting_since = now
        return now - held.waiting_since < _MERGE_WAIT_S

    def _batch_message(self, tp: TP, last: ConsumerRecord, batch: RecordBatch) -> ConsumerMessage:
        message = self._to_message(tp, last)
        message.value = batch
        return message

    def highwater(self, tp: TP) -> int | None:
        """Return the end of a partition as the last fetch saw it, None before the first."""
        try:
            end: int | None = super().highwater(tp)
        except (AssertionError, IllegalStateError):
            return None  # not assigned, or not any more
        return end

    def lag(self) -> dict[str, int]:
        """Return for each topic the records that are fetched or known to be there, and not handed out."""
        lags: dict[str, int] = {}
        for partitions in self._held.values():
            for tp, held in partitions.items():
                behind = max(0, (self.highwater(tp) or 0) - self._thread.consumed_to(tp))
                lags[tp.topic] = lags.get(tp.topic, 0) + len(held.records) + behind
        return lags

    # -- committing

    def done(self, batch: RecordBatch) -> None:
        """Note that an agent is done with a batch: its stage may have the next.

        Faust's own acknowledgement is off (``acks=False`` on the topics): its streams count single offsets, partly in
        compiled code that calls no method of ours. What may be committed, the checkpoint says.
        """
        if batch.epoch == self.epoch:
            self._in_flight[batch.stage] -= 1
            self._wake.set()

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: at most two batches of a stage are in its queue."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing; see `on_buffer_full`."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: Faust judges by single messages; our watchdog looks at the stages."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Make a checkpoint of all stages and commit it."""
        offsets = await self.checkpoints.checkpoint()
        assigned = self.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        return bool(offsets) and bool(await self._thread.commit_checkpoint(offsets))

    # -- rebalancing

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Supersede what is in flight and, while the group still waits, commit what is done."""
        self._supersede()
        # Not cut off when it takes too long: a flush that has begun ends, and a takeover waits for it.
        commit = asyncio.ensure_future(self.force_commit())
        done, _ = await asyncio.wait({commit}, timeout=_REVOKE_S)
        if not done:
            self.log.warning("the last commit before the rebalance took too long; its events will be read again")
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Go to the stages' own positions, whatever the committed offsets say."""
        self._supersede()
        positions = await self.checkpoints.positions(self.assignment())
        async with self._positioned:
            await self._thread.seek_positions(positions)
        self._read_offset.clear()
        for tp in positions:
            stage = self.checkpoints.stage_of(tp.topic)
            if stage is None:
                raise InvariantError(f"no stage reads {tp.topic}")
            self._held.setdefault(stage, {})[tp] = _Held()
        self._sought.set()

    async def finish(self) -> None:
        """Take no more batches, and commit what is done: the last thing before a stop."""
        self.stop_flow()
        self._supersede()
        await self.force_commit()

    def _supersede(self) -> None:
        self.epoch += 1
        self._sought.clear()
        self._held.clear()
        self._in_flight.clear()


class _BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that owns the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust's 1.5 s cannot be set; the embedded broker does not wake a waiting fetch.
        consumer._fetch_max_wait_ms = self.consumer.fetch_max_wait_ms
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # Before the first fetch: the store reads rows in bulk, and what lies unread would hold up all other fetching.
        changelogs = [TopicPartition(*tp) for tp in assigned if self.consumer._is_changelog_tp(tp)]
        self._ensure_consumer().pause(*changelogs)
        await super().on_partitions_assigned(assigned, generation_id)

    def consumed_to(self, tp: TP) -> int:
        """Return the offset up to which a partition was handed over, past the control records of transactions."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        state = assignment.state_value(TopicPartition(*tp))
        return int(state._position or 0) if state else 0

    def pause(self, tps: Iterable[TP]) -> None:
        self._in_thread(self._ensure_consumer().pause, tps)

    def resume(self, tps: Iterable[TP]) -> None:
        self._in_thread(self._ensure_consumer().resume, tps)

    def _in_thread(self, change: Any, tps: Iterable[TP]) -> None:
        consumer = self._ensure_consumer()
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in tps]

        def apply() -> None:
            change(*[tp for tp in wanted if tp in consumer.assignment()])

        self.thread_loop.call_soon_threadsafe(apply)

    async def commit_checkpoint(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        return bool(await self.call_thread(self._commit_checkpoint, offsets))

    async def _commit_checkpoint(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        try:
            await self._ensure_consumer().commit(
                {TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()}
            )
        except (CommitFailedError, IllegalStateError):
            # The group has moved on: the next owner of the partitions starts from the marks.
            return False
        return True

    async def seek_positions(self, positions: Mapping[TP, int | None]) -> None:
        await self.call_thread(self._seek_positions, positions)

    async def _seek_positions(self, positions: Mapping[TP, int | None]) -> None:
        consumer = self._ensure_consumer()
        wanted = {TopicPartition(tp.topic, tp.partition): position for tp, position in positions.items()}
        consumer.resume(*wanted)
        beginnings = [tp for tp, position in wanted.items() if position is None]
        for tp, position in wanted.items():
            if position is not None:
                consumer.seek(tp, position)
        if beginnings:
            await consumer.seek_to_beginning(*beginnings)


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with our consumer: ``app.transport = BatchTransport(...)``."""

    Consumer = BatchConsumer
