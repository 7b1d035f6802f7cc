"""The consumer hands out batches by stage: merged by time, a few at once, and nothing that a seek has superseded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP
from memory_log import T0_MS, MemoryLog, run, turns

from models.errors import InvariantError
from streams.admin import TopicsInfo
from streams.app import create_app
from streams.batching import BatchConsumer, BatchTransport, RecordBatch, cut
from streams.held import Fetched, Record
from streams.settings import Settings

STAGES = {"browse": "ingest", "add-to-cart": "ingest", "orders": "ingest", "pairs": "learn"}
BROWSE, CART, ORDERS, PAIRS = TP("browse", 0), TP("add-to-cart", 0), TP("orders", 0), TP("pairs", 0)
KILOBYTE = 1024
#: Bytes that fill a batch.
BATCH = 256 * KILOBYTE
MEGABYTE = 1024 * 1024


class Thread:
    """The consumer's thread over a log in memory: it reads from positions, which a seek moves.

    A fetch that has begun brings what is there when `gate` opens, from the positions of that moment: seeks and fetches
    run side by side in Faust's thread.
    """

    beacon = None

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.positions: dict[TP, int] = {}
        self.ends: dict[TP, int | None] = {}
        self.paused: set[TP] = set()
        self.committed: list[Mapping[TP, tuple[int, str]]] = []
        self.gate: asyncio.Event | None = None
        self.fetches = 0
        #: Partitions of which no more comes, though more is there.
        self.stuck: set[TP] = set()
        #: Records a fetch brings of one partition, at most.
        self.most = 1000

    def send(self, tp: TP, *records: tuple[int, int], size: int = 10) -> None:
        """Append records of (seconds, bytes or 0 for `size`)."""
        for seconds, length in records:
            self.log.append(tp.topic, tp.partition, [(None, b"x" * (length or size))], T0_MS + seconds * 1000)

    async def fetch(self, active: set[TP], timeout: float) -> Fetched:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        fetched: dict[tuple[str, int], list[Record]] = {}
        for tp in sorted(active - self.paused):
            records = self.log.records(*tp, start=self.positions[tp])[: self.most]
            self.ends[tp] = self.log.end(*tp)
            if records:
                fetched[tp] = [
                    Record(kept.topic, kept.partition, kept.offset, kept.timestamp, kept.key, kept.value)
                    for kept in records
                ]
                self.positions[tp] = records[-1].offset + 1
            if len(records) < self.most and tp not in self.stuck:
                self.positions[tp] = self.log.end(*tp)  # past control records, as aiokafka's position
        return Fetched(fetched, {tp for tp, end in self.ends.items() if end and self.positions[tp] < end})

    def assignment(self) -> set[TP]:
        return set(self.positions)

    def highwater(self, tp: TP) -> int | None:
        if tp not in self.positions:
            raise IllegalStateError("not assigned")
        return self.ends.get(tp)

    def consumed_to(self, tp: TP) -> int:
        return self.positions.get(tp, 0)

    def pause(self, tps: Iterable[TP]) -> None:
        self.paused |= set(tps)

    def resume(self, tps: Iterable[TP]) -> None:
        self.paused -= set(tps)

    async def commit_checkpoint(self, offsets: Mapping[TP, tuple[int, str]]) -> bool:
        self.committed.append(offsets)
        return True

    async def seek_positions(self, positions: Mapping[TP, int | None]) -> None:
        await asyncio.sleep(0)
        for tp, position in positions.items():
            self.positions[tp] = position or 0


class Stages:
    """Where each partition goes on, and what may be committed."""

    def __init__(self) -> None:
        self.resume_at: dict[TP, int | None] = {}
        self.durable: dict[TP, tuple[int, str]] = {}
        self.before_positions: Callable[[], Awaitable[None]] = turns
        self.checkpoints = 0

    def stage_of(self, topic: str) -> str | None:
        return STAGES.get(topic)

    def turn_of(self, topic: str) -> int | None:
        return 0 if topic in STAGES else None

    async def positions(self, assigned: Iterable[TP]) -> Mapping[TP, int | None]:
        await self.before_positions()
        return {tp: self.resume_at.get(tp) for tp in assigned if not tp.topic.endswith("-changelog")}

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        self.checkpoints += 1
        return self.durable


class Consumer(BatchConsumer):
    """The consumer with a thread that needs no broker."""

    def _new_consumer_thread(self) -> Any:
        return Thread()

    @property
    def thread(self) -> Thread:
        thread: Any = self._thread
        assert isinstance(thread, Thread)
        return thread

    async def poll(self) -> list[RecordBatch]:
        """Return the batches of one poll."""
        return [message.value async for _, message in self.getmany(timeout=0.1)]

    async def drain(self) -> list[RecordBatch]:
        """Return the batches of as many polls as bring any, each done at once."""
        batches: list[RecordBatch] = []
        for _ in range(20):
            polled = await self.poll()
            batches += polled
            for batch in polled:
                self.done(batch)
        return batches


@pytest.fixture
def consumer_of(tmp_path: Path) -> "Make":
    class Transport(BatchTransport):
        Consumer = Consumer

    async def make(*tps: TP) -> Consumer:
        info = TopicsInfo(1, {"browse": 1, "add-to-cart": 1, "orders": 1}, {})
        app = create_app(Settings(state_dir=tmp_path), info)
        app.transport = Transport(app.conf.broker_consumer, app)
        consumer: Consumer = app.consumer
        consumer.checkpoints = Stages()
        consumer.thread.positions = dict.fromkeys(tps, 0)
        consumer.resume_partitions(tps)
        await consumer.perform_seek()
        return consumer

    return make


Make = Callable[..., Awaitable[Consumer]]


def places(batch: RecordBatch) -> list[tuple[str, int]]:
    return [(record.topic, record.offset) for record in batch.records]


def offsets(batches: Iterable[RecordBatch], tp: TP) -> list[int]:
    return [record.offset for batch in batches for record in batch.records if (record.topic, record.partition) == tp]


# -- batches


def test_a_poll_brings_one_batch_a_stage(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, CART, PAIRS, TP("pairs", 1))
        for tp in consumer.thread.positions:
            consumer.thread.send(tp, (1, 0), (2, 0))
        batches = await consumer.poll()
        assert sorted((batch.stage, len(batch.records)) for batch in batches) == [("ingest", 4), ("learn", 4)]
        assert await consumer.poll() == []

    run(test)


def test_the_message_of_a_batch_stands_at_its_last_record(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, CART)
        consumer.thread.send(BROWSE, (1, 0), (3, 0))
        consumer.thread.send(CART, (2, 0))
        [(tp, message)] = [yielded async for yielded in consumer.getmany(timeout=0.1)]
        assert (tp, message.tp, message.offset, message.topic) == (BROWSE, BROWSE, 1, "browse")

    run(test)


def test_records_of_several_topics_are_merged_by_their_timestamps(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, CART, ORDERS)
        consumer.thread.send(BROWSE, (1, 0), (4, 0), (9, 0))
        consumer.thread.send(CART, (2, 0), (3, 0), (8, 0))
        consumer.thread.send(ORDERS, (5, 0), (7, 0))
        [batch] = await consumer.poll()
        assert places(batch) == [
            ("browse", 0), ("add-to-cart", 0), ("add-to-cart", 1), ("browse", 1),
            ("orders", 0), ("orders", 1), ("add-to-cart", 2), ("browse", 2),
        ]  # fmt: skip

    run(test)


def test_a_partition_keeps_its_order_where_its_timestamps_do_not(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, CART)
        consumer.thread.send(BROWSE, (5, 0), (1, 0), (6, 0))
        consumer.thread.send(CART, (2, 0), (5, 0))
        [batch] = await consumer.poll()
        # At equal times the topic's name decides, so that a replay merges the same.
        assert places(batch) == [("add-to-cart", 0), ("add-to-cart", 1), ("browse", 0), ("browse", 1), ("browse", 2)]

    run(test)


def test_a_batch_ends_with_the_record_that_fills_it(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.send(BROWSE, (1, BATCH // 2), (2, BATCH // 2 - 1), (3, 1), (4, 0), (5, 3 * BATCH))
        first, second = await consumer.poll()
        assert offsets([first], BROWSE) == [0, 1, 2]  # one byte less is not full
        assert offsets([second], BROWSE) == [3, 4]

    run(test)


def test_a_record_without_value_is_handed_out_too(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.log.append("browse", 0, [(b"k", None), (b"k", b"")])
        [batch] = await consumer.poll()
        assert offsets([batch], BROWSE) == [0, 1]

    run(test)


def test_records_of_a_changelog_are_left_out(consumer_of: Make) -> None:
    async def test() -> None:
        changelog = TP("sidecart-kpi-changelog", 0)
        consumer = await consumer_of(changelog, BROWSE)
        consumer.thread.send(changelog, (1, 0))
        consumer.thread.send(BROWSE, (1, 0))
        [batch] = await consumer.poll()
        assert places(batch) == [("browse", 0)]
        assert consumer.lag() == {"browse": 0}

    run(test)


# -- at most two in flight


def test_a_stage_gets_no_third_batch_before_it_is_done_with_one(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, PAIRS)
        consumer.thread.send(BROWSE, *[(second, BATCH) for second in range(5)])
        first, second = await consumer.poll()
        consumer.thread.send(PAIRS, (1, 0))
        [other] = await consumer.poll()  # the other stage is not held up
        assert other.stage == "learn"
        consumer.done(first)
        [third] = await consumer.poll()
        consumer.done(second)
        consumer.done(third)
        assert offsets([*await consumer.poll()], BROWSE) == [3, 4]

    run(test)


def test_a_stage_that_is_done_does_not_wait_for_the_fetch_under_way(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.send(BROWSE, *[(second, BATCH) for second in range(3)])
        first, _ = await consumer.poll()
        consumer.thread.gate = asyncio.Event()
        polling = asyncio.ensure_future(consumer.poll())
        await turns()
        assert not polling.done()
        consumer.done(first)
        [third] = await polling
        assert offsets([third], BROWSE) == [2]
        assert consumer.thread.fetches == 2  # the fetch under way is the next poll's too
        consumer.thread.gate.set()
        assert await consumer.poll() == []
        assert consumer.thread.fetches == 2

    run(test)


def test_a_superseded_batch_is_not_counted_when_it_is_done(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.send(BROWSE, *[(second, BATCH) for second in range(5)])
        old = await consumer.poll()
        await consumer.perform_seek()
        new = await consumer.poll()
        assert [batch.epoch for batch in old] < [batch.epoch for batch in new]
        assert (offsets(old, BROWSE), offsets(new, BROWSE)) == ([0, 1], [0, 1])
        for batch in old:
            consumer.done(batch)
        assert await consumer.poll() == []
        consumer.done(new[0])
        assert offsets(await consumer.poll(), BROWSE) == [2]

    run(test)


def test_nothing_is_handed_out_while_the_flow_stands_still(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.send(BROWSE, (1, 0))
        consumer.thread.gate = asyncio.Event()
        polling = asyncio.ensure_future(consumer.poll())
        await turns()
        consumer.stop_flow()
        consumer.thread.gate.set()
        assert await polling == []

    run(test)


# -- the merge waits for a partition that is behind


def test_the_merge_stops_where_more_of_a_partition_is_known_to_come(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, ORDERS)
        consumer.thread.most = 2
        consumer.thread.send(BROWSE, *[(second, 0) for second in range(4)])
        consumer.thread.send(ORDERS, (0, 0), (10, 0))
        first = await consumer.poll()
        assert [places(batch) for batch in first] == [[("browse", 0), ("orders", 0), ("browse", 1)]]
        second = await consumer.poll()
        assert [places(batch) for batch in second] == [[("browse", 2), ("browse", 3), ("orders", 1)]]

    run(test)


def test_a_partition_that_was_read_to_its_end_is_not_waited_for(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, ORDERS)
        consumer.thread.send(BROWSE, (1, 0))
        await consumer.poll()
        consumer.thread.send(ORDERS, (2, 0), (3, 0))
        assert offsets(await consumer.poll(), ORDERS) == [0, 1]

    run(test)


def behind(consumer: Consumer) -> None:
    """Have `browse` be known to be ahead of what is fetched, while nothing more of it comes, and one order be there."""
    thread = consumer.thread
    thread.send(BROWSE, (1, 0))
    thread.log.skip("browse", 0, 5)
    thread.stuck.add(BROWSE)
    thread.send(ORDERS, (2, 0))


def test_several_partitions_that_are_behind_are_waited_for_at_the_same_time(consumer_of: Make) -> None:
    async def test() -> None:
        others = [TP("browse", partition) for partition in range(1, 4)]
        consumer = await consumer_of(BROWSE, ORDERS, *others)
        for tp in others:
            consumer.thread.log.skip(*tp, 5)
            consumer.thread.stuck.add(tp)
        behind(consumer)
        started = monotonic()
        handed: list[RecordBatch] = []
        while not offsets(handed, ORDERS):
            # A second for the three, and one for `browse` once its record is handed out; not four.
            assert monotonic() < started + 2.4
            handed += await consumer.poll()
            await asyncio.sleep(0.01)

    run(test)


def test_a_control_record_at_the_end_is_not_waited_for(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, ORDERS)
        consumer.thread.send(BROWSE, (1, 0))
        consumer.thread.log.skip("browse", 0, 1)
        consumer.thread.send(ORDERS, (2, 0))
        assert offsets(await consumer.poll(), ORDERS) == [0]

    run(test)


def test_a_stage_with_one_topic_waits_for_none_of_its_partitions(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(PAIRS, TP("pairs", 1))
        consumer.thread.log.skip("pairs", 1, 5)
        consumer.thread.send(PAIRS, (1, 0), (2, 0))
        assert offsets(await consumer.poll(), PAIRS) == [0, 1]

    run(test)


async def wait_for_what_does_not_come(consumer: Consumer) -> None:
    behind(consumer)
    started = monotonic()
    [first] = await consumer.poll()
    assert places(first) == [("browse", 0)]
    while not (batches := await consumer.poll()):
        assert monotonic() < started + 5
        await asyncio.sleep(0.01)
    assert monotonic() >= started + 0.9
    assert offsets(batches, ORDERS) == [0]


async def catch_up(consumer: Consumer) -> None:
    """Have `browse` be behind for more than a second, while its next record always comes within a moment."""
    consumer.thread.most = 1
    consumer.thread.send(BROWSE, *[(second, 0) for second in range(1000)])
    consumer.thread.send(ORDERS, (10_000, 0))
    started = monotonic()
    while monotonic() < started + 1.2:
        batches = await consumer.poll()
        assert offsets(batches, ORDERS) == [], f"an order overtook after {monotonic() - started:.1f} s"
        for batch in batches:
            consumer.done(batch)
        await asyncio.sleep(0.01)


def test_a_partition_that_is_behind_is_waited_for_about_a_second_after_its_last_record(consumer_of: Make) -> None:
    async def test() -> None:
        waiting, catching_up = await consumer_of(BROWSE, ORDERS), await consumer_of(BROWSE, ORDERS)
        await asyncio.gather(wait_for_what_does_not_come(waiting), catch_up(catching_up))

    run(test)


# -- back-pressure


def test_a_partition_with_much_waiting_is_paused_until_most_is_handed_out(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        thread = consumer.thread
        thread.send(BROWSE, *[(second, BATCH) for second in range(8)])
        batches = await consumer.poll()  # two megabytes are held: just not too much
        assert not thread.paused
        thread.send(BROWSE, (9, BATCH), (10, BATCH), (11, 1))
        await consumer.poll()
        assert thread.paused == {BROWSE}
        while thread.paused:
            consumer.done(batches.pop(0))
            batches += await consumer.poll()
        # Half a megabyte is two of these records: with one of them and one byte it goes on.
        assert batches[-1].records[-1].offset == 8
        assert consumer.lag() == {"browse": 2}

    run(test)


def test_empty_records_fill_a_batch_and_pause_a_partition_too(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.most = 40_000
        consumer.thread.log.append(*BROWSE, [(None, None)] * 40_000, T0_MS)
        batches = await consumer.poll()
        assert len(batches[0].records) == 4096
        assert consumer.thread.paused == {BROWSE}

    run(test)


def test_the_bytes_of_keys_count(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.log.append(*BROWSE, [(b"k" * BATCH, b"")] * 3, T0_MS)
        assert [len(batch.records) for batch in await consumer.poll()] == [1, 1]

    run(test)


def test_a_partition_that_was_drained_by_one_large_record_goes_on(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        thread = consumer.thread
        thread.most = 3
        thread.send(BROWSE, *[(second, 900 * KILOBYTE) for second in range(5)])
        assert offsets(await consumer.drain(), BROWSE) == [0, 1, 2, 3, 4]

    run(test)


# -- lag


def test_the_lag_is_what_is_held_and_what_is_known_to_be_there(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, TP("browse", 1), PAIRS)
        thread = consumer.thread
        assert consumer.lag() == {"browse": 0, "pairs": 0}
        thread.most = 3
        thread.send(BROWSE, *[(second, BATCH) for second in range(10)])
        thread.send(TP("browse", 1), (1, 0))
        batches = await consumer.poll()
        assert sum(len(batch.records) for batch in batches) == 2
        assert consumer.lag() == {"browse": 2 + 7, "pairs": 0}  # fetched and held, and seven more on the broker
        for batch in batches:
            consumer.done(batch)
        await consumer.drain()
        assert consumer.lag() == {"browse": 0, "pairs": 0}

    run(test)


def test_a_partition_that_was_not_fetched_yet_has_no_lag(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.checkpoints.resume_at[BROWSE] = 5  # type: ignore[attr-defined]
        await consumer.perform_seek()
        assert consumer.highwater(BROWSE) is None
        assert consumer.lag() == {"browse": 0}

    run(test)


# -- commits


def test_a_commit_is_a_checkpoint_of_what_is_still_assigned(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.checkpoints.durable = {BROWSE: (7, "mark"), PAIRS: (3, "")}  # type: ignore[attr-defined]
        assert await consumer.commit()
        assert consumer.thread.committed == [{BROWSE: (7, "mark")}]

    run(test)


def test_nothing_is_committed_where_nothing_is_durable(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        assert not await consumer.commit()
        consumer.checkpoints.durable = {PAIRS: (3, "")}  # type: ignore[attr-defined]
        assert not await consumer.commit()
        assert consumer.thread.committed == []

    run(test)


# -- rebalances


def test_partitions_are_sought_to_the_stages_positions(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE, PAIRS)
        thread = consumer.thread
        thread.send(BROWSE, *[(second, 0) for second in range(4)])
        thread.send(PAIRS, *[(second, 0) for second in range(4)])
        await consumer.poll()
        consumer.checkpoints.resume_at = {BROWSE: 2, PAIRS: None}  # type: ignore[attr-defined]
        await consumer.perform_seek()
        batches = await consumer.drain()
        assert (offsets(batches, BROWSE), offsets(batches, PAIRS)) == ([2, 3], [0, 1, 2, 3])

    run(test)


def test_a_position_of_a_topic_that_no_stage_reads_is_a_mistake(consumer_of: Make) -> None:
    async def test() -> None:
        with pytest.raises(InvariantError, match="no stage reads other"):
            await consumer_of(TP("other", 0))

    run(test)


def test_what_was_held_before_a_seek_is_read_again(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        consumer.thread.send(BROWSE, *[(second, BATCH) for second in range(6)])
        assert offsets(await consumer.poll(), BROWSE) == [0, 1]  # the others are held
        consumer.checkpoints.resume_at = {BROWSE: 1}  # type: ignore[attr-defined]
        await consumer.perform_seek()
        assert offsets(await consumer.drain(), BROWSE) == [1, 2, 3, 4, 5]

    run(test)


def test_a_revocation_supersedes_first_and_then_commits(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        stages: Any = consumer.checkpoints
        seen: list[tuple[int, set[TP]]] = []

        async def checkpoint() -> Mapping[TP, tuple[int, str]]:
            seen.append((consumer.epoch, consumer.assignment()))
            return {BROWSE: (4, "mark")}

        stages.checkpoint = checkpoint
        consumer.thread.send(BROWSE, *[(second, BATCH) for second in range(6)])
        [first, _] = await consumer.poll()
        await consumer.on_partitions_revoked({BROWSE})
        assert seen == [(first.epoch + 1, {BROWSE})]
        assert consumer.thread.committed == [{BROWSE: (4, "mark")}]
        assert not consumer.flow_active
        assert consumer.lag() == {}

    run(test)


async def seek_during_a_fetch(consumer: Consumer, begins: str) -> list[int]:
    """Seek back to 0 while a fetch is under way that has begun `before` the seek, or while it asks for the positions.

    Faust lets the flow run while it waits for `perform_seek` (`Recovery._restart_recovery` resumes it before
    `on_recovery_completed`), and its thread works on two calls at once. Returns the offsets handed out after it.
    """
    thread = consumer.thread
    thread.most = 2
    thread.positions[BROWSE] = 2
    gate = thread.gate = asyncio.Event()
    polling: list[asyncio.Future[list[RecordBatch]]] = []

    async def begin_a_fetch() -> None:
        polling.append(asyncio.ensure_future(consumer.poll()))
        await turns()

    async def begin_and_end_a_fetch() -> None:
        await begin_a_fetch()
        gate.set()

    if begins == "before":
        await begin_a_fetch()
    else:
        stages: Any = consumer.checkpoints
        stages.before_positions = begin_and_end_a_fetch
    thread.send(BROWSE, *[(second, 0) for second in range(6)])
    seeking = asyncio.ensure_future(consumer.perform_seek())
    await turns(500)  # a seek that does not wait for the fetch is through by now
    gate.set()
    await seeking
    handed = [batch for batch in await polling[0] if batch.epoch == consumer.epoch]
    return offsets([*handed, *await consumer.drain()], BROWSE)


@pytest.mark.parametrize("begins", ["before", "meanwhile"])
def test_a_fetch_beside_a_seek_neither_loses_records_nor_brings_old_ones(consumer_of: Make, begins: str) -> None:
    async def test() -> None:
        assert await seek_during_a_fetch(await consumer_of(BROWSE), begins) == [0, 1, 2, 3, 4, 5]

    run(test)


def test_nothing_is_fetched_between_a_revocation_and_the_next_seek(consumer_of: Make) -> None:
    async def test() -> None:
        consumer = await consumer_of(BROWSE)
        await consumer.on_partitions_revoked(set())
        consumer.resume_flow()  # as Faust does before the takeovers
        consumer.resume_partitions({BROWSE})
        consumer.thread.send(BROWSE, (1, 0))
        polling = asyncio.ensure_future(consumer.poll())
        await turns()
        assert (consumer.thread.fetches, consumer.is_positioned) == (0, False)
        await consumer.perform_seek()
        assert consumer.is_positioned
        assert offsets(await polling, BROWSE) == [0]

    run(test)


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ([], []),
        ([4_000], [[0]]),
        ([3_999, 1, 1], [[0, 1], [2]]),
        ([9_000, 1, 4_000, 9_000], [[0], [1], [2], [3]]),  # a record is never cut itself
        ([0, 4_000, 0, 1], [[0, 1, 2], [3]]),
    ],
)
def test_records_are_cut_where_their_lines_would_be_too_many(lines: list[int], parts: list[list[int]]) -> None:
    assert [list(part) for part in cut(range(len(lines)), lines)] == parts
