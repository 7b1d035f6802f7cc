"""The stage learn: `pairs` to the table `cooccurrence`; its shards are also part of this worker's replica."""

import asyncio

from models.cooccurrence import Row
from models.learning import learn
from models.shard import Shard
from streams.batching import RecordBatch
from streams.context import Context
from streams.replica import Replica, observe_freshness
from streams.stage import TableStage
from streams.store import Store
from streams.wire import PACKED_PAIRS

__all__ = ["Learn"]


class Learn(TableStage[Row]):
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
        for record in batch.records:
            shard = self._shard_of(record.partition, record.offset)
            if shard is not None:
                packed = PACKED_PAIRS.decode(record.value)
                learned = learn(shard, self._replica.rows, record.offset, packed)
                self._count(learned.verdicts)
                self.context.metrics.dropped_rows.inc(learned.dropped)
                observe_freshness(self.context, packed)

    async def take_over(self, owned: set[int], generation: int) -> None:
        """Own these partitions, and have the replica follow the others."""
        async with self._changing:
            await self._replica.stop_following()
            await super().take_over(owned, generation)
            self._replica.follow(set(range(self.context.partitions)) - owned)

    def _new_shard(self, partition: int) -> Shard[Row]:
        return self._replica.new_shard(partition)
