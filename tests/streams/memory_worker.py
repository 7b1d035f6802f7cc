"""The stages of one worker over a log in memory; the log and the tables outlive it, as Kafka and changelogs do."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP
from memory_log import T0_MS, MemoryConsumer, MemoryLog, MemoryProducer, turns
from prometheus_client import CollectorRegistry

from models.coverage import Packed, Span
from models.kernel.suggesting import SessionShard
from models.parts import TableRows
from models.records import MOMENTS, Event, Kind, Line
from models.suggesting import EventEntry, Suggestion
from streams.admin import TopicsInfo
from streams.agents.ingest import Ingest
from streams.agents.learn import Learn
from streams.agents.measure import Measure
from streams.agents.suggest import Suggest
from streams.batching import RecordBatch
from streams.changelog import LogReader
from streams.context import Context, model_parameters
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.replica import Replica
from streams.settings import Settings
from streams.stage import TableStage
from streams.topics import INPUTS, TABLES, topic_table
from streams.wire import MARK_KEY, PACKED_EVENTS, Mark, decode_mark, decode_suggestion, encode_mark

Rows = dict[bytes, bytes]

TOPIC_IDS = {row: f"id-of-{row}" for row in topic_table(Settings())}


@dataclass
class Deployment:
    """What is left when every worker is gone: the log, and the rows with their marks by table and partition.

    The tables begin with marks at offset 0, as after a first flush of nothing: without a mark a stage asks the broker
    what the group has committed.
    """

    partitions: int = 2
    settings: Settings = field(default_factory=lambda: Settings(tick_ms=0))
    log: MemoryLog = field(default_factory=MemoryLog)
    tables: dict[str, dict[int, Rows]] = field(default_factory=dict)
    #: What was written and to whom it was acknowledged, in order.
    journal: list[tuple[str, str, int]] = field(default_factory=list)
    _sent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in TABLES:
            marks = self.tables[table] = {}
            for partition in range(self.partitions):
                marks[partition] = {MARK_KEY: encode_mark(self.first_mark(table))}

    def first_mark(self, table: str, position: int = 0) -> Mark:
        stage = {"sessions": Suggest, "cooccurrence": Learn, "kpi": Measure}[table]
        return Mark(
            position=position,
            watermarks={},
            newest=0,
            topic_ids={row: TOPIC_IDS[row] for row in (stage.log, *stage.origins)},
            partitions=self.partitions,
            half_life_ms=model_parameters(self.settings).half_life_ms,
        )

    def mark(self, table: str, partition: int = 0) -> Mark:
        return decode_mark(self.tables[table][partition][MARK_KEY])

    def rows(self, table: str) -> Rows:
        """Return the rows of all partitions of a table, without marks."""
        return {key: value for rows in self.tables[table].values() for key, value in rows.items() if key != MARK_KEY}

    # -- the shop

    def send(self, kind: Kind, session: str, event: str, partition: int = 0, **fields: Any) -> None:
        """Write one event to an input topic; `seconds` is its time after the beginning."""
        seconds = fields.pop("seconds", 0)
        message = {"event_id": event, "session_id": session, "time": T0_MS + round(seconds * 1000), **fields}
        self.send_raw(kind, json.dumps(message).encode(), session.encode(), partition, T0_MS + round(seconds * 1000))

    def send_raw(
        self, kind: Kind, value: bytes | None, key: bytes | None = None, partition: int = 0, timestamp_ms: int = T0_MS
    ) -> None:
        self.log.append(topic_table(self.settings)[kind].name, partition, [(key, value)], timestamp_ms)

    def put(self, *events: Event, partition: int = 0) -> None:
        """Write events to `session-events`, as one packed record of ingest's."""
        start = self._sent.get(partition, -1)
        end = self._sent[partition] = start + len(events)
        entries = [EventEntry(0, start + 1 + at, T0_MS, event) for at, event in enumerate(events)]
        value = PACKED_EVENTS.encode(Packed([Span(f"browse-{partition}", start, end)], entries))
        self.log.append(topic_table(self.settings)["session-events"].name, partition, [(None, value)])

    # -- the readers

    def messages(self, row: str) -> list[dict[str, Any]]:
        """Return the messages of an output topic, partition by partition."""
        name = topic_table(self.settings)[row].name
        return [json.loads(value) for _, value in self.log.messages(name) if value is not None]

    def suggestions(self) -> dict[str, Suggestion]:
        """Return the first suggestion of every id."""
        found: dict[str, Suggestion] = {}
        for _, value in self.log.messages("suggestions"):
            assert value is not None
            suggestion = decode_suggestion(value)
            found.setdefault(suggestion.suggestion_id, suggestion)
        return found


class MemoryStore:
    """The rows of one table; durable at once, but only for the latest owner of a partition."""

    def __init__(self, deployment: Deployment, table: str) -> None:
        self.table = table
        self.owned: set[int] = set()
        self.loads: list[int] = []
        self.released: list[int] = []
        self.flushed: list[Mapping[bytes, bytes | None]] = []
        self._deployment = deployment

    async def take_over(self, partition: int) -> None:
        self.owned.add(partition)

    async def load(self, partition: int, on_progress: Callable[[int, int], None]) -> Iterator[tuple[bytes, bytes]]:
        assert partition in self.owned, "loaded before the former owner was fenced"
        self.loads.append(partition)
        await turns(2)
        return iter(list(self._deployment.tables[self.table][partition].items()))

    async def flush(self, partition: int, table_rows: TableRows, mark: bytes) -> None:
        rows = table_rows.as_dict()
        assert partition in self.owned
        await turns(2)
        self.flushed.append(rows)
        durable = self._deployment.tables[self.table][partition]
        for key, value in {**rows, MARK_KEY: mark}.items():
            if value is None:
                durable.pop(key, None)
            else:
                durable[key] = value
        self._deployment.journal.append(("flushed", self.table, partition))

    async def release(self, partition: int) -> None:
        self.owned.discard(partition)
        self.released.append(partition)


class JournalingProducer(MemoryProducer):
    """Notes in the deployment's journal what is acknowledged."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment.log)
        self._journal = deployment.journal

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        future = await super().send_batch(batch, topic, partition=partition)
        if future.done():
            self._journal.append(("acknowledged", topic, partition))
        else:
            future.add_done_callback(lambda _: self._journal.append(("acknowledged", topic, partition)))
        return future


class MemoryWorker:
    """The four stages with everything they need; `died` holds what would have ended the process."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.died: list[BaseException] = []
        self.epoch = 1
        self.producer = JournalingProducer(deployment)
        #: Made for every read of a log; a test may put a slow one here.
        self.new_consumer = lambda: MemoryConsumer(deployment.log)
        settings = deployment.settings
        self.context = Context(
            settings=settings,
            topics=topic_table(settings),
            info=TopicsInfo(deployment.partitions, dict.fromkeys(INPUTS, 1), TOPIC_IDS),
            parameters=model_parameters(settings),
            outbox=Outbox(self.producer, self.died.append),  # type: ignore[arg-type]
            reader=LogReader(lambda: self.new_consumer()),  # type: ignore[arg-type,return-value]
            metrics=Metrics(CollectorRegistry()),
            epoch=lambda: self.epoch,
            die=self.died.append,
        )
        self.stores = {table: MemoryStore(deployment, table) for table in TABLES}
        self.replica = Replica(self.context, lambda: self.new_consumer())  # type: ignore[arg-type,return-value]
        stores: Any = self.stores
        self.ingest = Ingest(self.context)
        self.suggest = Suggest(self.context, stores["sessions"], self.replica)
        self.learn = Learn(self.context, stores["cooccurrence"], self.replica)
        self.measure = Measure(self.context, stores["kpi"])

    @property
    def table_stages(self) -> tuple[TableStage[Any], ...]:
        return (self.suggest, self.learn, self.measure)

    async def take_over(self, *owned: int, generation: int = 1) -> None:
        """Own these partitions in every stage with a table; without any, all."""
        partitions = set(owned) or set(range(self.deployment.partitions))
        for stage in self.table_stages:
            await stage.take_over(partitions, generation)

    def batch(self, stage: TableStage[Any], most: int | None = None) -> RecordBatch:
        """Return what a stage has not folded yet, `most` records of each partition."""
        topic = self.context.name(stage.log)
        records = [
            record
            for partition, shard in sorted(stage.shards.items())
            for record in self.deployment.log.records(topic, partition, shard.position)[:most]
        ]
        return RecordBatch(stage.table, self.epoch, records)

    async def fold(self, *stages: TableStage[Any]) -> None:
        """Have stages fold, one after the other, all that is there for them."""
        for stage in stages or self.table_stages:
            await stage.handle(self.batch(stage))
            await turns()

    async def resume_ingest(self, *tps: TP) -> Mapping[TP, int | None]:
        """Have ingest take up the input partitions; without any, the first of each input topic."""
        return await self.ingest.resume(tps or [TP(self.context.name(kind), 0) for kind in INPUTS])

    async def admit(self, positions: Mapping[TP, int | None]) -> None:
        """Have ingest admit all that the input partitions hold from some positions on, merged by time."""
        records = [record for tp, start in positions.items() for record in self.deployment.log.records(*tp, start or 0)]
        records.sort(key=lambda record: (record.timestamp, record.topic))
        await self.ingest.handle(RecordBatch("ingest", self.epoch, records))
        await turns()

    async def flush(self, *stages: Any) -> dict[TP, tuple[int, str]]:
        """Flush stages, or all; return what may be committed."""
        committed: dict[TP, tuple[int, str]] = {}
        for stage in stages or (self.ingest, *self.table_stages):
            committed |= await stage.flush()
        return committed

    async def stop(self) -> None:
        await self.replica.stop_following()

    def metric(self, name: str, **labels: str) -> float:
        return self.context.metrics.registry.get_sample_value(name, labels) or 0.0


def event(session: str, event_id: str, *items: str, kind: Kind = "browse", seconds: float = 0, **fields: Any) -> Event:
    """Return an accepted event; `seconds` is its time after the beginning."""
    time_ms = T0_MS + round(seconds * 1000)
    return Event(kind, event_id, session, time_ms, MOMENTS[kind], tuple(Line(item) for item in items), **fields)


def values(messages: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    """Return one field of every message."""
    return [message[name] for message in messages]


def rows_of(shard: Any) -> dict[str, Any]:
    """Return the rows of a shard of any stage, by id."""
    if isinstance(shard, SessionShard):
        return {key: shard._stage.sessions.get(key) for key in shard.keys}
    return {key: shard.rows[key] for key in shard.keys}
