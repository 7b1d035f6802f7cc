"""A steady stream of events into a deployment, and how long each partition's suggestions were silent."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import count, pairwise
from types import TracebackType
from typing import Self

from aiokafka.structs import ConsumerRecord
from confluent_kafka import Producer
from deployment import Deployment

from streams.topics import topic_table

_RATE = 200.0
_SESSIONS = 400
_ITEMS = 50
_STEP_S = 0.02


class Traffic:
    """Browse events of many sessions, spread over all partitions, until the block ends; `sent` counts them."""

    def __init__(self, deployment: Deployment, rate: float = _RATE) -> None:
        self.sent = 0
        self._topic = topic_table(deployment.settings)["browse"].name
        self._producer = Producer(
            {"bootstrap.servers": deployment.settings.bootstrap_servers, "linger.ms": 0, "message.timeout.ms": 120_000}
        )
        self._rate = rate
        self._numbers = count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(_STEP_S):
            while self.sent < (time.monotonic() - started) * self._rate:
                self._send(next(self._numbers))
        assert self._producer.flush(60) == 0

    def _send(self, number: int) -> None:
        session = f"shopper-{number % _SESSIONS}"
        event = {
            "event_id": f"e{number}",
            "session_id": session,
            "item_id": f"item-{number * 7 % _ITEMS}",
            "time": time.time_ns() // 1_000_000,
        }
        self._producer.produce(self._topic, key=session.encode(), value=json.dumps(event).encode())
        self._producer.poll(0)
        self.sent += 1


def silences(records: Iterable[ConsumerRecord], since_ms: float, until_ms: float) -> dict[int, float]:
    """Return by partition the longest time, in s, between two messages that reaches into a span of wall time."""
    times: dict[int, list[float]] = defaultdict(list)
    for record in records:
        times[record.partition].append(record.timestamp)
    longest = {}
    for partition, stamps in times.items():
        ordered = sorted(stamps)
        gaps = [later - earlier for earlier, later in pairwise(ordered) if later > since_ms and earlier < until_ms]
        longest[partition] = max(gaps, default=0.0) / 1000
    return longest
