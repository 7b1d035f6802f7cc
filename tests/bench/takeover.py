"""How fast a worker with an empty disk takes over a catalogue that others have learnt."""

from time import monotonic, sleep
from typing import NamedTuple

from bench_topics import PARTITIONS
from scrape import fetch, parse_samples, ready_page, total
from systems import Process
from throughput import BenchError

__all__ = ["Recovery", "watch_recovery"]

_TABLE = "cooccurrence"
_LOOK_S = 0.02
_TIMEOUT_S = 600.0


class Recovery(NamedTuple):
    """A recovery as its worker's pages told it.

    Attributes
    ----------
    records : int
        Records of the changelog that were read.
    load_s : float
        From the first partition of the table that is being loaded until the last one is.
    ready_s : float
        From the start of the process until it is ready.
    """

    records: int
    load_s: float
    ready_s: float

    @property
    def rows_per_s(self) -> float:
        return self.records / self.load_s


def watch_recovery(worker: Process, port: int) -> Recovery:
    """Watch a worker that was just started until it is ready.

    Raises
    ------
    BenchError
        If it ends, or is not ready after ten minutes.
    """
    started = monotonic()
    begun = ended = None
    while True:
        page, now = ready_page(port), monotonic()
        loading = [each for each in (page.get("recovery") or {}).get("loading", ()) if each["table"] == _TABLE]
        if loading:
            begun, ended = begun or now - max(each["seconds"] for each in loading), now
        if page.get("ready"):
            break
        if worker.exit_code is not None or now - started > _TIMEOUT_S:
            raise BenchError(f"the worker is not ready after {now - started:.0f} s (exit code {worker.exit_code})")
        sleep(_LOOK_S)
    samples = parse_samples(fetch(port, "/metrics"))
    records = int(total(samples, "sidecart_recovery_records", table=_TABLE))
    # Partitions load side by side, so the whole took no less than the mean of them; short loads may not have been seen.
    mean_s = total(samples, "sidecart_load_seconds_sum", table=_TABLE) / PARTITIONS
    load_s = max(mean_s, ended - begun if begun is not None and ended is not None else 0.0)
    return Recovery(records, load_s, now - started)
