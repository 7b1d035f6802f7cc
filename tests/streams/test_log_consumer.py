"""What is read of a log in bulk is what aiokafka reads, record by record."""

import asyncio
import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from memory_log import run, turns

from streams.admin import create_topics
from streams.brokers.kafka import KafkaBroker
from streams.clients import Clients
from streams.log_consumer import LogConsumer, LogRecord, committed_records
from streams.settings import Settings
from streams.topics import changelog_name

LOG = TopicPartition("log", 3)


class State:
    """What aiokafka knows of an assigned partition."""

    paused = False
    position = 0

    def consumed_to(self, position: int) -> None:
        self.position = position


class Assignment:
    """One assigned partition."""

    active = True

    def __init__(self) -> None:
        self.state = State()

    def state_value(self, log: TopicPartition) -> State:
        return self.state


#: The attribute of a control batch, whose key says what it is.
CONTROL = 0x20
ABORTED, COMMITTED = b"\0\0\0\0", b"\0\0\0\1"


def log_of(*batches: tuple[int | None, Sequence[bytes]], marker: bytes | None = None) -> bytes:
    """Return record batches as a broker sends them, from offset 0 on, each of one transaction's producer or of none.

    With a marker the second batch is a control batch.
    """
    data = b""
    offset = 0
    for number, (producer, values) in enumerate(batches):
        is_control = marker is not None and number == 1
        batch = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=0,
            is_transactional=int(producer is not None),
            producer_id=-1 if producer is None else producer,
            producer_epoch=0,
            base_sequence=0,
            batch_size=64 * 1024,
        )
        for at, value in enumerate(values):
            headers = [("place", str(at).encode())] if value == b"h" else []
            batch.append(at, 1_000 + offset + at, marker if is_control else b"k", value, headers)
        built = bytearray(offset.to_bytes(8) + bytes(batch.build())[8:])
        if is_control:
            built[22] |= CONTROL
        data += bytes(built)
        offset += len(values)
    return data


def result_of(
    data: bytes, assignment: Assignment, aborted: Sequence[tuple[int, int]] = (), position: int = 0, checks: bool = True
) -> FetchResult:
    assignment.state.consumed_to(position)
    records = PartitionRecords(LOG, MemoryRecords(data), list(aborted), position, None, None, checks, READ_COMMITTED)
    return FetchResult(LOG, assignment=assignment, partition_records=records, backoff=0.1)


ONE, OTHER, NOBODY = 7, 8, None


@pytest.mark.parametrize(
    ("batches", "aborted", "position", "read"),
    [
        ([(NOBODY, [b"a", b""]), (NOBODY, [b"h"])], [], 0, [b"a", b"", b"h"]),
        ([(NOBODY, [b"a", b"b", b"c"])], [], 2, [b"c"]),
        ([(ONE, [b"a"]), (OTHER, [b"b"])], [], 0, [b"a", b"b"]),
        ([(ONE, [b"a"]), (OTHER, [b"b"]), (NOBODY, [b"c"])], [(ONE, 0)], 0, [b"b", b"c"]),
        ([(OTHER, [b"a"]), (ONE, [b"b"]), (ONE, [b"c"])], [(ONE, 1)], 0, [b"a"]),
    ],
)
def test_records_are_those_that_aiokafka_reads(
    batches: list[tuple[int | None, list[bytes]]], aborted: list[tuple[int, int]], position: int, read: list[bytes]
) -> None:
    data, assignment = log_of(*batches), Assignment()
    theirs = result_of(data, assignment, aborted, position).getall()
    end = assignment.state.position
    ours = committed_records(result_of(data, assignment, aborted, position))
    assert [record.value for record in ours] == read
    assert ours == [
        LogRecord(their.topic, their.partition, their.offset, their.timestamp, their.key, their.value, [*their.headers])
        for their in theirs
    ]
    assert assignment.state.position == end == sum(len(values) for _, values in batches)


@pytest.mark.parametrize(("marker", "read"), [(ABORTED, [b"b"]), (COMMITTED, [])])
def test_a_transaction_is_aborted_up_to_its_marker(marker: bytes, read: list[bytes]) -> None:
    data = log_of((ONE, [b"a"]), (ONE, [b"marker"]), (ONE, [b"b"]), marker=marker)
    theirs = result_of(data, Assignment(), [(ONE, 0)], checks=False).getall()
    ours = committed_records(result_of(data, Assignment(), [(ONE, 0)], checks=False))
    assert [record.value for record in ours] == [record.value for record in theirs] == read


def test_what_was_fetched_before_a_seek_is_left_out() -> None:
    assignment = Assignment()
    result = result_of(log_of((NOBODY, [b"a"])), assignment)
    assignment.state.consumed_to(7)
    assert committed_records(result) == []


def test_a_damaged_batch_is_an_error() -> None:
    data = bytearray(log_of((NOBODY, [b"abc"])))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException):
        committed_records(result_of(bytes(data), Assignment()))


# -- the consumer


class FakeFetcher:
    """aiokafka's fetcher without its task."""

    _wait_consume_future = None

    def __init__(self) -> None:
        self._records: dict[TopicPartition, Any] = {}
        self.waiters: list[asyncio.Future[None]] = []
        self.woken = 0

    def _create_fetch_waiter(self) -> "asyncio.Future[None]":
        self.waiters.append(asyncio.get_running_loop().create_future())
        return self.waiters[-1]

    def _notify(self, future: object) -> None:
        self.woken += 1


class Consumer(LogConsumer):
    """A consumer that has nothing of aiokafka's but the fetcher."""

    def __init__(self) -> None:
        self._fetcher: Any = FakeFetcher()

    def __del__(self, *args: object) -> None: ...


def test_a_call_takes_what_is_there_and_has_the_fetcher_go_on() -> None:
    async def test() -> None:
        consumer, assignment = Consumer(), Assignment()
        consumer._fetcher._records = {LOG: result_of(log_of((NOBODY, [b"a", b"b"])), assignment)}
        fetched = await consumer.getmany(LOG, TopicPartition("log", 4), timeout_ms=1000)
        assert {log: [record.value for record in records] for log, records in fetched.items()} == {LOG: [b"a", b"b"]}
        assert (consumer._fetcher._records, consumer._fetcher.woken, assignment.state.position) == ({}, 1, 2)
        assert await consumer.getmany(LOG) == {}

    run(test)


def test_a_call_waits_for_something_as_long_as_it_is_told() -> None:
    async def test() -> None:
        consumer = Consumer()
        assert await consumer.getmany(LOG, timeout_ms=1) == {}
        waiting = asyncio.ensure_future(consumer.getmany(LOG, timeout_ms=10_000))
        await turns()
        assert consumer._fetcher.waiters[0].cancelled()
        consumer._fetcher._records[LOG] = result_of(log_of((NOBODY, [b"a"])), Assignment())
        consumer._fetcher.waiters[1].set_result(None)
        assert [record.value for record in (await waiting)[LOG]] == [b"a"]

    run(test)


def test_an_error_is_raised_once_there_is_nothing_else() -> None:
    async def test() -> None:
        consumer, other = Consumer(), TopicPartition("log", 4)
        consumer._fetcher._records = {
            other: FetchError(error=KafkaError("gone"), backoff=0.1),
            LOG: result_of(log_of((NOBODY, [b"a"])), Assignment()),
        }
        assert list(await consumer.getmany(other, LOG)) == [LOG]
        with pytest.raises(KafkaError, match="gone"):
            await consumer.getmany(other, LOG)
        assert consumer._fetcher._records == {}
        assert await consumer.getmany(other, LOG) == {}

    run(test)


@pytest.mark.kafka
def test_a_log_with_all_kinds_of_transactions_is_read_as_aiokafka_does(kafka: KafkaBroker, settings: Settings) -> None:
    async def test() -> tuple[list[Any], list[Any]]:
        clients = Clients(settings, has_transactions=True)
        topic = changelog_name(settings, "cooccurrence")
        writers = [clients.producer(f"{topic}-{number}") for number in range(2)]
        for writer in (*writers, plain := clients.producer()):
            await writer.start()
        for round_ in range(6):
            for number, writer in enumerate(writers):
                await writer.begin_transaction()
                for at in range(20):
                    await writer.send_and_wait(topic, f"{round_}-{at}".encode(), f"k{number}".encode(), partition=0)
                    await plain.send_and_wait(topic, b"plain", b"k", partition=0, headers=[("h", b"1")])
                await (writer.abort_transaction() if (round_ + number) % 3 == 0 else writer.commit_transaction())
        for writer in (*writers, plain):
            await writer.stop()
        theirs = AIOKafkaConsumer(
            bootstrap_servers=settings.servers, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        return [await all_of(consumer, topic) for consumer in (clients.log_consumer(), theirs)]  # type: ignore[return-value]

    create_topics(settings, 1)
    ours, theirs = asyncio.run(asyncio.wait_for(test(), 60))
    assert len(ours) == 6 * 2 * 20 + 8 * 20
    assert ours == [
        LogRecord(their.topic, their.partition, their.offset, their.timestamp, their.key, their.value, [*their.headers])
        for their in theirs
    ]


async def all_of(consumer: Any, topic: str) -> list[Any]:
    log = TopicPartition(topic, 0)
    await consumer.start()
    consumer.assign([log])
    consumer.seek(log, 0)
    end = (await consumer.end_offsets([log]))[log]
    read: list[Any] = []
    while await consumer.position(log) < end:
        read += (await consumer.getmany(log, timeout_ms=200)).get(log, [])
    await consumer.stop()
    return read


def test_aiokafka_s_fetcher_is_the_one_that_is_read() -> None:
    def source(function: Any) -> str:
        return textwrap.dedent(inspect.getsource(function))

    assert "self._fetcher = Fetcher(" in source(AIOKafkaConsumer.start)
    for name in ("_notify", "_create_fetch_waiter"):
        assert inspect.isfunction(getattr(Fetcher, name))
    assert "self._records = collections.OrderedDict()" in source(Fetcher.__init__)
    taken = source(Fetcher.fetched_records)
    assert "del self._records[tp]\n                    self._notify(self._wait_consume_future)" in taken
    unpack = source(PartitionRecords._unpack_records)
    for line in (
        "self._isolation_level == READ_COMMITTED\n            and next_batch.producer_id is not None",
        "self._consume_aborted_up_to(next_batch.base_offset)",
        "self._aborted_producers.discard(next_batch.producer_id)",
        "next_batch.is_transactional\n                and next_batch.producer_id in self._aborted_producers",
    ):
        assert line in unpack, "committed_records does the same"
