"""Topics of one run: made by the product, filled by the bench, read back, and deleted at the end."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import monotonic, sleep
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from traffic import Message

from models.errors import BrokerError
from models.records import Kind
from streams.admin import create_topics
from streams.metadata import CLIENT_CONFIG
from streams.settings import Settings
from streams.topics import INPUTS, topic_table

__all__ = ["PARTITIONS", "BenchTopics", "bench_topics", "drain", "new_producer"]

PARTITIONS = 8

#: Seconds without a record after which a topic counts as read, and for a request.
_SILENCE_S = 10.0
_RETRY_S = 0.1
_DRAINED_MAX = 10_000


def new_producer(servers: str, **extra: object) -> Producer:
    """Return a producer that partitions by key as Kafka's own does; of its messages only those that fail are told."""
    config = {
        "bootstrap.servers": servers,
        "partitioner": "murmur2_random",
        "acks": "all",
        "delivery.report.only.error": True,
        "queue.buffering.max.messages": 2_000_000,
        "queue.buffering.max.kbytes": 2_000_000,
    }
    return Producer({**CLIENT_CONFIG, **config, **extra})


def drain(consumer: Consumer, seconds: float) -> list[Any]:
    """Wait for a message, at most so long, and return it with all others that are there by then."""
    first = consumer.poll(seconds)
    return [] if first is None else [first, *consumer.consume(_DRAINED_MAX, 0)]


@dataclass(frozen=True)
class BenchTopics:
    """All topics of a deployment with a prefix of its own."""

    settings: Settings

    @property
    def servers(self) -> str:
        """The broker's address."""
        return self.settings.bootstrap_servers

    def name(self, row: str) -> str:
        """Return the name of a topic by its row in the table of topics."""
        return topic_table(self.settings)[row].name

    @property
    def inputs(self) -> dict[Kind, str]:
        """The names of the input topics."""
        return {kind: self.name(kind) for kind in INPUTS}

    @cached_property
    def _admin(self) -> Any:
        return AdminClient({**CLIENT_CONFIG, "bootstrap.servers": self.servers})

    def write(self, messages: Iterable[Message]) -> None:
        """Write a backlog and wait until the broker has all of it."""
        producer, names = new_producer(self.servers, **{"linger.ms": 20}), self.inputs
        failed: list[str] = []

        def note_failure(error: Any, _: object) -> None:
            failed.append(error.str())

        produce, poll = producer.produce, producer.poll
        for count, (kind, key, value) in enumerate(messages):
            produce(names[kind], value, key, on_delivery=note_failure)
            if count % 10_000 == 0:
                poll(0)
        left = producer.flush(120)
        if left or failed:
            raise BrokerError(f"the backlog could not be written: {left} messages are left, {failed[:1]}")

    def ends(self, row: str) -> list[int]:
        """Return the end offset of each partition of a topic."""
        name = self.name(row)
        asked = {TopicPartition(name, partition): OffsetSpec.latest() for partition in range(PARTITIONS)}
        deadline = monotonic() + _SILENCE_S
        while True:
            found = self._admin.list_offsets(asked)
            try:
                return [found[tp].result(_SILENCE_S).offset for tp in asked]
            except KafkaException as error:
                # A topic that was made just now may have no leader yet, which is not said to be worth another try.
                if monotonic() > deadline:
                    raise BrokerError(f"the ends of {name} cannot be read: {error.args[0].str()}") from error
                sleep(_RETRY_S)

    def count(self, row: str) -> int:
        """Return how many messages a topic holds; control records of transactions count too."""
        return sum(self.ends(row))

    def read(self, row: str) -> Iterator[Sequence[Any]]:
        """Yield batches of all records of a topic up to its present end, each partition's in order."""
        ends = self.ends(row)
        left = {partition for partition, end in enumerate(ends) if end}
        consumer = Consumer(
            {
                **CLIENT_CONFIG,
                "bootstrap.servers": self.servers,
                "group.id": "bench-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        try:
            name = self.name(row)
            consumer.assign([TopicPartition(name, partition, OFFSET_BEGINNING) for partition in left])
            while left:
                found = drain(consumer, _SILENCE_S)
                if not found:
                    raise BrokerError(f"{name} brought nothing for {_SILENCE_S:g} s before its end")
                left -= {message.partition() for message in found if message.error() is not None}
                yield [message for message in found if message.error() is None]
        finally:
            consumer.close()

    def delete(self) -> None:
        """Delete all topics of the prefix, those among them that a system has made for itself."""
        prefix = self.settings.topic_prefix
        names = [name for name in self._admin.list_topics(timeout=_SILENCE_S).topics if name.startswith(prefix)]
        for deleted in self._admin.delete_topics(names).values():
            deleted.result(_SILENCE_S)


@contextmanager
def bench_topics(settings: Settings) -> Iterator[BenchTopics]:
    """Make the topics of a run, eight partitions each, and delete them at the end."""
    topics = BenchTopics(settings)
    create_topics(settings, PARTITIONS)
    try:
        yield topics
    finally:
        topics.delete()
