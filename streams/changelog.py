"""Reads log partitions from one offset to their end: changelogs, and what a former owner has published."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from models.errors import AccidentError

__all__ = ["LogReader"]

_POLL_MS = 200


class LogReader:
    """Reads without a consumer group, only what is committed, until a freshly fetched end is reached.

    Parameters
    ----------
    new_consumer : callable
        Makes an unstarted consumer with ``isolation_level="read_committed"`` and no group.
    """

    def __init__(self, new_consumer: Callable[[], AIOKafkaConsumer]) -> None:
        self._new_consumer = new_consumer

    async def read(
        self, topic: str, partition: int, start: int | None, apply: Callable[[Sequence[ConsumerRecord]], None]
    ) -> int:
        """Hand all records from `start` (None: the beginning) to `apply`, in order, in batches.

        Returns
        -------
        int
            The end: the offset after the last one that was there.

        Raises
        ------
        AccidentError
            When the log ends before `start`: it is not the log that the state was made from.
        """
        log = TopicPartition(topic, partition)
        async with self._consumer() as consumer:
            consumer.assign([log])
            beginning = (await consumer.beginning_offsets([log]))[log]
            end = (await consumer.end_offsets([log]))[log]
            if start is not None and start > end:
                raise AccidentError(
                    f"{topic}/{partition} ends at offset {end}, but was read up to {start} before: the topic was"
                    " deleted or cut; restore it, or remove the state folder and the consumer group to start anew"
                )
            position: int = max(beginning, start or 0)
            consumer.seek(log, position)
            while position < end:
                fetched = await consumer.getmany(log, timeout_ms=_POLL_MS)
                records = fetched.get(log, [])
                if records:
                    apply(records)
                    await asyncio.sleep(0)
                position = await consumer.position(log)
                if position >= end:
                    # Compaction may have moved a row past the end that was seen first.
                    end = (await consumer.end_offsets([log]))[log]
            return position

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the offset of the first record that a log partition still has, and the offset after its last."""
        log = TopicPartition(topic, partition)
        async with self._consumer() as consumer:
            return (await consumer.beginning_offsets([log]))[log], (await consumer.end_offsets([log]))[log]

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = self._new_consumer()
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()
