"""Faust's consumer, handing an agent one message a poll and stage: the records of all the stage's partitions.

Group membership, assignment, flow control, the commit interval and the agents stay Faust's. What differs:

- `getmany` takes everything that was fetched (`streams.fetching` says when), keeps it by stage (`streams.held` merges
  it), and yields one `RecordBatch` for each stage that is not busy. No agent waits for a later stage: input is held
  back here, and a partition with too much held is paused at the broker.
- `force_commit` asks the stages for a checkpoint (outputs acknowledged, rows and mark durable) and commits that.
- After a rebalance partitions are sought to the stages' own positions; what was fetched before is superseded: batches
  carry the epoch they were fetched in.

Pinned to faust-streaming 0.15; `tests/streams/test_batching_contract.py` fails when what is overridden here moves.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol, TypeVar

import faust
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from models.errors import InvariantError
from streams.fetching import ConsumerThread
from streams.held import Fetched, Record, StageRecords

__all__ = ["LINES_MAX", "BatchConsumer", "BatchSchema", "BatchTransport", "Checkpoints", "RecordBatch", "cut"]

RecordT = TypeVar("RecordT")

#: Bytes of keys and values in a batch: some 1,600 events, each of which takes a tenth less time than among 400; few
#: enough to keep the event loop responsive.
_BATCH_BYTES = 256 * 1024
#: Lines of events in a packed record, at most: the pairs of orders of a hundred items take 1.4 kB a line.
LINES_MAX = 4_000
#: Batches of one stage that are handed out and not yet acknowledged.
_IN_FLIGHT = 2
#: Seconds that a fetch may last until the consumer looks whether it is to stop.
_FETCH_S = 1.0
#: Seconds until it is looked again whether there is anything to fetch.
_NOTHING_ASSIGNED_S = 0.1
#: Seconds that the hand-over of partitions may spend on a last flush and commit.
_REVOKE_S = 8.0


def cut(records: Sequence[RecordT], lines: Iterable[int]) -> Iterator[Sequence[RecordT]]:
    """Cut records into parts of which packed records can be made, whatever the events.

    Parameters
    ----------
    lines : iterable of int
        Of each record the lines of its events, at most.

    Examples
    --------
    >>> list(cut("abcd", [3000, 1000, 1, 9000]))
    ['ab', 'c', 'd']
    """
    start = total = 0
    for at, count in enumerate(lines):
        total += count
        if total > LINES_MAX and at > start:
            yield records[start:at]
            start, total = at, count
    if start < len(records):
        yield records[start:]


class RecordBatch:
    """The records of one stage from one poll: in offset order within each partition."""

    __slots__ = ("epoch", "records", "stage")

    def __init__(self, stage: str, epoch: int, records: list[Record]) -> None:
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

    def turn_of(self, topic: str) -> int | None:
        """Return at which of the turns of `streams.fetching` a topic is fetched, None for a changelog."""

    async def positions(self, assigned: Iterable[TP]) -> Mapping[TP, int | None]:
        """Return where each partition is to be read from, None for its beginning."""

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        """Make all effects so far durable; return the offset and metadata to commit for each partition."""


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """The consumer; see the module."""

    checkpoints: Checkpoints
    tick_s: float = 0.03
    fetch_max_wait_ms: int = 500

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self._held: dict[str, StageRecords] = {}
        self._in_flight: dict[str, int] = {}
        self._fetching: asyncio.Future[tuple[int, Fetched]] | None = None
        #: Held while the thread fetches or seeks: what a fetch across a seek brings would be lost.
        self._positioned = asyncio.Lock()
        #: Set while the positions are those of the stages: not from a revocation to the next seek.
        self._sought = asyncio.Event()
        #: Set when a fetch has come or a stage is done: there may be something to hand out.
        self._wake = asyncio.Event()

    @property
    def is_positioned(self) -> bool:
        """Whether the partitions are those of the stages: not from a revocation to the next seek."""
        return self._sought.is_set()

    def _new_consumer_thread(self) -> ConsumerThread:
        # A loop of the same kind as the main thread's, which need not be that of asyncio's policy.
        return ConsumerThread(self, loop=self.loop, thread_loop=type(self.loop)(), beacon=self.beacon)

    # -- fetching

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield one message for each stage that has records and is not busy."""
        await self._poll(timeout)
        epoch = self.epoch
        for stage, held in list(self._held.items()):
            while self.flow_active and epoch == self.epoch and self._in_flight.get(stage, 0) < _IN_FLIGHT:
                records = held.take(_BATCH_BYTES, monotonic())
                if not records:
                    break
                if resumed := held.resumed():
                    self._thread.resume([TP(*place) for place in resumed])
                self._in_flight[stage] = self._in_flight.get(stage, 0) + 1
                message = self._batch_message(RecordBatch(stage, epoch, records))
                yield message.tp, message

    async def _poll(self, timeout: float) -> None:
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch(timeout))
            self._fetching.add_done_callback(lambda _: self._wake.set())
        await self._wake.wait()
        self._wake.clear()
        if self._fetching.done():
            fetching, self._fetching = self._fetching, None
            epoch, fetched = fetching.result()
            if epoch == self.epoch and self.flow_active:
                self._hold(fetched)

    async def _fetch(self, timeout: float) -> tuple[int, Fetched]:
        await self._sought.wait()
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        async with self._positioned:
            epoch, active = self.epoch, self._get_active_partitions()
            if self._sought.is_set() and active:
                return epoch, await self._thread.fetch(active, timeout)
        await asyncio.sleep(_NOTHING_ASSIGNED_S)
        return epoch, Fetched({}, ())

    def _hold(self, fetched: Fetched) -> None:
        for held in self._held.values():
            held.note(fetched.behind)
        full = []
        for place, records in fetched.records.items():
            stage = self.checkpoints.stage_of(place[0])
            if stage is not None and self._held[stage].hold(place, records):
                full.append(TP(*place))
        if full:
            self._thread.pause(full)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on what `getmany` yields, until Faust's fetcher stops.

        Faust's own loop makes several tasks for each message, to leave it when the flow stops. Here it waits until the
        flow goes on, and its stage leaves it out: by then its batch is superseded.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for _, message in self.getmany(timeout=_FETCH_S):
                    await self.callback(message)
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    def _batch_message(self, batch: RecordBatch) -> ConsumerMessage:
        """Return what Faust hands on, which stands at the batch's last record."""
        last = batch.records[-1]
        tp = TP(last.topic, last.partition)
        return ConsumerMessage(
            *tp, last.offset, last.timestamp / 1000, 0, None, None, batch, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

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
        for held in self._held.values():
            for topic, count in held.lags().items():
                lags[topic] = lags.get(topic, 0) + count
            for topic, partition in held.places:
                tp = TP(topic, partition)
                lags[topic] += max(0, (self.highwater(tp) or 0) - self._thread.consumed_to(tp))
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
        places: dict[str, list[TP]] = {}
        for tp in positions:
            stage = self.checkpoints.stage_of(tp.topic)
            if stage is None:
                raise InvariantError(f"no stage reads {tp.topic}")
            places.setdefault(stage, []).append(tp)
        self._held = {stage: StageRecords(tps) for stage, tps in places.items()}
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


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with our consumer: ``app.transport = BatchTransport(...)``."""

    Consumer = BatchConsumer
