"""Records of `pairs` come back from their bytes, which are the documented ones."""

import struct
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Increment
from models.coverage import Span
from models.layout.fields import Reader
from models.layout.pairs import INCREMENTS_MAX, decode, encode, head_bytes, read_head
from models.learning import PackedPairs, PairEntry

OFFSET_MAX = 2**63 - 1

#: Few texts, so that items, anchors and categories share them; among them the empty one, as an anchor.
texts = st.sampled_from(["", "tea", "cup", "é", "\U0001f600", "x" * 300])
categories = st.none() | st.sampled_from(["tea", "drinks"])
weights = st.floats(0, allow_nan=False)
flags = st.integers(0, 1)
others = st.lists(st.tuples(texts, weights, flags, flags), max_size=3).map(tuple)
increments = st.builds(Increment, texts, st.integers(0, 255), st.integers(0, 255), others, categories)
times = st.integers(-(2**63), OFFSET_MAX)
few = st.integers(0, 2)


@st.composite
def records(draw: st.DrawFn) -> PackedPairs:
    spans = draw(st.lists(st.builds(Span, texts, st.integers(-1, OFFSET_MAX), st.integers(0, OFFSET_MAX)), max_size=3))
    entries = st.builds(
        PairEntry, st.sampled_from(range(len(spans))), few | st.just(OFFSET_MAX), few | times, few | times, increments
    )
    return PackedPairs(
        spans, draw(st.lists(entries, max_size=8)) if spans else [], draw(st.none() | st.integers(0, 2**40))
    )


@given(records())
def test_a_record_comes_back(record: PackedPairs) -> None:
    assert decode(encode(record)) == record


def test_the_layout_is_the_documented_one() -> None:
    tea = Increment("tea", 1, 1, (("cup", 0.5, 1, 0), ("é", 2.0, 0, 1)), "drinks")
    entries = [
        PairEntry(0, 7, 5, 9, tea),
        PairEntry(0, 7, 5, 9, Increment("", sessions=1)),
        PairEntry(0, 7, 6, 9, Increment("cup", 1)),
        PairEntry(1, 3, 6, 9, Increment("tea", others=(("cup", 1.0, 1, 1),))),
    ]
    content = encode(PackedPairs([Span("0", -1, 7), Span("12", 1, 4)], entries, 250_000))
    assert content.hex(" ", -4) == bytes.fromhex(
        "90d0030000000000"
        "0200"
        "0100 30 ffffffffffffffff 0700000000000000"
        "0200 3132 0100000000000000 0400000000000000"
        "05000000 02000000 04000000 03000000"
        "0300 746561 0600 6472696e6b73 0300 637570 0200 c3a9 0000"
        # offset 7: two arrivals, of which the first has two increments
        "0000 0700000000000000 02000000"
        "0500000000000000 0900000000000000 0200"
        "00000000 01 01 01000000 0200"
        "02000000 000000000000e03f 01"
        "03000000 0000000000000040 02"
        "04000000 00 01 ffffffff 0000"
        "0600000000000000 0900000000000000 0100"
        "02000000 01 00 ffffffff 0000"
        # the other span's offset 3
        "0100 0300000000000000 01000000"
        "0600000000000000 0900000000000000 0100"
        "00000000 00 00 ffffffff 0100"
        "02000000 000000000000f03f 03"
    ).hex(" ", -4)
    assert content.startswith(head_bytes(250_000, [Span("0", -1, 7), Span("12", 1, 4)]))


@given(records())
def test_the_head_says_what_the_record_has(record: PackedPairs) -> None:
    content = encode(record)
    head = read_head(Reader(content))
    named = {increment.anchor for increment in (entry.increment for entry in record.entries)}
    for entry in record.entries:
        named |= {other for other, *_ in entry.increment.others}
        named |= {entry.increment.category} - {None}
    assert (head.rows_max, head.spans, head.texts) == (record.rows_max, record.spans, len(named))
    assert head.sections == len(list(groupby(record.entries, lambda entry: (entry.span, entry.offset))))
    assert head.increments == len(record.entries)
    assert head.others == sum(len(entry.increment.others) for entry in record.entries)


def test_more_increments_of_one_arrival_than_a_count_holds_come_back() -> None:
    entries = [PairEntry(0, 7, 5, 9, Increment(str(number))) for number in range(INCREMENTS_MAX + 2)]
    record = PackedPairs([Span("0", -1, 7)], entries)
    assert decode(encode(record)) == record


ONE = PackedPairs([Span("0", -1, 7)], [PairEntry(0, 7, 5, 9, Increment("tea", 1, 1, (("cup", 0.5, 1, 0),), "drinks"))])
#: Where the parts of the record begin.
SPANS, COUNTS, TEXTS = 8, 29, 45
SECTION = TEXTS + len("..tea..drinks..cup")
INCREMENT = SECTION + 14 + 18
OTHER = INCREMENT + 12


def changed(at: int, layout: str, number: int) -> bytes:
    content = bytearray(encode(ONE))
    struct.pack_into(layout, content, at, number)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends after 0 bytes, within a field"),
        (encode(ONE)[:-1], "it ends after 119 bytes, within a field"),
        (encode(ONE) + b"\0", "1 bytes follow its last field"),
        (changed(0, "<q", -2), "it bounds a partition to -2 rows"),
        (changed(COUNTS, "<I", 2), "a section has span 3 of 1"),
        (changed(COUNTS + 4, "<I", 0), "57 bytes follow its last field"),
        (changed(COUNTS + 8, "<I", 2), "it has 1 increments with 1 others, and says 2 with 1"),
        (changed(COUNTS + 12, "<I", 0), "it has 1 increments with 1 others, and says 1 with 0"),
        (changed(TEXTS + 2, "<B", 0xFF), "'utf-8' codec can't decode byte 0xff"),
        (changed(SECTION, "<H", 1), "a section has span 1 of 1"),
        (changed(INCREMENT, "<I", 3), "it names text 3 of 3"),
        (changed(INCREMENT + 6, "<I", 4), "it names text 4 of 3"),
        (changed(OTHER, "<I", 2**31), "it names text 2147483648 of 3"),
        (changed(OTHER + 12, "<B", 4), "an other has the flags 4"),
    ],
)
def test_bytes_that_cannot_be_read_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        decode(content)


@given(st.data())
def test_changed_bytes_are_refused_or_read_as_another_record(data: st.DataObject) -> None:
    content = bytearray(encode(data.draw(records())))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = decode(bytes(content))
    except ValueError:
        return
    assert isinstance(record, PackedPairs)
