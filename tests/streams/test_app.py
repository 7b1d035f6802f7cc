"""The wiring: one worker's parts know each other, nothing is started, and what has stopped for good is found."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from faust.types import TP
from memory_log import run
from prometheus_client import CollectorRegistry
from test_health import free_port

from models.errors import ConfigurationError
from streams.admin import TopicsInfo
from streams.app import Worker, create_app
from streams.batching import BatchConsumer
from streams.held import Record, StageRecords
from streams.settings import Settings
from streams.store import Store
from streams.topics import TABLES, topic_table


@asynccontextmanager
async def wired(folder: Path, topic_id: str = "id", **settings: Any) -> AsyncIterator[Worker]:
    """Give a worker that was not started; its port is given back."""
    own = Settings(state_dir=folder, metrics_port=free_port(), **settings)
    info = TopicsInfo(3, {"browse": 1, "add-to-cart": 2, "orders": 3}, dict.fromkeys(topic_table(own), topic_id))
    worker = Worker(own, info, CollectorRegistry())
    try:
        yield worker
    finally:
        worker.health._server.server_close()  # it does not serve: there is nothing to stop


def gauge(worker: Worker, name: str, **labels: str) -> float | None:
    return worker.metrics.registry.get_sample_value(name, labels)


def test_every_stage_is_an_agent_on_its_topics_without_acknowledgements(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path, topic_prefix="shop.") as worker:
            agents = {name: set(agent.channel.topics) for name, agent in worker.app.agents.items()}
            assert agents == {
                "sidecart.ingest": {"shop.browse", "shop.add-to-cart", "shop.orders"},
                "sidecart.suggest": {"shop.session-events"},
                "sidecart.learn": {"shop.pairs"},
                "sidecart.measure": {"shop.tallies"},
            }
            assert not any(agent.channel.acks for agent in worker.app.agents.values())
            assert {agent.concurrency for agent in worker.app.agents.values()} == {1}

    run(test)


def test_every_table_has_our_store_its_changelog_and_one_takeover(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            assert set(worker.app.tables) == set(TABLES)
            changelogs = {f"sidecart-{table}-changelog" for table in TABLES}
            assert worker.app.tables.changelog_topics == changelogs
            for table in worker.app.tables.values():
                assert isinstance(table.data, Store)
                assert table.data.changelog.has_transactions
                assert len(table._recover_callbacks) == 1
                assert table.data.partition_path(0).is_relative_to(tmp_path)

    run(test)


def test_the_settings_reach_faust_and_the_consumer(tmp_path: Path) -> None:
    async def test() -> None:
        options = {"commit_interval_s": 0.7, "session_timeout_s": 12.0, "tick_ms": 7.0, "bootstrap_servers": "a:1,b:2"}
        async with wired(tmp_path, **options) as worker:
            conf, consumer = worker.app.conf, worker.consumer
            assert isinstance(consumer, BatchConsumer) and consumer.checkpoints is worker.pipeline
            assert (consumer.tick_s, consumer.commit_interval, consumer.fetch_max_wait_ms) == (0.007, 0.7, 500)
            assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (12.0, 0.5)
            assert [url.authority for url in conf.broker] == ["a:1", "b:2"]
            assert (conf.topic_partitions, conf.table_standby_replicas) == (3, 0)
            assert (conf.web_enabled, conf.topic_allow_declare) == (False, False)
            assert str(conf.consumer_auto_offset_reset) == "earliest"

    run(test)


def test_without_topic_ids_the_broker_is_taken_for_the_embedded_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path, topic_id="") as worker:
            assert worker.consumer.fetch_max_wait_ms == 10
            assert not any(table.data.changelog.has_transactions for table in worker.app.tables.values())

    run(test)


def test_a_worker_that_was_not_started_is_live_and_not_ready(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            assert worker.vitals.readiness() == ["tables are being recovered", "the replica is being loaded"]
            worker.pipeline.is_recovered = True
            worker.replica.loaded.set()
            assert worker.vitals.readiness() == []
            worker.app.rebalancing = True
            assert worker.vitals.readiness() == ["the group is rebalancing"]
            assert worker.watchdog.is_alive_lately()

    run(test)


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            with pytest.raises(ConfigurationError, match="metrics_port="):
                Worker(worker.settings, worker.context.info, CollectorRegistry())

    run(test)


def test_what_has_stopped_for_good_is_found(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            assert worker._failure() is None
            error = GroupAuthorizationFailedError("sidecart")

            def check_errors() -> None:
                raise error

            coordinator = SimpleNamespace(check_errors=lambda: None)
            worker.consumer._thread._consumer = SimpleNamespace(_coordinator=coordinator)
            assert worker._failure() is None
            coordinator.check_errors = check_errors
            assert worker._failure() is error
            worker.consumer._thread._consumer = None
            await worker.consumer.crash(ValueError("the fetcher has crashed"))
            assert isinstance(worker._failure(), ValueError)

    run(test)


def fetched_nothing_of_five() -> Any:
    """Return what the consumer's thread asks for highwaters and positions."""
    assignment = SimpleNamespace(state_value=lambda tp: SimpleNamespace(_position=0))
    subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
    return SimpleNamespace(highwater=lambda tp: 5, _subscription=subscription)


def test_the_lag_is_shown_by_topic(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            held = worker.consumer._held["ingest"] = StageRecords([TP("browse", 0)])
            held.hold(TP("browse", 0), [Record("browse", 0, offset, 0, None, b"") for offset in (3, 4)])
            worker.consumer._thread._consumer = fetched_nothing_of_five()
            worker.vitals.look()
            assert gauge(worker, "sidecart_consumer_lag_records", topic="browse") == 7

    run(test)


def test_the_lag_of_partitions_that_moved_away_is_forgotten(tmp_path: Path) -> None:
    async def test() -> None:
        async with wired(tmp_path) as worker:
            held = worker.consumer._held["ingest"] = StageRecords([TP("browse", 0)])
            held.hold(TP("browse", 0), [Record("browse", 0, offset, 0, None, b"") for offset in (3, 4)])
            worker.consumer._thread._consumer = fetched_nothing_of_five()
            worker.vitals.look()
            worker.consumer._held.clear()
            worker.vitals.look()
            assert not gauge(worker, "sidecart_consumer_lag_records", topic="browse")

    run(test)


def test_an_app_is_made_without_side_effects(tmp_path: Path) -> None:
    async def test() -> None:
        create_app(Settings(state_dir=tmp_path / "state"), TopicsInfo(1, {}, {}))

    run(test)
    assert list(tmp_path.iterdir()) == []
