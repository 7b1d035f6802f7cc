"""Acknowledged publishing: in order within a topic partition, and nothing after a failure."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from streams.produce_batch import Message, Messages, ProduceBatch, Producer

__all__ = ["Outbox", "Published"]

#: Bytes not yet acknowledged above which the stages wait: about a second's output, which a flush has to wait for.
_BACKLOG_BYTES = 4 * 1024 * 1024


class Published(NamedTuple):
    """The offsets [first, end) between which the messages of one call stand, all acknowledged.

    With ``end - first`` greater than their number somebody else has written in between.
    """

    first: int
    end: int


class _Job:
    """The messages of one call."""

    __slots__ = ("acknowledged", "after", "arrived", "first", "messages", "sent", "size")

    def __init__(self, messages: Messages, after: "asyncio.Future[Any] | None") -> None:
        self.messages = messages
        self.after = after
        self.acknowledged: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        self.size: int = messages.sizes().sum().item()
        #: Messages that were sent, those of them that are acknowledged, and the offset of the first.
        self.sent = 0
        self.arrived = 0
        self.first: int | None = None

    def fill(self, batch: ProduceBatch) -> int:
        """Put messages that are not sent yet into a batch, until it is full; return how many."""
        count = batch.extend(self.messages, self.sent)
        self.sent += count
        return count

    @property
    def is_sent(self) -> bool:
        return self.sent == len(self.messages.values)


class _Lane:
    """What waits for one topic partition; at most one batch of it is on its way."""

    __slots__ = ("is_busy", "jobs", "partition", "topic")

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.jobs: deque[_Job] = deque()
        #: A batch is on its way, or a pass over the lanes is about to send one, or the first job may not be sent yet.
        self.is_busy = False


class Outbox:
    """Sends batches to topic partitions: what is ready at the same time goes in one pass, and so in one request.

    Parameters
    ----------
    producer : Producer
        Started; idempotent where the broker can.
    on_failure : callable
        Called with the error when a send has failed for good. It must stop the process: nothing is sent after.
    """

    def __init__(self, producer: Producer, on_failure: Callable[[BaseException], None]) -> None:
        self._producer = producer
        self._on_failure = on_failure
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._ready: list[_Lane] = []
        self._sending: asyncio.Task[None] | None = None
        self._pending: set[asyncio.Future[Published]] = set()
        self._backlog = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._failed = False

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], after: "asyncio.Future[Any] | None" = None
    ) -> "asyncio.Future[Published]":
        """Queue messages for one partition; the future is done once all are acknowledged.

        Parameters
        ----------
        after : future, optional
            Nothing is sent before it is done.
        """
        return self.publish_many(topic, partition, Messages.of(messages), after)

    def publish_many(
        self, topic: str, partition: int, messages: Messages, after: "asyncio.Future[Any] | None" = None
    ) -> "asyncio.Future[Published]":
        """Queue messages as `publish` does."""
        job = _Job(messages, after)
        self._pending.add(job.acknowledged)
        job.acknowledged.add_done_callback(self._pending.discard)
        self._backlog += job.size
        if self._backlog > _BACKLOG_BYTES:
            self._has_room.clear()
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        lane.jobs.append(job)
        if not lane.is_busy:
            self._go_on(lane)
        return job.acknowledged

    async def room(self) -> None:
        """Wait while too much is unacknowledged."""
        await self._has_room.wait()

    async def settled(self) -> None:
        """Wait until all that was queued before this call is acknowledged."""
        if self._pending:
            await asyncio.wait(set(self._pending))

    def _go_on(self, lane: _Lane) -> None:
        """Have a lane's next batch sent in the next pass, or once it may be."""
        lane.is_busy = bool(lane.jobs)
        if not lane.jobs:
            return
        after = lane.jobs[0].after
        if after is not None and not after.done():
            after.add_done_callback(lambda _: self._go_on(lane))
            return
        if after is not None and after.cancelled():
            return  # the loop ends
        if after is not None and (error := after.exception()) is not None:
            self._fail(error)
            return
        self._ready.append(lane)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._pass())

    async def _pass(self) -> None:
        """Send a batch of each lane that is ready."""
        try:
            while self._ready:
                ready, self._ready = self._ready, []
                # In one go: the producer puts into one request what it has got when it looks.
                for lane in ready:
                    if not self._failed:
                        await self._send(lane)
        except Exception as error:  # noqa: BLE001  whatever it was, nothing may follow what was not sent
            self._fail(error)
        finally:
            self._sending = None

    async def _send(self, lane: _Lane) -> None:
        batch = self._producer.create_batch()
        parts: list[tuple[_Job, int]] = []
        while lane.jobs and (not parts or lane.jobs[0].after is None):
            job = lane.jobs[0]
            count = job.fill(batch)
            if count:
                parts.append((job, count))
            if not job.is_sent:
                break
            lane.jobs.popleft()
        future = await self._producer.send_batch(batch, lane.topic, partition=lane.partition)
        future.add_done_callback(partial(self._acknowledge, lane, parts))

    def _acknowledge(self, lane: _Lane, parts: Sequence[tuple[_Job, int]], sent: "asyncio.Future[Any]") -> None:
        if sent.cancelled():
            return  # the loop ends
        error = sent.exception()
        if error is not None:
            self._fail(error)
            return
        offset = sent.result().offset
        for job, count in parts:
            if job.first is None:
                job.first = offset
            offset += count
            job.arrived += count
            if job.arrived == len(job.messages.values):
                self._backlog -= job.size
                job.acknowledged.set_result(Published(job.first, offset))
        if self._backlog <= _BACKLOG_BYTES // 2:
            self._has_room.set()
        self._go_on(lane)

    def _fail(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(error)
