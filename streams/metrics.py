"""What Prometheus sees: every metric of a worker, with bounded labels and base units."""

from collections.abc import Iterable
from importlib.metadata import version

import numpy as np
from numpy.typing import ArrayLike
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

__all__ = ["ManySeconds", "Metrics"]

#: Close together where an event's time to its suggestion lies, so that its quantiles say something.
_SECONDS = (
    *(0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class ManySeconds(Collector):
    """A histogram of seconds that takes many values at once: a call costs microseconds, whatever their number."""

    def __init__(self, name: str, meaning: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._meaning = meaning
        self._counts = np.zeros(len(_SECONDS) + 1, np.int64)
        self._sum = 0.0
        registry.register(self)

    def observe_many(self, seconds: ArrayLike) -> None:
        """Count values in seconds; what is below zero, because two clocks differ, counts as zero."""
        values = np.maximum(np.asarray(seconds, np.float64), 0.0)
        self._counts += np.bincount(np.searchsorted(_SECONDS, values), minlength=len(self._counts))
        self._sum += float(values.sum())

    def collect(self) -> Iterable[Metric]:
        """Return what Prometheus shows."""
        bounds = [*map(floatToGoString, _SECONDS), "+Inf"]
        totals = np.cumsum(self._counts).tolist()
        yield HistogramMetricFamily(
            self._name, self._meaning, list(zip(bounds, totals, strict=True)), sum_value=self._sum
        )


class Metrics:
    """The metrics of one worker, registered in the given registry.

    Labels are bounded: ``type`` is browse, add-to-cart or orders; ``moment`` is browse, cart, order or other;
    ``stage`` is viewed, added or ordered; ``reason`` is one of the fixed slugs of `models.records`,
    `models.evidence`; ``topic`` and ``table`` are names of `streams.topics`; of the
    recovery's gauges ``table`` is also replica.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.events = counter("events", "Events accepted at the door", "type")
        self.rejected = counter("rejected", "Events sent to the dead letters", "reason")
        self.lost_inputs = counter("events_lost", "Input records deleted by retention before they were read", "type")
        self.duplicates = counter("duplicates", "Repeated event ids and order ids, left without effect", "type")
        self.suggestions = counter("suggestions", "Suggestions published", "moment")
        self.empty_suggestions = counter("suggestions_empty", "Suggestions published without an item", "reason")
        self.acceptance = counter("acceptance", "Outcomes of suggestions", "stage")
        self.repeats = counter("packed_repeats", "Packed ranges dropped because they were already applied", "topic")
        self.gaps = counter("packed_gaps", "Packed ranges ignored because an earlier one is missing", "topic")
        self.dropped_rows = counter("rows_dropped", "Rows of items least met of late, dropped for `catalogue_max`")
        self.replayed_suggestions = counter("suggestions_kept", "Suggestions found published before a takeover")
        self.suggestion_seconds = ManySeconds(
            "sidecart_suggestion_seconds", "Event's arrival in Kafka to acknowledged suggestion", registry
        )
        self.freshness_seconds = ManySeconds(
            "sidecart_freshness_seconds", "Event's arrival in Kafka to its counts in the replica", registry
        )
        self.flush_seconds = histogram("flush_seconds", "Duration of a flush of all tables")
        self.load_seconds = histogram("load_seconds", "Duration of loading a table partition", "table")
        self.consumer_lag = gauge("consumer_lag_records", "Records not yet read", "topic")
        self.table_rows = gauge("table_rows", "Rows in the partitions owned by this worker", "table")
        self.replica_rows = gauge("replica_rows", "Rows in this worker's replica")
        self.replica_bytes = gauge("replica_bytes", "Bytes of the replica's arrays, room to grow among them")
        self.replica_lag = gauge("replica_lag_records", "Packed records of `pairs` that the replica has not folded")
        self.recovery_records = gauge("recovery_records", "Records read in the latest recovery, all steps", "table")
        self.recovery_end = gauge("recovery_end_records", "Records to read in the latest recovery, all steps", "table")
        self.recovery_seconds = gauge("recovery_seconds", "Seconds that the recovery under way has lasted, else 0")
        self.replay_records = gauge("replay_records", "Records from mark to log's end at the latest takeover", "table")
        self.recovering = gauge("recovering", "1 while tables are being recovered or partitions rebalanced")
        self.ready = gauge("ready", "1 when recovered, caught up and not rebalancing")
        ProcessCollector(registry=registry)
        for topic in ("session-events", "pairs", "tallies"):
            # Children that exist from the start: the first repeat or gap is seen as an increase.
            self.repeats.labels(topic)
            self.gaps.labels(topic)
        build = Info("sidecart_build", "Version of Sidecart", registry=registry)
        build.info({"version": version("sidecart")})

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"sidecart_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"sidecart_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(f"sidecart_{name}", meaning, labels, registry=self.registry, buckets=_SECONDS)
