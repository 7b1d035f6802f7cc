"""The stage suggest: `session-events` to increments, suggestions, outcomes and tallies; owns the table `sessions`."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from aiokafka.structs import ConsumerRecord

from models.coverage import Chain, Packed
from models.errors import LateWriterError
from models.learning import PackedPairs, PairEntry
from models.measuring import TallyEntry
from models.partitioning import partition_of
from models.records import moment_label
from models.session import Session
from models.shard import Shard
from models.suggesting import Effects, Suggestion, suggest
from streams.batching import RecordBatch
from streams.context import Context
from streams.outbox import Message, Published
from streams.recovery import Loading
from streams.replica import Replica
from streams.stage import TableStage
from streams.store import Store
from streams.topics import INPUTS
from streams.wire import (
    LOG_OFFSET,
    PACKED_EVENTS,
    PACKED_PAIRS,
    PACKED_TALLIES,
    Mark,
    decode_suggestion,
    encode_json,
)

__all__ = ["Suggest"]

EntryT = TypeVar("EntryT", PairEntry, TallyEntry)


class _Publication:
    """What is known of the own `suggestions` partition: the first message of an id counts, whoever wrote it."""

    def __init__(self) -> None:
        #: Offset after the last message that is known.
        self.end = 0
        #: Published by another owner for events that are still to come, and where.
        self.kept: dict[str, Suggestion] = {}
        self._places: dict[str, int] = {}
        #: What is on its way from here, by id.
        self.own: dict[str, bytes] = {}
        #: The latest batch's confirmation.
        self.confirmed: asyncio.Task[None] | None = None

    def keep(self, record: ConsumerRecord, position: int) -> None:
        """Keep a message if its event is still to come, the log being folded up to `position`."""
        suggestion = decode_suggestion(record.value)
        if suggestion is None or int(dict(record.headers).get(LOG_OFFSET, b"-1")) < position:
            return
        if self.kept.setdefault(suggestion.suggestion_id, suggestion) is suggestion:
            self._places[suggestion.suggestion_id] = record.offset

    def take(self, suggestion: Suggestion) -> None:
        """Forget a kept message whose event has come."""
        self.kept.pop(suggestion.suggestion_id, None)
        self._places.pop(suggestion.suggestion_id, None)

    def unread_from(self) -> int:
        """Return the lowest offset of a message whose event is still to come."""
        return min(self._places.values(), default=self.end)


class Suggest(TableStage[Session]):
    """Folds sessions; everything but the suggestions is determined by the log."""

    table = "sessions"
    log = "session-events"
    origins = INPUTS

    def __init__(self, context: Context, store: Store, replica: Replica) -> None:
        super().__init__(context, store)
        self._replica = replica
        self._publications: dict[int, _Publication] = {}
        self._pair_chains: dict[int, Chain] = {}
        self._tally_chains: dict[int, Chain] = {}

    async def handle(self, batch: RecordBatch) -> None:
        """Fold one batch once there is a replica to rank against."""
        await self._replica.loaded.wait()
        await super().handle(batch)

    # -- the fold

    def _fold(self, batch: RecordBatch) -> None:
        context, outbox = self.context, self.context.outbox
        pairs: dict[int, Packed[PairEntry]] = {}
        tallies: dict[int, Packed[TallyEntry]] = {}
        by_partition: dict[int, list[ConsumerRecord]] = {}
        for record in batch.records:
            by_partition.setdefault(record.partition, []).append(record)
        confirmations = []
        for partition, records in by_partition.items():
            confirmation, outcomes = self._fold_partition(partition, records, pairs, tallies)
            confirmations.append(confirmation)
            if outcomes:
                outbox.publish(context.name("acceptance"), partition, outcomes, after=confirmation)
        for target, packed in pairs.items():
            value = PACKED_PAIRS.encode(PackedPairs(packed.spans, packed.entries, context.rows_max))
            outbox.publish(context.name("pairs"), target, [Message(None, value)])
        # Every suggestion is tallied: an outbox that is settled holds no batch that is not confirmed.
        all_confirmed = asyncio.gather(*confirmations)
        for target, tally in tallies.items():
            message = Message(None, PACKED_TALLIES.encode(tally))
            outbox.publish(context.name("tallies"), target, [message], after=all_confirmed)

    def _fold_partition(
        self,
        partition: int,
        records: list[ConsumerRecord],
        pairs: dict[int, Packed[PairEntry]],
        tallies: dict[int, Packed[TallyEntry]],
    ) -> tuple["asyncio.Task[None]", list[Message]]:
        publication = self._publications[partition]
        messages: dict[str, Message] = {}
        arrivals: list[int] = []
        outcomes: list[Message] = []
        own_pairs: dict[int, list[PairEntry]] = {}
        own_tallies: dict[int, list[TallyEntry]] = {}
        for record in records:
            effects = self._effects(partition, record)
            if effects is None:
                continue
            self._route(record.offset, effects, own_pairs, own_tallies)
            for suggestion, arrival, is_published in effects.suggestions:
                if is_published:
                    publication.take(suggestion)
                    self.context.metrics.replayed_suggestions.inc()
                else:
                    headers = ((LOG_OFFSET, str(record.offset).encode()),)
                    message = Message(suggestion.session_id.encode(), encode_json(suggestion), headers)
                    messages.setdefault(suggestion.suggestion_id, message)
                    arrivals.append(arrival)
            outcomes += [Message(outcome.session_id.encode(), encode_json(outcome)) for outcome in effects.outcomes]
        end = records[-1].offset
        _join(pairs, own_pairs, self._pair_chains[partition], end)
        _join(tallies, own_tallies, self._tally_chains[partition], end)
        return self._publish(partition, messages, arrivals), outcomes

    def _effects(self, partition: int, record: ConsumerRecord) -> Effects | None:
        shard = self._shard_of(partition, record.offset)
        if shard is None:
            return None
        context = self.context
        packed = PACKED_EVENTS.decode(record.value)
        kept = self._publications[partition].kept
        effects = suggest(shard, record.offset, packed, self._replica.rows, kept, context.parameters)
        self._count(effects.verdicts)
        for kind in effects.duplicates:
            context.metrics.duplicates.labels(kind).inc()
        for suggestion, _, _ in effects.suggestions:
            context.metrics.suggestions.labels(moment_label(suggestion.moment)).inc()
            if suggestion.reason is not None:
                context.metrics.empty_suggestions.labels(suggestion.reason).inc()
        for outcome in effects.outcomes:
            context.metrics.acceptance.labels(outcome.stage).inc()
        return effects

    def _route(
        self,
        offset: int,
        effects: Effects,
        pairs: dict[int, list[PairEntry]],
        tallies: dict[int, list[TallyEntry]],
    ) -> None:
        partitions = self.context.partitions
        for time_ms, arrival, increment in effects.increments:
            target = partition_of(increment.anchor, partitions)
            pairs.setdefault(target, []).append(PairEntry(0, offset, time_ms, arrival, increment))
        for tally in effects.tallies:
            target = partition_of(str(tally.start), partitions)
            tallies.setdefault(target, []).append(TallyEntry(0, offset, tally))

    # -- publishing

    def _publish(self, partition: int, messages: dict[str, Message], arrivals: list[int]) -> "asyncio.Task[None]":
        publication = self._publications[partition]
        published = None
        if messages:
            for key, message in messages.items():
                publication.own.setdefault(key, message.value)
            topic = self.context.name("suggestions")
            published = self.context.outbox.publish(topic, partition, list(messages.values()))
        confirmation = asyncio.get_running_loop().create_task(
            self._confirm(partition, publication, publication.confirmed, published, messages)
        )
        publication.confirmed = confirmation
        confirmation.add_done_callback(lambda task: self._observe(task, arrivals))
        return confirmation

    async def _confirm(
        self,
        partition: int,
        publication: _Publication,
        before: "asyncio.Task[None] | None",
        published: "asyncio.Future[Published] | None",
        messages: dict[str, Message],
    ) -> None:
        """Wait until suggestions are acknowledged, and see whether somebody else wrote between them.

        Batches are confirmed in order: an outcome may judge what an earlier one has offered.
        """
        if before is not None:
            await before
        if published is None:
            return
        end = (await published).end
        if end - publication.end != len(messages):
            await self._read_late_writer(partition, publication, publication.end, end)
        publication.end = end
        for key in messages:
            publication.own.pop(key, None)

    def _observe(self, confirmation: "asyncio.Task[None]", arrivals: list[int]) -> None:
        if confirmation.cancelled():
            return
        error = confirmation.exception()
        if error is not None:
            self.context.die(error)
        now = self.context.now_ms()
        for arrival in arrivals:
            self.context.metrics.suggestion_seconds.observe(max(0.0, now - arrival) / 1000)

    async def _read_late_writer(self, partition: int, publication: _Publication, start: int, end: int) -> None:
        """Keep what a late former owner published; where it was first for an event of ours, start from the mark."""
        seen: set[str] = set()
        shard = self.shards.get(partition)
        if shard is None:
            return  # let go meanwhile: its next owner reads what is published

        def apply(records: Sequence[ConsumerRecord]) -> None:
            for record in records:
                suggestion = decode_suggestion(record.value)
                if suggestion is None or record.offset >= end or suggestion.suggestion_id in seen:
                    continue
                key = suggestion.suggestion_id
                seen.add(key)
                if key not in publication.own:
                    publication.keep(record, shard.position)
                elif publication.own[key] != record.value:
                    raise LateWriterError(
                        f"another worker was first to publish suggestion {key} of {self.log}/{partition}: this one"
                        " stops and starts again from the mark, so that outcomes are judged on the first"
                    )

        await self.context.reader.read(self.context.name("suggestions"), partition, start, apply)

    # -- ownership

    async def _resume(self, shard: Shard[Session], mark: Mark | None, loading: Loading) -> None:
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

    def _mark(self, shard: Shard[Session]) -> Mark:
        mark = super()._mark(shard)
        partition = shard.partition
        mark.chains = {
            "pairs": self._pair_chains[partition].as_dict(),
            "tallies": self._tally_chains[partition].as_dict(),
        }
        # What is on its way of the events that this mark covers stands after it, and is only read back once more.
        mark.published_end = self._publications[partition].unread_from()
        return mark


def _join(target_records: dict[int, Packed[EntryT]], own: dict[int, list[EntryT]], chain: Chain, end: int) -> None:
    """Add one origin's entries, which cover everything up to `end`, to the packed records by target."""
    for target, entries in own.items():
        packed = target_records.setdefault(target, Packed([], []))
        span = len(packed.spans)
        packed.spans.append(chain.extend(target, end))
        packed.entries.extend(msgspec.structs.replace(entry, span=span) if span else entry for entry in entries)
