"""How many events a second a system takes from a backlog, and what CPU time each costs it.

The backlog is there before the system starts. The clock and the CPU of the process (all threads, children too) run
between two moments: when a fifth of the suggestions is out, and when all are. So neither the start of Python, nor the
group's first assignment, nor the loading of compiled code is part of it.
"""

import socket
import statistics
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from bench_topics import BenchTopics, bench_topics
from checks import answered, count_differences, is_settled, left_counts, suggestion_values, table_counts
from cpu import cpu_seconds
from systems import Process, System, started
from traffic import Traffic

from models.errors import SidecartError
from models.parameters import DEFAULTS
from streams.settings import Settings

__all__ = [
    "BenchError",
    "Run",
    "Window",
    "check",
    "clock",
    "free_port",
    "log_tail",
    "measure",
    "median_run",
    "new_settings",
    "settle",
    "wait_until",
]

#: Where the clock starts, as a part of all suggestions.
_WARM_PART = 0.2
_LOOK_S = 0.05
#: Without a suggestion for so long a system counts as through, before the first one as failed.
_STILL_S = 15.0
_FIRST_S = 90.0
#: Seconds for a peer to end by itself, and for a worker to make all durable.
_END_S = 60.0
_LOG_LINES = 15


class BenchError(SidecartError):
    """A system did not do what is measured; the text ends with its log."""


@dataclass(frozen=True)
class Run:
    """One measured run; `problems` says what its check has found."""

    events_per_s: float
    cpu_us_per_event: float
    lost: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """What happened between two moments."""

    seconds: float
    cpu_s: float
    events: int

    @property
    def events_per_s(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        return self.cpu_s / self.events * 1e6


def new_settings(servers: str, folder: Path, **extra: object) -> Settings:
    """Return settings that share nothing with another run."""
    settings = Settings(
        bootstrap_servers=servers,
        topic_prefix=f"bench-{uuid.uuid4().hex[:8]}-",
        state_dir=folder / "state",
        metrics_port=free_port(),
        **extra,  # type: ignore[arg-type]
    )
    folder.mkdir(parents=True, exist_ok=True)
    return settings


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(system: System, traffic: Traffic, servers: str, folder: Path, timeout_s: float = 600.0) -> Run:
    """Run a system once over a backlog of this traffic, on topics of its own, and check what it did.

    Raises
    ------
    BenchError
        If it ends too early, or publishes nothing.
    """
    with bench_topics(new_settings(servers, folder)) as topics:
        topics.write(traffic.messages)
        with started(system, topics, len(traffic), folder, timeout_s) as process:
            window = clock(topics, [process], len(traffic), folder)
            late = settle(system, topics, process, folder)
        return check(system, topics, traffic, folder, window, late)


def clock(topics: BenchTopics, processes: Sequence[Process], events: int, folder: Path) -> Window:
    """Wait until so many suggestions are out, and return what it took from a fifth of them on."""
    begun: tuple[float, float, int] | None = None
    pids = [process.pid for process in processes]
    count, changed = 0, monotonic()
    last = (changed, 0.0, 0)
    while count < events:
        found, now = topics.count("suggestions"), monotonic()
        if found > count:
            count, changed = found, now
            last = (now, _cpu(pids, processes, folder), count)
            if begun is None and count >= events * _WARM_PART:
                begun = last
        if count < events:
            if now - changed > (_STILL_S if count else _FIRST_S):
                break
            if any(process.exit_code is not None for process in processes) and now - changed > 1:
                break
            sleep(_LOOK_S)
    if begun is None or last[2] == begun[2]:
        raise BenchError(f"{count} suggestions came of {events}; the log ends with:{log_tail(folder)}")
    return Window(last[0] - begun[0], last[1] - begun[1], last[2] - begun[2])


def settle(system: System, topics: BenchTopics, process: Process, folder: Path) -> list[str]:
    """Wait until a worker has made all durable, or a peer has left its counts; say so if that takes too long."""
    if system.is_whole:
        done, what = (lambda: is_settled(topics)), "not all was durable"
    else:
        done, what = (lambda: process.exit_code is not None), "it had not ended"
    return [] if wait_until(done, _END_S) else [f"{what} {_END_S:g} s after the last suggestion:{log_tail(folder)}"]


def check(
    system: System,
    topics: BenchTopics,
    traffic: Traffic,
    folder: Path,
    window: Window,
    problems: Sequence[str] = (),
    *,
    learnt: Mapping[str, float] | None = None,
) -> Run:
    """Check a run that is over and return it.

    Parameters
    ----------
    learnt : mapping, optional
        How often items had arrived before, decayed to the traffic's end; then no other items are looked at.
    """
    answers = answered(traffic, suggestion_values(topics))
    expected = traffic.item_events(traffic.newest_ms, DEFAULTS.half_life_ms if system.counts_decay else None)
    if learnt is not None:
        expected = {item: count + learnt[item] for item, count in expected.items()}
    try:
        if system.is_whole:
            counts = table_counts(topics, traffic.newest_ms, None if learnt is None else learnt)
        else:
            counts = left_counts(folder)
        differences = count_differences(expected, counts)
    except FileNotFoundError:
        differences = [f"it has left no counts; its log ends with:{log_tail(folder)}"]
    found = (*problems, *answers.problems, *differences)
    return Run(window.events_per_s, window.cpu_us_per_event, answers.lost, found)


def median_run(runs: Sequence[Run]) -> Run:
    """Return the median of each figure, all that was lost, and all problems."""
    return Run(
        statistics.median(run.events_per_s for run in runs),
        statistics.median(run.cpu_us_per_event for run in runs),
        sum(run.lost for run in runs),
        tuple(dict.fromkeys(problem for run in runs for problem in run.problems)),
    )


def wait_until(is_done: Callable[[], bool], seconds: float) -> bool:
    """Wait, at most so long; return whether it came."""
    deadline = monotonic() + seconds
    while not is_done():
        if monotonic() > deadline:
            return False
        sleep(_LOOK_S)
    return True


def _cpu(pids: Sequence[int], processes: Sequence[Process], folder: Path) -> float:
    try:
        return cpu_seconds(*pids)
    except ProcessLookupError as error:
        codes = [process.exit_code for process in processes]
        raise BenchError(f"{error} with exit code {codes}; the log ends with:{log_tail(folder)}") from error


def log_tail(folder: Path) -> str:
    """Return the last lines of a system's output, each indented."""
    lines = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "".join(f"\n  {line}" for line in lines[-_LOG_LINES:])
