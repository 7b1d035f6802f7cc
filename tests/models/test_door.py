"""Ingest packs what it accepts by session, sets aside what it refuses, and its spans cover both."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.coverage import NOTHING_SENT, Chain, Packed, Span, Watermarks
from models.door import Admitted, InputRecord, Rejected, admit_records
from models.layout import events
from models.parameters import DEFAULTS
from models.partitioning import partition_of
from models.records import REASONS, Kind
from models.suggesting import EventEntry

NOW_MS = 1_767_607_200_000
PARTITIONS = 4
Origin = tuple[Kind, int]


def session_in(partition: int) -> str:
    """A session id of the partition."""
    return next(name for name in map(str, range(1_000)) if partition_of(name, PARTITIONS) == partition)


def record(offset: int, target: int = 0, kind: Kind = "browse", partition: int = 0) -> InputRecord:
    message: dict[str, object] = {
        "event_id": f"{kind}-{partition}-{offset}",
        "session_id": session_in(target),
        "time": NOW_MS,
        "item_id": "tea",
        "order_id": "o1",
        "lines": [{"item_id": "tea"}],
    }
    return InputRecord(kind, partition, offset, NOW_MS + offset, b"key", json.dumps(message).encode())


def bad(offset: int, value: bytes | None = b"{", kind: Kind = "browse") -> InputRecord:
    return InputRecord(kind, 0, offset, NOW_MS, b"key", value)


def chains_of(*origins: Origin) -> dict[Origin, Chain]:
    return {(kind, partition): Chain(f"{kind}-{partition}") for kind, partition in origins}


def admit(records: list[InputRecord], chains: dict[Origin, Chain] | None = None) -> Admitted:
    return admit_records(records, chains or chains_of(("browse", 0)), PARTITIONS, DEFAULTS)


def unpacked(admitted: Admitted) -> dict[int, Packed[EventEntry]]:
    return {target: events.decode(content) for target, content in admitted.packed.items()}


def contents(admitted: Admitted) -> dict[int, tuple[list[Span], list[tuple[int, int]]]]:
    return {
        target: (packed.spans, [(entry.span, entry.offset) for entry in packed.entries])
        for target, packed in unpacked(admitted).items()
    }


# -- packing


def test_an_empty_batch_brings_nothing() -> None:
    assert admit([]) == Admitted({}, {}, [])


def test_events_are_packed_by_the_partition_of_their_session_in_the_order_of_the_batch() -> None:
    admitted = admit([record(0, target=1), record(1, target=3), record(2, target=1)])
    assert contents(admitted) == {
        1: ([Span("browse-0", NOTHING_SENT, 2)], [(0, 0), (0, 2)]),
        3: ([Span("browse-0", NOTHING_SENT, 2)], [(0, 1)]),
    }
    assert admitted.accepted == {"browse": 3}


def test_an_entry_keeps_the_offset_and_the_timestamp_of_its_record() -> None:
    (entry,) = unpacked(admit([record(7)]))[0].entries
    assert (entry.offset, entry.timestamp, entry.event.event_id) == (7, NOW_MS + 7, "browse-0-7")


def test_one_record_a_target_has_a_span_for_each_input_partition() -> None:
    records = [
        record(5, kind="browse"),
        record(3, kind="orders"),
        record(6, kind="browse"),
        record(0, kind="browse", partition=1),
    ]
    chains = chains_of(("browse", 0), ("browse", 1), ("orders", 0))
    admitted = admit(records, chains)
    assert contents(admitted) == {
        0: (
            [Span("browse-0", -1, 6), Span("orders-0", -1, 3), Span("browse-1", -1, 0)],
            [(0, 5), (1, 3), (0, 6), (2, 0)],
        )
    }
    assert admitted.accepted == {"browse": 3, "orders": 1}


# -- refusing


def test_a_refused_record_is_set_aside_with_its_reason() -> None:
    first, second = bad(0), bad(1, None)
    rejected = admit([first, record(2), second]).rejected
    assert [(r.record, r.reason) for r in rejected] == [(first, "invalid-json"), (second, "empty-message")]
    assert all(isinstance(r, Rejected) and r.detail for r in rejected)


def test_every_reason_of_the_door_reaches_the_rejected() -> None:
    def changed(**fields: object) -> bytes:
        return json.dumps({"event_id": "e", "session_id": "s", "item_id": "i", "time": NOW_MS} | fields).encode()

    wrong = [changed(item_id=""), changed(time=0), changed(time=NOW_MS + 10**9)]
    values = [None, b"{", b"{}", b" " * 262_145, b"[" * 129, *wrong]
    rejected = admit([bad(offset, value) for offset, value in enumerate(values)]).rejected
    assert {r.reason for r in rejected} == set(REASONS)


def test_a_batch_of_refused_records_sends_nothing_and_moves_no_chain() -> None:
    chains = chains_of(("browse", 0))
    admitted = admit([bad(0), bad(1)], chains)
    assert (admitted.packed, admitted.accepted, chains["browse", 0].as_dict()) == ({}, {}, {})


def test_the_span_covers_the_refused_records_before_between_and_after() -> None:
    assert contents(admit([bad(0), record(1), bad(2), record(3), bad(4)])) == {
        0: ([Span("browse-0", -1, 4)], [(0, 1), (0, 3)])
    }


def test_the_next_span_covers_what_a_target_did_not_get() -> None:
    chains = chains_of(("browse", 0))
    spans = [
        contents(admit(records, chains))
        for records in (
            [record(0, target=1), record(1, target=2)],
            [bad(2)],
            [record(3, target=1)],
            [record(9, target=2)],
        )
    ]
    assert spans == [
        {1: ([Span("browse-0", -1, 1)], [(0, 0)]), 2: ([Span("browse-0", -1, 1)], [(0, 1)])},
        {},
        {1: ([Span("browse-0", 1, 3)], [(0, 3)])},
        {2: ([Span("browse-0", 1, 9)], [(0, 9)])},
    ]


def test_a_chain_goes_on_where_the_mark_says() -> None:
    chains: dict[Origin, Chain] = {("browse", 0): Chain("browse-0", {1: 40})}
    admitted = admit_records([record(50, target=1)], chains, PARTITIONS, DEFAULTS)
    assert unpacked(admitted)[1].spans == [Span("browse-0", 40, 50)]
    assert chains["browse", 0].as_dict() == {1: 50}


# -- laws

_origins: list[Origin] = [("browse", 0), ("browse", 1), ("orders", 0)]


@st.composite
def inputs(draw: st.DrawFn) -> list[InputRecord]:
    """Records of three input partitions, offsets ascending with holes, some of them bad."""
    offsets = dict.fromkeys(_origins, -1)
    records = []
    for kind, partition in draw(st.lists(st.sampled_from(_origins), max_size=20)):
        offset = offsets[kind, partition] = offsets[kind, partition] + draw(st.integers(1, 3))
        target = draw(st.integers(-1, PARTITIONS - 1))
        good = record(offset, max(0, target), kind, partition)
        records.append(good if target >= 0 else good._replace(value=b"{"))
    return records


def cut(records: list[InputRecord], at: list[int]) -> list[list[InputRecord]]:
    bounds = sorted({0, *(min(n, len(records)) for n in at), len(records)})
    return [records[start:end] for start, end in pairwise(bounds)]


@given(records=inputs(), at=st.lists(st.integers(0, 20), max_size=5))
def test_every_record_is_either_an_entry_of_its_target_or_refused(records: list[InputRecord], at: list[int]) -> None:
    chains = chains_of(*_origins)
    entries: dict[int, list[str]] = {}
    rejected = []
    for batch in cut(records, at):
        admitted = admit(batch, chains)
        rejected += [r.record for r in admitted.rejected]
        assert sum(admitted.accepted.values()) == len(batch) - len(admitted.rejected)
        for target, packed in unpacked(admitted).items():
            entries.setdefault(target, []).extend(entry.event.event_id for entry in packed.entries)
            for entry in packed.entries:
                assert packed.spans[entry.span].start < entry.offset <= packed.spans[entry.span].end
    assert rejected == [r for r in records if r.value == b"{"]
    expected: dict[int, list[str]] = {}
    for r in records:
        if r.value != b"{":
            message = json.loads(r.value or b"")
            expected.setdefault(partition_of(message["session_id"], PARTITIONS), []).append(message["event_id"])
    assert entries == expected


@given(
    records=inputs(), first=st.lists(st.integers(0, 20), max_size=5), second=st.lists(st.integers(0, 20), max_size=5)
)
def test_a_restart_from_the_beginning_with_other_batches_has_no_second_effect(
    records: list[InputRecord], first: list[int], second: list[int]
) -> None:
    watermarks = [Watermarks() for _ in range(PARTITIONS)]
    applied = []
    for at in (first, second):
        chains = chains_of(*_origins)
        for batch in cut(records, at):
            for target, packed in unpacked(admit(batch, chains)).items():
                after, verdicts = watermarks[target].admit(packed.spans)
                assert "gap" not in verdicts
                for entry in packed.entries:
                    above = after[entry.span]
                    if above is not None and entry.offset > above:
                        applied.append(entry.event.event_id)
    assert sorted(applied) == sorted(f"{r.kind}-{r.partition}-{r.offset}" for r in records if r.value != b"{")
