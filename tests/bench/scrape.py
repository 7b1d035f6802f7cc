"""A worker's pages: metrics as numbers, quantiles of its histograms, and whether it is ready."""

import json
import math
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Samples", "fetch", "histogram_quantile", "parse_buckets", "parse_samples", "ready_page", "total"]

#: Values by metric name and labels; a histogram's buckets are of the name with ``_bucket``.
Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

_TIMEOUT_S = 20.0


def fetch(port: int, path: str) -> str:
    """Fetch a page of a worker on this machine, whatever its status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def ready_page(port: int) -> dict[str, Any]:
    """Return what /ready shows; nothing while the worker does not answer."""
    try:
        page: dict[str, Any] = json.loads(fetch(port, "/ready"))
    except (OSError, HTTPException, ValueError):
        return {}
    return page


def parse_samples(metrics: str) -> Samples:
    """Return all samples of what /metrics shows."""
    families = text_string_to_metric_families(metrics)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of a metric over all label values but the given ones."""
    wanted = labels.items()
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= dict(has).items())


def parse_buckets(metrics: str, name: str) -> dict[float, float]:
    """Return a histogram without labels as cumulated counts by upper bound."""
    found = {
        float(dict(labels)["le"]): value
        for (sample, labels), value in parse_samples(metrics).items()
        if sample == f"{name}_bucket"
    }
    return dict(sorted(found.items()))


def histogram_quantile(before: Mapping[float, float], after: Mapping[float, float], quantile: float) -> float | None:
    """Return a quantile of what was observed between two scrapes, as Prometheus does: linear inside its bucket.

    Returns
    -------
    float or None
        None where nothing was observed; infinity where it lies above the last finite bound.

    Examples
    --------
    >>> histogram_quantile({}, {0.1: 0.0, 0.2: 4.0, math.inf: 4.0}, 0.5)
    0.15000000000000002
    """
    counts = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
    observed = counts.get(math.inf, 0.0)
    if not observed:
        return None
    rank, lower, below = quantile * observed, 0.0, 0.0
    for bound, count in counts.items():
        if count >= rank:
            return math.inf if bound == math.inf else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    raise AssertionError("the last bucket holds all")
