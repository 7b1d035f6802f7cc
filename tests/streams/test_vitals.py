"""What a worker says of itself, and every cause for which the watchdog ends it: each alone, and not beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from memory_log import run, turns
from memory_worker import Deployment, MemoryWorker
from test_recovery_progress import Clock

from models.errors import StalledError
from streams.pipeline import Pipeline
from streams.vitals import Vitals
from streams.watchdog import Watchdog


class Subject:
    """A worker that is ready and idle, whose parts a test moves or leaves standing."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.is_rebalancing = False
        self.waiting: dict[str, int] = {}
        self.parts = MemoryWorker(Deployment())
        self.pipeline = Pipeline(self.parts.context, self.parts.ingest, self.parts.table_stages)
        self.recovery = self.parts.context.recovery
        self.replica = self.parts.replica
        consumer: Any = SimpleNamespace(lag=lambda: self.waiting)
        self.vitals = Vitals(self.parts.context, consumer, self.pipeline, self.replica, lambda: self.is_rebalancing)
        self.failure: BaseException | None = None
        self.watchdog = Watchdog(lambda: self.failure, self.vitals.stalls(), self.clock)
        self.pipeline.is_recovered = True
        self.replica.loaded.set()

    def live(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> BaseException | None:
        """Let time pass, with a beat and a look of the watchdog each second; return what ends the worker."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 1
            meanwhile()
            self.watchdog.alive()
            self.vitals.look()
            found = self.watchdog.check()
            if found is not None:
                return found
        return None


@pytest.fixture
def subject() -> Iterator[Subject]:
    yield Subject()


def stalled(found: BaseException | None) -> str:
    assert isinstance(found, StalledError)
    return str(found)


def test_an_idle_worker_lives_for_ever(subject: Subject) -> None:
    assert subject.live(1000) is None


def test_the_page_shows_what_is_missing_and_how_far_the_recovery_is(subject: Subject) -> None:
    assert subject.vitals.page() == (
        True,
        {"ready": True, "missing": [], "partitions": [], "replica_lag": 0, "recovery": None},
    )
    subject.pipeline.is_recovered = False
    with subject.recovery.loading("kpi", 0) as loading:
        loading.begin("loading rows")
        loading.reached(3, 4)
        is_ready, page = subject.vitals.page()
    assert not is_ready and page["missing"] == ["tables are being recovered"]
    assert page["recovery"]["percent"] == 75.0
    assert page["recovery"]["loading"][0]["table"] == "kpi"


def test_a_recovery_is_in_the_metrics(subject: Subject) -> None:
    with subject.recovery.loading("sessions", 0) as loading:
        loading.begin("loading rows")
        loading.reached(3, 4)
        loading.replay = 9
    metric = subject.parts.metric
    assert metric("sidecart_recovery_records", table="sessions") == 3
    assert metric("sidecart_recovery_end_records", table="sessions") == 4
    assert metric("sidecart_replay_records", table="sessions") == 9


# -- the causes


@pytest.mark.parametrize(
    ("topic", "stage"),
    [("browse", "ingest"), ("session-events", "sessions"), ("pairs", "cooccurrence"), ("tallies", "kpi")],
)
def test_a_stage_that_folds_nothing_of_what_waits_is_ended_whatever_the_others_do(
    subject: Subject, topic: str, stage: str
) -> None:
    def others_get_on() -> None:
        subject.waiting = dict.fromkeys(("browse", "session-events", "pairs", "tallies"), 5)
        for other in subject.pipeline.handled:
            subject.pipeline.handled[other] += other != stage

    before = subject.clock.now
    sentence = stalled(subject.live(100, others_get_on))
    assert sentence.startswith("5 records of ") and topic in sentence
    assert sentence.endswith("none has been folded for 90 s; the next start goes on from the marks")
    assert subject.clock.now == before + 91


def test_a_stage_that_folds_slowly_is_left_alone(subject: Subject) -> None:
    def one_batch_in_80_s() -> None:
        subject.waiting = {"pairs": 1_000_000}
        subject.pipeline.handled["cooccurrence"] += subject.clock.now % 80 == 0

    assert subject.live(500, one_batch_in_80_s) is None


def test_a_stage_whose_lag_goes_away_in_between_starts_anew(subject: Subject) -> None:
    def burst() -> None:
        subject.waiting = {"browse": 3 if subject.clock.now % 80 else 0}

    assert subject.live(500, burst) is None


def test_what_waits_during_a_recovery_is_not_a_hanging_stage(subject: Subject) -> None:
    def load() -> None:
        subject.waiting = {"browse": 3}
        subject.recovery.moved()

    subject.is_rebalancing = True
    assert subject.live(500, load) is None


@pytest.mark.parametrize("cause", ["rebalance", "tables", "replica"])
def test_a_recovery_in_which_nothing_moves_is_ended(subject: Subject, cause: str) -> None:
    if cause == "rebalance":
        subject.is_rebalancing = True
        sentence = "nothing has moved while the group is rebalancing"
    elif cause == "tables":
        subject.pipeline.is_recovered = False
        sentence = "nothing has moved while tables are being recovered"
    else:
        subject.replica.loaded.clear()
        sentence = "nothing has moved while the replica is being loaded"
    assert subject.live(119) is None
    assert stalled(subject.live(10)).startswith(f"{sentence} for 120 s")


def test_a_replica_of_a_ready_worker_that_does_not_get_a_partition_is_ended(subject: Subject) -> None:
    with subject.recovery.loading("replica", 1):
        assert subject.live(119) is None
        assert stalled(subject.live(10)).startswith("nothing has moved while partitions are being loaded for 120 s")


def test_a_slow_load_that_gets_on_is_left_alone(subject: Subject) -> None:
    subject.pipeline.is_recovered = False
    with subject.recovery.loading("sessions", 0) as loading:
        passed = 0

        def read_a_record_in_100_s() -> None:
            nonlocal passed
            if subject.clock.now % 100 == 0:
                passed += 1
                loading.reached(passed, 1_000_000)

        assert subject.live(1000, read_a_record_in_100_s) is None


def test_a_replica_that_catches_up_slowly_is_left_alone(subject: Subject) -> None:
    def fold() -> None:
        subject.replica.lag = 1_000_000
        subject.replica.folded += subject.clock.now % 80 == 0

    subject.replica.loaded.clear()
    assert subject.live(500, fold) is None
    subject.replica.loaded.set()
    assert subject.live(500, fold) is None


def test_a_replica_that_stands_still_behind_its_log_is_ended(subject: Subject) -> None:
    subject.replica.lag = 7
    found = stalled(subject.live(100))
    assert found.startswith("7 records of pairs wait and the replica has folded none for 90 s")


@asynccontextmanager
async def endless_flush(subject: Subject) -> AsyncIterator[None]:
    """Begin a flush in which the ingest never settles."""
    subject.pipeline.ingest = SimpleNamespace(flush=asyncio.Event().wait)  # type: ignore[assignment]
    flushing = asyncio.ensure_future(subject.pipeline.checkpoint())
    await turns()
    yield
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)


def test_a_flush_that_does_not_end_is_ended(subject: Subject) -> None:
    async def test() -> None:
        async with endless_flush(subject):
            assert stalled(subject.live(100)).startswith("a flush of the tables has not ended for 90 s")
        assert subject.live(100) is None

    run(test)


def test_a_flush_that_waits_for_a_takeover_is_left_alone(subject: Subject) -> None:
    async def test() -> None:
        async with endless_flush(subject):
            subject.is_rebalancing = True
            assert subject.live(500, subject.recovery.moved) is None

    run(test)


def test_an_error_of_the_consumer_is_told_at_once(subject: Subject) -> None:
    subject.failure = RuntimeError("the fetcher has crashed")
    assert subject.live(1) is subject.failure
