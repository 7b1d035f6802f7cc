"""Table, picture and JSON of a bench, from fixed figures."""

import io
import json
from pathlib import Path
from typing import cast

import pytest
from bench_plot import bench_figure, write_plot
from bench_table import bench_table
from results import Report, machine_line, ratios
from rich.console import Console
from run_bench import broker_line
from systems import SYSTEMS


def report() -> Report:
    speeds = {
        "sidecart": (60_000.0, 14.5),
        "aiokafka": (62_000.0, 13.25),
        "confluent": (90_000.0, 9.0),
        "bytewax": (50_000.0, 18.0),
        "quix": (12_000.0, 80.0),
        "faust-naive": (900.0, 920.0),
    }
    return {
        "broker": "Apache Kafka 4.3.0, one broker on this machine",
        "machine": "Some CPU, 2 cores, Linux 6",
        "runs": 3,
        "catalogue": 10_000,
        "systems": {
            name: {
                "events_per_s": speed,
                "cpu_us_per_event": cost,
                "lost": 3 if name == "quix" else 0,
                "durable": SYSTEMS[name].is_durable,
                "events": 1_000,
            }
            for name, (speed, cost) in speeds.items()
        },
        "ratios": {
            "quix": {"events_per_s": 5.0, "cpu_us_per_event": 5.517},
            "faust-naive": {"events_per_s": 66.667, "cpu_us_per_event": 63.448},
        },
        "latency": {
            "1500": {
                "rate": 1_500.0,
                "p50_ms": 21.0,
                "p99_ms": 33.0,
                "hop_p50_ms": 6.0,
                "hop_p99_ms": 12.0,
                "idle_pct": 51.0,
                "hop_idle_pct": 80.0,
                "cpu_pct": 31.0,
                "freshness_p99_ms": 44.0,
                "load_late_p99_ms": 1.5,
            },
            "half": {
                "rate": 30_000.0,
                "p50_ms": 900.0,
                "p99_ms": None,
                "hop_p50_ms": 7.0,
                "hop_p99_ms": 70.0,
                "idle_pct": 0.0,
                "hop_idle_pct": 40.0,
                "cpu_pct": 99.0,
                "freshness_p99_ms": None,
                "load_late_p99_ms": 3.0,
            },
        },
        "freshness_p99_ms": 55.0,
        "idle_cpu_pct": 1.25,
        "recovery_rows_per_s": 250_000,
        "recovery": {"rows": 1_000_000, "load_s": 4.0, "ready_s": 9.5},
        "catalogues": {"1000000": {"events_per_s": 40_000.0, "cpu_us_per_event": 20.0, "lost": 0}},
        "workers": {"1": 60_000.0, "2": 70_000.0},
        "problems": ["quix: 3 events have no suggestion"],
        "seconds": 600.0,
    }


def empty_report() -> Report:
    parts = {"systems": {}, "ratios": {}, "latency": {}, "catalogues": {}, "workers": {}, "problems": []}
    nothing = {"freshness_p99_ms": None, "idle_cpu_pct": None, "recovery_rows_per_s": None}
    rest = {key: value for key, value in report().items() if key != "recovery"}
    return cast(Report, rest | parts | nothing)


def drawn(of: Report) -> str:
    console = Console(width=160, record=True, highlight=False, file=io.StringIO())
    console.print(bench_table(of))
    return console.export_text()


def test_the_table_says_everything_that_was_measured() -> None:
    text = drawn(report())
    for figure in ("60,000", "14.5", "920.0", "66.67", "5.52", "250,000 a second", "9.5 s after", "1.2 % of a core"):
        assert figure in text, figure
    for what in ("Apache Kafka 4.3.0", "Some CPU, 2 cores", "medians of 3 runs", "55 ms", "30,000", "1,000,000"):
        assert what in text, what
    assert "1 take 60,000 events/s and 2 take 70,000 events/s" in text


def test_the_cheapest_system_stands_first_and_says_whether_it_is_durable() -> None:
    rows = [line.split() for line in drawn(report()).splitlines()]
    names = [row[0] for row in rows if row and row[0] in SYSTEMS]
    assert names == ["confluent", "aiokafka", "sidecart", "bytewax", "quix", "faust-naive"]
    assert {row[0]: "yes" in row for row in rows if row and row[0] in SYSTEMS} == {
        name: system.is_durable for name, system in SYSTEMS.items()
    }


def test_a_failed_check_stands_in_the_table() -> None:
    assert "PROBLEM  quix: 3 events have no suggestion" in drawn(report())
    assert "PROBLEM" not in drawn(empty_report())


def test_an_unknown_figure_is_a_dash() -> None:
    [line] = [line for line in drawn(report()).splitlines() if line.split()[:1] == ["30,000"]]
    assert line.split() == ["30,000", "900", "–", "7", "70", "–", "99", "%", "0", "%", "40", "%", "3"]


def test_the_figures_are_json_with_the_names_that_machines_read() -> None:
    figures = json.loads(json.dumps(report(), allow_nan=False))
    assert figures.keys() >= {"broker", "machine", "systems", "latency"}
    assert figures.keys() >= {"freshness_p99_ms", "idle_cpu_pct", "recovery_rows_per_s"}
    assert figures["systems"].keys() == {"sidecart", "faust-naive", "quix", "bytewax", "aiokafka", "confluent"}
    for system in figures["systems"].values():
        assert system.keys() >= {"events_per_s", "cpu_us_per_event", "lost", "durable"}
    for latency in figures["latency"].values():
        assert latency.keys() >= {"p50_ms", "p99_ms", "hop_p50_ms", "hop_p99_ms", "idle_pct"}


@pytest.mark.parametrize("of", [report(), empty_report()], ids=["full", "empty"])
def test_the_picture_is_a_png_and_the_same_each_time(of: Report, tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    write_plot(of, first)
    write_plot(of, second)
    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == second.read_bytes()


def test_the_picture_has_a_bar_a_system_and_four_a_rate() -> None:
    systems, waits = bench_figure(report()).axes
    assert sorted(patch.get_width() for patch in systems.patches) == [9.0, 13.25, 14.5, 18.0, 80.0, 920.0]
    assert sorted(patch.get_height() for patch in waits.patches) == [0.0, 6.0, 7.0, 12.0, 21.0, 33.0, 70.0, 900.0]


def test_ratios_are_how_many_times_better_the_worker_is() -> None:
    found = ratios(report()["systems"])
    assert found["quix"] == {"events_per_s": 5.0, "cpu_us_per_event": 5.517}
    assert found["confluent"] == {"events_per_s": 0.667, "cpu_us_per_event": 0.621}
    assert "sidecart" not in found
    assert ratios({}) == {}


def test_machine_and_broker_are_said() -> None:
    cpu_info = "processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\nmodel name\t: Some CPU\n"
    assert machine_line(cpu_info).startswith("Some CPU, 2 cores, ")
    assert "cores" in machine_line()
    assert broker_line("<kafka.version>4.3.0</kafka.version>") == "Apache Kafka 4.3.0, one broker on this machine"
