"""Every worker's copy of all co-occurrence rows, in memory: what suggest ranks against.

Partitions that learn owns are its own shards. The others start from the table's changelog and then follow `pairs`,
without a consumer group, folded by the same function.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np
from aiokafka import TopicPartition
from numpy.typing import NDArray

from models.decay import growth
from models.errors import AccidentError
from models.kernel.learning import DenseShard, learn_packed
from models.kernel.rows import DenseRows
from models.rows_digest import RowsDigest
from streams.context import Context
from streams.log_consumer import LogConsumer, LogRecord
from streams.recovery import REPLICA
from streams.stage import Restoring, Rows
from streams.wire import read_packed, unreadable_row

__all__ = ["PartitionDigest", "Replica", "observe_freshness"]

_POLL_MS = 500
#: Rows hashed before other tasks get a turn.
_DIGEST_CHUNK = 500


class PartitionDigest(msgspec.Struct):
    """What one partition of a replica holds; two workers at the same position must agree in all of it.

    `events` counts the items' arrivals, decayed to the newest one; `digest` hashes all rows, null when they changed
    meanwhile or are still being loaded.
    """

    partition: int
    position: int
    rows: int
    events: float
    digest: str | None


class Replica:
    """The rows of all partitions of the table `cooccurrence`.

    Attributes
    ----------
    rows : DenseRows
        All rows of all partitions.
    loaded : asyncio.Event
        Set once every partition has been read to its end for the first time.
    lag, folded : int
        Records of `pairs` that are known and not folded, and how many have been folded.
    """

    def __init__(self, context: Context, new_consumer: Callable[[], LogConsumer]) -> None:
        self.context = context
        self.rows = DenseRows(context.parameters)
        self.loaded = asyncio.Event()
        self.lag = 0
        self.folded = 0
        self._shards: dict[int, DenseShard] = {}
        self._new_consumer = new_consumer
        self._following: asyncio.Task[None] | None = None

    def new_shard(self, partition: int) -> DenseShard:
        """Make an empty shard for a partition in place of what is there."""
        former = self._shards.get(partition)
        if former is not None:
            former.clear()
        shard = self._shards[partition] = DenseShard(partition, self.rows)
        return shard

    def load(self, shard: DenseShard, rows: Rows) -> None:
        """Put rows that are already durable into a shard."""
        try:
            shard.read(rows)
        except ValueError as error:
            raise unreadable_row(error) from error

    def follow(self, partitions: set[int]) -> None:
        """Keep these partitions up to date, from where their shards stand."""
        self._following = asyncio.get_running_loop().create_task(self._follow(partitions))

    async def stop_following(self) -> None:
        """Stop folding."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def _follow(self, partitions: set[int]) -> None:
        try:
            await asyncio.gather(*(self._load(partition) for partition in partitions - self._shards.keys()))
            if partitions:
                await self._tail(partitions)
            else:
                self.lag = 0
                self.loaded.set()
        except Exception as error:  # noqa: BLE001  a replica that stands still must not serve
            self.context.die(error)

    async def _load(self, partition: int) -> None:
        context = self.context
        shard = DenseShard(partition, self.rows)
        with context.recovery.loading(REPLICA, partition) as loading:
            loading.begin("loading rows")
            restoring = Restoring(shard, partial(self.load, shard), loading)

            def apply(records: Sequence[LogRecord]) -> None:
                restoring.put([(record.key or b"", record.value) for record in records])

            try:
                changelog = context.name("cooccurrence-changelog")
                await context.reader.read(changelog, partition, None, apply, loading.reached)
                await restoring.finish(context, "pairs")
            except asyncio.CancelledError:
                shard.clear()
                raise
            shard.loaded()
            self._shards[partition] = shard

    async def _tail(self, partitions: set[int]) -> None:
        topic = self.context.name("pairs")
        logs = [TopicPartition(topic, partition) for partition in sorted(partitions)]
        consumer = self._new_consumer()
        await consumer.start()
        try:
            consumer.assign(logs)
            for log in logs:
                consumer.seek(log, self._shards[log.partition].position)
            ends = await consumer.end_offsets(logs)
            while True:
                for fetched in (await consumer.getmany(*logs, timeout_ms=_POLL_MS)).values():
                    for record in fetched:
                        self._fold(record)
                for log in logs:
                    ends[log] = max(ends[log], consumer.highwater(log) or 0)
                self.lag = sum(ends[log] - self._shards[log.partition].position for log in logs)
                if not self.lag:
                    self.loaded.set()
                await asyncio.sleep(self.context.settings.tick_ms / 1000)
        finally:
            await consumer.stop()

    def _fold(self, record: LogRecord) -> None:
        shard = self._shards[record.partition]
        if record.offset > shard.position:
            raise AccidentError(
                f"{record.topic}/{record.partition} continues at offset {record.offset}, but the replica needs"
                f" {shard.position}: the log was cut before it was read; restart this worker"
            )
        learned = read_packed(record.value, partial(learn_packed, shard, record.offset))
        shard.take_dirty()
        self.folded += 1
        observe_freshness(self.context, learned.timestamps)

    async def digests(self) -> list[PartitionDigest]:
        """Return what every partition holds."""
        return [await self._digest(shard) for _, shard in sorted(self._shards.items())]

    async def _digest(self, shard: DenseShard) -> PartitionDigest:
        position, is_loaded = shard.position, shard.is_loaded
        digest = RowsDigest()
        events = 0.0
        for count, item in enumerate(sorted(shard.keys), start=1):
            row = self.rows[item]
            events += row.events / growth(shard.newest, row.epoch, self.context.parameters.half_life_ms)
            digest.add(item, row)
            if count % _DIGEST_CHUNK == 0:
                await asyncio.sleep(0)
        is_steady = is_loaded and position == shard.position
        rows = len(shard)
        return PartitionDigest(shard.partition, position, rows, events, digest.hexdigest() if is_steady else None)


def observe_freshness(context: Context, timestamps: NDArray[np.int64]) -> None:
    """Observe the seconds from events' arrivals in Kafka, in ms, to their counts in this worker's replica."""
    context.metrics.freshness_seconds.observe_many((context.now_ms() - timestamps) / 1000)
