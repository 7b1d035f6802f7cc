"""The thread that owns the aiokafka consumer: what it asks the broker for, when, and what it hands over.

aiokafka keeps one fetch a broker in flight and fetches again what was taken, whether somebody needs it or not: what it
holds then is as old as the last look. Here a fetch is sent when somebody wants records, and a topic that brought some
is asked again a tick later. So an event waits a tick at most, records gather at the broker meanwhile, and an idle
worker asks twice a second.

Topics have one of two turns. At the first turn come the inputs, and what may wait as long as they; at the second
what the worker makes of them itself and somebody waits for. The second is due as soon as the first has brought
something: with only a tick of its own it would keep whatever distance it has, and might always be late.

Pinned to aiokafka's `Fetcher`; `tests/streams/test_batching_contract.py` fails when what is used here moves.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from time import monotonic
from typing import Any

from aiokafka.consumer.fetcher import FetchError, FetchResult
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.held import Fetched, Record
from streams.log_consumer import unread_batches

__all__ = ["TURNS", "ConsumerThread", "Pacing", "records_of"]

#: `Checkpoints.turn_of` says which topic has which.
TURNS = _FIRST, _SECOND = 0, 1

#: Longest wait of a fetch while some partitions are left out because much of them is held.
_PAUSED_WAIT_S = 0.02
#: Seconds until it is looked again whether the group has assigned anything.
_NOTHING_ASSIGNED_S = 0.1


class Pacing:
    """Decides what the next fetch asks for, in place of aiokafka's fetcher.

    Parameters
    ----------
    fetcher : aiokafka.consumer.fetcher.Fetcher
        Of the consumer, started.
    turn_of : callable
        Returns the turn of a topic, None for a changelog, which is never fetched.
    tick_s : float
        Seconds of a tick.
    """

    def __init__(self, fetcher: Any, turn_of: Callable[[str], int | None], tick_s: float) -> None:
        self._fetcher = fetcher
        self._turn_of = turn_of
        self._tick_s = tick_s
        #: When each turn is due, in seconds of the monotonic clock.
        self._due = [0.0 for _ in TURNS]
        self._is_wanted = False
        self._assignment: Any = None
        self._partitions: list[tuple[TopicPartition, Any, int | None]] = []
        fetcher._get_actions_per_node = self.actions

    def want(self, is_wanted: bool) -> None:
        """Say whether somebody waits for records: without, none are fetched."""
        self._is_wanted = is_wanted
        if is_wanted:
            self.wake()

    def wake(self) -> None:
        """Have the fetcher look again: something has changed."""
        self._fetcher._notify(self._fetcher._wait_consume_future)

    def brought(self, topics: Iterable[str]) -> None:
        """Note that records of these topics have come."""
        now = monotonic()
        turns = set(map(self._turn_of, topics))
        if _SECOND in turns:
            self._due[_SECOND] = now + self._tick_s
        if _FIRST in turns:
            self._due[_FIRST] = now + self._tick_s
            self._due[_SECOND] = now

    def behind(self) -> frozenset[tuple[str, int]]:
        """Return the partitions of which the broker had more than was fetched."""
        return frozenset(
            (tp.topic, tp.partition)
            for tp, state, _ in self._partitions
            if state.highwater is not None and (state._position or 0) < state.highwater
        )

    def actions(
        self, assignment: Any
    ) -> tuple[list[tuple[int, FetchRequest]], Mapping[int, list[TopicPartition]], float, bool, list[Any]]:
        """Return fetch requests and position resets by node, when to look again, whether a leader is unknown.

        The last list is empty: nobody is told when a partition is resumed, `wake` does it.
        """
        fetcher = self._fetcher
        if assignment is not self._assignment:
            self._assignment = assignment
            self._partitions = [
                (tp, assignment.state_value(tp), self._turn_of(tp.topic)) for tp in sorted(assignment.tps)
            ]
        now = monotonic()
        is_open = [due <= now for due in self._due]
        wait_s = min((due - now for due in self._due if due > now), default=fetcher._fetch_max_wait_ms / 1000)
        resets: dict[int, list[TopicPartition]] = defaultdict(list)
        wanted: dict[int, dict[str, list[tuple[int, int, int]]]] = defaultdict(lambda: defaultdict(list))
        is_leader_unknown = False
        # What has come is not drained yet: whoever waits has got it.
        is_wanted = self._is_wanted and not fetcher._records
        for tp, state, turn in self._partitions:
            node = fetcher._select_read_replica(tp)
            if node in fetcher._in_flight:
                continue
            if node is None or node == -1:
                is_leader_unknown = True
            elif not state.has_valid_position:
                resets[node].append(tp)
            elif turn is None or not is_wanted:
                continue
            elif state.paused:
                wait_s = min(wait_s, _PAUSED_WAIT_S)
            elif is_open[turn]:
                wanted[node][tp.topic].append((tp.partition, state.position, fetcher._max_partition_fetch_bytes))
        requests = [(node, self._request(topics, wait_s)) for node, topics in wanted.items() if node not in resets]
        return requests, resets, min(wait_s, fetcher._fetcher_timeout), is_leader_unknown, []

    def _request(self, topics: Mapping[str, list[tuple[int, int, int]]], wait_s: float) -> FetchRequest:
        fetcher = self._fetcher
        return FetchRequest(
            ceil(wait_s * 1000),
            fetcher._fetch_min_bytes,
            fetcher._fetch_max_bytes,
            fetcher._isolation_level,
            list(topics.items()),
            rack_id="",
        )


def records_of(result: FetchResult) -> list[Record]:
    """Take all records out of what was fetched of a partition; see `streams.log_consumer.unread_batches`."""
    topic, partition = result._topic_partition
    return [
        Record(topic, partition, record.offset, record.timestamp, record.key, record.value)
        for batch, first in unread_batches(result)
        if not batch.is_control_batch
        for record in batch
        if record.offset >= first
    ]


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with our fetching; `consumer` is a `streams.batching.BatchConsumer`."""

    _pacing: Pacing

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust's 1.5 s cannot be set; the embedded broker does not wake a waiting fetch.
        consumer._fetch_max_wait_ms = self.consumer.fetch_max_wait_ms
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self.consumer
        self._fetches: set[asyncio.Task[None]] = set()
        self._pacing = Pacing(self._ensure_consumer()._fetcher, consumer.checkpoints.turn_of, consumer.tick_s)

    # -- called from the main loop

    def fetch(self, active: Iterable[TP], timeout: float) -> "asyncio.Future[Fetched]":
        """Return what is there of these partitions, once there is something or the time has passed."""
        # Not Faust's call_thread: its queue takes longer than the fetch.
        promise: asyncio.Future[Fetched] = self.parent_loop.create_future()
        self.thread_loop.call_soon_threadsafe(self._begin_fetch, promise, frozenset(active), timeout)
        return promise

    def pause(self, tps: Iterable[TP]) -> None:
        self._in_thread(self._ensure_consumer().pause, tps)

    def resume(self, tps: Iterable[TP]) -> None:
        self._in_thread(self._ensure_consumer().resume, tps)

    def consumed_to(self, tp: TP) -> int:
        """Return the offset up to which a partition was handed over, past the control records of transactions."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment
        state = assignment.state_value(TopicPartition(*tp))
        return int(state._position or 0) if state else 0

    async def commit_checkpoint(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        return bool(await self.call_thread(self._commit_checkpoint, offsets))

    async def seek_positions(self, positions: Mapping[TP, int | None]) -> None:
        await self.call_thread(self._seek_positions, positions)

    # -- in the thread

    def _begin_fetch(self, promise: "asyncio.Future[Fetched]", active: frozenset[TP], timeout: float) -> None:
        task = self.thread_loop.create_task(self._fetch(promise, active, timeout))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _fetch(self, promise: "asyncio.Future[Fetched]", active: frozenset[TP], timeout: float) -> None:
        try:
            fetched = await self._fetched(active, timeout)
        except BaseException as error:  # noqa: BLE001  whoever waits in the other thread is told
            self.parent_loop.call_soon_threadsafe(_fail, promise, error)
        else:
            self.parent_loop.call_soon_threadsafe(_fulfil, promise, fetched)

    async def _fetched(self, active: frozenset[TP], timeout: float) -> Fetched:
        consumer = self._ensure_consumer()
        fetcher, subscriptions, pacing = consumer._fetcher, consumer._subscription, self._pacing
        if not self.consumer.flow_active:
            return Fetched({}, ())
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        if subscriptions.reassignment_in_progress:
            await asyncio.sleep(_NOTHING_ASSIGNED_S)
            return Fetched({}, ())
        pacing.want(True)
        try:
            with subscriptions.fetch_context():
                records = self._drain(fetcher, active)
                if not records:
                    waiter = fetcher._create_fetch_waiter()
                    done, _ = await asyncio.wait([waiter], timeout=timeout)
                    if not done:
                        waiter.cancel()
                        return Fetched({}, pacing.behind())
                    waiter.result()  # of the group: the consumer may not go on
                    records = self._drain(fetcher, active)
        finally:
            pacing.want(False)
        return Fetched(records, pacing.behind())

    def _drain(self, fetcher: Any, active: frozenset[TP]) -> dict[tuple[str, int], list[Record]]:
        """Take everything that was fetched; one partition that is left lying would hold up its broker's others."""
        drained: dict[tuple[str, int], list[Record]] = {}
        for tp in [tp for tp in fetcher._records if tp in active]:
            result = fetcher._records[tp]
            if isinstance(result, FetchError):
                if not drained:
                    del fetcher._records[tp]
                    result.check_raise()
                continue  # raised by the next call
            del fetcher._records[tp]
            if records := records_of(result):
                drained[tp.topic, tp.partition] = records
        self._pacing.brought({topic for topic, _ in drained})
        return drained

    def _in_thread(self, change: Any, tps: Iterable[TP]) -> None:
        consumer = self._ensure_consumer()
        wanted = [TopicPartition(tp.topic, tp.partition) for tp in tps]

        def apply() -> None:
            change(*[tp for tp in wanted if tp in consumer.assignment()])
            self._pacing.wake()

        self.thread_loop.call_soon_threadsafe(apply)

    async def _commit_checkpoint(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        try:
            await self._ensure_consumer().commit(
                {TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()}
            )
        except (CommitFailedError, IllegalStateError):
            # The group has moved on: the next owner of the partitions starts from the marks.
            return False
        return True

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


def _fulfil(promise: "asyncio.Future[Fetched]", fetched: Fetched) -> None:
    if not promise.done():
        promise.set_result(fetched)


def _fail(promise: "asyncio.Future[Fetched]", error: BaseException) -> None:
    if not promise.done():
        promise.set_exception(error)
