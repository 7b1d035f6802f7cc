"""What the consumer asks the broker for and when, and what it makes of the answer."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CommitFailedError, CorruptRecordException, IllegalStateError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP
from memory_log import run, turns

from streams.admin import TopicsInfo
from streams.app import create_app
from streams.fetching import ConsumerThread, Pacing, records_of
from streams.held import Record
from streams.settings import Settings

BROWSE, EVENTS, PAIRS, CHANGELOG = TP("browse", 0), TP("session-events", 0), TP("pairs", 0), TP("kpi-changelog", 0)
TURNS = {"browse": 0, "pairs": 0, "session-events": 1}
NODE = 1


class State:
    """What aiokafka knows of an assigned partition."""

    def __init__(self, position: int | None = 0) -> None:
        self._position = position
        self.highwater: int | None = None
        self.paused = False

    @property
    def has_valid_position(self) -> bool:
        return self._position is not None

    @property
    def position(self) -> int:
        assert self._position is not None
        return self._position

    def consumed_to(self, position: int) -> None:
        self._position = position


class Assignment:
    """The partitions that the group has assigned."""

    active = True

    def __init__(self, *tps: TP) -> None:
        self.states = {TopicPartition(*tp): State() for tp in tps}
        self.tps = frozenset(self.states)

    def state_value(self, tp: TopicPartition) -> State:
        return self.states[tp]

    def __getitem__(self, tp: TP) -> State:
        return self.states[TopicPartition(*tp)]


class Fetcher:
    """aiokafka's fetcher without its task."""

    _fetch_max_wait_ms = 500
    _fetch_min_bytes = 1
    _fetch_max_bytes = 50
    _max_partition_fetch_bytes = 2
    _isolation_level = 0
    _fetcher_timeout = 0.2
    _closed = False
    _wait_consume_future = None

    def __init__(self) -> None:
        self._records: dict[TopicPartition, Any] = {}
        self._in_flight: set[int] = set()
        self.leader: int | None = NODE
        self.woken = 0
        self.waiters: list[asyncio.Future[None]] = []

    def _select_read_replica(self, tp: TopicPartition) -> int | None:
        return self.leader

    def _notify(self, future: object) -> None:
        self.woken += 1

    def _create_fetch_waiter(self) -> "asyncio.Future[None]":
        self.waiters.append(asyncio.get_running_loop().create_future())
        return self.waiters[-1]


class Asked:
    """What the pacing asks for, of one node."""

    def __init__(self, pacing: Pacing, assignment: Assignment) -> None:
        requests, resets, self.again_s, self.is_leader_unknown, futures = pacing.actions(assignment)
        assert futures == []
        self.resets = [tp.topic for tps in resets.values() for tp in tps]
        self.topics: dict[str, list[tuple[int, int, int]]] = {}
        self.wait_ms: int | None = None
        for node, request in requests:
            assert node == NODE
            self.topics = dict(request.topics)
            self.wait_ms = request._max_wait_ms


class Setup:
    """A pacing over a fetcher, whose time stands still: a turn is due or it is not."""

    def __init__(self, *tps: TP, tick_s: float = 60.0) -> None:
        self.fetcher = Fetcher()
        self.assignment = Assignment(*tps)
        self.pacing = Pacing(self.fetcher, TURNS.get, tick_s)
        self.pacing.want(True)

    def ask(self) -> Asked:
        return Asked(self.pacing, self.assignment)


def test_an_idle_consumer_asks_for_everything_and_waits_long() -> None:
    setup = Setup(BROWSE, EVENTS, PAIRS)
    setup.assignment[PAIRS].consumed_to(7)
    asked = setup.ask()
    assert asked.topics == {"browse": [(0, 0, 2)], "session-events": [(0, 0, 2)], "pairs": [(0, 7, 2)]}
    assert (asked.wait_ms, asked.is_leader_unknown) == (500, False)


def test_the_fetcher_asks_the_pacing() -> None:
    fetcher: Any = Fetcher()
    pacing = Pacing(fetcher, TURNS.get, 0.0)
    assert fetcher._get_actions_per_node == pacing.actions


def test_nothing_is_fetched_that_nobody_waits_for() -> None:
    setup = Setup(BROWSE)
    setup.pacing.want(False)
    assert setup.ask().topics == {}
    woken = setup.fetcher.woken
    setup.pacing.want(True)
    assert setup.fetcher.woken == woken + 1
    assert setup.ask().topics


def test_nothing_is_fetched_before_what_has_come_is_drained() -> None:
    setup = Setup(BROWSE, EVENTS)
    setup.fetcher._records[TopicPartition(*BROWSE)] = object()
    assert setup.ask().topics == {}


def test_a_changelog_is_never_fetched_but_gets_its_position() -> None:
    setup = Setup(CHANGELOG, BROWSE)
    assert list(setup.ask().topics) == ["browse"]
    setup.assignment[CHANGELOG]._position = None
    assert setup.ask().resets == ["kpi-changelog"]


def test_a_turn_that_brought_something_is_asked_again_a_tick_later() -> None:
    setup = Setup(BROWSE, EVENTS, PAIRS, tick_s=0.4)
    setup.pacing.brought(["browse"])
    asked = setup.ask()
    # The other turn is asked at once, and waits no longer than until the first is due.
    assert list(asked.topics) == ["session-events"]
    assert asked.wait_ms is not None and 0 < asked.wait_ms <= 400
    setup.pacing.brought(["session-events"])
    asked = setup.ask()
    assert asked.topics == {} and 0 < asked.again_s <= 0.2


def test_the_second_turn_is_due_when_the_first_has_brought_something() -> None:
    setup = Setup(BROWSE, EVENTS, tick_s=60.0)
    setup.pacing.brought(["session-events"])
    assert list(setup.ask().topics) == ["browse"]
    setup.pacing.brought(["pairs"])
    assert list(setup.ask().topics) == ["session-events"]
    setup.pacing.brought(["session-events", "browse"])
    assert list(setup.ask().topics) == ["session-events"]


def test_a_turn_is_asked_when_it_is_due() -> None:
    setup = Setup(BROWSE, EVENTS, tick_s=0.0)
    setup.pacing.brought(["session-events"])
    setup.pacing.brought(["browse"])
    assert sorted(setup.ask().topics) == ["browse", "session-events"]
    assert setup.ask().wait_ms == 500


def test_a_paused_partition_is_left_out_and_the_others_waited_for_briefly() -> None:
    setup = Setup(BROWSE, EVENTS)
    setup.assignment[BROWSE].paused = True
    asked = setup.ask()
    assert (list(asked.topics), asked.wait_ms) == (["session-events"], 20)


def test_a_broker_has_one_fetch_in_flight_and_its_positions_come_first() -> None:
    setup = Setup(BROWSE, EVENTS)
    setup.assignment[EVENTS]._position = None
    asked = setup.ask()
    assert (asked.topics, asked.resets) == ({}, ["session-events"])
    setup.fetcher._in_flight.add(NODE)
    asked = setup.ask()
    assert (asked.topics, asked.resets) == ({}, [])


def test_a_partition_without_leader_has_the_metadata_read_again() -> None:
    setup = Setup(BROWSE)
    setup.fetcher.leader = None
    assert setup.ask().is_leader_unknown
    setup.fetcher.leader = -1
    assert setup.ask().is_leader_unknown


def test_a_new_assignment_is_looked_at_anew() -> None:
    setup = Setup(BROWSE)
    setup.ask()
    setup.assignment = Assignment(EVENTS)
    assert list(setup.ask().topics) == ["session-events"]


def test_a_partition_is_behind_when_the_broker_had_more() -> None:
    setup = Setup(BROWSE, EVENTS, PAIRS)
    setup.ask()
    setup.assignment[BROWSE].highwater = 5
    setup.assignment[EVENTS].highwater = 0
    assert setup.pacing.behind() == {BROWSE}
    setup.assignment[BROWSE].consumed_to(5)
    assert setup.pacing.behind() == frozenset()


# -- what a fetch brings


def log_of(*batches: Sequence[bytes]) -> bytes:
    """Return record batches as a broker sends them, from offset 0 on."""
    data = b""
    offset = 0
    for values in batches:
        batch = BatchBuilder(64 * 1024, 0)
        for at, value in enumerate(values):
            batch.append(timestamp=1_000 + offset + at, key=b"k", value=value)
        built = bytes(batch._build())
        data += offset.to_bytes(8) + built[8:]
        offset += len(values)
    return data


def result_of(data: bytes, assignment: Assignment, position: int = 0, check_crcs: bool = True) -> FetchResult:
    tp = TopicPartition(*BROWSE)
    assignment[BROWSE].consumed_to(position)
    records = PartitionRecords(tp, MemoryRecords(data), [], position, None, None, check_crcs, 0)
    return FetchResult(tp, assignment=assignment, partition_records=records, backoff=0.1)


def test_records_are_those_that_aiokafka_reads() -> None:
    data = log_of([b"a", b""], [b"c"])
    assignment = Assignment(BROWSE)
    theirs = result_of(data, assignment).getall()
    assert assignment[BROWSE].position == 3
    ours = records_of(result_of(data, assignment))
    assert assignment[BROWSE].position == 3
    assert ours == [Record("browse", 0, 0, 1000, b"k", b"a"), Record("browse", 0, 1, 1001, b"k", b""),
                    Record("browse", 0, 2, 1002, b"k", b"c")]  # fmt: skip
    assert [(kept.offset, kept.timestamp, kept.key, kept.value) for kept in theirs] == [
        (kept.offset, kept.timestamp, kept.key, kept.value) for kept in ours
    ]


def test_records_before_the_position_are_left_out() -> None:
    assert [kept.offset for kept in records_of(result_of(log_of([b"a", b"b", b"c"]), Assignment(BROWSE), 2))] == [2]


def test_a_control_record_only_moves_the_position() -> None:
    data = bytearray(log_of([b"\0\0\0\1"]))
    data[22] |= 0x20  # the attribute of a control batch
    assignment = Assignment(BROWSE)
    assert records_of(result_of(bytes(data), assignment, check_crcs=False)) == []
    assert assignment[BROWSE].position == 1


def test_what_was_fetched_before_a_seek_or_a_rebalance_is_left_out() -> None:
    assignment = Assignment(BROWSE)
    result = result_of(log_of([b"a"]), assignment)
    assignment[BROWSE].consumed_to(7)
    assert records_of(result) == []
    result = result_of(log_of([b"a"]), assignment)
    assignment.active = False
    assert records_of(result) == []


def test_a_damaged_batch_is_an_error() -> None:
    data = bytearray(log_of([b"abc"]))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException):
        records_of(result_of(bytes(data), Assignment(BROWSE)))


# -- the thread


class KafkaConsumer:
    """The aiokafka consumer as our thread uses it."""

    def __init__(self, *assigned: TP) -> None:
        self.assigned = {TopicPartition(*tp) for tp in assigned}
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def pause(self, *tps: TopicPartition) -> None:
        self.calls.append(("pause", *tps))

    def resume(self, *tps: TopicPartition) -> None:
        self.calls.append(("resume", *tps))

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.calls.append(("seek", tp, offset))

    async def seek_to_beginning(self, *tps: TopicPartition) -> None:
        self.calls.append(("seek_to_beginning", *tps))

    async def commit(self, offsets: Any) -> None:
        self.calls.append(("commit", offsets))
        if self.error is not None:
            raise self.error


def thread_of(folder: Path, kafka: KafkaConsumer) -> Any:
    """Return our thread, not started, with this consumer."""
    info = TopicsInfo(1, {"browse": 1, "add-to-cart": 1, "orders": 1}, {})
    app = create_app(Settings(state_dir=folder), info)
    thread = app.consumer._thread
    thread._consumer = kafka
    return thread


@pytest.mark.parametrize("error", [CommitFailedError("rebalanced"), IllegalStateError("not assigned")])
def test_a_commit_that_comes_too_late_is_left_to_the_next_owner(tmp_path: Path, error: Exception) -> None:
    async def test() -> None:
        kafka = KafkaConsumer(BROWSE)
        thread = thread_of(tmp_path, kafka)
        assert await thread._commit_checkpoint({BROWSE: (7, "mark")}) is True
        assert kafka.calls == [("commit", {TopicPartition("browse", 0): OffsetAndMetadata(7, "mark")})]
        kafka.error = error
        assert await thread._commit_checkpoint({BROWSE: (7, "mark")}) is False

    run(test)


def test_a_seek_goes_where_the_stages_say(tmp_path: Path) -> None:
    async def test() -> None:
        kafka = KafkaConsumer(BROWSE, PAIRS)
        await thread_of(tmp_path, kafka)._seek_positions({BROWSE: None, PAIRS: 7})
        browse, pairs = TopicPartition(*BROWSE), TopicPartition(*PAIRS)
        assert kafka.calls == [
            ("resume", browse, pairs),
            ("seek", pairs, 7),
            ("seek_to_beginning", browse),
        ]

    run(test)


def test_only_what_is_still_assigned_is_paused(tmp_path: Path) -> None:
    async def test() -> None:
        kafka = KafkaConsumer(BROWSE)
        thread = thread_of(tmp_path, kafka)
        thread._pacing = SimpleNamespace(wake=lambda: kafka.calls.append(("wake",)))
        thread.pause([BROWSE, PAIRS])
        thread.resume([BROWSE, PAIRS])
        thread.thread_loop.call_soon(thread.thread_loop.stop)
        await asyncio.to_thread(thread.thread_loop.run_forever)
        assert kafka.calls == [
            ("pause", TopicPartition(*BROWSE)),
            ("wake",),
            ("resume", TopicPartition(*BROWSE)),
            ("wake",),
        ]

    run(test)


class Subscriptions:
    """The state of the group."""

    reassignment_in_progress = False
    fetches = 0

    def fetch_context(self) -> "Subscriptions":
        return self

    def __enter__(self) -> None:
        self.fetches += 1

    def __exit__(self, *error: object) -> None:
        self.fetches -= 1


@pytest.fixture
def fetching(tmp_path: Path) -> Iterator["Fetching"]:
    yield Fetching(tmp_path)


class Fetching:
    """Our thread's fetch on the test's own loop, over a fetcher that the test fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> Any:
        self.fetcher = Fetcher()
        self.assignment = Assignment(BROWSE, EVENTS)
        self.subscriptions = Subscriptions()
        kafka: Any = SimpleNamespace(_fetcher=self.fetcher, _subscription=self.subscriptions, _closed=False)
        thread: ConsumerThread = thread_of(self.folder, kafka)
        thread.consumer.flow_active = True
        self.pacing = thread._pacing = Pacing(self.fetcher, TURNS.get, 60.0)
        self.pacing.actions(self.assignment)
        self.thread = thread
        return thread._fetched(frozenset({BROWSE, EVENTS}), 5.0)

    def bring(self) -> None:
        self.fetcher._records[TopicPartition(*BROWSE)] = result_of(log_of([b"a"]), self.assignment)
        for waiter in self.fetcher.waiters:
            if not waiter.done():
                waiter.set_result(None)


def test_a_fetch_ends_with_what_comes_and_makes_its_turn_wait(fetching: Fetching) -> None:
    async def test() -> None:
        fetch = asyncio.ensure_future(fetching.begin())
        await turns()
        assert fetching.subscriptions.fetches == 1  # aiokafka sees that somebody still asks
        assert Asked(fetching.pacing, fetching.assignment).topics.keys() == {"browse", "session-events"}
        fetching.assignment[BROWSE].highwater = 3
        fetching.bring()
        fetched = await fetch
        assert {place: len(records) for place, records in fetched.records.items()} == {BROWSE: 1}
        assert fetched.behind == {BROWSE}
        assert fetching.subscriptions.fetches == 0
        assert Asked(fetching.pacing, fetching.assignment).topics == {}
        fetching.pacing.want(True)
        assert Asked(fetching.pacing, fetching.assignment).topics.keys() == {"session-events"}

    run(test)


def test_a_fetch_that_nothing_comes_of_ends_in_time(fetching: Fetching) -> None:
    async def test() -> None:
        fetching.begin().close()
        started = monotonic()
        fetched = await fetching.thread._fetched(frozenset({BROWSE}), 0.05)
        assert fetched.records == {} and 0.04 < monotonic() - started < 3
        assert all(waiter.cancelled() for waiter in fetching.fetcher.waiters)

    run(test)


def test_an_error_of_a_partition_is_raised_by_the_fetch_after_the_good_ones(fetching: Fetching) -> None:
    async def test() -> None:
        fetch = fetching.begin()
        fetching.bring()
        fetching.fetcher._records[TopicPartition(*EVENTS)] = FetchError(error=KafkaError("no right"), backoff=0.1)
        assert (await fetch).records.keys() == {BROWSE}
        with pytest.raises(KafkaError, match="no right"):
            await fetching.thread._fetched(frozenset({BROWSE, EVENTS}), 5.0)
        assert fetching.fetcher._records == {}

    run(test)


def test_nothing_is_asked_while_the_flow_stands_still_or_the_group_assigns(fetching: Fetching) -> None:
    async def test() -> None:
        fetching.begin().close()
        fetching.subscriptions.reassignment_in_progress = True
        assert (await fetching.thread._fetched(frozenset({BROWSE}), 5.0)).records == {}
        fetching.subscriptions.reassignment_in_progress = False
        fetching.thread.consumer.flow_active = False
        assert (await fetching.thread._fetched(frozenset({BROWSE}), 5.0)).records == {}
        assert fetching.fetcher.waiters == []

    run(test)


def test_a_fetch_goes_to_the_thread_and_back(fetching: Fetching) -> None:
    async def test() -> None:
        fetching.begin().close()
        thread = fetching.thread
        thread.parent_loop = asyncio.get_running_loop()
        thread._fetches = set()
        fetching.bring()
        good = thread.fetch({BROWSE}, 5.0)
        running = asyncio.ensure_future(asyncio.to_thread(thread.thread_loop.run_until_complete, asyncio.sleep(0.05)))
        assert (await good).records.keys() == {BROWSE}
        await running
        fetching.fetcher._records[TopicPartition(*EVENTS)] = FetchError(error=KafkaError("no right"), backoff=0.1)
        bad = thread.fetch({EVENTS}, 5.0)
        running = asyncio.ensure_future(asyncio.to_thread(thread.thread_loop.run_until_complete, asyncio.sleep(0.05)))
        with pytest.raises(KafkaError, match="no right"):
            await bad
        await running

    run(test)
