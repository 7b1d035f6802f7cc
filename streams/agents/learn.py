"""The stage learn: `pairs` to the table `cooccurrence`; its shards are also part of this worker's replica."""

import asyncio
from functools import partial

import numpy as np

from models.kernel.learning import DenseShard, learn_packed
from models.parts import TableRows
from streams.batching import RecordBatch
from streams.context import Context
from streams.recovery import Loading
from streams.replica import Replica, observe_freshness
from streams.stage import Rows, TableStage
from streams.store import Store
from streams.wire import ROW_LETTER, Mark, read_packed

__all__ = ["Learn"]


class Learn(TableStage[DenseShard]):
    """Folds increments into rows, the only writer of a row."""

    table = "cooccurrence"
    log = "pairs"
    origins = ("session-events",)

    def __init__(self, context: Context, store: Store, replica: Replica) -> None:
        super().__init__(context, store)
        self._replica = replica
        #: Between stop and follow the shards change hands.
        self._changing = asyncio.Lock()

    def _fold(self, batch: RecordBatch) -> None:
        timestamps = []
        for record in batch.records:
            shard = self._shard_of(record.partition, record.offset)
            if shard is not None:
                learned = read_packed(record.value, partial(learn_packed, shard, record.offset))
                self._count(learned.verdicts)
                self.context.metrics.dropped_rows.inc(learned.dropped)
                timestamps.append(learned.timestamps)
        if timestamps:
            observe_freshness(self.context, np.concatenate(timestamps))

    async def take_over(self, owned: set[int], generation: int) -> None:
        """Own these partitions, and have the replica follow the others."""
        async with self._changing:
            await self._replica.stop_following()
            await super().take_over(owned, generation)
            self._replica.follow(set(range(self.context.partitions)) - owned)

    def _new_shard(self, partition: int) -> DenseShard:
        return self._replica.new_shard(partition)

    def _load(self, shard: DenseShard, rows: Rows) -> None:
        self._replica.load(shard, rows)

    async def _resume(self, shard: DenseShard, mark: Mark | None, loading: Loading) -> None:
        shard.loaded()

    def _take_dirty(self, shard: DenseShard) -> TableRows:
        return shard.write_dirty(ROW_LETTER)
