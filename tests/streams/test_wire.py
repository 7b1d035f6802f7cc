"""What is encoded comes back the same, and what no Sidecart wrote is refused."""

import base64
import copy
import json
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row, fold
from models.coverage import Packed, Span
from models.door import InputRecord, Rejected
from models.errors import AccidentError, InvariantError
from models.evidence import Evidence
from models.kpi import Tally, Window
from models.ladder import SuggestedItem
from models.learning import PackedPairs, PairEntry
from models.measuring import TallyEntry
from models.parameters import Parameters
from models.records import Event, Line
from models.session import Offer, Session
from models.suggesting import EventEntry, Suggestion
from streams.topics import MAX_RECORD_BYTES, TABLES
from streams.wire import (
    MARK_KEY,
    PACKED_EVENTS,
    PACKED_PAIRS,
    PACKED_TALLIES,
    ROWS,
    DoorMark,
    Mark,
    PackedCodec,
    dead_letter,
    decode_door_mark,
    decode_mark,
    decode_suggestion,
    encode_door_mark,
    encode_json,
    encode_mark,
    row_id,
    row_key,
)

OFFSET_MAX = 2**63 - 1
CODECS = {"session-events": PACKED_EVENTS, "pairs": PACKED_PAIRS, "tallies": PACKED_TALLIES}

texts = st.text(max_size=12)
ids = st.text(min_size=1, max_size=12)
offsets = st.integers(0, OFFSET_MAX)
times = st.integers(946_684_800_000, 4_102_444_800_000)
counts = st.integers(0, 2**40)
weights = st.floats(0, allow_nan=False, allow_infinity=False)
indexes = st.integers(0, 100)
hashes = st.integers(-(2**63), 2**63 - 1)

spans = st.lists(st.builds(Span, ids, st.integers(-1, OFFSET_MAX), offsets), max_size=4)
lines = st.builds(Line, ids, st.integers(1, 1_000_000), st.none() | weights, st.none() | ids)
events = st.builds(
    Event,
    st.sampled_from(["browse", "add-to-cart", "orders"]),
    ids,
    ids,
    times,
    ids,
    st.lists(lines, max_size=3).map(tuple),
    st.sampled_from(["add", "remove", "clear"]),
    st.none() | ids,
    st.none() | ids,
    st.none() | ids,
)
flags = st.integers(0, 1)
others = st.lists(st.tuples(ids, weights, flags, flags), max_size=4).map(tuple)
increments = st.builds(Increment, texts, flags, flags, others, st.none() | ids)
revenue = st.lists(st.tuples(texts, counts), max_size=2).map(tuple)
tallies = st.builds(Tally, times, ids, counts, counts, counts, counts, counts, counts, revenue)


def checked(content: bytes) -> bytes:
    """A packed record of this content."""
    return b"\x04" + zlib.crc32(content).to_bytes(4) + content


def packed(entries: st.SearchStrategy[Any]) -> st.SearchStrategy[Packed[Any]]:
    return st.builds(Packed, spans, st.lists(entries, max_size=4))


@st.composite
def packed_events(draw: st.DrawFn) -> Packed[EventEntry]:
    """Entries, each in one of the record's spans."""
    chosen = draw(spans)
    entries = st.builds(EventEntry, st.sampled_from(range(len(chosen))), offsets, times, events)
    return Packed(chosen, draw(st.lists(entries, max_size=4)) if chosen else [])


# -- packed records


@given(packed_events())
def test_packed_events_come_back(record: Packed[EventEntry]) -> None:
    assert PACKED_EVENTS.decode(PACKED_EVENTS.encode(record)) == record


@st.composite
def packed_pairs(draw: st.DrawFn) -> PackedPairs:
    """Increments, each in one of the record's spans; and a bound."""
    chosen = draw(spans)
    entries = st.builds(PairEntry, st.sampled_from(range(len(chosen))), offsets, times, times, increments)
    return PackedPairs(chosen, draw(st.lists(entries, max_size=4)) if chosen else [], draw(st.none() | counts))


@given(packed_pairs())
def test_packed_increments_come_back(record: PackedPairs) -> None:
    assert PACKED_PAIRS.decode(PACKED_PAIRS.encode(record)) == record


@given(packed(st.builds(TallyEntry, indexes, offsets, tallies)))
def test_packed_tallies_come_back(record: Packed[TallyEntry]) -> None:
    assert PACKED_TALLIES.decode(PACKED_TALLIES.encode(record)) == record


def test_weights_come_back_bit_by_bit() -> None:
    increment = Increment(
        "tea", others=(("cup", 0.1 + 0.2, 1, 0), ("pot", 5e-324, 0, 1), ("mug", 1.7976931348623157e308, 1, 1))
    )
    record = PackedPairs([Span("0", -1, 4)], [PairEntry(0, 4, 1, 1, increment)])
    decoded = PACKED_PAIRS.decode(PACKED_PAIRS.encode(record)).entries[0].increment
    assert [weight.hex() for _, weight, *_ in decoded.others] == [weight.hex() for _, weight, *_ in increment.others]


def test_the_layout_is_the_documented_one() -> None:
    lines = (Line("tea", 2, 0.5, "drinks"), Line("cup"))
    event = Event("orders", "e1", "s1", 5, "order", lines, order_id="o1", currency="EUR", suggestion_id="x")
    cleared = Event("add-to-cart", "é", "s1", 6, "cart", action="clear")
    entries = [EventEntry(0, 7, 9, event), EventEntry(1, 3, -1, cleared)]
    value = PACKED_EVENTS.encode(Packed([Span("orders-0", -1, 7), Span("add-to-cart-2", 1, 4)], entries))
    assert value[:5] == b"\x04" + zlib.crc32(value[5:]).to_bytes(4)
    assert value[5:].hex(" ", -4) == bytes.fromhex(
        "0200"
        "0800 6f72646572732d30 ffffffffffffffff 0700000000000000"
        "0d00 6164642d746f2d636172742d32 0100000000000000 0400000000000000"
        "02000000 02000000"
        "0000 02 00 0700000000000000 0900000000000000 0500000000000000"
        "0200 7331 0200 6531 0500 6f72646572 0200 6f31 0300 455552 0100 78"
        "0200 0300 746561 0600 6472696e6b73 02000000 000000000000e03f"
        "0300 637570 0000 01000000 000000000000f87f"
        "0100 01 02 0300000000000000 ffffffffffffffff 0600000000000000"
        "0200 7331 0200 c3a9 0400 63617274 0000 0000 0000"
        "0000"
    ).hex(" ", -4)
    value = PACKED_TALLIES.encode(Packed([Span("0", 3, 7)], [TallyEntry(0, 7, Tally(60_000, "cart", suggestions=1))]))
    assert msgspec.msgpack.decode(value[5:]) == [[["0", 3, 7]], [[0, 7, [60_000, "cart", 1, 0, 0, 0, 0, 0, []]]]]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
@given(garbage=st.binary(max_size=64))
def test_bytes_that_no_sidecart_wrote_are_refused(codec: PackedCodec[Any], garbage: bytes) -> None:
    for value in (garbage, b"\x04" + garbage, checked(garbage)):
        try:
            record = codec.decode(value)
        except InvariantError:
            continue
        assert isinstance(record, Packed)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is empty"),
        (b"", "is empty"),
        (b"\x03\x92\x90\x90", r"starts with b'\\x03', not with version b'\\x04'"),
        (b'{"spans": []}', "starts with b'{'"),
        (b"\x04", "is damaged"),
        (b"\x04\x92\x90\x90", "is damaged"),
    ],
)
def test_a_refusal_says_why(codec: PackedCodec[Any], value: bytes | None, message: str) -> None:
    with pytest.raises(InvariantError, match=f"^a packed record {message}"):
        codec.decode(value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends after 0 bytes, within a field"),
        (bytes(9), "it ends after 9 bytes, within a field"),
        (bytes(11), "1 bytes follow its last field"),
        (bytes(2) + b"\0\0\0\0\1\0\0\0", "it has 0 lines, and says 1"),
        (bytes(2) + b"\1\0\0\0\0\0\0\0" + bytes(42), "an entry has span 0 of 0, kind 0 and action 0"),
        (b"\1\0\1\0\xff" + bytes(24), "'utf-8'"),
    ],
)
def test_content_of_session_events_that_cannot_be_read_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvariantError, match=f"^a packed record cannot be read: {message}"):
        PACKED_EVENTS.decode(checked(content))


def test_content_of_pairs_that_cannot_be_read_is_refused() -> None:
    for content, message in ((b"", "it ends after 0 bytes, within a field"), (bytes(27), "1 bytes follow its last")):
        with pytest.raises(InvariantError, match=f"^a packed record cannot be read: {message}"):
            PACKED_PAIRS.decode(checked(content))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (checked(b""), "cannot be read: Input data was truncated"),
        (checked(b"\x92\x90"), "cannot be read: Input data was truncated"),
        (checked(b"\x92\x90\x90\x00"), "cannot be read: MessagePack data is malformed: trailing characters"),
        (checked(b"\x90"), "cannot be read: Expected `array` of at least length 2, got 0"),
        (checked(b"\x92\x91\x93\xa1a\xc0\x00\x90"), "cannot be read: Expected `int`"),
        (checked(b"\x92\x91\x93\xa1\xff\x00\x00\x90"), "cannot be read: 'utf-8'"),
    ],
)
def test_an_array_that_cannot_be_read_is_refused(value: bytes, message: str) -> None:
    with pytest.raises(InvariantError, match=f"^a packed record {message}"):
        PACKED_TALLIES.decode(value)


@given(st.data())
def test_a_damaged_record_is_refused_and_not_applied(data: st.DataObject) -> None:
    event = Event("browse", "e1", "s1", 5, "browse", (Line("tea", category="drinks"),))
    value = bytearray(PACKED_EVENTS.encode(Packed([Span("browse-0", -1, 7)], [EventEntry(0, 7, 9, event)])))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvariantError):
        PACKED_EVENTS.decode(bytes(value))


@pytest.mark.parametrize("topic", ["session-events", "pairs", "tallies"])
def test_a_record_of_another_internal_topic_is_refused(topic: str) -> None:
    event = Event("browse", "e1", "s1", 5, "browse")
    values = {
        "session-events": PACKED_EVENTS.encode(Packed([Span("browse-0", -1, 7)], [EventEntry(0, 7, 9, event)])),
        "pairs": PACKED_PAIRS.encode(PackedPairs([Span("0", -1, 7)], [PairEntry(0, 7, 5, 9, Increment("tea"))])),
        "tallies": PACKED_TALLIES.encode(Packed([], [TallyEntry(0, 7, Tally(0, "cart"))])),
    }
    for other in CODECS.keys() - {topic}:
        with pytest.raises(InvariantError):
            CODECS[topic].decode(values[other])


# -- rows


@st.composite
def cooccurrence_rows(draw: st.DrawFn) -> Row:
    neighbours = draw(st.lists(ids, max_size=6, unique=True))
    return Row(
        draw(st.integers(-(2**40), 2**40)),
        *draw(st.tuples(weights, weights, weights)),
        weights={item: draw(weights) for item in neighbours},
        pairs={item: draw(weights) for item in neighbours},
        comparisons={item: draw(weights) for item in neighbours if draw(st.booleans())},
        category=draw(st.none() | ids),
        recent=draw(weights),
    )


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    time = draw(times)
    # The id begins with the time, and goes on with kind, partition and offset.
    suggestion_id = f"{time:012x}{draw(st.integers(0, 2**24 - 1)):06x}{draw(st.integers(0, 2**56 - 1)):014x}"
    return Offer(suggestion_id, time, draw(ids), tuple(draw(st.lists(ids, max_size=4))))


rows = {
    "sessions": st.builds(
        Session,
        times,
        times,
        counts,
        st.lists(st.tuples(ids, times), max_size=4),
        st.dictionaries(ids, st.none(), max_size=4),
        st.dictionaries(ids, counts, max_size=4),
        st.dictionaries(ids, st.none(), max_size=4),
        st.lists(offers(), max_size=2),
        st.dictionaries(ids, st.integers(0, 7), max_size=4),
        st.dictionaries(hashes, st.none(), max_size=4),
        st.dictionaries(hashes, st.none(), max_size=4),
    ),
    "cooccurrence": cooccurrence_rows(),
    "kpi": st.builds(
        Window, counts, counts, counts, counts, counts, counts, st.dictionaries(texts, counts, max_size=3)
    ),
}


def in_order(row: Any) -> Any:
    """Return a row as lists, in which the order of dicts counts too."""
    return [list(part.items()) if isinstance(part, dict) else part for part in msgspec.structs.astuple(row)]


def test_every_table_has_a_codec() -> None:
    assert ROWS.keys() == set(TABLES) == rows.keys()


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
def test_rows_come_back_with_their_dicts_in_order(table: str, data: st.DataObject) -> None:
    row = data.draw(rows[table])
    assert in_order(ROWS[table].decode(ROWS[table].encode(row))) == in_order(row)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("value", [b"", b"{}", b"\x91\xa1\xff", b"\x97\x01\x01"])
def test_a_row_that_cannot_be_read_is_said_in_one_sentence(table: str, value: bytes) -> None:
    with pytest.raises(AccidentError, match=r"^a row of a table cannot be read \(.+\): remove the worker's state"):
        ROWS[table].decode(value)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.25, 0.5, 1.0])), max_size=30), st.data())
def test_a_row_folds_on_the_same_after_it_was_read_back(arrivals: list[tuple[str, float]], data: st.DataObject) -> None:
    parameters = Parameters(row_size=3)
    read_at = data.draw(st.integers(0, len(arrivals)))
    codec = ROWS["cooccurrence"]
    kept = row = fold(None, Increment("tea", 1), 0, parameters)
    for count, (other, weight) in enumerate(arrivals):
        if count == read_at:
            row = codec.decode(codec.encode(copy.deepcopy(kept)))
        increment = Increment("tea", others=((other, weight, 1, 0),))
        kept = fold(kept, increment, 0, parameters)
        row = kept if row is kept else fold(row, increment, 0, parameters)
    assert row == kept and in_order(row)[4:6] == in_order(kept)[4:6]  # comparisons have no order of their own


@given(texts)
def test_the_key_of_a_row_names_it(row: str) -> None:
    assert row_id(row_key(row)) == row
    assert row_key(row) != MARK_KEY


def test_the_key_of_the_mark_is_no_rows() -> None:
    assert row_id(MARK_KEY) is None
    assert row_key("m") == b"rm"


# -- marks

ends = st.dictionaries(st.integers(0, 10_000), offsets, max_size=5)
marks = st.builds(
    Mark,
    position=offsets,
    watermarks=st.dictionaries(ids, offsets, max_size=5),
    newest=times,
    topic_ids=st.dictionaries(ids, texts, max_size=4),
    partitions=st.integers(1, 10_000),
    half_life_ms=counts,
    chains=st.dictionaries(st.sampled_from(["pairs", "tallies"]), ends, max_size=2),
    published_end=offsets,
    pending=st.lists(texts, max_size=3),
)


@given(marks)
def test_marks_come_back(mark: Mark) -> None:
    assert decode_mark(encode_mark(mark)) == mark


def test_a_mark_of_another_layout_is_refused_in_one_sentence() -> None:
    mark = encode_mark(Mark(5, {}, 0, {}, 4, 1000))
    for value in (mark[1:], b"\x01" + mark[1:], b""):
        with pytest.raises(AccidentError, match="written by another version of Sidecart"):
            decode_mark(value)


@given(st.builds(DoorMark, ends))
def test_door_marks_come_back(mark: DoorMark) -> None:
    assert decode_door_mark(encode_door_mark(mark)) == mark


@pytest.mark.parametrize(("partitions", "offset"), [(1, OFFSET_MAX), (128, OFFSET_MAX), (400, 2**32 - 1)])
def test_a_door_mark_fits_the_metadata_of_a_commit(partitions: int, offset: int) -> None:
    mark = DoorMark(dict.fromkeys(range(partitions), offset))
    text = encode_door_mark(mark)
    assert len(text) <= 4096 and text.isascii()  # Kafka's offset.metadata.max.bytes
    assert decode_door_mark(text) == mark


@given(st.text() | st.binary().map(lambda garbage: base64.b64encode(garbage).decode()))
def test_the_metadata_of_another_programs_commit_is_no_mark(metadata: str) -> None:
    assert decode_door_mark(metadata) is None


# -- public messages


ID = 32 * "0"
SAUCER = SuggestedItem("saucer", 1, 0.125, Evidence("pair", "tea", None, 2.0, 0.25, 0.5, None))
SUGGESTION = Suggestion(ID, "e1", "s1", 5, "browse", "tea", 20 * (SAUCER,), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"suggestion_id": "made-up"},
        {"suggestion_id": 32 * "A"},
        {"suggestion_id": 33 * "0"},
        {"items": 21 * (SAUCER,)},
        {"items": (msgspec.structs.replace(SAUCER, item_id=257 * "x"),)},
        {"items": (msgspec.structs.replace(SAUCER, item_id=""),)},
    ],
)
def test_what_no_session_has_room_for_is_no_suggestion_of_sidecart_s(changes: dict[str, Any]) -> None:
    assert decode_suggestion(encode_json(SUGGESTION)) == SUGGESTION
    assert decode_suggestion(encode_json(msgspec.structs.replace(SUGGESTION, **changes))) is None


def test_a_suggestion_comes_back_from_its_topic() -> None:
    evidence = Evidence("neighbour", "tea", "cup", 2.0, 0.25, 0.5, None)
    items = (SuggestedItem("saucer", 1, 0.125, evidence),)
    suggestion = Suggestion(ID, "e1", "s1", 5, "browse", "tea", items, None)
    assert decode_suggestion(encode_json(suggestion)) == suggestion
    empty = Suggestion(ID, "e1", "s1", 5, "browse", None, (), "no-item")
    assert json.loads(encode_json(empty)) == {
        "suggestion_id": ID,
        "event_id": "e1",
        "session_id": "s1",
        "time": 5,
        "moment": "browse",
        "anchor": None,
        "items": [],
        "reason": "no-item",
    }


@given(st.none() | st.binary(), st.none() | st.binary())
def test_a_dead_letter_holds_the_refused_bytes_in_base64(key: bytes | None, value: bytes | None) -> None:
    letter = dead_letter(
        "shop-browse", Rejected(InputRecord("browse", 3, 42, 1_000, key, value), "invalid-json", "why")
    )
    message = json.loads(letter)
    refused = {
        name: None if text is None else base64.b64decode(text) for name, text in message.items() if name in "keyvalue"
    }
    assert refused == {"key": key, "value": value}
    assert {name: message[name] for name in message.keys() - refused.keys()} == {
        "reason": "invalid-json",
        "detail": "why",
        "topic": "shop-browse",
        "partition": 3,
        "offset": 42,
        "timestamp": 1_000,
    }


def test_a_dead_letter_of_several_megabytes_says_where_the_record_is() -> None:
    def letter(key: bytes, value: bytes) -> dict[str, Any]:
        rejected = Rejected(InputRecord("browse", 3, 42, 1_000, key, value), "too-large", "why")
        encoded = dead_letter("browse", rejected)
        assert len(encoded) + len(key) < MAX_RECORD_BYTES
        message: dict[str, Any] = json.loads(encoded)
        return message

    assert letter(b"key", b"x" * 5_000_000)["value"] is not None
    for key, value in ((b"key", b"x" * 6_000_000), (b"k" * 2_700_000, b"x")):
        message = letter(key, value)
        assert (message["key"], message["value"], message["offset"]) == (None, None, 42)
        assert message["detail"] == "why; it is only in the input topic"
