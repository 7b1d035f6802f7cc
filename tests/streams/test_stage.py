"""What the stages with a table share: fold each record once, flush outputs before rows, own what nobody else has."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from faust.types import TP
from memory_log import MemoryConsumer, run, turns
from memory_worker import TOPIC_IDS, Deployment, MemoryWorker, event

from models.coverage import Packed, Span
from models.errors import AccidentError
from models.hashing import hash64
from models.kpi import Window
from models.shard import Shard
from streams.batching import RecordBatch
from streams.brokers.embedded import EmbeddedBroker
from streams.produce_batch import Message
from streams.recovery import Loading
from streams.settings import Settings
from streams.stage import Restoring, check_mark
from streams.topics import topic_table
from streams.wire import MARK_KEY, PACKED_TALLIES, ROWS, Mark, encode_mark, row_key


async def worker_with(*sessions: str, partitions: int = 2) -> MemoryWorker:
    """Return a worker that owns everything, with one event of each session to fold in partition 0."""
    deployment = Deployment(partitions)
    for session in sessions:
        deployment.put(event(session, "e1", "tea"))
    worker = MemoryWorker(deployment)
    await worker.take_over()
    return worker


# -- the fold


def test_a_stage_folds_each_partition_and_moves_its_position() -> None:
    async def test() -> None:
        worker = await worker_with("a", "b")
        worker.deployment.put(event("c", "e1", "cup"), partition=1)
        await worker.fold(worker.suggest)
        assert {partition: shard.position for partition, shard in worker.suggest.shards.items()} == {0: 2, 1: 1}
        assert worker.suggest.shards[0].keys == {"a", "b"}
        await worker.stop()

    run(test)


def test_a_superseded_batch_is_not_folded() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        batch = worker.batch(worker.suggest)
        worker.epoch += 1
        await worker.suggest.handle(batch)
        assert worker.suggest.shards[0].position == 0
        assert worker.producer.requests == []
        await worker.stop()

    run(test)


def test_a_batch_that_is_superseded_while_it_waits_for_room_is_not_folded() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        worker.producer.held = {"elsewhere"}
        worker.context.outbox.publish("elsewhere", 0, [Message(None, b"x" * 5_000_000)])
        waiting = asyncio.ensure_future(worker.suggest.handle(worker.batch(worker.suggest)))
        await turns()
        assert not waiting.done()
        worker.epoch += 1
        worker.producer.release("elsewhere")
        await waiting
        assert worker.suggest.shards[0].position == 0
        await worker.stop()

    run(test)


@pytest.mark.parametrize("stage", ["suggest", "learn", "measure"])
def test_a_redelivered_record_is_skipped(stage: str) -> None:
    async def test() -> None:
        worker = await worker_with("a", "b")
        batches = {}
        for each in worker.table_stages:
            batches[type(each).__name__.lower()] = worker.batch(each)
            await worker.fold(each)
        requests = len(worker.producer.requests)
        positions = {key: shard.position for key, shard in worker.learn.shards.items()}
        await getattr(worker, stage).handle(batches[stage])
        await turns()
        assert batches[stage].records
        assert requests == len(worker.producer.requests)
        assert positions == {key: shard.position for key, shard in worker.learn.shards.items()}
        for topic in ("session-events", "pairs", "tallies"):
            assert worker.metric("sidecart_packed_repeats_total", topic=topic) == 0
        await worker.stop()

    run(test)


def test_a_batch_that_overlaps_what_is_folded_goes_on_where_that_ends() -> None:
    async def test() -> None:
        worker = await worker_with("a", "b", "c")
        whole = worker.batch(worker.suggest)
        await worker.suggest.handle(worker.batch(worker.suggest, most=2))
        await worker.suggest.handle(whole)
        await turns()
        assert len(worker.deployment.messages("suggestions")) == len(worker.deployment.suggestions()) == 3
        await worker.stop()

    run(test)


def test_a_log_that_goes_on_later_than_it_should_is_an_accident() -> None:
    async def test() -> None:
        worker = await worker_with("a", "b")
        batch = worker.batch(worker.suggest)
        with pytest.raises(
            AccidentError,
            match=r"^session-events/0 continues at offset 1, but 0 is next: the log was cut before it was read; raise",
        ):
            await worker.suggest.handle(RecordBatch("sessions", worker.epoch, batch.records[1:]))
        await worker.stop()

    run(test)


def test_repeated_and_missing_ranges_are_counted() -> None:
    async def test() -> None:
        worker = await worker_with()
        spans = [Span("a", -1, 4), Span("b", 3, 4), Span("a", 2, 4)]
        value = PACKED_TALLIES.encode(Packed(spans, []))
        worker.deployment.log.append("tallies", 0, [(None, value)])
        await worker.fold(worker.measure)
        assert worker.metric("sidecart_packed_repeats_total", topic="tallies") == 1
        assert worker.metric("sidecart_packed_gaps_total", topic="tallies") == 1
        await worker.stop()

    run(test)


# -- the flush


def test_outputs_are_acknowledged_before_rows_and_rows_before_the_offsets() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        worker.producer.held = {"suggestions", "pairs"}
        await worker.fold(worker.suggest)
        flushing = asyncio.ensure_future(worker.suggest.flush())
        await turns()
        assert worker.deployment.journal == []
        worker.producer.release("pairs")
        await turns()
        assert not flushing.done() and ("flushed", "sessions", 0) not in worker.deployment.journal
        worker.producer.release("suggestions")
        assert await flushing == {TP("session-events", 0): (1, "")}
        steps = [f"{what} {name}" for what, name, _ in worker.deployment.journal]
        assert steps.pop() == "flushed sessions"
        assert set(steps) == {"acknowledged pairs", "acknowledged suggestions", "acknowledged tallies"}
        await worker.stop()

    run(test)


def test_a_flush_that_fails_commits_nothing() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.fold(worker.suggest)
        worker.stores["sessions"].owned.clear()
        with pytest.raises(AssertionError):
            await worker.suggest.flush()
        await worker.stop()

    run(test)


def test_only_partitions_with_news_are_flushed() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.fold(worker.suggest)
        assert await worker.suggest.flush() == {TP("session-events", 0): (1, "")}
        assert await worker.suggest.flush() == {}
        worker.deployment.put(event("b", "e1", "tea"), partition=1)
        await worker.fold(worker.suggest)
        assert await worker.suggest.flush() == {TP("session-events", 1): (1, "")}
        await worker.stop()

    run(test)


def test_what_is_folded_during_a_flush_belongs_to_the_next() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.fold(worker.suggest)
        worker.producer.held = {"elsewhere"}
        worker.context.outbox.publish("elsewhere", 0, [Message(None, b"open")])
        flushing = asyncio.ensure_future(worker.suggest.flush())
        await turns()
        worker.deployment.put(event("a", "e2", "cup"), event("b", "e1", "cup"))
        await worker.fold(worker.suggest)
        worker.producer.release("elsewhere")
        assert await flushing == {TP("session-events", 0): (1, "")}
        assert worker.deployment.mark("sessions").position == 1
        assert set(worker.deployment.rows("sessions")) == {row_key("a")}
        row = ROWS["sessions"].decode(worker.deployment.rows("sessions")[row_key("a")])
        assert list(row.event_ids) == [hash64(b"e1")]
        assert await worker.suggest.flush() == {TP("session-events", 0): (2, "")}
        assert set(worker.deployment.rows("sessions")) == {row_key("a"), row_key("b")}
        await worker.stop()

    run(test)


def test_a_mark_says_what_its_rows_are_the_fold_of() -> None:
    async def test() -> None:
        worker = await worker_with("a", "b")
        await worker.fold()
        await worker.flush(*worker.table_stages)
        mark = worker.deployment.mark("sessions")
        assert (mark.position, mark.watermarks, mark.newest) == (2, {"browse-0": 1}, 1_767_607_200_000)
        rows = ("session-events", "browse", "add-to-cart", "orders")
        assert mark.topic_ids == {row: TOPIC_IDS[row] for row in rows}
        assert (mark.partitions, mark.half_life_ms) == (2, 30 * 86_400_000)
        assert worker.deployment.mark("cooccurrence").topic_ids.keys() == {"pairs", "session-events"}
        assert worker.deployment.mark("kpi").topic_ids.keys() == {"tallies", "session-events"}
        await worker.stop()

    run(test)


def test_a_row_that_was_dropped_is_flushed_as_dropped() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.fold(worker.suggest)
        await worker.suggest.flush()
        # Two hours and a second later the session is forgotten.
        worker.deployment.put(event("b", "e1", "tea", seconds=7201))
        await worker.fold(worker.suggest)
        await worker.suggest.flush()
        assert worker.stores["sessions"].flushed[-1][row_key("a")] is None
        assert set(worker.deployment.rows("sessions")) == {row_key("b")}
        await worker.stop()

    run(test)


# -- ownership


def test_the_next_owner_goes_on_from_the_mark() -> None:
    async def test() -> None:
        first = await worker_with("a", "b")
        await first.fold()
        await first.flush(*first.table_stages)
        await first.stop()
        second = MemoryWorker(first.deployment)
        await second.take_over()
        for mine, theirs in zip(first.table_stages, second.table_stages, strict=True):
            for partition, shard in mine.shards.items():
                assert theirs.shards[partition].position == shard.position
                assert theirs.shards[partition].watermarks.as_dict() == shard.watermarks.as_dict()
                assert theirs.shards[partition].keys == shard.keys
        assert await second.flush(*second.table_stages) == {}
        await second.stop()

    run(test)


@pytest.mark.parametrize(("generation", "is_kept"), [(1, False), (2, True), (3, False)])
def test_a_partition_is_kept_from_the_generation_just_before_and_no_other(generation: int, is_kept: bool) -> None:
    async def test() -> None:
        worker = await worker_with("a")
        before = dict(worker.suggest.shards)
        await worker.suggest.take_over({0, 1}, generation)
        assert [worker.suggest.shards[partition] is before[partition] for partition in (0, 1)] == [is_kept] * 2
        assert worker.stores["sessions"].loads == [0, 1] * (1 if is_kept else 2)
        assert worker.stores["sessions"].released == []
        await worker.stop()

    run(test)


def test_a_generation_without_this_worker_is_a_gap() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        before = worker.suggest.shards[0]
        await worker.suggest.take_over({0, 1}, 2)
        await worker.suggest.take_over({0, 1}, 4)
        await worker.suggest.take_over({0, 1}, 5)
        assert worker.suggest.shards[0] is not before
        assert worker.stores["sessions"].loads == [0, 1, 0, 1]
        await worker.stop()

    run(test)


def test_a_takeover_says_how_much_of_the_log_is_to_be_folded_again() -> None:
    async def test() -> None:
        worker = await worker_with("s1", "s2", "s3")
        await worker.fold(worker.suggest)
        await worker.flush(worker.suggest)
        worker.deployment.put(event("s4", "e1", "tea"), partition=1)
        worker.deployment.put(event("s5", "e1", "tea"))
        again = MemoryWorker(worker.deployment)
        await again.take_over()
        assert again.context.recovery.replay_of("sessions") == 2
        await again.stop()
        await worker.stop()

    run(test)


def test_a_partition_that_moves_away_is_released_and_loaded_anew_when_it_comes_back() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.fold(worker.suggest)
        await worker.suggest.take_over({1}, 2)
        assert set(worker.suggest.shards) == {1}
        assert worker.stores["sessions"].released == [0]
        await worker.suggest.take_over({0, 1}, 3)
        assert worker.suggest.shards[0].position == 0  # nothing was flushed
        assert worker.stores["sessions"].loads == [0, 1, 0]
        await worker.stop()

    run(test)


def test_an_empty_assignment_gives_everything_back() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        await worker.suggest.take_over(set(), 2)
        assert worker.suggest.shards == {}
        assert worker.stores["sessions"].owned == set()
        assert await worker.suggest.flush() == {}
        await worker.stop()

    run(test)


def test_a_takeover_waits_for_the_flush_under_way() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        worker.producer.held = {"suggestions"}
        await worker.fold(worker.suggest)
        flushing = asyncio.ensure_future(worker.suggest.flush())
        taking = asyncio.ensure_future(worker.suggest.take_over({1}, 2))
        await turns()
        assert 0 in worker.suggest.shards and not taking.done()
        worker.producer.release("suggestions")
        assert await flushing == {TP("session-events", 0): (1, "")}
        await taking
        assert set(worker.suggest.shards) == {1}
        await worker.stop()

    run(test)


def test_rows_are_put_as_they_come_and_the_latest_mark_counts() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        deployment, context = worker.deployment, worker.context
        first, mark = deployment.first_mark("kpi"), deployment.first_mark("kpi", position=7)
        mark.watermarks, mark.newest = {"0": 3}, 60_000
        deployment.log.skip("tallies", 0, 9)
        shard: Shard[Window] = Shard(0)
        loading = Loading("kpi", 0, 0.0, lambda: None)
        restoring = Restoring(shard, partial(worker.measure._load, shard), loading)
        window, other = (ROWS["kpi"].encode(Window(suggestions=count)) for count in (1, 2))
        restoring.put([(row_key("0|cart"), window), (MARK_KEY, encode_mark(first)), (row_key("1|cart"), window)])
        assert loading.rows == 2
        restoring.put([])
        restoring.put([(MARK_KEY, encode_mark(mark)), (row_key("0|cart"), other)])
        assert await restoring.finish(context, "tallies") == mark
        assert (shard.position, shard.watermarks.as_dict(), shard.newest) == (7, {"0": 3}, 60_000)
        assert {key: row.suggestions for key, row in shard.rows.items()} == {"0|cart": 2, "1|cart": 1}
        assert not shard.take_dirty() and loading.rows == 2
        assert loading.replay == deployment.log.end("tallies", 0) - 7

    run(test)


def test_how_far_rows_are_folded_is_known_before_the_log_is_looked_at() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        gate = asyncio.Event()

        class SlowConsumer(MemoryConsumer):
            async def start(self) -> None:
                await gate.wait()

        worker.new_consumer = lambda: SlowConsumer(worker.deployment.log)
        worker.deployment.log.skip("tallies", 0, 9)
        shard: Shard[Window] = Shard(0)
        restoring = Restoring(shard, partial(worker.measure._load, shard), Loading("kpi", 0, 0.0, lambda: None))
        restoring.put([(MARK_KEY, encode_mark(worker.deployment.first_mark("kpi", position=7)))])
        finishing = asyncio.ensure_future(restoring.finish(worker.context, "tallies"))
        await asyncio.sleep(0)
        assert shard.position == 7 and not finishing.done()
        gate.set()
        await finishing

    run(test)


def test_without_a_mark_the_log_is_folded_from_its_beginning() -> None:
    async def test() -> None:
        worker = await worker_with("a")
        worker.deployment.log.skip("tallies", 0, 9)
        worker.deployment.log.cut("tallies", 0, 4)
        shard: Shard[Window] = Shard(0)
        restoring = Restoring(shard, partial(worker.measure._load, shard), Loading("kpi", 0, 0.0, lambda: None))
        assert await restoring.finish(worker.context, "tallies") is None
        assert (shard.position, len(shard)) == (4, 0)

    run(test)


# -- accidents

ANEW = "to start anew use another topic_prefix, or delete all of Sidecart's topics, its group and state folders"


def refusal(change: Callable[[Mark], None], beginning: int = 0, log: str = "session-events") -> str:
    """Return why a mark is refused once it was changed."""
    deployment = Deployment()
    table = {"session-events": "sessions", "pairs": "cooccurrence", "tallies": "kpi"}[log]
    mark = deployment.first_mark(table, position=10)
    check_mark(MemoryWorker(deployment).context, log, 1, mark, (10, 10))
    change(mark)
    with pytest.raises(AccidentError) as refused:
        check_mark(MemoryWorker(deployment).context, log, 1, mark, (beginning, 10_000))
    return str(refused.value)


@pytest.mark.parametrize(
    ("log", "row"),
    [
        ("session-events", "session-events"),
        ("session-events", "browse"),
        ("session-events", "add-to-cart"),
        ("session-events", "orders"),
        ("pairs", "pairs"),
        ("pairs", "session-events"),
        ("tallies", "session-events"),
    ],
)
def test_a_topic_that_was_made_again_is_refused(log: str, row: str) -> None:
    def change(mark: Mark) -> None:
        mark.topic_ids = mark.topic_ids | {row: "another id"}

    assert refusal(change, log=log) == (
        f"the topic {row} was deleted and made again, so all that is new in it would count as repeats: {ANEW}"
    )


def test_another_partition_count_is_refused() -> None:
    def change(mark: Mark) -> None:
        mark.partitions = 4

    assert refusal(change) == (
        f"the topic session-events had 4 partitions and has 2, which splits sessions and rows: {ANEW}"
    )


def test_another_half_life_is_refused() -> None:
    def change(mark: Mark) -> None:
        mark.half_life_ms = 86_400_000

    assert refusal(change) == (
        f"half_life_days was 1 and the weights of the tables are in its units: set it back, or {ANEW}"
    )


def test_a_log_that_was_cut_below_the_mark_is_refused() -> None:
    assert refusal(lambda mark: None, beginning=11) == (
        "session-events/1 begins at offset 11, but it was folded only up to 10: its retention is shorter than the"
        f" outage was, and events are lost; {ANEW}"
    )


def test_without_a_mark_nothing_is_refused() -> None:
    check_mark(MemoryWorker(Deployment()).context, "pairs", 0, None, (1000, 1000))


def test_a_log_that_ends_before_the_mark_is_refused() -> None:
    async def test() -> None:
        deployment = Deployment()
        deployment.put(event("a", "e1", "tea"))
        deployment.tables["sessions"][0][MARK_KEY] = encode_mark(deployment.first_mark("sessions", position=2))
        with pytest.raises(AccidentError):
            await MemoryWorker(deployment).suggest.take_over({0}, 1)

    run(test)


def test_a_refused_takeover_leaves_the_partition_unowned() -> None:
    async def test() -> None:
        worker = await worker_with("a", "b")
        await worker.fold(worker.suggest)
        await worker.stop()
        worker.deployment.log.cut("session-events", 0, 1)
        second = MemoryWorker(worker.deployment)
        with pytest.raises(AccidentError, match="begins at offset 1, but it was folded only up to 0"):
            await second.suggest.take_over({0, 1}, 1)
        assert 0 not in second.suggest.shards

    run(test)


# -- without a mark: what the group has committed decides


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


def unmarked(broker: EmbeddedBroker) -> MemoryWorker:
    """Return a worker of a group on a real, if embedded, broker; its table `sessions` has neither rows nor marks."""
    deployment = Deployment(settings=Settings(tick_ms=0, bootstrap_servers=broker.bootstrap_servers))
    deployment.tables["sessions"] = {partition: {} for partition in range(2)}
    return MemoryWorker(deployment)


async def commit(settings: Settings, topic: str, partition: int, offset: int, metadata: str = "") -> None:
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group_id, enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(topic, partition)])
        await consumer.commit({TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata)})


def test_the_first_owner_begins_where_the_log_begins(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker = unmarked(broker)
        worker.deployment.put(event("a", "e1", "tea"))
        worker.deployment.put(event("b", "e1", "tea"))
        worker.deployment.log.cut("session-events", 0, 1)
        await worker.suggest.take_over({0, 1}, 1)
        assert [worker.suggest.shards[partition].position for partition in (0, 1)] == [1, 0]

    run(test)


def test_a_table_that_was_lost_behind_a_commit_is_refused(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker = unmarked(broker)
        settings = worker.deployment.settings
        broker.create_topics(topic.name for topic in topic_table(settings).values())
        await commit(settings, "session-events", 1, 5)
        with pytest.raises(
            AccidentError,
            match=r"^session-events/1 was folded up to .*5, but the table sessions is empty: restore"
            r" sidecart-sessions-changelog, or to start anew",
        ):
            await worker.suggest.take_over({0, 1}, 1)

    run(test)


def test_a_takeover_that_a_later_owner_has_overtaken_is_not_refused(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker = unmarked(broker)
        deployment, store = worker.deployment, worker.stores["sessions"]
        broker.create_topics(topic.name for topic in topic_table(deployment.settings).values())
        load = store.load

        async def load_and_be_overtaken(partition: int, *progress: Any) -> Any:
            items = await load(partition, *progress)
            if store.loads == [1]:
                deployment.tables["sessions"][1][MARK_KEY] = encode_mark(deployment.first_mark("sessions", position=5))
                await commit(deployment.settings, "session-events", 1, 5)
            return items

        store.load = load_and_be_overtaken  # type: ignore[method-assign]
        await worker.suggest.take_over({1}, 1)
        assert worker.suggest.shards[1].position == 0

    run(test)


def test_a_commit_of_nothing_is_no_loss(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker = unmarked(broker)
        broker.create_topics(topic.name for topic in topic_table(worker.deployment.settings).values())
        await commit(worker.deployment.settings, "session-events", 1, 0)
        await worker.suggest.take_over({0, 1}, 1)
        assert set(worker.suggest.shards) == {0, 1}

    run(test)
