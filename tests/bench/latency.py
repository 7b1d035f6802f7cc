"""How long an event waits for its suggestion at a steady rate, beside the bare hop over the same broker.

The load comes from a process of its own that does not slow down for anybody (`paced_load`), and the suggestions are
read here by a consumer of their own. An event's wait begins when it should have been sent. Beside it stands the bare
hop: suggestions of the same size, sent at the same rate by the same program to one topic and read by the same reader,
with nothing between: producer, broker, consumer. What a stage adds is the difference.
"""

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep, time

import msgspec
import numpy as np
from bench_topics import PARTITIONS, BenchTopics, drain
from confluent_kafka import Consumer, TopicPartition
from cpu import MachineTime, cpu_seconds, idle_share, machine_time
from numpy.typing import NDArray
from paced_load import write_messages
from scrape import fetch, histogram_quantile, parse_buckets
from systems import Process, bench_environment
from throughput import BenchError
from traffic import Traffic

from streams.metadata import CLIENT_CONFIG

__all__ = ["Pace", "Waits", "hop_messages", "idle_cpu_share", "paced", "percentiles"]

#: From the word to the load until its first message.
_LEAD_S = 0.5
_READY_S = 60.0
#: How long the last suggestions are waited for.
_TAIL_S = 10.0
_POLL_S = 0.05
#: Suggestions kept as the messages of the bare hop.
_SAMPLES = 2_000
_FRESHNESS = "sidecart_freshness_seconds"


@dataclass(frozen=True)
class Pace:
    """Messages a second, seconds before anything is measured, and seconds in which it is."""

    rate: float
    warm_s: float
    seconds: float

    @property
    def messages(self) -> int:
        """How many messages that is in all."""
        return round(self.rate * (self.warm_s + self.seconds))


@dataclass(frozen=True)
class Waits:
    """What was measured at one pace.

    Attributes
    ----------
    p50_ms, p99_ms : float
        Of the waits; infinite when more than so many never ended.
    unsent : int
        Messages that the broker did not take.
    idle_share, cpu_share : float
        Of all cores, what nobody used; of one core, what the worker used.
    freshness_p99_ms : float or None
        By the worker's own histogram; without a worker None.
    load_late_p99_ms : float
        How late the load was itself: what is beyond that is not the worker's.
    samples : list of bytes
        Some of the messages that were measured.
    """

    p50_ms: float
    p99_ms: float
    unsent: int
    idle_share: float
    cpu_share: float
    freshness_p99_ms: float | None
    load_late_p99_ms: float
    samples: list[bytes]


@dataclass(frozen=True)
class _Probe:
    """What is looked at when the measured time begins, and when it ends."""

    machine: MachineTime
    cpu_s: float = 0.0
    metrics: str = ""


def paced(
    topics: BenchTopics,
    messages: list[tuple[str, bytes, bytes]],
    label: str,
    pace: Pace,
    folder: Path,
    *,
    worker: Process | None = None,
    compression: str = "none",
) -> Waits:
    """Send messages (topic, key, value) at a pace and wait for a suggestion about each one.

    Parameters
    ----------
    label : str
        The suggestions' event ids are this and the number of the message (`traffic.Traffic.event_id`).
    worker : Process, optional
        Whose CPU and freshness are looked at.
    """
    file = folder / "messages"
    write_messages(file, messages)
    command = [sys.executable, str(Path(__file__).with_name("paced_load.py")), "--servers", topics.servers]
    command += ["--messages", str(file), "--rate", str(pace.rate), "--compression", compression]
    load = subprocess.Popen(
        command, env=bench_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert load.stdin is not None and load.stdout is not None
    try:
        consumer = _reader(topics)
        if load.stdout.readline() != "ready\n":
            raise BenchError("the load could not be started; what it says stands above")
        first_s = time() + _LEAD_S
        load.stdin.write(f"{first_s!r}\n")
        probing = _Probing(first_s + pace.warm_s, pace.seconds, worker, topics.settings.metrics_port)
        first_measured = round(pace.rate * pace.warm_s)
        deadline_s = first_s + len(messages) / pace.rate + _TAIL_S
        arrivals, samples = _read(consumer, label, len(messages), first_measured, deadline_s)
        consumer.close()
        report = json.loads(load.stdout.readline())
        begun, ended = probing.result()
    finally:
        load.kill()
        load.communicate()
        file.unlink()
    sent = first_s + np.arange(len(messages)) / pace.rate
    p50_s, p99_s = percentiles((arrivals - sent)[first_measured:])
    freshness = histogram_quantile(
        parse_buckets(begun.metrics, _FRESHNESS), parse_buckets(ended.metrics, _FRESHNESS), 0.99
    )
    return Waits(
        p50_ms=p50_s * 1000,
        p99_ms=p99_s * 1000,
        unsent=report["failed"],
        idle_share=idle_share(begun.machine, ended.machine),
        cpu_share=(ended.cpu_s - begun.cpu_s) / pace.seconds,
        freshness_p99_ms=None if freshness is None else freshness * 1000,
        load_late_p99_ms=report["late_p99_ms"],
        samples=samples,
    )


class _Probing:
    """Takes a probe when the measured time begins and one when it ends, beside the reader."""

    def __init__(self, begin_s: float, seconds: float, worker: Process | None, port: int) -> None:
        self._times = (begin_s, begin_s + seconds)
        self._worker, self._port = worker, port
        self._probes: list[_Probe] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for moment in self._times:
            sleep(max(0.0, moment - time()))
            if self._worker is None:
                self._probes.append(_Probe(machine_time()))
            else:
                cpu_s = cpu_seconds(self._worker.pid)
                self._probes.append(_Probe(machine_time(), cpu_s, fetch(self._port, "/metrics")))

    def result(self) -> tuple[_Probe, _Probe]:
        """Return both."""
        self._thread.join()
        begun, ended = self._probes
        return begun, ended


def percentiles(waits: NDArray[np.float64]) -> tuple[float, float]:
    """Return the median and the 99th percentile: values that were measured, the next greater one in between.

    Examples
    --------
    >>> percentiles(np.array([4.0, 1.0, 3.0, np.inf]))
    (4.0, inf)
    """
    if not len(waits):
        return float("nan"), float("nan")
    found = np.sort(waits)
    return float(found[len(found) // 2]), float(found[min(len(found) - 1, int(0.99 * len(found)))])


def hop_messages(traffic: Traffic, samples: Sequence[bytes], topic: str) -> list[tuple[str, bytes, bytes]]:
    """Return messages for the bare hop: suggestions that were seen, each with the event id of its number."""
    decode = msgspec.json.Decoder(_Answer).decode
    parts = [sample.partition(decode(sample).event_id.encode()) for sample in samples]
    return [
        (topic, message.key, b"".join((head, traffic.event_id(number).encode(), tail)))
        for number, message in enumerate(traffic.messages)
        for head, _, tail in (parts[number % len(parts)],)
    ]


def idle_cpu_share(worker: Process, seconds: float) -> float:
    """Return what a worker without events uses of one core."""
    before = cpu_seconds(worker.pid)
    sleep(seconds)
    return (cpu_seconds(worker.pid) - before) / seconds


class _Answer(msgspec.Struct):
    event_id: str


def _reader(topics: BenchTopics) -> Consumer:
    consumer = Consumer(
        {
            **CLIENT_CONFIG,
            "bootstrap.servers": topics.servers,
            "group.id": "bench-latency",
            "enable.auto.commit": False,
        }
    )
    name = topics.name("suggestions")
    ends = topics.ends("suggestions")
    consumer.assign([TopicPartition(name, partition, ends[partition]) for partition in range(PARTITIONS)])
    consumer.poll(_POLL_S)
    return consumer


def _read(
    consumer: Consumer, label: str, count: int, first_sample: int, deadline_s: float
) -> tuple[NDArray[np.float64], list[bytes]]:
    """Read until a suggestion about each message is there; return when the first about each came."""
    arrivals = np.full(count, np.inf)
    decode = msgspec.json.Decoder(_Answer).decode
    samples: list[bytes] = []
    missing = count
    # No pause of ours is to be taken for the worker's.
    gc.collect()
    gc.disable()
    try:
        while missing and time() < deadline_s:
            found = drain(consumer, _POLL_S)
            now = time()
            for message in found:
                if message.error() is not None:
                    continue
                value = message.value()
                of, _, digits = decode(value).event_id.rpartition("-")
                if of != label:
                    continue
                number = int(digits)
                if arrivals[number] == np.inf:
                    arrivals[number] = now
                    missing -= 1
                if number >= first_sample and len(samples) < _SAMPLES:
                    samples.append(value)
    finally:
        gc.enable()
    return arrivals, samples
