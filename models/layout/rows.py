"""The layout of a row of the table `cooccurrence`; all numbers little-endian.

row    i64 epoch; f64 mass, f64 events, f64 sessions, f64 recent; text category, empty for none; u16 neighbours;
       of all neighbours the f64 weights, then the f64 pairs, then the f64 comparisons, -1 for a pair that was never
       compared, then the texts of their ids
"""

import struct

from models.cooccurrence import Row
from models.layout.fields import Reader, text_bytes

__all__ = ["decode", "encode"]

_COUNTS = struct.Struct("<qdddd")
_SIZE = struct.Struct("<H")

_NOT_COMPARED = -1.0


def encode(row: Row) -> bytes:
    """Return the value of a row.

    Examples
    --------
    >>> encode(Row(3, 0.5, weights={"cup": 0.5}, pairs={"cup": 1.0}))[40:]
    b'\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\xf0\\xbf\\x03\\x00cup'
    """
    numbers = (
        *row.weights.values(),
        *(row.pairs[item] for item in row.weights),
        *(row.comparisons.get(item, _NOT_COMPARED) for item in row.weights),
    )
    return b"".join(
        (
            _COUNTS.pack(row.epoch, row.mass, row.events, row.sessions, row.recent),
            text_bytes(row.category),
            _SIZE.pack(len(row.weights)),
            struct.pack(f"<{len(numbers)}d", *numbers),
            *map(text_bytes, row.weights),
        )
    )


def decode(value: bytes) -> Row:
    """Read the value of a row.

    Raises
    ------
    ValueError
        For bytes that `encode` does not write.
    """
    reader = Reader(value)
    epoch, mass, events, sessions, recent = reader.numbers(_COUNTS)
    category = reader.text() or None
    (size,) = reader.numbers(_SIZE)
    layout = struct.Struct(f"<{size}d")
    weights, pairs, comparisons = (reader.numbers(layout) for _ in range(3))
    items = [reader.text() for _ in range(size)]
    reader.finish()
    return Row(
        epoch,
        mass,
        events,
        sessions,
        dict(zip(items, weights, strict=True)),
        dict(zip(items, pairs, strict=True)),
        {item: compared for item, compared in zip(items, comparisons, strict=True) if compared != _NOT_COMPARED},
        category,
        recent,
    )
