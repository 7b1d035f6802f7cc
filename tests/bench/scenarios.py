"""The runs of the worker alone: large catalogues and their recovery, two workers, latency at steady rates."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from bench_topics import PARTITIONS, bench_topics
from latency import Pace, Waits, hop_messages, idle_cpu_share, paced
from learnt_rows import learnt_events, write_learnt_rows
from scrape import ready_page
from systems import SYSTEMS, Process, started
from takeover import Recovery, watch_recovery
from throughput import BenchError, Run, check, clock, free_port, log_tail, new_settings, settle, wait_until
from traffic import Traffic, item_name, shop_traffic

from models.parameters import DEFAULTS
from streams.worker_process import WorkerProcess

__all__ = ["Latencies", "large_catalogue", "latencies", "two_workers"]

_SIDECART = SYSTEMS["sidecart"]
_READY_S = 90.0
_TIMEOUT_S = 600.0
_CAUGHT_UP_S = 60.0
_STILL_AT_MOST_S = 60.0
_HOUR_MS = 3_600_000
_LABEL = "paced"


def large_catalogue(events: int, catalogue: int, servers: str, folder: Path) -> tuple[Recovery, Run | None]:
    """Start a worker with an empty disk on a catalogue that was learnt before, then on a backlog.

    Parameters
    ----------
    events : int
        Of the backlog; without any only the recovery is measured.
    """
    start_ms = round(time() * 1000) - _HOUR_MS
    # The rows of a partition are only about an eighth of the catalogue: none is to be dropped.
    settings = new_settings(servers, folder, catalogue_max=2 * catalogue)
    traffic = shop_traffic(events, catalogue, start_ms=start_ms) if events else None
    with bench_topics(settings) as topics:
        write_learnt_rows(topics, catalogue, start_ms)
        if traffic is not None:
            topics.write(traffic.messages)
        with started(_SIDECART, topics, events, folder, _TIMEOUT_S) as worker:
            recovery = watch_recovery(worker, settings.metrics_port)
            if traffic is None:
                return recovery, None
            window = clock(topics, [worker], events, folder)
            late = settle(_SIDECART, topics, worker, folder)
        run = check(_SIDECART, topics, traffic, folder, window, late, learnt=learnt_counts(traffic, start_ms))
        return recovery, run


def learnt_counts(traffic: Traffic, written_ms: int) -> dict[str, float]:
    """Return what the learnt rows count of the items that the traffic names, decayed to its end."""
    decayed = 2.0 ** ((written_ms - traffic.newest_ms) / DEFAULTS.half_life_ms)
    return {item_name(item): learnt_events(item) * decayed for item in traffic.distinct_items.tolist()}


def two_workers(traffic: Traffic, servers: str, folder: Path) -> Run:
    """Run two workers over a backlog.

    Both are ready, and stand still while it is written: what is measured has no rebalance in it.
    """
    settings = new_settings(servers, folder, session_timeout_s=_STILL_AT_MOST_S)
    second = replace(settings, state_dir=folder / "state-2", metrics_port=free_port())
    messages = traffic.messages  # made now, not while they stand still
    with bench_topics(settings) as topics, ExitStack() as stack:
        workers = [stack.enter_context(WorkerProcess(each, folder / "log")) for each in (settings, second)]
        ports = (settings.metrics_port, second.metrics_port)
        if not wait_until(lambda: _share_all(*map(ready_page, ports)), _READY_S):
            raise BenchError(f"two workers do not share the partitions after {_READY_S:g} s:{log_tail(folder)}")
        with _standing_still(workers):
            topics.write(messages)
        window = clock(topics, workers, len(traffic), folder)
        late = settle(_SIDECART, topics, workers[0], folder)
        return check(_SIDECART, topics, traffic, folder, window, late)


class Latencies(NamedTuple):
    """Waits of the whole path and of the bare hop by name of the rate, the idle worker's share of a core, problems."""

    paths: Mapping[str, Waits]
    hops: Mapping[str, Waits]
    idle_cpu_share: float
    problems: Sequence[str]


def latencies(
    paces: Mapping[str, Pace], catalogue: int, servers: str, folder: Path, idle_s: float, say: Callable[[str], None]
) -> Latencies:
    """Measure one worker at several paces, one after the other; then the bare hop at each of them."""
    # Event time goes on from pace to pace, an hour each, and none of it lies ahead.
    begin_ms = round(time() * 1000) - (len(paces) + 1) * _HOUR_MS
    traffics = {
        name: shop_traffic(pace.messages, catalogue, start_ms=begin_ms + at * _HOUR_MS, seed=at, label=f"{_LABEL}{at}")
        for at, (name, pace) in enumerate(paces.items())
    }
    paths: dict[str, Waits] = {}
    hops: dict[str, Waits] = {}
    problems = []
    with (
        bench_topics(new_settings(servers, folder)) as topics,
        started(_SIDECART, topics, 0, folder, _TIMEOUT_S) as worker,
    ):
        _wait_until_ready([worker], folder)
        say(f"idle worker, {idle_s:g} s")
        idle = idle_cpu_share(worker, idle_s)
        sent = 0
        for name, pace in paces.items():
            say(f"latency at {pace.rate:,.0f} events/s, {pace.warm_s + pace.seconds:g} s")
            traffic, inputs = traffics[name], topics.inputs
            messages = [(inputs[kind], key, value) for kind, key, value in traffic.messages]
            waits = paths[name] = paced(topics, messages, traffic.label, pace, folder, worker=worker)
            sent += len(messages)
            # What was too fast for the worker is late, not lost, and is not to be the next pace's burden.
            wait_until(lambda sent=sent: topics.count("suggestions") >= sent, _CAUGHT_UP_S)
            lost = sent - topics.count("suggestions")
            if waits.unsent or lost:
                problems.append(
                    f"latency at {pace.rate:,.0f} events/s: {waits.unsent:,} events could not be sent, {lost:,} have no"
                    f" suggestion after {_CAUGHT_UP_S:g} s"
                )
    for name, pace in paces.items():
        if not paths[name].samples:
            continue  # there is nothing to send
        say(f"bare hop at {pace.rate:,.0f} messages/s, {pace.warm_s + pace.seconds:g} s")
        with bench_topics(new_settings(servers, folder)) as topics:
            messages = hop_messages(traffics[name], paths[name].samples, topics.name("suggestions"))
            hops[name] = paced(topics, messages, traffics[name].label, pace, folder, compression="lz4")
    return Latencies(paths, hops, idle, problems)


def _wait_until_ready(workers: Sequence[WorkerProcess], folder: Path) -> None:
    if not wait_until(lambda: all(worker.is_ready() for worker in workers), _READY_S):
        raise BenchError(f"the worker is not ready after {_READY_S:g} s; its log ends with:{log_tail(folder)}")


def _share_all(*pages: Mapping[str, Any]) -> bool:
    """Tell by their /ready pages whether all workers are ready, and each has a part of all partitions."""
    parts = [page.get("partitions") or [] for page in pages]
    return all(page.get("ready") for page in pages) and all(parts) and sum(map(len, parts)) == PARTITIONS


@contextmanager
def _standing_still(workers: Sequence[Process]) -> Iterator[None]:
    """Have processes stand still, for less time than after which the group would miss them."""
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)
