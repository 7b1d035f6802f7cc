"""The stages as the consumer sees them: one answer for all of them, and an error ends the process."""

from collections.abc import Iterator
from typing import Any

import pytest
from faust.types import TP
from memory_log import run
from memory_worker import Deployment, MemoryWorker, event

from streams.brokers.embedded import EmbeddedBroker
from streams.fetching import TURNS
from streams.pipeline import Pipeline
from streams.settings import Settings

LOG = TP("session-events", 0)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


async def started(broker: EmbeddedBroker, **settings: Any) -> tuple[MemoryWorker, Pipeline]:
    deployment = Deployment(1, Settings(tick_ms=0, bootstrap_servers=broker.bootstrap_servers, **settings))
    worker = MemoryWorker(deployment)
    return worker, Pipeline(worker.context, worker.ingest, worker.table_stages)


async def take_over(pipeline: Pipeline, generation: int = 1) -> None:
    for stage in pipeline.table_stages:
        await pipeline.take_over(stage, lambda: {0}, generation)


def test_every_topic_that_is_read_has_its_stage(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        _, pipeline = await started(broker, topic_browse="views")
        stages = {topic: pipeline.stage_of(topic) for topic in ("views", "add-to-cart", "orders")}
        assert set(stages.values()) == {"ingest"}
        assert [pipeline.stage_of(topic) for topic in ("session-events", "pairs", "tallies")] == [
            "sessions",
            "cooccurrence",
            "kpi",
        ]
        for topic in ("browse", "suggestions", "sidecart-kpi-changelog"):
            assert pipeline.stage_of(topic) is None

    run(test)


def test_session_events_have_a_turn_of_their_own(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        _, pipeline = await started(broker, topic_session_events="events")
        first = {
            topic for topic in ("browse", "add-to-cart", "orders", "pairs", "tallies") if pipeline.turn_of(topic) == 0
        }
        assert len(first) == 5
        assert (0, pipeline.turn_of("events")) == TURNS
        for topic in ("session-events", "suggestions", "sidecart-kpi-changelog"):
            assert pipeline.turn_of(topic) is None

    run(test)


def test_positions_are_the_tables_marks_and_the_doors_commits(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker, pipeline = await started(broker)
        assert not pipeline.is_recovered
        await take_over(pipeline)
        worker.deployment.put(event("s", "e1", "tea"))
        await worker.fold(worker.suggest)
        assigned = [LOG, TP("pairs", 0), TP("browse", 0), TP("sidecart-kpi-changelog", 0)]
        assert await pipeline.positions(assigned) == {LOG: 1, TP("pairs", 0): 0, TP("browse", 0): None}
        assert pipeline.is_recovered
        await worker.stop()

    run(test)


def test_a_takeover_ends_the_recovered_state_until_the_next_positions(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker, pipeline = await started(broker)
        await take_over(pipeline)
        await pipeline.positions([LOG])
        await take_over(pipeline, generation=2)
        assert not pipeline.is_recovered
        await worker.stop()

    run(test)


def test_a_checkpoint_flushes_every_stage_and_returns_what_may_be_committed(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker, pipeline = await started(broker)
        await take_over(pipeline)
        assert await pipeline.checkpoint() == {}
        assert worker.metric("sidecart_flush_seconds_count") == 0
        worker.deployment.put(event("s", "e1", "tea"))
        await worker.fold()
        assert await pipeline.checkpoint() == {LOG: (1, ""), TP("pairs", 0): (1, ""), TP("tallies", 0): (1, "")}
        assert worker.metric("sidecart_flush_seconds_count") == 1
        await worker.stop()

    run(test)


def test_an_error_of_a_flush_ends_the_process_before_the_commit(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker, pipeline = await started(broker)
        await take_over(pipeline)
        worker.deployment.put(event("s", "e1", "tea"))
        await worker.fold()
        worker.stores["kpi"].owned.clear()
        with pytest.raises(AssertionError):
            await pipeline.checkpoint()
        assert [type(error) for error in worker.died] == [AssertionError]
        await worker.stop()

    run(test)


def test_an_error_of_a_takeover_or_of_the_positions_ends_the_process(broker: EmbeddedBroker) -> None:
    async def test() -> None:
        worker, pipeline = await started(broker)
        worker.deployment.log.cut("tallies", 0, 5)
        with pytest.raises(Exception, match="begins at offset 5"):
            await take_over(pipeline)
        assert len(worker.died) == 1
        with pytest.raises(KeyError):
            await pipeline.positions([TP("tallies", 0)])
        assert len(worker.died) == 2 and not pipeline.is_recovered
        await worker.stop()

    run(test)
