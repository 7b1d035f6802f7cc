"""Sidecart beside other ways to do it, on one Apache Kafka, in one run; what `sidecart bench` runs.

Systems take turns, run by run, so that a machine that is slow for a while is slow for all of them.
"""

import math
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Final

from latency import Pace, Waits
from results import LatencyFigures, Report, SystemFigures, machine_line, ratios
from scenarios import large_catalogue, latencies, two_workers
from systems import SYSTEMS, System, choose_systems, warm_up
from throughput import Run, measure, median_run
from traffic import Traffic, shop_traffic

from models.errors import SidecartError
from streams.brokers.kafka import KafkaBroker

__all__ = ["FULL", "QUICK", "Plan", "broker_line", "run_bench"]

_POM: Final = Path(__file__).parents[2] / "deploy" / "kafka" / "pom.xml"
_HOUR_MS: Final = 3_600_000
#: Where the freshness is told.
_FRESH_AT: Final = "5000"


@dataclass(frozen=True)
class Plan:
    """How much is measured; `runs` of each system, and `events_of` says how many events in each."""

    runs: int
    events_of: Callable[[System], int]
    catalogue: int
    #: Further ones, learnt before the first event; of the greatest the recovery is told.
    learnt_catalogues: tuple[int, ...]
    #: Items of the recovery where there is no learnt catalogue.
    recovered: int
    rates: tuple[float, ...]
    warm_s: float
    seconds: float
    idle_s: float
    has_two_workers: bool


FULL: Final = Plan(
    3, lambda system: system.events, 10_000, (100_000, 1_000_000), 0, (1_500.0, 5_000.0), 5.0, 20.0, 10.0, True
)
QUICK: Final = Plan(
    1, lambda system: system.quick_events, 10_000, (), 100_000, (1_500.0, 5_000.0), 2.0, 6.0, 3.0, False
)


def run_bench(plan: Plan, names: Sequence[str], say: Callable[[str], None]) -> Report:
    """Measure on a broker that is started for it; nothing is left behind but the report.

    Parameters
    ----------
    names : sequence of str
        Systems that are compared; without `sidecart` only the comparison is run.
    say : callable
        Is told what is measured next.

    Raises
    ------
    ConfigurationError
        If the environment of the peers is missing.
    BrokerError
        If the broker does not start.
    BenchError
        If a worker ends, or publishes nothing, in a part that is about it alone.
    """
    systems = choose_systems(names)
    started_s = monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sidecart-bench-"))
    try:
        say("loading the compiled kernels; a machine's first start compiles them")
        warm_up(systems)
        say("starting Apache Kafka")
        with KafkaBroker(folder / "kafka") as broker:
            report = _Bench(plan, systems, broker.bootstrap_servers, folder, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report["seconds"] = round(monotonic() - started_s, 1)
    return report


class _Bench:
    def __init__(
        self, plan: Plan, systems: Sequence[System], servers: str, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._systems = systems
        self._servers = servers
        self._folder = folder
        self._say = say
        self._folders = 0
        self._report = Report(
            broker=broker_line(_POM.read_text(encoding="utf-8")),
            machine=machine_line(),
            runs=plan.runs,
            catalogue=plan.catalogue,
            systems={},
            ratios={},
            latency={},
            freshness_p99_ms=None,
            idle_cpu_pct=None,
            recovery_rows_per_s=None,
            catalogues={},
            workers={},
            problems=[],
            seconds=0.0,
        )

    def run(self) -> Report:
        """Measure everything that the plan names."""
        self._compare()
        if "sidecart" in self._report["systems"]:
            self._two_workers()
            self._latency()
            self._catalogues()
        return self._report

    def _compare(self) -> None:
        runs: dict[str, list[Run]] = {system.name: [] for system in self._systems}
        for number in range(1, self._plan.runs + 1):
            for system in self._systems:
                events = self._plan.events_of(system)
                self._say(f"{system.name}, run {number} of {self._plan.runs}: {events:,} events")
                try:
                    runs[system.name].append(measure(system, self._traffic(events), self._servers, self._new_folder()))
                except SidecartError as error:
                    self._report["problems"].append(f"{system.name}: {error}")
        for system in self._systems:
            if runs[system.name]:
                run = median_run(runs[system.name])
                self._note(system.name, run)
                self._report["systems"][system.name] = SystemFigures(
                    events_per_s=round(run.events_per_s, 1),
                    cpu_us_per_event=round(run.cpu_us_per_event, 2),
                    lost=run.lost,
                    durable=system.is_durable,
                    events=self._plan.events_of(system),
                )

        self._report["ratios"] = ratios(self._report["systems"])

    def _two_workers(self) -> None:
        if self._plan.has_two_workers:
            events = self._plan.events_of(SYSTEMS["sidecart"])
            runs = []
            for number in range(1, self._plan.runs + 1):
                self._say(f"two workers, run {number} of {self._plan.runs}: {events:,} events")
                runs.append(two_workers(self._traffic(events), self._servers, self._new_folder()))
            run = median_run(runs)
            self._note("two workers", run)
            one = self._report["systems"]["sidecart"]["events_per_s"]
            self._report["workers"] = {"1": one, "2": round(run.events_per_s, 1)}

    def _latency(self) -> None:
        plan = self._plan
        half = self._report["systems"]["sidecart"]["events_per_s"] / 2
        rates = {f"{rate:.0f}": rate for rate in plan.rates} | {"half": half}
        paces = {name: Pace(rate, plan.warm_s, plan.seconds) for name, rate in rates.items()}
        found = latencies(paces, plan.catalogue, self._servers, self._new_folder(), plan.idle_s, self._say)
        self._report["problems"] += found.problems
        self._report["idle_cpu_pct"] = round(found.idle_cpu_share * 100, 1)
        self._report["latency"] = {
            name: _latency_figures(rate, found.paths[name], found.hops.get(name)) for name, rate in rates.items()
        }
        if _FRESH_AT in rates:
            self._report["freshness_p99_ms"] = self._report["latency"][_FRESH_AT]["freshness_p99_ms"]

    def _catalogues(self) -> None:
        plan = self._plan
        events = self._plan.events_of(SYSTEMS["sidecart"])
        learnt = dict.fromkeys(plan.learnt_catalogues, events) or {plan.recovered: 0}
        for catalogue, backlog in learnt.items():
            self._say(f"a catalogue of {catalogue:,} items, learnt before")
            recovery, run = large_catalogue(backlog, catalogue, self._servers, self._new_folder())
            self._report["recovery_rows_per_s"] = round(recovery.rows_per_s)
            self._report["recovery"] = {
                "rows": catalogue,
                "load_s": round(recovery.load_s, 2),
                "ready_s": round(recovery.ready_s, 2),
            }
            if run is not None:
                self._note(f"{catalogue:,} items", run)
                self._report["catalogues"][str(catalogue)] = {
                    "events_per_s": round(run.events_per_s, 1),
                    "cpu_us_per_event": round(run.cpu_us_per_event, 2),
                    "lost": run.lost,
                }

    def _note(self, what: str, run: Run) -> None:
        self._report["problems"] += [f"{what}: {problem}" for problem in run.problems]

    def _traffic(self, events: int) -> Traffic:
        return shop_traffic(events, self._plan.catalogue, start_ms=round(time() * 1000) - _HOUR_MS)

    def _new_folder(self) -> Path:
        self._folders += 1
        return self._folder / f"run-{self._folders}"


def _latency_figures(rate: float, path: Waits, hop: Waits | None) -> LatencyFigures:
    return {
        "rate": round(rate, 1),
        "p50_ms": _ms(path.p50_ms),
        "p99_ms": _ms(path.p99_ms),
        "hop_p50_ms": hop and _ms(hop.p50_ms),
        "hop_p99_ms": hop and _ms(hop.p99_ms),
        "idle_pct": round(path.idle_share * 100, 1),
        "hop_idle_pct": hop and round(hop.idle_share * 100, 1),
        "cpu_pct": round(path.cpu_share * 100, 1),
        "freshness_p99_ms": None if path.freshness_p99_ms is None else _ms(path.freshness_p99_ms),
        "load_late_p99_ms": round(path.load_late_p99_ms, 1),
    }


def _ms(value: float) -> float | None:
    """Round a wait; None for one that never ended, which JSON cannot say."""
    return round(value, 1) if math.isfinite(value) else None


def broker_line(pom: str) -> str:
    """Say which broker this is, by the file that its jars are fetched by."""
    version = re.search(r"<kafka\.version>(.+?)</kafka\.version>", pom)
    return f"Apache Kafka {version[1] if version else 'of an unknown version'}, one broker on this machine"
