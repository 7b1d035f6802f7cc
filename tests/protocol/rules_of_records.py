"""Switches for rules 1 to 4: coverage, chains, fail-stop and flush."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import msgspec
from faust.types import TP
from switch import Switch, replaced

from models.coverage import NOTHING_SENT, Chain, Span, Watermarks
from models.door import Origin
from models.session import Session
from models.shard import Shard
from streams.agents.ingest import Ingest
from streams.agents.suggest import Suggest
from streams.outbox import Outbox
from streams.pipeline import Pipeline
from streams.produce_batch import Message, Messages
from streams.store import Store
from streams.wire import MARK_KEY, PACKED_PAIRS, Mark

__all__ = [
    "admit_by",
    "apply_gaps",
    "apply_repeats",
    "apply_whole_overlaps",
    "break_chains",
    "commit_first",
    "drop_overlaps",
    "go_on_after_failure",
    "hasty",
    "mark_before_rows",
    "split_flush",
    "split_offsets",
]


# -- 1: coverage


def admit_by(after: Callable[[int, Span], int | None]) -> Switch:
    """Have a receiver apply the entries of a span above `after(watermark, span)`; None: no entry."""

    def admit(self: Watermarks, spans: list[Span]) -> tuple[list[int | None], list[Any]]:
        starts: list[int | None] = []
        for span in spans:
            watermark = self._ends.get(span.origin, NOTHING_SENT)
            starts.append(after(watermark, span))
            if starts[-1] is not None:
                self._ends[span.origin] = max(watermark, span.end)
        return starts, ["new"] * len(spans)

    return lambda: replaced(Watermarks, "admit", admit)


def apply_repeats(watermark: int, span: Span) -> int | None:
    return span.start if span.start <= watermark else None


def apply_gaps() -> AbstractContextManager[None]:
    """Apply what comes after a gap; an outbox that had several batches of a lane on their way would make gaps."""
    send = Outbox._send

    async def send_on(self: Outbox, lane: Any) -> None:
        if lane.jobs:
            await send(self, lane)
        if lane.jobs and lane.jobs[0].after is None:
            self._ready.append(lane)

    @contextmanager
    def both() -> Iterator[None]:
        with admit_by(_admit_gaps)(), replaced(Outbox, "_send", send_on):
            yield

    return both()


def _admit_gaps(watermark: int, span: Span) -> int | None:
    return watermark if span.end > watermark else None


def apply_whole_overlaps(watermark: int, span: Span) -> int | None:
    return span.start if span.start <= watermark < span.end else None


def drop_overlaps(watermark: int, span: Span) -> int | None:
    return watermark if span.start == watermark else None


def split_offsets() -> AbstractContextManager[None]:
    """Send what one origin offset holds for one target in two records, each of which claims to hold all of it."""
    publish = Outbox.publish_many

    def split(self: Outbox, topic: str, partition: int, messages: Messages, after: Any = None) -> Any:
        if topic != "pairs":
            return publish(self, topic, partition, messages, after)
        packed = PACKED_PAIRS.decode(messages.values[0])
        middle = len(packed.entries) // 2
        for entries in (packed.entries[:middle], packed.entries[middle:]):
            half = PACKED_PAIRS.encode(msgspec.structs.replace(packed, entries=entries))
            published = publish(self, topic, partition, Messages.of([Message(None, half)]), after)
        return published

    return replaced(Outbox, "publish_many", split)


# -- 2: the chain goes on


@contextmanager
def break_chains(*, door: bool, suggest: bool) -> Iterator[None]:
    """Let a new owner claim that all before its first record is sent."""
    resume_ingest, resume = Ingest.resume, Suggest._resume

    async def resume_door(self: Ingest, assigned: Any) -> Any:
        positions = await resume_ingest(self, assigned)
        chains: dict[Origin, Chain] = {}
        for tp, position in positions.items():
            ends = dict.fromkeys(range(self.context.partitions), (position or 0) - 1)
            origin = (self._kinds[tp.topic], tp.partition)
            chains[origin] = Chain(f"{origin[0]}-{origin[1]}", ends)
        self._take_up(chains, positions)
        return positions

    async def resume_suggest(self: Suggest, shard: Shard[Session], mark: Mark | None, *rest: Any) -> None:
        await resume(self, shard, mark, *rest)
        ends = dict.fromkeys(range(self.context.partitions), shard.position - 1)
        self._pair_chains[shard.partition] = Chain(str(shard.partition), ends)
        self._tally_chains[shard.partition] = Chain(str(shard.partition), ends)

    with (
        replaced(Ingest, "resume", resume_door if door else resume_ingest),
        replaced(Suggest, "_resume", resume_suggest if suggest else resume),
    ):
        yield


# -- 3: fail-stop


def go_on_after_failure() -> AbstractContextManager[None]:
    """Take a send that has failed for one that has not."""

    acknowledge = Outbox._acknowledge

    def overlook(self: Outbox, lane: Any, parts: Any, sent: "asyncio.Future[Any]") -> None:
        if not sent.cancelled() and sent.exception() is not None:
            sent = asyncio.get_running_loop().create_future()
            sent.set_result(SimpleNamespace(offset=0))
        acknowledge(self, lane, parts, sent)

    return replaced(Outbox, "_acknowledge", overlook)


# -- 4: the flush


#: Whether the running flush does not wait for its outputs.
_IS_HASTY: ContextVar[bool] = ContextVar("is_hasty", default=False)


@contextmanager
def hasty(stage: type[Any]) -> Iterator[None]:
    """Have a stage flush before its outputs are acknowledged."""
    flush, settled = stage.flush, Outbox.settled

    async def flush_hastily(self: Any) -> Any:
        token = _IS_HASTY.set(True)
        try:
            return await flush(self)
        finally:
            _IS_HASTY.reset(token)

    async def settled_or_hasty(self: Outbox) -> None:
        if not _IS_HASTY.get():
            await settled(self)

    with replaced(stage, "flush", flush_hastily), replaced(Outbox, "settled", settled_or_hasty):
        yield


@contextmanager
def commit_first() -> Iterator[None]:
    """Commit what is folded, and flush after that."""
    checkpoint = Pipeline.checkpoint

    async def commit_first(self: Pipeline) -> Any:
        offsets = dict(await self.ingest.flush())
        for stage in self.table_stages:
            topic = self.context.name(stage.log)
            offsets |= {TP(topic, shard.partition): (shard.position, "") for shard in stage.shards.values()}
        flushing = asyncio.ensure_future(checkpoint(self))
        flushing.add_done_callback(lambda task: task.cancelled() or task.exception())
        return offsets

    with hasty(Ingest), replaced(Pipeline, "checkpoint", commit_first):
        yield


def split_flush() -> AbstractContextManager[None]:
    """Write the rows in one transaction and their mark in the next."""
    flush = Store.flush

    async def rows_then_mark(self: Store, partition: int, rows: Any, mark: bytes) -> None:
        before = self._db_for_partition(partition).get(MARK_KEY)
        if before is not None and rows:
            await flush(self, partition, rows, before)
            rows = {}
        await flush(self, partition, rows, mark)

    return replaced(Store, "flush", rows_then_mark)


def mark_before_rows() -> AbstractContextManager[None]:
    flush = Store.flush

    async def mark_then_rows(self: Store, partition: int, rows: Any, mark: bytes) -> None:
        await flush(self, partition, {}, mark)
        await flush(self, partition, rows, mark)

    return replaced(Store, "flush", mark_then_rows)
