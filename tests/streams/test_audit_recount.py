"""A recount of a small shop's day: nothing differs, and each thing that is planted is found where it was planted."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from memory_audit import CODECS, MemoryLogs, recorded

from models.audit.findings import KINDS, Report
from models.coverage import Packed, Span
from models.errors import AccidentError
from models.kpi import Tally
from models.learning import learn
from models.parameters import DEFAULTS
from models.rows import PlainRows
from models.rows_digest import RowsDigest
from models.shard import Shard
from models.suggesting import EventEntry
from streams.audit_logs import TableState
from streams.audit_recount import Recount
from streams.audit_replicas import ReplicaPart, ReplicaParts
from streams.context import model_parameters
from streams.settings import Settings
from streams.wire import LOG_OFFSET, ROWS

PARAMETERS = model_parameters(Settings())
NO_REPLICAS = ReplicaParts({}, [])


def recount(logs: MemoryLogs, replicas: ReplicaParts = NO_REPLICAS) -> Report:
    return Recount(logs, PARAMETERS, replicas).run()


def differing(report: Report) -> dict[str, int]:
    return {kind: count.differences for kind, count in report.counts.items() if count.differences}


def table_of(logs: MemoryLogs, table: str, partition: int) -> dict[str, Any]:
    return {key: ROWS[table].decode(value) for key, value in logs.tables[table, partition].rows.items()}


def put_row(logs: MemoryLogs, table: str, partition: int, key: str, row: Any) -> None:
    logs.tables[table, partition].rows[key] = ROWS[table].encode(row)


def put_mark(logs: MemoryLogs, table: str, partition: int, **fields: Any) -> None:
    state = logs.tables[table, partition]
    assert state.mark is not None
    logs.tables[table, partition] = TableState(state.rows, msgspec.structs.replace(state.mark, **fields))


def without_last_entry(packed: Any) -> None:
    packed.entries.pop()


def test_nothing_differs_and_everything_is_compared() -> None:
    report = recount(recorded())
    assert (report.found, report.differences, report.uncountable, report.pending) == ((), 0, 0, 0)
    assert (report.repeated, report.not_counted) == (0, ())
    compared = {kind: count.compared for kind, count in report.counts.items()}
    assert compared.pop("replicas") == 0
    assert compared["events"] == 608
    assert compared["suggestions"] == 606
    assert all(compared.values())
    assert list(report.counts) == list(KINDS)


# -- each plant returns the kind of the differences, and what the first one says


def drop_event(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_packed("session-events", 0, 7, without_last_entry)
    return "events", "/0@", "the event is missing: expected once in session-events/0, found nowhere"


def double_event(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_packed("session-events", 1, 7, lambda packed: packed.entries.append(packed.entries[-1]))
    return "events", "session-events/1@7", "expected in the input's order, and once"


def swap_events(logs: MemoryLogs) -> tuple[str, str, str]:
    def swap(packed: Packed[EventEntry]) -> None:
        same = [at for at, entry in enumerate(packed.entries) if entry.span == 0]
        one, other = same[0], same[1]
        packed.entries[one], packed.entries[other] = packed.entries[other], packed.entries[one]

    logs.change_packed("session-events", 0, 3, swap)
    return "events", "session-events/0@3", "expected in the input's order"


def alter_event(logs: MemoryLogs) -> tuple[str, str, str]:
    def alter(packed: Packed[EventEntry]) -> None:
        entry = packed.entries[0]
        event = msgspec.structs.replace(entry.event, moment="elsewhere")
        packed.entries[0] = msgspec.structs.replace(entry, event=event)

    logs.change_packed("session-events", 0, 3, alter)
    return "events", "/0@", "stands in session-events/0 with another content"


def misplace_event(logs: MemoryLogs) -> tuple[str, str, str]:
    elsewhere = CODECS["session-events"].decode(logs.logs["session-events", 0][3].value).entries[0].event

    def misplace(packed: Packed[EventEntry]) -> None:
        packed.entries[0] = msgspec.structs.replace(packed.entries[0], event=elsewhere)

    logs.change_packed("session-events", 1, 3, misplace)
    return "events", "session-events/1@3", f"is of session {elsewhere.session_id!r}: expected in partition 0"


def invent_origin(logs: MemoryLogs) -> tuple[str, str, str]:
    source = CODECS["session-events"].decode(logs.logs["session-events", 0][0].value)
    entry = msgspec.structs.replace(source.entries[0], span=0, offset=0)
    record = Packed([Span("browse-9", -1, 0)], [entry])
    logs.append("session-events", 0, CODECS["session-events"].encode(record))
    return "events", "session-events/0@25", "an event comes from browse-9, but there is no such input"


def origin_without_a_partition(logs: MemoryLogs) -> tuple[str, str, str]:
    record = CODECS["session-events"].decode(logs.logs["session-events", 0][0].value)
    record.spans[:] = [Span("elsewhere", span.start, span.end) for span in record.spans]
    logs.append("session-events", 0, CODECS["session-events"].encode(record))
    return "events", "session-events/0@25", "comes from 'elsewhere', which is no partition of an input"


def event_past_the_input(logs: MemoryLogs) -> tuple[str, str, str]:
    end = logs.ends["browse", 0]
    source = CODECS["session-events"].decode(logs.logs["session-events", 0][-1].value)
    (span,) = [span for span in source.spans if span.origin == "browse-0"]
    entry = msgspec.structs.replace(source.entries[0], span=0, offset=end + 3)
    record = Packed([Span("browse-0", span.end, end + 3)], [entry])
    logs.append("session-events", 0, CODECS["session-events"].encode(record))
    return "events", "session-events/0@25", f"comes from browse/0@{end + 3}, but that input ends at {end}"


def lose_dead_letter(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.remove("dead-letters", 0, 0)
    return "events", "browse/0@", "must be refused (invalid-json), but no dead letter names it"


def refuse_accepted_event(logs: MemoryLogs) -> tuple[str, str, str]:
    letter = json.loads(logs.logs["dead-letters", 0][0].value or b"")
    logs.replace("dead-letters", 0, 0, value=json.dumps(letter | {"offset": 1}).encode())
    return "events", "browse/0@1", "can be accepted, but is in the dead letters (invalid-json) and in session-events"


def other_reason(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_json("dead-letters", 0, 1, reason="too-large")
    return "events", "browse/0@", "the dead letter gives the reason too-large, expected invalid-json"


def letter_about_nothing(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("dead-letters", 1, json.dumps({"reason": "x", "topic": "y", "partition": 0, "offset": 0}).encode())
    return "events", "dead-letters/1@0", "names no record of any input"


def admit_refused_event(logs: MemoryLogs) -> tuple[str, str, str]:
    offset = logs.find("session-events", lambda packed: True)[1]
    packed = CODECS["session-events"].decode(logs.logs["session-events", 0][offset].value)
    entry = packed.entries[0]
    row = packed.spans[entry.span].origin.removesuffix("-0")
    logs.replace(row, 0, entry.offset, value=b"{}")
    return "events", f"{row}/0@{entry.offset}", "must be refused (missing-field), but stands in session-events"


def spoil_record(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("pairs", 0, b"spoilt")
    return "increments", "pairs/0@25", "a packed record starts with"


def lose_increment(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_packed("pairs", 1, 9, without_last_entry)
    return "increments", "pairs/1@9", "increments for here, found"


def lose_all_increments_of_a_record(logs: MemoryLogs) -> tuple[str, str, str]:
    def lose(packed: Any) -> None:
        packed.entries = [entry for entry in packed.entries if entry.offset != packed.entries[0].offset]

    logs.change_packed("pairs", 0, 9, lose)
    return "increments", "pairs/0", "increments for here, found none"


def double_increment(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_packed("pairs", 0, 9, lambda packed: packed.entries.append(packed.entries[-1]))
    return "increments", "pairs/0@9", "increments for here, found"


def alter_weight(logs: MemoryLogs) -> tuple[str, str, str]:
    def alter(packed: Any) -> None:
        at = next(at for at, entry in enumerate(packed.entries) if entry.increment.others)
        entry = packed.entries[at]
        (item, weight, *rest), *others = entry.increment.others
        increment = msgspec.structs.replace(entry.increment, others=((item, weight + 1e-12, *rest), *others))
        packed.entries[at] = msgspec.structs.replace(entry, increment=increment)

    logs.change_packed("pairs", 0, 9, alter)
    return "increments", "pairs/0@9", "other increments than are found here"


def invent_increment(logs: MemoryLogs) -> tuple[str, str, str]:
    packed = CODECS["pairs"].decode(logs.logs["pairs", 0][-1].value)
    entry = msgspec.structs.replace(packed.entries[0], span=0, offset=packed.spans[0].end + 1)
    origin = packed.spans[0].origin
    packed.spans[:] = [Span(origin, packed.spans[0].end, entry.offset)]
    packed.entries[:] = [entry]
    logs.append("pairs", 0, CODECS["pairs"].encode(packed))
    return "increments", "pairs/0@25", f"session-events/{origin}@{entry.offset} determines no increments for here"


def increment_of_no_partition(logs: MemoryLogs) -> tuple[str, str, str]:
    packed = CODECS["pairs"].decode(logs.logs["pairs", 0][-1].value)
    packed.spans[:] = [Span("7", -1, packed.entries[0].offset)]
    packed.entries[:] = [msgspec.structs.replace(packed.entries[0], span=0)]
    logs.append("pairs", 0, CODECS["pairs"].encode(packed))
    return "increments", "pairs/0@25", "which is no partition of it"


def stray_increment(logs: MemoryLogs) -> tuple[str, str, str]:
    def stray(packed: Any) -> None:
        packed.entries[-1] = msgspec.structs.replace(packed.entries[-1], offset=10_000)

    logs.change_packed("pairs", 0, 9, stray)
    return "increments", "pairs/0@9", "outside of what its record covers"


def alter_row(logs: MemoryLogs) -> tuple[str, str, str]:
    key, row = next((key, row) for key, row in table_of(logs, "cooccurrence", 1).items() if row.weights)
    other = next(iter(row.weights))
    row.weights[other] += 0.25
    put_row(logs, "cooccurrence", 1, key, row)
    return "rows", f"cooccurrence/1 {key!r}", f"expected weights[{other!r}] {row.weights[other] - 0.25!r}, found"


def lose_row(logs: MemoryLogs) -> tuple[str, str, str]:
    key = next(iter(logs.tables["cooccurrence", 0].rows))
    del logs.tables["cooccurrence", 0].rows[key]
    return "rows", f"cooccurrence/0 {key!r}", "found no row"


def invent_row(logs: MemoryLogs) -> tuple[str, str, str]:
    row = next(iter(table_of(logs, "cooccurrence", 0).values()))
    put_row(logs, "cooccurrence", 0, "no such item", row)
    return "rows", "cooccurrence/0 'no such item'", "expected no row, found Row("


def alter_watermark(logs: MemoryLogs) -> tuple[str, str, str]:
    put_mark(logs, "cooccurrence", 0, watermarks={"0": 3, "1": 24})
    return (
        "rows",
        "cooccurrence/0 mark",
        "of 0 it has applied another part than its log: expected up to 24, found up to 3",
    )


def mark_past_the_end(logs: MemoryLogs) -> tuple[str, str, str]:
    put_mark(logs, "cooccurrence", 0, position=77)
    return "rows", "cooccurrence/0", "the mark stands at offset 77 of pairs/0, expected at most 25"


def lose_suggestion(logs: MemoryLogs) -> tuple[str, str, str]:
    message = json.loads(logs.logs["suggestions", 1][40].value or b"")
    logs.remove("suggestions", 1, 40)
    return "suggestions", "suggestions/1", f"{message['suggestion_id']} is missing: expected one for event"


def invent_suggestion(logs: MemoryLogs) -> tuple[str, str, str]:
    value = logs.logs["suggestions", 0][5].value
    assert value is not None
    message = json.loads(value) | {"suggestion_id": 32 * "f"}
    headers = logs.logs["suggestions", 0][5].headers
    logs.append("suggestions", 0, json.dumps(message).encode(), headers=headers)
    return "suggestions", "suggestions/0@274", "no event determines this suggestion's id"


def suggestion_for_no_record(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("suggestions", 0, logs.logs["suggestions", 0][5].value, headers=[(LOG_OFFSET, b"?")])
    return "suggestions", "suggestions/0@274", "no event determines this suggestion's id"


def suggestion_for_another_moment(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_json("suggestions", 0, 5, moment="elsewhere")
    return "suggestions", "suggestions/0@5", "has another session, event, time or moment"


def unreadable_suggestion(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("suggestions", 0, b"?")
    return "suggestions", "suggestions/0@274", "cannot be read"


def lose_outcome(logs: MemoryLogs) -> tuple[str, str, str]:
    message = json.loads(logs.logs["acceptance", 0][30].value or b"")
    logs.remove("acceptance", 0, 30)
    return "outcomes", "acceptance/0", f"{message['outcome_id']}, which session-events/0@"


def invent_outcome(logs: MemoryLogs) -> tuple[str, str, str]:
    message = json.loads(logs.logs["acceptance", 0][30].value or b"")
    logs.append("acceptance", 0, json.dumps(message | {"outcome_id": "made-up"}).encode())
    return "outcomes", "acceptance/0@79", "determine no such outcome"


def alter_outcome(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_json("acceptance", 1, 12, seconds_since=0.5)
    return "outcomes", "acceptance/1@12", "says something else than Outcome("


def unreadable_outcome(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("acceptance", 1, None)
    return "outcomes", "acceptance/1@76", "cannot be read"


def lose_tally(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.change_packed("tallies", 0, 9, without_last_entry)
    return "tallies", "tallies/0@9", "tallies for here, found"


def alter_tally(logs: MemoryLogs) -> tuple[str, str, str]:
    def alter(packed: Any) -> None:
        entry = packed.entries[0]
        packed.entries[0] = msgspec.structs.replace(entry, tally=msgspec.structs.replace(entry.tally, viewed=7))

    logs.change_packed("tallies", 0, 9, alter)
    return "tallies", "tallies/0@9", "other tallies than are found here"


def split_tally(logs: MemoryLogs) -> tuple[str, str, str]:
    """Say in two tallies of a window what is summed in one."""
    partition, offset = logs.find("tallies", lambda packed: packed.entries[0].tally.suggestions > 1)

    def split(packed: Any) -> None:
        entry = packed.entries[0]
        one, rest = Tally(entry.tally.start, entry.tally.moment, suggestions=1), entry.tally
        rest = msgspec.structs.replace(rest, suggestions=rest.suggestions - 1)
        packed.entries[:1] = [msgspec.structs.replace(entry, tally=tally) for tally in (one, rest)]

    logs.change_packed("tallies", partition, offset, split)
    return "tallies", f"tallies/{partition}@{offset}", "tallies for here, found"


def swap_tallies(logs: MemoryLogs) -> tuple[str, str, str]:
    def has_two(packed: Any) -> bool:
        return len(packed.entries) > 1 and packed.entries[0].offset == packed.entries[1].offset

    partition, offset = logs.find("tallies", has_two)

    def swap(packed: Any) -> None:
        packed.entries[:2] = packed.entries[1::-1]

    logs.change_packed("tallies", partition, offset, swap)
    return "tallies", f"tallies/{partition}@{offset}", "other tallies than are found here"


def alter_window(logs: MemoryLogs) -> tuple[str, str, str]:
    key, window = next(iter(table_of(logs, "kpi", 0).items()))
    put_row(logs, "kpi", 0, key, msgspec.structs.replace(window, empty=window.empty + 1))
    return "windows", f"kpi/0 {key!r}", f"expected empty {window.empty}, found {window.empty + 1}"


def alter_metrics(logs: MemoryLogs) -> tuple[str, str, str]:
    before = logs.change_json("acceptance-metrics", 0, 2, suggestions=1)
    return "windows", "acceptance-metrics/0@2", f"expected suggestions {before['suggestions']}, found 1"


def lose_metrics(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.remove("acceptance-metrics", 0, 2)
    return "windows", "acceptance-metrics/0", "was published nowhere: expected Window("


def invent_metrics(logs: MemoryLogs) -> tuple[str, str, str]:
    value = logs.logs["acceptance-metrics", 0][2].value
    logs.append("acceptance-metrics", 0, json.dumps(json.loads(value or b"") | {"window_start": 60_000}).encode())
    return "windows", "acceptance-metrics/0@6", "no tally determines it"


def unreadable_metrics(logs: MemoryLogs) -> tuple[str, str, str]:
    logs.append("acceptance-metrics", 0, b"{}")
    return "windows", "acceptance-metrics/0@6", "cannot be read"


def alter_session(logs: MemoryLogs) -> tuple[str, str, str]:
    key, session = next(iter(table_of(logs, "sessions", 1).items()))
    put_row(logs, "sessions", 1, key, msgspec.structs.replace(session, length=session.length + 1))
    return "sessions", f"sessions/1 {key!r}", f"expected length {session.length}, found {session.length + 1}"


def lose_session(logs: MemoryLogs) -> tuple[str, str, str]:
    key = next(iter(logs.tables["sessions", 1].rows))
    del logs.tables["sessions", 1].rows[key]
    return "sessions", f"sessions/1 {key!r}", "found no row"


PLANTS: list[Callable[[MemoryLogs], tuple[str, str, str]]] = [
    drop_event, double_event, swap_events, alter_event, misplace_event, invent_origin, event_past_the_input,
    origin_without_a_partition,
    lose_dead_letter, refuse_accepted_event, other_reason, letter_about_nothing, admit_refused_event,
    spoil_record, lose_increment, lose_all_increments_of_a_record, double_increment, alter_weight, invent_increment,
    increment_of_no_partition, stray_increment,
    alter_row, lose_row, invent_row, alter_watermark, mark_past_the_end,
    lose_suggestion, invent_suggestion, suggestion_for_no_record, suggestion_for_another_moment, unreadable_suggestion,
    lose_outcome, invent_outcome, alter_outcome, unreadable_outcome,
    lose_tally, alter_tally, split_tally, swap_tallies, alter_window, alter_metrics, lose_metrics, invent_metrics,
    unreadable_metrics, alter_session, lose_session,
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_is_found_at_its_place(plant: Callable[[MemoryLogs], tuple[str, str, str]]) -> None:
    logs = recorded()
    kind, place, difference = plant(logs)
    report = recount(logs)
    assert kind in differing(report)
    assert [finding for finding in report.found if place in finding.place and difference in finding.difference], (
        report.found[:10]
    )


@pytest.mark.parametrize(
    "plant",
    [
        alter_row, lose_row, invent_row, alter_watermark, lose_outcome, invent_outcome, alter_outcome, lose_suggestion,
        invent_suggestion, alter_window, alter_metrics, lose_metrics, alter_session, lose_session, lose_dead_letter,
        other_reason, split_tally, swap_tallies,
    ],
)  # fmt: skip
def test_what_leads_to_nothing_else_is_the_only_difference(
    plant: Callable[[MemoryLogs], tuple[str, str, str]],
) -> None:
    logs = recorded()
    kind, _, _ = plant(logs)
    report = recount(logs)
    assert differing(report) == {kind: 1}, report.found


@pytest.mark.parametrize(
    ("row", "kind"), [("session-events", "events"), ("pairs", "increments"), ("tallies", "tallies")]
)
def test_a_lost_last_record_is_missed_since_its_sender_has_committed(row: str, kind: str) -> None:
    logs = recorded()
    logs.remove(row, 0, logs.ends[row, 0] - 1)
    report = recount(logs)
    assert differing(report)[kind] > 0
    if row == "session-events":
        assert report.counts["events"].pending == 0
        logs.committed.clear()
        assert recount(logs).counts["events"].pending > 0


@pytest.mark.parametrize(
    ("row", "kind"), [("session-events", "events"), ("pairs", "increments"), ("tallies", "tallies")]
)
def test_what_a_record_says_to_cover_is_missed_without_any_mark_or_commit(row: str, kind: str) -> None:
    logs = recorded()
    logs.committed.clear()
    for place in logs.tables:
        logs.tables[place] = TableState({}, None)
    for partition in (0, 1):
        logs.cut("acceptance-metrics", partition, logs.ends["acceptance-metrics", partition])
    assert recount(logs).found == ()
    logs.change_packed(row, 0, logs.ends[row, 0] - 1, lambda packed: packed.entries.clear())
    assert differing(recount(logs))[kind] > 0


def test_repeated_messages_are_counted_and_the_first_one_is_taken() -> None:
    logs = recorded()
    for row, offset in (("suggestions", 5), ("acceptance", 30)):
        logs.append(row, 0, logs.logs[row, 0][offset].value, headers=logs.logs[row, 0][offset].headers)
    second = json.loads(logs.logs["suggestions", 1][40].value or b"") | {"items": [], "reason": "no-item"}
    logs.append("suggestions", 1, json.dumps(second).encode(), headers=logs.logs["suggestions", 1][40].headers)
    logs.append("dead-letters", 0, logs.logs["dead-letters", 0][0].value)
    report = recount(logs)
    assert (report.found, report.repeated) == ((), 3)


def test_late_and_repeated_packed_records_have_no_effect() -> None:
    logs = recorded()
    for row, offset in (("session-events", 3), ("pairs", 4), ("tallies", 5)):
        logs.append(row, 0, logs.logs[row, 0][offset].value)
    gap = CODECS["pairs"].decode(logs.logs["pairs", 1][-1].value)
    gap.spans[:] = [Span("0", 500, 501)]
    gap.entries[:] = [msgspec.structs.replace(gap.entries[0], span=0, offset=501)]
    logs.append("pairs", 1, CODECS["pairs"].encode(gap))
    assert recount(logs).found == ()


def test_a_letter_that_closes_another_refuses_nothing() -> None:
    logs = recorded()
    letter = json.loads(logs.logs["dead-letters", 0][0].value or b"")
    logs.append("dead-letters", 0, json.dumps(letter | {"reason": "redriven"}).encode())
    assert recount(logs).found == ()
    logs.replace("browse", 0, letter["offset"], value=logs.logs["browse", 0][5].value)
    assert recount(logs).found == (), "what could be accepted by now was sent again"
    logs.remove("dead-letters", 0, len(logs.logs["dead-letters", 0]) - 1)
    assert differing(recount(logs)) == {"events": 1}


# -- a deployment that lags behind


def test_what_is_not_processed_yet_is_pending_and_no_difference() -> None:
    logs = recorded()
    whole = recount(logs)
    value = logs.logs["browse", 0][0].value
    for _ in range(4):
        logs.append("browse", 0, value)
    logs.append("browse", 0, b"no json")
    report = recount(logs)
    assert (report.differences, report.pending) == (0, 5)
    assert report.counts["events"].compared == whole.counts["events"].compared


def test_a_log_that_is_not_folded_yet_waits_for_its_stage() -> None:
    """Suggestions, increments and tallies reach to the tenth record, nothing is flushed, no outcome is sent."""
    logs = recorded()
    for partition in (0, 1):
        for row in ("pairs", "tallies"):
            logs.ends[row, partition] = min(10, logs.ends[row, partition])
            logs.logs[row, partition] = logs.logs[row, partition][:10]
        for row in ("suggestions", "acceptance"):
            kept = logs.logs[row, partition]
            headers = [int(dict(record.headers).get(LOG_OFFSET, b"0")) for record in kept]
            if row == "suggestions":
                kept = [record for record, offset in zip(kept, headers, strict=True) if offset < 10]
            else:
                kept = []
            logs.logs[row, partition] = kept
            logs.ends[row, partition] = len(kept)
        for table in ("sessions", "cooccurrence", "kpi"):
            logs.tables[table, partition] = TableState({}, None)
        logs.logs["acceptance-metrics", partition] = []
        logs.ends["acceptance-metrics", partition] = 0
    report = recount(logs)
    assert report.found == ()
    counts = report.counts
    assert counts["increments"].compared and counts["increments"].pending
    assert counts["suggestions"].compared + counts["suggestions"].pending == 606
    assert counts["outcomes"].pending > 0
    assert report.pending == counts["suggestions"].pending > 0


def test_rows_are_compared_as_of_their_mark() -> None:
    """The table is that of the first twelve records; the log goes on."""
    logs = recorded()
    for partition in (0, 1):
        rows, watermarks, newest = _folded(logs, partition, 12)
        state = logs.tables["cooccurrence", partition]
        assert state.mark is not None
        logs.tables["cooccurrence", partition] = TableState(
            {key: ROWS["cooccurrence"].encode(row) for key, row in rows.items()},
            msgspec.structs.replace(state.mark, position=12, watermarks=watermarks, newest=newest),
        )
    report = recount(logs)
    assert report.found == ()
    put_mark(logs, "cooccurrence", 1, position=13)
    assert set(differing(recount(logs))) == {"rows"}


def _folded(logs: MemoryLogs, partition: int, position: int) -> tuple[PlainRows, dict[str, int], int]:
    rows = PlainRows(PARAMETERS)
    shard: Any = Shard(partition, rows)
    for record in logs.logs["pairs", partition][:position]:
        learn(shard, rows, record.offset, CODECS["pairs"].decode(record.value))
    return rows, shard.watermarks.as_dict(), shard.newest


def test_replicas_are_compared_at_their_own_position() -> None:
    logs = recorded()
    rows, _, _ = _folded(logs, 0, 6)
    digest = RowsDigest()
    for item in sorted(rows):
        digest.add(item, rows[item])
    right = ReplicaPart("http://w:1", 6, len(rows), digest.hexdigest())
    report = recount(logs, ReplicaParts({0: [right]}, []))
    assert (report.found, report.counts["replicas"].compared) == ((), 1)
    wrong = [right._replace(position=5), right._replace(rows=1), right._replace(digest="0")]
    report = recount(logs, ReplicaParts({0: wrong}, []))
    assert differing(report) == {"replicas": 3}
    assert "replica of http://w:1, partition 0, position 6" in {finding.place for finding in report.found}
    aside = [right._replace(digest=None), right._replace(position=999)]
    report = recount(logs, ReplicaParts({0: aside}, ["the replica of http://w:2 is not compared"]))
    assert report.found == ()
    assert [("changed" in note, "past" in note, "w:2" in note) for note in report.not_counted] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


# -- retention


@pytest.mark.parametrize(
    ("row", "partition", "begin"),
    [
        ("browse", 0, 100), ("session-events", 0, 12), ("pairs", 0, 12), ("tallies", 0, 12), ("suggestions", 1, 100),
        ("acceptance", 0, 40), ("acceptance-metrics", 0, 3), ("dead-letters", 0, 1), ("session-events", 1, 25),
    ],
)  # fmt: skip
def test_a_log_that_retention_has_cut_makes_no_difference_but_items_that_cannot_be_counted(
    row: str, partition: int, begin: int
) -> None:
    logs = recorded()
    logs.cut(row, partition, begin)
    report = recount(logs)
    assert report.found == ()
    assert report.uncountable > 0
    assert any(row in sentence or "session-events" in sentence for sentence in report.not_counted)


def test_what_a_cut_leaves_whole_is_still_compared() -> None:
    logs = recorded()
    logs.cut("session-events", 0, 12)
    logs.cut("pairs", 0, 12)
    logs.cut("browse", 0, 100)
    compared = {kind: count.compared for kind, count in recount(logs).counts.items()}
    assert all(compared[kind] for kind in KINDS if kind != "replicas")
    alter_row(logs)
    lost = json.loads(logs.logs["acceptance", 1][30].value or b"")["outcome_id"]
    logs.remove("acceptance", 1, 30)
    report = recount(logs)
    assert differing(report) == {"outcomes": 1, "rows": 1}
    assert any(lost in finding.difference for finding in report.found)


def test_all_logs_cut_at_once_make_no_difference() -> None:
    logs = recorded()
    for (row, partition), end in logs.ends.items():
        logs.cut(row, partition, end // 3)
    report = recount(logs)
    assert report.found == ()
    assert report.uncountable > 0


def test_a_topic_made_again_is_an_accident() -> None:
    logs = recorded()
    logs.topic_ids["pairs"] = "another"
    with pytest.raises(AccidentError, match="the topic pairs was deleted and made again"):
        recount(logs)


def test_the_half_life_is_that_of_the_mark() -> None:
    logs = recorded()
    for partition in (0, 1):
        put_mark(logs, "cooccurrence", partition, half_life_ms=DEFAULTS.half_life_ms // 2)
    assert set(differing(recount(logs))) == {"rows"}
