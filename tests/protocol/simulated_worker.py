"""One worker: Sidecart's own stages, outbox, stores and replica over the cluster in small.

What Faust and aiokafka do around them is here in its plainest form: join the group, take over, seek, hand out batches,
flush and commit, and give partitions back. Every wait is a request to the cluster or a step of the schedule.
"""

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from random import Random
from typing import Any

from aiokafka.errors import CommitFailedError
from aiokafka.structs import ConsumerRecord
from cluster import Cluster, Process
from faust.types import TP
from prometheus_client import CollectorRegistry
from simulated_clients import SimulatedConsumer, SimulatedProducer
from simulated_disk import Disk, SimulatedStore
from simulated_group import Group

from models.parameters import Parameters
from streams.admin import TopicsInfo
from streams.agents.ingest import Ingest
from streams.agents.learn import Learn
from streams.agents.measure import Measure
from streams.agents.suggest import Suggest
from streams.batching import RecordBatch
from streams.changelog import LogReader
from streams.context import Context
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.replica import Replica
from streams.settings import Settings
from streams.store import Changelog
from streams.topics import INPUTS, changelog_name, topic_table

__all__ = ["PROCESS", "SimulatedWorker"]

#: The process that the running task is part of.
PROCESS: ContextVar[Process] = ContextVar("process")

_SETTINGS = Settings(tick_ms=0)
_TOPICS = topic_table(_SETTINGS)


class SimulatedWorker:
    """A worker from its start to its end; only the disk outlives it."""

    def __init__(
        self, name: str, cluster: Cluster, group: Group, disk: Disk, info: TopicsInfo, parameters: Parameters
    ) -> None:
        self.process = Process(name)
        self.disk = disk
        self.is_active = False
        self.busy: set[str] = set()
        self.is_committing = False
        self._cluster = cluster
        self._group = group
        self._epoch = 0
        self._generation = -1
        self._assigned: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self._noticed: asyncio.Future[None] | None = None
        self._hurry: asyncio.Future[None] | None = None
        self._build(info, parameters)
        self.do(self._live())

    def _build(self, info: TopicsInfo, parameters: Parameters) -> None:
        cluster, process = self._cluster, self.process
        clients: Any = lambda: SimulatedConsumer(cluster, process)  # noqa: E731
        writers: Any = lambda transactional_id: SimulatedProducer(cluster, process, transactional_id)  # noqa: E731
        producer: Any = SimulatedProducer(cluster, process)
        reader = LogReader(clients)
        self.context = Context(
            settings=_SETTINGS,
            topics=_TOPICS,
            info=info,
            parameters=parameters,
            outbox=Outbox(producer, process.kill),
            reader=reader,
            metrics=Metrics(CollectorRegistry()),
            epoch=lambda: self._epoch,
            die=process.kill,
        )
        changelog = Changelog(reader, writers, has_transactions=True)
        self.stores = {
            table: SimulatedStore(table, changelog_name(_SETTINGS, table), self.disk, changelog)
            for table in ("sessions", "cooccurrence", "kpi")
        }
        self.replica = Replica(self.context, clients)
        stores: Any = self.stores
        self.ingest = Ingest(self.context)
        self.suggest = Suggest(self.context, stores["sessions"], self.replica)
        self.learn = Learn(self.context, stores["cooccurrence"], self.replica)
        self.measure = Measure(self.context, stores["kpi"])
        self.pipeline = Pipeline(self.context, self.ingest, (self.suggest, self.learn, self.measure))
        self._handlers: dict[str, Any] = {"ingest": self.ingest} | {
            stage.table: stage for stage in self.pipeline.table_stages
        }

    def do(self, coroutine: Any) -> "asyncio.Task[Any]":
        """Run something in this process; the tasks that it makes are this process's too."""
        token = PROCESS.set(self.process)
        try:
            return asyncio.get_running_loop().create_task(self._guarded(coroutine))
        finally:
            PROCESS.reset(token)

    async def _guarded(self, coroutine: Any) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001  as the agents do
            self.process.kill(error)

    # -- the group

    async def _live(self) -> None:
        while True:
            self._generation, assigned = await self._group.join(self)
            self._assigned = assigned
            owned = {tp.partition for tp in assigned if tp.topic not in self._inputs()}
            for stage in self.pipeline.table_stages:
                await self.pipeline.take_over(stage, owned.copy, self._generation)
            positions = await self.pipeline.positions(assigned)
            self._positions = {
                tp: self._cluster.log.beginning(*tp) if position is None else position
                for tp, position in positions.items()
            }
            loop = asyncio.get_running_loop()
            self._noticed, self._hurry = loop.create_future(), loop.create_future()
            self.is_active = True
            await self._noticed
            self.is_active = False
            self._supersede()
            committing = asyncio.ensure_future(self.commit())
            await asyncio.wait({committing, self._hurry}, return_when=asyncio.FIRST_COMPLETED)

    def notice(self) -> bool:
        """Notice that the group rebalances; tells whether there was anything to give back."""
        if self._noticed is None or self._noticed.done():
            return False
        self._noticed.set_result(None)
        return True

    def hurry(self) -> None:
        """Wait no longer for the last commit before the rebalance."""
        if self._hurry is not None and not self._hurry.done():
            self._hurry.set_result(None)

    def _supersede(self) -> None:
        self._epoch += 1
        self.busy.clear()

    def _inputs(self) -> set[str]:
        return {self.context.name(kind) for kind in INPUTS}

    # -- the fold

    def waiting(self) -> list[str]:
        """Return the stages that are free and have something to fold."""
        if not self.is_active or not self.process.is_alive:
            return []
        stages = {self.pipeline.stage_of(tp.topic) for tp, at in self._positions.items() if self._has_more(tp, at)}
        return sorted(stage for stage in stages - self.busy if stage is not None)

    def _has_more(self, tp: TP, position: int) -> bool:
        return position < self._cluster.log.end(*tp)

    def fold(self, stage: str, random: Random, most: int) -> None:
        """Hand the next batch to a stage, of several logs in any order between them."""
        queues: dict[TP, list[ConsumerRecord]] = {}
        for tp, position in sorted(self._positions.items()):
            if self.pipeline.stage_of(tp.topic) == stage and self._has_more(tp, position):
                queues[tp] = self._cluster.log.records(*tp, start=position)[: random.randint(1, most)]
        records: list[ConsumerRecord] = []
        while queues:
            tp = random.choice(list(queues))
            records.append(queues[tp].pop(0))
            self._positions[tp] = records[-1].offset + 1
            if not queues[tp]:
                del queues[tp]
        self.busy.add(stage)
        self.do(self._handle(stage, RecordBatch(stage, self._epoch, records)))

    async def _handle(self, stage: str, batch: RecordBatch) -> None:
        await self._handlers[stage].handle(batch)
        if batch.epoch == self._epoch:
            self.busy.discard(stage)

    def publish_windows(self) -> None:
        if self.is_active:
            self.do(self._publish_windows())

    async def _publish_windows(self) -> None:
        self.measure.publish_due(float("inf"))

    # -- the flush

    def start_commit(self) -> None:
        if self.is_active and not self.is_committing:
            self.is_committing = True
            self.do(self.commit())

    async def commit(self) -> None:
        """Make everything durable and commit it, as the consumer does."""
        try:
            offsets = await self.pipeline.checkpoint()
            mine = {tp: offset for tp, offset in offsets.items() if tp in self._assigned}
            if mine:
                await self._commit(mine)
        except CommitFailedError:
            pass
        finally:
            self.is_committing = False

    async def _commit(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        process, generation = self.process, self._generation

        def perform() -> None:
            self._cluster.commit(process, generation, offsets)

        await self._cluster.ask(process, "commit", perform, "commit").future
