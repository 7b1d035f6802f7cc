"""Switches for rules 5 to 8: takeover, local store, first message, client retries."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from itertools import count
from typing import Any

from simulated_disk import WriteBatch
from switch import Switch, replaced

import streams.agents.suggest
import streams.stage
from models.kernel.suggesting import DenseSuggesting
from models.layout.sessions import encode
from models.parts import TableRows
from models.session import Session
from models.shard import Shard
from streams.agents.suggest import Suggest
from streams.changelog import LogReader
from streams.outbox import Outbox
from streams.produce_batch import Messages
from streams.stage import TableStage
from streams.store import Changelog, Store
from streams.wire import MARK_KEY, Mark

__all__ = [
    "disk_first",
    "do_not_read_back",
    "fence_late",
    "fence_nobody",
    "forget_ids",
    "judge_at_once",
    "keep_the_first_end",
    "number_suggestions",
    "overlook_jumps",
    "position_first",
    "read_back_from_the_end",
    "resume_at_commit",
    "trust_the_disk",
]


# -- 5: takeover


def fence_nobody() -> AbstractContextManager[None]:
    """Give every writer an id of its own."""
    numbers = count()

    async def writer(self: Changelog, topic: str, partition: int) -> Any:
        producer = self._new_producer(f"{topic}-{partition}-{next(numbers)}")
        await producer.start()
        return producer

    return replaced(Changelog, "writer", writer)


@contextmanager
def fence_late() -> Iterator[None]:
    """Load first, and fence the former owner when there is something to write."""
    take_over, flush = Store.take_over, Store.flush

    async def no_fence(self: Store, partition: int) -> None:
        await self._close_writer(partition)

    async def fence_and_flush(self: Store, partition: int, rows: Any, mark: bytes) -> None:
        if partition not in self._writers:
            await take_over(self, partition)
        await flush(self, partition, rows, mark)

    with replaced(Store, "take_over", no_fence), replaced(Store, "flush", fence_and_flush):
        yield


class _FirstEnds:
    """A consumer that asks for an end only once."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._ends: dict[Any, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    async def end_offsets(self, logs: Any) -> Any:
        self._ends = self._ends or await self._consumer.end_offsets(logs)
        return self._ends


def keep_the_first_end() -> AbstractContextManager[None]:
    """Read up to the end that was there when the reading began."""
    consumer = LogReader._consumer

    @asynccontextmanager
    async def with_first_ends(self: LogReader) -> AsyncIterator[Any]:
        async with consumer(self) as real:
            yield _FirstEnds(real)

    return replaced(LogReader, "_consumer", with_first_ends)


def resume_at_commit() -> AbstractContextManager[None]:
    """Go on at the group's committed offset."""
    take_over = TableStage._take_over

    async def at_commit(self: TableStage[Any], partition: int) -> Any:
        mark = await take_over(self, partition)
        committed = streams.stage.committed_offsets(self.context.settings)
        position, _ = committed.get((self.context.name(self.log), partition), (0, ""))
        self.shards[partition].position = position
        return mark

    return replaced(TableStage, "_take_over", at_commit)


# -- 6: the local store

_POSITION_KEY = b"p"


def _write(store: Store, partition: int, rows: dict[bytes, bytes | None]) -> None:
    batch = WriteBatch(raw_mode=True)
    batch.extend(rows.items())
    store._db_for_partition(partition).write(batch)


def position_first() -> AbstractContextManager[None]:
    """Say that a disk holds all of the changelog, and bring it up to that then."""

    async def load(self: Store, partition: int, *rest: Any) -> Any:
        database = self._db_for_partition(partition)
        position = database.get(_POSITION_KEY)
        _, end = await self.changelog.reader.bounds(self._topic, partition)
        _write(self, partition, {_POSITION_KEY: str(end).encode()})

        def apply(records: Sequence[Any]) -> None:
            _write(self, partition, {record.key: record.value for record in records})

        start = None if position is None else int(position)
        await self.changelog.reader.read(self._topic, partition, start, apply)
        return ((key, value) for key, value in database.items() if key != _POSITION_KEY)

    return replaced(Store, "load", load)


def disk_first() -> AbstractContextManager[None]:
    """Write the local store before the changelog."""
    flush = Store.flush

    async def flush_disk_first(self: Store, partition: int, rows: TableRows, mark: bytes) -> None:
        _write(self, partition, {**rows.as_dict(), MARK_KEY: mark})
        await flush(self, partition, rows, mark)

    return replaced(Store, "flush", flush_disk_first)


def trust_the_disk() -> AbstractContextManager[None]:
    """Take a disk that holds a mark for the table."""
    load = Store.load

    async def load_disk(self: Store, partition: int, *rest: Any) -> Any:
        database = self._db_for_partition(partition)
        if database.get(MARK_KEY) is None:
            return await load(self, partition, *rest)
        return ((key, value) for key, value in database.items() if key != _POSITION_KEY)

    return replaced(Store, "load", load_disk)


# -- 7: the first message counts


def do_not_read_back() -> AbstractContextManager[None]:
    """Rank and publish again what a former owner has published."""
    resume = Suggest._resume

    async def forget(self: Suggest, shard: Shard[Session], mark: Mark | None, *rest: Any) -> None:
        await resume(self, shard, mark, *rest)
        publication = self._publications[shard.partition]
        publication.kept.clear()
        publication._places.clear()

    return replaced(Suggest, "_resume", forget)


def read_back_from_the_end() -> AbstractContextManager[None]:
    """Put the end of the partition into the mark, also when the event of an earlier suggestion is still to come."""
    publication: Any = streams.agents.suggest._Publication
    return replaced(publication, "unread_from", lambda self: self.end)


def overlook_jumps() -> AbstractContextManager[None]:
    """Take no notice of what a late worker writes between our own suggestions."""

    async def overlook(self: Suggest, *where: Any) -> None: ...

    return replaced(Suggest, "_read_late_writer", overlook)


def judge_at_once() -> AbstractContextManager[None]:
    """Send outcomes and tallies before the suggestion that they judge is acknowledged."""
    publish = Outbox.publish_many

    def at_once(self: Outbox, topic: str, partition: int, messages: Messages, after: Any = None) -> Any:
        return publish(self, topic, partition, messages)

    return replaced(Outbox, "publish_many", at_once)


def number_suggestions() -> AbstractContextManager[None]:
    """Give a suggestion another id whenever it is made."""
    numbers = count(1)
    make_batch = DenseSuggesting._batch

    def from_elsewhere(self: DenseSuggesting, records: Any) -> Any:
        batch, *rest = make_batch(self, records)
        return batch._replace(origins=batch.origins + next(numbers)), *rest

    return replaced(DenseSuggesting, "_batch", from_elsewhere)


# -- 8: client retries, and ingest's mark


def forget_ids(field: str) -> Switch:
    """Have a session forget what was sent before."""

    serve = DenseSuggesting.serve

    def forget_and_serve(self: DenseSuggesting, records: Any, *rest: Any) -> Any:
        sessions = self.sessions
        for partition in {record.partition for record in records}:
            for key in list(sessions.ids(partition)):
                session = sessions.get(key)
                assert session is not None
                getattr(session, field).clear()
                sessions.load(partition, [(key.encode(), encode(session))])
        return serve(self, records, *rest)

    return lambda: replaced(DenseSuggesting, "serve", forget_and_serve)
