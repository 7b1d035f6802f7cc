"""Counts everything again from the logs and compares: what the topics and tables must hold, whatever crashed.

Each comparison adds a sentence to the list of differences; an empty list is the proof.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from time import monotonic, sleep
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from models.cooccurrence import Row
from models.coverage import Watermarks
from models.kpi import Window
from models.learning import learn
from models.measuring import measure, window_key
from models.partitioning import partition_of
from models.records import Event, accept
from models.rows import PlainRows
from models.session import Session
from models.shard import Shard
from models.suggesting import Suggestion, suggest
from streams.admin import check_topics, committed_offsets
from streams.changelog import LogReader
from streams.context import model_parameters
from streams.settings import Settings
from streams.topics import INPUTS, topic_table
from streams.wire import (
    MARK_KEY,
    PACKED_EVENTS,
    PACKED_PAIRS,
    PACKED_TALLIES,
    ROWS,
    Mark,
    decode_mark,
    decode_suggestion,
    row_id,
)

_SETTLE_S = 90


class Logs:
    """All records of a deployment's topics, and the tables as their changelogs have them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.info = check_topics(settings)
        self.parameters = model_parameters(settings)
        self._topics = topic_table(settings)

    def read(self, row: str) -> dict[int, list[ConsumerRecord]]:
        """Read a topic whole, by partition."""
        return asyncio.run(self._read(row))

    async def _read(self, row: str) -> dict[int, list[ConsumerRecord]]:
        def consumer() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(
                bootstrap_servers=self.settings.servers, isolation_level="read_committed", auto_offset_reset="earliest"
            )

        partitions = self.info.input_partitions.get(row, self.info.partitions)
        result: dict[int, list[ConsumerRecord]] = {partition: [] for partition in range(partitions)}
        reader, topic = LogReader(consumer), self._topics[row].name
        await asyncio.gather(
            *(reader.read(topic, partition, None, records.extend) for partition, records in result.items())
        )
        return result

    def values(self, row: str) -> list[Any]:
        """Read the JSON messages of a public topic."""
        return [msgspec.json.decode(record.value) for record in _all(self.read(row))]

    def table(self, table: str) -> tuple[dict[int, dict[str, Any]], dict[int, Mark]]:
        """Return a table's rows and marks, by partition."""
        rows: dict[int, dict[str, Any]] = {}
        marks: dict[int, Mark] = {}
        for partition, records in self.read(f"{table}-changelog").items():
            latest = {record.key: record.value for record in records}
            if MARK_KEY in latest:
                marks[partition] = decode_mark(latest[MARK_KEY])
            rows[partition] = {
                key: ROWS[table].decode(value)
                for encoded, value in latest.items()
                if value is not None and (key := row_id(encoded)) is not None
            }
        return rows, marks

    def is_settled(self) -> bool:
        """Tell whether every log is folded to its end and committed, and every window published."""
        committed = committed_offsets(self.settings)
        for row in (*INPUTS, "session-events", "pairs", "tallies"):
            topic = self._topics[row].name
            for partition, end in asyncio.run(self._ends(row)).items():
                if end and committed.get((topic, partition), (0, ""))[0] != end:
                    return False
        _, marks = self.table("kpi")
        return not any(mark.pending for mark in marks.values())

    async def _ends(self, row: str) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.servers)
        await consumer.start()
        try:
            partitions = self.info.input_partitions.get(row, self.info.partitions)
            logs = [TopicPartition(self._topics[row].name, partition) for partition in range(partitions)]
            return {log.partition: end for log, end in (await consumer.end_offsets(logs)).items()}
        finally:
            await consumer.stop()

    def settle(self) -> None:
        """Wait until the workers are done with everything that is there."""
        deadline = monotonic() + _SETTLE_S
        while not self.is_settled():
            if monotonic() > deadline:
                raise AssertionError(f"the logs were not folded to their ends within {_SETTLE_S} s")
            sleep(0.2)


def differences(logs: Logs, may_be_published_twice: bool = False) -> list[str]:
    """Compare every log and table with what the logs before it determine.

    A suggestion may stand twice where two workers owned a partition for a while; the first one counts.
    """
    found: list[str] = []
    session_events = logs.read("session-events")
    published = _first_published(logs, [] if may_be_published_twice else found)
    found += _door(logs, session_events)
    expected_pairs, expected_outcomes, expected_ids = _refold(logs, session_events, published)
    found += _compare("suggestions", expected_ids, Counter(published))
    found += _pairs(logs, expected_pairs)
    found += _rows(logs)
    outcomes = Counter(message["outcome_id"] for message in logs.values("acceptance"))
    found += [f"acceptance: {name} is missing" for name in expected_outcomes - outcomes.keys()]
    found += [f"acceptance: {name} is not determined by the log" for name in outcomes.keys() - expected_outcomes]
    found += _windows(logs)
    return found


def _all(partitions: dict[int, list[ConsumerRecord]]) -> Iterable[ConsumerRecord]:
    return (record for records in partitions.values() for record in records)


def _first_published(logs: Logs, found: list[str]) -> dict[str, Suggestion]:
    first: dict[str, Suggestion] = {}
    for record in _all(logs.read("suggestions")):
        suggestion = decode_suggestion(record.value)
        if suggestion.suggestion_id in first:
            found.append(f"suggestions: {suggestion.suggestion_id} is published twice")
        first.setdefault(suggestion.suggestion_id, suggestion)
    return first


def _door(logs: Logs, session_events: dict[int, list[ConsumerRecord]]) -> list[str]:
    """Every input record is in `session-events` once, in its session's partition, or in the dead letters."""
    admitted: Counter[tuple[str, int]] = Counter()
    events: dict[tuple[str, int], Event] = {}
    for partition, records in session_events.items():
        watermarks = Watermarks()
        last: dict[str, int] = {}
        for record in records:
            packed = PACKED_EVENTS.decode(record.value)
            after, _ = watermarks.admit(packed.spans)
            for entry in packed.entries:
                start = after[entry.span]
                origin = packed.spans[entry.span].origin
                if start is None or entry.offset <= start:
                    continue
                assert entry.offset > last.get(origin, -1), f"{origin} is out of order in session-events/{partition}"
                assert partition_of(entry.event.session_id, logs.info.partitions) == partition
                last[origin] = entry.offset
                admitted[origin, entry.offset] += 1
                events[origin, entry.offset] = entry.event
    refused = {(message["topic"], message["partition"], message["offset"]) for message in logs.values("dead-letters")}
    found = []
    for kind in INPUTS:
        for record in _all(logs.read(kind)):
            place = (f"{kind}-{record.partition}", record.offset)
            if (record.topic, record.partition, record.offset) in refused:
                if admitted[place]:
                    found.append(f"{place} is refused and admitted")
            elif admitted[place] != 1:
                found.append(f"{place} is admitted {admitted[place]} times")
            elif events[place] != accept(kind, record.value, record.timestamp, logs.parameters):
                found.append(f"{place} stands in session-events with another content")
    return found


def _refold(
    logs: Logs, session_events: dict[int, list[ConsumerRecord]], published: dict[str, Suggestion]
) -> tuple[dict[tuple[str, int, int], list[Any]], set[str], Counter[str]]:
    pairs: dict[tuple[str, int, int], list[Any]] = defaultdict(list)
    outcomes: set[str] = set()
    ids: Counter[str] = Counter()
    # What is determined by the log does not depend on the rows.
    no_rows = PlainRows(logs.parameters)
    for partition, records in session_events.items():
        shard: Shard[Session] = Shard(partition)
        for record in records:
            packed = PACKED_EVENTS.decode(record.value)
            effects = suggest(shard, record.offset, packed, no_rows, published, logs.parameters)
            for time_ms, arrival, increment in effects.increments:
                target = partition_of(increment.anchor, logs.info.partitions)
                pairs[str(partition), record.offset, target].append((time_ms, arrival, increment))
            outcomes |= {outcome.outcome_id for outcome in effects.outcomes}
            ids.update(suggestion.suggestion_id for suggestion, _, _ in effects.suggestions)
    return pairs, outcomes, ids


def _pairs(logs: Logs, expected: dict[tuple[str, int, int], list[Any]]) -> list[str]:
    """Every increment is in `pairs` once, with its exact weights."""
    admitted: dict[tuple[str, int, int], list[Any]] = defaultdict(list)
    for target, records in logs.read("pairs").items():
        watermarks = Watermarks()
        for record in records:
            packed = PACKED_PAIRS.decode(record.value)
            after, _ = watermarks.admit(packed.spans)
            for entry in packed.entries:
                start = after[entry.span]
                if start is not None and entry.offset > start:
                    place = (packed.spans[entry.span].origin, entry.offset, target)
                    admitted[place].append((entry.time, entry.timestamp, entry.increment))
    return [
        f"pairs: {place} differs" for place in expected.keys() | admitted.keys() if expected[place] != admitted[place]
    ]


def _rows(logs: Logs) -> list[str]:
    """The table `cooccurrence` is the fold of `pairs`, weight by weight."""
    table, _ = logs.table("cooccurrence")
    found = []
    for partition, records in logs.read("pairs").items():
        rows = PlainRows(logs.parameters)
        shard: Shard[Row] = Shard(partition, rows)
        for record in records:
            learn(shard, rows, record.offset, PACKED_PAIRS.decode(record.value))
        found += _compare(f"cooccurrence/{partition}", rows, table[partition])
    return found


def _windows(logs: Logs) -> list[str]:
    """The table `kpi` is the fold of `tallies`, and the last message of each window says the same."""
    rows, _ = logs.table("kpi")
    messages: dict[bytes, Any] = {}
    for record in _all(logs.read("acceptance-metrics")):
        messages[record.key] = msgspec.json.decode(record.value)
    found = []
    for partition, records in logs.read("tallies").items():
        shard: Shard[Window] = Shard(partition)
        for record in records:
            measure(shard, record.offset, PACKED_TALLIES.decode(record.value), logs.parameters)
        found += _compare(f"kpi/{partition}", shard.rows, rows[partition])
        for key, window in shard.rows.items():
            message = messages.get(key.encode(), {})
            totals = {name: getattr(window, name) for name in ("suggestions", "empty", "viewed", "added", "ordered")}
            if {name: message.get(name) for name in totals} != totals:
                found.append(f"acceptance-metrics: window {window_key(key)} says {message}, not {totals}")
    return found


def _compare(place: str, expected: Any, actual: Any) -> list[str]:
    return [f"{place}: {key!r} differs" for key in expected.keys() | actual.keys() if _differ(expected, actual, key)]


def _differ(expected: Any, actual: Any, key: Any) -> bool:
    if isinstance(expected, Counter):
        return bool(expected[key] != 1 or key not in actual)
    return bool(expected.get(key) != actual.get(key))


def replica_digests(pages: Sequence[list[dict[str, Any]]]) -> set[str]:
    """Return the distinct contents of several workers' /replica pages: one, when they agree."""
    return {msgspec.json.encode(page).decode() for page in pages}
