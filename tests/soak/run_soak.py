"""`make soak`: one worker under an endless stream of new sessions and new items; its memory must stay flat.

Event time runs three thousand times as fast as the clock: within the run sessions expire, what was met days before
makes room for what is new, and windows close. The cap on the catalogue is small, so that it is reached early.
"""

import argparse
import json
import re
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from time import monotonic, sleep, time

from confluent_kafka import Producer
from endless_shop import endless_shop
from soak_plot import write_plot
from soak_verdict import Sample, verdict

from streams.admin import EMBEDDED_PARTITIONS, create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings
from streams.topics import TABLES, changelog_name, topic_table
from streams.worker_process import WorkerProcess

_SPEED = 3000
_STEP_S = 0.05
_READY_S = 120.0
#: Events ahead of the worker at which the shop waits: what is measured is memory, not a backlog.
_AHEAD_MAX = 20_000


def main() -> int:
    """Run the soak and return its exit code: 0 if memory was flat."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        samples = _run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    is_flat, sentence = verdict(samples)
    if options.plot:
        write_plot(samples, sentence, options.plot)
        _say(f"plot: {options.plot}")
    _say(sentence)
    return 0 if is_flat else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--plot", type=Path, help="PNG to draw")
    parser.add_argument("--broker", choices=["kafka", "embedded"], default="kafka")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second")
    parser.add_argument("--catalogue-max", type=int, default=5_000, help="items with counts, at most")
    return parser.parse_args()


def _run(options: argparse.Namespace, folder: Path) -> list[Sample]:
    with ExitStack() as stack:
        broker = EmbeddedBroker() if options.broker == "embedded" else KafkaBroker(folder / "kafka")
        stack.enter_context(broker)
        settings = Settings(
            bootstrap_servers=broker.bootstrap_servers,
            state_dir=folder / "state",
            metrics_port=_free_port(),
            catalogue_max=options.catalogue_max,
        )
        create_topics(settings, EMBEDDED_PARTITIONS)
        worker = stack.enter_context(WorkerProcess(settings, folder / "worker.log"))
        deadline = monotonic() + _READY_S
        while not worker.is_ready():
            if monotonic() > deadline or worker.exit_code is not None:
                raise SystemExit(f"the worker is not ready:{worker.log_tail(20)}")
            sleep(0.1)
        return _Soak(options, settings, worker, folder).run()


class _Soak:
    def __init__(self, options: argparse.Namespace, settings: Settings, worker: WorkerProcess, folder: Path) -> None:
        self._seconds = options.minutes * 60
        self._rate = options.rate
        self._every_s = max(1.0, self._seconds / 200)
        self._settings = settings
        self._worker = worker
        self._folder = folder
        self._names = {kind: topic.name for kind, topic in topic_table(settings).items()}
        self._sent = 0

    def run(self) -> list[Sample]:
        """Send and sample until the time is over."""
        start_ms = round((time() - self._seconds * (_SPEED + 1)) * 1000)
        shop = endless_shop(start_ms, 1000 * _SPEED / self._rate)
        producer = Producer({"bootstrap.servers": self._settings.bootstrap_servers, "linger.ms": 5})
        samples: list[Sample] = []
        started = monotonic()
        _say(_HEAD)
        while (now := monotonic() - started) < self._seconds:
            due = 0 if samples and self._sent - samples[-1].events > _AHEAD_MAX else int(now * self._rate) - self._sent
            for kind, event in islice(shop, max(0, min(due, int(self._rate)))):
                producer.produce(self._names[kind], key=event["session_id"].encode(), value=json.dumps(event).encode())
                self._sent += 1
            producer.poll(0)
            if not samples or now - samples[-1].seconds >= self._every_s:
                samples.append(self._sample(now))
                if len(samples) % 10 == 1:
                    _say(_line(samples[-1]))
            if self._worker.exit_code is not None:
                raise SystemExit(f"the worker ended:{self._worker.log_tail(20)}")
            sleep(_STEP_S)
        producer.flush(30)
        samples.append(self._sample(self._seconds))
        _say(_line(samples[-1]))
        return samples

    def _sample(self, now: float) -> Sample:
        metrics = _metrics(self._settings.metrics_port)
        status = Path(f"/proc/{self._worker.pid}/status").read_text(encoding="utf-8")
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        changelogs = [changelog_name(self._settings, table) for table in TABLES]
        logs = (self._folder / "kafka" / "log").glob("*-changelog-*")
        return Sample(
            seconds=now,
            hours=self._sent * _SPEED / self._rate / 3600,
            events=round(sum(value for name, value in metrics.items() if name.startswith("sidecart_events_total"))),
            rss=int(resident[1]) * 1024,
            replica=round(metrics.get("sidecart_replica_bytes", 0)),
            state=_size(self._folder / "state"),
            changelog=sum(_size(log) for log in logs if log.name.rpartition("-")[0] in changelogs),
            sessions=round(metrics.get('sidecart_table_rows{table="sessions"}', 0)),
            items=round(metrics.get('sidecart_table_rows{table="cooccurrence"}', 0)),
            dropped=round(metrics.get("sidecart_rows_dropped_total", 0)),
            series=len(metrics),
        )


_HEAD = (
    "  minutes  event hours    events   RSS MB  replica MB  state MB  changelog MB  sessions    items   dropped  series"
)


def _line(sample: Sample) -> str:
    return (
        f"{sample.seconds / 60:9.1f}{sample.hours:13.1f}{sample.events:10,}{sample.rss / 1e6:9.0f}"
        f"{sample.replica / 1e6:12.1f}{sample.state / 1e6:10.1f}{sample.changelog / 1e6:14.1f}{sample.sessions:10,}"
        f"{sample.items:9,}{sample.dropped:10,}{sample.series:8}"
    )


def _metrics(port: int) -> dict[str, float]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            # Blocks, not the length: Kafka's index files are mostly holes.
            total += file.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # compacted away meanwhile
    return total


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
