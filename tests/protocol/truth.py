"""What logs and tables must hold, whatever has happened: everything is folded again from the input topics on.

Each comparison adds a sentence to a list; an empty list is the proof. Only rules of `models/` are used.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from models.cooccurrence import Row
from models.coverage import Packed, Watermarks
from models.errors import BadEventError
from models.kpi import Window
from models.learning import learn
from models.measuring import measure
from models.parameters import Parameters
from models.partitioning import partition_of
from models.records import Event, accept
from models.rows import PlainRows
from models.session import Session, is_forgotten
from models.shard import Shard
from models.suggesting import Suggestion, suggest
from streams.topics import INPUTS
from streams.wire import PACKED_EVENTS, PACKED_PAIRS, PACKED_TALLIES, ROWS, decode_suggestion, row_id

__all__ = ["Logs", "differences", "folded_pairs", "table_rows"]

#: Place of an entry: origin, origin offset, target partition.
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Logs:
    """The topics by their row in the table of topics; `read` returns the committed records of a partition."""

    read: Callable[[str, int], list[ConsumerRecord]]
    partitions: int
    input_partitions: Mapping[str, int]
    parameters: Parameters

    def values(self, row: str) -> list[Any]:
        """Return the JSON messages of a public topic."""
        return [
            json.loads(record.value) for partition in range(self.partitions) for record in self.read(row, partition)
        ]


def differences(logs: Logs) -> list[str]:
    """Compare every log and table with what the logs before it determine."""
    published: dict[str, Suggestion] = {}
    for partition in range(logs.partitions):
        for record in logs.read("suggestions", partition):
            suggestion = decode_suggestion(record.value)
            assert suggestion is not None
            published.setdefault(suggestion.suggestion_id, suggestion)
    found = _door(logs)
    pairs: dict[Place, list[Any]] = defaultdict(list)
    tallies: dict[Place, list[Any]] = defaultdict(list)
    outcomes: dict[str, Any] = {}
    ids: Counter[str] = Counter()
    for partition in range(logs.partitions):
        found += _refold(logs, partition, published, pairs, tallies, outcomes, ids)
    found += _compare("suggestions", dict.fromkeys(ids), dict.fromkeys(published))
    found += [f"suggestions: {key} has {count} events" for key, count in ids.items() if count > 1]
    found += _compare(
        "pairs", pairs, _admitted(logs, "pairs", PACKED_PAIRS, lambda e: (e.time, e.timestamp, e.increment))
    )
    found += _compare("tallies", tallies, _admitted(logs, "tallies", PACKED_TALLIES, lambda e: e.tally))
    for message in logs.values("acceptance"):
        expected = outcomes.get(message["outcome_id"])
        if expected != message:
            found.append(f"acceptance: {message['outcome_id']} is judged on what was not published first")
    judged = {message["outcome_id"] for message in logs.values("acceptance")}
    found += [f"acceptance: {outcome} is missing" for outcome in outcomes.keys() - judged]
    for partition in range(logs.partitions):
        rows = dict(folded_pairs(logs, partition))
        found += _compare(f"cooccurrence/{partition}", rows, table_rows(logs, "cooccurrence", partition))
        found += _windows(logs, partition)
    return found


def folded_pairs(logs: Logs, partition: int, end: int | None = None) -> PlainRows:
    """Return the rows that a partition of `pairs` is, folded up to an offset."""
    rows = PlainRows(logs.parameters)
    shard: Shard[Row] = Shard(partition, rows)
    for record in logs.read("pairs", partition):
        if end is None or record.offset < end:
            learn(shard, rows, record.offset, PACKED_PAIRS.decode(record.value))
    return rows


def table_rows(logs: Logs, table: str, partition: int) -> dict[str, Any]:
    """Return the rows of a table as its changelog has them."""
    latest = {record.key: record.value for record in logs.read(f"{table}-changelog", partition)}
    return {
        key: ROWS[table].decode(value)
        for encoded, value in latest.items()
        if value is not None and (key := row_id(encoded)) is not None
    }


def _door(logs: Logs) -> list[str]:
    """Every input record is in `session-events` once, in order, in its session's partition, or in the dead letters."""
    found: list[str] = []
    admitted: dict[tuple[str, int], Event] = {}
    for partition in range(logs.partitions):
        watermarks, last = Watermarks(), Counter[str]()
        for record in logs.read("session-events", partition):
            for origin, entry in _new_entries(watermarks, PACKED_EVENTS.decode(record.value)):
                place = (origin, entry.offset)
                if place in admitted:
                    found.append(f"session-events: {place} is admitted twice")
                if entry.offset < last[origin]:
                    found.append(f"session-events: {place} is out of order")
                if partition_of(entry.event.session_id, logs.partitions) != partition:
                    found.append(f"session-events: {place} is in the wrong partition")
                last[origin] = entry.offset
                admitted[place] = entry.event
    expected, refused = {}, set()
    for kind in INPUTS:
        for partition in range(logs.input_partitions[kind]):
            for record in logs.read(kind, partition):
                try:
                    event = accept(kind, record.value, record.timestamp, logs.parameters)
                    expected[f"{kind}-{partition}", record.offset] = event
                except BadEventError:
                    refused.add((kind, partition, record.offset))
    letters = {(each["topic"], each["partition"], each["offset"]) for each in logs.values("dead-letters")}
    found += _compare("dead-letters", dict.fromkeys(refused), dict.fromkeys(letters))
    return found + _compare("session-events", expected, admitted)


def _refold(
    logs: Logs,
    partition: int,
    published: Mapping[str, Suggestion],
    pairs: dict[Place, list[Any]],
    tallies: dict[Place, list[Any]],
    outcomes: dict[str, Any],
    ids: Counter[str],
) -> list[str]:
    shard: Shard[Session] = Shard(partition)
    # What is determined by the log does not depend on the rows.
    no_rows = PlainRows(logs.parameters)
    for record in logs.read("session-events", partition):
        packed = PACKED_EVENTS.decode(record.value)
        effects = suggest(shard, record.offset, packed, no_rows, published, logs.parameters)
        for time_ms, arrival, increment in effects.increments:
            target = partition_of(increment.anchor, logs.partitions)
            pairs[str(partition), record.offset, target].append((time_ms, arrival, increment))
        for tally in effects.tallies:
            target = partition_of(str(tally.start), logs.partitions)
            tallies[str(partition), record.offset, target].append(tally)
        for outcome in effects.outcomes:
            outcomes[outcome.outcome_id] = msgspec.to_builtins(outcome)
        ids.update(suggestion.suggestion_id for suggestion, _, _ in effects.suggestions)

    def remembered(rows: Mapping[str, Session]) -> dict[str, Session]:
        return {key: row for key, row in rows.items() if not is_forgotten(row, shard.newest, logs.parameters)}

    return _compare(
        f"sessions/{partition}", remembered(shard.rows), remembered(table_rows(logs, "sessions", partition))
    )


def _admitted(logs: Logs, row: str, codec: Any, content: Callable[[Any], Any]) -> dict[Place, list[Any]]:
    """Return what the entries of a log are worth to those who fold it, by place."""
    admitted: dict[Place, list[Any]] = defaultdict(list)
    for target in range(logs.partitions):
        watermarks = Watermarks()
        for record in logs.read(row, target):
            for origin, entry in _new_entries(watermarks, codec.decode(record.value)):
                admitted[origin, entry.offset, target].append(content(entry))
    return admitted


def _new_entries(watermarks: Watermarks, packed: Packed[Any]) -> list[tuple[str, Any]]:
    after, _ = watermarks.admit(packed.spans)
    return [
        (packed.spans[entry.span].origin, entry)
        for entry in packed.entries
        if (start := after[entry.span]) is not None and entry.offset > start
    ]


def _windows(logs: Logs, partition: int) -> list[str]:
    """The table `kpi` is the fold of `tallies`, and the last message of each window says the same."""
    shard: Shard[Window] = Shard(partition)
    for record in logs.read("tallies", partition):
        measure(shard, record.offset, PACKED_TALLIES.decode(record.value), logs.parameters)
    found = _compare(f"kpi/{partition}", shard.rows, table_rows(logs, "kpi", partition))
    latest: dict[str, Any] = {}
    for record in logs.read("acceptance-metrics", partition):
        message = json.loads(record.value)
        if message["revision"] >= latest.get(record.key.decode(), message)["revision"]:
            latest[record.key.decode()] = message
    for key, window in shard.rows.items():
        names = ("suggestions", "empty", "viewed", "added", "ordered", "accepted")
        if [latest.get(key, {}).get(name) for name in names] != [getattr(window, name) for name in names]:
            found.append(f"acceptance-metrics: window {key} differs")
    return found


def _compare(place: str, expected: Mapping[Any, Any], actual: Mapping[Any, Any]) -> list[str]:
    found = [f"{place}: {key!r} is missing" for key in expected.keys() - actual.keys()]
    found += [f"{place}: {key!r} is too much" for key in actual.keys() - expected.keys()]
    both = expected.keys() & actual.keys()
    return found + [f"{place}: {key!r} differs" for key in both if expected[key] != actual[key]]
