"""The narrow part of aiokafka's clients that Sidecart uses, as requests to the cluster in small."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord, RecordMetadata
from cluster import Cluster, Process
from memory_log import MemoryBatch

__all__ = ["SimulatedConsumer", "SimulatedProducer"]

#: Small, so that what is sent together is several batches, and a poll brings only part of a changelog.
_BATCH_BYTES = 600
_POLL_RECORDS = 3


class SimulatedProducer:
    """A producer; with a transactional id each start fences the former one."""

    def __init__(self, cluster: Cluster, process: Process, transactional_id: str | None = None) -> None:
        self._cluster = cluster
        self._process = process
        self._id = transactional_id
        self._epoch = 0

    async def start(self) -> None:
        if self._id is not None:
            transactional_id = self._id
            self._epoch = await self._ask("fence", lambda: self._cluster.fence(transactional_id))

    async def stop(self) -> None: ...

    def create_batch(self) -> MemoryBatch:
        return MemoryBatch(_BATCH_BYTES)

    async def send_batch(self, batch: MemoryBatch, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]":
        return self._ask("send", lambda: self._append(batch, topic, partition), (topic, partition))

    def _append(self, batch: MemoryBatch, topic: str, partition: int) -> RecordMetadata:
        messages, headers = batch.read()
        if self._id is None:
            first = self._cluster.append(topic, partition, messages, headers)
        else:
            first = self._cluster.write(self._process, self._id, self._epoch, topic, partition, messages)
        return RecordMetadata(topic, partition, TopicPartition(topic, partition), first, None, 0, 0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit when the block ends well; what is left open the next fence aborts."""
        yield
        transactional_id, epoch = self._id, self._epoch
        assert transactional_id is not None
        await self._ask("end", lambda: self._cluster.commit_transaction(transactional_id, epoch))

    def _ask(self, kind: str, perform: object, lane: object = None) -> "asyncio.Future[RecordMetadata]":
        lane = (id(self), lane) if lane is not None else None
        return self._cluster.ask(self._process, kind, perform, lane).future  # type: ignore[arg-type]


class SimulatedConsumer:
    """A consumer without a group that reads only what is committed."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process
        self._positions: dict[TopicPartition, int] = {}
        self._highwaters: dict[TopicPartition, int] = {}
        self._has_polled = False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, logs: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(logs, 0)

    def seek(self, log: TopicPartition, offset: int) -> None:
        self._positions[log] = offset

    async def position(self, log: TopicPartition) -> int:
        return self._positions[log]

    def highwater(self, log: TopicPartition) -> int | None:
        return self._highwaters.get(log)

    async def beginning_offsets(self, logs: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {log: self._cluster.log.beginning(*log) for log in logs}

    async def end_offsets(self, logs: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        def perform() -> dict[TopicPartition, int]:
            return {log: self._cluster.stable_end(*log) for log in logs}

        ends: dict[TopicPartition, int] = await self._cluster.ask(self._process, "ends", perform).future
        return ends

    async def getmany(self, *logs: TopicPartition, timeout_ms: int = 0) -> dict[TopicPartition, list[ConsumerRecord]]:
        request = self._cluster.ask(self._process, "fetch", lambda: self._fetch(logs))
        request.is_ready = lambda: (
            not self._has_polled or any(self._positions[log] < self._cluster.stable_end(*log) for log in logs)
        )
        fetched: dict[TopicPartition, list[ConsumerRecord]] = await request.future
        return fetched

    def _fetch(self, logs: Sequence[TopicPartition]) -> dict[TopicPartition, list[ConsumerRecord]]:
        self._has_polled = True
        fetched = {}
        most = self._cluster.random.randint(1, _POLL_RECORDS)
        for log in logs:
            records = self._cluster.stable_records(*log, start=self._positions[log])
            self._highwaters[log] = self._cluster.stable_end(*log)
            if records:
                fetched[log] = records[:most]
                self._positions[log] = fetched[log][-1].offset + 1
            if len(records) <= most:
                self._positions[log] = max(self._positions[log], self._highwaters[log])
        return fetched
