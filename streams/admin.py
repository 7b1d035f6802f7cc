"""What Sidecart asks of a broker besides records: make topics, check their shape, read committed offsets.

kafka-python asks Apache Kafka. It cannot read the embedded broker's answers, so the first question, which says what the
broker is, goes through confluent-kafka, and the embedded broker is then asked in a way of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka.admin import AdminClient
from kafka.errors import KafkaError

from models.errors import BrokerError, TopicError
from streams.brokers.embedded_topics import EMBEDDED_PARTITIONS, EmbeddedTopics, is_embedded
from streams.brokers.kafka_topics import KafkaTopics
from streams.metadata import CLIENT_CONFIG, cluster_metadata, require_topics
from streams.settings import Settings
from streams.topics import INPUTS, Role, Topic, topic_table

__all__ = [
    "EMBEDDED_PARTITIONS",
    "CreatedTopics",
    "TopicsInfo",
    "check_topics",
    "committed_offsets",
    "create_topics",
    "is_embedded",
]


@dataclass(frozen=True, slots=True)
class CreatedTopics:
    """What `create_topics` did, as topic names in the order of the table of topics."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicsInfo:
    """The shape of a deployment's topics, as the broker has them.

    Attributes
    ----------
    partitions : int
        The common partition count of the internal topics, the outputs and the changelogs.
    input_partitions : mapping of str to int
        Partition count of each input topic, by kind (``browse``, ``add-to-cart``, ``orders``).
    topic_ids : mapping of str to str
        Kafka's topic id as 32 hex digits, by row of the table of topics; empty text on the embedded broker.
    """

    partitions: int
    input_partitions: Mapping[str, int]
    topic_ids: Mapping[str, str]


def create_topics(settings: Settings, partitions: int) -> CreatedTopics:
    """Make the topics that are missing, and check those that exist.

    Nothing is made if an existing topic has the wrong shape. An input topic that exists may have any partition count.
    A topic that somebody else makes at the same time counts as one that exists.

    Raises
    ------
    TopicError
        If an existing topic has another partition count, a changelog is not compacted only, the broker refuses a
        topic, or the broker is the embedded one and `partitions` is not 4.
    BrokerError
        If the broker cannot be reached.
    """
    topics = list(topic_table(settings).values())
    with _broker(settings) as broker:
        existing = _check_existing(broker, topics, partitions)
        missing = [topic for topic in topics if topic.name not in existing]
        created = broker.create(missing, partitions, settings.replication_factor)
        _check_existing(broker, [topic for topic in missing if topic.name not in created], partitions)
    return CreatedTopics(
        created=tuple(topic.name for topic in topics if topic.name in created),
        existing=tuple(topic.name for topic in topics if topic.name not in created),
    )


def check_topics(settings: Settings) -> TopicsInfo:
    """Check that every topic exists with the shape that Sidecart needs, and return that shape.

    Raises
    ------
    TopicError
        If topics are missing, partition counts differ, or a changelog is not compacted only.
    BrokerError
        If the broker cannot be reached.
    """
    table = topic_table(settings)
    names = [topic.name for topic in table.values()]
    with _broker(settings) as broker:
        counts = broker.partition_counts(names)
        require_topics(names, counts, settings.bootstrap_servers)
        ours = [topic.name for topic in table.values() if topic.role is not Role.INPUT]
        if len({counts[name] for name in ours}) != 1:
            raise TopicError(
                "internal topics, outputs and changelogs need the same number of partitions, but these are: "
                + ", ".join(f"{name} {counts[name]}" for name in ours)
                + "; delete those that are wrong and run: sidecart topics create"
            )
        _check_compaction(broker, table.values())
        topic_ids = broker.topic_ids(names)
    return TopicsInfo(
        partitions=counts[ours[0]],
        input_partitions={kind: counts[table[kind].name] for kind in INPUTS},
        topic_ids={row: topic_ids[topic.name] for row, topic in table.items()},
    )


def committed_offsets(settings: Settings) -> dict[tuple[str, int], tuple[int, str]]:
    """Read what the consumer group has committed on this deployment's topics.

    It blocks, and may run an event loop of its own: inside a running loop call it with ``asyncio.to_thread``.

    Returns
    -------
    dict
        By (topic name, partition): the committed offset, which is that of the next record to read, and the metadata
        text of the commit. A partition without a commit is absent.

    Raises
    ------
    BrokerError
        If the broker cannot be reached or refuses.
    """
    with _broker(settings) as broker:
        return broker.committed_offsets(settings.group_id, [topic.name for topic in topic_table(settings).values()])


class _Broker(Protocol):
    """What is asked of a broker, by names of topics; `KafkaTopics` and `EmbeddedTopics` say more."""

    def partition_counts(self, names: Iterable[str]) -> dict[str, int]: ...

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]: ...

    def cleanup_policies(self, names: Iterable[str]) -> dict[str, str]: ...

    def create(self, topics: Sequence[Topic], partitions: int, replication_factor: int) -> set[str]: ...

    def committed_offsets(self, group_id: str, names: Iterable[str]) -> dict[tuple[str, int], tuple[int, str]]: ...


@contextmanager
def _broker(settings: Settings) -> Iterator[_Broker]:
    """Find out what the broker is; what it refuses inside the block becomes a `BrokerError`."""
    servers = settings.bootstrap_servers
    client = AdminClient({**CLIENT_CONFIG, "bootstrap.servers": servers})
    cluster = cluster_metadata(client, servers)
    if is_embedded(cluster.cluster_id):
        yield EmbeddedTopics(client, servers)
        return
    try:
        yield KafkaTopics([(broker.host, broker.port) for broker in cluster.brokers.values()])
    except KafkaError as error:
        raise BrokerError(f"the broker at {servers} does not do what it is asked: {error}") from error


def _check_existing(broker: _Broker, topics: Sequence[Topic], partitions: int) -> set[str]:
    """Check those of the topics that exist, and return their names."""
    if not topics:
        return set()
    counts = broker.partition_counts([topic.name for topic in topics])
    existing = [topic for topic in topics if topic.name in counts]
    wrong = [
        f"{topic.name} has {counts[topic.name]}"
        for topic in existing
        if topic.role is not Role.INPUT and counts[topic.name] != partitions
    ]
    if wrong:
        raise TopicError(
            f"partitions do not match --partitions {partitions}: {', '.join(wrong)}; use the count that exists, "
            f"or another topic prefix"
        )
    _check_compaction(broker, existing)
    return set(counts)


def _check_compaction(broker: _Broker, topics: Iterable[Topic]) -> None:
    changelogs = [topic.name for topic in topics if topic.role is Role.CHANGELOG]
    for name, policy in broker.cleanup_policies(changelogs).items():
        if policy != "compact":
            raise TopicError(
                f"the changelog {name} has cleanup.policy={policy}, which would lose rows: "
                f"set it to compact with kafka-configs"
            )
