"""A bench as tables for a terminal: the systems side by side, then latency, catalogues and the rest of the worker."""

from collections.abc import Iterable

from results import Report
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from systems import SYSTEMS

__all__ = ["bench_table"]

_UNKNOWN = "–"


def bench_table(report: Report) -> RenderableType:
    """Draw the tables of what was run, the problems that the checks have found, and how to read it."""
    parts: list[RenderableType] = [Text(f"{report['broker']}; {report['machine']}", "dim")]
    if report["systems"]:
        parts += [_title(f"from a backlog, one process, {report['catalogue']:,} items"), _systems(report)]
    if report["latency"]:
        parts += [_title("event to suggestion at a steady rate, one worker, beside the bare hop"), _latency(report)]
    if report["catalogues"]:
        parts += [_title("catalogues that were learnt before"), _catalogues(report)]
    parts += [Text(line) for line in _rest(report)]
    parts += [Text(f"PROBLEM  {problem}", "bold red") for problem in report["problems"]]
    runs = f"medians of {report['runs']} runs" if report["runs"] > 1 else "one run"
    parts.append(
        Text(
            f"{runs}; CPU is the process's own, user and system, all threads; broker and load share the machine's"
            f" cores; durable: a kill loses nothing; ×: how many times better the worker is;"
            f" {report['seconds']:.0f} s in all",
            "dim",
        )
    )
    return Group(*parts)


def _systems(report: Report) -> Table:
    table = _table("system", "what", "durable")
    _right(table, "events/s", "×", "CPU µs/event", "×", "lost")
    for name, figures in sorted(report["systems"].items(), key=lambda row: row[1]["cpu_us_per_event"]):
        times = report["ratios"].get(name)
        table.add_row(
            Text(name, "bold" if name == "sidecart" else ""),
            SYSTEMS[name].about,
            "yes" if figures["durable"] else "no",
            f"{figures['events_per_s']:,.0f}",
            _number(times["events_per_s"] if times else None, ".2f"),
            f"{figures['cpu_us_per_event']:,.1f}",
            _number(times["cpu_us_per_event"] if times else None, ".2f"),
            Text(f"{figures['lost']:,}", "bold red" if figures["lost"] else ""),
        )
    return table


def _latency(report: Report) -> Table:
    table = _table("events/s")
    _right(
        table, "p50 ms", "p99 ms", "hop p50", "hop p99", "fresh p99", "worker CPU", "idle", "idle at hop", "load late"
    )
    for figures in report["latency"].values():
        table.add_row(
            f"{figures['rate']:,.0f}",
            *(_number(figures[name], ",.0f") for name in ("p50_ms", "p99_ms")),
            *(_number(figures[name], ",.0f") for name in ("hop_p50_ms", "hop_p99_ms", "freshness_p99_ms")),
            *(_number(figures[name], ".0f", " %") for name in ("cpu_pct", "idle_pct", "hop_idle_pct")),
            _number(figures["load_late_p99_ms"], ",.0f"),
        )
    return table


def _catalogues(report: Report) -> Table:
    table = _table("items")
    _right(table, "events/s", "CPU µs/event", "lost")
    for items, figures in report["catalogues"].items():
        table.add_row(
            f"{int(items):,}",
            f"{figures['events_per_s']:,.0f}",
            f"{figures['cpu_us_per_event']:,.1f}",
            f"{figures['lost']:,}",
        )
    return table


def _rest(report: Report) -> Iterable[str]:
    if report["freshness_p99_ms"] is not None:
        fresh_ms = report["freshness_p99_ms"]
        yield f"freshness at 5,000 events/s: 99 % of events count in the replica within {fresh_ms:,.0f} ms"
    if report["idle_cpu_pct"] is not None:
        yield f"a worker without events uses {report['idle_cpu_pct']:.1f} % of a core"
    if "recovery" in report:
        recovery = report["recovery"]
        yield (
            f"an empty disk takes over {recovery['rows']:,} rows in {recovery['load_s']:.1f} s, "
            f"{report['recovery_rows_per_s']:,.0f} a second; ready {recovery['ready_s']:.1f} s after the start"
        )
    if report["workers"]:
        each = " and ".join(f"{count} take {rate:,.0f} events/s" for count, rate in report["workers"].items())
        yield f"workers on these cores, which the broker needs too: {each}"


def _title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _right(table: Table, *columns: str) -> None:
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return _UNKNOWN if value is None else f"{value:{form}}{unit}"
