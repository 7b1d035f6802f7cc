"""Topic partitions in memory, behind the narrow part of aiokafka's clients that Sidecart uses.

Offsets, split batches, positions and transactions behave as on a broker; nothing waits for a clock.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord, RecordMetadata

from models.kernel.door import compile_door
from models.kernel.rows import compile_kernels
from models.parameters import DEFAULTS
from streams.produce_batch import ProduceBatch

Message = tuple[bytes | None, bytes | None]
Headers = Sequence[tuple[str, bytes]]

T0_MS = 1_767_607_200_000  # 2026-01-05T10:00:00Z


class MemoryLog:
    """The broker: records by topic partition, and who may write in transactions."""

    def __init__(self) -> None:
        self.now_ms = T0_MS
        self.epochs: dict[str, int] = {}
        self._records: dict[TopicPartition, list[ConsumerRecord]] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._beginnings: dict[TopicPartition, int] = {}

    def append(
        self,
        topic: str,
        partition: int,
        messages: Iterable[Message],
        timestamp_ms: int | None = None,
        headers: Sequence[Headers] = (),
    ) -> int:
        """Write messages one after the other, with the headers of each if there are any; return the first's offset."""
        log = TopicPartition(topic, partition)
        first = self.end(topic, partition)
        records = self._records.setdefault(log, [])
        for at, (key, value) in enumerate(messages):
            own = headers[at] if headers else ()
            records.append(record(topic, partition, first + at, key, value, timestamp_ms or self.now_ms, own))
            self._ends[log] = first + at + 1
        return first

    def skip(self, topic: str, partition: int, count: int = 1) -> None:
        """Use up offsets without a record, as control records and compaction do."""
        self._ends[TopicPartition(topic, partition)] = self.end(topic, partition) + count

    def abort(self, request: "Request") -> None:
        """Hide what a request has written: a reader that wants only what is committed never sees it."""
        if request.future.done() and request.future.exception() is None:
            log, first = TopicPartition(request.topic, request.partition), request.future.result().offset
            self.hide((log, first + at) for at in range(len(request.messages)))

    def hide(self, written: Iterable[tuple[TopicPartition, int]]) -> None:
        """Take out records by their place, as an aborted transaction's are for those who read what is committed."""
        hidden = set(written)
        for log in {log for log, _ in hidden}:
            self._records[log] = [kept for kept in self._records[log] if (log, kept.offset) not in hidden]

    def compact(self, topic: str, partition: int, end: int, keeps_tombstones: bool = True) -> None:
        """Keep the last record of every key before `end`, and all from there on, at their offsets."""
        log = TopicPartition(topic, partition)
        records = self._records.get(log, [])
        latest = {kept.key: kept.offset for kept in records if kept.offset < end}
        self._records[log] = [
            kept
            for kept in records
            if kept.offset >= end or (kept.offset == latest[kept.key] and (keeps_tombstones or kept.value is not None))
        ]

    def cut(self, topic: str, partition: int, beginning: int) -> None:
        """Delete what is before an offset, as retention does."""
        log = TopicPartition(topic, partition)
        self._beginnings[log] = beginning
        self._records[log] = [kept for kept in self._records.get(log, []) if kept.offset >= beginning]

    def end(self, topic: str, partition: int) -> int:
        return self._ends.get(TopicPartition(topic, partition), 0)

    def beginning(self, topic: str, partition: int) -> int:
        return self._beginnings.get(TopicPartition(topic, partition), 0)

    def records(self, topic: str, partition: int, start: int = 0) -> list[ConsumerRecord]:
        return [kept for kept in self._records.get(TopicPartition(topic, partition), []) if kept.offset >= start]

    def messages(self, topic: str) -> list[Message]:
        """Return key and value of every message of a topic, partition by partition."""
        logs = sorted(log for log in self._records if log.topic == topic)
        return [(kept.key, kept.value) for log in logs for kept in self._records[log]]


def record(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    timestamp_ms: int = T0_MS,
    headers: Headers = (),
) -> ConsumerRecord:
    return ConsumerRecord(topic, partition, offset, timestamp_ms, 0, key, value, None, 0, 0, headers)


class MemoryBatch(ProduceBatch):
    """A batch as it is sent, and what aiokafka's own reader finds in it."""

    def __init__(self, size: int) -> None:
        super().__init__(size, is_compressed=False, is_transactional=False)

    def read(self) -> tuple[list[Message], list[Headers]]:
        """Return key and value of each message, and its headers."""
        found = list(MemoryRecords(bytes(self._build())).next_batch())
        assert [record.offset for record in found] == list(range(self.record_count()))
        return [(record.key, record.value) for record in found], [record.headers for record in found]


class Request:
    """One batch on its way; it stands in the log once it is acknowledged."""

    def __init__(self, log: MemoryLog, topic: str, partition: int, batch: MemoryBatch) -> None:
        self.topic = topic
        self.partition = partition
        self.messages, self.headers = batch.read()
        self.future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._log = log

    def acknowledge(self) -> None:
        first = self._log.append(self.topic, self.partition, self.messages, headers=self.headers)
        tp = TopicPartition(self.topic, self.partition)
        self.future.set_result(RecordMetadata(self.topic, self.partition, tp, first, None, 0, 0))

    def fail(self, error: BaseException) -> None:
        self.future.set_exception(error)


class MemoryProducer:
    """A producer; requests to topics in `held` wait until the test acknowledges or fails them.

    `requests` holds every request in the order of sending, `journal` notes what was acknowledged when.
    """

    def __init__(self, log: MemoryLog, transactional_id: str | None = None, batch_bytes: int = 512 * 1024) -> None:
        self.log = log
        self.held: set[str] = set()
        self.requests: list[Request] = []
        self.is_started = False
        self._id = transactional_id
        self._batch_bytes = batch_bytes
        self._epoch = 0
        self._open: list[Request] | None = None

    async def start(self) -> None:
        self.is_started = True
        if self._id is not None:
            self._epoch = self.log.epochs[self._id] = self.log.epochs.get(self._id, 0) + 1

    async def stop(self) -> None:
        self.is_started = False

    def create_batch(self) -> MemoryBatch:
        return MemoryBatch(self._batch_bytes)

    async def send_batch(self, batch: MemoryBatch, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]":
        assert (self._id is None) == (self._open is None), "in a transaction if, and only if, there are any"
        self._check_epoch()
        request = Request(self.log, topic, partition, batch)
        self.requests.append(request)
        if self._open is not None:
            self._open.append(request)
        if topic not in self.held:
            request.acknowledge()
        return request.future

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Keep what was written only when the block ends well; a control record follows."""
        self._check_epoch()
        self._open = []
        written = self._open
        try:
            yield
            self._check_epoch()
        except BaseException:
            for request in written:
                self.log.abort(request)
            raise
        finally:
            self._open = None
            for topic, partition in {(request.topic, request.partition) for request in written}:
                self.log.skip(topic, partition)

    def _check_epoch(self) -> None:
        if self._id is not None and self.log.epochs[self._id] != self._epoch:
            raise ProducerFenced

    # -- for the tests

    def sent(self, topic: str, partition: int = 0) -> list[Request]:
        return [sent for sent in self.requests if (sent.topic, sent.partition) == (topic, partition)]

    def release(self, topic: str) -> None:
        """Hold a topic no longer, and acknowledge what has waited."""
        self.held.discard(topic)
        for request in self.requests:
            if request.topic == topic and not request.future.done():
                request.acknowledge()


class MemoryConsumer:
    """A consumer without a group; a poll brings at most `batch` records of a partition and never waits."""

    def __init__(self, log: MemoryLog, batch: int = 3) -> None:
        self.log = log
        self.is_started = False
        self._batch = batch
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        self.is_started = True

    async def stop(self) -> None:
        self.is_started = False

    def assign(self, logs: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(logs, 0)

    def seek(self, log: TopicPartition, offset: int) -> None:
        self._positions[log] = offset

    async def position(self, log: TopicPartition) -> int:
        return self._positions[log]

    def highwater(self, log: TopicPartition) -> int | None:
        return self.log.end(*log)

    async def end_offsets(self, logs: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {log: self.log.end(*log) for log in logs}

    async def beginning_offsets(self, logs: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {log: self.log.beginning(*log) for log in logs}

    async def getmany(self, *logs: TopicPartition, timeout_ms: int = 0) -> dict[TopicPartition, list[ConsumerRecord]]:
        await asyncio.sleep(0)
        fetched = {}
        for log in logs:
            records = self.log.records(*log, start=self._positions[log])
            if records:
                fetched[log] = records[: self._batch]
                self._positions[log] = fetched[log][-1].offset + 1
            if len(records) <= self._batch:
                self._positions[log] = max(self._positions[log], self.log.end(*log))
        return fetched


async def turns(count: int = 50) -> None:
    """Let every task that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


@cache
def _compile() -> None:
    compile_kernels(DEFAULTS)
    compile_door(DEFAULTS)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a loop of its own; ten seconds is for a test that hangs, and not for one that compiles."""
    _compile()

    async def limited() -> None:
        # Tasks that a failure has ended are part of many tests: their errors need no second report when they are freed.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        await asyncio.wait_for(test(), 10)

    asyncio.run(limited())
