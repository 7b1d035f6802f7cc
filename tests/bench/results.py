"""What a bench came to, as it is printed with ``--json``: plain figures by name."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

__all__ = ["CatalogueFigures", "LatencyFigures", "Ratios", "Report", "SystemFigures", "machine_line", "ratios"]


class SystemFigures(TypedDict):
    """One system: medians of its runs, and all that was lost in them; `durable` if a kill loses nothing."""

    events_per_s: float
    cpu_us_per_event: float
    lost: int
    durable: bool
    events: int


class Ratios(TypedDict):
    """How many times as many events a second the worker takes as a system, and how many times less CPU an event."""

    events_per_s: float
    cpu_us_per_event: float


class LatencyFigures(TypedDict):
    """One rate: waits of the whole path and of the bare hop, and what of the machine was left.

    `cpu_pct` is the worker's, of one core; the idle shares are of all cores.
    """

    rate: float
    p50_ms: float | None
    p99_ms: float | None
    hop_p50_ms: float | None
    hop_p99_ms: float | None
    idle_pct: float
    hop_idle_pct: float | None
    cpu_pct: float
    freshness_p99_ms: float | None
    load_late_p99_ms: float


class CatalogueFigures(TypedDict):
    """The worker with so many items in the tables before the first event."""

    events_per_s: float
    cpu_us_per_event: float
    lost: int


class RecoveryFigures(TypedDict):
    """A start with an empty disk: rows of the catalogue, seconds to load them, and until the worker was ready."""

    rows: int
    load_s: float
    ready_s: float


class Report(TypedDict):
    """Everything; what was not run is not there, or null."""

    broker: str
    machine: str
    runs: int
    catalogue: int
    systems: dict[str, SystemFigures]
    ratios: dict[str, Ratios]
    latency: dict[str, LatencyFigures]
    freshness_p99_ms: float | None
    idle_cpu_pct: float | None
    recovery_rows_per_s: float | None
    recovery: NotRequired[RecoveryFigures]
    catalogues: dict[str, CatalogueFigures]
    workers: dict[str, float]
    problems: list[str]
    seconds: float


def ratios(systems: Mapping[str, SystemFigures]) -> dict[str, Ratios]:
    """Return how the worker compares with each of the other systems; empty without it."""
    own = systems.get("sidecart")
    if own is None:
        return {}
    return {
        name: {
            "events_per_s": round(own["events_per_s"] / figures["events_per_s"], 3),
            "cpu_us_per_event": round(figures["cpu_us_per_event"] / own["cpu_us_per_event"], 3),
        }
        for name, figures in systems.items()
        if figures is not own
    }


def machine_line(cpu_info: str | None = None) -> str:
    """Say what machine this is: processor, cores, kernel."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if cpu_info is None else cpu_info
    fields = [line.partition(":") for line in text.splitlines()]
    models = [value.strip() for name, _, value in fields if name.strip() == "model name"]
    cores = sum(name.strip() == "processor" for name, _, _ in fields)
    model = models[0] if models else platform.machine()
    return f"{model}, {cores} cores, {platform.system()} {platform.release()}"
