"""The only wiring: `create_worker` puts clients, stages, tables and agents together."""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import faust
import msgspec
from prometheus_client import CollectorRegistry
from yarl import URL

from models.kernel.warmup import warm_up
from streams.admin import TopicsInfo
from streams.agents.ingest import Ingest
from streams.agents.learn import Learn
from streams.agents.measure import Measure
from streams.agents.suggest import Suggest
from streams.batching import BatchConsumer, BatchSchema, BatchTransport
from streams.changelog import LogReader
from streams.clients import Clients
from streams.context import Context, model_parameters
from streams.health import HealthServer
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.recovery import Recovery
from streams.replica import Replica
from streams.settings import Settings
from streams.stage import TableStage
from streams.store import Changelog
from streams.topics import INPUTS, changelog_name, topic_table
from streams.vitals import Vitals
from streams.watchdog import Watchdog, die

__all__ = ["Worker", "create_app", "serve"]

logger = logging.getLogger(__name__)

_GAUGE_S = 1.0
#: New objects after which the garbage collector looks for cycles; by default 700, which is less than one batch makes.
_GC_OBJECTS = 20_000
#: Seconds for leaving the group at a stop.
_LEAVE_S = 5.0
#: Seconds between two heartbeats, at most: members that hear of a rebalance late keep the others waiting.
_HEARTBEAT_S = 0.5


class Worker:
    """The parts of one worker, wired but not started."""

    def __init__(self, settings: Settings, info: TopicsInfo, registry: CollectorRegistry) -> None:
        # First, because its port may be taken: nothing is open yet.
        self.health = HealthServer(
            settings.metrics_host,
            settings.metrics_port,
            registry,
            lambda: self.watchdog.is_alive_lately(),
            lambda: self.vitals.page(),
            self._replica_page,
        )
        has_transactions = any(info.topic_ids.values())
        clients = Clients(settings, has_transactions)
        reader = LogReader(clients.log_consumer)
        self.settings = settings
        self.metrics = Metrics(registry)
        self.app = create_app(settings, info)
        self._producer = clients.producer()
        self.context = Context(
            settings=settings,
            topics=topic_table(settings),
            info=info,
            parameters=model_parameters(settings),
            outbox=Outbox(self._producer, die),
            reader=reader,
            metrics=self.metrics,
            epoch=lambda: self.consumer.epoch,
            die=die,
            recovery=Recovery(),
        )
        self.replica = Replica(self.context, clients.log_consumer)
        changelog = Changelog(reader, clients.producer, has_transactions)
        self._measure = Measure(self.context, self._store("kpi", changelog))
        self.pipeline = Pipeline(
            self.context,
            Ingest(self.context),
            (
                Suggest(self.context, self._store("sessions", changelog), self.replica),
                Learn(self.context, self._store("cooccurrence", changelog), self.replica),
                self._measure,
            ),
        )
        self._add_agents()
        self.app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        consumer = self.consumer
        consumer.checkpoints = self.pipeline
        self._measure.is_ours = lambda: consumer.is_positioned
        consumer.tick_s = settings.tick_ms / 1000
        consumer.fetch_max_wait_ms = clients.fetch_wait_ms
        self.vitals = Vitals(self.context, consumer, self.pipeline, self.replica, lambda: self.app.rebalancing)
        self.watchdog = Watchdog(self._failure, self.vitals.stalls())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def consumer(self) -> BatchConsumer:
        """Faust's consumer, which is ours."""
        consumer: BatchConsumer = self.app.consumer
        return consumer

    def _store(self, table: str, changelog: Changelog) -> Any:
        faust_table = self.app.Table(table, key_type=bytes, value_type=bytes, partitions=self.app.conf.topic_partitions)
        faust_table.data.changelog = changelog
        return faust_table.data

    def _add_agents(self) -> None:
        schema = BatchSchema()
        inputs = [self.context.name(kind) for kind in INPUTS]
        self._add_agent("ingest", inputs, schema, self.pipeline.ingest.handle)
        for stage in self.pipeline.table_stages:
            self._add_agent(type(stage).__name__.lower(), [self.context.name(stage.log)], schema, stage.handle)
            changelog = changelog_name(self.settings, stage.table)
            self.app.tables[stage.table].on_recover(partial(self._take_over, stage, changelog))

    def _add_agent(self, name: str, topics: list[str], schema: BatchSchema, handle: Callable[[Any], Any]) -> None:
        async def agent(batches: Any) -> None:
            async for batch in batches:
                try:
                    await handle(batch)
                except Exception as error:  # noqa: BLE001  nothing may be acknowledged after it
                    die(error)
                self.pipeline.handled[batch.stage] += 1
                self.consumer.done(batch)

        self.app.agent(self.app.topic(*topics, schema=schema, acks=False), name=f"sidecart.{name}")(agent)

    async def _take_over(self, stage: TableStage[Any], changelog: str) -> None:
        def owned() -> set[int]:
            return {tp.partition for tp in self.app.assignor.assigned_actives() if tp.topic == changelog}

        await self.pipeline.take_over(stage, owned, self.app.consumer_generation_id)
        if not self.consumer.assignment():
            self.pipeline.is_recovered = True  # Faust asks for no positions

    async def _on_revoked(self, app: faust.App, revoked: Any, **options: Any) -> None:
        self.context.recovery.begin("the group is rebalancing")

    # -- life

    async def start(self) -> None:
        """Start everything; returns once the worker runs, which is before it is ready."""
        self._loop = asyncio.get_running_loop()
        gc.set_threshold(_GC_OBJECTS, *gc.get_threshold()[1:])
        self.health.start()
        logger.info("loading the compiled kernels; a machine's first start compiles them, which takes some seconds")
        await asyncio.to_thread(warm_up, self.context.parameters)
        await self._producer.start()
        for topic in self.context.topics.values():
            await self._producer.partitions_for(topic.name)  # or the first event would wait for it
        self.watchdog.start()
        self.context.recovery.begin("the worker starts")
        self._tasks = [
            asyncio.create_task(_unless_it_fails(self._beat_forever())),
            asyncio.create_task(_unless_it_fails(self._measure.publish_forever())),
        ]
        await self.app.start()

    async def stop(self) -> None:
        """Flush, commit, leave the group and close everything."""
        self.watchdog.stop()
        for task in self._tasks:
            task.cancel()
        await self.consumer.finish()
        # During a rebalance Faust's shutdown may hang. All is committed: the group then notices by the session timeout.
        await asyncio.wait({asyncio.ensure_future(self.app.stop())}, timeout=_LEAVE_S)
        await self.replica.stop_following()
        await self._producer.stop()
        self.health.stop()

    async def _beat_forever(self) -> None:
        said: list[str] | None = None
        while True:
            self.watchdog.alive()
            missing = self.vitals.look()
            if not missing and said:
                # What is loaded stays: the collector, which stops all threads, need not look at it each time.
                gc.collect()
                gc.freeze()
            if missing != said:
                said = missing
                logger.info("not ready: %s", "; ".join(missing)) if missing else logger.info("ready: %s", self._owned())
            await asyncio.sleep(_GAUGE_S)

    def _owned(self) -> str:
        owned = {stage.table: len(stage.shards) for stage in self.pipeline.table_stages}
        return f"owns {owned['cooccurrence']} of {self.context.partitions} partitions"

    def _replica_page(self) -> Any:
        assert self._loop is not None
        digests = asyncio.run_coroutine_threadsafe(self.replica.digests(), self._loop).result(timeout=60)
        return msgspec.to_builtins(digests)

    def _failure(self) -> BaseException | None:
        """Return what has stopped the consumer or the application for good."""
        consumer = self.consumer._thread._consumer
        if consumer is not None and consumer._coordinator is not None:
            try:
                consumer._coordinator.check_errors()
            except Exception as error:  # noqa: BLE001  whatever it is, the worker would never rejoin
                return error
        for service in (self.app, self.consumer):
            if service.crashed:
                return service.crash_reason or RuntimeError(f"{service.label} has crashed")
        return None


async def _unless_it_fails(task: Coroutine[Any, Any, None]) -> None:
    """Run a task that nobody waits for; its failure ends the worker."""
    try:
        await task
    except Exception as error:  # noqa: BLE001  nobody else would be told
        die(error)


def create_app(settings: Settings, info: TopicsInfo) -> faust.App:
    """Return the Faust application, without agents and tables; importing and calling it does nothing else."""
    app = faust.App(
        settings.group_id,
        broker=[URL(f"kafka://{server}") for server in settings.servers],
        store="sidecart://",
        datadir=str(settings.state_dir),
        topic_partitions=info.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(_HEARTBEAT_S, settings.session_timeout_s / 3),
        broker_max_poll_records=None,
        consumer_max_fetch_size=2 * 1024 * 1024,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        recovery_consistency_check=False,
        web_enabled=False,
        stream_publish_on_commit=False,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    return app


async def serve(worker: Worker, stop: asyncio.Event) -> None:
    """Run a worker until `stop` is set; what has not been started by then is not waited for."""
    starting = asyncio.ensure_future(worker.start())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        return
    await starting
    settings = worker.settings
    logger.info("metrics at http://%s:%d/metrics", settings.metrics_host, settings.metrics_port)
    await stopping
    logger.info("stopping: a last flush and commit")
    await worker.stop()
