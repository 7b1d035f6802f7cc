"""Steady traffic in the background: recorded events in their order, skew, retries, wrong clocks and poison."""

import heapq
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from random import Random
from time import monotonic, sleep, time
from typing import Any

from confluent_kafka import Producer

from models.recordings.formats import read_events
from models.recordings.record import BadLines, Recorded
from models.records import MESSAGE_BYTES_MAX, Kind
from models.simulation import Shop
from streams.datasets import data_folder
from streams.replayer import open_lines
from streams.settings import Settings
from streams.topics import INPUTS, topic_table

__all__ = ["Message", "Traffic", "mixed", "poison", "recorded_events", "simulated_events"]

#: (kind, key, value) as they are sent.
Message = tuple[Kind, bytes | None, bytes | None]
#: (kind, event); its `time` is in epoch ms.
TimedEvent = tuple[Kind, dict[str, Any]]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
#: Recordings, with the number of shops that have this traffic side by side: event time then runs about as fast as the
#: wall (REES46 has 1.7 events a second), or some five times as fast (Taobao has one in eight seconds).
_RECORDINGS = {"taobao": ("user_behavior.csv.gz", 200), "rees46": ("2019-Oct.head.csv.gz", 100)}

#: Shares of the traffic, beside what is recorded.
_HOT_SESSION = 0.08
_HOT_ITEM = 0.08
_RETRY = 0.03
_LATE = 0.02
_WRONG_CLOCK = 0.02
_POISON = 0.02

_now_ms: Callable[[], int] = lambda: int(time() * 1000)  # noqa: E731


def recorded_events(environment: Mapping[str, str], rng: Random) -> Iterator[TimedEvent] | None:
    """Return endless traffic of many shops with a recorded one's; None where there is no recorded data."""
    name, (file, shops) = rng.choice(list(_RECORDINGS.items()))
    path = data_folder(environment) / name / file
    if not path.exists():
        return None
    events = list(read_events(open_lines(path), name, BadLines()))
    start_ms = _now_ms() - _HOUR_MS
    return heapq.merge(
        *(_endless(events, rng.randrange(len(events)), f"shop{shop}", start_ms) for shop in range(shops)),
        key=lambda timed: int(timed[1]["time"]),
    )


def _endless(events: Sequence[Recorded], first: int, shop: str, start_ms: int) -> Iterator[TimedEvent]:
    """Yield a recording from event `first` on, at `start_ms`, again and again; the sessions of each lap are others."""
    for lap in count():
        shift = start_ms - events[first].time_ms
        for kind, event, time_ms in islice(events, first, None):
            start_ms = time_ms + shift
            yield kind, {**event, "session_id": f"{shop}-{lap}-{event['session_id']}", "time": start_ms}
        first = 0


def simulated_events(rng: Random) -> Iterator[TimedEvent]:
    """Return endless traffic of a simulated shop, for machines without recorded data."""
    shop, now = Shop(seed=rng.randrange(1 << 30), rate=100.0), _now_ms() - _HOUR_MS
    while True:
        for kind, event in shop.step(now):
            yield kind, dict(event)
        now += 100


def mixed(events: Iterator[TimedEvent], rng: Random) -> Iterator[Message]:
    """Yield recorded events mixed with all that a door has to cope with."""
    recent: deque[Message] = deque(maxlen=200)
    held: list[tuple[int, Message]] = []
    items = deque(["hot"], maxlen=20)
    for number, (kind, event) in enumerate(events):
        now = event["time"]
        if "item_id" in event:
            items.append(event["item_id"])
        messages = [_message(kind, event)]
        if rng.random() < _LATE:
            held.append((number + rng.randint(5, 50), messages.pop()))
        while held and held[0][0] <= number:
            messages.append(held.pop(0)[1])
        if rng.random() < _HOT_SESSION:
            messages.append(_view("hot-session", rng.choice(items), now, number))
        if rng.random() < _HOT_ITEM:
            shopper = f"passer-{number}"
            messages += [_view(shopper, rng.choice(items), now, number), _view(shopper, "hot", now + 1_000, number + 1)]
        # Retries are recognised for two hours of event time: nothing with a wrong clock is sent again.
        recent.extend(messages)
        if rng.random() < _WRONG_CLOCK:
            messages.append(_view(f"clock-{rng.randrange(50)}", rng.choice(items), _wrong(now, rng), number))
        if recent and rng.random() < _RETRY:
            messages.append(rng.choice(recent))
        if rng.random() < _POISON:
            messages.append(poison(rng, now))
        yield from messages


def _wrong(now: int, rng: Random) -> int:
    """Return a time behind or ahead, within or beyond what is allowed."""
    return rng.choice(
        [
            now - rng.randrange(20 * _MINUTE_MS),
            now - rng.randrange(3 * _HOUR_MS, 800 * _HOUR_MS),
            now + rng.randrange(8 * _MINUTE_MS),
            _now_ms() + rng.randrange(11 * _MINUTE_MS, 48 * _HOUR_MS),
            now // 1000,
        ]
    )


def poison(rng: Random, now_ms: int) -> Message:
    """Return a message that no door may accept, or that is at least strange."""
    good = {"event_id": "p1", "session_id": "poisoned", "item_id": "tea", "time": now_ms}
    bad: list[bytes | None] = [
        None,
        b"",
        rng.randbytes(rng.randrange(1, 300)),
        json.dumps(good).encode()[:-5],
        b"[" * 5_000,
        json.dumps(good | {"time": "yesterday"}).encode(),
        json.dumps(good | {"item_id": "x" * 300}).encode(),
        json.dumps(good | {"session_id": ""}).encode(),
        json.dumps(good | {"quantity": -1}).encode(),
        json.dumps(good | {"price": 1e300}).encode(),
        json.dumps({"session_id": "poisoned"}).encode(),
        json.dumps(good | {"item_id": {"a": 1}}).encode(),
    ]
    if rng.random() < 0.02:
        bad = [b"x" * (MESSAGE_BYTES_MAX + 1)]
    return rng.choice(INPUTS), rng.choice([None, b"", b"poisoned", rng.randbytes(5)]), rng.choice(bad)


def _message(kind: Kind, event: dict[str, Any]) -> Message:
    return kind, event["session_id"].encode(), json.dumps(event).encode()


def _view(session: str, item: str, time_ms: int, number: int) -> Message:
    event = {"event_id": f"{session}-{number}", "session_id": session, "item_id": item, "time": time_ms}
    return _message("browse", event)


class Traffic(threading.Thread):
    """Sends messages at a steady rate until it is closed, pauses on demand.

    Attributes
    ----------
    acknowledged : set of (kind, partition, offset)
        Where the broker has put what was sent.
    unplaced : int
        Messages acknowledged only at a retry: the broker has them, and does not say where.
    failed : list of str
        Why messages were not acknowledged: none may.
    """

    def __init__(self, settings: Settings, messages: Iterator[Message], rate: float) -> None:
        super().__init__(name="traffic", daemon=True)
        self.acknowledged: set[tuple[str, int, int]] = set()
        self.unplaced = 0
        self.failed: list[str] = []
        self._names = {kind: topic_table(settings)[kind].name for kind in INPUTS}
        self._kinds = {name: kind for kind, name in self._names.items()}
        self._messages = messages
        self._rate = rate
        self._flowing = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._closing = False
        self._burst: deque[Message] = deque()
        self._surge = 0
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "linger.ms": 5,
                "enable.idempotence": True,
                "message.timeout.ms": 120_000,
                "partitioner": "murmur2_random",
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    def flow(self) -> None:
        """Begin, or go on."""
        self._idle.clear()
        self._flowing.set()

    def burst(self, messages: Sequence[Message]) -> None:
        """Send these at once."""
        self._burst.extend(messages)

    def surge(self, count: int) -> None:
        """Send the next messages at once."""
        self._surge = count

    def pause(self) -> None:
        """Stop sending, and wait until everything that was sent is acknowledged."""
        self._flowing.clear()
        self._idle.wait()
        left = self._producer.flush(130)
        if left:
            self.failed.append(f"{left} messages are unacknowledged")

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._flowing.set()
        self.join()

    def run(self) -> None:
        """Send."""
        due = monotonic()
        while not self._closing:
            if not self._flowing.is_set():
                self._idle.set()
                self._flowing.wait()
                self._idle.clear()
                due = monotonic()
                continue
            while self._burst:
                self._send(self._burst.popleft())
            for _ in range(self._surge + 1):
                self._send(next(self._messages))
            self._surge = 0
            due = max(due, monotonic() - 1) + 1 / self._rate
            self._producer.poll(0)
            sleep(max(0.0, due - monotonic()))

    def _send(self, message: Message) -> None:
        kind, key, value = message
        while True:
            try:
                self._producer.produce(self._names[kind], key=key, value=value, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failed.append(str(error))
        elif message.offset() is None:
            self.unplaced += 1
        else:
            self.acknowledged.add((self._kinds[message.topic()], message.partition(), message.offset()))
