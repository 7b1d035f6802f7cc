"""Learning from the bytes of a record is the plain learning, to the last bit."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment, Row
from models.coverage import Span
from models.decay import EPOCH_HALF_LIVES
from models.kernel.arrays import USED
from models.kernel.learning import DenseShard, learn_packed
from models.kernel.rows import DenseRows, PairsRecord
from models.layout.pairs import decode, encode
from models.learning import PackedPairs, PairEntry, RowShard, learn
from models.parameters import DEFAULTS, Parameters
from models.rows import PlainRows
from models.shard import Shard

HALF_LIFE_MS = 1_000_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
#: Beyond the 512 half-lives at which growth ends.
FAR_MS = 600 * HALF_LIFE_MS

PARTITIONS = 2

ITEMS = ["", "a", "ab", "b", "é", "日本", "\uffff", "\U0001f600"]
#: One of them is an item too.
CATEGORIES = ["x", "y", "ab"]

items = st.sampled_from(ITEMS)
categories = st.sampled_from([None, *CATEGORIES])
amounts = st.sampled_from([0.25, 0.5, 1.0]) | st.floats(0.01, 10.0)
times = st.integers(0, 3 * EPOCH_MS) | st.sampled_from([-FAR_MS, -EPOCH_MS, EPOCH_MS - 1, EPOCH_MS, FAR_MS])
flags = st.integers(0, 1)
others = st.lists(st.tuples(items, amounts, flags, flags), max_size=4).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> tuple[int, PackedPairs]:
    """A partition and a record of its log; the spans of few origins join, repeat or leave gaps as they come."""
    partition = draw(st.integers(0, PARTITIONS - 1))
    ends = st.integers(-1, 9)
    spans = draw(st.lists(st.builds(Span, st.sampled_from("01"), ends, ends), max_size=3))
    # An item's row is always in the same partition.
    anchors = st.sampled_from(ITEMS[partition::PARTITIONS])
    increments = st.builds(Increment, anchors, st.integers(0, 1), st.integers(0, 1), others, categories)
    entries = st.builds(
        PairEntry, st.sampled_from(range(len(spans))), st.integers(0, 9), times, st.integers(0, 3), increments
    )
    own = draw(st.lists(entries, max_size=8)) if spans else []
    return partition, PackedPairs(spans, own, draw(st.none() | st.integers(0, 3)))


#: Records to learn from, each with how far from the position its offset is; or a partition to flush, or to clear.
histories = st.lists(
    st.tuples(records(), st.sampled_from([0, 0, 0, -1]))
    | st.tuples(st.sampled_from(["flush", "clear"]), st.integers(0, PARTITIONS - 1)),
    max_size=10,
)

parameters_of = st.builds(
    replace,
    st.just(DEFAULTS),
    half_life_ms=st.just(HALF_LIFE_MS),
    row_size=st.integers(2, 4),
    leaders_max=st.integers(1, 3),
)


def same_rows(dense: DenseRows, plain: PlainRows) -> None:
    assert dict(dense) == dict(plain)
    for item, row in plain.items():
        heaviest_first = sorted(row.weights, key=lambda other: (-row.weights[other], other))
        assert list(dense[item].weights) == heaviest_first
    for category in (None, *CATEGORIES):
        assert dense.leaders(category) == plain.leaders(category)


@settings(max_examples=500)
@given(history=histories, parameters=parameters_of)
def test_all_that_learning_does_is_equal(history: list[tuple[object, object]], parameters: Parameters) -> None:
    plain, dense = PlainRows(parameters), DenseRows(parameters)
    dense._tidy_at = 0  # tidies up with every drop
    plain_shards: list[RowShard] = [Shard(partition, plain) for partition in range(PARTITIONS)]
    dense_shards = [DenseShard(partition, dense) for partition in range(PARTITIONS)]
    for what, how in history:
        match what, how:
            case (int(partition), PackedPairs() as record), int(away):
                own, other = dense_shards[partition], plain_shards[partition]
                offset = own.position + away
                expected = learn(other, plain, offset, record)
                learned = learn_packed(own, offset, encode(record))
                assert (learned.verdicts, learned.dropped) == expected
                if not away:
                    assert learned.timestamps.tolist() == [
                        timestamp for timestamp, _ in groupby(entry.timestamp for entry in record.entries)
                    ]
            case "flush", int(partition):
                same_dirty(dense_shards[partition], plain_shards[partition], dense)
            case "clear", int(partition):
                dense_shards[partition].clear()
                plain_shards[partition].clear()
        for own, other in zip(dense_shards, plain_shards, strict=True):
            assert (own.position, own.newest) == (other.position, other.newest)
            assert own.watermarks.as_dict() == other.watermarks.as_dict()
            assert (len(own), own.keys) == (len(other), other.keys)
    same_rows(dense, plain)
    for own, other in zip(dense_shards, plain_shards, strict=True):
        same_dirty(own, other, dense)


def same_dirty(own: DenseShard, other: RowShard, dense: DenseRows) -> None:
    dirty = [dense.ids.text(index) for index in own.take_dirty().tolist()]
    assert len(dirty) == len(set(dirty))
    assert {item: dense.get(item) for item in dirty} == other.take_dirty()


def entry(offset: int, increment: Increment, time: int = 0) -> PairEntry:
    return PairEntry(0, offset, time, time, increment)


def packed(end: int, *increments: Increment, rows_max: int | None = None) -> bytes:
    return encode(PackedPairs([Span("0", end - 1, end)], [entry(end, one) for one in increments], rows_max))


def test_a_row_is_dirty_until_it_is_taken_and_from_its_next_change_on() -> None:
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    learn_packed(shard, 0, packed(0, Increment("tea", 1, 1), Increment("tea", 1), Increment("cup", 1)))
    assert [rows.ids.text(index) for index in shard.take_dirty()] == ["tea", "cup"]
    assert shard.take_dirty().tolist() == []
    learn_packed(shard, 1, packed(1, Increment("cup", 1)))
    assert [rows.ids.text(index) for index in shard.take_dirty()] == ["cup"]


def test_a_dropped_row_is_dirty_and_keeps_its_index_until_it_is_taken() -> None:
    rows = DenseRows(DEFAULTS)
    rows._tidy_at = 0
    shard = DenseShard(0, rows)
    assert learn_packed(shard, 0, packed(0, Increment("b", 1), Increment("a", 1), rows_max=1)).dropped == 1
    rows.boards.sizes[:] = 0  # a leader would keep its index too
    rows._tidy_at = 0
    rows.tidy()
    assert rows.ids.find("b") > 0
    assert [rows.ids.text(index) for index in shard.take_dirty()] == ["b", "a"]
    assert "b" not in rows
    rows._tidy_at = 0
    rows.tidy()
    assert rows.ids.find("b") == -1


def test_only_what_a_new_span_holds_gets_an_index() -> None:
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows, watermarks={"0": 4})
    learn_packed(shard, 0, packed(4, Increment("tea", 1, 1, (("cup", 1.0, 1, 0),), "drinks")))
    assert (len(rows.ids), len(rows.categories), len(rows)) == (1, 0, 0)


def test_rows_that_are_nobodys_are_in_no_shard() -> None:
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    rows.fold_all([(Increment("tea", 1), 0)])
    assert (len(shard), shard.keys, shard.take_dirty().tolist()) == (0, set(), [])
    learn_packed(shard, 0, packed(0, Increment("tea", 1)))
    assert (len(shard), shard.keys, rows["tea"].events) == (1, {"tea"}, 2.0)


def test_the_totals_are_learnt_as_any_row() -> None:
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    learn_packed(shard, 0, packed(0, Increment(TOTALS, sessions=1), Increment("a", 1, 1), rows_max=1))
    assert (rows.total(0), shard.keys, rows.leaders(None)) == (1.0, {TOTALS, "a"}, ["a"])


RECORD = PackedPairs(
    [Span("0", -1, 7)],
    [
        entry(7, Increment("tea", 1, 1, (("cup", 0.5, 1, 0),), "drinks")),
        entry(8, Increment(TOTALS, sessions=1), time=3),
    ],
)


@given(st.data())
def test_what_the_plain_codec_refuses_is_refused_and_nothing_folded(data: st.DataObject) -> None:
    content = bytearray(encode(RECORD))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) - 1, 50]))]
    try:
        decode(content)
        is_refused = False
    except UnicodeDecodeError:
        return  # compiled code reads no characters
    except ValueError:
        is_refused = True
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    if is_refused:
        with pytest.raises(ValueError, match=r"it |its |a section|an other|follow"):
            learn_packed(shard, 0, bytes(content))
        assert (shard.position, shard.watermarks.as_dict(), len(rows.ids)) == (0, {}, 1)
    else:
        learn_packed(shard, 0, bytes(content))
        assert shard.position == 1


@given(st.binary(max_size=120))
def test_no_bytes_are_read_beyond_the_end(garbage: bytes) -> None:
    # Twelve bytes that promise texts and sections, then anything.
    head = encode(PackedPairs([Span("0", -1, 7)], []))[:-16]
    for counts in (b"\2\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0", b"\1\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"):
        try:
            PairsRecord(head + counts + garbage)
        except ValueError:
            continue
        decode(head + counts + garbage)


def test_dropping_rows_gives_their_lines_again() -> None:
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    learn_packed(shard, 0, packed(0, *(Increment(f"i{number}", 1) for number in range(50))))
    places = rows.table.blocks[USED]
    for number in range(1, 20):
        shard.drop(shard.indices())
        assert (len(shard), len(rows), rows.leaders(None)) == (0, 0, [])
        learn_packed(shard, number, packed(number, *(Increment(f"i{place}", 1) for place in range(number, 50))))
    assert rows.table.blocks[USED] == places
    assert np.count_nonzero(rows.owners.partitions == 0) == len(shard) == 31


def test_a_loaded_row_that_is_learnt_on_is_the_plain_one() -> None:
    stored = Row(0, 1.0, 2.0, 2.0, {"cup": 1.0}, {"cup": 2.0}, {}, "drinks", 2.0)
    rows = DenseRows(DEFAULTS)
    shard = DenseShard(0, rows)
    rows["tea"] = stored
    learn_packed(shard, 0, packed(0, Increment("tea", 1, 0, (("cup", 0.5, 0, 1),))))
    assert rows["tea"] == Row(0, 1.5, 3.0, 2.0, {"cup": 1.5}, {"cup": 2.0}, {"cup": 1.0}, "drinks", 3.0)
