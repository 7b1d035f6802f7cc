"""Rows of the table `cooccurrence` come back from their bytes, which are the documented ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Row
from models.layout.rows import decode, encode

texts = st.sampled_from(["tea", "é", "\U0001f600", "x" * 300]) | st.text(min_size=1, max_size=4)
numbers = st.floats(allow_nan=False)
counts = st.floats(0, allow_nan=False)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    neighbours = draw(st.lists(texts, max_size=5, unique=True))
    return Row(
        draw(st.integers(-(2**63), 2**63 - 1)),
        *draw(st.tuples(numbers, numbers, numbers)),
        weights={item: draw(numbers) for item in neighbours},
        pairs={item: draw(counts) for item in neighbours},
        comparisons={item: draw(counts) for item in neighbours if draw(st.booleans())},
        category=draw(st.none() | texts),
        recent=draw(numbers),
    )


@given(rows())
def test_a_row_comes_back_with_its_neighbours_in_order(row: Row) -> None:
    again = decode(encode(row))
    assert again == row
    assert list(again.weights.items()) == list(row.weights.items())
    assert list(again.pairs.items()) == list(row.pairs.items())


ROW = Row(3, 2.5, 4.0, 1.0, {"cup": 0.5, "é": 2.0}, {"cup": 1.0, "é": 0.0}, {"é": 0.0}, "drinks", 0.25)


def test_the_layout_is_the_documented_one() -> None:
    assert encode(ROW).hex(" ", -4) == bytes.fromhex(
        "0300000000000000 0000000000000440 0000000000001040 000000000000f03f 000000000000d03f"
        "0600 6472696e6b73 0200"
        "000000000000e03f 0000000000000040"
        "000000000000f03f 0000000000000000"
        "000000000000f0bf 0000000000000000"
        "0300 637570 0200 c3a9"
    ).hex(" ", -4)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "it ends after 0 bytes, within a field"),
        (encode(ROW)[:-1], "it ends after 106 bytes, within a field"),
        (encode(ROW) + b"\0", "1 bytes follow its last field"),
        (encode(ROW)[:-1] + b"\xff", "'utf-8' codec can't decode byte 0xc3"),
    ],
)
def test_bytes_that_cannot_be_read_are_refused(value: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        decode(value)
