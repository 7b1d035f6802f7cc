"""What the stages with a table have in common: take over partitions, fold, flush rows and mark together."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from time import monotonic
from typing import Generic, Protocol, TypeVar

from faust.types import TP

from models.coverage import Verdict, Watermarks
from models.errors import AccidentError
from models.parts import TableRows
from streams.admin import committed_offsets
from streams.batching import RecordBatch
from streams.context import Context
from streams.recovery import Loading
from streams.store import Store
from streams.wire import MARK_KEY, ROW_LETTER, Mark, decode_mark, encode_mark

__all__ = ["Restoring", "Rows", "TableShard", "TableStage", "check_mark"]

#: Id and value of rows; the value of one that is to be taken out is empty.
Rows = Sequence[tuple[bytes, bytes]]

_ANEW = "to start anew use another topic_prefix, or delete all of Sidecart's topics, its group and state folders"

#: Rows decoded before other tasks get a turn.
_LOAD_CHUNK = 5_000


class TableShard(Protocol):
    """The rows of one partition, and how far they are the fold of their log (`models.shard.LogState`)."""

    partition: int
    position: int
    watermarks: Watermarks
    newest: int

    def __len__(self) -> int:
        """Return how many rows there are."""

    def clear(self) -> None:
        """Forget all rows; their next owner has them."""


ShardT = TypeVar("ShardT", bound=TableShard)


class TableStage(ABC, Generic[ShardT]):
    """A stage that folds one internal log into one table.

    Parameters
    ----------
    context : Context
        Its surroundings.
    store : Store
        The table's store.
    """

    #: Name of the table; rows in the table of topics of the log and of what the log is made from.
    table: str
    log: str
    origins: tuple[str, ...]

    def __init__(self, context: Context, store: Store) -> None:
        self.context = context
        self.shards: dict[int, ShardT] = {}
        self._store = store
        self._flushed: dict[int, int] = {}
        self._generation = -1
        #: A flush and a takeover exclude each other.
        self._lock = asyncio.Lock()

    # -- the fold

    async def handle(self, batch: RecordBatch) -> None:
        """Fold one batch; folding and queueing its outputs is one step without a pause."""
        await self.context.outbox.room()
        if batch.epoch == self.context.epoch():
            self._fold(batch)

    @abstractmethod
    def _fold(self, batch: RecordBatch) -> None: ...

    def _shard_of(self, partition: int, offset: int) -> ShardT | None:
        """Return the shard that a record belongs to, None for a record that is already folded."""
        shard = self.shards[partition]
        if offset < shard.position:
            return None
        if offset > shard.position:
            raise AccidentError(
                f"{self.context.name(self.log)}/{partition} continues at offset {offset}, but {shard.position} is next:"
                " the log was cut before it was read; raise its retention, and start anew from empty topics"
            )
        return shard

    def _count(self, verdicts: list[Verdict]) -> None:
        metrics, topic = self.context.metrics, self.log
        for verdict in verdicts:
            if verdict == "repeat":
                metrics.repeats.labels(topic).inc()
            elif verdict == "gap":
                metrics.gaps.labels(topic).inc()

    # -- ownership

    async def take_over(self, owned: set[int], generation: int) -> None:
        """Own exactly these partitions: fence, load, resume at the mark.

        A partition that was owned in the generation just before is kept as it is: nobody else had it in between.
        """
        async with self._lock:
            kept = owned & self.shards.keys() if generation == self._generation + 1 else set()
            for partition in self.shards.keys() - kept:
                self._let_go(partition)
                if partition not in owned:
                    await self._store.release(partition)
            self._generation = generation
            taken = list(owned - kept)
            marks = await asyncio.gather(*(self._take_over(partition) for partition in taken))
            await self._refuse_lost_tables(
                [partition for partition, mark in zip(taken, marks, strict=True) if mark is None]
            )

    def _let_go(self, partition: int) -> None:
        del self.shards[partition]
        self._flushed.pop(partition, None)

    async def _take_over(self, partition: int) -> Mark | None:
        started = monotonic()
        with self.context.recovery.loading(self.table, partition) as loading:
            loading.begin("fencing the former owner")
            await self._store.take_over(partition)
            shard = self._new_shard(partition)
            loading.begin("loading rows")
            rows = await self._store.load(partition, loading.reached)
            restoring = Restoring(shard, partial(self._load, shard), loading)
            while chunk := list(islice(rows, _LOAD_CHUNK)):
                await asyncio.sleep(0)
                restoring.put(chunk)
            mark = await restoring.finish(self.context, self.log)
            await self._resume(shard, mark, loading)
            self._flushed[partition] = shard.position
            self.shards[partition] = shard
        self.context.metrics.load_seconds.labels(self.table).observe(monotonic() - started)
        return mark

    async def _refuse_lost_tables(self, unmarked: list[int]) -> None:
        """Refuse to begin again where the group has committed, but changelog and disk hold nothing."""
        if not unmarked:
            return
        committed = await asyncio.to_thread(committed_offsets, self.context.settings)
        topic = self.context.name(self.log)
        for partition in unmarked:
            offset, _ = committed.get((topic, partition), (0, ""))
            if offset > 0 and not await self._has_mark(partition):
                raise AccidentError(
                    f"{topic}/{partition} was folded up to {offset}, but the table {self.table} is empty: restore"
                    f" {self.context.name(f'{self.table}-changelog')}, or {_ANEW}"
                )

    async def _has_mark(self, partition: int) -> bool:
        """Tell whether a later owner has flushed since the load: it fences this one, whose flush will be refused."""
        return any(key == MARK_KEY for key, _ in await self._store.load(partition, lambda *_: None))

    @abstractmethod
    def _new_shard(self, partition: int) -> ShardT: ...

    @abstractmethod
    def _load(self, shard: ShardT, rows: Rows) -> None:
        """Put rows that are already durable into a shard."""

    @abstractmethod
    def _take_dirty(self, shard: ShardT) -> TableRows:
        """Return the rows that have changed since the last call, None for those dropped, by their keys in the table."""

    async def _resume(self, shard: ShardT, mark: Mark | None, loading: Loading) -> None:
        """Take up what the mark holds beside the rows' position."""

    # -- the flush

    async def flush(self) -> Mapping[TP, tuple[int, str]]:
        """Make everything folded so far durable: outputs, then rows and mark; return what may be committed."""
        async with self._lock:
            snapshots = []
            for shard in list(self.shards.values()):
                if shard.position != self._flushed.get(shard.partition):
                    # Without a pause: what changes rows or mark from here on belongs to the next flush.
                    rows, mark = self._take_dirty(shard), encode_mark(self._mark(shard))
                    snapshots.append((shard.partition, shard.position, rows, mark))
                    self._flushed[shard.partition] = shard.position
                    await asyncio.sleep(0)
            if not snapshots:
                return {}
            await self.context.outbox.settled()
            await asyncio.gather(*(self._store.flush(partition, rows, mark) for partition, _, rows, mark in snapshots))
            topic = self.context.name(self.log)
            return {TP(topic, partition): (position, "") for partition, position, _, _ in snapshots}

    def _mark(self, shard: ShardT) -> Mark:
        return Mark(
            position=shard.position,
            watermarks=shard.watermarks.as_dict(),
            newest=shard.newest,
            topic_ids={row: self.context.info.topic_ids[row] for row in (self.log, *self.origins)},
            partitions=self.context.partitions,
            half_life_ms=self.context.parameters.half_life_ms,
        )


class Restoring:
    """A table partition on its way into its shard.

    Parameters
    ----------
    load : callable
        Puts rows into the shard in place of what is there; an empty value takes a row out.
    loading : Loading
        Is told of the rows, and of the records between the position and the log's end.
    """

    def __init__(self, shard: TableShard, load: Callable[[Rows], None], loading: Loading) -> None:
        self._shard = shard
        self._load = load
        self._loading = loading
        self._mark: bytes | None = None

    def put(self, items: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Put what has these keys in table or changelog, None for what was deleted; later items override earlier."""
        self._load([(key[1:], value or b"") for key, value in items if key[:1] == ROW_LETTER])
        for key, value in items:
            if key == MARK_KEY:
                self._mark = value
        self._loading.loaded(len(self._shard))

    async def finish(self, context: Context, log: str) -> Mark | None:
        """Make the shard fold on at the mark, which is returned, or without one at the log's beginning.

        Raises
        ------
        AccidentError
            The log that is there now is not the one that the rows are the fold of.
        """
        shard = self._shard
        mark = None if self._mark is None else decode_mark(self._mark)
        if mark is not None:
            # Before the first pause: whoever looks at the rows is to know how far they are folded.
            shard.position = mark.position
            shard.watermarks = Watermarks(mark.watermarks)
            shard.newest = mark.newest
        bounds = await context.reader.bounds(context.name(log), shard.partition)
        check_mark(context, log, shard.partition, mark, bounds)
        if mark is None:
            shard.position = bounds[0]
        self._loading.replay = max(0, bounds[1] - shard.position)
        return mark


def check_mark(context: Context, log: str, partition: int, mark: Mark | None, bounds: tuple[int, int]) -> None:
    """Refuse a state that is not the fold of the log that is there now.

    Raises
    ------
    AccidentError
        The log was made again, has another partition count, or does not hold the mark's position any more.
    """
    if mark is None:
        return
    topic = context.name(log)
    for row, topic_id in mark.topic_ids.items():
        if topic_id != context.info.topic_ids[row]:
            raise AccidentError(
                f"the topic {context.name(row)} was deleted and made again, so all that is new in it would count as"
                f" repeats: {_ANEW}"
            )
    if mark.partitions != context.partitions:
        raise AccidentError(
            f"the topic {topic} had {mark.partitions} partitions and has {context.partitions}, which splits sessions"
            f" and rows: {_ANEW}"
        )
    if mark.half_life_ms != context.parameters.half_life_ms:
        raise AccidentError(
            f"half_life_days was {mark.half_life_ms / 86_400_000:g} and the weights of the tables are in its units:"
            f" set it back, or {_ANEW}"
        )
    beginning, end = bounds
    if mark.position > end:
        raise AccidentError(
            f"{topic}/{partition} ends at offset {end}, but it was folded up to {mark.position}: the broker has lost"
            f" records; {_ANEW}"
        )
    if mark.position < beginning:
        raise AccidentError(
            f"{topic}/{partition} begins at offset {beginning}, but it was folded only up to {mark.position}: its"
            f" retention is shorter than the outage was, and events are lost; {_ANEW}"
        )
