"""Acknowledged publishing: in order within a topic partition, and nothing after a failure."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

__all__ = ["Message", "Outbox", "Published"]


class Message(NamedTuple):
    """Key, value and headers of a message."""

    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


#: Bytes not yet acknowledged above which the stages wait: about a second's output, which a flush has to wait for.
_BACKLOG_BYTES = 4 * 1024 * 1024


class Published(NamedTuple):
    """The offsets [first, end) between which the messages of one call stand, all acknowledged.

    With ``end - first`` greater than their number somebody else has written in between.
    """

    first: int
    end: int


class _Job:
    __slots__ = ("acknowledged", "after", "messages", "size")

    def __init__(self, messages: Sequence[Message], after: Awaitable[object] | None) -> None:
        self.messages = messages
        self.after = after
        self.acknowledged: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        self.size = sum(len(message.value) for message in messages)


class Outbox:
    """Sends batches to topic partitions, one task and at most one request in flight for each.

    Parameters
    ----------
    producer : AIOKafkaProducer
        Started; idempotent where the broker can.
    on_failure : callable
        Called with the error when a send has failed for good. It must stop the process: nothing is sent after.
    """

    def __init__(self, producer: AIOKafkaProducer, on_failure: Callable[[BaseException], None]) -> None:
        self._producer = producer
        self._on_failure = on_failure
        self._lanes: dict[tuple[str, int], deque[_Job]] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._pending: set[asyncio.Future[Published]] = set()
        self._backlog = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._failed = False

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], after: Awaitable[object] | None = None
    ) -> "asyncio.Future[Published]":
        """Queue messages for one partition; the future is done once all are acknowledged.

        Parameters
        ----------
        after : awaitable, optional
            Nothing is sent before it is done.
        """
        job = _Job(messages, after)
        self._pending.add(job.acknowledged)
        job.acknowledged.add_done_callback(self._pending.discard)
        self._backlog += job.size
        if self._backlog > _BACKLOG_BYTES:
            self._has_room.clear()
        lane = (topic, partition)
        self._lanes.setdefault(lane, deque()).append(job)
        if lane not in self._tasks:
            self._tasks[lane] = asyncio.get_running_loop().create_task(self._drain(lane))
        return job.acknowledged

    async def room(self) -> None:
        """Wait while too much is unacknowledged."""
        await self._has_room.wait()

    async def settled(self) -> None:
        """Wait until all that was queued before this call is acknowledged."""
        if self._pending:
            await asyncio.wait(set(self._pending))

    async def _drain(self, lane: tuple[str, int]) -> None:
        jobs = self._lanes[lane]
        try:
            while jobs:
                if jobs[0].after is not None:
                    await jobs[0].after
                if self._failed:
                    return
                await self._send(lane, self._take(jobs))
        except Exception as error:  # noqa: BLE001  whatever it was, nothing may follow what was not sent
            if not self._failed:
                self._failed = True
                self._on_failure(error)
        finally:
            del self._tasks[lane]

    @staticmethod
    def _take(jobs: "deque[_Job]") -> list[_Job]:
        taken = [jobs.popleft()]
        while jobs and jobs[0].after is None and sum(job.size for job in taken) < 512 * 1024:
            taken.append(jobs.popleft())
        return taken

    async def _send(self, lane: tuple[str, int], jobs: list[_Job]) -> None:
        topic, partition = lane
        places: list[tuple[int, int]] = []
        sent = []
        batch = self._producer.create_batch()
        for job in jobs:
            for key, value, headers in job.messages:
                if batch.append(key=key, value=value, headers=list(headers), timestamp=None) is None:
                    sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                    batch = self._producer.create_batch()
                    batch.append(key=key, value=value, headers=list(headers), timestamp=None)
                places.append((len(sent), batch.record_count() - 1))
        sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        bases = [(await future).offset for future in sent]
        at = 0
        for job in jobs:
            (first_batch, first), (last_batch, last) = places[at], places[at + len(job.messages) - 1]
            at += len(job.messages)
            self._backlog -= job.size
            job.acknowledged.set_result(Published(bases[first_batch] + first, bases[last_batch] + last + 1))
        if self._backlog <= _BACKLOG_BYTES // 2:
            self._has_room.set()
