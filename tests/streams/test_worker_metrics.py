"""Many seconds at once are counted as one after the other, and shown under the same names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from streams.metrics import ManySeconds, Metrics

BOUNDS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.25)
BOUNDS += (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def shown(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.lists(st.sampled_from([*BOUNDS, 0.0, 0.0049, 0.0051, 59.9, 60.1, 1e6]) | st.floats(0, 100))))
def test_values_are_counted_as_by_a_histogram_of_single_values(calls: list[list[float]]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    single = Histogram("x_seconds", "x", registry=theirs, buckets=BOUNDS)
    many = ManySeconds("x_seconds", "x", ours)
    for values in calls:
        many.observe_many(values)
        for value in values:
            single.observe(value)
    expected, found = shown(theirs), shown(ours)
    total = ("x_seconds_sum", "")
    assert found.pop(total) == pytest.approx(expected.pop(total))
    assert found == expected


def test_a_value_below_zero_counts_as_zero() -> None:
    registry = CollectorRegistry()
    ManySeconds("x_seconds", "x", registry).observe_many(np.array([-0.5, 0.25]))
    assert shown(registry)["x_seconds_sum", ""] == 0.25
    assert shown(registry)["x_seconds_bucket", "0.005"] == 1


def test_the_worker_shows_both_latencies_from_the_start() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    for name in ("sidecart_suggestion_seconds", "sidecart_freshness_seconds"):
        assert registry.get_sample_value(f"{name}_count") == 0
