"""What `streams.batching`, `store` and `app` take for granted of Faust, mode and aiokafka.

A failure here means that a library has moved under us: read the message, then the module that it names.
"""

import ast
import asyncio
import importlib.metadata
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiokafka
import faust
import pytest
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.errors import ConsumerStoppedError
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.fetch import FetchRequest
from faust.stores import by_url
from faust.stores.rocksdb import Store as RocksDBStore
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from memory_log import run, turns
from mode.threads import MethodQueue, QueueServiceThread, ServiceThread

from streams.admin import TopicsInfo
from streams.app import create_app
from streams.batching import BatchConsumer, BatchSchema, BatchTransport, RecordBatch
from streams.brokers.embedded import EmbeddedBroker
from streams.clients import Clients
from streams.fetching import ConsumerThread
from streams.held import Record
from streams.produce_batch import Message, Messages, ProduceBatch
from streams.settings import Settings
from streams.store import Store
from streams.topics import TABLES, changelog_name

_CODEC_LZ4 = 3

INFO = TopicsInfo(2, {"browse": 1, "add-to-cart": 1, "orders": 1}, {})

OVERRIDES: dict[type, set[str]] = {
    BatchConsumer: {
        "__init__", "_drain_messages", "_new_consumer_thread", "force_commit", "getmany", "highwater", "logger",
        "on_buffer_drop", "on_buffer_full", "on_partitions_revoked", "perform_seek", "verify_all_partitions_active",
    },
    ConsumerThread: {"_create_worker_consumer", "logger", "on_start"},
    BatchSchema: {"loads_key", "loads_value"},
    BatchTransport: {"Consumer"},
    Store: {
        "__init__", "_open_for_partition", "logger", "on_rebalance", "persisted_offset", "set_persisted_offset", "stop",
    },
}  # fmt: skip

MADE_BY_PYTHON_OR_MODE = {
    "__module__",
    "__doc__",
    "__annotations__",
    "__abstractmethods__",
    "__slots__",
    "_abc_impl",
    "__parameters__",
}


def app(folder: Path, **settings: Any) -> faust.App:
    return create_app(Settings(state_dir=folder / "state", **settings), INFO)


def source(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


def calls(function: Callable[..., Any]) -> list[str]:
    """Return the dotted names of what a function calls, in the order of the text."""
    nodes = [node for node in ast.walk(ast.parse(source(function))) if isinstance(node, ast.Call)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    return [ast.unparse(node.func) for node in nodes]


# -- versions


def test_faust_is_the_version_that_was_read() -> None:
    version = importlib.metadata.version("faust-streaming")
    assert version.startswith("0.15."), (
        f"faust-streaming {version}: streams/batching.py overrides internals of 0.15; compare every test of this file"
        " with the new sources before you widen the pin"
    )


def test_aiokafka_speaks_to_kafka_4() -> None:
    assert tuple(int(part) for part in aiokafka.__version__.split(".")[:2]) >= (0, 13)


# -- names


@pytest.mark.parametrize("ours", OVERRIDES, ids=lambda ours: ours.__name__)
def test_what_we_override_is_still_there_with_the_same_arguments(ours: type) -> None:
    for name in OVERRIDES[ours] - {"__init__"}:
        overridden = next((vars(base)[name] for base in ours.__mro__[1:] if name in vars(base)), None)
        assert overridden is not None, f"{ours.__name__}.{name} overrides nothing any more: nobody will call it"
        if not inspect.isfunction(overridden) or not inspect.isfunction(vars(ours)[name]):
            continue
        theirs = inspect.signature(overridden).parameters.values()
        accepted = inspect.signature(vars(ours)[name])
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.parameters.values()):
            continue
        assert [parameter.name for parameter in theirs] == list(accepted.parameters), (
            f"{overridden.__qualname__} takes other arguments now: {inspect.signature(overridden)}"
        )
        assert inspect.iscoroutinefunction(overridden) == inspect.iscoroutinefunction(vars(ours)[name]) or (
            inspect.isasyncgenfunction(overridden) and inspect.isasyncgenfunction(vars(ours)[name])
        ), f"{overridden.__qualname__} is awaited differently now"


@pytest.mark.parametrize("ours", OVERRIDES, ids=lambda ours: ours.__name__)
def test_what_we_add_hides_nothing_of_the_library(ours: type) -> None:
    added = vars(ours).keys() - OVERRIDES[ours] - MADE_BY_PYTHON_OR_MODE
    hidden = {name for name in added for base in ours.__mro__[1:] if name in vars(base)}
    assert not hidden, f"{ours.__name__} redefines {hidden} without meaning to: add to OVERRIDES or rename"


def test_what_we_keep_in_the_consumer_hides_nothing_of_the_library(tmp_path: Path) -> None:
    async def test() -> None:
        ours = vars(app(tmp_path).consumer).keys()
        stock = driver.Transport(["kafka://127.0.0.1:9092"], app(tmp_path)).create_consumer(
            callback=turns, on_partitions_revoked=turns, on_partitions_assigned=turns
        )
        added = ours - vars(stock).keys()
        assert {"epoch", "_held", "_in_flight"} <= added
        assert not (added | {"checkpoints", "tick_s"}) & set(dir(driver.Consumer))

    run(test)


# -- the consumer


def test_the_app_takes_our_consumer_and_thread(tmp_path: Path) -> None:
    async def test() -> None:
        consumer = app(tmp_path).consumer
        assert type(consumer) is BatchConsumer
        assert type(consumer._thread) is ConsumerThread
        assert consumer._thread._consumer is None  # started with the app, not before
        assert (consumer.app.client_only, consumer.in_transaction, consumer.flow_active) == (False, False, True)

    run(test)


def test_the_thread_has_a_loop_of_the_main_loop_s_kind(tmp_path: Path) -> None:
    async def test() -> None:
        thread = app(tmp_path).consumer._thread
        assert thread.parent_loop is asyncio.get_running_loop()
        assert type(thread.thread_loop) is type(asyncio.get_running_loop())
        assert thread.thread_loop is not thread.parent_loop
        assert thread.method_queue.loop is thread.thread_loop
        thread.thread_loop.close()

    asyncio.run(test())
    uvloop.run(test())
    assert "thread_loop or asyncio.new_event_loop()" in source(ServiceThread.__init__)


class _Counting(BatchConsumer):
    """Counts the checkpoints that are asked for."""

    forced = 0

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        self.forced += 1
        await turns()
        return True


def counting_consumer(folder: Path) -> _Counting:
    class Transport(BatchTransport):
        Consumer = _Counting

    application = app(folder)
    application.transport = Transport(application.conf.broker_consumer, application)
    consumer: _Counting = application.consumer
    return consumer


def test_commits_of_the_timer_and_of_the_end_are_checkpoints(tmp_path: Path) -> None:
    async def test() -> None:
        consumer = counting_consumer(tmp_path)
        assert await consumer.commit() and consumer.forced == 1
        await consumer.on_stop()
        assert consumer.forced == 2

    run(test)
    timer = faust_consumer.Consumer._commit_handler.fun
    assert calls(timer)[-1] == "self.commit"
    assert "self.commit_interval" in source(timer)


def test_one_commit_runs_at_a_time_and_others_wait_for_it(tmp_path: Path) -> None:
    async def test() -> None:
        consumer = counting_consumer(tmp_path)
        assert await asyncio.gather(consumer.commit(), consumer.commit()) == [True, False]
        assert consumer.forced == 1

    run(test)


def test_nothing_but_the_commit_methods_commits() -> None:
    path = "force_commit is the only way to Consumer._commit_offsets"
    for function in (driver.Consumer.commit, driver.Consumer.wait_empty, driver.Consumer.on_stop):
        assert not [name for name in calls(function) if "_commit_offsets" in name or "_commit_tps" in name], path
    users = [
        name
        for name, function in inspect.getmembers(faust_consumer.Consumer, inspect.isfunction)
        if "self._commit_tps" in source(function) or "self._commit_offsets" in source(function)
    ]
    assert users == ["_commit_tps", "force_commit"], path


def test_what_our_fetch_uses_of_the_consumer_is_there(tmp_path: Path) -> None:
    async def test() -> None:
        consumer = app(tmp_path).consumer
        assert consumer._get_active_partitions() == set()
        consumer.resume_partitions({TP("browse", 0)})
        assert consumer._get_active_partitions() == {TP("browse", 0)}
        consumer.pause_partitions({TP("browse", 0)})
        assert consumer._get_active_partitions() == set()
        consumer.stop_flow()
        waiting = asyncio.ensure_future(consumer.wait(consumer.can_resume_flow))
        await turns()
        assert not waiting.done() and not consumer.flow_active
        consumer.resume_flow()
        await waiting
        assert consumer.flow_active

    run(test)
    fetch = source(driver.AIOKafkaConsumerThread._fetch_records)
    assert "if not self.consumer.flow_active:\n        return {}" in fetch, "a fetch that comes too late is empty"
    assert "if consumer._closed or fetcher._closed:\n        raise ConsumerStoppedError()" in fetch
    assert "with fetcher._subscriptions.fetch_context():" in fetch
    assert ConsumerStoppedError in driver.Consumer.consumer_stopped_errors


def test_faust_s_fetcher_drains_through_the_consumer(tmp_path: Path) -> None:
    assert "await consumer._drain_messages(self)" in source(faust_consumer.Fetcher._fetcher.fun)
    drain = source(faust_consumer.Consumer._drain_messages)
    assert "callback = self.callback" in drain
    assert "callback(message)" in drain

    async def test() -> None:
        application = app(tmp_path)
        assert application.consumer.callback == application.topics.on_message
        assert application._fetcher.should_stop is False

    run(test)
    # A message on its way to an agent when the flow stops waits there until the flow goes on, superseded.
    revoked = source(faust.App._on_partitions_revoked)
    assert "T(consumer.stop_flow)()" in revoked and "T(self.flow_control.suspend)()" in revoked


def test_the_fetcher_asks_once_a_round_what_to_fetch() -> None:
    routine = source(Fetcher._fetch_requests_routine)
    assert "self._wait_consume_future = create_future()" in routine
    assert ") = self._get_actions_per_node(assignment)" in routine
    assert "self._proc_fetch_request(assignment, node_id, request)" in routine
    assert "set(chain(self._pending_tasks, other_futs, resume_futures))" in routine
    assert "timeout=timeout" in routine
    actions = source(Fetcher._get_actions_per_node)
    assert "self._fetch_max_wait_ms,\n" in actions and 'rack_id=self._client_rack or ""' in actions
    fields = (
        "fetch_requests,\n        awaiting_reset,\n        backoff,\n        invalid_metadata,\n        resume_futures"
    )
    assert fields in actions, "Pacing.actions returns the same five"
    for name in (
        "_fetch_max_bytes", "_fetch_min_bytes", "_fetcher_timeout", "_in_flight", "_isolation_level",
        "_max_partition_fetch_bytes", "_records", "_fetch_waiters", "_closed",
    ):  # fmt: skip
        assert f"self.{name} = " in source(Fetcher.__init__), f"Pacing reads {name}"
    for name in ("_notify", "_create_fetch_waiter", "_select_read_replica"):
        assert inspect.isfunction(getattr(Fetcher, name))
    assert "self._fetcher = Fetcher(" in source(AIOKafkaConsumer.start)


def test_a_fetch_request_is_made_of_what_we_give_it() -> None:
    request = FetchRequest(7, 1, 50, 0, [("browse", [(3, 11, 2)])], rack_id="")
    assert (request._max_wait_ms, request.topics) == (7, [("browse", [(3, 11, 2)])])
    assert "for topic, partitions in request.topics:" in source(Fetcher._proc_fetch_request)


def test_what_was_fetched_is_taken_out_as_we_do() -> None:
    getall = source(FetchResult.getall)
    assert "if not self.check_assignment(tp) or not self.has_more():\n        return []" in getall
    assert "self._update_position()\n        self._partition_records = None" in getall
    unpack = source(PartitionRecords._unpack_records)
    for line in (
        "while records.has_next():\n        next_batch = records.next_batch()",
        "if self._check_crcs and not next_batch.validate_crc():",
        "if next_batch.is_control_batch:\n            self.next_fetch_offset = next_batch.next_offset",
        "if record.offset < self.next_fetch_offset:",
        "self.next_fetch_offset = next_batch.next_offset",
    ):
        assert line in unpack, "records_of does the same"


def test_a_partition_s_state_tells_what_the_pacing_asks() -> None:
    made = source(TopicPartitionState.__init__)
    for name in ("_position", "highwater", "_paused"):
        assert f"self.{name} = " in made
    for name in ("has_valid_position", "paused", "position"):
        assert isinstance(getattr(TopicPartitionState, name), property)
    assert isinstance(Assignment.tps, property)
    assert "reassignment_in_progress" in vars(SubscriptionState)


def test_a_consumer_that_is_assigned_is_started_with_its_fetcher() -> None:
    assert "self._consumer = self._create_consumer" in source(driver.AIOKafkaConsumerThread.on_start)
    start = source(AIOKafkaConsumer.start)
    assert start.index("self._fetcher = Fetcher(") < start.index("self._coordinator = GroupCoordinator(")


def test_the_consumer_thread_runs_two_calls_side_by_side() -> None:
    assert inspect.signature(MethodQueue).parameters["num_workers"].default == 2, "a seek and a fetch may meet or not"
    assert "self.method_queue.call" in calls(QueueServiceThread.call_thread)


def test_the_aiokafka_consumer_has_what_the_thread_uses() -> None:
    async def test() -> None:
        consumer = AIOKafkaConsumer("browse", bootstrap_servers="127.0.0.1:1", group_id="g")
        assert consumer._fetch_max_wait_ms == 500
        for method in ("assignment", "beginning_offsets", "commit", "highwater", "pause", "resume", "seek"):
            assert callable(getattr(consumer, method))
        assert inspect.iscoroutinefunction(consumer.seek_to_beginning)
        assert not inspect.iscoroutinefunction(consumer.seek)

    run(test)
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in source(AIOKafkaConsumer.start), (
        "ConsumerThread sets _fetch_max_wait_ms between construction and start: it has no effect any more"
    )
    assert "fetch_max_wait_ms=1500" in source(driver.AIOKafkaConsumerThread._create_worker_consumer), (
        "Faust has moved its wait: see whether it can be set now"
    )
    assert "await self._consumer.start()" in source(driver.AIOKafkaConsumerThread.on_start)


def test_the_end_of_a_partition_that_is_not_assigned_is_unknown(tmp_path: Path) -> None:
    async def test() -> None:
        consumer = app(tmp_path).consumer
        consumer._thread._consumer = AIOKafkaConsumer("browse", bootstrap_servers="127.0.0.1:1", group_id="g")
        assert consumer.highwater(TP("browse", 0)) is None

    run(test)


def test_a_fatal_coordinator_error_waits_until_somebody_asks() -> None:
    assert list(inspect.signature(GroupCoordinator.check_errors).parameters) == ["self"]
    assert "self._coordinator = " in source(AIOKafkaConsumer.start)
    assert "_consumer: Optional" in source(driver.AIOKafkaConsumerThread)


def test_a_rebalance_notes_the_generation_before_it_hands_over(tmp_path: Path) -> None:
    assigned = source(driver.ConsumerRebalanceListener.on_partitions_assigned)
    assert assigned.index("app.consumer_generation_id = ") < assigned.index("on_partitions_assigned(ensure_TPset")
    revoked = source(driver.ConsumerRebalanceListener.on_partitions_revoked)
    assert "on_rebalance_start()" in revoked

    async def test() -> None:
        application = app(tmp_path)
        assert (application.rebalancing, application.crashed, application.crash_reason) == (False, False, None)
        assert application.consumer.crashed is False
        assert application.assignor.assigned_actives() == set()

    run(test)


# -- topics, schema, agents


def test_a_topic_without_acks_never_becomes_one_with(tmp_path: Path) -> None:
    async def test() -> None:
        application = app(tmp_path)
        topic = application.topic("browse", "orders", schema=BatchSchema(), acks=False)
        agent = application.agent(topic, name="sidecart.test")(turns)
        clone = agent.channel.clone(is_iterator=True)
        assert (topic.acks, agent.channel.acks, clone.acks) == (False, False, False)
        for channel in (topic, clone):
            application.topics.add(channel)
        await application.topics._update_indices()
        assert not any(application.topics.acks_enabled_for(name) for name in ("browse", "orders"))
        stock = application.topic("stock")
        application.topics.add(stock)
        await application.topics._update_indices()
        assert application.topics.acks_enabled_for("stock")

    run(test)


def test_a_batch_goes_through_decoding_as_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        application = app(tmp_path)
        topic = application.topic("browse", schema=BatchSchema(), acks=False)
        consumer = application.consumer
        batch = RecordBatch("ingest", 1, [Record("browse", 1, 42, 7_000, b"key", b"value")])
        message = consumer._batch_message(batch)
        assert isinstance(message, ConsumerMessage)
        assert (message.tp, message.offset, message.value) == (TP("browse", 1), 42, batch)
        assert (message.topic, message.partition, message.timestamp) == ("browse", 1, 7.0)
        assert message.generation_id == application.consumer_generation_id
        event = await topic.decode(message, propagate=True)
        assert event.value is batch and event.key is None

    run(test)


# -- tables and store


def test_the_store_is_found_under_its_url(tmp_path: Path) -> None:
    [entry] = importlib.metadata.entry_points(group="faust.stores", name="sidecart")
    assert entry.load() is Store
    assert by_url("sidecart://") is Store

    async def test() -> None:
        table = app(tmp_path).Table("kpi", key_type=bytes, value_type=bytes, partitions=2)
        assert type(table.data) is Store, "a table without a store of its own takes the app's"
        assert table.data.partition_path(1).is_relative_to(tmp_path / "state")

    run(test)


@pytest.mark.parametrize("prefix", ["", "shop."])
@pytest.mark.parametrize("table", TABLES)
def test_a_changelog_has_the_name_of_the_table_of_topics(tmp_path: Path, table: str, prefix: str) -> None:
    async def test() -> None:
        application = app(tmp_path, topic_prefix=prefix)
        made = application.Table(table, key_type=bytes, value_type=bytes, partitions=2)
        name = changelog_name(Settings(topic_prefix=prefix), table)
        assert made.changelog_topic.get_topic_name() == name
        assert application.tables.changelog_topics == {name}
        assert application.consumer._is_changelog_tp(TP(name, 0))

    run(test)


def test_takeovers_are_called_when_faust_has_recovered_and_after_its_store(tmp_path: Path) -> None:
    async def test() -> None:
        order: list[str] = []
        table = app(tmp_path).Table("kpi", key_type=bytes, value_type=bytes, partitions=2)

        class Data:
            async def on_recovery_completed(self, active: set[TP], standby: set[TP]) -> None:
                order.append("store")

        async def take_over() -> None:
            order.append("takeover")

        table.on_recover(take_over)
        table._data = Data()
        await table.on_recovery_completed(set(), set())
        assert order == ["store", "takeover"]

    run(test)


def test_faust_seeks_when_all_takeovers_are_done() -> None:
    completed = calls(Recovery.on_recovery_completed)
    assert completed.index("table.on_recovery_completed") < completed.index("consumer.perform_seek"), (
        "Pipeline.positions needs the shards that the takeovers load"
    )
    assert completed.index("consumer.perform_seek") < completed.index("consumer.resume_flow")
    assert "if self.app.consumer_generation_id != generation_id" in source(Recovery.on_recovery_completed)


class _Changelogs:
    """The consumer as Faust's recovery sees it: changelogs that grow between two looks."""

    def __init__(self, *ends: int) -> None:
        self._ends = list(ends)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        end = self._ends.pop(0) if len(self._ends) > 1 else self._ends[0]
        return dict.fromkeys(tps, end)

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)


async def needs_recovery(folder: Path, changelogs: _Changelogs) -> bool:
    """Go through Faust's recovery up to its decision whether to read the changelogs itself."""
    application = app(folder)
    table = application.Table("kpi", key_type=bytes, value_type=bytes, partitions=2)
    tps = {TP(changelog_name(Settings(), "kpi"), partition) for partition in range(2)}
    application.consumer = changelogs
    recovery = Recovery(application, application.tables)
    await table.on_rebalance(tps, set(), tps, 1)
    for tp in tps:
        recovery.add_active(table, tp)
    await recovery._build_highwaters(changelogs, tps, recovery.active_highwaters, "active")
    await recovery._build_offsets(changelogs, tps, recovery.active_offsets, "active")
    return bool(recovery.need_recovery())


@pytest.mark.parametrize("end", [0, 1, 1000])
def test_faust_finds_nothing_to_recover(tmp_path: Path, end: int) -> None:
    async def test() -> None:
        assert not await needs_recovery(tmp_path, _Changelogs(end))

    run(test)


def test_faust_recovers_nothing_when_a_changelog_grows_meanwhile(tmp_path: Path) -> None:
    async def test() -> None:
        assert not await needs_recovery(tmp_path, _Changelogs(1000, 1003))

    run(test)


def test_the_store_has_what_ours_builds_on() -> None:
    for name in ("_db_for_partition", "partition_path"):
        assert inspect.isfunction(getattr(RocksDBStore, name))
    assert "self._dbs[partition] = self._open_for_partition(partition)" in source(RocksDBStore._db_for_partition)
    assert "self._dbs = {}" in source(RocksDBStore.__init__)


# -- the producer


def test_a_batch_is_asked_for_nothing_else_than_ours_answers() -> None:
    ours = {name for name in vars(ProduceBatch) if name != "_put_head"}
    asked = set()
    for owner in (MessageBatch, MessageAccumulator):
        calls = [node for node in ast.walk(ast.parse(source(owner))) if isinstance(node, ast.Attribute)]
        asked |= {call.attr for call in calls if ast.unparse(call.value).endswith("builder")}
    assert asked - ours == {"append"}, "what is called of a batch beside `append`, which only `send` calls"
    assert "builder.append" not in source(MessageAccumulator.add_batch)
    assert "batch.get_data_buffer()" in source(SendProduceReqHandler.create_request)


def test_an_acknowledged_batch_tells_the_offset_of_its_first_record() -> None:
    async def send(servers: str) -> list[int]:
        async with Clients(Settings(bootstrap_servers=servers), has_transactions=False).producer() as producer:
            offsets = []
            for count in (3, 2):
                batch = producer.create_batch()
                batch.extend(Messages.of([Message(None, b"value")] * count))
                future = await producer.send_batch(batch, "browse", partition=1)
                assert asyncio.isfuture(future)
                offsets.append((await future).offset)
            return offsets

    with EmbeddedBroker() as broker:
        broker.create_topics(["browse"])
        servers = broker.bootstrap_servers
        assert asyncio.run(asyncio.wait_for(send(servers), 20)) == [0, 3]


def test_a_commit_carries_an_offset_and_a_text() -> None:
    assert OffsetAndMetadata(*(7, "mark")) == OffsetAndMetadata(offset=7, metadata="mark")
    assert TopicPartition(*TP("browse", 1)) == TopicPartition("browse", 1)


def test_a_transaction_is_a_context_of_its_producer() -> None:
    async def test() -> None:
        producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", transactional_id="t")
        transaction = producer.transaction()
        assert hasattr(transaction, "__aenter__") and hasattr(transaction, "__aexit__")

    run(test)
