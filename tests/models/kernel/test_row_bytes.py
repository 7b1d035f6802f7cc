"""Rows that compiled code writes and reads are those of the plain codec, many at once."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row
from models.errors import InvariantError
from models.kernel.learning import DenseShard
from models.kernel.rows import DenseRows
from models.layout.rows import decode, encode
from models.parameters import DEFAULTS
from models.rows import PlainRows

SMALL = replace(DEFAULTS, row_size=4, leaders_max=3)

ITEMS = ["", "a", "ab", "b", "é", "日本", "\uffff", "\U0001f600"]
items = st.sampled_from(ITEMS)
numbers = st.floats(-1e9, 1e9)
counts = st.floats(0, 1e9)


@st.composite
def rows_to_read(draw: st.DrawFn) -> Row | None:
    if draw(st.integers(0, 4)) == 0:
        return None  # to be taken out
    neighbours = draw(st.lists(items, max_size=4, unique=True))
    return Row(
        draw(st.integers(-9, 9)),
        *draw(st.tuples(numbers, numbers, counts)),
        weights={item: draw(counts) for item in neighbours},
        pairs={item: draw(counts) for item in neighbours},
        comparisons={item: draw(counts) for item in neighbours if draw(st.booleans())},
        category=draw(st.sampled_from([None, "x", "ab"])),
        recent=draw(counts),
    )


def stored(row: Row) -> bytes:
    """Return a row's bytes with its neighbours as a line has them, heaviest first."""
    ordered = sorted(row.weights, key=lambda item: (-row.weights[item], item))
    return encode(msgspec.structs.replace(row, weights={item: row.weights[item] for item in ordered}))


def value_of(row: Row | None) -> bytes:
    return b"" if row is None else encode(row)


@settings(max_examples=300)
@given(chunks=st.lists(st.lists(st.tuples(items, rows_to_read()), max_size=10), max_size=4), is_dirty=st.booleans())
def test_rows_are_read_in_place_of_what_was_there_and_written_as_the_plain_codec_does(
    chunks: list[list[tuple[str, Row | None]]], is_dirty: bool
) -> None:
    dense, plain = DenseRows(SMALL), PlainRows(SMALL)
    shard = DenseShard(1, dense)
    expected: dict[str, Row] = {}
    for chunk in chunks:
        shard.read([(item.encode(), value_of(row)) for item, row in chunk])
        for item, row in chunk:
            expected.pop(item, None)
            if row is not None:
                expected[item] = row
        assert (len(shard), shard.keys) == (len(expected), expected.keys())
    shard.loaded()
    plain.update(expected)
    assert dict(dense) == expected
    for category in (None, "x", "ab"):
        assert dense.leaders(category) == plain.leaders(category)
    written = dense.write(np.array([dense.ids.find(item) for item in expected], np.int64))
    assert written.as_dict() == {item.encode(): stored(row) for item, row in expected.items()}
    assert shard.write_dirty().as_dict() == {}


def test_a_dropped_row_is_written_as_none_and_its_key_with_the_letter() -> None:
    dense = DenseRows(SMALL)
    shard = DenseShard(0, dense)
    shard.read([(b"tea", encode(Row(0))), (b"cup", encode(Row(0)))])
    shard.drop(np.array([dense.ids.find("cup")]))
    assert shard.write_dirty(b"r").as_dict() == {b"rcup": None}


def test_many_rows_are_more_than_the_room_that_is_made_first() -> None:
    rows = {
        f"item-{number}-{'x' * 500}": Row(
            number,
            weights={f"other-{number + at}-{'y' * 500}": 99.0 - at for at in range(60)},
            pairs={f"other-{number + at}-{'y' * 500}": 1.0 for at in range(60)},
        )
        for number in range(50)
    }
    dense = DenseRows(DEFAULTS)
    shard = DenseShard(0, dense)
    values = [(item.encode(), encode(row)) for item, row in rows.items()]
    shard.read(values)
    assert dense.write(shard.indices(), b"row-").as_dict() == {b"row-" + item: value for item, value in values}


def test_only_the_own_partition_s_rows_are_taken_out() -> None:
    dense = DenseRows(SMALL)
    one, other = DenseShard(0, dense), DenseShard(1, dense)
    one.read([(b"tea", encode(Row(0)))])
    other.read([(b"tea", b""), (b"cup", b"")])
    assert (len(one), len(other), list(dense)) == (1, 0, ["tea"])


def test_a_row_that_was_read_folds_on() -> None:
    dense, plain = DenseRows(SMALL), PlainRows(SMALL)
    row = Row(0, 3.0, 2.0, 2.0, {"cup": 1.0, "pot": 2.0}, {"cup": 1.0, "pot": 1.0}, {"pot": 1.0}, "drinks", 1.0)
    DenseShard(0, dense).read([(b"tea", encode(row))])
    plain["tea"] = decode(encode(row))
    for rows in (dense, plain):
        rows.fold_all([(Increment("tea", 1, 1, (("pot", 0.5, 1, 1), ("jug", 0.5, 1, 1))), DEFAULTS.half_life_ms)])
    assert dense["tea"] == plain["tea"]


@given(st.data())
def test_what_the_plain_codec_refuses_is_refused_after_the_rows_before_it(data: st.DataObject) -> None:
    good = Row(1, weights={"a": 1.0, "b": 2.0}, pairs={"a": 1.0, "b": 2.0}, category="x")
    value = bytearray(encode(good))
    for _ in range(data.draw(st.integers(1, 3))):
        # Not within the texts, whose characters compiled code does not look at.
        value[data.draw(st.sampled_from([*range(42), *range(43, len(value) - 6), len(value) - 6, len(value) - 3]))] = (
            data.draw(st.integers(0, 255))
        )
    value = value[: len(value) - data.draw(st.integers(0, 2))]
    dense = DenseRows(SMALL)
    shard = DenseShard(0, dense)
    values = [(b"before", encode(good)), (b"tea", bytes(value)), (b"after", encode(good))]
    try:
        row = decode(bytes(value))
    except UnicodeDecodeError:
        return
    except ValueError:
        with pytest.raises(ValueError, match=r"it ends|follow"):
            shard.read(values)
        assert set(dense) == {"before"}
        return
    if len(row.weights) == 2:
        shard.read(values)
        assert set(dense) == {"before", "tea", "after"}


def test_a_row_with_more_neighbours_than_fit_is_refused() -> None:
    shard = DenseShard(0, DenseRows(SMALL))
    row = Row(0, weights=dict.fromkeys("abcde", 1.0), pairs=dict.fromkeys("abcde", 1.0))
    with pytest.raises(InvariantError, match="the row of item 'tea' has 5 neighbours: at most row_size=4"):
        shard.read([(b"tea", encode(row))])
