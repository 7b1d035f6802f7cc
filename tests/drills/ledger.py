"""Follows a deployment's logs while it runs: what is lost, what is published twice, how long events wait."""

from collections.abc import Set

import msgspec
from confluent_kafka import Consumer, TopicPartition

from models.coverage import Watermarks
from streams.settings import Settings
from streams.topics import INPUTS, topic_table
from streams.wire import PACKED_EVENTS, decode_suggestion

__all__ = ["Account", "Follower"]

_ROWS = ("session-events", "dead-letters", "suggestions")
_BATCH = 2_000
_POLL_S = 0.05


class Account:
    """What stands in `session-events`, `dead-letters` and `suggestions`.

    Parameters
    ----------
    settings : Settings
        Names the topics.
    partitions : int
        Partitions of the three.

    Attributes
    ----------
    second_versions : int
        Messages of `suggestions` whose id was published before.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self.partitions = partitions
        self.second_versions = 0
        table = topic_table(settings)
        self._kinds = {table[kind].name: kind for kind in INPUTS}
        self._watermarks = [Watermarks() for _ in range(partitions)]
        #: Input records that are admitted or refused.
        self._arrived: set[tuple[str, int, int]] = set()
        #: By session and event id, which a client's retry repeats: the partition and the event's arrival in ms.
        self._expected: dict[tuple[str, str], tuple[int, int]] = {}
        self._published: dict[tuple[str, str], int] = {}
        self._ids: set[str] = set()

    def take(self, row: str, partition: int, value: bytes, timestamp_ms: int) -> None:
        """Take in the next record of a log."""
        if row == "session-events":
            self._admit(partition, value)
        elif row == "dead-letters":
            letter = msgspec.json.decode(value)
            self._arrived.add((self._kinds[letter["topic"]], letter["partition"], letter["offset"]))
        else:
            suggestion = decode_suggestion(value)
            assert suggestion is not None, f"a suggestion cannot be read: {value!r}"
            self.second_versions += suggestion.suggestion_id in self._ids
            self._ids.add(suggestion.suggestion_id)
            self._published.setdefault((suggestion.session_id, suggestion.event_id), timestamp_ms)

    def _admit(self, partition: int, value: bytes) -> None:
        packed = PACKED_EVENTS.decode(value)
        after, _ = self._watermarks[partition].admit(packed.spans)
        for entry in packed.entries:
            start = after[entry.span]
            if start is not None and entry.offset > start:
                origin = packed.spans[entry.span].origin
                kind, _, number = origin.rpartition("-")
                self._arrived.add((kind, int(number), entry.offset))
                key = (entry.event.session_id, entry.event.event_id)
                self._expected.setdefault(key, (partition, entry.timestamp))

    def lost(self, acknowledged: Set[tuple[str, int, int]]) -> list[str]:
        """Return the acknowledged inputs that arrived nowhere, and the accepted events without a suggestion."""
        nowhere = sorted(acknowledged - self._arrived)
        silent = self._expected.keys() - self._published.keys()
        return [
            *(f"input {place} is neither applied nor in the dead letters" for place in nowhere),
            *(f"event {event} of session {session} has no suggestion" for session, event in sorted(silent)),
        ]

    def unserved(self, since_ms: float) -> list[int]:
        """Return the partitions without a suggestion for an event that arrived after `since_ms`."""
        served = {
            partition
            for key, (partition, arrival) in self._expected.items()
            if arrival >= since_ms and key in self._published
        }
        return [partition for partition in range(self.partitions) if partition not in served]

    def longest_wait_s(self, since_ms: float) -> float:
        """Return the longest time from the arrival of an event after `since_ms` to its suggestion, in seconds."""
        waits = (
            self._published[key] - arrival
            for key, (_, arrival) in self._expected.items()
            if arrival >= since_ms and key in self._published
        )
        return max(waits, default=0) / 1000


class Follower:
    """Reads the three logs into an account, without a consumer group."""

    def __init__(self, settings: Settings, account: Account) -> None:
        table = topic_table(settings)
        self._account = account
        self._inputs = [table[kind].name for kind in INPUTS]
        self._rows = {table[row].name: row for row in _ROWS}
        self._next = {(name, partition): 0 for name in self._rows for partition in range(account.partitions)}
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": f"{settings.group_id}-drills",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                # A question for a log's end waits behind the fetch under way.
                "fetch.wait.max.ms": 20,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(*log, 0) for log in self._next])

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def read(self) -> None:
        """Read some of what has come since the last call."""
        for message in self._consumer.consume(_BATCH, _POLL_S):
            if message.error() is None:
                name, partition = message.topic(), message.partition()
                self._next[name, partition] = message.offset() + 1
                self._account.take(self._rows[name], partition, message.value(), message.timestamp()[1])

    def read_to_end(self) -> None:
        """Read all that is there now."""
        for log in self._next:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*log), timeout=30)
            while self._next[log] < end:
                self.read()

    def inputs(self) -> int:
        """Count the records of the input topics."""
        return sum(
            self._consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=30)[1]
            for name in self._inputs
            for partition in self._consumer.list_topics(name, timeout=30).topics[name].partitions
        )
