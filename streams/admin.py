"""What Sidecart asks of a broker besides records: make topics, check their shape, read committed offsets.

Two clients, since none does it all on both brokers. kafka-python cannot read the embedded broker's reply to its first
request. confluent-kafka (2.16) asks for topics well, but reads the metadata text of a commit beyond its end: garbage or
a UnicodeDecodeError every other time. aiokafka reads that right, but knows no topic ids.

The embedded broker is told by its cluster id (`is_embedded`): it has no CreateTopics, no DescribeConfigs and no topic
ids, so topics are made there by asking for their metadata.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from models.errors import BrokerError, TopicError
from streams.settings import Settings
from streams.topics import INPUTS, Role, Topic, topic_table

__all__ = [
    "CLIENT_CONFIG",
    "EMBEDDED_PARTITIONS",
    "CreatedTopics",
    "TopicsInfo",
    "check_topics",
    "committed_offsets",
    "create_topics",
    "is_embedded",
]

#: librdkafka prints its own log to stderr; what matters comes back as an error of the call.
CLIENT_CONFIG: Mapping[str, Any] = {"log_level": 0}

#: The embedded broker gives every topic this many partitions; librdkafka has no setting for it.
EMBEDDED_PARTITIONS = 4

_EMBEDDED_CLUSTER_ID = "mockCluster"

#: Seconds until a broker that does not answer counts as unreachable: short, since a person is waiting.
_CONNECT_S = 4.0

#: Seconds for one request to a broker that has answered before.
_REQUEST_S = 15.0

#: Seconds between two looks at something that the broker is still making.
_RETRY_S = 0.05


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


def is_embedded(cluster_id: str | None) -> bool:
    """Say whether a cluster id is that of librdkafka's in-memory cluster."""
    return cluster_id is not None and cluster_id.startswith(_EMBEDDED_CLUSTER_ID)


def create_topics(settings: Settings, partitions: int) -> CreatedTopics:
    """Make the topics that are missing, and check those that exist.

    Nothing is made if an existing topic has the wrong shape. An input topic that exists may have any partition count.

    Raises
    ------
    TopicError
        If an existing topic has another partition count, a changelog is not compacted only, the broker refuses a
        topic, or the broker is the embedded one and `partitions` is not 4.
    BrokerError
        If the broker cannot be reached.
    """
    table = topic_table(settings)
    client = AdminClient(_client_config(settings))
    with _answers(client, settings) as cluster:
        embedded = is_embedded(cluster.cluster_id)
        if embedded and partitions != EMBEDDED_PARTITIONS:
            raise TopicError(
                f"the embedded broker gives every topic {EMBEDDED_PARTITIONS} partitions, not {partitions}: "
                f"use --partitions {EMBEDDED_PARTITIONS} or a real Kafka"
            )
        counts = _partition_counts(cluster)
        existing = {row: topic for row, topic in table.items() if topic.name in counts}
        wrong = [
            f"{topic.name} has {counts[topic.name]}"
            for topic in existing.values()
            if topic.role is not Role.INPUT and counts[topic.name] != partitions
        ]
        if wrong:
            raise TopicError(
                f"partitions do not match --partitions {partitions}: {', '.join(wrong)}; use the count that exists, "
                f"or another topic prefix"
            )
        missing = [topic for row, topic in table.items() if row not in existing]
        if not embedded:
            _check_compaction(client, existing)
            _create(client, missing, partitions, settings.replication_factor)
        _wait_for_metadata(client, [topic.name for topic in missing])
    return CreatedTopics(
        created=tuple(topic.name for topic in missing), existing=tuple(topic.name for topic in existing.values())
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
    client = AdminClient(_client_config(settings))
    with _answers(client, settings) as cluster:
        counts = _partition_counts(cluster)
        missing = [topic.name for topic in table.values() if topic.name not in counts]
        if missing:
            raise TopicError(
                f"topics are missing at {settings.bootstrap_servers}: {', '.join(missing)}; run: sidecart topics create"
            )
        ours = [topic.name for topic in table.values() if topic.role is not Role.INPUT]
        if len({counts[name] for name in ours}) != 1:
            raise TopicError(
                "internal topics, outputs and changelogs need the same number of partitions, but these are: "
                + ", ".join(f"{name} {counts[name]}" for name in ours)
                + "; delete those that are wrong and run: sidecart topics create"
            )
        if is_embedded(cluster.cluster_id):
            topic_ids = dict.fromkeys(table, "")
        else:
            _check_compaction(client, table)
            topic_ids = _topic_ids(client, table)
    return TopicsInfo(
        partitions=counts[ours[0]],
        input_partitions={kind: counts[table[kind].name] for kind in INPUTS},
        topic_ids=topic_ids,
    )


def committed_offsets(settings: Settings) -> dict[tuple[str, int], tuple[int, str]]:
    """Read what the consumer group has committed on this deployment's topics.

    It blocks, and runs an event loop of its own: inside a running loop call it with ``asyncio.to_thread``.

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
    names = {topic.name for topic in topic_table(settings).values()}
    with _answers(AdminClient(_client_config(settings)), settings) as cluster:
        # Every partition by name: the embedded broker answers "all of the group" with nothing.
        partitions = [
            TopicPartition(name, partition)
            for name, count in _partition_counts(cluster).items()
            if name in names
            for partition in range(count)
        ]
    if not partitions:
        return {}
    try:
        found = asyncio.run(asyncio.wait_for(_fetch_offsets(settings, partitions), _REQUEST_S))
    except (KafkaError, TimeoutError) as error:
        raise BrokerError(
            f"the committed offsets of the group {settings.group_id} cannot be read at {settings.bootstrap_servers}: "
            f"{error!r}"
        ) from error
    return {
        (partition.topic, partition.partition): (commit.offset, commit.metadata)
        for partition, commit in found.items()
        if commit.offset >= 0
    }


async def _fetch_offsets(settings: Settings, partitions: list[Any]) -> dict[Any, Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=settings.servers)
    await client.start()
    try:
        while True:
            try:
                found: dict[Any, Any] = await client.list_consumer_group_offsets(
                    settings.group_id, partitions=partitions
                )
            except KafkaError as error:
                if not error.retriable:
                    raise
            else:
                # A coordinator that is still loading answers with an empty list, which aiokafka takes for the truth.
                if len(found) == len(partitions):
                    return found
            await asyncio.sleep(_RETRY_S)
    finally:
        await client.close()


def _client_config(settings: Settings) -> dict[str, Any]:
    return {**CLIENT_CONFIG, "bootstrap.servers": settings.bootstrap_servers}


@contextmanager
def _answers(client: Any, settings: Settings) -> Iterator[Any]:
    """Give the cluster's metadata; whatever the broker refuses inside the block becomes a `BrokerError`."""
    try:
        cluster = client.list_topics(timeout=_CONNECT_S)
    except KafkaException as error:
        raise BrokerError(
            f"no Kafka broker answers at {settings.bootstrap_servers}: start one (sidecart broker kafka) or set "
            f"--bootstrap-servers"
        ) from error
    try:
        yield cluster
    except KafkaException as error:
        raise BrokerError(f"the broker at {settings.bootstrap_servers} refused: {error.args[0].str()}") from error


def _partition_counts(cluster: Any) -> dict[str, int]:
    return {name: len(topic.partitions) for name, topic in cluster.topics.items() if topic.partitions}


def _create(client: Any, topics: list[Topic], partitions: int, replication_factor: int) -> None:
    if not topics:
        return
    requests = [
        NewTopic(topic.name, num_partitions=partitions, replication_factor=replication_factor, config=topic.config)
        for topic in topics
    ]
    for name, future in client.create_topics(requests, request_timeout=_REQUEST_S).items():
        try:
            future.result()
        except KafkaException as error:
            raise TopicError(f"the broker refused to make the topic {name}: {error.args[0].str()}") from error


def _wait_for_metadata(client: Any, names: list[str]) -> None:
    """Ask for each topic until it is there: its making is announced with a delay, and on the embedded broker this
    question is what makes it."""
    deadline = time.monotonic() + _REQUEST_S
    for name in names:
        while True:
            topic = client.list_topics(name, timeout=_REQUEST_S).topics[name]
            if topic.error is None and topic.partitions:
                break
            if time.monotonic() > deadline:
                raise TopicError(f"the topic {name} was made, but the broker does not show it: {topic.error}")
            time.sleep(_RETRY_S)


def _check_compaction(client: Any, rows: Mapping[str, Topic]) -> None:
    changelogs = [topic.name for topic in rows.values() if topic.role is Role.CHANGELOG]
    if not changelogs:
        return
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in changelogs]
    for resource, future in client.describe_configs(resources, request_timeout=_REQUEST_S).items():
        policy = future.result()["cleanup.policy"].value
        if policy != "compact":
            raise TopicError(
                f"the changelog {resource.name} has cleanup.policy={policy}, which would lose rows: "
                f"set it to compact with kafka-configs"
            )


def _topic_ids(client: Any, rows: Mapping[str, Topic]) -> dict[str, str]:
    names = TopicCollection([topic.name for topic in rows.values()])
    futures = client.describe_topics(names, request_timeout=_REQUEST_S)
    return {row: _hex(futures[topic.name].result().topic_id) for row, topic in rows.items()}


def _hex(topic_id: Any) -> str:
    halves = (topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits())
    return "".join(f"{half & 0xFFFF_FFFF_FFFF_FFFF:016x}" for half in halves)
