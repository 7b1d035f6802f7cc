"""The rulers of the bench: CPU time, histograms, percentiles, medians."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from cpu import MachineTime, cpu_seconds, idle_share, machine_time, parse_stat
from latency import Pace, hop_messages, percentiles
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from scrape import histogram_quantile, parse_buckets, parse_samples, total
from throughput import Run, Window, median_run
from traffic import shop_traffic

# -- CPU


def test_a_stat_line_is_read_whatever_the_name() -> None:
    line = "71 (a ) R (b) S 9 71 71 0 -1 4194560 1 2 3 4 250 150 30 20 20 0 3 0 12345 1000 100 18446744073709551615"
    assert parse_stat(line) == (9, 450)


def test_the_time_of_children_counts_also_when_they_have_ended() -> None:
    busy = "t=__import__('time'); [None for _ in iter(lambda: t.process_time() < 0.3, False)]"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) >= 0.28
        inner = [sys.executable, "-c", f"{busy}; print(flush=True); input()"]
        with subprocess.Popen(inner, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            both = cpu_seconds(process.pid, other.pid)
            assert both >= 0.56
            # Both are children of this process.
            assert cpu_seconds(os.getpid()) >= both
            other.communicate(b"\n")
        process.communicate(b"\n")


def test_a_process_that_has_ended_is_said() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError, match=f"process {process.pid} has ended"):
        cpu_seconds(process.pid)


def test_idle_is_a_share_of_all_cores() -> None:
    assert idle_share(MachineTime(1000, 400), MachineTime(1400, 500)) == 0.25
    assert idle_share(MachineTime(1000, 400), MachineTime(1000, 400)) == 1.0
    assert 0 < machine_time().idle <= machine_time().total


# -- histograms


def test_a_quantile_is_interpolated_inside_its_bucket() -> None:
    counts = {0.1: 50.0, 0.2: 90.0, 0.4: 100.0, math.inf: 100.0}
    assert histogram_quantile({}, counts, 0.5) == pytest.approx(0.1)
    assert histogram_quantile({}, counts, 0.7) == pytest.approx(0.15)
    assert histogram_quantile({}, counts, 0.99) == pytest.approx(0.38)


def test_a_quantile_is_of_what_came_between_two_scrapes() -> None:
    before = {0.1: 1000.0, 0.2: 1000.0, math.inf: 1000.0}
    after = {0.1: 1000.0, 0.2: 1010.0, math.inf: 1010.0}
    assert histogram_quantile(before, after, 0.5) == pytest.approx(0.15)
    assert histogram_quantile(before, before, 0.5) is None


def test_a_quantile_above_the_last_bound_is_infinite() -> None:
    assert histogram_quantile({}, {0.1: 50.0, math.inf: 100.0}, 0.99) == math.inf


def test_buckets_are_read_as_they_are_shown() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("waits_seconds", "Waits", ["kind"], registry=registry, buckets=(0.1, 1.0))
    plain = Histogram("other_seconds", "Others", registry=registry, buckets=(0.1, 1.0))
    plain.observe(0.05)
    plain.observe(5)
    histogram.labels("a").observe(0.5)
    histogram.labels("b").observe(0.25)
    page = generate_latest(registry).decode()
    assert parse_buckets(page, "other_seconds") == {0.1: 1.0, 1.0: 1.0, math.inf: 2.0}
    assert total(parse_samples(page), "waits_seconds_sum") == 0.75
    assert total(parse_samples(page), "waits_seconds_sum", kind="b") == 0.25


# -- waits


def test_percentiles_are_values_that_were_measured() -> None:
    waits = np.arange(1.0, 101.0)
    np.random.default_rng(1).shuffle(waits)
    assert percentiles(waits) == (51.0, 100.0)


def test_a_hundredth_that_never_came_makes_the_99th_percentile_infinite() -> None:
    waits = np.ones(1000)
    waits[:10] = math.inf
    assert percentiles(waits) == (1.0, math.inf)
    waits[:1] = 1.0
    assert percentiles(waits) == (1.0, 1.0)


def test_a_pace_knows_its_messages() -> None:
    assert Pace(5_000, 3, 8).messages == 55_000


def test_the_bare_hop_carries_suggestions_with_the_ids_of_its_own_numbers() -> None:
    traffic = shop_traffic(3, 10, start_ms=1_767_607_200_000, label="paced0")
    samples = [b'{"event_id":"paced0-000000123","x":1}', b'{"a":"b","event_id":"paced0-000000456"}']
    messages = hop_messages(traffic, samples, "topic")
    assert [value for _, _, value in messages] == [
        b'{"event_id":"paced0-000000000","x":1}',
        b'{"a":"b","event_id":"paced0-000000001"}',
        b'{"event_id":"paced0-000000002","x":1}',
    ]
    assert [key for _, key, _ in messages] == [message.key for message in traffic.messages]


# -- runs


def test_a_window_is_events_by_time() -> None:
    window = Window(seconds=2.0, cpu_s=1.0, events=50_000)
    assert (window.events_per_s, window.cpu_us_per_event) == (25_000, 20)


def test_of_several_runs_the_medians_count_and_all_that_is_wrong() -> None:
    runs = [Run(10, 5, 0), Run(30, 1, 2, ("a",)), Run(20, 9, 1, ("a", "b"))]
    assert median_run(runs) == Run(20, 5, 3, ("a", "b"))
