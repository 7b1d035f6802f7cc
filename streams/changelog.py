"""Reads log partitions from one offset to their end: changelogs, and what a former owner has published."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition

from models.errors import AccidentError
from streams.log_consumer import LogConsumer, LogRecord

__all__ = ["LogReader"]

_POLL_MS = 200


def _unseen(records: int, end: int) -> None:
    """Take no notice of progress."""


class LogReader:
    """Reads without a consumer group, only what is committed, until a freshly fetched end is reached.

    Parameters
    ----------
    new_consumer : callable
        Makes an unstarted consumer with ``isolation_level="read_committed"`` and no group.
    """

    def __init__(self, new_consumer: Callable[[], LogConsumer]) -> None:
        self._new_consumer = new_consumer

    async def read(
        self,
        topic: str,
        partition: int,
        start: int | None,
        apply: Callable[[Sequence[LogRecord]], None],
        on_progress: Callable[[int, int], None] = _unseen,
    ) -> int:
        """Hand all records from `start` (None: the beginning) to `apply`, in order, in batches.

        Parameters
        ----------
        on_progress : callable, optional
            Called before the first batch and after each one with the offsets passed and those to pass in all; the
            latter may grow.

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
            first: int = max(beginning, start or 0)
            position = first
            consumer.seek(log, position)
            on_progress(0, end - first)
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
                if records or position >= end:
                    on_progress(position - first, end - first)
            return position

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the offset of the first record that a log partition still has, and the offset after its last."""
        log = TopicPartition(topic, partition)
        async with self._consumer() as consumer:
            return (await consumer.beginning_offsets([log]))[log], (await consumer.end_offsets([log]))[log]

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[LogConsumer]:
        consumer = self._new_consumer()
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()
