"""The first question to a broker: whether one answers, which cluster it is, and which topics it has.

confluent-kafka asks it, whatever the client is for: it understands both Apache Kafka and the embedded broker.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from models.errors import BrokerError, TopicError

__all__ = ["CLIENT_CONFIG", "cluster_metadata", "require_topics"]

#: librdkafka prints its own log to stderr; what matters comes back as an error of the call.
CLIENT_CONFIG: Mapping[str, Any] = {"log_level": 0}

#: Seconds until a broker that does not answer counts as unreachable: short, since a person is waiting.
_CONNECT_S = 4.0


def cluster_metadata(client: Any, servers: str) -> Any:
    """Return the cluster's id, brokers and topics, as confluent-kafka has them.

    Parameters
    ----------
    client : AdminClient, Producer or Consumer
        Any client of confluent-kafka.
    servers : str
        The address it was made with, for the error.

    Raises
    ------
    BrokerError
        If no broker answers within four seconds.
    """
    try:
        return client.list_topics(timeout=_CONNECT_S)
    except KafkaException as error:
        raise BrokerError(
            f"no Kafka broker answers at {servers}: start one (sidecart broker kafka) or set --bootstrap-servers"
        ) from error


def require_topics(names: Iterable[str], existing: Container[str], servers: str) -> None:
    """Check that topics exist.

    Raises
    ------
    TopicError
        If some are missing; it names them all.
    """
    missing = [name for name in names if name not in existing]
    if missing:
        raise TopicError(f"missing at {servers}: {', '.join(missing)}; run: sidecart topics create --partitions N")
