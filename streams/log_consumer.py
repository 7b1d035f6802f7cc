"""The consumer that reads logs in bulk, without a group: aiokafka's, which hands out its records at half the price.

Pinned to aiokafka's `Fetcher`; `tests/streams/test_log_consumer.py` fails when what is used here moves.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError, FetchResult
from aiokafka.errors import CorruptRecordException

__all__ = ["LogConsumer", "LogRecord", "committed_records", "unread_batches"]


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One record of a log: what is read of aiokafka's `ConsumerRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class LogConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose `getmany` takes all that was fetched, and has the next fetch on its way meanwhile."""

    async def getmany(self, *logs: TopicPartition, timeout_ms: int = 0) -> dict[TopicPartition, list[LogRecord]]:
        """Return what was fetched of some logs; waits for something, as long as `timeout_ms`."""
        fetcher = self._fetcher
        results = _take(fetcher, logs)
        if not results and timeout_ms:
            waiter = fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=timeout_ms / 1000)
            if not done:
                waiter.cancel()
                return {}
            waiter.result()
            results = _take(fetcher, logs)
        fetched = {result._topic_partition: committed_records(result) for result in results}
        fetcher._notify(fetcher._wait_consume_future)
        return {log: records for log, records in fetched.items() if records}


def _take(fetcher: Any, logs: Iterable[TopicPartition]) -> list[FetchResult]:
    """Take what was fetched out of a fetcher; an error is raised once there is nothing else."""
    results = []
    for log in logs:
        result = fetcher._records.get(log)
        if isinstance(result, FetchResult):
            results.append(fetcher._records.pop(log))
    if not results:
        for log in logs:
            result = fetcher._records.pop(log, None)
            if isinstance(result, FetchError):
                fetcher._notify(fetcher._wait_consume_future)
                result.check_raise()
    return results


def unread_batches(result: FetchResult) -> Iterator[tuple[Any, int]]:
    """Yield each batch of what was fetched of a partition, and the first offset of it that is new.

    As `FetchResult.getall`; the consumer's position has moved past them once all were taken.

    Raises
    ------
    CorruptRecordException
        A checksum does not fit.
    """
    log, fetched = result._topic_partition, result._partition_records
    if not result.check_assignment(log) or not result.has_more():
        return
    while fetched._records.has_next():
        batch = fetched._records.next_batch()
        if fetched._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {log}")
        # A batch may begin before the position.
        yield batch, fetched.next_fetch_offset
        fetched.next_fetch_offset = batch.next_offset
    result._update_position()
    result._partition_records = None


def committed_records(result: FetchResult) -> list[LogRecord]:
    """Take all records that are committed out of what was fetched of a log; see `unread_batches`.

    As `PartitionRecords._unpack_records`, with our records for aiokafka's.
    """
    (topic, partition), fetched = result._topic_partition, result._partition_records
    records: list[LogRecord] = []
    for batch, first in unread_batches(result):
        is_aborted = False
        if fetched._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            fetched._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and fetched._contains_abort_marker(batch):
                fetched._aborted_producers.discard(batch.producer_id)
            is_aborted = batch.is_transactional and batch.producer_id in fetched._aborted_producers
        if not is_aborted and not batch.is_control_batch:
            records += [
                LogRecord(topic, partition, record.offset, record.timestamp, record.key, record.value, record.headers)
                for record in batch
                if record.offset >= first
            ]
    return records
