"""Reading output topics without a consumer group: nobody else's offsets or partitions are touched."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from models.errors import BrokerError
from streams.metadata import CLIENT_CONFIG, cluster_metadata, require_topics
from streams.settings import Settings
from streams.topics import topic_table

__all__ = ["Watched", "Watcher"]

#: Seconds for the ends of one partition.
_ENDS_S: Final = 5.0
_RETRY_S: Final = 0.05
_NOT_YET_SERVED: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
#: Messages handed over at once, at most: the caller keeps its rhythm under load.
_POLL_MAX: Final = 500


class Watched(NamedTuple):
    """One message: its topic's row in `streams.topics`, its value, and when it was received (monotonic seconds)."""

    row: str
    value: bytes
    received_s: float


class Watcher:
    """A reader of all partitions of some topics, from their beginning or from what is newest when it is made.

    Parameters
    ----------
    settings : Settings
        Says where the broker is and what the topics are called.
    rows : sequence of str
        The topics, by their rows in `streams.topics`.
    is_from_beginning : bool
        Whether what the topics already hold is read too.
    fetch_wait_ms : int
        How long the broker may hold back an answer without data. New data ends the wait on Kafka, but not on the
        embedded broker: there it is the delay of a message, at most.

    Raises
    ------
    BrokerError
        If no broker answers within five seconds, or one refuses.
    TopicError
        If a topic does not exist.
    """

    def __init__(
        self, settings: Settings, rows: Sequence[str], *, is_from_beginning: bool = False, fetch_wait_ms: int = 500
    ) -> None:
        table = topic_table(settings)
        self._rows = {table[row].name: row for row in rows}
        self._servers = settings.bootstrap_servers
        self._is_doubtful = False
        self._consumer = Consumer(
            {
                **CLIENT_CONFIG,
                "bootstrap.servers": self._servers,
                "group.id": f"{settings.group_id}-watch",  # demanded by the client, never joined
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": fetch_wait_ms,
                "error_cb": self._on_error,
            }
        )
        try:
            self._consumer.assign(self._starts(is_from_beginning))
        except KafkaException as error:
            self._consumer.close()
            raise BrokerError(f"the broker at {self._servers} cannot be read: {error.args[0].str()}") from error
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def poll(self, timeout_s: float) -> list[Watched]:
        """Return the messages that are there, waiting up to `timeout_s` for the first.

        Raises
        ------
        BrokerError
            If the broker has gone.
        """
        messages = []
        message = self._consumer.poll(timeout_s)
        while message is not None:
            failure = message.error()
            if failure is not None:
                raise BrokerError(f"reading from {self._servers} failed: {failure.str()}")
            value = message.value()
            if value is not None:
                messages.append(Watched(self._rows[message.topic()], value, time.monotonic()))
            message = self._consumer.poll(0) if len(messages) < _POLL_MAX else None
        if self._is_doubtful:
            self._is_doubtful = False
            self._known_topics()
        return messages

    def _starts(self, is_from_beginning: bool) -> list[TopicPartition]:
        known = self._known_topics()
        require_topics(self._rows, known, self._servers)
        starts = []
        for name in self._rows:
            for partition in known[name]:
                place = TopicPartition(name, partition)
                low, high = self._ends(place)
                starts.append(TopicPartition(name, partition, low if is_from_beginning else high))
        return starts

    def _ends(self, place: TopicPartition) -> tuple[int, int]:
        # Asked for here: OFFSET_END would be looked up later, and leave out what comes in between.
        deadline = time.monotonic() + _ENDS_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=_ENDS_S)
            except KafkaException as error:
                # A topic just made is listed before its leaders serve it.
                if error.args[0].code() not in _NOT_YET_SERVED or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return low, high

    def _known_topics(self) -> dict[str, list[int]]:
        topics = cluster_metadata(self._consumer, self._servers).topics
        return {name: sorted(topic.partitions) for name, topic in topics.items()}

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._is_doubtful = True
