"""The stage measure: `tallies` to the table `kpi` and to `acceptance-metrics`."""

import asyncio
from collections.abc import Callable
from time import monotonic

from aiokafka.structs import ConsumerRecord

from models.kpi import Window, metrics_message
from models.measuring import measure, window_key
from models.parts import TableRows
from models.shard import Shard
from streams.batching import RecordBatch
from streams.context import Context
from streams.produce_batch import Message
from streams.recovery import Loading
from streams.stage import Rows, TableStage
from streams.store import Store
from streams.wire import PACKED_TALLIES, ROWS, Mark, encode_json, row_key

__all__ = ["Measure"]

#: A window is published once it has not changed for this long, by wall clock: it closes also when traffic stops.
_QUIET_S = 2.0
_CHECK_S = 0.5


class _Change:
    """When a window that is not yet published changed, first and last, on the monotonic clock."""

    __slots__ = ("first", "last")

    def __init__(self, now: float) -> None:
        self.first = self.last = now


class Measure(TableStage[Shard[Window]]):
    """Folds tallies into windows and publishes each window that has changed."""

    table = "kpi"
    log = "tallies"
    origins = ("session-events",)

    def __init__(self, context: Context, store: Store) -> None:
        super().__init__(context, store)
        self._changes: dict[int, dict[str, _Change]] = {}
        #: False from a revocation until the partitions are taken over: the next flush would meet their next owner's.
        self.is_ours: Callable[[], bool] = lambda: True

    def _new_shard(self, partition: int) -> Shard[Window]:
        return Shard(partition)

    def _load(self, shard: Shard[Window], rows: Rows) -> None:
        for key, value in rows:
            shard.load(key.decode(), ROWS[self.table].decode(value))

    def _take_dirty(self, shard: Shard[Window]) -> TableRows:
        encode = ROWS[self.table].encode
        dirty = shard.take_dirty().items()
        return TableRows.of({row_key(key): None if row is None else encode(row) for key, row in dirty})

    def _fold(self, batch: RecordBatch) -> None:
        now = monotonic()
        for record in batch.records:
            shard = self._shard_of(record.partition, record.offset)
            if shard is not None:
                self._measure(shard, record, now)

    def _measure(self, shard: Shard[Window], record: ConsumerRecord, now: float) -> None:
        packed = PACKED_TALLIES.decode(record.value)
        verdicts, changed, closed = measure(shard, record.offset, packed, self.context.parameters)
        self._count(verdicts)
        changes = self._changes[shard.partition]
        for key in changed:
            changes.setdefault(key, _Change(now)).last = now
        for key, window in closed.items():
            if changes.pop(key, None):
                self._publish(shard, key, window)

    async def publish_forever(self) -> None:
        """Publish changed windows as they fall due: quiet for two seconds, or changing for a window's length."""
        while True:
            await asyncio.sleep(_CHECK_S)
            self.publish_due(monotonic())

    def publish_due(self, now: float) -> None:
        """Publish the windows that are due at `now` on the monotonic clock, while the partitions are ours."""
        if not self.is_ours():
            return
        longest = self.context.settings.kpi_window_s + _QUIET_S
        for partition, shard in self.shards.items():
            changes = self._changes[partition]
            due = [
                key for key, change in changes.items() if now - change.last >= _QUIET_S or now - change.first >= longest
            ]
            if due:
                # The next flush writes the mark anew: what is published is pending no more.
                self._flushed.pop(partition, None)
            for key in due:
                del changes[key]
                self._publish(shard, key, shard.rows[key])

    def _publish(self, shard: Shard[Window], key: str, window: Window) -> None:
        message = metrics_message(window_key(key), window, shard.position, self.context.parameters)
        topic = self.context.name("acceptance-metrics")
        self.context.outbox.publish(topic, shard.partition, [Message(key.encode(), encode_json(message))])

    async def _resume(self, shard: Shard[Window], mark: Mark | None, loading: Loading) -> None:
        now = monotonic()
        pending = mark.pending if mark else []
        self._changes[shard.partition] = {key: _Change(now) for key in pending if key in shard.keys}

    def _mark(self, shard: Shard[Window]) -> Mark:
        mark = super()._mark(shard)
        mark.pending = list(self._changes[shard.partition])
        return mark
