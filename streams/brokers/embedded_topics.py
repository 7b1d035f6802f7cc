"""Topics and committed offsets on the embedded broker, which kafka-python cannot talk to.

Its cluster id tells it (`is_embedded`). It has no CreateTopics, no DescribeConfigs and no topic ids: asking for a
topic's metadata makes it. confluent-kafka does that; the offsets are aiokafka's, since confluent-kafka (2.16) reads the
metadata text of a commit beyond its end: garbage or a UnicodeDecodeError every other time.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from models.errors import BrokerError, TopicError
from streams.topics import Topic

__all__ = ["EMBEDDED_PARTITIONS", "EmbeddedTopics", "is_embedded"]

#: The embedded broker gives every topic this many partitions; librdkafka has no setting for it.
EMBEDDED_PARTITIONS = 4

_CLUSTER_ID = "mockCluster"

#: Seconds for one request to a broker on this machine.
_REQUEST_S = 5.0


def is_embedded(cluster_id: str | None) -> bool:
    """Say whether a cluster id is that of librdkafka's in-memory cluster."""
    return cluster_id is not None and cluster_id.startswith(_CLUSTER_ID)


class EmbeddedTopics:
    """What `streams.admin` asks of a broker, as the embedded one can answer it.

    Parameters
    ----------
    client : AdminClient or Producer
        Any client of confluent-kafka.
    servers : str
        The broker's address, host:port.
    """

    def __init__(self, client: Any, servers: str) -> None:
        self._client = client
        self._servers = servers

    def partition_counts(self, names: Iterable[str]) -> dict[str, int]:
        """Return the partition count of each topic that exists."""
        topics = self._metadata().topics
        return {name: len(topics[name].partitions) for name in names if name in topics}

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Return an empty text for each topic: there are no topic ids."""
        return dict.fromkeys(names, "")

    def cleanup_policies(self, names: Iterable[str]) -> dict[str, str]:
        """Return nothing: topics have no configuration, and no compaction."""
        return {}

    def create(self, topics: Sequence[Topic], partitions: int, replication_factor: int) -> set[str]:
        """Make topics, whatever their configuration, and return their names.

        Raises
        ------
        TopicError
            If `partitions` is not 4.
        """
        if topics and partitions != EMBEDDED_PARTITIONS:
            raise TopicError(
                f"the embedded broker gives every topic {EMBEDDED_PARTITIONS} partitions, not {partitions}: "
                f"use --partitions {EMBEDDED_PARTITIONS} or a real Kafka"
            )
        names = {topic.name for topic in topics}
        self.ask_for(names)
        return names

    def ask_for(self, names: Iterable[str]) -> None:
        """Make sure that topics exist, with four partitions each.

        Raises
        ------
        BrokerError
            If a name is refused.
        """
        for name in names:
            error = self._metadata(name).topics[name].error
            if error is not None:
                raise BrokerError(f"the embedded broker at {self._servers} refused the topic {name!r}: {error.str()}")

    def committed_offsets(self, group_id: str, names: Iterable[str]) -> dict[tuple[str, int], tuple[int, str]]:
        """Return what a group has committed: offset and metadata text, by (topic, partition)."""
        # Every partition by name: "all of the group" is answered with nothing.
        partitions = [
            TopicPartition(name, partition)
            for name, count in self.partition_counts(names).items()
            for partition in range(count)
        ]
        if not partitions:
            return {}
        try:
            found = asyncio.run(asyncio.wait_for(self._fetch_offsets(group_id, partitions), _REQUEST_S))
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(
                f"the embedded broker at {self._servers} does not tell the offsets of {group_id}: {error!r}"
            ) from error
        return {
            (partition.topic, partition.partition): (commit.offset, commit.metadata)
            for partition, commit in found.items()
            if commit.offset >= 0
        }

    async def _fetch_offsets(self, group_id: str, partitions: list[Any]) -> dict[Any, Any]:
        client = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await client.start()
        try:
            found: dict[Any, Any] = await client.list_consumer_group_offsets(group_id, partitions=partitions)
            return found
        finally:
            await client.close()

    def _metadata(self, topic: str | None = None) -> Any:
        try:
            return self._client.list_topics(topic, timeout=_REQUEST_S)
        except KafkaException as error:
            raise BrokerError(f"the embedded broker at {self._servers} refused: {error.args[0].str()}") from error
