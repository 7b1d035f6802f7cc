"""The embedded broker: librdkafka's in-memory cluster, for a first look without Java or Docker.

It lives inside a producer client of this process and listens on 127.0.0.1; other processes reach it like any Kafka.
Its limits: four partitions a topic, about 5 MB a partition (older records are dropped), no CreateTopics, no usable
transactions, and nothing survives it.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException, Producer

from models.errors import BrokerError
from streams.brokers.embedded_topics import EmbeddedTopics
from streams.metadata import CLIENT_CONFIG

__all__ = ["EmbeddedBroker"]

#: Seconds for a metadata request to our own process.
_METADATA_S = 5.0


class EmbeddedBroker:
    """One in-memory broker, from `start` to `stop`."""

    def __init__(self) -> None:
        self._client: Any = None
        self._address = ""

    def start(self) -> None:
        """Start the broker on a free port.

        Raises
        ------
        BrokerError
            If it does not answer.
        """
        # The address is ignored, but librdkafka wants one; its own threads serve the cluster, no polling is needed.
        config = {**CLIENT_CONFIG, "bootstrap.servers": "127.0.0.1:9092", "test.mock.num.brokers": 1}
        try:
            self._client = Producer(config)
            [broker] = self._client.list_topics(timeout=_METADATA_S).brokers.values()
        except KafkaException as error:
            self.stop()
            raise BrokerError(f"the embedded broker does not start: {error.args[0].str()}") from error
        self._address = f"{broker.host}:{broker.port}"

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, as host:port.

        Raises
        ------
        BrokerError
            If it is not running.
        """
        if self._client is None:
            raise BrokerError("the embedded broker is not running: call start() first")
        return self._address

    def create_topics(self, names: Iterable[str]) -> None:
        """Make sure that the topics exist, with four partitions each: asking for a topic makes it.

        Raises
        ------
        BrokerError
            If the broker is not running, or refuses a name.
        """
        address = self.bootstrap_servers
        EmbeddedTopics(self._client, address).ask_for(names)

    def stop(self) -> None:
        """Stop the broker and forget everything; a second call does nothing."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
