"""The four stages over a log in memory: what each writes for what it reads, and what a restart changes: nothing."""

import asyncio
import base64
import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from faust.types import TP
from memory_log import T0_MS, MemoryConsumer, MemoryLog, run, turns
from memory_worker import Deployment, MemoryWorker, event, values

from models.cooccurrence import TOTALS
from models.coverage import Packed, Span
from models.errors import AccidentError, LateWriterError
from models.evidence import Evidence
from models.kpi import Tally
from models.ladder import SuggestedItem
from models.measuring import TallyEntry
from models.partitioning import partition_of
from models.records import Event
from models.suggesting import Suggestion, suggestion_id
from streams.batching import RecordBatch
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.topics import INPUTS, topic_table
from streams.wire import (
    MARK_KEY,
    PACKED_EVENTS,
    PACKED_PAIRS,
    PACKED_TALLIES,
    DoorMark,
    decode_door_mark,
    decode_suggestion,
    encode_door_mark,
    encode_json,
    encode_mark,
)

BROWSE = TP("browse", 0)
MINUTE = 60


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """Keeps the group's commits, which ingest asks a broker for; the records are in memory."""
    with EmbeddedBroker() as running:
        running.create_topics(topic.name for topic in topic_table(Settings()).values())
        yield running


def deployment_on(broker: EmbeddedBroker, partitions: int = 2) -> Deployment:
    return Deployment(partitions, Settings(tick_ms=0, bootstrap_servers=broker.bootstrap_servers))


async def commit(worker: MemoryWorker, offsets: dict[TP, tuple[int, str]]) -> None:
    """Commit for the group, as the consumer does with what the stages return."""
    settings = worker.deployment.settings
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group_id, enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(*tp) for tp in offsets])
        await consumer.commit({TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()})


def packed_events(deployment: Deployment) -> list[Packed[Any]]:
    return [PACKED_EVENTS.decode(value) for _, value in deployment.log.messages("session-events")]


# -- the whole path


def shop(deployment: Deployment) -> None:
    """Two sessions see tea and cup; a third sees tea, is offered the cup, adds it and orders it.

    Before them four others see a mat: a cup in every session would be no evidence for tea and cup.
    """
    for number in range(4):
        deployment.send("browse", f"other-{number}", "e1", item_id="mat", moment="home", seconds=number - 4)
    for number, session in enumerate(("one", "two")):
        deployment.send("browse", session, "e1", item_id="tea", seconds=number * 10)
        deployment.send("browse", session, "e2", item_id="cup", seconds=number * 10 + 1)
    deployment.send("browse", "three", "e1", item_id="tea", seconds=30)
    deployment.send("add-to-cart", "three", "e2", item_id="cup", quantity=2, price=1.25, currency="EUR", seconds=40)
    lines = [{"item_id": "cup", "quantity": 2, "price": 1.25}]
    deployment.send("orders", "three", "e3", order_id="o1", lines=lines, currency="EUR", seconds=50)
    deployment.send_raw("orders", b'{"event_id": 5}', b"four", timestamp_ms=T0_MS + 60_000)


async def run_shop(deployment: Deployment) -> MemoryWorker:
    """Have one worker fold the shop's events, one at a time, as a slow day brings them."""
    worker = MemoryWorker(deployment)
    await worker.take_over()
    positions = await worker.resume_ingest()
    records = [record for tp in positions for record in deployment.log.records(*tp)]
    for record in sorted(records, key=lambda record: record.timestamp):
        await worker.ingest.handle(RecordBatch("ingest", worker.epoch, [record]))
        await turns()
        await worker.fold()
    return worker


def test_the_shops_events_become_suggestions_outcomes_and_totals(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        shop(deployment)
        worker = await run_shop(deployment)
        messages = deployment.messages("suggestions")
        assert len(messages) == 11
        offers = {(message["session_id"], message["event_id"]): message for message in messages}
        assert offers["one", "e1"]["reason"] == offers["one", "e2"]["reason"] == "unknown-item"
        assert offers["two", "e2"]["reason"] == "nothing-new"
        assert values(offers["two", "e1"]["items"], "item_id") == ["cup"]
        [cup] = offers["three", "e1"]["items"]
        # Two of the six sessions before had tea and cup.
        assert (cup["item_id"], cup["rank"]) == ("cup", 1)
        assert cup["evidence"]["pair_count"] == pytest.approx(2, abs=0.01)
        assert cup["evidence"]["support"] == pytest.approx(2 / 6, abs=0.01)
        outcomes = deployment.messages("acceptance")
        by_session = sorted((out["session_id"], out["stage"], out["item_id"], out["rank"]) for out in outcomes)
        assert by_session == [
            ("three", "added", "cup", 1),
            ("three", "ordered", "cup", 1),
            ("two", "viewed", "cup", 1),
        ]
        [ordered] = [out for out in outcomes if out["stage"] == "ordered"]
        assert (ordered["value"], ordered["currency"], ordered["seconds_since"]) == (2.5, "EUR", 20.0)
        assert ordered["suggestion_id"] == offers["three", "e1"]["suggestion_id"]
        worker.measure.publish_due(float("inf"))
        await turns()
        totals = {message["moment"]: message for message in deployment.messages("acceptance-metrics")}
        browse = totals["browse"]
        assert [browse[name] for name in ("suggestions", "empty", "viewed", "added", "ordered", "accepted")] == [
            5, 3, 1, 1, 1, 2,
        ]  # fmt: skip
        assert browse["revenue"] == {"EUR": 2.5}
        assert browse["window_start"] == T0_MS and browse["window_end"] == T0_MS + MINUTE * 1000
        assert (totals["cart"]["suggestions"], totals["order"]["suggestions"]) == (1, 1)
        [letter] = deployment.messages("dead-letters")
        assert (letter["reason"], letter["topic"]) == ("invalid-field", "orders")
        assert worker.died == []
        await worker.stop()

    run(test)


def test_every_message_stands_in_the_partition_of_its_key(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=3)
        shop(deployment)
        worker = await run_shop(deployment)
        for partition in range(3):
            for record in deployment.log.records("session-events", partition):
                for entry in PACKED_EVENTS.decode(record.value).entries:
                    assert partition_of(entry.event.session_id, 3) == partition
            for record in deployment.log.records("pairs", partition):
                for pair in PACKED_PAIRS.decode(record.value).entries:
                    assert partition_of(pair.increment.anchor, 3) == partition
            for record in deployment.log.records("tallies", partition):
                for tally in PACKED_TALLIES.decode(record.value).entries:
                    assert partition_of(str(tally.tally.start), 3) == partition
            for topic in ("suggestions", "acceptance"):
                for record in deployment.log.records(topic, partition):
                    assert partition_of(record.key.decode(), 3) == partition
                    assert json.loads(record.value)["session_id"].encode() == record.key
        await worker.stop()

    run(test)


def test_the_counts_are_the_same_however_the_events_come_in_batches(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        rows = []
        for one_by_one in (True, False):
            deployment = deployment_on(broker)
            shop(deployment)
            if one_by_one:
                worker = await run_shop(deployment)
            else:
                worker = MemoryWorker(deployment)
                await worker.take_over()
                await worker.admit(await worker.resume_ingest())
                await worker.fold()
            await worker.learn.flush()
            rows.append(deployment.rows("cooccurrence"))
            await worker.stop()
        assert rows[0] == rows[1] and len(rows[0]) == 4

    run(test)


def test_metrics_count_what_went_through(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        shop(deployment)
        worker = await run_shop(deployment)
        expected = {
            ("sidecart_events_total", "type", "browse"): 9,
            ("sidecart_events_total", "type", "orders"): 1,
            ("sidecart_rejected_total", "reason", "invalid-field"): 1,
            ("sidecart_suggestions_total", "moment", "browse"): 5,
            ("sidecart_suggestions_empty_total", "reason", "nothing-new"): 3,
            ("sidecart_suggestions_empty_total", "reason", "unknown-item"): 6,
            ("sidecart_acceptance_total", "stage", "ordered"): 1,
        }
        found = {key: worker.metric(key[0], **{key[1]: key[2]}) for key in expected}
        assert found == expected
        assert worker.metric("sidecart_suggestion_seconds_count") == 11
        assert worker.metric("sidecart_load_seconds_count", table="kpi") == 2
        await worker.stop()

    run(test)


# -- ingest


def test_ingest_begins_at_the_beginning_with_nothing_sent(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=1)
        deployment.send("browse", "s", "e1", item_id="tea")
        worker = MemoryWorker(deployment)
        positions = await worker.resume_ingest()
        assert positions == {TP(kind, 0): None for kind in INPUTS}
        await worker.admit(positions)
        [record] = packed_events(deployment)
        assert record.spans == [Span("browse-0", -1, 0)]

    run(test)


def test_the_chain_goes_on_after_a_restart(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=1)
        deployment.send("browse", "s", "e1", item_id="tea")
        deployment.send("browse", "s", "e2", item_id="cup")
        first = MemoryWorker(deployment)
        await first.admit(await first.resume_ingest())
        committed = await first.flush(first.ingest)
        assert committed == {BROWSE: (2, encode_door_mark(DoorMark({0: 1})))}
        await commit(first, committed)
        deployment.send("browse", "s", "e3", item_id="pot")
        second = MemoryWorker(deployment)
        positions = await second.resume_ingest()
        assert positions == {BROWSE: 2, TP("add-to-cart", 0): None, TP("orders", 0): None}
        await second.admit(positions)
        assert [record.spans for record in packed_events(deployment)] == [
            [Span("browse-0", -1, 1)],
            [Span("browse-0", 1, 2)],
        ]

    run(test)


def test_a_target_that_had_nothing_for_long_gets_a_range_without_a_gap(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=2)
        at_0, at_1 = (next(f"s{n}" for n in range(99) if partition_of(f"s{n}", 2) == target) for target in (0, 1))
        worker = MemoryWorker(deployment)
        positions = await worker.resume_ingest()
        for number, session in enumerate((at_0, at_1, at_1, at_0)):
            deployment.send("browse", session, f"e{number}", item_id="tea")
            await worker.admit({BROWSE: number})
        records = {target: deployment.log.records("session-events", target) for target in (0, 1)}
        spans = {target: [PACKED_EVENTS.decode(record.value).spans for record in records[target]] for target in records}
        assert positions[BROWSE] is None
        assert spans == {
            0: [[Span("browse-0", -1, 0)], [Span("browse-0", 0, 3)]],
            1: [[Span("browse-0", -1, 1)], [Span("browse-0", 1, 2)]],
        }

    run(test)


def test_what_was_not_committed_is_sent_again_and_counts_once(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=1)
        for number in range(3):
            deployment.send("browse", "s", f"e{number}", item_id=f"item-{number}")
        first = MemoryWorker(deployment)
        await first.resume_ingest()
        await first.ingest.handle(RecordBatch("ingest", 1, deployment.log.records("browse", 0)[:1]))
        await commit(first, await first.flush(first.ingest))
        await first.ingest.handle(RecordBatch("ingest", 1, deployment.log.records("browse", 0)[1:2]))
        await turns()
        second = MemoryWorker(deployment)  # the first one was killed before its next commit
        await second.take_over()
        await second.admit(await second.resume_ingest())
        assert [record.spans for record in packed_events(deployment)] == [
            [Span("browse-0", -1, 0)],
            [Span("browse-0", 0, 1)],
            [Span("browse-0", 0, 2)],
        ]
        await second.fold()
        assert values(deployment.messages("suggestions"), "event_id") == ["e0", "e1", "e2"]
        await second.stop()

    run(test)


def test_a_commit_without_our_mark_begins_a_new_chain_there(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=1)
        for number in range(3):
            deployment.send("browse", "s", f"e{number}", item_id="tea")
        worker = MemoryWorker(deployment)
        await commit(worker, {BROWSE: (2, "moved by hand")})
        positions = await worker.resume_ingest()
        assert positions[BROWSE] == 2
        await worker.admit(positions)
        [record] = packed_events(deployment)
        assert record.spans == [Span("browse-0", -1, 2)]

    run(test)


def test_an_input_that_ends_before_the_commit_is_refused(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker, partitions=1)
        worker = MemoryWorker(deployment)
        await commit(worker, {BROWSE: (5, "")})
        deployment.send("browse", "s", "e1", item_id="tea")
        with pytest.raises(AccidentError):
            await worker.resume_ingest()

    run(test)


def test_input_that_retention_has_deleted_unread_is_said_and_counted(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        for number in range(5):
            deployment.send("browse", "s1", f"e{number}", item_id="tea")
        worker = MemoryWorker(deployment)
        await commit(worker, {BROWSE: (1, "")})
        deployment.log.cut("browse", 0, 3)
        assert (await worker.resume_ingest())[BROWSE] == 1
        assert worker.metric("sidecart_events_lost_total", type="browse") == 2
        assert (
            "browse/0 begins at offset 3, but was read only up to 1: its retention has deleted 2 events" in caplog.text
        )
        await worker.stop()

    run(test)


def test_redelivered_input_is_skipped_and_a_superseded_batch_too(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        deployment.send("browse", "s", "e1", item_id="tea")
        worker = MemoryWorker(deployment)
        positions = await worker.resume_ingest()
        batch = RecordBatch("ingest", worker.epoch, deployment.log.records("browse", 0))
        worker.epoch += 1
        await worker.ingest.handle(batch)
        await turns()
        assert worker.producer.requests == []
        await worker.admit(positions)
        await worker.admit(positions)
        assert len(packed_events(deployment)) == 1
        assert worker.metric("sidecart_events_total", type="browse") == 1

    run(test)


def test_ingest_commits_only_what_is_acknowledged(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        deployment.send("browse", "s", "e1", item_id="tea")
        worker = MemoryWorker(deployment)
        worker.producer.held = {"session-events"}
        await worker.admit(await worker.resume_ingest())
        flushing = asyncio.ensure_future(worker.ingest.flush())
        await turns()
        deployment.send("browse", "s", "e2", item_id="cup")
        await worker.admit({BROWSE: 1})
        assert not flushing.done()
        worker.producer.release("session-events")
        [(tp, (offset, metadata))] = (await flushing).items()
        assert (tp, offset) == (BROWSE, 1)
        assert decode_door_mark(metadata) == DoorMark({partition_of("s", 2): 0})
        assert [offset for offset, _ in (await worker.ingest.flush()).values()] == [2]
        assert await worker.ingest.flush() == {}

    run(test)


def test_partitions_of_changelogs_and_logs_are_not_ingests(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker = MemoryWorker(deployment_on(broker))
        assert await worker.resume_ingest(BROWSE, TP("pairs", 0), TP("sidecart-kpi-changelog", 0)) == {BROWSE: None}

    run(test)


def test_refused_input_goes_to_the_dead_letters_and_is_committed(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        deployment.send_raw("browse", b"\xff\x00", None)
        deployment.send_raw("browse", None, b"key")
        deployment.send("browse", "s", "e1", item_id="tea")
        worker = MemoryWorker(deployment)
        await worker.admit(await worker.resume_ingest())
        messages = deployment.messages("dead-letters")
        letters = [tuple(message[name] for name in ("reason", "offset", "key", "value")) for message in messages]
        assert letters == [
            ("invalid-json", 0, None, base64.b64encode(b"\xff\x00").decode()),
            ("empty-message", 1, base64.b64encode(b"key").decode(), None),
        ]
        assert [key for key, _ in deployment.log.messages("dead-letters")] == [None, b"key"]
        [(offset, metadata)] = (await worker.ingest.flush()).values()
        assert offset == 3
        assert decode_door_mark(metadata) == DoorMark({partition_of("s", 2): 2})

    run(test)


def test_a_dead_letter_of_a_wide_input_topic_finds_a_partition(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        deployment = deployment_on(broker)
        deployment.send_raw("browse", b"no json", partition=5)
        worker = MemoryWorker(deployment)
        await worker.admit(await worker.resume_ingest(TP("browse", 5)))
        assert [len(deployment.log.records("dead-letters", partition)) for partition in (0, 1)] == [0, 1]

    run(test)


# -- suggest: what was published counts


def knowing_worker(partitions: int = 1) -> Deployment:
    """Return a deployment where tea leads to cup, and session `s` has seen nothing yet.

    Three of nine sessions have seen both, and the others neither.
    """
    deployment = Deployment(partitions)
    for number in range(PAST):
        others = [event(f"other-{number}-{other}", "e1", "mat") for other in range(2)]
        deployment.put(event(f"past-{number}", "e1", "tea"), event(f"past-{number}", "e2", "cup"), *others)
    return deployment


async def after_the_past(deployment: Deployment) -> MemoryWorker:
    """Return a worker that has folded the past and flushed it."""
    worker = MemoryWorker(deployment)
    await worker.take_over()
    await worker.fold()
    await worker.flush(*worker.table_stages)
    return worker


#: Records of `session-events` that `knowing_worker` writes; VIEW is the next, CART the one after.
PAST = 3
#: Events in them, each with its suggestion.
PAST_EVENTS = 4 * PAST
VIEW = event("s", "e1", "tea", seconds=10)
CART = event("s", "e2", "cup", kind="add-to-cart", seconds=20)
VIEW_ID = suggestion_id(VIEW, "browse-0", PAST_EVENTS)
CART_ID = suggestion_id(CART, "browse-0", PAST_EVENTS + 1)


def foreign(of: Event, *offered: str) -> Suggestion:
    """Return what another worker might have published for an event; without items it knew of nothing."""
    evidence = Evidence("pair", "tea", None, 1.0, 1.0, 1.0, 1.0)
    items = tuple(SuggestedItem(item, rank, 1.0, evidence) for rank, item in enumerate(offered, start=1))
    reason = None if items else "weak-evidence"
    key = {VIEW.event_id: VIEW_ID, CART.event_id: CART_ID}[of.event_id]
    return Suggestion(key, of.event_id, of.session_id, of.time, of.moment, "tea", items, reason)


def publish_foreign(deployment: Deployment, *suggestions: Suggestion) -> None:
    """Write what another worker published for the first view and cart change after the past."""
    for suggestion in suggestions:
        of = {VIEW_ID: 0, CART_ID: 1}[suggestion.suggestion_id]
        headers = [("log-offset", str(PAST + of).encode())]
        message = (suggestion.session_id.encode(), encode_json(suggestion))
        deployment.log.append("suggestions", 0, [message], headers=[headers])


def count(deployment: Deployment, of: Event) -> int:
    answered = [(message["session_id"], message["event_id"]) for message in deployment.messages("suggestions")]
    return answered.count((of.session_id, of.event_id))


def test_what_a_former_owner_published_is_kept_and_judged() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        first = await after_the_past(deployment)
        deployment.put(VIEW)
        await first.fold(first.suggest)  # published, and then killed before a flush
        await first.stop()
        [offered] = [item.item_id for item in deployment.suggestions()[VIEW_ID].items]
        assert (offered, count(deployment, VIEW)) == ("cup", 1)
        second = MemoryWorker(deployment)
        await second.take_over()
        deployment.put(CART)
        await second.fold()
        assert count(deployment, VIEW) == 1
        assert second.metric("sidecart_suggestions_kept_total") == 1
        [outcome] = deployment.messages("acceptance")
        assert (outcome["stage"], outcome["suggestion_id"]) == ("added", VIEW_ID)
        await second.stop()

    run(test)


def test_an_outcome_is_judged_on_what_was_published_and_not_on_what_would_be() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        first = await after_the_past(deployment)
        await first.stop()
        publish_foreign(deployment, foreign(VIEW))  # the former owner's replica was behind: it offered nothing
        deployment.put(VIEW)
        deployment.put(CART)
        second = MemoryWorker(deployment)
        await second.take_over()
        await second.fold()
        assert count(deployment, VIEW) == 1
        assert deployment.messages("acceptance") == []
        await second.stop()

    run(test)


@pytest.mark.parametrize(("first", "second", "accepted"), [((), ("cup",), 0), (("cup",), (), 1)])
def test_of_two_messages_of_a_former_owner_the_first_is_kept(
    first: tuple[str, ...], second: tuple[str, ...], accepted: int
) -> None:
    async def test() -> None:
        deployment = knowing_worker()
        former = await after_the_past(deployment)
        await former.stop()
        publish_foreign(deployment, foreign(VIEW, *first), foreign(VIEW, *second))
        deployment.put(VIEW)
        deployment.put(CART)
        worker = MemoryWorker(deployment)
        await worker.take_over()
        await worker.fold()
        assert count(deployment, VIEW) == 2
        assert len(deployment.messages("acceptance")) == accepted
        await worker.stop()

    run(test)


def test_increments_do_not_depend_on_what_was_published() -> None:
    async def test() -> None:
        rows = []
        for is_taken_over in (False, True):
            deployment = knowing_worker()
            worker = await after_the_past(deployment)
            if is_taken_over:
                publish_foreign(deployment, foreign(VIEW), foreign(CART))
                await worker.stop()
                worker = MemoryWorker(deployment)
                await worker.take_over()
            deployment.put(VIEW)
            deployment.put(CART)
            await worker.fold()
            await worker.flush(*worker.table_stages)
            rows.append(deployment.rows("cooccurrence"))
            await worker.stop()
        assert rows[0] == rows[1]

    run(test)


def test_a_takeover_reads_back_from_the_mark_and_not_from_the_beginning() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        await worker.stop()
        assert deployment.mark("sessions").published_end == PAST_EVENTS
        read: list[int] = []

        class Consumer(MemoryConsumer):
            def seek(self, log: TopicPartition, offset: int) -> None:
                if log.topic == "suggestions":
                    read.append(offset)
                super().seek(log, offset)

        second = MemoryWorker(deployment)
        second.new_consumer = lambda: Consumer(deployment.log)
        await second.take_over()
        assert read == [PAST_EVENTS]
        await second.stop()

    run(test)


def test_what_a_former_owner_published_is_kept_through_a_second_takeover() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        first = await after_the_past(deployment)
        deployment.put(VIEW)
        deployment.put(event("t", "e1", "tea", seconds=11))
        await first.fold(first.suggest)  # both published, and then killed before a flush
        await first.stop()
        second = MemoryWorker(deployment)
        await second.take_over()
        await second.suggest.handle(second.batch(second.suggest, most=1))
        await second.suggest.flush()  # one of the two is covered by the mark; then killed
        await second.stop()
        third = MemoryWorker(deployment)
        await third.take_over()
        await third.fold()
        messages = values(deployment.messages("suggestions"), "suggestion_id")
        assert len(messages) == len(set(messages))
        await third.stop()

    run(test)


def test_what_the_mark_covers_is_read_back_and_let_go() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        await worker.stop()
        mark = deployment.mark("sessions")
        assert mark.published_end == PAST_EVENTS
        mark.published_end = 0  # as if all were on their way when the mark was made
        deployment.tables["sessions"][0][MARK_KEY] = encode_mark(mark)
        second = MemoryWorker(deployment)
        await second.take_over()
        deployment.put(VIEW)
        await second.fold(second.suggest)
        await second.suggest.flush()
        assert deployment.mark("sessions").published_end == deployment.log.end("suggestions", 0)
        await second.stop()

    run(test)


def test_an_outcome_waits_for_the_suggestion_also_where_its_own_batch_publishes_none() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        former = await after_the_past(deployment)
        await former.stop()
        publish_foreign(deployment, foreign(CART))
        worker = MemoryWorker(deployment)
        await worker.take_over()
        worker.producer.held = {"suggestions"}
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        deployment.put(CART)
        await worker.fold(worker.suggest)
        assert deployment.messages("acceptance") == []
        worker.producer.release("suggestions")
        await turns()
        assert values(deployment.messages("acceptance"), "suggestion_id") == [VIEW_ID]
        await worker.stop()

    run(test)


@pytest.mark.parametrize("value", [b"no json", b"{}", None], ids=["no-json", "no-suggestion", "null"])
def test_what_no_sidecart_has_published_is_passed_over(value: bytes | None) -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        await worker.stop()
        deployment.log.append("suggestions", 0, [(None, value)])
        second = MemoryWorker(deployment)
        await second.take_over()
        deployment.put(VIEW)
        await second.fold()
        read_back = [decode_suggestion(record.value) for record in deployment.log.records("suggestions", 0)]
        ids = [suggestion.suggestion_id for suggestion in read_back if suggestion is not None]
        assert ids.count(VIEW_ID) == 1 and second.died == []
        await second.stop()

    run(test)


# -- suggest: a late former owner


def test_contiguous_offsets_need_no_reading() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)

        def no_consumer() -> MemoryConsumer:
            raise AssertionError("nothing is to be read")

        worker.new_consumer = no_consumer
        deployment.put(VIEW)
        deployment.put(CART)
        await worker.fold(worker.suggest)
        assert worker.died == []
        await worker.stop()

    run(test)


def test_a_late_writer_that_was_first_ends_the_worker() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        worker.producer.held = {"suggestions"}
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        publish_foreign(deployment, foreign(VIEW))
        worker.producer.release("suggestions")
        await turns()
        error = worker.died[0]
        assert isinstance(error, LateWriterError)
        assert f"another worker was first to publish suggestion {VIEW_ID} of session-events/0" in str(error)
        await worker.stop()

    run(test)


def test_a_late_writer_that_wrote_the_same_changes_nothing() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        worker.producer.held = {"suggestions"}
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        [request] = worker.producer.sent("suggestions")[-1:]
        deployment.log.append("suggestions", 0, request.messages, headers=request.headers)
        worker.producer.release("suggestions")
        deployment.put(CART)
        await worker.fold()
        assert worker.died == []
        assert values(deployment.messages("acceptance"), "suggestion_id") == [VIEW_ID]
        await worker.stop()

    run(test)


def test_a_late_writers_suggestion_of_an_event_to_come_is_kept() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        publish_foreign(deployment, foreign(CART))
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        deployment.put(CART)
        await worker.fold(worker.suggest)
        assert worker.died == []
        assert (count(deployment, VIEW), count(deployment, CART)) == (1, 1)
        assert worker.metric("sidecart_suggestions_kept_total") == 1
        await worker.stop()

    run(test)


def test_a_late_writers_repeat_of_what_is_published_here_is_ignored() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        publish_foreign(deployment, foreign(VIEW))
        deployment.put(CART)
        await worker.fold()
        assert worker.died == []
        assert values(deployment.messages("acceptance"), "suggestion_id") == [VIEW_ID]
        await worker.stop()

    run(test)


def test_a_late_writer_that_was_first_for_a_later_batch_of_ours_is_seen() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        worker.producer.held = {"suggestions"}
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        deployment.put(CART)
        await worker.fold(worker.suggest)  # waits behind the first
        publish_foreign(deployment, foreign(CART))
        worker.producer.release("suggestions")
        await turns()
        assert [type(error) for error in worker.died] == [LateWriterError] * len(worker.died) and worker.died
        await worker.stop()

    run(test)


def test_no_outcome_is_sent_while_an_earlier_jump_is_looked_at() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        gate = asyncio.Event()

        class SlowConsumer(MemoryConsumer):
            async def start(self) -> None:
                await gate.wait()

        worker.new_consumer = lambda: SlowConsumer(deployment.log)
        worker.producer.held = {"suggestions"}
        deployment.put(VIEW)
        await worker.fold(worker.suggest)
        publish_foreign(deployment, foreign(VIEW))
        worker.producer.release("suggestions")
        deployment.put(CART)
        await worker.fold(worker.suggest)
        assert deployment.messages("acceptance") == []
        gate.set()
        await turns()
        assert [type(error) for error in worker.died][:1] == [LateWriterError]
        assert deployment.messages("acceptance") == []
        await worker.stop()

    run(test)


def test_one_event_twice_in_two_batches_on_their_way_does_not_end_the_worker() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        worker.producer.held = {"suggestions"}
        # An event three hours late is forgotten at once: its repetition is served again, under the same id.
        late = event("s", "e1", "tea", seconds=-3 * 60 * MINUTE)
        deployment.put(late)
        await worker.fold(worker.suggest)
        deployment.put(late)
        await worker.fold(worker.suggest)
        worker.producer.release("suggestions")
        await turns()
        assert worker.died == []
        await worker.stop()

    run(test)


# -- suggest: in which order


def test_outcomes_and_tallies_wait_for_the_suggestions_and_increments_do_not() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        before = {topic: deployment.log.end(topic, 0) for topic in ("pairs", "tallies", "acceptance")}
        deployment.put(VIEW, CART)
        worker.producer.held = {"suggestions"}
        await worker.fold(worker.suggest)
        after = {topic: deployment.log.end(topic, 0) for topic in before}
        assert after == {"pairs": before["pairs"] + 1, "tallies": before["tallies"], "acceptance": 0}
        worker.producer.release("suggestions")
        await turns()
        after = {topic: deployment.log.end(topic, 0) for topic in before}
        assert after == {"pairs": before["pairs"] + 1, "tallies": before["tallies"] + 1, "acceptance": 1}
        await worker.stop()

    run(test)


def test_tallies_wait_for_the_suggestions_of_every_partition_of_the_batch() -> None:
    async def test() -> None:
        deployment = Deployment(2)
        deployment.put(event("a", "e1", "tea"))
        deployment.put(event("b", "e1", "tea"), partition=1)
        worker = MemoryWorker(deployment)
        await worker.take_over()
        worker.producer.held = {"suggestions"}
        await worker.fold(worker.suggest)
        worker.producer.sent("suggestions", 0)[0].acknowledge()
        await turns()
        assert worker.producer.sent("tallies", partition_of(str(T0_MS), 2)) == []
        worker.producer.release("suggestions")
        await turns()
        [request] = worker.producer.sent("tallies", partition_of(str(T0_MS), 2))
        [(_, value)] = request.messages
        assert value is not None
        record = PACKED_TALLIES.decode(value)
        assert record.spans == [Span("0", -1, 0), Span("1", -1, 0)]
        assert [entry.span for entry in record.entries] == [0, 1]
        await worker.stop()

    run(test)


def test_the_chains_of_suggest_go_on_after_a_restart() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        await worker.stop()
        assert deployment.mark("sessions").chains == {"pairs": {0: 2}, "tallies": {0: 2}}
        deployment.put(VIEW)
        second = MemoryWorker(deployment)
        await second.take_over()
        await second.fold()
        [*_, last] = deployment.log.messages("pairs")
        assert last[1] is not None and PACKED_PAIRS.decode(last[1]).spans == [Span("0", 2, 3)]
        assert second.metric("sidecart_packed_gaps_total", topic="pairs") == 0
        assert second.learn.shards[0].watermarks.as_dict() == {"0": 3}
        await second.stop()

    run(test)


def test_what_suggest_sends_again_after_a_crash_counts_once() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = await after_the_past(deployment)
        deployment.put(VIEW)
        await worker.fold()
        await worker.flush(worker.learn, worker.measure)  # but not suggest
        rows, totals = deployment.rows("cooccurrence"), deployment.rows("kpi")
        await worker.stop()
        second = MemoryWorker(deployment)
        await second.take_over()
        await second.fold()
        await second.flush(*second.table_stages)
        assert (deployment.rows("cooccurrence"), deployment.rows("kpi")) == (rows, totals)
        assert second.metric("sidecart_packed_repeats_total", topic="pairs") == 1
        assert second.metric("sidecart_packed_repeats_total", topic="tallies") == 1
        await second.stop()

    run(test)


def test_suggest_waits_until_there_is_a_replica() -> None:
    async def test() -> None:
        deployment = knowing_worker()
        worker = MemoryWorker(deployment)
        await worker.suggest.take_over({0}, 1)
        handling = asyncio.ensure_future(worker.suggest.handle(worker.batch(worker.suggest)))
        await turns()
        assert not handling.done()
        await worker.learn.take_over({0}, 1)
        await handling
        assert worker.suggest.shards[0].position == 3
        await worker.stop()

    run(test)


# -- the catalogue's bound


def one_session_an_item(deployment: Deployment, *items: str) -> None:
    """Put for each item a session that views it with `cup`."""
    for item in items:
        deployment.put(event(f"s-{item}", f"{item}-1", "cup"), event(f"s-{item}", f"{item}-2", item, seconds=5))


def test_beyond_the_bound_owner_table_and_replica_drop_the_same_rows() -> None:
    async def test() -> None:
        deployment = Deployment(1, Settings(tick_ms=0, catalogue_max=3))
        worker, reader = MemoryWorker(deployment), MemoryWorker(deployment)
        await worker.take_over()
        one_session_an_item(deployment, "tea", "pot")
        await worker.fold(worker.suggest, worker.learn)
        await worker.flush()
        assert deployment.rows("cooccurrence").keys() == {b"r", b"rcup", b"rpot", b"rtea"}
        reader.replica.follow({0})  # from here
        await turns()
        one_session_an_item(deployment, "mug")
        await worker.fold(worker.suggest, worker.learn)
        await worker.flush()
        await turns(200)
        assert worker.replica.rows.keys() == {TOTALS, "cup", "mug", "pot"}
        assert dict(reader.replica.rows) == dict(worker.replica.rows)
        assert deployment.rows("cooccurrence").keys() == {b"r", b"rcup", b"rmug", b"rpot"}
        assert worker.metric("sidecart_rows_dropped_total") == 1
        await worker.stop()
        await reader.stop()

    run(test)


def test_the_bound_travels_in_the_log_so_that_it_may_change() -> None:
    async def test() -> None:
        deployment = Deployment(1, Settings(tick_ms=0, catalogue_max=3))
        worker = MemoryWorker(deployment)
        await worker.take_over()
        one_session_an_item(deployment, "tea", "pot", "mug")
        await worker.fold(worker.suggest)
        await worker.flush(worker.suggest)
        await worker.stop()
        deployment.settings = Settings(tick_ms=0, catalogue_max=1000)
        second = MemoryWorker(deployment)
        await second.take_over()
        await second.fold()
        assert len(second.replica.rows.keys() - {TOTALS}) == 3
        one_session_an_item(deployment, "jug")
        await second.fold()
        assert len(second.replica.rows.keys() - {TOTALS}) == 4
        await second.stop()

    run(test)


@pytest.mark.parametrize(("partitions", "rows_max"), [(1, 10), (4, 2), (20, 1)])
def test_the_bound_is_divided_over_the_partitions(partitions: int, rows_max: int) -> None:
    worker = MemoryWorker(Deployment(partitions, Settings(catalogue_max=10)))
    assert worker.context.rows_max == rows_max


# -- measure


def put_tally(log: MemoryLog, tally: Tally) -> None:
    end = log.end("tallies", 0)
    record = Packed([Span("0", end - 1, end)], [TallyEntry(0, end, tally)])
    log.append("tallies", 0, [(None, PACKED_TALLIES.encode(record))])


def windows(deployment: Deployment) -> list[tuple[int, str, int]]:
    """Return start in seconds, moment and suggestions of every published window, in the order of publishing."""
    messages = deployment.messages("acceptance-metrics")
    return [(message["window_start"] // 1000, message["moment"], message["suggestions"]) for message in messages]


async def measuring(deployment: Deployment, *tallies: Tally) -> MemoryWorker:
    for tally in tallies:
        put_tally(deployment.log, tally)
    worker = MemoryWorker(deployment)
    await worker.measure.take_over({0}, 1)
    await worker.fold(worker.measure)
    return worker


def test_a_window_is_published_when_it_has_been_quiet() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        before = monotonic()
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1), Tally(0, "cart", suggestions=2))
        worker.measure.publish_due(before + 1.99)
        await turns()
        assert windows(deployment) == []
        worker.measure.publish_due(monotonic() + 2)
        await turns()
        assert windows(deployment) == [(0, "cart", 3)]
        worker.measure.publish_due(monotonic() + 10)
        await turns()
        assert windows(deployment) == [(0, "cart", 3)]  # it has not changed since

    run(test)


def test_a_window_that_never_rests_is_published_once_in_its_length() -> None:
    async def test() -> None:
        deployment = Deployment(1, Settings(tick_ms=0, kpi_window_s=60))
        before = monotonic()
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        [change] = worker.measure._changes[0].values()
        change.last += 1000  # as if it went on changing
        worker.measure.publish_due(before + 61.9)
        await turns()
        assert windows(deployment) == []
        worker.measure.publish_due(monotonic() + 62)
        await turns()
        assert windows(deployment) == [(0, "cart", 1)]

    run(test)


def test_a_later_message_of_a_window_has_a_higher_revision() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        worker.measure.publish_due(float("inf"))
        put_tally(deployment.log, Tally(0, "cart", suggestions=1))
        await worker.fold(worker.measure)
        worker.measure.publish_due(float("inf"))
        await turns()
        assert windows(deployment) == [(0, "cart", 1), (0, "cart", 2)]
        first, second = values(deployment.messages("acceptance-metrics"), "revision")
        assert first < second

    run(test)


def test_a_window_that_is_closed_for_good_is_published_with_its_last_totals() -> None:
    async def test() -> None:
        week = 7 * 24 * 3600 * 1000
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1), Tally(60_000, "cart", suggestions=5))
        put_tally(deployment.log, Tally(week + 1, "cart", suggestions=2))
        await worker.fold(worker.measure)
        assert windows(deployment) == [(0, "cart", 1)]
        await worker.measure.flush()
        assert len(deployment.rows("kpi")) == 2
        worker.measure.publish_due(float("inf"))
        await turns()
        assert sorted(windows(deployment)) == [(0, "cart", 1), (60, "cart", 5), (week // 1000, "cart", 2)]

    run(test)


def test_a_window_that_changes_and_closes_with_one_record_is_published() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        late, next_month = Tally(0, "cart", suggestions=1), Tally(30 * 24 * 3600 * 1000, "cart", suggestions=1)
        entries = [TallyEntry(0, 0, late), TallyEntry(0, 1, next_month)]
        deployment.log.append("tallies", 0, [(None, PACKED_TALLIES.encode(Packed([Span("0", -1, 1)], entries)))])
        worker = await measuring(deployment)
        await turns()
        assert windows(deployment) == [(0, "cart", 1)]
        worker.measure.publish_due(float("inf"))
        await turns()
        assert windows(deployment) == [(0, "cart", 1), (30 * 24 * 3600, "cart", 1)]

    run(test)


def test_nothing_is_published_while_the_partitions_may_be_somebody_elses() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        await worker.measure.flush()
        worker.measure.is_ours = lambda: False
        worker.measure.publish_due(float("inf"))
        await turns()
        assert windows(deployment) == []
        assert await worker.measure.flush() == {}  # the next owner has fenced it: this one would end
        worker.measure.is_ours = lambda: True
        worker.measure.publish_due(float("inf"))
        await turns()
        assert windows(deployment) == [(0, "cart", 1)]

    run(test)


def test_a_window_that_was_published_is_not_published_again_when_it_closes() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        worker.measure.publish_due(float("inf"))
        put_tally(deployment.log, Tally(8 * 24 * 3600 * 1000, "cart", suggestions=2))
        await worker.fold(worker.measure)
        assert windows(deployment) == [(0, "cart", 1)]

    run(test)


def test_what_was_not_published_yet_is_published_after_a_restart() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        first = await measuring(deployment, Tally(0, "cart", suggestions=1), Tally(0, "order", suggestions=2))
        await first.measure.flush()
        assert sorted(deployment.mark("kpi").pending) == ["0|cart", "0|order"]
        second = MemoryWorker(deployment)
        await second.measure.take_over({0}, 1)
        second.measure.publish_due(float("inf"))
        await turns()
        assert sorted(windows(deployment)) == [(0, "cart", 1), (0, "order", 2)]

    run(test)


def test_what_was_published_is_not_pending_after_the_next_flush() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        first = await measuring(deployment, Tally(0, "cart", suggestions=1))
        await first.measure.flush()
        first.measure.publish_due(float("inf"))
        assert await first.measure.flush() == {TP("tallies", 0): (1, "")}
        assert deployment.mark("kpi").pending == []
        second = MemoryWorker(deployment)
        await second.measure.take_over({0}, 1)
        second.measure.publish_due(float("inf"))
        await turns()
        assert windows(deployment) == [(0, "cart", 1)]

    run(test)


def test_what_is_published_during_a_flush_is_not_pending_after_the_next() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        flushing = asyncio.ensure_future(worker.measure.flush())
        await asyncio.sleep(0)  # the mark is made, and on its way
        worker.measure.publish_due(float("inf"))
        await flushing
        await worker.measure.flush()
        assert deployment.mark("kpi").pending == []

    run(test)


def test_a_window_is_published_where_its_tallies_are() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        worker = await measuring(deployment, Tally(0, "cart", suggestions=1))
        worker.measure.publish_due(float("inf"))
        await turns()
        [(key, _)] = deployment.log.messages("acceptance-metrics")
        assert key == b"0|cart"

    run(test)
