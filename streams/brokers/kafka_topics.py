"""Topics and committed offsets on Apache Kafka, through kafka-python."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from models.errors import BrokerError, TopicError
from streams.topics import Topic

__all__ = ["KafkaTopics"]

#: Milliseconds until a broker that is known to live must let kafka-python in.
_CONNECT_MS = 4_000

#: Milliseconds for one request, and for what the broker is still making.
_REQUEST_MS = 15_000

#: Seconds between two questions to a coordinator that is not ready.
_RETRY_S = 0.05


class KafkaTopics:
    """What `streams.admin` asks of a broker, as Apache Kafka answers it; a refusal is kafka-python's `KafkaError`.

    Parameters
    ----------
    brokers : sequence of (str, int)
        Host and port of the cluster's live brokers. (Of several bootstrap servers kafka-python tries one at random,
        and spends all its time on one that is silent.)
    """

    def __init__(self, brokers: Sequence[tuple[str, int]]) -> None:
        self._servers = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in brokers]

    def partition_counts(self, names: Iterable[str]) -> dict[str, int]:
        """Return the partition count of each topic that exists."""
        return {name: len(topic["partitions"]) for name, topic in self._describe(names).items()}

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Return the id of each topic that exists, as 32 hex digits."""
        return {name: topic["topic_id"].replace("-", "") for name, topic in self._describe(names).items()}

    def cleanup_policies(self, names: Iterable[str]) -> dict[str, str]:
        """Return the ``cleanup.policy`` of each topic.

        Raises
        ------
        BrokerError
            If the broker does not tell.
        """
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": None}) for name in names]
        with self._connect() as client:
            configs = client.describe_configs(resources, config_filter="all").get("topic", {})
        # kafka-python passes over an error: the configuration is empty then.
        hidden = [name for name, config in configs.items() if not config]
        if hidden:
            raise BrokerError(f"the broker does not tell the configuration of {', '.join(hidden)}: is it allowed?")
        return {name: config["cleanup.policy"]["value"] for name, config in configs.items()}

    def create(self, topics: Sequence[Topic], partitions: int, replication_factor: int) -> set[str]:
        """Make topics, wait until all are there, and return the names of those that did not exist already.

        Raises
        ------
        TopicError
            If the broker refuses one.
        """
        if not topics:
            return set()
        options = {"num_partitions": partitions, "replication_factor": replication_factor}
        requests = {topic.name: {**options, "configs": topic.config} for topic in topics}
        created = set()
        with self._connect() as client:
            for answer in client.create_topics(requests, timeout_ms=_REQUEST_MS, raise_errors=False)["topics"]:
                name, code = answer["name"], answer["error_code"]
                if code not in (0, TopicAlreadyExistsError.errno):
                    reason = answer["error_message"] or for_code(code).__name__
                    raise TopicError(f"the broker refused to make the topic {name}: {reason}")
                if code == 0:
                    created.add(name)
            client.wait_for_topics(list(requests), timeout_ms=_REQUEST_MS)
        return created

    def committed_offsets(self, group_id: str, names: Iterable[str]) -> dict[tuple[str, int], tuple[int, str]]:
        """Return what a group has committed: offset and metadata text, by (topic, partition)."""
        wanted = set(names)
        deadline = time.monotonic() + _REQUEST_MS / 1000
        while True:
            try:
                # A client each time: it never forgets a coordinator, not even one that has moved.
                with self._connect() as client:
                    commits = client.list_group_offsets({group_id: None})[group_id]
            except KafkaError as error:
                if not error.retriable or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return {
                    (log.topic, log.partition): (commit.offset, commit.metadata)
                    for log, commit in commits.items()
                    if log.topic in wanted
                }

    def _describe(self, names: Iterable[str]) -> dict[str, Any]:
        with self._connect() as client:
            answers = client.describe_topics(list(names))
        found = {}
        for answer in answers:
            if answer["error_code"] == 0:
                found[answer["name"]] = answer
            elif answer["error_code"] != UnknownTopicOrPartitionError.errno:
                raise for_code(answer["error_code"])(answer["name"])
        return found

    def _connect(self) -> Any:
        # It logs each failed attempt as a warning or an error; what matters comes back as an error of the call.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        try:
            return KafkaAdminClient(
                bootstrap_servers=self._servers, bootstrap_timeout_ms=_CONNECT_MS, request_timeout_ms=_REQUEST_MS
            )
        except KafkaTimeoutError as error:
            raise BrokerError(
                f"the broker wants to be reached at {', '.join(self._servers)}, where it does not answer: "
                f"check its advertised.listeners"
            ) from error
