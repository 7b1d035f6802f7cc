"""The stage suggest: `session-events` to increments, suggestions, outcomes and tallies; owns the table `sessions`."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import numpy as np
from aiokafka.structs import ConsumerRecord

from models.coverage import Chain, Packed
from models.errors import LateWriterError
from models.kernel.suggesting import Answers, DenseSuggesting, LogRecord, Served, SessionShard
from models.layout.events import read_head
from models.measuring import TallyEntry
from models.partitioning import partition_of
from models.parts import Parts, TableRows
from models.records import moment_label
from models.suggesting import Suggestion, origin_partition
from streams.batching import RecordBatch, cut
from streams.context import Context
from streams.outbox import Published
from streams.produce_batch import Message, Messages, headers_bytes
from streams.recovery import Loading
from streams.replica import Replica
from streams.stage import Rows, TableStage
from streams.store import Store
from streams.topics import INPUTS
from streams.wire import (
    LOG_OFFSET,
    PACKED_TALLIES,
    ROW_LETTER,
    Mark,
    checked,
    checked_content,
    decode_suggestion,
    encode_json,
)

__all__ = ["Suggest"]


class _Publication:
    """What is known of the own `suggestions` partition: the first message of an id counts, whoever wrote it."""

    def __init__(self) -> None:
        #: Offset after the last message that is known.
        self.end = 0
        #: Published by another owner for events that are still to come, and where.
        self.kept: dict[str, Suggestion] = {}
        self._places: dict[str, int] = {}
        #: Messages on their way from here, by batch.
        self.own: list[Parts] = []
        #: The latest batch's confirmation.
        self.confirmed: asyncio.Task[None] | None = None

    def keep(self, record: ConsumerRecord, position: int) -> None:
        """Keep a message if its event is still to come, the log being folded up to `position`."""
        suggestion = decode_suggestion(record.value)
        if suggestion is None or int(dict(record.headers).get(LOG_OFFSET, b"-1")) < position:
            return
        if self.kept.setdefault(suggestion.suggestion_id, suggestion) is suggestion:
            self._places[suggestion.suggestion_id] = record.offset

    def take(self, suggestion_id: str) -> None:
        """Forget a kept message whose event has come."""
        self.kept.pop(suggestion_id, None)
        self._places.pop(suggestion_id, None)

    def unread_from(self) -> int:
        """Return the lowest offset of a message whose event is still to come."""
        return min(self._places.values(), default=self.end)


class Suggest(TableStage[SessionShard]):
    """Folds sessions; everything but the suggestions is determined by the log."""

    table = "sessions"
    log = "session-events"
    origins = INPUTS

    def __init__(self, context: Context, store: Store, replica: Replica) -> None:
        super().__init__(context, store)
        self._replica = replica
        self._sessions = DenseSuggesting(replica.rows, context.partitions, context.parameters)
        self._publications: dict[int, _Publication] = {}
        self._pair_chains: dict[int, Chain] = {}
        self._tally_chains: dict[int, Chain] = {}

    async def handle(self, batch: RecordBatch) -> None:
        """Fold one batch once there is a replica to rank against."""
        await self._replica.loaded.wait()
        await super().handle(batch)

    # -- the fold

    def _fold(self, batch: RecordBatch) -> None:
        records = self._records(batch)
        for part in cut(records, (record.head.lines for record in records)):
            self._serve(part)

    def _serve(self, records: Sequence[LogRecord]) -> None:
        context, outbox = self.context, self.context.outbox
        kept = {record.partition: self._publications[record.partition].kept for record in records}
        served = self._sessions.serve(records, kept, self._pair_chains, context.rows_max)
        for target, content in served.pairs.items():
            outbox.publish(context.name("pairs"), target, [Message(None, checked(content))])
        self._observe(served)
        confirmations = {partition: self._publish(partition, served.answers.get(partition)) for partition in kept}
        for partition, outcomes in served.outcomes.items():
            messages = [Message(outcome.session_id.encode(), encode_json(outcome)) for outcome in outcomes]
            outbox.publish(context.name("acceptance"), partition, messages, confirmations[partition])
        # Every suggestion is tallied: an outbox that is settled holds no batch that is not confirmed.
        all_confirmed = asyncio.gather(*confirmations.values())
        for target, tallies in self._pack_tallies(records, served).items():
            message = Message(None, PACKED_TALLIES.encode(tallies))
            outbox.publish(context.name("tallies"), target, [message], all_confirmed)
        for partition, key in served.taken:
            self._publications[partition].take(key)

    def _records(self, batch: RecordBatch) -> list[LogRecord]:
        """Return the records that are not folded yet, partition by partition, and note that they are."""
        by_partition: dict[int, list[LogRecord]] = {}
        for record in batch.records:
            shard = self._shard_of(record.partition, record.offset)
            if shard is not None:
                content = bytes(checked_content(record.value))
                head = read_head(content)
                origins = [origin_partition(span.origin) for span in head.spans]
                after, verdicts = shard.watermarks.admit(head.spans)
                shard.position = record.offset + 1
                self._count(verdicts)
                by_partition.setdefault(record.partition, []).append(
                    LogRecord(record.partition, record.offset, content, head, after, origins)
                )
        return [record for records in by_partition.values() for record in records]

    def _observe(self, served: Served) -> None:
        metrics = self.context.metrics
        metrics.replayed_suggestions.inc(len(served.taken))
        for kind, count in served.duplicates.items():
            metrics.duplicates.labels(kind).inc(count)
        for moment, count in served.moments.items():
            metrics.suggestions.labels(moment_label(moment)).inc(count)
        for reason, count in served.reasons.items():
            metrics.empty_suggestions.labels(reason).inc(count)
        for outcomes in served.outcomes.values():
            for outcome in outcomes:
                metrics.acceptance.labels(outcome.stage).inc()

    def _pack_tallies(self, records: Sequence[LogRecord], served: Served) -> dict[int, Packed[TallyEntry]]:
        """Return the records of `tallies` by target partition, one span for each partition of ours."""
        packed: dict[int, Packed[TallyEntry]] = {}
        spans: dict[tuple[int, int], int] = {}
        ends = {record.partition: record.offset for record in records}
        for number, tally in served.tallies:
            record = records[number]
            target = partition_of(str(tally.start), self.context.partitions)
            own = packed.setdefault(target, Packed([], []))
            span = spans.get((target, record.partition))
            if span is None:
                span = spans[target, record.partition] = len(own.spans)
                own.spans.append(self._tally_chains[record.partition].extend(target, ends[record.partition]))
            own.entries.append(TallyEntry(span, record.offset, tally))
        return packed

    # -- publishing

    def _publish(self, partition: int, answers: Answers | None) -> "asyncio.Task[None]":
        publication = self._publications[partition]
        published = None
        if answers is not None:
            publication.own.append(answers.values)
            offsets, numbers = np.unique(answers.offsets, return_inverse=True)
            headers = Parts.of(headers_bytes([(LOG_OFFSET, str(offset).encode())]) for offset in offsets.tolist())
            headers = Parts(headers.buffer, headers.bounds[numbers])
            published = self.context.outbox.publish_many(
                self.context.name("suggestions"), partition, Messages(answers.keys, answers.values, headers)
            )
        confirmation = asyncio.get_running_loop().create_task(
            self._confirm(partition, publication, publication.confirmed, published, answers)
        )
        publication.confirmed = confirmation
        confirmation.add_done_callback(self._end)
        return confirmation

    async def _confirm(
        self,
        partition: int,
        publication: _Publication,
        before: "asyncio.Task[None] | None",
        published: "asyncio.Future[Published] | None",
        answers: Answers | None,
    ) -> None:
        """Wait until suggestions are acknowledged, and see whether somebody else wrote between them.

        Batches are confirmed in order: an outcome may judge what an earlier one has offered.
        """
        if before is not None:
            await before
        if published is None or answers is None:
            return
        end = (await published).end
        if end - publication.end != len(answers.values):
            await self._read_late_writer(partition, publication, publication.end, end)
        publication.end = end
        publication.own.remove(answers.values)
        seconds = np.maximum(0.0, self.context.now_ms() - answers.arrivals) / 1000
        self.context.metrics.suggestion_seconds.observe_many(seconds)

    def _end(self, confirmation: "asyncio.Task[None]") -> None:
        error = None if confirmation.cancelled() else confirmation.exception()
        if error is not None:
            self.context.die(error)

    async def _read_late_writer(self, partition: int, publication: _Publication, start: int, end: int) -> None:
        """Keep what a late former owner published; where it was first for an event of ours, start from the mark."""
        seen: set[str] = set()
        shard = self.shards.get(partition)
        if shard is None:
            return  # let go meanwhile: its next owner reads what is published
        own = {}
        for message in chain.from_iterable(publication.own):
            suggestion = decode_suggestion(message)
            if suggestion is not None:
                own[suggestion.suggestion_id] = message

        def apply(records: Sequence[ConsumerRecord]) -> None:
            for record in records:
                suggestion = decode_suggestion(record.value)
                if suggestion is None or record.offset >= end or suggestion.suggestion_id in seen:
                    continue
                key = suggestion.suggestion_id
                seen.add(key)
                if key not in own:
                    publication.keep(record, shard.position)
                elif own[key] != record.value:
                    raise LateWriterError(
                        f"another worker was first to publish suggestion {key} of {self.log}/{partition}: this one"
                        " stops and starts again from the mark, so that outcomes are judged on the first"
                    )

        await self.context.reader.read(self.context.name("suggestions"), partition, start, apply)

    # -- ownership

    def _new_shard(self, partition: int) -> SessionShard:
        return SessionShard(partition, self._sessions)

    def _let_go(self, partition: int) -> None:
        self.shards[partition].clear()
        super()._let_go(partition)

    def _load(self, shard: SessionShard, rows: Rows) -> None:
        shard.load_rows(rows)

    def _take_dirty(self, shard: SessionShard) -> TableRows:
        return shard.take_dirty(ROW_LETTER)

    async def _resume(self, shard: SessionShard, mark: Mark | None, loading: Loading) -> None:
        partition = shard.partition
        chains = mark.chains if mark else {}
        self._pair_chains[partition] = Chain(str(partition), chains.get("pairs"))
        self._tally_chains[partition] = Chain(str(partition), chains.get("tallies"))
        publication = self._publications[partition] = _Publication()

        def apply(records: Sequence[ConsumerRecord]) -> None:
            for record in records:
                publication.keep(record, shard.position)

        topic = self.context.name("suggestions")
        start = mark.published_end if mark else None
        loading.begin("reading back suggestions")
        publication.end = await self.context.reader.read(topic, partition, start, apply, loading.reached)

    def _mark(self, shard: SessionShard) -> Mark:
        mark = super()._mark(shard)
        partition = shard.partition
        mark.chains = {
            "pairs": self._pair_chains[partition].as_dict(),
            "tallies": self._tally_chains[partition].as_dict(),
        }
        # What is on its way of the events that this mark covers stands after it, and is only read back once more.
        mark.published_end = self._publications[partition].unread_from()
        return mark
