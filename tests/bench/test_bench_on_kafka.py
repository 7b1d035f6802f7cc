"""The harness on a real broker: it measures, and what it measures is right.

With fewer events all would be answered between two looks at the clock.
"""

import math
import time
from pathlib import Path

import pytest
from latency import Pace
from scenarios import large_catalogue, latencies
from systems import SYSTEMS, warm_up
from throughput import BenchError, measure
from traffic import shop_traffic

from streams.brokers.kafka import KafkaBroker

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("name", ["sidecart", "aiokafka", "confluent"])
def test_a_system_answers_and_counts_everything(name: str, kafka: KafkaBroker, tmp_path: Path) -> None:
    traffic = shop_traffic(40_000, 2_000, start_ms=round(time.time() * 1000) - 3_600_000)
    warm_up([SYSTEMS[name]])
    run = measure(SYSTEMS[name], traffic, kafka.bootstrap_servers, tmp_path / "run")
    assert run.problems == () and run.lost == 0
    assert run.events_per_s > 0 and run.cpu_us_per_event >= 0


def test_a_system_that_ends_is_said_with_its_log(kafka: KafkaBroker, tmp_path: Path) -> None:
    traffic = shop_traffic(10, 10, start_ms=round(time.time() * 1000) - 3_600_000)
    with pytest.raises(BenchError, match="0 suggestions came of 10; the log ends with:"):
        measure(SYSTEMS["confluent"], traffic, kafka.bootstrap_servers, tmp_path / "run", timeout_s=1)


def test_waits_and_recovery_are_measured(kafka: KafkaBroker, tmp_path: Path) -> None:
    said: list[str] = []
    found = latencies({"50": Pace(50, 1, 2)}, 100, kafka.bootstrap_servers, tmp_path / "waits", 0.5, said.append)
    assert found.problems == []
    path, hop = found.paths["50"], found.hops["50"]
    assert 0 < path.p50_ms <= path.p99_ms < math.inf
    assert 0 < hop.p50_ms <= hop.p99_ms < math.inf
    assert path.unsent == hop.unsent == 0 and path.freshness_p99_ms is not None
    recovery, run = large_catalogue(40_000, 2_000, kafka.bootstrap_servers, tmp_path / "rows")
    assert recovery.records >= 2_000 and recovery.load_s > 0
    assert run is not None and run.problems == ()
