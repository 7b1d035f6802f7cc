"""A worker's vital signs: what is missing until it is ready, how far it is behind, and what must get on."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from streams.batching import BatchConsumer
from streams.context import Context
from streams.pipeline import Pipeline
from streams.recovery import REPLICA
from streams.replica import Replica
from streams.topics import TABLES
from streams.watchdog import Stall

__all__ = ["Vitals"]

#: Seconds after which a stage with waiting records, or a flush, counts as hanging: more than the 40 s after which a
#: producer gives up and the 60 s of a silent event loop, so that the cause is told and not what follows from it.
_HANG_S = 90.0
#: The same of a recovery in which nothing moves: more than the group waits for its members (60 s), and than Faust
#: waits for a request (90 s).
_STUCK_S = 120.0


class Vitals:
    """What the pages, the gauges and the watchdog know of a worker.

    Parameters
    ----------
    is_rebalancing : callable
        Tells whether the group has not yet said what this worker owns.

    Attributes
    ----------
    missing : list of str
        What was missing until the worker is ready when it was last looked.
    lag : dict of str to int
        Records that each topic's stage had not begun by then.
    """

    def __init__(
        self,
        context: Context,
        consumer: BatchConsumer,
        pipeline: Pipeline,
        replica: Replica,
        is_rebalancing: Callable[[], bool],
    ) -> None:
        self.missing: list[str] = []
        self.lag: dict[str, int] = {}
        self._context = context
        self._consumer = consumer
        self._pipeline = pipeline
        self._replica = replica
        self._is_rebalancing = is_rebalancing
        metrics = context.metrics
        metrics.ready.set_function(lambda: not self.readiness())
        metrics.recovering.set_function(lambda: is_rebalancing() or not pipeline.is_recovered)
        recovery = context.recovery
        metrics.recovery_seconds.set_function(lambda: recovery.seconds)
        for table in (*TABLES, REPLICA):
            metrics.recovery_records.labels(table).set_function(partial(recovery.records_of, table))
            metrics.recovery_end.labels(table).set_function(partial(recovery.end_of, table))
            metrics.replay_records.labels(table).set_function(partial(recovery.replay_of, table))

    def readiness(self) -> list[str]:
        """Return what is missing until the worker is ready."""
        missing = []
        if self._is_rebalancing():
            missing.append("the group is rebalancing")
        if not self._pipeline.is_recovered:
            missing.append("tables are being recovered")
        if not self._replica.loaded.is_set():
            missing.append("the replica is being loaded")
        return missing

    def page(self) -> tuple[bool, Any]:
        """Return whether the worker is ready, and what /ready shows."""
        missing = self.readiness()
        owned: Sequence[int] = sorted(self._pipeline.table_stages[0].shards.copy())
        return not missing, {
            "ready": not missing,
            "missing": missing,
            "partitions": owned,
            "replica_lag": self._replica.lag,
            "recovery": self._context.recovery.show() if missing else None,
        }

    def look(self) -> list[str]:
        """Look at everything, in the event loop; set the gauges, and return what is missing."""
        metrics = self._context.metrics
        self.missing = self.readiness()
        self._context.recovery.tell(self.missing)
        self.lag = dict.fromkeys(self._pipeline.topics, 0) | self._consumer.lag()
        for topic, lag in self.lag.items():
            metrics.consumer_lag.labels(topic).set(lag)
        for stage in self._pipeline.table_stages:
            rows = sum(len(shard) for shard in stage.shards.values())
            metrics.table_rows.labels(stage.table).set(rows)
        metrics.replica_rows.set(len(self._replica.rows))
        metrics.replica_bytes.set(self._replica.rows.nbytes)
        metrics.replica_lag.set(self._replica.lag)
        return self.missing

    def stalls(self) -> list[Stall]:
        """Return what must get on."""
        recovery, replica, pipeline = self._context.recovery, self._replica, self._pipeline
        return [
            Stall(
                lambda: f"nothing has moved while {' and '.join(self.missing) or 'partitions are being loaded'}",
                _STUCK_S,
                lambda: (recovery.moves, replica.folded) if self.missing or recovery.is_loading else None,
            ),
            Stall(
                lambda: "a flush of the tables has not ended",
                _HANG_S,
                lambda: pipeline.flushes if pipeline.is_flushing and not self.missing else None,
            ),
            Stall(
                lambda: f"{replica.lag} records of {self._context.name('pairs')} wait and the replica has folded none",
                _HANG_S,
                lambda: replica.folded if replica.lag and not self.missing else None,
            ),
            *(self._stage_stall(stage) for stage in pipeline.handled),
        ]

    def _stage_stall(self, stage: str) -> Stall:
        topics = [topic for topic in self._pipeline.topics if self._pipeline.stage_of(topic) == stage]

        def waiting() -> int:
            return sum(self.lag.get(topic, 0) for topic in topics)

        return Stall(
            lambda: f"{waiting()} records of {', '.join(topics)} wait and none has been folded",
            _HANG_S,
            lambda: self._pipeline.handled[stage] if waiting() and not self.missing else None,
        )
