"""Recorded events into Kafka: the lines of a file, a producer that knows its topics exist, and the pace of sending."""

import gzip
import io
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

import msgspec
from confluent_kafka import KafkaException, Producer

from models.errors import BrokerError, RecordingError
from models.records import Kind
from streams.metadata import CLIENT_CONFIG, cluster_metadata, require_topics
from streams.settings import Settings
from streams.topics import topic_table

__all__ = ["RecordProducer", "Replayer", "connect", "input_topics", "open_lines"]

_GZIP_MAGIC: Final = b"\x1f\x8b"

#: Seconds in which a record must be acknowledged: a change of the partition's leader fits in, a person's patience too.
_DELIVERY_S: Final = 30.0

#: Longest sleep in one go while waiting for an event's time: how fast Ctrl-C and failed deliveries are noticed.
_NAP_S: Final = 0.1

#: Events between two looks at what was acknowledged, when there is no waiting.
_EVENTS_PER_POLL: Final = 500

_PRODUCER_CONFIG: Final = {
    "linger.ms": 5,
    # A retried batch must neither repeat nor overtake: a session's events stay in order on their topic.
    "enable.idempotence": True,
    "message.timeout.ms": int(_DELIVERY_S * 1000),
    # Kafka's own default partitioner, so that a key lands where a Java producer would put it.
    "partitioner": "murmur2_random",
}


class RecordProducer(Protocol):
    """The part of `confluent_kafka.Producer` that a `Replayer` uses."""

    def produce(self, topic: str, *, key: bytes, value: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        """Queue one record; `BufferError` when the queue is full."""

    def poll(self, timeout: float) -> int:
        """Serve delivery reports for at most `timeout` seconds."""

    def flush(self, timeout: float) -> int:
        """Wait for all delivery reports, at most `timeout` seconds; return how many are missing."""

    def purge(self) -> None:
        """Give up all records that are not acknowledged yet: their deliveries fail."""


def open_lines(path: Path) -> Iterator[str]:
    """Open a recorded file, plain or gzip (told by its content), and return its lines.

    Bytes that are no UTF-8 become U+FFFD: one damaged line should not end a replay.

    Raises
    ------
    RecordingError
        If the file is missing, empty or unreadable; later, while lines are read, if it is damaged.
    """
    try:
        file = path.open("rb")
        start = file.peek(len(_GZIP_MAGIC))
    except OSError as error:
        raise RecordingError(f"the recording {path} cannot be read: {error.strerror}") from error
    if not start:
        file.close()
        raise RecordingError(f"the recording {path} is empty")
    return _lines(path, file, is_gzip=start.startswith(_GZIP_MAGIC))


def _lines(path: Path, file: BinaryIO, *, is_gzip: bool) -> Iterator[str]:
    content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_gzip else file
    try:
        with file, io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace") as text:
            yield from text
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"the recording {path} is damaged: {error}") from error


def input_topics(settings: Settings) -> dict[Kind, str]:
    """Return the name of each input topic, by the kind of its events."""
    table = topic_table(settings)
    kinds: tuple[Kind, ...] = ("browse", "add-to-cart", "orders")
    return {kind: table[kind].name for kind in kinds}


def connect(settings: Settings) -> Producer:
    """Return a producer for the input topics.

    Raises
    ------
    BrokerError
        If no broker answers.
    TopicError
        If an input topic is missing.
    """
    producer = Producer({**CLIENT_CONFIG, **_PRODUCER_CONFIG, "bootstrap.servers": settings.bootstrap_servers})
    existing = cluster_metadata(producer, settings.bootstrap_servers).topics
    require_topics(input_topics(settings).values(), existing, settings.bootstrap_servers)
    return producer


class Replayer:
    """Sends events, each with its session as the key; counts what the broker has acknowledged.

    Parameters
    ----------
    producer : RecordProducer
        Usually from `connect`.
    topics : mapping of Kind to str
        The topic of each kind.
    speed : float, optional
        Recorded seconds a second; without it, as fast as the broker takes them.
    now : callable
        A monotonic clock in seconds, for the pace.

    Attributes
    ----------
    sent : Counter of Kind
        Events that the broker has acknowledged; complete after `flush`.
    failed : int
        Events that it has refused, or not acknowledged in time.
    """

    def __init__(
        self,
        producer: RecordProducer,
        topics: Mapping[Kind, str],
        speed: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._topics = topics
        self._kinds = {topic: kind for kind, topic in topics.items()}
        self._speed = speed
        self._now = now
        self._start: tuple[float, int] | None = None
        self._encode = msgspec.json.Encoder().encode
        self._failure = ""
        self.sent: Counter[Kind] = Counter()
        self.failed = 0

    def send(self, events: Iterable[tuple[Kind, Mapping[str, object], int]]) -> None:
        """Send events (kind, message, event time in ms) in the order in which they come.

        With a speed, the first event goes out at once and sets the pace; one whose time has passed is not held back.

        Raises
        ------
        BrokerError
            At the first failed delivery; nothing is sent after it.
        """
        for count, (kind, event, time_ms) in enumerate(events):
            if self._speed is not None:
                self._wait_for(time_ms, self._speed)
            if count % _EVENTS_PER_POLL == 0:
                self._poll(0)
            self._produce(self._topics[kind], str(event["session_id"]).encode(), self._encode(event))

    def flush(self) -> None:
        """Wait until everything is acknowledged.

        Raises
        ------
        BrokerError
            If a delivery has failed.
        """
        unknown = self._producer.flush(_DELIVERY_S + 1)
        if self.failed or unknown:
            raise BrokerError(
                f"{self.failed + unknown:,} events were not delivered ({self._failure or 'no answer'}), "
                f"{self.sent.total():,} were; is the broker still running?"
            )

    def _wait_for(self, time_ms: int, speed: float) -> None:
        if self._start is None:
            self._start = self._now(), time_ms
        start_s, start_ms = self._start
        due_s = start_s + (time_ms - start_ms) / 1000 / speed
        while (left_s := due_s - self._now()) > 0:
            self._poll(min(left_s, _NAP_S))

    def _poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)
        if self.failed:
            self._producer.purge()
            self.flush()

    def _produce(self, topic: str, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=self._delivered)
            except BufferError:
                self._poll(_NAP_S)
            except KafkaException as error:
                raise BrokerError(f"an event for {topic} cannot be sent: {error.args[0].str()}") from error
            else:
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self.sent[self._kinds[message.topic()]] += 1
        else:
            self.failed += 1
            self._failure = self._failure or error.str()
