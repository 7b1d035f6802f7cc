"""The stages of a worker under inputs gone wrong, round by round: ingest, suggest, learn, measure, flush, reload."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from memory_log import turns
from memory_worker import Deployment, MemoryWorker, rows_of
from mutator import KINDS, Input
from oracles import check_event, check_letter

from models.coverage import Packed
from models.ladder import REASONS as SILENCES
from models.parameters import DEFAULTS
from models.records import MOMENTS, REASONS
from models.suggesting import EventEntry
from streams.batching import RecordBatch
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.stage import TableStage
from streams.topics import MAX_RECORD_BYTES, TABLES, topic_table
from streams.wire import PACKED_EVENTS, PACKED_PAIRS, PACKED_TALLIES, ROWS, row_id

__all__ = ["FuzzedWorker", "Placed", "run_rounds"]

#: An input and the partition of its topic.
Placed = tuple[Input, int]

#: Bytes of a batch, as the consumer makes them.
_BATCH_BYTES: Final = 64 * 1024
#: The evidence of more would take most of the time.
_FEW_CANDIDATES: Final = replace(DEFAULTS, candidates_max=4, leaders_max=2, hop_neighbours=8)
#: The broker's limit for a record of a topic that sets none.
_PUBLIC_BYTES_MAX: Final = 1024 * 1024
_PACKED: Final = {"session-events": PACKED_EVENTS, "pairs": PACKED_PAIRS, "tallies": PACKED_TALLIES}
_PUBLIC: Final = ("suggestions", "acceptance", "acceptance-metrics")
#: Every label's value that a metric may have, apart from the names of topics and tables.
_LABELS: Final = {"reason": {*REASONS, *SILENCES}, "moment": {*MOMENTS.values(), "other"}, "type": set(KINDS)}
#: Samples of all metrics together: what they are with every label used.
_SAMPLES_MAX: Final = 400


class FuzzedWorker:
    """One worker after another over a log in memory; each round's effects are checked against what was sent.

    Attributes
    ----------
    counts : Counter of str
        Inputs by what became of them: ``applied``, or the reason of the dead letter.
    largest : Counter of str
        The largest record of every topic that was written, in bytes.
    """

    def __init__(self, broker: EmbeddedBroker, partitions: int = 2) -> None:
        settings = Settings(
            tick_ms=0, bootstrap_servers=broker.bootstrap_servers, catalogue_max=1_000, model=_FEW_CANDIDATES
        )
        self.deployment = Deployment(partitions, settings)
        self.counts: Counter[str] = Counter()
        self.largest: Counter[str] = Counter()
        self._names = {row: topic.name for row, topic in topic_table(settings).items()}
        self._worker = MemoryWorker(self.deployment)
        self._served = 0

    async def start(self) -> None:
        """Own all partitions, from their marks and commits on."""
        self._worker = MemoryWorker(self.deployment)
        await self._worker.take_over()
        await self._worker.resume_ingest(*self._inputs())
        self._served = 0

    async def stop(self) -> None:
        """Give up all partitions."""
        await self._worker.stop()

    async def round(self, given: Sequence[Placed]) -> None:
        """Have inputs go through all stages and be flushed; check what came out.

        Raises
        ------
        AssertionError
            Something that must hold does not; any other exception is a failure too.
        """
        worker, log = self._worker, self.deployment.log
        sent: dict[tuple[str, int], Input] = {}
        starts = {tp: log.end(*tp) for tp in self._inputs()}
        for one, partition in given:
            offset = log.append(self._names[one.kind], partition, [(one.key, one.value)], one.timestamp)
            sent[f"{one.kind}-{partition}", offset] = one
        for batch in _batches(log.records(*tp, start) for tp, start in starts.items()):
            await worker.ingest.handle(RecordBatch("ingest", worker.epoch, batch))
            await turns(3)
        for stage in worker.table_stages:
            await self._fold(stage)
        worker.measure.publish_due(float("inf"))
        await turns()
        await self._commit(await worker.flush())
        await turns()
        if worker.died:
            raise worker.died[0]
        self._check_door(sent)
        self._check_outputs()
        self._check_rows()
        self._check_metrics()
        self._forget()

    async def reload(self) -> None:
        """Go on with another worker, and check that it finds what this one had."""
        before = self._worker
        await before.stop()
        await self.start()
        for old, new in zip(before.table_stages, self._worker.table_stages, strict=True):
            for partition, shard in old.shards.items():
                loaded = new.shards[partition]
                assert loaded.position == shard.position, f"{old.table}/{partition} is loaded at another position"
                assert loaded.keys == shard.keys, f"{old.table}/{partition} is loaded with other rows"
                expected = rows_of(shard)
                for key, row in rows_of(loaded).items():
                    assert row == expected[key], f"{old.table}/{partition}: {key!r} is loaded otherwise"

    def _inputs(self) -> list[TP]:
        # One partition more than there are of the others: inputs may have any number.
        return [
            TP(self._names[kind], partition) for kind in KINDS for partition in range(self.deployment.partitions + 1)
        ]

    async def _fold(self, stage: TableStage[Any]) -> None:
        topic = self._worker.context.name(stage.log)
        logs = (self.deployment.log.records(topic, at, shard.position) for at, shard in sorted(stage.shards.items()))
        for batch in _batches(logs):
            await stage.handle(RecordBatch(stage.table, self._worker.epoch, batch))
            await turns(3)

    async def _commit(self, offsets: dict[TP, tuple[int, str]]) -> None:
        settings = self.deployment.settings
        inputs = {
            TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items() if tp in self._inputs()
        }
        async with AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers, group_id=settings.group_id, enable_auto_commit=False
        ) as consumer:
            consumer.assign(list(inputs))
            await consumer.commit(inputs)

    # -- what must hold

    def _check_door(self, sent: dict[tuple[str, int], Input]) -> None:
        """Every input is in `session-events` or in the dead letters, once."""
        places = dict.fromkeys(sent, 0)
        for record in self._records("session-events"):
            packed: Packed[EventEntry] = PACKED_EVENTS.decode(record.value)
            for entry in packed.entries:
                place = (packed.spans[entry.span].origin, entry.offset)
                check_event(entry.event, entry.timestamp)
                assert entry.event.kind == sent[place].kind
                places[place] += 1
                self.counts["applied"] += 1
        kinds = {self._names[kind]: kind for kind in KINDS}
        for record in self._records("dead-letters"):
            letter = json.loads(record.value)
            check_letter(letter)
            place = (f"{kinds[letter['topic']]}-{letter['partition']}", letter["offset"])
            value, key = (None if letter[name] is None else base64.b64decode(letter[name]) for name in ("value", "key"))
            assert (key, value) == (sent[place].key, sent[place].value), (
                f"{place}: the dead letter holds something else"
            )
            places[place] += 1
            self.counts[letter["reason"]] += 1
        for place, count in places.items():
            assert count == 1, f"{place} is {count} times in session-events or the dead letters: {sent[place]!r}"

    def _check_outputs(self) -> None:
        """Records stay within their limits; public messages are JSON; there is a suggestion for each event."""
        entries = 0
        for row in (*_PACKED, *_PUBLIC, "dead-letters"):
            most = _PUBLIC_BYTES_MAX if row in _PUBLIC else MAX_RECORD_BYTES
            for record in self._records(row):
                size = len(record.value) + len(record.key or b"")
                self.largest[row] = max(self.largest[row], size)
                assert size < most, f"a record of {row} has {size} bytes"
                if row in _PACKED:
                    packed = _PACKED[row].decode(record.value)
                    entries += len(packed.entries) if row == "session-events" else 0
                elif row in _PUBLIC:
                    json.loads(record.value, parse_constant=_refuse)
        served = sum(1 for _ in self._records("suggestions"))
        repeated = sum(self._worker.metric("sidecart_duplicates_total", type=kind) for kind in KINDS) - self._served
        self._served += int(repeated)
        assert served + repeated == entries, f"{served} suggestions and {repeated} repeats for {entries} events"

    def _check_rows(self) -> None:
        """What was flushed can be read back, and written again as it was."""
        for table in TABLES:
            store = self._worker.stores[table]
            for rows in store.flushed:
                for key, value in rows.items():
                    if value is not None and row_id(key) is not None:
                        assert ROWS[table].encode(ROWS[table].decode(value)) == value
                        size = len(key) + len(value)
                        self.largest[table] = max(self.largest[table], size)
                        assert size < MAX_RECORD_BYTES, f"a row of {table} has {size} bytes"
            store.flushed.clear()

    def _check_metrics(self) -> None:
        samples = [sample for family in self._worker.context.metrics.registry.collect() for sample in family.samples]
        assert len(samples) < _SAMPLES_MAX, f"there are {len(samples)} samples of metrics"
        for sample in samples:
            for label, allowed in _LABELS.items():
                value = sample.labels.get(label)
                assert value is None or value in allowed, f"{sample.name} has the label {label}={value!r}"

    # -- the log

    def _records(self, row: str) -> Iterator[ConsumerRecord]:
        for partition in range(self.deployment.partitions):
            yield from self.deployment.log.records(self._names[row], partition)

    def _forget(self) -> None:
        """Cut the logs: everything in them is folded and checked."""
        log = self.deployment.log
        for topic, partition in self._inputs():
            log.cut(topic, partition, log.end(topic, partition))
        for row in (*_PACKED, *_PUBLIC, "dead-letters"):
            for partition in range(self.deployment.partitions):
                log.cut(self._names[row], partition, log.end(self._names[row], partition))
        self.deployment.journal.clear()
        self._worker.producer.requests.clear()


def _batches(logs: Iterable[Sequence[ConsumerRecord]]) -> Iterator[list[ConsumerRecord]]:
    """Merge logs by time and cut them into batches, as the consumer does."""
    batch: list[ConsumerRecord] = []
    size = 0
    for record in merge(*logs, key=lambda record: record.timestamp):
        batch.append(record)
        size += len(record.key or b"") + len(record.value or b"")
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def run_rounds(worker: FuzzedWorker, rounds: Iterable[Sequence[Placed]], reload_every: int) -> None:
    """Run rounds of inputs one after the other; another worker goes on after every so many."""

    async def go() -> None:
        # What a failure has ended needs no second report when it is freed.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        await worker.start()
        try:
            for number, given in enumerate(rounds, start=1):
                await worker.round(given)
                if number % reload_every == 0:
                    await worker.reload()
        finally:
            await worker.stop()

    asyncio.run(go())
